"""A bucket as the place of a lake's objects: Amazon's S3, or a server that speaks its protocol.

A PUT shows its object whole or not at all, and `If-None-Match: *` lets the first of several writers win. Arrow's S3
file system drops that header in silence, so writes go through boto3; Arrow reads where many rows are asked for at once.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import orjson
from botocore.exceptions import ClientError
from pyarrow import fs

from quantga.errors import ConfigError, Conflict, StoreError
from quantga.settings import cache_folder
from quantga.store.objects import Held
from quantga.store.s3_address import Address, parse_address
from quantga.store.s3_calls import ask, client_of, code_of, is_amazon
from quantga.store.s3_hold import hold

PART = 16 * 1024 * 1024
"""Bytes from which on an object is sent in parts of this size."""
MARK = ".lake.json"
FORMAT = 1
_AT_ONCE = 16
_PAGE = 1000
_ABSENT = {"NoSuchKey", "404"}
_TAKEN = {"PreconditionFailed", "412"}

_log = logging.getLogger("quantga.store")


@dataclass(frozen=True, slots=True)
class Bucket:
    """The objects below a prefix of a bucket."""

    address: Address

    @property
    def name(self) -> str:
        """s3://bucket/prefix."""
        return self.address.name

    @property
    def local(self) -> Path:
        """A folder of this machine's cache, one per bucket and prefix."""
        digest = hashlib.sha256(f"{self.address.endpoint} {self.name}".encode()).hexdigest()[:12]
        folder = cache_folder() / "lakes" / f"{self.address.bucket}-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{folder} cannot be written ({error.strerror}): name another with QUANTGA_CACHE"
            ) from error
        return folder

    def create(self, path: str, data: bytes) -> None:
        """Write `data` at `path` once.

        An attempt whose answer was lost is made again: that it was we who wrote shows in the bytes that stand there.
        """
        made = self._put(path, data) if len(data) <= PART else self._put_parts(path, data)
        if not made and self.read(path) != data:
            raise Conflict(f"{self.name}/{path} already holds other bytes: objects of the lake are written once")

    def create_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write several objects, each once, many at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda item: self.create(*item), items))

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`, all of them: a body that ends early is read again."""

        def call(client: Any) -> bytes | None:
            try:
                answer = client.get_object(Bucket=self.address.bucket, Key=self.address.key(path), **self._payer())
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return None
                raise
            return bytes(answer["Body"].read())

        data = ask(self.address, f"read {path}", call)
        if data is None:
            raise StoreError(f"{self.name}/{path} does not exist: was something deleted from the lake?")
        return data

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes at each path, many at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, paths))

    def exists(self, path: str) -> bool:
        """Return whether there is an object at `path`; a listing, since the answer to a HEAD cannot say what is wrong."""
        key = self.address.key(path)
        found = self._list(f"look for {path}", Prefix=key, MaxKeys=1)
        return any(item["Key"] == key for item in found.get("Contents", ()))

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below the folder `prefix`, sorted; names with a dot in front are not shown."""
        pages = self._pages(prefix)
        found = (self.address.path(item["Key"]) for page in pages for item in page.get("Contents", ()))
        return sorted(path for path in found if not path.rsplit("/", 1)[-1].startswith("."))

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below `prefix`, sorted."""
        pages = self._pages(prefix, Delimiter="/")
        found = (item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ()))
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found)

    def require_writable(self) -> None:
        """Raise ConfigError, before any work, unless objects can be written here, and written once.

        It is listed first, since some servers make a bucket that a misspelt name asks for. Then the lake's mark is written and written again: a server that takes the second one ignores `If-None-Match`.
        """
        self._list("list the lake", Prefix=self.address.key(MARK), MaxKeys=1)
        data = orjson.dumps({"format": FORMAT})
        if self._put(MARK, data) and self._put(MARK, data):
            raise ConfigError(
                f"the server of {self.name} ignores If-None-Match, so that two writers could overwrite each other: "
                "use Amazon S3 or a server that knows conditional writes (docs/storage.md)"
            )
        self._require_format(self.read(MARK))

    def _require_format(self, mark: bytes) -> None:
        try:
            found = orjson.loads(mark)["format"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.name}/{MARK} is not what quantga writes: give another --store") from error
        if found != FORMAT:
            raise ConfigError(f"{self.name} was written by a newer quantga (format {found}): install that one")

    def hold(self, what: str) -> AbstractContextManager[Held]:
        """Hold the sole right to `what`."""
        return hold(self.address, what)

    def filesystem(self) -> fs.FileSystem:
        """Return Arrow's view of the bucket, with the same keys and server as ours."""
        client = client_of(self.address, os.getpid())
        known = boto3.session.Session().get_credentials()
        keys = known.get_frozen_credentials() if known else None
        url = urlsplit(client.meta.endpoint_url)
        found = fs.S3FileSystem(
            access_key=keys.access_key if keys else None,
            secret_key=keys.secret_key if keys else None,
            session_token=keys.token if keys else None,
            region=client.meta.region_name or None,
            scheme=url.scheme,
            endpoint_override=None if is_amazon(client) else url.netloc,
            connect_timeout=5,
            request_timeout=30,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=8),
        )
        return fs.SubTreeFileSystem(f"{self.address.bucket}/{self.address.prefix}".rstrip("/"), found)

    def _put(self, path: str, data: bytes) -> bool:
        """Send an object; return whether it is new. The checksum lets the server refuse what arrived damaged."""
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        where = {"Bucket": self.address.bucket, "Key": self.address.key(path)}

        def call(client: Any) -> None:
            client.put_object(**where, Body=data, IfNoneMatch="*", ChecksumSHA256=checksum, **self._payer())

        return ask(self.address, f"write {path}", _unless_taken(call))

    def _put_parts(self, path: str, data: bytes) -> bool:
        """Send a large object in parts, which become visible together; return whether it is new."""
        where = {"Bucket": self.address.bucket, "Key": self.address.key(path), **self._payer()}
        what = f"write {path}"
        upload = ask(self.address, what, lambda client: client.create_multipart_upload(**where))["UploadId"]

        def send(number: int) -> dict[str, Any]:
            body = data[(number - 1) * PART : number * PART]
            sent = ask(
                self.address,
                what,
                lambda client: client.upload_part(**where, UploadId=upload, PartNumber=number, Body=body),
            )
            return {"PartNumber": number, "ETag": sent["ETag"]}

        def complete(client: Any) -> None:
            client.complete_multipart_upload(
                **where, UploadId=upload, IfNoneMatch="*", MultipartUpload={"Parts": parts}
            )

        try:
            with ThreadPoolExecutor(4) as pool:
                parts = list(pool.map(send, range(1, -(-len(data) // PART) + 1)))
            made = ask(self.address, what, _unless_taken(complete))
        except BaseException:
            self._abort(where, upload)
            raise
        if not made:
            self._abort(where, upload)
        return made

    def _abort(self, where: dict[str, Any], upload: str) -> None:
        """Drop the parts that were sent; what cannot be dropped is invisible and costs only its space."""
        try:
            client_of(self.address, os.getpid()).abort_multipart_upload(**where, UploadId=upload)
        except (ClientError, OSError) as error:
            _log.warning("%s: the parts of an upload stay behind: %s", self.name, error)

    def _pages(self, prefix: str, **more: Any) -> list[dict[str, Any]]:
        folder = self.address.key(f"{prefix}/" if prefix else "")
        pages: list[dict[str, Any]] = []
        token = ""
        while not pages or token:
            page = self._list(
                f"list {prefix}",
                Prefix=folder,
                MaxKeys=_PAGE,
                **({"ContinuationToken": token} if token else {}),
                **more,
            )
            pages.append(page)
            token = page.get("NextContinuationToken", "") if page.get("IsTruncated") else ""
        return pages

    def _list(self, what: str, **given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = ask(
            self.address,
            what,
            lambda client: client.list_objects_v2(Bucket=self.address.bucket, **given, **self._payer()),
        )
        return answer

    def _payer(self) -> dict[str, str]:
        return {"RequestPayer": "requester"} if self.address.payer else {}


def open_bucket(text: str) -> Bucket:
    """Return the bucket at an address; nothing is asked of it yet. ConfigError where `text` is no address."""
    return Bucket(parse_address(text))


def _unless_taken(call: Callable[[Any], None]) -> Callable[[Any], bool]:
    """Return a call that says False where an object stands already."""

    def attempt(client: Any) -> bool:
        try:
            call(client)
        except ClientError as error:
            if code_of(error) in _TAKEN:
                return False
            raise
        return True

    return attempt
