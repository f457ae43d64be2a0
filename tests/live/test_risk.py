"""Risk limits: what they permit, and that no order makes an account worse than its limits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quantga.errors import ConfigError, DataError, Denied
from quantga.live.risk import Account, Bound, Leaving, Level, Limits, admit, assess, fit, volatility_of, worst

SYMBOLS = ("BTC", "ETH", "SOL")
COVARIANCE = {
    ("BTC", "BTC"): 0.25, ("ETH", "ETH"): 0.49, ("SOL", "SOL"): 0.81,
    ("BTC", "ETH"): 0.28, ("BTC", "SOL"): 0.27, ("ETH", "SOL"): 0.44,
}  # fmt: skip
LIMITS = Limits()
CALM = Account(10_000.0, 10_000.0, 10_000.0, {"BTC": 2_000.0}, COVARIANCE)

notional = st.floats(-40_000, 40_000)
books = st.dictionaries(st.sampled_from(SYMBOLS), notional, max_size=3)


@pytest.mark.parametrize(
    ("change", "limit", "level"),
    [
        ({"positions": {"BTC": 9_000.0, "ETH": -9_000.0, "SOL": 3_000.0}}, "leverage", Level.REDUCE),
        ({"positions": {"BTC": 9_900.0, "ETH": 9_900.0, "SOL": -9_900.0}, "equity": 9_800.0}, "leverage", Level.HALT),
        ({"positions": {"BTC": 12_000.0}}, "concentration", Level.REDUCE),
        ({"positions": {"BTC": -16_000.0}}, "concentration", Level.HALT),
        ({"positions": {"SOL": 9_000.0}}, "volatility", Level.REDUCE),
        ({"equity": 9_600.0}, "daily_loss", Level.REDUCE),
        ({"equity": 9_400.0}, "daily_loss", Level.HALT),
        ({"peak": 12_000.0}, "drawdown", Level.REDUCE),
        ({"peak": 14_000.0}, "drawdown", Level.HALT),
        ({"orders": 61}, "order_rate", Level.REDUCE),
        ({"strategies": {"s1": 2.5}}, "strategy_leverage", Level.REDUCE),
    ],
)
def test_each_limit_has_a_soft_and_a_hard_level(change: dict[str, Any], limit: str, level: Level) -> None:
    findings = assess(replace(CALM, **change), LIMITS)
    assert {one.limit: one.level for one in findings}[limit] == level
    assert worst(findings) >= level


def test_a_notional_in_dollars_has_its_own_limit() -> None:
    rich = replace(CALM, equity=1e6, day_start=1e6, peak=1e6, positions={"ETH": -60_000.0})
    assert [(one.limit, one.subject) for one in assess(rich, LIMITS)] == [("notional", "ETH")]


def test_a_calm_account_is_free_and_one_without_equity_is_halted() -> None:
    assert assess(CALM, LIMITS) == ()
    assert worst(assess(replace(CALM, equity=0.0), LIMITS)) == Level.HALT


def test_what_is_not_known_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(DataError, match="no covariance of BTC and DOGE"):
        assess(replace(CALM, positions={"BTC": 1.0, "DOGE": 1.0}), LIMITS)
    with pytest.raises(DataError, match="have to be known"):
        assess(replace(CALM, equity=math.nan), LIMITS)
    with pytest.raises(DataError, match="positive semidefinite"):
        volatility_of({"A": 1.0, "B": -1.0}, {("A", "A"): 1.0, ("B", "B"): 1.0, ("A", "B"): 3.0})
    with pytest.raises(ConfigError, match="soft"):
        Bound(2.0, 1.0)


@pytest.mark.parametrize("price", [94.0, 106.0, math.nan])
def test_a_price_far_from_the_mark_never_leaves_even_to_reduce(price: float) -> None:
    with pytest.raises(Denied, match="too far from the mark"):
        admit(Leaving("BTC", -1_000.0, price, 100.0, reduce_only=True), CALM, LIMITS)


def test_without_a_mark_nothing_leaves() -> None:
    with pytest.raises(Denied):
        admit(Leaving("BTC", -1_000.0, 100.0, 0.0, reduce_only=True), CALM, LIMITS)


@given(books, st.sampled_from(SYMBOLS), notional, st.floats(1_000, 20_000), st.integers(0, 130))
def test_what_is_admitted_leaves_the_account_within_every_soft_limit_or_smaller(
    positions: dict[str, float], symbol: str, size: float, equity: float, orders: int
) -> None:
    account = Account(equity, 10_000.0, 12_000.0, positions, COVARIANCE, orders=orders)
    before = positions.get(symbol, 0.0)
    after = before + size
    try:
        admit(Leaving(symbol, size, 100.0, 100.0, reduce_only=False), account, LIMITS)
    except Denied:
        assert not (before * size < 0 and abs(after) <= abs(before)), "a reduction was held back"
        return
    left = replace(account, positions={**positions, symbol: after}, orders=orders + 1)
    assert abs(after) <= abs(before) or assess(left, LIMITS) == ()


@given(books, st.floats(100, 50_000), st.floats(0.05, 2.0))
def test_fitted_targets_keep_sign_and_limits_and_never_grow(
    targets: dict[str, float], equity: float, volatility: float
) -> None:
    account = Account(equity, equity, equity, {}, COVARIANCE)
    fitted = fit(targets, account, LIMITS, volatility)
    for symbol, value in targets.items():
        assert fitted[symbol] * value >= 0
        assert abs(fitted[symbol]) <= abs(value)
    assert volatility_of(fitted, COVARIANCE) <= volatility * equity * (1 + 1e-9)
    roomy = replace(account, positions={symbol: value * (1 - 1e-9) for symbol, value in fitted.items()})
    assert assess(roomy, LIMITS) == ()


@given(books, st.floats(0.1, 1.0))
def test_targets_within_the_limits_are_left_alone(targets: dict[str, float], share: float) -> None:
    assume(targets)
    account = Account(1e6, 1e6, 1e6, {}, COVARIANCE)
    small = {symbol: value * share for symbol, value in targets.items()}
    assert fit(small, account, LIMITS) == small


def test_without_equity_every_target_is_flat() -> None:
    assert fit({"BTC": 5.0}, replace(CALM, equity=-1.0), LIMITS) == {"BTC": 0.0}
