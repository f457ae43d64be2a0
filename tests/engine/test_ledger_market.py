"""What the ledger reads of a market: volatility and true range as the language has them, bounds that bound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from quantga.engine.costs import Costs
from quantga.engine.ledger_market import (
    AFTER,
    ATR,
    BEFORE,
    CALM_MAX,
    CALM_MIN,
    CHUNK,
    HIGH,
    HIGH_MAX,
    LAST_MAX,
    LAST_MIN,
    LOW,
    LOW_MIN,
    MARK,
    PAID_MAX,
    PAID_MIN,
    VOLATILITY,
    prepare,
)
from quantga.errors import DataError
from quantga.lang.bars import Bars
from quantga.lang.genes import Genes
from quantga.streams import stream

HOUR = 3_600_000


def made(n: int = 1500) -> Bars:
    rng = stream(1, "market")
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    open_ = np.append(100.0, close[:-1])
    columns = {
        "open": open_, "high": np.maximum(open_, close) * 1.01, "low": np.minimum(open_, close) * 0.99, "close": close,
        "volume": np.ones(n),
    }  # fmt: skip
    for column in columns.values():
        column[[0, 1, 700, 701, 1300]] = np.nan
    return Bars(HOUR, 480_007, {**columns, "funding": rng.normal(0, 1e-4, n)}, "FOO", "FOO")


def test_volatility_is_annual_and_of_168_returns():
    bars = made()
    rows = prepare(bars, Costs(), [Genes(vol_target=0.3)]).rows
    returns = pd.Series(bars["close"]).pct_change(fill_method=None)
    expected = returns.rolling(168).std(ddof=0) * np.sqrt(8760)
    np.testing.assert_allclose(rows[:, VOLATILITY], expected, rtol=1e-8)
    assert np.isnan(rows[:, ATR]).all()


def test_the_true_range_is_wilders():
    bars = made()
    rows = prepare(bars, Costs(), [Genes(), Genes(stop_atr=2)]).rows
    frame = pd.DataFrame({name: bars[name] for name in ("high", "low", "close")}).iloc[750:1300]
    before = frame["close"].shift()
    true_range = pd.concat(
        [frame["high"] - frame["low"], (frame["high"] - before).abs(), (before - frame["low"]).abs()], axis=1
    )
    expected = true_range.max(axis=1).ewm(alpha=1 / 14).mean()
    np.testing.assert_allclose(rows[1050:1300, ATR], expected[300:], rtol=1e-5)
    assert np.isnan(rows[:, VOLATILITY]).all()


def test_marks_are_carried_and_funding_adds_up():
    bars = made()
    market = prepare(bars, Costs(), [])
    close = pd.Series(bars["close"])
    np.testing.assert_array_equal(market.mark, close.ffill().bfill())
    charged = np.where(np.isnan(close), 0.0, bars["funding"] * close)
    np.testing.assert_allclose(market.paid, np.append(0.0, np.cumsum(charged)), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(market.rows[1:, BEFORE], market.rows[:-1, AFTER])
    assert not prepare(bars, Costs(funding=False), []).paid.any()


def test_days_end_where_the_utc_day_does():
    market = prepare(made(), Costs(), [])
    ends = market.day_end[:-1]
    time = made().time[ends] + HOUR
    assert (time[:-1] % (24 * HOUR) == 0).all()
    assert ends[-1] == 1499
    assert len(ends) == len(np.unique(made().time // (24 * HOUR)))


def test_bounds_hold_for_every_row_of_their_chunk():
    market = prepare(made(), Costs(), [Genes(vol_target=0.3)])
    rows, bounds = market.rows, np.repeat(market.chunks, CHUNK, axis=0)[:1500]
    there = ~np.isnan(rows[:, LOW])
    assert (rows[there, LOW] >= bounds[there, LOW_MIN]).all()
    assert (rows[there, HIGH] <= bounds[there, HIGH_MAX]).all()
    for paid in (rows[:, BEFORE], rows[:, AFTER]):
        assert ((paid >= bounds[:, PAID_MIN]) & (paid <= bounds[:, PAID_MAX])).all()
    last, calm = rows[:-1, MARK], rows[:-1, VOLATILITY]
    assert ((last >= bounds[1:, LAST_MIN]) & (last <= bounds[1:, LAST_MAX])).all()
    known = ~np.isnan(calm)
    assert known.any()
    assert ((calm >= bounds[1:, CALM_MIN]) & (calm <= bounds[1:, CALM_MAX]))[known].all()


def test_prices_side_by_side_are_the_rows():
    market = prepare(made(), Costs(), [])
    np.testing.assert_array_equal(market.low, market.rows[:, LOW])
    np.testing.assert_array_equal(market.high, market.rows[:, HIGH])


def test_arrays_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        prepare(made(), Costs(), []).rows[0, 0] = 1.0


def test_a_market_without_a_bar_is_refused():
    bars = made().slice(0, 2)
    with pytest.raises(DataError, match="not one bar"):
        prepare(bars, Costs(), [])
