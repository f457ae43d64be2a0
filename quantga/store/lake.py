"""The lake: write-once objects under one root, a folder or a bucket by the same few verbs.

An object appears whole or not at all and never changes afterwards, so a crash leaves nothing to repair, a reader needs
no lock, and the name of a file can stand for its content.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from quantga.errors import ConfigError, ManifestMismatch, StoreError
from quantga.store.cache import NodeCache
from quantga.store.folder import Folder
from quantga.store.objects import Held, Objects


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Lake:
    """A root with write-once objects; paths are relative, with `/` between their parts.

    Args:
        objects: where they are.
        cache: keeps on this machine what was read from far away; None where the objects are near.
    """

    objects: Objects
    cache: NodeCache | None = None

    @property
    def root(self) -> Path | str:
        """What messages call the lake: a folder's path, or s3://bucket/prefix."""
        return self.objects.name

    @property
    def local(self) -> Path:
        """A folder on this machine for what is made from the lake: the lake itself, if it is a folder."""
        return self.objects.local

    def where(self, path: str) -> Path | str:
        """Return what a person calls the object at `path`: its file, or s3://bucket/prefix/path."""
        return self.root / path if isinstance(self.root, Path) else f"{self.root}/{path}"

    def put(self, path: str, data: bytes) -> str:
        """Write `data` at `path` once; return its SHA-256.

        Nothing happens if the same bytes are there already.

        Raises:
            Conflict: other bytes are there.
            StoreError: the disk is full, the store failed or does not answer; nothing half-written remains.
        """
        self.objects.create(path, data)
        return sha256(data)

    def put_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write several objects, each once; where one fails, others may have been written."""
        self.objects.create_all(items)

    def put_json(self, path: str, value: object) -> str:
        """Write `value` as canonical JSON (sorted keys) at `path` once; return its SHA-256."""
        return self.put(path, to_json(value))

    def put_table(self, path: str, table: pa.Table) -> str:
        """Write `table` as Parquet at `path` once; return its SHA-256."""
        return self.put(path, to_parquet(table))

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`; a StoreError says that there are none."""
        return self.objects.read(path)

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes at each path, in the order of `paths`; many at once where each takes a while."""
        return self.objects.read_all(paths)

    def read_json(self, path: str) -> object:
        """Return the JSON value at `path`."""
        try:
            value: object = orjson.loads(self.read(path))
        except orjson.JSONDecodeError as error:
            raise ManifestMismatch(f"{self.root}/{path} is not JSON ({error}): restore it or delete it") from error
        return value

    def read_table(self, path: str, digest: str = "") -> pa.Table:
        """Return the Parquet table at `path`, after checking its bytes against `digest` where one is given."""
        return self.parsed(path, self.read(path), digest)

    def read_tables(self, wanted: Sequence[tuple[str, str]]) -> list[pa.Table]:
        """Return the Parquet tables at some paths, each checked against its digest."""
        read = self.read_all([path for path, _ in wanted])
        return [self.parsed(path, data, digest) for (path, digest), data in zip(wanted, read, strict=True)]

    def parsed(self, path: str, data: bytes, digest: str) -> pa.Table:
        """Return the Parquet table that `data`, read from `path`, hold."""
        if digest and sha256(data) != digest:
            raise ManifestMismatch(f"{self.root}/{path} was changed after it was written: restore it, or import again")
        try:
            # Not `read_table`: a thread of its scan may let go of the bytes when Python is ending, and that aborts the process.
            return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        except (pa.ArrowInvalid, OSError) as error:
            raise ManifestMismatch(f"{self.root}/{path} is not a readable Parquet file: {error}") from error

    def scan(self, paths: Sequence[str]) -> ds.Dataset:
        """Return Parquet objects as one Arrow dataset, which reads what is asked of it; columns that some lack are null there.

        What lies in a folder `name=value` has the column `name`.
        """
        hive = ds.FileSystemFactoryOptions(partitioning=ds.HivePartitioning.discover())
        try:
            factory = ds.FileSystemDatasetFactory(self.objects.filesystem(), list(paths), ds.ParquetFileFormat(), hive)
            return factory.finish(factory.inspect(promote_options="permissive", fragments=None))
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(f"{self.root}/{paths[0]} and those beside it cannot be read: {error}") from error

    def exists(self, path: str) -> bool:
        """Return whether there is an object at `path`."""
        return self.objects.exists(path)

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below the folder `prefix`, sorted; unfinished ones are not shown."""
        return self.objects.paths(prefix)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below `prefix`, sorted."""
        return self.objects.folders(prefix)

    def require_writable(self) -> None:
        """Raise ConfigError, before any work, if nothing can be written below the root."""
        self.objects.require_writable()

    def hold(self, what: str) -> AbstractContextManager[Held]:
        """Hold the sole right to drive `what` (`run 1f3a…`) among all processes that use this lake.

        What is held says whether it still is: `require()` before each step. A process that died holds nothing.

        Raises:
            Conflict: another process drives it; says which.
        """
        return self.objects.hold(what)


def open_lake(store: str | Path) -> Lake:
    """Return the lake at `store`: a folder that need not exist yet, or `s3://bucket/prefix`.

    An address may name a server that is not Amazon's: `s3://bucket/prefix?endpoint=http://host:port`, see docs/storage.md.

    Raises:
        ConfigError: `store` is no folder, or an address of a kind that is not supported.
    """
    text = str(store)
    if text.startswith("s3://"):
        from quantga.store.s3 import open_bucket  # noqa: PLC0415 (boto3 takes half a second)

        bucket = open_bucket(text)
        return Lake(bucket, NodeCache.default())
    if "://" in text:
        raise ConfigError(f"the store {text} is not supported: give a folder or s3://bucket/prefix")
    root = Path(text).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise ConfigError(f"the store {root} is a file: give a folder with --store")
    return Lake(Folder(root))


def to_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


def to_parquet(table: pa.Table) -> bytes:
    """Return `table` as Parquet bytes (zstd); equal tables give equal bytes under one version of Arrow."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
