"""Orders: ids, what is told twice or late, and unknown outcomes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import DataError
from quantga.live.orders import (
    LOOKUPS,
    MARGIN_MS,
    Evidence,
    Fact,
    Intent,
    Lookup,
    Order,
    Phase,
    Purpose,
    apply,
    cloid_of,
    settle,
    unexplained,
)
from quantga.venue.account import Fill, OrderRequest, Stamp

CLOID = cloid_of("0xAb", "s1", "BTC", 7, Purpose.TARGET, 0)
REQUEST = OrderRequest("BTC", buy=True, px=Decimal(100), size=Decimal(3), tif="Ioc", cloid=CLOID)
INTENT = Intent(7, Purpose.TARGET, 0, REQUEST, Stamp(1_000, 6_000))
SENT = Order(INTENT)
LATE = INTENT.expires + MARGIN_MS + 1


def fill(tid: int, size: int = 1, cloid: str = CLOID, *, buy: bool = True) -> Fill:
    """Return a fill of the order."""
    px, none = Decimal(100), Decimal(0)
    return Fill(
        "BTC", 2_000, tid, 42, cloid, buy, px, Decimal(size), none, "Open Long", none, none, "USDC", True, "0x1"
    )


def test_an_id_is_a_function_of_the_decision_and_of_nothing_else() -> None:
    assert cloid_of("0xaB", "s1", "BTC", 7, Purpose.TARGET, 0) == CLOID
    assert len(CLOID) == 34
    others = {
        cloid_of("0xab", "s2", "BTC", 7, Purpose.TARGET, 0), cloid_of("0xab", "s1", "BTC", 7, Purpose.TARGET, 1),
        cloid_of("0xab", "s1", "BTC", 8, Purpose.TARGET, 0), cloid_of("0xab", "s1", "BTC", 7, Purpose.STOP, 0),
        cloid_of("0xab", "s1", "ETH", 7, Purpose.TARGET, 0), cloid_of("0xac", "s1", "BTC", 7, Purpose.TARGET, 0),
        cloid_of("0xab", "s", "1BTC", 7, Purpose.TARGET, 0),
    }  # fmt: skip
    assert len(others - {CLOID}) == 7


def test_an_order_without_size_price_or_time_is_refused() -> None:
    for bad in (
        {"request": replace(REQUEST, size=Decimal(0))},
        {"request": replace(REQUEST, px=Decimal(-1))},
        {"request": replace(REQUEST, cloid=None)},
        {"stamp": Stamp(1_000, 1_000)},
        {"stamp": Stamp(1_000, None)},
    ):
        with pytest.raises(DataError, match="needs"):
            replace(INTENT, **bad)


def test_a_fill_told_twice_counts_once_and_the_last_one_ends_the_order() -> None:
    order = apply(apply(SENT, fill(1)), fill(1))
    assert (int(order.filled), int(order.remainder)) == (1, 2)
    assert order.phase == Phase.INTENDED
    order = apply(apply(order, fill(2)), fill(3))
    assert (int(order.filled), int(order.remainder)) == (3, 0)
    assert order.phase == Phase.FILLED


def test_fills_of_a_canceled_order_may_come_late() -> None:
    order = apply(apply(SENT, Fact(CLOID, Phase.CANCELED)), fill(1))
    assert order.phase == Phase.CANCELED
    assert (int(order.filled), int(order.exposure)) == (1, 0)


@pytest.mark.parametrize("phase", [Phase.ABSENT, Phase.REJECTED])
def test_what_cannot_be_is_an_error(phase: Phase) -> None:
    with pytest.raises(DataError, match="filled although"):
        apply(apply(SENT, Fact(CLOID, phase)), fill(1))
    with pytest.raises(DataError, match="although it filled"):
        apply(apply(SENT, fill(1)), Fact(CLOID, phase))
    with pytest.raises(DataError, match="more than its size"):
        apply(apply(SENT, fill(1, 2)), fill(2, 2))
    with pytest.raises(DataError, match="another order"):
        apply(SENT, fill(1, cloid="0x00"))
    with pytest.raises(DataError, match="another symbol or side"):
        apply(SENT, fill(1, buy=False))


facts = st.lists(
    st.one_of(
        st.builds(fill, st.integers(1, 3)), st.sampled_from([Fact(CLOID, p) for p in (Phase.UNKNOWN, Phase.RESTING)])
    ),
    max_size=8,
)


@given(facts, st.data())
def test_the_order_in_which_fills_are_told_does_not_matter(told: list[Fact | Fill], data: st.DataObject) -> None:
    def end(events: list[Fact | Fill]) -> Order:
        order = SENT
        for event in events:
            order = apply(order, event)
        return order

    fills: list[Fact | Fill] = [one for one in told if isinstance(one, Fill)]
    shuffled = data.draw(st.permutations(fills))
    assert end(fills).filled == end(list(shuffled)).filled == end(told).filled
    assert end(fills + fills) == end(fills)


def silent(count: int = LOOKUPS, asked: int = LATE) -> Evidence:
    """Return evidence that nothing is known of the order."""
    return Evidence([Lookup(asked, None)] * count, frozenset(), LATE, frozenset(), LATE)


def test_an_unknown_order_is_absent_only_when_everything_says_so_after_its_expiry() -> None:
    unknown = apply(SENT, Fact(CLOID, Phase.UNKNOWN))
    settled = settle(unknown, silent())
    assert settled is not None
    assert settled.phase == Phase.ABSENT
    for short in (
        silent(1),
        silent(LOOKUPS, LATE - 1),
        replace(silent(), fills_at=LATE - 1),
        replace(silent(), open_at=LATE - 1),
        replace(silent(), fills=frozenset({CLOID})),
    ):
        assert settle(unknown, short) is None


def test_the_venues_own_record_decides_at_once() -> None:
    unknown = apply(SENT, Fact(CLOID, Phase.UNKNOWN))
    seen = Fact(CLOID, Phase.FILLED, 42)
    assert settle(unknown, Evidence([Lookup(1_500, None), Lookup(1_600, seen)])) == seen
    found = settle(unknown, replace(silent(), open_orders=frozenset({CLOID})))
    assert found is not None
    assert found.phase == Phase.RESTING


def test_a_position_is_explained_by_fills_or_it_is_not() -> None:
    order = apply(SENT, fill(1, 2))
    assert unexplained(Decimal(5), Decimal(3), [order]) == 0
    assert unexplained(Decimal(4), Decimal(3), [order]) == -1
