"""Closed bars ready to be taken: the last ones of every series, for readers who come when they like.

Readers pull with the time of the last bar that they have, so nothing is kept per reader and none can delay the feed. One
who comes too late is told how many bars are gone from here, never given a series with a hole.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quantga.live.bars import Bar

type Key = tuple[str, int]
"""A coin and an interval (ms)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Bars after the time asked for, ascending; `missed` of them were no longer there and are not among them."""

    bars: tuple[Bar, ...]
    missed: int = 0


class Shelf:
    """The last `depth` bars of each series. Safe between threads."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._bars: dict[Key, list[Bar]] = {}
        self._changed = threading.Condition()
        self._version = 0

    def put(self, bars: Iterable[Bar]) -> None:
        """Add closed bars, each the next of its series."""
        with self._changed:
            for bar in bars:
                row = self._bars.setdefault((bar.coin, bar.interval), [])
                row.append(bar)
                if len(row) > 2 * self._depth:
                    del row[: -self._depth]
            self._version += 1
            self._changed.notify_all()

    def take(self, after: Mapping[Key, int]) -> dict[Key, Taken]:
        """Return, for each series named, the bars that opened later than its time (-1: all there are)."""
        with self._changed:
            return {key: self._take(key, time) for key, time in after.items()}

    def wait(self, after: Mapping[Key, int], timeout: float) -> dict[Key, Taken]:
        """Return like `take`, as soon as there is a bar of any series named, or nothing after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._newest(key) > time for key, time in after.items()), timeout)
            return {key: self._take(key, time) for key, time in after.items()}

    def newest(self) -> dict[Key, int]:
        """Return the open of the last bar of each series."""
        with self._changed:
            return {key: row[-1].time for key, row in self._bars.items()}

    def _newest(self, key: Key) -> int:
        row = self._bars.get(key)
        return row[-1].time if row else -1

    def _take(self, key: Key, time: int) -> Taken:
        row = self._bars.get(key, [])
        if not row or row[-1].time <= time:
            return Taken(())
        first = row[0].time
        begin = max(0, (time - first) // key[1] + 1) if time >= 0 else 0
        missed = max(0, (first - time) // key[1] - 1) if time >= 0 else 0
        return Taken(tuple(row[begin:]), missed)
