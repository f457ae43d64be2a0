"""The trader's sign of life: a small file, replaced at each beat by the very loop that trades, read by the watchdog.

Whoever hangs does not beat. A reader goes by change alone, on its own clock that never goes back: neither the trader's
clock nor the file's date is believed, so that a clock that jumps neither hides a death nor feigns one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

__all__ = ["FILE", "NOTICE", "Beat", "Heart", "Pulse", "put"]

FILE = "heartbeat.json"
"""The file's name in a session's folder."""
NOTICE = "watchdog.json"
"""Beside it: what the watchdog last knew, for `quantga status`."""


@dataclass(frozen=True)
class Beat:
    """One beat: for which account and session, by which key's address and process, and whether it ends on purpose."""

    account: str
    session: str
    signer: str
    pid: int
    count: int = 0
    leaving: bool = False


class Heart:
    """The trader's side. Call `beat` from the loop that trades, at least once a second; `leave` when it ends on purpose."""

    def __init__(self, folder: Path, account: str, session: str, signer: str) -> None:
        self._path = folder / FILE
        self._beat = Beat(account, session, signer, os.getpid())

    def beat(self) -> None:
        """Say that the loop turns; OSError where it cannot be said: trading goes on, and the watchdog acts."""
        self._put(replace(self._beat, count=self._beat.count + 1))

    def leave(self) -> None:
        """Say that the trader ends on purpose: its positions keep their stops, and nobody needs to flatten them."""
        self._put(replace(self._beat, count=self._beat.count + 1, leaving=True))

    def _put(self, beat: Beat) -> None:
        self._beat = beat
        put(self._path, asdict(beat))


class Pulse:
    """The watchdog's side: the last beat, and for how long there has been no other."""

    def __init__(self, folder: Path, now: float) -> None:
        """`now`: seconds of a clock that never goes back; a beat found here first counts as new."""
        self._path = folder / FILE
        self._seen, self._at = b"", now
        self.beat: Beat | None = None

    def age(self, now: float) -> float:
        """Look; return the seconds since the last change, or since the first look where there is no file."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return now - self._at
        if data != self._seen:
            self._seen, self._at = data, now
            self.beat = Beat(**orjson.loads(data))
        return now - self._at


def put(path: Path, told: Mapping[str, object]) -> None:
    """Replace a file whole: a reader sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(orjson.dumps(told))
    draft.replace(path)
