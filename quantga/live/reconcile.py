"""Reconciliation: what the venue says against what is believed; every difference is explained, asked about, or halts.

Pure: it takes complete answers (a failed read is never an empty one, so it is no argument here) and says what follows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from quantga.errors import DataError
from quantga.live.orders import Fact, Order, Phase, Purpose, apply
from quantga.venue.account import AccountState, Fill
from quantga.venue.account import Order as OpenOrder

__all__ = ["Belief", "Difference", "Report", "Result", "Weight", "reconcile"]


class Weight(IntEnum):
    """How grave a difference is. ASK: an order's outcome has to be asked for; MEND: protection is missing or wrong."""

    ASK = 0
    MEND = 1
    HALT_SYMBOL = 2
    HALT = 3


@dataclass(frozen=True)
class Belief:
    """What is believed. positions: units by symbol, at the start of the session; orders: all of the session, by cloid."""

    positions: Mapping[str, Decimal]
    orders: Mapping[str, Order]

    def position(self, symbol: str) -> Decimal:
        """Return the units that the start and the fills known of amount to."""
        units = self.positions.get(symbol, Decimal(0))
        for order in self.orders.values():
            if order.intent.request.coin == symbol:
                units += order.filled if order.intent.request.buy else -order.filled
        return units


@dataclass(frozen=True)
class Report:
    """Complete answers of the venue, asked for in this order: fills since the session began, open orders, positions."""

    fills: Sequence[Fill]
    open_orders: Sequence[OpenOrder]
    state: AccountState


@dataclass(frozen=True)
class Difference:
    """One thing that is not as believed: whose, what, and what has to follow."""

    symbol: str
    weight: Weight
    what: str
    cloid: str = ""


@dataclass(frozen=True)
class Result:
    """orders: all, with what the report taught; learned: what has to be journaled for that, in order."""

    orders: Mapping[str, Order]
    learned: tuple[Fact | Fill, ...]
    differences: tuple[Difference, ...]

    @property
    def halted(self) -> frozenset[str]:
        """Return the symbols that may not trade; "" stands for the whole account."""
        return frozenset(
            "" if one.weight == Weight.HALT else one.symbol
            for one in self.differences
            if one.weight >= Weight.HALT_SYMBOL
        )


def reconcile(belief: Belief, report: Report) -> Result:
    """Return what follows from the report: what is learned of the orders, and every difference that remains.

    A position may lag behind or run ahead of the fills for a moment: the caller asks once more before it believes a
    difference of positions; every other one counts at once.
    """
    orders, learned = dict(belief.orders), list[Fact | Fill]()
    found = [*_fills(orders, learned, report.fills), *_open(orders, learned, report.open_orders)]
    found += _gone(orders, {one.cloid for one in report.open_orders if one.cloid})
    after = Belief(belief.positions, orders)
    held = {position.coin: position.size for position in report.state.positions}
    symbols = sorted({*belief.positions, *held, *(order.intent.request.coin for order in orders.values())})
    for symbol in symbols:
        units, expected = held.get(symbol, Decimal(0)), after.position(symbol)
        if units != expected:
            what = f"the venue has {units} units, fills explain {expected}"
            found.append(Difference(symbol, Weight.HALT_SYMBOL, what))
        elif units:
            found += _protection(symbol, units, report.open_orders, orders)
    return Result(orders, tuple(learned), tuple(sorted(found, key=lambda one: (-one.weight, one.symbol, one.what))))


def _fills(orders: dict[str, Order], learned: list[Fact | Fill], fills: Sequence[Fill]) -> list[Difference]:
    found = []
    for fill in fills:
        if fill.liquidation is not None and fill.cloid not in orders:
            found.append(Difference(fill.coin, Weight.HALT, f"liquidated or deleveraged: {fill.size} at {fill.px}"))
        elif fill.cloid is None or fill.cloid not in orders:
            what = f"a fill of an order that is not ours ({fill.cloid or 'without a cloid'}, number {fill.oid})"
            found.append(Difference(fill.coin, Weight.HALT, what))
        else:
            found += _learn(orders, learned, fill.cloid, fill)
    return found


def _open(orders: dict[str, Order], learned: list[Fact | Fill], open_orders: Sequence[OpenOrder]) -> list[Difference]:
    found = []
    for one in open_orders:
        if one.cloid is None or one.cloid not in orders:
            what = f"an open order that is not ours ({one.cloid or 'without a cloid'}, number {one.oid})"
            found.append(Difference(one.coin, Weight.HALT, what))
        elif orders[one.cloid].phase.final:
            what = f"an order rests that was held to be {orders[one.cloid].phase}"
            found.append(Difference(one.coin, Weight.HALT_SYMBOL, what, one.cloid))
        elif orders[one.cloid].phase != Phase.RESTING:
            found += _learn(orders, learned, one.cloid, Fact(one.cloid, Phase.RESTING, one.oid))
    return found


def _learn(orders: dict[str, Order], learned: list[Fact | Fill], cloid: str, told: Fact | Fill) -> list[Difference]:
    """Teach an order what was told; what cannot be is a difference."""
    try:
        after = apply(orders[cloid], told)
    except DataError as error:
        return [Difference(orders[cloid].intent.request.coin, Weight.HALT_SYMBOL, str(error), cloid)]
    if after != orders[cloid]:
        orders[cloid] = after
        learned.append(told)
    return []


def _gone(orders: Mapping[str, Order], resting: Collection[str]) -> list[Difference]:
    """Return the orders that are neither final nor open any more, or whose outcome was never known: to be asked about."""
    return [
        Difference(order.intent.request.coin, Weight.ASK, f"what became of an order held to be {order.phase}?", cloid)
        for cloid, order in sorted(orders.items())
        if not order.phase.final and cloid not in resting
    ]


def _protection(
    symbol: str, units: Decimal, open_orders: Sequence[OpenOrder], orders: Mapping[str, Order]
) -> list[Difference]:
    """Return what is wrong with the reduce-only stops that have to stand behind a position."""
    stops = [
        one
        for one in open_orders
        if one.coin == symbol
        and one.cloid is not None
        and one.cloid in orders
        and orders[one.cloid].intent.purpose == Purpose.STOP
        and one.reduce_only
        and one.buy == (units < 0)
    ]
    covered = sum((one.size for one in stops), Decimal(0))
    if not stops:
        return [Difference(symbol, Weight.MEND, f"{units} units are held without a stop")]
    if covered < abs(units):
        return [Difference(symbol, Weight.MEND, f"the stop covers {covered} of {abs(units)} units")]
    return []
