"""The bars of a session: closed bars and funding rates as they came, as the arrays that programs read. Pure.

The same columns as research has, made by the same functions: OHLCV, funding, its hourly rate and premium, and those of the
reference asset.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import REQUIRED, Bars
from quantga.live.bars import Bar
from quantga.store.features import HOUR, charged, hourly_rate, last_before
from quantga.store.symbols import REFERENCE
from quantga.venue.market import FundingRate

__all__ = ["History"]


class History:
    """Closed bars of a few symbols from a common first one (`origin`, a bar's number) on."""

    def __init__(self, interval: int, origin: int) -> None:
        self.interval, self.origin = interval, origin
        self._bars: dict[str, list[Bar]] = {}
        self._rates: dict[str, dict[int, FundingRate]] = {}

    def add(self, bar: Bar) -> bool:
        """Take a bar; tell whether it is new: one that is known already, or lies before the first, is not."""
        rows = self._bars.setdefault(bar.coin, [])
        if bar.time // self.interval < self.origin or (rows and bar.time <= rows[-1].time):
            return False
        rows.append(bar)
        return True

    def rate(self, one: FundingRate) -> bool:
        """Take a funding rate; tell whether it is new."""
        known = self._rates.setdefault(one.coin, {})
        if one.time in known:
            return False
        known[one.time] = one
        return True

    def last(self, symbol: str) -> Bar | None:
        """Return the last bar of a symbol."""
        rows = self._bars.get(symbol)
        return rows[-1] if rows else None

    def number(self, symbol: str) -> int:
        """Return the number of a symbol's last bar; -1 without one."""
        bar = self.last(symbol)
        return -1 if bar is None else bar.time // self.interval

    def since(self, symbol: str) -> int:
        """Return the time (ms) of the last funding rate known of a symbol, or of its first bar."""
        return max(self._rates.get(symbol, {}), default=self.origin * self.interval - 2 * HOUR)

    def lacks_rate(self, symbol: str) -> bool:
        """Tell whether a rate that was charged within the last bar is not known yet: an hour's, stamped up to its close."""
        bar = self.last(symbol)
        due = 0 if bar is None else bar.end // HOUR * HOUR
        if bar is None or due <= bar.time:
            return False
        return not any(abs(time - due) < HOUR // 2 for time in self._rates.get(symbol, {}))

    def bars(self, symbol: str, *, fundings: bool) -> Bars:
        """Return a symbol's bars, with the reference asset's columns where that is known."""
        own = self._own(symbol, fundings=fundings)
        if REFERENCE not in self._bars:
            return own
        return own.with_reference(own if symbol == REFERENCE else self._own(REFERENCE, fundings=fundings))

    def _own(self, symbol: str, *, fundings: bool) -> Bars:
        rows = self._bars[symbol]
        count = rows[-1].time // self.interval - self.origin + 1
        columns = {name: np.full(count, np.nan) for name in REQUIRED}
        at = np.array([bar.time // self.interval - self.origin for bar in rows])
        traded = np.array([bar.traded for bar in rows])
        for name in REQUIRED:
            columns[name][at] = np.where(traded, [getattr(bar, name) for bar in rows], np.nan)
        bars = Bars(self.interval, self.origin, columns, symbol, symbol)
        return bars.with_columns(self._fundings(symbol, bars)) if fundings else bars

    def _fundings(self, symbol: str, bars: Bars) -> dict[str, np.ndarray]:
        known = self._rates.get(symbol, {})
        rows = [known[time] for time in sorted(known)]
        stamps = np.array([row.time for row in rows], np.int64)
        rates = np.array([row.rate for row in rows], np.float64)
        closes = bars.time + bars.interval
        found = {"funding": charged(stamps, rates, closes, bars.interval)}
        if len(rows) > 1:
            found["funding_rate"] = last_before(stamps, hourly_rate(stamps, rates), closes)
            found["premium"] = last_before(stamps, np.array([row.premium for row in rows]), closes)
        return found
