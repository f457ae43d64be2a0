"""The book: lots and cash add up, whatever happens."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import DataError
from quantga.live.book import Book, Sleeve, change, closed, crossed, filled, paid, shares

LOT = Decimal("0.001")
NAMES = ("a", "b", "c")
lots = st.integers(-50, 50)
held = st.fixed_dictionaries(dict.fromkeys(NAMES, lots))
prices = st.decimals(1, 100_000, places=2)
fees = st.decimals(-1, 1, places=6)


def book(own: dict[str, int]) -> Book:
    """Return a book of one symbol."""
    return Book({name: Sleeve(Decimal(1_000), {"BTC": n}) for name, n in own.items()}, {"BTC": LOT})


def cash(of: Book) -> Decimal:
    """Return all cash."""
    return sum((sleeve.cash for sleeve in of.sleeves.values()), Decimal(0))


@given(held, held, prices, prices, fees, st.data())
def test_whatever_is_wanted_and_filled_lots_and_cash_add_up(
    own: dict[str, int], targets: dict[str, int], mark: Decimal, price: Decimal, fee: Decimal, data: st.DataObject
) -> None:
    before = book(own)
    wanted = change(before, "BTC", targets)
    order = sum(wanted.values())
    after, left = crossed(before, "BTC", wanted, mark)
    assert (after.net("BTC"), cash(after)) == (before.net("BTC"), cash(before))
    assert sum(left.values()) == order
    assert all(n * order >= 0 for n in left.values())
    part = data.draw(st.integers(min(order, 0), max(order, 0)))
    if part:
        after, left = filled(after, "BTC", left, part, price, fee)
        assert after.net("BTC") == before.net("BTC") + part
        assert cash(after) == cash(before) - part * LOT * price - fee
    for name, target in targets.items():
        low, high = sorted((own[name], target))
        assert low <= after.held("BTC")[name] <= high
    if order - part:
        after, left = filled(after, "BTC", left, order - part, price, fee)
    assert after.held("BTC") == targets
    assert set(left.values()) <= {0}


@given(held, prices, fees, st.data())
def test_a_stop_at_the_venue_shrinks_sleeves_and_leaves_none_when_it_is_through(
    own: dict[str, int], price: Decimal, fee: Decimal, data: st.DataObject
) -> None:
    before = book(own)
    net = before.net("BTC")
    if net == 0:
        with pytest.raises(DataError, match="halt and reconcile"):
            closed(before, "BTC", 1, price, fee)
        return
    part = data.draw(st.integers(min(-net, -1 if net > 0 else 1), max(-net, -1 if net > 0 else 1)))
    after = closed(before, "BTC", part, price, fee)
    assert after.net("BTC") == net + part
    assert cash(after) == cash(before) - part * LOT * price - fee
    assert all(abs(n) <= abs(own[name]) for name, n in after.held("BTC").items())
    if after.net("BTC"):
        after = closed(after, "BTC", -after.net("BTC"), price, fee)
    assert set(after.held("BTC").values()) == {0}


@given(held, st.decimals(-5, 5, places=6))
def test_funding_is_shared_exactly(own: dict[str, int], usdc: Decimal) -> None:
    before = book(own)
    if before.net("BTC") == 0:
        with pytest.raises(DataError, match="nobody holds"):
            paid(before, "BTC", usdc)
        return
    after = paid(before, "BTC", usdc)
    assert cash(after) == cash(before) - usdc
    assert sum((s.funding for s in after.sleeves.values()), Decimal(0)) == usdc


@given(st.integers(0, 200), st.dictionaries(st.text("xyz", min_size=1, max_size=3), st.integers(0, 100), min_size=1))
def test_shares_are_whole_add_up_and_do_not_depend_on_the_order(total: int, weights: dict[str, int]) -> None:
    if total and not sum(weights.values()):
        with pytest.raises(DataError):
            shares(total, weights)
        return
    parts = shares(total, weights)
    assert sum(parts.values()) == total
    assert parts == shares(total, dict(reversed(weights.items())))
    if total <= sum(weights.values()):
        assert all(0 <= parts[name] <= weight for name, weight in weights.items())


def test_a_fill_that_nobody_wanted_is_an_error() -> None:
    with pytest.raises(DataError, match="more than was wanted"):
        filled(book({"a": 0}), "BTC", {"a": 2}, 3, Decimal(1), Decimal(0))
    with pytest.raises(DataError, match="more than was wanted"):
        filled(book({"a": 0}), "BTC", {"a": 2}, -1, Decimal(1), Decimal(0))


def test_a_strategy_without_a_target_keeps_what_it_has_and_equity_needs_marks() -> None:
    both = book({"a": 5, "b": -2})
    assert change(both, "BTC", {"b": 1}) == {"a": 0, "b": 3}
    assert both.equity("a", {"BTC": Decimal(10)}) == Decimal("1000.05")
    with pytest.raises(DataError, match="no mark price"):
        both.equity("a", {})
