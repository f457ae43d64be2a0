"""The audit log: a line for everything that somebody did or was refused, appended to a private file."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson

from quantga.errors import StoreError
from quantga.telemetry.scrub import scrub

_PRIVATE = 0o600


class Audit:
    """Appends lines of JSON; several processes may, since a short append is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        except OSError as error:
            raise StoreError(f"the audit log {path} cannot be written ({error.strerror}): set QUANTGA_STATE") from error

    def write(self, **facts: str | int) -> None:
        """Append one line; `at` is ms UTC. Never a token, a cookie or a body; whoever puts one into a path finds it removed."""
        plain = {name: scrub(value) if isinstance(value, str) else value for name, value in facts.items()}
        os.write(self._file, orjson.dumps({"at": time.time_ns() // 1_000_000, **plain}) + b"\n")

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)
