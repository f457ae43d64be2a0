"""The sole right to drive a run whose lake is a bucket: one small object that its holder renews every few seconds.

A conditional PUT decides who takes it, and only the server's clock says how old a sign of life is, so that a wrong clock on
one of the machines decides nothing. What a holder writes is the same whoever writes it, so a right that was lost in a long
silence costs work, never a result.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import orjson
from botocore.exceptions import ClientError

from quantga.errors import Conflict, StoreError
from quantga.store.s3_address import Address
from quantga.store.s3_calls import ask, code_of

BEAT_S = 5.0
"""Between two signs of life."""
SILENCE_S = 20.0
"""A holder that was silent for so long has lost its right."""
_LOOKS = 2 * int(SILENCE_S)
_TAKEN = {"PreconditionFailed", "412", "NoSuchKey", "404"}

_log = logging.getLogger("quantga.store")


class BeatHeld:
    """A right that is renewed in the background until it is released or lost."""

    def __init__(self, address: Address, what: str) -> None:
        self._address, self._what = address, what
        self._key = address.key(f"holds/{re.sub('[^A-Za-z0-9._-]', '-', what)}.json")
        self._me = secrets.token_hex(8)
        self._beat, self._etag = 0, ""
        self._lost = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"hold {what}", daemon=True)

    def require(self) -> None:
        """Raise Conflict if another process took over."""
        if self._lost:
            raise Conflict(
                f"{self._what} was taken over by {self._lost}: that one goes on with it, this one stops here"
            )

    def take(self) -> None:
        """Take the right, or wait until it shows whether its holder lives; Conflict if it does."""
        if not self._write("IfNoneMatch", "*"):
            self._take_over()
        self._thread.start()

    def _take_over(self) -> None:
        first = ""
        standing: dict[str, Any] | None = None
        for _ in range(_LOOKS):
            standing, etag, age = self._look()
            if standing is None or not etag:
                raise Conflict(f"{self._what}: the mark of who drives it was removed just now: give the command again")
            if (_gone(standing) or age > SILENCE_S) and self._write("IfMatch", etag):
                return
            first = first or etag
            if etag != first:
                break
            time.sleep(1.0)
        raise Conflict(f"{self._what} is being driven by {_who(standing or {})}: wait until it is done, or stop it")

    def release(self) -> None:
        """Give the right back."""
        self._ended.set()
        self._thread.join()
        if self._lost:
            return
        try:
            self._write("IfMatch", self._etag, free=True)
        except StoreError as error:
            _log.warning("%s: %s stays marked as driven for %.0f s", self._address.name, self._what, SILENCE_S)
            _log.debug("because %s", error)

    def _keep(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                self._renew()
            except StoreError as error:
                _log.warning("no sign of life could be written: %s", error)
            if self._lost:
                return

    def _renew(self) -> None:
        if self._write("IfMatch", self._etag):
            return
        standing, etag, _ = self._look()
        if standing is not None and standing.get("holder") == self._me:
            self._etag = etag  # our own last sign of life, whose answer was lost
        else:
            self._lost = _who(standing) if standing else "somebody who removed the mark"

    def _write(self, condition: str, value: str, *, free: bool = False) -> bool:
        self._beat += 1
        sign = {"what": self._what, "holder": self._me, "beat": self._beat, "free": free, **_here()}

        def call(client: Any) -> str:
            given = {condition: value, "Bucket": self._address.bucket, "Key": self._key}
            try:
                return str(client.put_object(**given, Body=orjson.dumps(sign))["ETag"])
            except ClientError as error:
                if code_of(error) in _TAKEN:
                    return ""
                raise

        etag = ask(self._address, f"hold {self._what}", call, SILENCE_S)
        self._etag = etag or self._etag
        return bool(etag)

    def _look(self) -> tuple[dict[str, Any] | None, str, float]:
        """Return who holds the right (None: nobody), the mark's tag, and seconds since its last sign by the server's clock."""

        def call(client: Any) -> tuple[dict[str, Any] | None, str, float]:
            try:
                answer = client.get_object(Bucket=self._address.bucket, Key=self._key)
            except ClientError as error:
                if code_of(error) in _TAKEN:
                    return None, "", 0.0
                raise
            standing: dict[str, Any] = orjson.loads(answer["Body"].read())
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            last: datetime = answer["LastModified"]
            return standing, str(answer["ETag"]), (now - last).total_seconds()

        return ask(self._address, f"hold {self._what}", call, SILENCE_S)


@contextmanager
def hold(address: Address, what: str) -> Iterator[BeatHeld]:
    """Hold the sole right to `what` among all who use the bucket.

    Raises:
        Conflict: another process has it, and lives.
    """
    held = BeatHeld(address, what)
    held.take()
    try:
        yield held
    finally:
        held.release()


def _here() -> dict[str, Any]:
    """Return who we are: enough to tell on the same machine whether a holder still lives."""
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "process": os.getpid(),
        "started": _started(os.getpid()),
    }


def _machine() -> str:
    """Return a name for this boot and this space of process numbers: two containers do not see each other's."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{boot.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}" if boot.exists() else ""


def _started(process: int) -> str:
    """Return when a process began, as the kernel counts it; empty where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return ""


def _gone(standing: dict[str, Any]) -> bool:
    """Return whether a holder released its right, or ran on this machine and is no more."""
    if standing.get("free"):
        return True
    here = bool(_machine()) and standing.get("machine") == _machine()
    return here and _started(int(standing["process"])) != standing.get("started")


def _who(standing: dict[str, Any]) -> str:
    return f"process {standing.get('process')} on {standing.get('host')}"
