"""The tradability report: worse terms earn less, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.lang.bars import DAY_MS
from quantga.lang.parse import parse
from quantga.trust.families import Family
from quantga.trust.sharpe import moments
from quantga.trust.track import account, track
from quantga.trust.tradability import (
    NEIGHBOURS,
    PART_OF_VOLUME,
    capacity,
    neighbours,
    times,
    tradability,
    window_of,
)

START = 1_577_836_800_000
HASTY = parse("when(gt(close, mean(close, 5)), long, short)")
SLOW = parse("when(gt(close, mean(close, 200)), long, short)")


@pytest.fixture(scope="module")
def market():
    return Family("gbm", years=0.6).market(1, {"BTC": "BTC"}, START)


def test_dearer_is_worse_and_the_hasty_lose(market):
    report = tradability(HASTY, market, Costs(), window_of(market))
    ratios = list(report.costs.sharpe)
    assert ratios == sorted(ratios, reverse=True)
    assert "loses at twice the costs" in report.labels
    assert report.costs.where(1.0) == report.delay.where(0)
    own = moments(track(HASTY, market, Costs(), *window_of(market)).alpha).annual
    assert report.costs.where(1.0) == own
    assert len(report.neighbours) == len(neighbours(HASTY, market)) >= 2


def test_a_delay_moves_every_decision_and_nothing_else(market):
    (bars,) = market.values()
    on_time, late = account(SLOW, bars, Costs()), account(SLOW, bars, Costs(), 3)
    assert np.array_equal(on_time.units, backtest(SLOW, bars, Costs()).units)
    assert np.array_equal(np.sign(late.units[203:]), np.sign(on_time.units[200:-3]))
    assert not late.units[:3].any()


def test_an_edge_of_one_bar_is_gone_one_bar_later():
    market = Family("ar1", amplitude=0.25, years=0.6).market(1, {"BTC": "BTC"}, START)
    follow = parse("when(gt(ret, level(0)), long, short)")
    free = Costs(fee=0.0, slippage=0.0, maker=0.0)
    report = tradability(follow, market, free, window_of(market))
    assert report.delay.where(0) > 2
    assert report.delay.where(2) < report.delay.where(0) / 2


def test_capacity_is_where_orders_grow_too_large(market):
    (bars,) = market.values()
    most = capacity(SLOW, market, Costs())
    record = backtest(SLOW, bars, Costs(capital=most))
    traded = np.abs(np.diff(record.units, prepend=0.0))
    share = traded[traded > 0] / bars["volume"][traded > 0]
    assert np.mean(share > PART_OF_VOLUME) == pytest.approx(0.05, abs=0.04)  # of the equity that it has by then
    thin = {"BTC": bars.with_columns({"volume": bars["volume"] * 1e-6})}
    assert any("too large for its markets" in one for one in tradability(SLOW, thin, Costs(), window_of(thin)).labels)
    assert capacity(parse("when(gt(rsi(close, 14), level(200)), long, flat)"), market, Costs()) is None


def test_costs_are_multiplied_within_their_bounds():
    assert times(Costs(), 2).fee == 2 * Costs().fee
    assert times(Costs(fee=0.04), 4).fee == 0.05
    assert times(Costs(), 0).slippage == 0


def test_neighbours_differ_in_one_constant(market):
    found = neighbours(SLOW, market)
    assert 0 < len(found) <= NEIGHBOURS
    assert all(len(one.tokens) == len(SLOW.tokens) for one in found)
    assert found == neighbours(SLOW, market)


def test_the_window_is_of_whole_days(market):
    start, end = window_of(market)
    assert start == START
    assert end % DAY_MS == 0
