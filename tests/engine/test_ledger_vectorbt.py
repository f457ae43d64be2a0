"""The ledger against VectorBT: random programs on real markets, equity, positions and closed trades.

VectorBT is driven here by the order function printed in docs/ledger.md, read from there.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

from quantga.engine.costs import Costs
from quantga.engine.ledger import Outcome, trace
from quantga.engine.ledger_market import assemble
from quantga.engine.ledger_state import TRADE
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.evolve.vary import random_programs
from quantga.lang.bars import Bars
from quantga.lang.evaluate import evaluate
from quantga.lang.genes import Genes
from tests.conftest import ROOT

MARKETS = ("binance_perp/1h/BTCUSDT", "hyperliquid_perp/4h/ETH", "binance_spot/1h/SOLUSDT")
COSTS = Costs(fee=0.00045, slippage=0.0002, funding=False)
PROGRAMS, SAMPLE = 240, 60
CLOSED = 1


@pytest.fixture(scope="module")
def vbt():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt
    return vectorbt


@pytest.fixture(scope="module")
def order(vbt):
    """The rule of the documentation, compiled as VectorBT's order function."""
    import numba
    from vectorbt.portfolio.nb import order_nb, order_nothing_nb

    text = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
    space: dict[str, object] = {}
    exec(re.search(r"```python\n(def order_units.*?)```", text, re.DOTALL)[1], space)
    rule = numba.njit(space["order_units"])

    @numba.njit
    def place(context, target, opened, fee, slippage):
        if np.isnan(target[context.i]):
            return order_nothing_nb()
        price = opened[context.i]
        size = rule(target[context.i], context.cash_now, context.position_now, price, fee, slippage)
        if size == 0:
            return order_nothing_nb()
        return order_nb(size, price, fees=fee, slippage=slippage)

    return place


def load(folder, name: str, rows: int) -> Bars:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "ohlcv" / f"{name}.parquet")
    time = np.asarray(table["ts"].cast(pa.timestamp("ms", "UTC")).cast("int64"))
    columns = {key: np.asarray(table[key], dtype=float) for key in ("open", "high", "low", "close", "volume")}
    return Bars.from_columns(time[-rows:], {key: column[-rows:] for key, column in columns.items()}, symbol=name)


@pytest.fixture(scope="module")
def markets(market_data):
    rows = {"hyperliquid_perp/4h/ETH": 4_000, "binance_spot/1h/SOLUSDT": 0}
    found = {name: load(market_data, name, rows.get(name, 9_000)) for name in MARKETS}
    gaps = found["binance_spot/1h/SOLUSDT"]
    found["binance_spot/1h/SOLUSDT"] = gaps.slice(2_000, 9_000)
    assert not found["binance_spot/1h/SOLUSDT"].present.all()
    return found


def orders(wanted: np.ndarray, bars: Bars) -> np.ndarray:
    """The target for each bar's open; NaN where nothing is ordered. On a missing bar nothing is decided or traded."""
    found, last = np.full(len(bars), np.nan), None
    present = bars.present
    for t in np.flatnonzero(present[1:] & present[:-1] & ~np.isnan(wanted[:-1])) + 1:
        if wanted[t - 1] != last:
            found[t] = last = wanted[t - 1]
    return found


def referee(vbt, order, target: np.ndarray, bars: Bars):
    rows = bars.present
    target, opened, closed = target[rows], bars["open"][rows], bars["close"][rows]
    fees = {"init_cash": COSTS.capital}
    if np.isin(target[~np.isnan(target)], (-1, 0, 1)).all():
        return vbt.Portfolio.from_signals(
            closed, target == 1, target == 0, short_entries=target == -1, short_exits=target == 0, price=opened,
            size=np.inf, fees=COSTS.fee, slippage=COSTS.slippage, upon_opposite_entry="reverse", **fees,
        )  # fmt: skip
    return vbt.Portfolio.from_order_func(closed, order, target, opened, COSTS.fee, COSTS.slippage, **fees)


def compare(vbt, order, wanted: np.ndarray, bars: Bars) -> int:
    """Return the number of closed trades; 0 where the account was ruined, which VectorBT does not know."""
    ours: Outcome = trace(
        wanted, assemble(bars, None), encode_terms(COSTS, bars.base), encode_genes([Genes()], COSTS)[0]
    )
    if ours.figure("ruined"):
        return 0
    theirs = referee(vbt, order, orders(wanted, bars), bars)
    rows = bars.present
    equity = np.asarray(theirs.value())
    np.testing.assert_allclose(ours.equity[rows], equity, rtol=1e-10)
    np.testing.assert_allclose(
        ours.units[rows], np.asarray(theirs.assets()), rtol=1e-9, atol=1e-9 * np.abs(ours.units).max()
    )
    records = theirs.exit_trades.records
    records = records[records["status"] == CLOSED]
    assert len(records) == len(ours.trades)
    number = np.flatnonzero(rows)
    column = dict(zip(TRADE, ours.trades.T, strict=True))
    np.testing.assert_array_equal(column["entry_row"], number[records["entry_idx"]])
    np.testing.assert_array_equal(column["exit_row"], number[records["exit_idx"]])
    np.testing.assert_array_equal(column["side"], np.where(records["direction"] == 0, 1, -1))
    np.testing.assert_allclose(column["entry_price"], records["entry_price"], rtol=1e-9)
    np.testing.assert_allclose(column["exit_price"], records["exit_price"], rtol=1e-12)
    scale = 1e-9 * float(equity.max())
    np.testing.assert_allclose(column["units"], records["size"], rtol=1e-8, atol=1e-9 * np.abs(ours.units).max())
    np.testing.assert_allclose(column["fees"], records["entry_fees"] + records["exit_fees"], rtol=1e-8, atol=scale)
    np.testing.assert_allclose(column["pnl"], records["pnl"], rtol=1e-8, atol=scale)
    return len(records)


def agree(vbt, order, markets, chosen: slice) -> None:
    programs = random_programs(PROGRAMS, seed=2)[chosen]
    traded = scaled = 0
    for bars in markets.values():
        for wanted in evaluate(programs, bars):
            traded += compare(vbt, order, wanted, bars) > 0
            scaled += not np.isin(wanted[~np.isnan(wanted)], (-1, 0, 1)).all()
    runs = len(programs) * len(markets)
    assert traded > 0.7 * runs
    assert scaled > 0.1 * runs


def test_vectorbt_agrees(vbt, order, markets):
    agree(vbt, order, markets, slice(SAMPLE))


@pytest.mark.proof
def test_vectorbt_agrees_on_all_programs(vbt, order, markets):
    agree(vbt, order, markets, slice(None))


@pytest.mark.parametrize("seed", range(3))
def test_vectorbt_agrees_on_made_up_positions(vbt, order, markets, seed):
    """Flips on every bar, holds, fractions: harsher than programs are."""
    for bars in markets.values():
        rng = np.random.default_rng(seed)
        values = np.array([-1.0, 0.0, 1.0, np.nan, *((0.5, -0.25, 0.3, -0.9) if seed else ())])
        wanted = np.repeat(rng.choice(values, len(bars) // 20 + 1), 20)[: len(bars)]
        assert compare(vbt, order, wanted, bars) > 50
