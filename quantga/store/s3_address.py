"""An address of a bucket: s3://bucket/prefix, with the server and its region where these are not Amazon's own.

All of it stands in one text, so that a store is one setting however far away it is; secrets never do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from quantga.errors import ConfigError

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_OPTIONS = ("endpoint", "region", "requester")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a bucket is.

    endpoint: the server's http(s) address; empty means AWS_ENDPOINT_URL, else Amazon's. payer: requests are paid by us
    (`requester=pays`), as archives of exchanges ask.
    """

    bucket: str
    prefix: str
    endpoint: str = ""
    region: str = ""
    payer: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, path: str) -> str:
        """Return the object's key for a path of the lake."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def path(self, key: str) -> str:
        """Return the path in the lake for an object's key; inverse of `key`."""
        return key[len(self.prefix) + 1 :] if self.prefix else key


def parse_address(text: str) -> Address:
    """Return the address that `text` says.

    Raises:
        ConfigError: it says none; names what is wrong.
    """
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ConfigError("keys do not belong into a store's address: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
        raise ConfigError(f"the store {text} names no bucket: it reads like s3://bucket/prefix")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    strange = sorted(set(options) - set(_OPTIONS))
    if strange:
        raise ConfigError(f"the store {text} has an unknown option {strange[0]!r}: there are {', '.join(_OPTIONS)}")
    endpoint = options.get("endpoint", "")
    if endpoint and (urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).netloc):
        raise ConfigError(f"the store's endpoint {endpoint!r} reads like http://host:port")
    if options.get("requester", "pays") != "pays":
        raise ConfigError(f"the store's option requester={options['requester']!r} can only be requester=pays")
    prefix = "/".join(part for part in parts.path.split("/") if part)
    return Address(parts.netloc, prefix, endpoint.rstrip("/"), options.get("region", ""), "requester" in options)
