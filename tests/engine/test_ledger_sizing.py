"""One rebalance step, its ticks and lots, and the liquidation price."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quantga.engine.costs import Costs
from quantga.engine.instruments import Instrument
from quantga.engine.ledger_sizing import liquidation_level, maintenance_margin, rebalance, tick_price
from quantga.engine.ledger_terms import encode_terms


def terms(decimals: int = 2, tiers=((0, 20), (1000, 10)), **costs):
    switches = {"lots": True, "margin": True, **costs}
    return encode_terms(Costs(instruments=(Instrument("FOO", decimals, tiers),), **switches), "FOO")


@pytest.mark.parametrize(
    ("price", "decimals", "down", "up"),
    [
        (123456.7, 1, 123456.0, 123457.0),
        (12345.6, 0, 12345.0, 12346.0),
        (1234.56, 1, 1234.5, 1234.6),
        (1234.5, 1, 1234.5, 1234.5),
        (0.0012345, 0, 0.001234, 0.001235),
        (0.012345, 1, 0.01234, 0.01235),
        (99999.6, 5, 99999.0, 100000.0),
        (9.99996, 0, 9.9999, 10.0),
        (0.123456, 0, 0.12345, 0.12346),
    ],
)
def test_prices_are_rounded_against_the_trader(price, decimals, down, up):
    assert tick_price(price, -1.0, terms(decimals)) == down
    assert tick_price(price, 1.0, terms(decimals)) == up
    assert tick_price(price, 1.0, terms(decimals, lots=False)) == price


@given(st.floats(1e-4, 1e6), st.integers(0, 5), st.sampled_from([-1.0, 1.0]))
def test_a_rounded_price_is_valid_and_near(price, decimals, side):
    assume(price > 10.0 ** (decimals - 5))
    found = tick_price(price, side, terms(decimals))
    exact = Decimal(repr(found))
    _, digits, exponent = exact.normalize().as_tuple()
    assert exact == exact.to_integral_value() or (len(digits) <= 5 and -exponent <= 6 - decimals)
    step = 10.0 ** -min(max(5 - (math.floor(math.log10(price)) + 1), 0), 6 - decimals)
    assert -1.01e-6 * step <= side * (found - price) <= step * 1.000001


@given(
    target=st.floats(-3, 3),
    held=st.floats(-3, 3),
    price=st.floats(0.5, 5000),
    fee=st.sampled_from([0.0, 0.00045, 0.01]),
)
def test_the_weight_after_fees_is_the_target(target, held, price, fee):
    plain = encode_terms(Costs(fee=fee, slippage=0.0), "")
    equity = 10_000.0
    units = held * equity / price
    cash = equity - units * price
    after, fill = rebalance(target, cash, units, price, plain)
    assert fill == price
    left = equity - fee * abs(after - units) * price
    if after != units:
        assert after * price == pytest.approx(target * left, rel=1e-9, abs=1e-9)
    else:
        assert abs(target - held) <= fee * (abs(target) + 1) * 3 * (1 + abs(held)) + 1e-8


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_all_in_is_cash_over_price_and_costs(side):
    costs = Costs(fee=0.001, slippage=0.002)
    after, fill = rebalance(side, 1000.0, 0.0, 50.0, encode_terms(costs, ""))
    assert fill == pytest.approx(50 * (1 + side * 0.002))
    assert after == pytest.approx(side * 1000 / (1.001 * fill))


def test_lots_round_toward_zero_and_small_orders_are_refused():
    rule = terms(1, margin=False, fee=0.0, slippage=0.0)
    assert rebalance(1.0, 1000.0, 0.0, 300.0, rule)[0] == 3.3
    assert rebalance(-1.0, 1000.0, 0.0, 300.0, rule)[0] == -3.3
    assert rebalance(0.009, 1000.0, 0.0, 30.0, rule)[0] == 0.0  # 9 USDC
    assert rebalance(0.5, 1000.0, 0.3, 1.0, rule)[0] == pytest.approx(500.1)
    assert rebalance(0.0, 1000.0, 0.3, 1.0, rule)[0] == 0.0  # closing is exempt
    assert rebalance(0.00031, 1000.0, 0.5, 1.0, rule)[0] == 0.5  # a partial close is not


def test_the_tiers_cap_the_notional():
    rule = terms(5, tiers=((0, 20), (1000, 10), (5000, 2)), fee=0.0, slippage=0.0, max_leverage=50.0)
    assert rebalance(50.0, 10.0, 0.0, 1.0, rule)[0] == pytest.approx(200)  # 20 x
    assert rebalance(50.0, 80.0, 0.0, 1.0, rule)[0] == pytest.approx(1000)  # 20 x is above 1000, 10 x below it
    assert rebalance(50.0, 300.0, 0.0, 1.0, rule)[0] == pytest.approx(3000)  # 10 x
    assert rebalance(50.0, 600.0, 0.0, 1.0, rule)[0] == pytest.approx(5000)
    assert rebalance(-50.0, 9000.0, 0.0, 1.0, rule)[0] == pytest.approx(-18000)


@given(st.floats(-5, 5), st.floats(100, 1e5), st.sampled_from([20.0, 300.0, 40_000.0]))
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(weight, equity, price):
    assume(abs(weight) > 0.2)
    rule = terms(0, tiers=((0, 10), (1000, 5), (20_000, 3)))
    units = weight * equity / price
    cash = equity - units * price
    side = math.copysign(1.0, units)
    level = side * liquidation_level(cash, units, rule)
    assume(level > 0)
    margin = maintenance_margin(abs(units) * level, rule)
    assert cash + units * level == pytest.approx(margin, rel=1e-9, abs=1e-9 * equity)
    inside = level * (1 + side * 1e-6)
    assert cash + units * inside > maintenance_margin(abs(units) * inside, rule)


def test_no_margin_no_liquidation():
    assert liquidation_level(-1000.0, 20.0, encode_terms(Costs(), "")) == -math.inf


def test_without_equity_the_step_closes():
    assert rebalance(1.0, -500.0, 4.0, 100.0, encode_terms(Costs(), ""))[0] == 0.0
    assert np.signbit(rebalance(0.0, 500.0, 4.0, 100.0, encode_terms(Costs(), ""))[0]) == 0
