"""The trades of bars that are not closed yet: a second witness of what a candle says.

A candle that a frame brought may be the last but one. Trades come over a channel of their own, so a candle that they
contradict is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quantga.venue.market import Candle, Trade

SLACK = 1e-9
"""Relative difference that sums of sizes may have from adding in another order."""


@dataclass(slots=True)
class _Seen:
    """What the trades of one bar say."""

    low: float
    high: float
    volume: float = 0.0
    newest: int = -1
    closes: set[float] = field(default_factory=set)
    ids: set[tuple[int, int]] = field(default_factory=set)


class Tape:
    """Trades by bar, each counted once."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._bars: dict[int, _Seen] = {}

    def add(self, trade: Trade) -> None:
        """Take a trade; one that was seen before changes nothing."""
        time = trade.time // self._interval * self._interval
        seen = self._bars.get(time)
        if seen is None:
            seen = self._bars[time] = _Seen(trade.px, trade.px)
        key = (trade.time, trade.tid)
        if key in seen.ids:
            return
        seen.ids.add(key)
        seen.low, seen.high = min(seen.low, trade.px), max(seen.high, trade.px)
        seen.volume += trade.size
        if trade.time > seen.newest:
            seen.newest, seen.closes = trade.time, {trade.px}
        elif trade.time == seen.newest:
            seen.closes.add(trade.px)

    def confirms(self, time: int, candle: Candle) -> bool:
        """Return whether the trades seen bear out the candle of the bar at `time`: its range, its close, its volume.

        Only of use where no trade of the bar can have been missed.
        """
        seen = self._bars.get(time)
        if seen is None:
            return candle.trades == 0
        return _holds(seen, candle) and candle.close in seen.closes

    def permits(self, time: int, candle: Candle | None) -> bool:
        """Return whether no trade seen contradicts the candle of the bar at `time` (None: nobody traded); some may be missed."""
        seen = self._bars.get(time)
        if seen is None:
            return True
        if candle is None or not _holds(seen, candle):
            return False
        return candle.volume > seen.volume * (1 + SLACK) or candle.close in seen.closes

    def forget(self, before: int) -> None:
        """Drop bars that opened before `before`."""
        for time in [time for time in self._bars if time < before]:
            del self._bars[time]


def _holds(seen: _Seen, candle: Candle) -> bool:
    return candle.low <= seen.low and seen.high <= candle.high and candle.volume >= seen.volume * (1 - SLACK)
