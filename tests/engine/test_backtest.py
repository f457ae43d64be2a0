"""One program's record: what it holds agrees with itself, and a report can be drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.engine.metrics import KEYS
from quantga.errors import ProgramError
from quantga.lang.parse import parse
from tests.engine.markets import START, made_market

CROSS = "when(gt(mean(close, 5), mean(close, 20)), long, short)"
COLUMNS = [
    *("entry_time", "exit_time", "side", "units", "entry_price", "exit_price", "fees", "funding", "pnl", "profit"),
    *("bars", "reason"),
]


@pytest.fixture(scope="module")
def bars():
    return made_market(7, 1200, holes=30)


@pytest.fixture(scope="module")
def run(bars):
    return backtest(parse(CROSS), bars)


def test_shapes_and_keys(run, bars):
    assert run.equity.shape == run.position.shape == run.units.shape == run.time.shape == (len(bars),)
    assert tuple(run.metrics) == KEYS
    assert run.trades.column_names == COLUMNS
    assert run.time[0] == START


def test_the_record_agrees_with_itself(run, bars):
    trades = run.trades.to_pylist()
    assert len(trades) == run.metrics["trades"] > 20
    assert run.equity[-1] == run.metrics["final_equity"]
    pnl = np.array([trade["pnl"] for trade in trades])
    assert run.metrics["win_rate"] == np.mean(pnl > 0)
    assert run.metrics["profit_factor"] == pytest.approx(pnl[pnl > 0].sum() / -pnl[pnl <= 0].sum(), rel=1e-12)
    assert run.metrics["expectancy"] == pytest.approx(pnl.mean(), rel=1e-9)
    assert run.metrics["mean_holding_bars"] == np.mean([trade["bars"] for trade in trades])
    assert run.metrics["exposure"] == np.mean(run.units != 0)
    assert run.metrics["long_share"] == np.mean(run.units[run.units != 0] > 0)
    there = bars.present
    assert run.position[there] == pytest.approx((run.units * bars["close"] / run.equity)[there], rel=1e-12)
    for trade in trades:
        sign = 1 if trade["side"] == "long" else -1
        gross = sign * trade["units"] * (trade["exit_price"] - trade["entry_price"])
        assert trade["pnl"] == pytest.approx(gross - trade["fees"] - trade["funding"], abs=1e-8)
        assert trade["profit"] == pytest.approx(trade["pnl"] / (trade["units"] * trade["entry_price"]), rel=1e-12)
        assert trade["reason"] == "signal"
        assert (trade["exit_time"] - trade["entry_time"]).total_seconds() == 3600 * trade["bars"]


def test_what_is_left_is_what_was_earned(bars):
    run = backtest(parse("when(within(hour, level(3), level(9)), when(gt(close, open), long, short), flat)"), bars)
    assert run.units[-1] == 0
    assert run.equity[-1] - 10_000 == pytest.approx(sum(run.trades["pnl"].to_pylist()), abs=1e-7)


def test_missing_bars_carry_equity_and_units(run, bars):
    gone = np.flatnonzero(~bars.present)
    assert len(gone) == 30
    assert (run.equity[gone] == run.equity[gone - 1]).all()
    assert (run.units[gone] == run.units[gone - 1]).all()


def test_costs_cost(bars):
    free = backtest(parse(CROSS), bars, Costs(fee=0, slippage=0, funding=False))
    assert free.metrics["fees"] == free.metrics["funding"] == 0
    assert free.equity[-1] > backtest(parse(CROSS), bars, Costs(funding=False)).equity[-1]


def test_a_stop_is_named(bars):
    run = backtest(parse(f"{CROSS} with stop=0.01, take=0.02"), bars)
    assert {"stop", "take"} <= set(run.trades["reason"].to_pylist())


def test_undefined_figures_have_a_reason(bars):
    run = backtest(parse("flat"), bars)
    assert run.trades.num_rows == 0
    assert run.metrics["sharpe"] is None
    assert run.reasons["sharpe"] == "daily returns do not vary"
    assert set(run.reasons) == {key for key, value in run.metrics.items() if value is None}


def test_a_missing_column_is_named(bars):
    with pytest.raises(ProgramError, match="premium"):
        backtest(parse("when(rising(premium, 3), long, short)"), bars)
