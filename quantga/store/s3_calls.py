"""One request to an object store: made again while the store is only busy, refused in one sentence when it says no.

The SDK's own retries are off, so that there is one policy: what may pass is tried for two minutes (ten seconds before the
store has ever answered), what cannot pass is not tried twice.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own)
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSLError,
)

from quantga.errors import ConfigError, QuantgaError, StoreError, Transient
from quantga.store.s3_address import Address

PATIENCE_S = 120.0
"""How long a store that has answered before may be away."""
_FIRST_PATIENCE_S = 10.0
_QUIET_S = 5.0
_CONNECTIONS = 32
_BUSY = {
    *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException"),
    *("RequestLimitExceeded", "OperationAborted", "ConditionalRequestConflict", "BadDigest", "IncompleteBody"),
    *("XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
}
_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"}
_SKEW = {"RequestTimeTooSkewed", "RequestExpired"}
_PASSING = (HTTPClientError, ConnectionError, IncompleteReadError, ResponseStreamingError, urllib3.exceptions.HTTPError)
"""What a network does: the connection refused, reset or silent, a body that ends early."""
_HOW = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"

_log = logging.getLogger("quantga.store")
_answered: set[Address] = set()


@cache
def client_of(address: Address, process: int = 0) -> Any:
    """Return the client for an address, one per process: connections do not survive a fork."""
    del process
    try:
        client = _client(address, "path" if address.endpoint else "auto")
        if not is_amazon(client):
            client = _client(address, "path")  # a server of one's own has no host name per bucket
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"the store {address.name} cannot be reached: {error}") from error
    return client


def is_amazon(client: Any) -> bool:
    """Return whether a client speaks to Amazon's own servers."""
    return (urlsplit(client.meta.endpoint_url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _client(address: Address, style: str) -> Any:
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        s3={"addressing_style": style},
    )
    session = boto3.session.Session()
    where = {"endpoint_url": address.endpoint or None, "region_name": address.region or session.region_name or None}
    return session.client("s3", config=config, **where)


def ask[T](address: Address, what: str, call: Callable[[Any], T], patience: float = PATIENCE_S) -> T:
    """Return what `call` returns of a client; call it again while the store is busy or away.

    Args:
        address: the store.
        what: what is being done, for messages: "write runs/1f3a/run.json".
        call: makes the request; safe to make twice.
        patience: seconds that a store may be away which has answered before.

    Raises:
        ConfigError: keys, bucket, region or clock are wrong.
        Transient: no usable answer in time.
        StoreError: the store said something else.
    """
    client = client_of(address, os.getpid())
    began, tries, told = time.monotonic(), 0, False
    while True:
        try:
            answer = call(client)
        except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            refusal = refused(address, what, error)
            if refusal is not None:
                raise refusal from error
            waited = time.monotonic() - began
            if waited > (patience if address in _answered else min(patience, _FIRST_PATIENCE_S)):
                raise _gone(address, what, error, waited) from error
            if waited > _QUIET_S and not told:
                told = True
                _log.warning("%s is away (%s): waiting for it", address.name, _reason(error))
            tries += 1
            time.sleep(min(3.0, 0.05 * 2**tries) * (0.5 + secrets.randbelow(1000) / 1000))
        else:
            _answered.add(address)
            return answer


def code_of(error: ClientError) -> str:
    """Return the store's code for what happened, as `NoSuchKey`; a HEAD has only a number."""
    return str(error.response.get("Error", {}).get("Code", ""))


def refused(address: Address, what: str, error: Exception) -> QuantgaError | None:  # noqa: PLR0911 (one per case)
    """Return the error for the user, or None where the same request may pass later."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return ConfigError(f"no keys for {address.name} ({error}): set {_HOW}")
    if isinstance(error, SSLError):
        return ConfigError(f"{address.name}: no trusted connection ({error}): is the endpoint https, and known?")
    if not isinstance(error, ClientError):
        return (
            None if isinstance(error, (*_PASSING, OSError)) else StoreError(f"{address.name}: cannot {what}: {error}")
        )
    code, said = code_of(error), error.response.get("Error", {}).get("Message", "")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY or status >= 500 or status == 429:
        return None
    if code in _SKEW:
        return ConfigError(f"{address.name} refuses this machine's clock ({said}): set it, and give the command again")
    if code == "NoSuchBucket":
        return ConfigError(f"there is no bucket {address.bucket!r}: create it, or mend --store")
    if code in _KEYS:
        return ConfigError(f"{address.name} does not accept the keys ({code}): set {_HOW}")
    if code in ("AccessDenied", "AllAccessDisabled") or status == 403:
        return ConfigError(
            f"{address.name}: these keys may not {what} ({code}): it needs GetObject, PutObject, ListBucket"
        )
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        return ConfigError(f"{address.name} is in another region ({said}): add ?region=… to the store, or AWS_REGION")
    return StoreError(f"{address.name}: cannot {what}: {code} {said}".rstrip())


def _gone(address: Address, what: str, error: Exception, waited: float) -> Transient:
    server = address.endpoint or "the server"
    return Transient(
        f"{address.name}: {server} did not answer for {waited:.0f} s ({_reason(error)}), so it was not possible to {what}: "
        "nothing is half-written; the same command goes on when it is back"
    )


def _reason(error: Exception) -> str:
    return code_of(error) if isinstance(error, ClientError) else str(error).split("\n", maxsplit=1)[0][:200]
