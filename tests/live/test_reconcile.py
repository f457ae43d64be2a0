"""Reconciliation: what agrees is silent, every difference is told, and nothing that was learned is learned twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from quantga.live.orders import Fact, Intent, Order, Phase, Purpose, apply, cloid_of
from quantga.live.reconcile import Belief, Report, Weight, reconcile
from quantga.venue.account import AccountState, Fill, Liquidation, OrderRequest, Position, Stamp
from quantga.venue.account import Order as OpenOrder

NONE = Decimal(0)
ENTRY = cloid_of("0xa", "s", "BTC", 1, Purpose.TARGET, 0)
STOP = cloid_of("0xa", "s", "BTC", 1, Purpose.STOP, 0)


def order(cloid: str, size: int, *, buy: bool, purpose: Purpose = Purpose.TARGET) -> Order:
    """Return an order that was written down."""
    request = OrderRequest("BTC", buy, Decimal(100), Decimal(size), reduce_only=purpose == Purpose.STOP, cloid=cloid)
    return Order(Intent(1, purpose, 0, request, Stamp(1_000, 6_000)))


def fill(cloid: str | None = ENTRY, size: int = 2, tid: int = 1, *, buy: bool = True) -> Fill:
    """Return a fill."""
    px, units = Decimal(100), Decimal(size)
    return Fill("BTC", 2_000, tid, 42, cloid, buy, px, units, NONE, "Open Long", NONE, NONE, "USDC", True, "0x1")


def resting(cloid: str | None, size: int, *, buy: bool, reduce_only: bool) -> OpenOrder:
    """Return an open order."""
    return OpenOrder("BTC", 43, cloid, buy, Decimal(90), Decimal(size), None, 2_000, reduce_only)


def account(units: int) -> AccountState:
    """Return an account that holds this many units of BTC, or none."""
    held = Position("BTC", Decimal(units), Decimal(100), NONE, NONE, None, NONE, 3, isolated=False)
    return AccountState(3_000, Decimal(1_000), NONE, NONE, NONE, NONE, NONE, (held,) if units else ())


BELIEF = Belief({}, {ENTRY: order(ENTRY, 2, buy=True), STOP: order(STOP, 2, buy=False, purpose=Purpose.STOP)})
PROTECTED = Report([fill()], [resting(STOP, 2, buy=False, reduce_only=True)], account(2))


def weights(report: Report, belief: Belief = BELIEF) -> list[tuple[str, Weight]]:
    """Return the differences, without their words."""
    return [(one.cloid, one.weight) for one in reconcile(belief, report).differences]


def test_a_protected_position_that_fills_explain_is_silent_and_teaches_once() -> None:
    result = reconcile(BELIEF, PROTECTED)
    assert result.differences == ()
    assert list(result.learned) == [fill(), Fact(STOP, Phase.RESTING, 43)]
    assert result.orders[ENTRY].phase == Phase.FILLED
    again = reconcile(Belief({}, result.orders), PROTECTED)
    assert again.learned == ()
    assert again.differences == ()


def test_a_position_that_nothing_explains_halts_its_symbol() -> None:
    result = reconcile(BELIEF, replace(PROTECTED, state=account(3)))
    assert result.halted == {"BTC"}
    assert reconcile(BELIEF, replace(PROTECTED, state=account(0))).halted == {"BTC"}
    began = Belief({"BTC": Decimal(1)}, BELIEF.orders)
    assert reconcile(began, replace(PROTECTED, state=account(3))).halted == frozenset()


@pytest.mark.parametrize("cloid", [None, "0x" + "f" * 32])
def test_what_is_not_ours_halts_the_account(cloid: str | None) -> None:
    stranger = replace(PROTECTED, fills=[*PROTECTED.fills, fill(cloid, 1, 9)], state=account(3))
    assert "" in reconcile(BELIEF, stranger).halted
    foreign = [*PROTECTED.open_orders, resting(cloid, 1, buy=True, reduce_only=False)]
    assert "" in reconcile(BELIEF, replace(PROTECTED, open_orders=foreign)).halted


def test_a_liquidation_halts_the_account() -> None:
    taken = replace(fill(None, 2, 9, buy=False), liquidation=Liquidation("0xa", Decimal(80), "market"))
    result = reconcile(BELIEF, replace(PROTECTED, fills=[*PROTECTED.fills, taken], state=account(0)))
    assert "" in result.halted
    assert any("liquidated" in one.what for one in result.differences)


def test_orders_that_are_neither_final_nor_open_are_asked_about() -> None:
    unknown = {ENTRY: apply(BELIEF.orders[ENTRY], Fact(ENTRY, Phase.UNKNOWN))}
    assert weights(Report([], [], account(0)), Belief({}, unknown)) == [(ENTRY, Weight.ASK)]
    assert set(weights(Report([], [], account(0)))) == {(STOP, Weight.ASK), (ENTRY, Weight.ASK)}


@pytest.mark.parametrize(
    "stops",
    [
        [],
        [resting(STOP, 1, buy=False, reduce_only=True)],
        [resting(STOP, 2, buy=True, reduce_only=True)],
        [resting(STOP, 2, buy=False, reduce_only=False)],
    ],
)
def test_a_stop_that_is_missing_or_does_not_fit_is_mended(stops: list[OpenOrder]) -> None:
    assert ("", Weight.MEND) in weights(replace(PROTECTED, open_orders=stops))


def test_what_cannot_be_halts_the_symbol() -> None:
    absent = Belief({}, {**BELIEF.orders, ENTRY: apply(BELIEF.orders[ENTRY], Fact(ENTRY, Phase.ABSENT))})
    assert (ENTRY, Weight.HALT_SYMBOL) in weights(PROTECTED, absent)
    rests = replace(PROTECTED, fills=[], open_orders=[resting(ENTRY, 2, buy=True, reduce_only=False)], state=account(0))
    assert (ENTRY, Weight.HALT_SYMBOL) in weights(rests, absent)
