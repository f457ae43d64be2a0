"""Metrics against two referees, against plain definitions, and where they are undefined."""

from __future__ import annotations

import math
import warnings
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from quantga.engine import elementary, metrics
from quantga.engine.metrics import KEYS, TALLIES

CAPITAL = 10_000.0


def figures_of(daily, *, market=None, capital=CAPITAL, **counted):
    daily = np.asarray(daily, dtype=np.float64)
    tallies = np.array([float(counted.get(name, 0)) for name in TALLIES])
    about_mean = np.empty(len(daily))
    returns, net = np.zeros((2, len(daily))) if market is None else np.asarray(market, dtype=np.float64)
    facts = metrics.market_figures(returns, net, 24 * len(daily), about_mean)
    drift = tallies[metrics.T_WEIGHT] / (24 * len(daily)) * facts[metrics.M_MEAN_NET]
    out, why = np.empty(len(KEYS)), np.empty(len(KEYS), dtype=np.uint8)
    metrics.figures(daily, capital, tallies, drift, facts, about_mean, out, why)
    values, reasons = metrics.record(out, why)
    assert {key for key, value in values.items() if value is None} == set(reasons)
    return values, reasons


def equity_of(returns):
    return CAPITAL * np.cumprod(1 + np.asarray(returns))


def drawn(seed, days=400, drift=0.001, scale=0.03):
    return np.random.default_rng(seed).standard_t(5, days) * scale + drift


def dated(values):
    return pd.Series(values, index=pd.date_range("2023-01-01", periods=len(values), freq="D"))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("days", [5, 21, 22, 400, 1501])
def test_agrees_with_quantstats_and_empyrical(seed, days):
    import empyrical
    import quantstats.stats as qs

    daily = equity_of(drawn(seed, days))
    own, theirs = dated(daily / np.r_[CAPITAL, daily[:-1]] - 1), dated(drawn(seed + 100, days))
    found, _ = figures_of(daily, market=[theirs, theirs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        referees = {
            "total_return": (qs.comp(own), empyrical.cum_returns_final(own)),
            "cagr": (qs.cagr(own, periods=365), empyrical.annual_return(own, annualization=365)),
            "sharpe": (qs.sharpe(own, periods=365), empyrical.sharpe_ratio(own, annualization=365)),
            "sortino": (qs.sortino(own, periods=365), empyrical.sortino_ratio(own, annualization=365)),
            "calmar": (qs.calmar(own, periods=365), empyrical.calmar_ratio(own, annualization=365)),
            "volatility": (qs.volatility(own, periods=365), empyrical.annual_volatility(own, annualization=365)),
            "max_drawdown": (qs.max_drawdown(own), empyrical.max_drawdown(own)),
            "ulcer": (qs.ulcer_index(own),),
            "var_95": (empyrical.value_at_risk(own),),
            "cvar_95": (empyrical.conditional_value_at_risk(own),),
            "skew": (qs.skew(own),),
            "kurtosis": (qs.kurtosis(own),),
            "best_day": (qs.best(own),),
            "worst_day": (qs.worst(own),),
            "tail_ratio": (qs.tail_ratio(own), empyrical.tail_ratio(own)),
            "psr": (qs.probabilistic_sharpe_ratio(own),),
            "market_return": (qs.comp(theirs),),
            "beta": (qs.greeks(own, theirs)["beta"], empyrical.beta(own, theirs)),
            "correlation": (np.corrcoef(own, theirs)[0, 1],),
        }
    for key, answers in referees.items():
        for answer in answers:
            assert found[key] == pytest.approx(float(answer), rel=1e-9, abs=1e-12), key


def test_a_year_has_365_days():
    returns = drawn(3)
    found, _ = figures_of(equity_of(returns))
    daily = np.mean(returns) / np.std(returns, ddof=1)
    assert found["sharpe"] == pytest.approx(daily * math.sqrt(365), rel=1e-12)
    assert found["sharpe"] / (daily * math.sqrt(252)) == pytest.approx(1.2035, abs=1e-4)


def test_the_probabilistic_sharpe_of_the_2012_paper():
    assert metrics.probabilistic_sharpe(0.036 / 0.079, 24, -2.448, 10.164 - 3) == pytest.approx(0.913, abs=5e-4)
    assert math.isnan(metrics.probabilistic_sharpe(2.0, 24, 3.0, -2.0))


def test_counted_figures():
    found, reasons = figures_of(
        equity_of(drawn(4, 365)),
        trades=4, wins=3, won=300, lost=50, bars_in_trades=36, fees=12.5, funding=-3.0, held_bars=4380,
        long_bars=1095, turnover=8.0, weight=-2190, liquidated=0,
    )  # fmt: skip
    assert not set(reasons) - {"beta", "correlation"}
    expected = {
        "trades": 4, "win_rate": 0.75, "profit_factor": 6.0, "expectancy": 62.5, "mean_holding_bars": 9.0, "fees": 12.5,
        "funding": -3.0, "exposure": 0.5, "long_share": 0.25, "mean_position": -0.25, "turnover": 8.0,
        "liquidated": False, "days": 365,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected
    assert type(found["trades"]) is int
    assert type(found["sharpe"]) is float


def test_alpha_takes_away_what_the_mean_position_earns():
    net = drawn(5, 300, drift=0.006)
    held, _ = figures_of(equity_of(net), market=[net, net], weight=24 * 300, held_bars=24 * 300)
    assert held["sharpe"] > 0.5
    assert held["alpha_sharpe"] == pytest.approx(0, abs=1e-10)
    idle_market, _ = figures_of(equity_of(net), market=[net, net * 0])
    assert idle_market["alpha_sharpe"] == pytest.approx(idle_market["sharpe"], rel=1e-12)


def test_no_trade_is_undefined_not_zero():
    found, reasons = figures_of([CAPITAL] * 30)
    undefined = {
        *("sharpe", "sortino", "calmar", "skew", "kurtosis", "psr", "alpha_sharpe", "tail_ratio", "beta"),
        *("correlation", "win_rate", "profit_factor", "expectancy", "mean_holding_bars", "long_share"),
    }
    assert set(reasons) == undefined
    assert reasons["sharpe"] == "daily returns do not vary"
    assert reasons["profit_factor"] == "no trade was closed"
    assert (found["cagr"], found["total_return"], found["max_drawdown"], found["volatility"]) == (0, 0, 0, 0)


def test_no_losing_day():
    found, reasons = figures_of(equity_of(np.linspace(0.001, 1.5, 40)), trades=2, wins=2, won=5)
    assert set(reasons) == {"sortino", "calmar", "profit_factor", "beta", "correlation", "long_share"}
    assert reasons["sortino"] == "no day lost"
    assert found["sharpe"] == pytest.approx(
        math.sqrt(365) * np.mean(np.linspace(0.001, 1.5, 40)) / np.std(np.linspace(0.001, 1.5, 40), ddof=1)
    )  # returns that a referee would silently take for prices


def test_ruin_is_total_and_final():
    found, reasons = figures_of([9_000.0, 11_000.0, 0.0, 0.0, 0.0], liquidated=1)
    assert found["total_return"] == found["cagr"] == found["max_drawdown"] == found["worst_day"] == -1.0
    assert found["liquidated"] is True
    assert found["final_equity"] == 0.0
    assert found["calmar"] == -1.0
    assert found["max_drawdown_days"] == 3
    assert all(value is None or math.isfinite(value) for value in found.values())
    assert "sharpe" not in reasons


def test_one_day():
    found, reasons = figures_of([CAPITAL * 1.01])
    assert found["cagr"] == pytest.approx(1.01**365 - 1, rel=1e-12)
    assert {key: reasons[key] for key in ("sharpe", "volatility", "ulcer", "beta", "psr", "skew")} == {
        "sharpe": "it needs at least two days", "volatility": "it needs at least two days",
        "ulcer": "it needs at least two days", "beta": "it needs at least two days",
        "psr": "it needs at least four days", "skew": "it needs at least three days",
    }  # fmt: skip


def test_growth_beyond_floats_is_undefined():
    found, reasons = figures_of([CAPITAL * 10])
    assert found["cagr"] is None
    assert reasons["cagr"] == "the numbers are too large"


def test_drawdown_counts_the_initial_capital_and_its_days():
    found, _ = figures_of([9_000, 8_000, 10_000, 10_500, 10_400, 10_499, 10_500])
    assert found["max_drawdown"] == pytest.approx(-0.2)
    assert found["max_drawdown_days"] == 2


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=60), st.integers(1, 10))
def test_lowest_is_the_start_of_the_sorted(values, count):
    count = min(count, len(values))
    heap = metrics.lowest(np.array(values), count, 1.0).tolist()
    assert sorted(heap) == sorted(values)[:count]
    assert heap[0] == max(heap)
    assert max(heap[1:3], default=heap[0]) == sorted(heap)[-2:][0]


@given(st.lists(st.floats(-1.0, 1.0) | st.sampled_from([0.0, 0.01]), min_size=1, max_size=200), st.integers(1, 40))
def test_the_two_before_the_largest_are_those_of_the_heap(values, count):
    count, series = min(count, len(values)), np.array(values)
    heap = metrics.lowest(series, count, -1.0).tolist()
    found = metrics.largest_two(series, count, series.min(), series.max()).tolist()
    assert found[0] == heap[0]
    assert max(found[1:3], default=None) == max(heap[1:3], default=None)


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=80))
def test_every_figure_is_finite_or_undefined_with_a_reason(daily):
    found, _ = figures_of(daily)
    assert all(value is None or math.isfinite(value) for value in found.values())


def test_the_score_is_mean_less_half_the_spread():
    returns = drawn(6, 403)
    slices = [returns[k * 403 // 8 : (k + 1) * 403 // 8] for k in range(8)]
    each = [np.mean(part) / np.std(part, ddof=1) * math.sqrt(365) for part in slices]
    found = np.empty(8)
    metrics.slice_sharpes(returns, np.zeros(8), found)
    assert found == pytest.approx(each, rel=1e-9)
    assert metrics.robust(found) == pytest.approx(np.mean(each) - 0.5 * np.std(each), rel=1e-9)
    less = [value - 0.001 / np.std(part, ddof=1) * math.sqrt(365) for value, part in zip(each, slices, strict=True)]
    metrics.slice_sharpes(returns, np.full(8, 0.001), found)
    assert found == pytest.approx(less, rel=1e-9)
    metrics.slice_sharpes(np.zeros(40), np.zeros(8), found)
    assert found.tolist() == [0.0] * 8


def test_tallies_are_what_the_ledger_counts_first():
    from quantga.engine.ledger_state import STATE

    assert STATE[: len(TALLIES)] == TALLIES


def exact(function, *arguments):
    with localcontext() as context:
        context.prec = 40
        return function(*(Decimal(float(a)) for a in arguments))


def off(found, answer):
    return float(abs((Decimal(found) - answer) / answer)) if answer else abs(found)


@pytest.mark.parametrize("seed", range(3))
def test_elementary_functions_are_right_to_the_last_bits(seed):
    draw = np.random.default_rng(seed)
    for x in draw.uniform(-700, 700, 300):
        assert off(elementary.exp(x), exact(Decimal.exp, x)) < 3e-16
    for x in [*np.exp(draw.uniform(-300, 300, 300)), *draw.uniform(0.5, 2, 300), *(1 + draw.normal(0, 1e-6, 100))]:
        assert off(elementary.log(x), exact(Decimal.ln, x)) < 3e-16
    for base, days in zip(np.exp(draw.normal(0, 1, 300)), draw.integers(1, 3000, 300), strict=True):
        answer = exact(lambda b, e: (b.ln() * e).exp(), base, 365 / days)
        assert off(elementary.power(base, 365 / days), answer) < 1e-15
    tails = draw.uniform(-30, 8, 300)
    assert [elementary.normal_cdf(x) for x in tails] == pytest.approx(ndtr(tails), rel=1e-12)


def test_elementary_functions_at_their_ends():
    assert (elementary.exp(800.0), elementary.exp(-800.0), elementary.log(0.0)) == (math.inf, 0.0, -math.inf)
    assert math.isnan(elementary.log(-1.0))
    assert math.isnan(elementary.exp(math.nan))
    assert (elementary.power(0.0, 3.0), elementary.power(1.0, 77.0)) == (0.0, 1.0)
    assert elementary.log(5e-324) == pytest.approx(math.log(5e-324), rel=1e-15)


def test_every_key_and_column_is_documented():
    from quantga.engine.backtest import backtest
    from quantga.lang.parse import parse
    from tests.conftest import ROOT
    from tests.engine.markets import made_market

    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    trades = backtest(parse("when(gt(close, open), long, short)"), made_market(1, 100)).trades
    assert [key for key in (*KEYS, *trades.column_names) if f"`{key}`" not in text] == []
