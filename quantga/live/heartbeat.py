"""The trader's sign of life, as the watchdog reads it: a small file, replaced about once a second.

`places.Account.beat` writes it. A reader goes by change alone, on its own clock that never goes back: neither the trader's
clock nor the file's date is believed, so that a clock that jumps neither hides a death nor feigns one. A trader whose loop
hangs while it goes on beating gives itself away: `at` and `lively`, both told by the same clock, drift apart.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

__all__ = ["FILE", "NOTICE", "STUCK_S", "Pulse", "put", "watched"]

FILE = "heartbeat.json"
"""The file's name in an account's folder (`places.Account.heartbeat`)."""
NOTICE = "watchdog.json"
"""Beside it: what the watchdog last knew, for `quantga status`."""
STUCK_S = 60.0
"""A loop that did not go round for so long hangs; settling an outcome while the venue is away takes less."""
_STALE_S = 15.0


class Pulse:
    """The last beat, and for how long there has been no other."""

    def __init__(self, folder: Path, now: float) -> None:
        """`now`: seconds of a clock that never goes back; a beat found here first counts as new."""
        self._path = folder / FILE
        self._seen, self._at = b"", now
        self.told: dict[str, Any] = {}

    def age(self, now: float) -> float:
        """Look; return the seconds since the last sign of life, or since the first look where there was none."""
        try:
            data = self._path.read_bytes()
            told: dict[str, Any] = orjson.loads(data)
        except (OSError, orjson.JSONDecodeError):
            return now - self._at
        if data != self._seen:
            self._seen, self._at, self.told = data, now, told
        stuck = (int(told.get("at", 0)) - int(told.get("lively", told.get("at", 0)))) / 1_000
        return max(now - self._at, stuck if stuck > STUCK_S else 0.0)

    @property
    def leaving(self) -> bool:
        """Whether the trader said that it ends on purpose: its positions keep their stops, nobody needs to flatten them."""
        return bool(self.told.get("leaving", False))

    @property
    def signer(self) -> str:
        """The address of the trader's key; "" where it did not say."""
        return str(self.told.get("signer", ""))


def watched(folder: Path, now: int) -> str:
    """Return in words who watches a trader, at wall time `now` (ms): what is missing is said loudly."""
    try:
        told: dict[str, Any] = orjson.loads((folder / NOTICE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return "NONE: nobody cancels entries if the trader dies; give `quantga watchdog`"
    age = (now - int(told.get("at", 0))) / 1_000
    if age > _STALE_S:
        return f"GONE for {age:.0f} s: nobody cancels entries if the trader dies; give `quantga watchdog`"
    lost = "; the trader is LOST" if told.get("lost") else ""
    reached = "" if told.get("reached") else "; the venue does not answer it"
    armed = "the venue's switch is armed" if told.get("armed") else f"UNARMED: {told.get('unarmed')}"
    return f"process {told.get('pid')} watches{lost}{reached}; {armed}"


def put(path: Path, told: Mapping[str, object]) -> None:
    """Replace a file whole: a reader sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(orjson.dumps(told))
    draft.replace(path)
