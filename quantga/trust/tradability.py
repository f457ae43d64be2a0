"""Whether a program could be traded: dearer, later, with other constants, with more money. Labels, never gates.

Measured on champions found in noise and on real edges, five such tests together passed 88 % of the former and 48 % of the
latter: noise champions trade seldom, real short-lived edges are fragile. So nothing here says whether an edge is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from quantga.engine.costs import Costs
from quantga.errors import DataError
from quantga.evolve.grammar import grammar_for
from quantga.evolve.vary import Limits, Vocabulary, tune
from quantga.lang.bars import DAY_MS, Bars
from quantga.lang.program import Program
from quantga.streams import dice
from quantga.trust.lookahead import too_good
from quantga.trust.sharpe import moments
from quantga.trust.track import account, track

TIMES_COSTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
DELAYS = (0, 1, 2, 3, 6, 12)
NEIGHBOURS = 24
"""Variants looked at, each with one constant a rung up or down its ladder."""
PART_OF_VOLUME = 0.01
"""An order is taken for harmless up to this share of the volume of the bar that it trades in."""
SMALL = 100_000.0
"""Capacity (USDC) below which a label says so."""

BASE_RATE = "five such tests together pass 88 % of champions found in pure noise and 48 % of real edges"


@dataclass(frozen=True, slots=True)
class Curve:
    """Annual Sharpe ratios of detrended returns (None: undefined) along something: times the costs, or bars of delay."""

    at: tuple[float, ...]
    sharpe: tuple[float | None, ...]

    def where(self, at: float) -> float | None:
        """Return the ratio at one place."""
        return self.sharpe[self.at.index(at)]


@dataclass(frozen=True)
class Tradability:
    """What became of one program on the bars searched under worse terms.

    costs: fees and slippage times so much (funding stays). delay: decisions so many bars late. neighbours: ratios of variants.
    capacity: USDC up to which 95 % of its orders stay below 1 % of the volume of the bar that they trade in; None where it
    never traded. labels: sentences.
    """

    costs: Curve
    delay: Curve
    neighbours: tuple[float | None, ...] = field(repr=False)
    capacity: float | None
    labels: tuple[str, ...]


def tradability(program: Program, market: Mapping[str, Bars], costs: Costs, window: tuple[int, int]) -> Tradability:
    """Return the report on `program` over [start, end) (ms) of bars that a search was allowed to read."""

    def ratio(one: Program, terms: Costs, delay: int = 0) -> float | None:
        try:
            return moments(track(one, market, terms, *window, delay).alpha).annual
        except DataError:
            return None  # it never moved, or has too few bars left: there is no ratio

    dearer = Curve(TIMES_COSTS, tuple(ratio(program, times(costs, k)) for k in TIMES_COSTS))
    later = Curve(DELAYS, tuple(ratio(program, costs, k) for k in DELAYS))
    near = tuple(ratio(one, costs) for one in neighbours(program, market))
    most = capacity(program, market, costs)
    return Tradability(dearer, later, near, most, _labels(dearer, later, near, most))


def times(costs: Costs, factor: float) -> Costs:
    """Return the costs with fees and slippage multiplied, up to what costs allow."""
    return replace(
        costs,
        fee=min(costs.fee * factor, 0.05),
        maker=min(costs.maker * factor, 0.05),
        slippage=min(costs.slippage * factor, 0.2),
    )


def neighbours(program: Program, market: Mapping[str, Bars]) -> list[Program]:
    """Return variants of a program with one constant a rung up or down: all of them, up to `NEIGHBOURS`."""
    columns = frozenset.intersection(*(frozenset(bars.columns) for bars in market.values()))
    limits = Limits(max(len(program.tokens), 5), max(program.lookback * 2, 100))
    return tune(Vocabulary(grammar_for(columns), limits), program, NEIGHBOURS, dice(0, "neighbours", program.id))


def capacity(program: Program, market: Mapping[str, Bars], costs: Costs) -> float | None:
    """Return the capital (USDC) at which 95 % of the orders stay below `PART_OF_VOLUME` of their bar's volume."""
    most = []
    for bars in market.values():
        record = account(program, bars, costs)
        traded = np.abs(np.diff(record.units, prepend=0.0))
        equity = np.concatenate([[costs.capital], record.equity[:-1]])
        orders = (traded > 0) & bars.present & (equity > 0) & (bars["volume"] > 0)
        share = traded[orders] / bars["volume"][orders]
        if len(share):
            most.append(PART_OF_VOLUME / share * equity[orders])
    if not most:
        return None
    return float(min(np.quantile(one, 0.05) for one in most)) * len(market)


def _labels(costs: Curve, delay: Curve, near: tuple[float | None, ...], most: float | None) -> tuple[str, ...]:
    found = []
    if (twice := costs.where(2.0)) is not None and twice <= 0:
        found.append("loses at twice the costs")
    if (late := delay.where(1)) is not None and late <= 0:
        found.append("loses when its orders come one bar later")
    losing = sum(one is None or one <= 0 for one in near)
    if 2 * losing > len(near):
        found.append(f"loses with {losing} of {len(near)} neighbouring constants")
    if most is not None and most < SMALL:
        found.append(f"is too large for its markets above {most:,.0f} USDC")
    alarm = too_good(costs.where(1.0) or 0.0, delay.where(1) or 0.0)
    return (*found, *((alarm,) if alarm else ()))


def window_of(market: Mapping[str, Bars]) -> tuple[int, int]:
    """Return [start, end) (ms) of whole days that the bars of a market span."""
    start = min(int(bars.time[0]) for bars in market.values())
    end = max(int(bars.time[-1]) + bars.interval for bars in market.values())
    return -(-start // DAY_MS) * DAY_MS, end // DAY_MS * DAY_MS
