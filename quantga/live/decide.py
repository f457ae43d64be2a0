"""Deciding: what a strategy wants to hold now, by the very code that scored it.

A strategy carries a model account: the research ledger over the closed bars since its session began. A decision adds
the coming bar, of which nothing is known but the price now, and reads what the ledger does at its open. So a session's
journal of bars and prices reproduces every decision, bit for bit, and a backtest of the same bars is the model account.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

import numpy as np

from quantga.engine.costs import Costs
from quantga.engine.ledger import Outcome, trace
from quantga.engine.ledger_market import MARK, prepare
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.errors import DataError
from quantga.lang.bars import PRICES, Bars
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program

__all__ = ["Decision", "Undecided", "decide", "digest", "lots_of"]


@dataclass(frozen=True)
class Decision:
    """What a strategy wants of a symbol, decided at the close of bar number `bar`.

    wanted: the program's value at that close (NaN: hold). weight: signed share of the strategy's equity to hold from now on.
    units: what the model account holds for that. stop, take: prices at which it leaves inside the bar, infinite where
    there is none, NaN without a position.
    """

    symbol: str
    bar: int
    wanted: float
    weight: float
    units: float
    stop: float
    take: float

    def left_at(self, price: float) -> bool:
        """Tell whether the position has to be left at this price, before the bar ends."""
        side = math.copysign(1.0, self.weight)
        return self.weight != 0 and not side * self.stop < side * price < side * self.take


@dataclass(frozen=True)
class Undecided:
    """Nothing is decided for a symbol, and why; what is held stays, with its stop."""

    symbol: str
    bar: int
    reason: str


def decide(program: Program, bars: Bars, costs: Costs, since: int, price: float) -> Decision | Undecided:
    """Return the decision at the close of the last bar.

    bars: closed bars, at least `program.reach` of them before bar number `since`, at whose close the session decided first;
    they always begin at the same bar. price: what the symbol costs now. Raises DataError where bars are too few.
    """
    bar = bars.origin + len(bars) - 1
    if since - bars.origin < program.reach:
        raise DataError(
            f"{bars.symbol}: {since - bars.origin} bars before the first decision, {program.reach} are needed; "
            "start with more history"
        )
    if not bars.present[-1]:
        return Undecided(bars.symbol, bar, "its last bar is missing")
    if not (math.isfinite(price) and price > 0):
        return Undecided(bars.symbol, bar, "its price now is not known")
    stale = _unavailable(program, bars)
    if stale:
        return Undecided(bars.symbol, bar, f"its column {stale} has no value at the last close")
    wanted = np.append(evaluate([program], bars)[0], np.nan)
    last = float(wanted[-2])
    wanted[: since - bars.origin] = np.nan  # the model account begins with the session, flat
    market = prepare(_and_now(bars, price), costs, [program.genes])
    outcome = trace(wanted, market, encode_terms(costs, bars.base), encode_genes([program.genes], costs)[0])
    units, equity = outcome.units[-1], outcome.equity[-1]
    weight = float(units * market.rows[-1, MARK] / equity) if equity > 0 else 0.0
    return Decision(bars.symbol, bar, last, weight, float(units), *_levels(outcome))


def digest(bars: Bars) -> str:
    """Return 16 hex digits that stand for every bit of the bars."""
    found = hashlib.blake2b(f"{bars.symbol} {bars.interval} {bars.origin}".encode(), digest_size=8)
    for name in sorted(bars.columns):
        found.update(name.encode())
        found.update(np.ascontiguousarray(bars[name]).tobytes())
    return found.hexdigest()


def lots_of(weight: float, equity: Decimal, price: Decimal, lot: Decimal) -> int:
    """Return the signed whole lots that are worth `weight` x equity at the price, rounded toward zero."""
    if price <= 0 or lot <= 0:
        raise DataError(f"a price of {price} and lots of {lot} size no order")
    return int((Decimal(weight) * equity / (price * lot)).to_integral_value(ROUND_DOWN))


def _levels(outcome: Outcome) -> tuple[float, float]:
    """Return stop and take as prices; the ledger keeps them as side x price. NaN without a position."""
    units = outcome.units[-1]
    if units == 0:
        return math.nan, math.nan
    side = math.copysign(1.0, units)
    take = min(outcome.figure("take_level"), outcome.figure("ladder_level"))
    return side * outcome.figure("stop_level"), side * take


def _and_now(bars: Bars, price: float) -> Bars:
    """Return the bars and one more that has only begun: it opens at the price, and nothing else is known of it."""
    now = dict.fromkeys(PRICES, price) | {"volume": 0.0, "funding": 0.0}
    columns = {name: np.append(column, now.get(name, np.nan)) for name, column in bars.columns.items()}
    return Bars(bars.interval, bars.origin, columns, bars.symbol, bars.base)


def _unavailable(program: Program, bars: Bars) -> str:
    """Return a column that the program reads and that has no value at the last close; "" if there is none."""
    return next((name for name in program.columns if math.isnan(bars[name][-1])), "")
