"""How often the monitor is wrong, how long it takes to be right, and that shadows are the backtest."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantga.engine.costs import Costs
from quantga.errors import ConfigError, DataError
from quantga.lang.bars import Bars
from quantga.lang.parse import parse
from quantga.live.monitor import Watch, after, begin, judge, shadow

YEAR = 365
VOLATILITY = 0.02


def paths(seed: int, sharpe: float, days: int, count: int, *, fat: bool = False):
    """Daily returns of a true annual ratio: normal, or with fat tails and a spread that comes and goes."""
    stream = np.random.default_rng(seed)
    shape = stream.standard_t(4, (count, days)) / math.sqrt(2) if fat else stream.standard_normal((count, days))
    spread = VOLATILITY * (1 + 0.5 * np.sin(np.arange(days) / 40)) if fat else VOLATILITY
    return (sharpe / math.sqrt(YEAR) + shape) * spread


def alarms(sharpe: float, watch: Watch, days: int, count: int, seed: int, *, fat: bool = False) -> list[int]:
    """The day of each path's alarm, -1 without one; the spread is known from half a year before."""
    made = paths(seed, sharpe, days + 180, count, fat=fat)
    return [judge(path[180:], watch, path[:180].tolist()).alarmed for path in made]


@pytest.mark.parametrize(("forecast", "fat"), [(1.0, False), (2.0, True)])
def test_alarms_are_false_at_most_as_often_as_said(forecast, fat):
    # Two years of daily looks, 100 strategies whose forecast is true. 5 are expected at most; 12 come by chance once in 200.
    found = alarms(forecast, Watch(forecast), 2 * YEAR, 100, 7, fat=fat)
    assert sum(one >= 0 for one in found) < 12


@pytest.mark.proof
@pytest.mark.parametrize("fat", [False, True])
@pytest.mark.parametrize("forecast", [0.5, 1.0, 2.0, 3.0])
def test_alarms_are_false_at_most_as_often_as_said_over_five_years(forecast, fat, record_property):
    found = alarms(forecast, Watch(forecast), 5 * YEAR, 1_000, 17, fat=fat)
    share = sum(one >= 0 for one in found) / len(found)
    record_property("false alarms", share)
    assert share < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_000)


def test_better_than_forecast_is_never_worse():
    same, better = (sum(one >= 0 for one in alarms(true, Watch(1.0), YEAR, 60, 3)) for true in (1.0, 2.5))
    assert better <= same


def test_the_worse_it_is_the_sooner_it_is_seen():
    watch = Watch(2.0)
    delays = {}
    for true in (0.0, -2.0, -5.0):
        found = alarms(true, watch, 5 * YEAR, 20, 11)
        assert sum(one >= 0 for one in found) >= 18, true
        delays[true] = float(np.median([one for one in found if one >= 0]))
    assert delays[-5.0] < delays[-2.0] < delays[0.0]
    assert delays[-5.0] < 120
    assert delays[0.0] < 3 * YEAR


def test_an_alarm_stays():
    watch = Watch(2.0)
    bad = judge(paths(1, -8.0, 300, 1)[0], watch, paths(2, 0.0, 60, 1)[0].tolist())
    assert bad.alarmed > 0
    better = bad
    for earned in paths(5, 6.0, 200, 1)[0]:
        better = after(better, watch, float(earned))
    assert better.alarmed == bad.alarmed


def test_days_are_taken_one_by_one_as_together():
    returns, watch = paths(9, 1.0, 90, 1)[0], Watch(1.5)
    health = begin(watch)
    for earned in returns:
        health = after(health, watch, float(earned))
    assert health == judge(returns, watch)
    assert health.days == 90


def test_without_a_spread_nothing_is_bet_at_first():
    returns = paths(9, -5.0, 20, 1)[0]
    assert judge(returns, Watch(1.0)).log_e == 0.0
    with pytest.raises(DataError):
        after(begin(Watch(1.0)), Watch(1.0), math.nan)
    with pytest.raises(ConfigError):
        Watch(math.nan)
    assert Watch(-6.0).bets == (-6.5,)


def test_shadows_are_the_backtest_of_the_same_bars():
    from quantga.engine.backtest import backtest

    stream = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(stream.normal(0, 0.01, 24 * 60)))
    opened = np.concatenate([[100.0], close[:-1]])
    columns = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close}
    columns |= {"volume": np.ones(len(close)), "funding": np.zeros(len(close))}
    hour = 3_600_000
    bars = Bars.from_columns(np.arange(len(close)) * hour, columns, interval=hour, symbol="BTC", base="BTC")
    programs = [
        parse("when(gt(close, mean(close, 20)), long, short) with leverage=0.5"),
        parse("long with leverage=1.0"),
    ]
    costs = Costs(funding=False)
    found = shadow(programs, {"BTC": bars}, costs, {"BTC": 0})
    assert set(found) == {one.id for one in programs}
    for one in programs:
        equity = backtest(one, bars, costs).equity
        closes = equity[23:-1:24]
        assert np.array_equal(found[one.id], (closes / costs.capital)[1:] / (closes / costs.capital)[:-1] - 1)
    with pytest.raises(DataError, match="no whole day"):
        shadow(programs, {"BTC": bars.slice(0, 30)}, costs, {"BTC": 20})
