"""Which bars are acted on, and when: those of the newest close, once all symbols have theirs or have waited long enough.

A bar that closed while nobody traded is journaled and learned from, never acted on late; a symbol whose bar or funding rate is
missing is left out: no data, no decision.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from quantga.errors import VenueError
from quantga.lang.bars import Bars
from quantga.live.beginning import Begun
from quantga.live.dealer import Dealer
from quantga.store.symbols import REFERENCE

__all__ = ["Closes", "followed", "reads_fundings"]


def followed(begun: Begun) -> tuple[str, ...]:
    """Return the symbols whose bars are needed: those traded, and the reference asset where a program reads it."""
    reads = any(name.startswith("ref_") for one in begun.strategies for name in one.program.columns)
    return tuple(sorted({*begun.terms.symbols, *([REFERENCE] if reads else [])}))


def reads_fundings(begun: Begun) -> bool:
    """Tell whether a strategy is charged funding or reads it."""
    names = {name.removeprefix("ref_") for one in begun.strategies for name in one.program.columns}
    return bool(names & {"funding", "funding_rate", "premium"}) or any(one.costs.funding for one in begun.strategies)


@dataclass
class Closes:
    """The closes of a session. straggler, rates: seconds that bars, and funding rates, are waited for."""

    begun: Begun
    dealer: Dealer
    straggler: float = 2.0
    rates: float = 5.0

    def __post_init__(self) -> None:
        self.symbols, self.followed = self.begun.terms.symbols, followed(self.begun)
        self.fundings = reads_fundings(self.begun)
        self._first = min(one.since for one in self.begun.strategies)
        self._began: tuple[int, float] = (-1, 0.0)
        self._acted = max((one.bar for one in self.begun.decided.values()), default=-1)

    async def due(self) -> dict[str, Bars]:
        """Return the bars to act on now; each close once."""
        history = self.begun.history
        numbers = {symbol: history.number(symbol) for symbol in self.followed}
        newest, now = max(numbers.values()), time.monotonic()
        if newest <= self._acted or newest < self._first:
            return {}
        if self._began[0] != newest:
            self._began = newest, now
        waited = now - self._began[1]
        if waited < self.straggler and any(number < newest for number in numbers.values()):
            return {}
        there = [symbol for symbol in self.symbols if numbers[symbol] == newest]
        if self.fundings:
            lacking = [symbol for symbol in self.followed if history.lacks_rate(symbol)]
            await self._fetch(lacking)
            lacking = [symbol for symbol in lacking if history.lacks_rate(symbol)]
            if lacking and waited < self.rates:
                return {}
            there = [symbol for symbol in there if symbol not in lacking]
        self._acted = newest
        return {symbol: history.bars(symbol, fundings=self.fundings) for symbol in there}

    async def warm(self) -> None:
        """Fetch the funding rates of the history."""
        if self.fundings:
            await self._fetch(self.followed)

    async def _fetch(self, symbols: Sequence[str]) -> None:
        """Ask for the rates since the last known ones, page by page; what fails is asked again with the next look."""
        history = self.begun.history
        for symbol in symbols:
            try:
                while rates := await self.dealer.venue.fundings(symbol, history.since(symbol)):
                    new = [one for one in rates if history.rate(one)]
                    self.dealer.note(*new)
                    if not new:
                        break
            except VenueError:
                return
