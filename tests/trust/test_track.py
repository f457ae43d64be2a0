"""A program's record over a window: the engine's own figures, without beta, and without what lies outside."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.errors import DataError
from quantga.lang.bars import DAY_MS
from quantga.lang.parse import parse
from quantga.trust.families import family
from quantga.trust.sharpe import moments
from quantga.trust.track import panel, track

START = 1_577_836_800_000
RULE = parse("when(gt(close, mean(close, 48)), long, short)")
COSTS = Costs(margin=False)
END = START + 300 * DAY_MS


def market(symbols=("BTC",), kind="gbm", seed=1, years=1.0):
    return family(kind, years=years).market(seed, {name: name for name in symbols}, START)


def test_over_the_whole_it_is_what_the_metrics_say():
    made = market()
    whole = track(RULE, made, COSTS, START, START + 365 * DAY_MS)
    figures = backtest(RULE, made["BTC"], COSTS).metrics
    assert moments(whole.returns).annual == pytest.approx(figures["sharpe"], rel=1e-9)
    assert moments(whole.alpha).annual == pytest.approx(figures["alpha_sharpe"], abs=0.02)
    assert whole.trades == figures["trades"]
    assert len(whole.days) == 365


def test_who_is_only_in_the_market_has_no_alpha():
    made = market(kind="drift", years=4.0)
    found = track(parse("long"), made, COSTS, START, START + 4 * 365 * DAY_MS)
    assert abs(moments(found.alpha).annual) < 0.1
    assert moments(found.returns).annual == pytest.approx(moments(found.alpha).annual, abs=3)
    assert abs(moments(found.returns).annual - moments(found.alpha).annual) > 0.1


def test_bars_after_the_window_are_not_read_and_bars_before_warm_up():
    made = market()
    cut = {"BTC": made["BTC"].between(0, END)}
    one, two = (track(RULE, bars, COSTS, START + 100 * DAY_MS, END) for bars in (made, cut))
    assert np.array_equal(one.alpha, two.alpha)
    assert (one.days[0], len(one.days)) == (START // DAY_MS + 100, 200)
    whole = track(RULE, made, COSTS, START, END)
    assert np.array_equal(whole.returns[100:], one.returns)


def test_assets_count_in_equal_shares_on_the_days_that_they_have():
    made = market(("BTC", "ETH"))
    late = made["ETH"].between(START + 200 * DAY_MS, END)
    both = track(RULE, {"BTC": made["BTC"], "ETH": late}, COSTS, START, END)
    btc, eth = (track(RULE, {"X": bars}, COSTS, START, END) for bars in (made["BTC"], late))
    assert np.array_equal(both.returns[:200], btc.returns[:200])
    assert np.allclose(both.returns[200:], (btc.returns[200:] + eth.returns) / 2)
    assert both.trades == btc.trades + eth.trades


def test_a_panel_is_of_the_same_days():
    made = market()
    tracks = [track(rule, made, COSTS, START, END) for rule in (RULE, parse("long"))]
    assert panel(tracks).returns.shape == (300, 2)
    with pytest.raises(DataError, match="same days"):
        panel([tracks[0], track(RULE, made, COSTS, START, END - DAY_MS)])
    with pytest.raises(DataError, match="two whole days"):
        track(RULE, made, COSTS, END, END + DAY_MS)
