"""Faults that users of the venue really met, switched on by command or by a script.

Each has a name and either a count (how many requests, frames or orders it hits) or seconds (how long it lasts).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantga.errors import ConfigError

COUNTED = {
    "lose_reply": "execute the next actions, then drop the connection without an answer",
    "too_many": "answer the next requests with 429 null",
    "bad_gateway": "answer the next requests with 502 and HTML",
    "duplicate": "send the next stream frames twice",
    "reorder": "swap the next pairs of stream frames",
    "batch_error": "answer the next batches with one error for all, executing nothing",
    "partial_fill": "let the next crossing orders fill by half and cancel the rest",
    "dangling_token": "let the next spotMeta answers name a token that is not there",
}
TIMED = {
    "silent": "sockets stay open, but nothing is sent, no pong either",
    "stale": "no data is sent, pongs go on",
    "delay_reply": "answers of actions leave `seconds` after execution",
    "delay_request": "actions wait `seconds` before they are looked at, so that expiresAfter may pass",
    "unknown_oid": "orderStatus by a cloid says unknownOid",
}
IMMEDIATE = {
    "drop_sockets": "close every socket without a goodbye",
    "quota": "use up the request budget of `user`",
    "liquidate": "liquidate `user`",
    "skew": "move the exchange's wall clock by `ms`",
    "restart": "forget everything in memory and start again from disk",
    "die": "end the process at once, as kill -9 does",
    "clear": "end all faults",
}
HOW_LONG = ("delay_reply", "delay_request")
"""These last until cleared; their seconds say how long each action is delayed."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault of a script, `after` seconds of wall time from the start."""

    after: float
    body: dict[str, Any]


def read_script(path: Path) -> list[Planned]:
    """A JSON list of objects with `after` (seconds), `fault` and its arguments, in any order.

    Raises:
        ConfigError: the file is no such list, or names an unknown fault.
    """
    try:
        rows = json.loads(path.read_text("utf-8"))
        planned = [Planned(float(row["after"]), {k: v for k, v in row.items() if k != "after"}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"cannot read the fault script {path}: {error!r}") from error
    for one in planned:
        if one.body.get("fault") not in {*COUNTED, *TIMED, *IMMEDIATE}:
            raise ConfigError(f"{path}: unknown fault {one.body.get('fault')!r}; known: {known()}")
    return sorted(planned, key=lambda one: one.after)


def known() -> str:
    """All names."""
    return ", ".join(sorted({*COUNTED, *TIMED, *IMMEDIATE}))


class Faults:
    """Which faults are on."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def switch(self, name: str, *, count: int = 1, seconds: float = 1.0) -> None:
        """Switch a counted or timed fault on.

        Raises:
            ConfigError: there is no such fault.
        """
        if name in COUNTED:
            self._counts[name] = count
        elif name in TIMED:
            self._until[name] = seconds if name in HOW_LONG else time.monotonic() + seconds
        else:
            raise ConfigError(f"unknown fault {name!r}; known: {known()}")

    def clear(self) -> None:
        """All off."""
        self._counts.clear()
        self._until.clear()

    def hit(self, name: str) -> bool:
        """Whether a counted fault strikes now; it is used up by one."""
        left = self._counts.get(name, 0)
        if left > 0:
            self._counts[name] = left - 1
        return left > 0

    def on(self, name: str) -> bool:
        """Whether a timed fault is on."""
        return self._until.get(name, 0.0) > time.monotonic()

    def delay(self, name: str) -> float:
        """Seconds of a delay, 0 = off."""
        return self._until.get(name, 0.0)

    @property
    def disturbs_frames(self) -> bool:
        """Whether stream frames need a look."""
        return bool(self._counts.get("duplicate") or self._counts.get("reorder"))
