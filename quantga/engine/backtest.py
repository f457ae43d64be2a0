"""One program on one market, recorded bar by bar: equity, position, trades, and the metrics that appraisal gives it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from quantga.engine.accounts import Asset, figures_of
from quantga.engine.appraise import FAILURES, NOT_FINITE, too_short
from quantga.engine.costs import Costs
from quantga.engine.ledger import Outcome, trace
from quantga.engine.ledger_market import MARK
from quantga.engine.ledger_state import REASONS, TRADE
from quantga.engine.ledger_terms import encode_genes
from quantga.engine.metrics import KEYS, TALLIES, record
from quantga.lang.bars import Bars, Floats, Ints
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program


@dataclass(frozen=True)
class Backtest:
    """What became of one program on one market.

    time: int64[n], ms UTC, when each bar opened. equity: float64[n], USDC at each bar's close, after all costs; carried
    over missing bars. position: float64[n], signed value held at each close over equity (1: all of it long). units:
    float64[n], signed, of the base asset. trades: the closed trades, a row each (docs/metrics.md has the columns).
    metrics: by key, None where undefined; `reasons` then says why.
    """

    program: Program
    time: Ints = field(repr=False)
    equity: Floats = field(repr=False)
    position: Floats = field(repr=False)
    units: Floats = field(repr=False)
    trades: pa.Table = field(repr=False)
    metrics: dict[str, float | int | bool | None]
    reasons: dict[str, str]


def backtest(program: Program, bars: Bars, costs: Costs | None = None) -> Backtest:
    """Run `program` over `bars` and record everything.

    Raises ProgramError if the bars lack a column, DataError if they are too few for the program's lookback.
    """
    costs = costs or Costs()
    if program.lookback >= len(bars):
        raise too_short(program, bars)
    asset = Asset.of(bars, costs, [program.genes])
    wanted = evaluate([program], bars)[0]
    return recorded(
        program, asset, costs, trace(wanted, asset.market, asset.terms, encode_genes([program.genes], costs)[0])
    )


def recorded(program: Program, asset: Asset, costs: Costs, outcome: Outcome) -> Backtest:
    """Return the record of an account whose run is known."""
    bars = asset.bars
    tallies = outcome.state[None, : len(TALLIES)]
    row, why = figures_of(outcome.daily[None], tallies, asset.days, len(bars), costs.capital)
    metrics, reasons = record(row[0], why[0])
    if not np.isfinite(outcome.daily).all():
        metrics, reasons = dict.fromkeys(KEYS), dict.fromkeys(KEYS, FAILURES[NOT_FINITE])
    with np.errstate(over="ignore", invalid="ignore"):
        value = outcome.units * asset.market.rows[:, MARK]
        position = np.divide(value, outcome.equity, out=np.zeros(len(value)), where=outcome.equity > 0)
    return Backtest(
        program, bars.time, outcome.equity, position, outcome.units, trade_table(outcome.trades, bars), metrics, reasons
    )


def trade_table(trades: Floats, bars: Bars) -> pa.Table:
    """Return recorded trades (rows of `ledger_steps.TRADE`) as a table."""
    column = {name: trades[:, place] for place, name in enumerate(TRADE)}
    entry, leave = column["entry_row"].astype(np.int64), column["exit_row"].astype(np.int64)
    stamp = pa.timestamp("ms", tz="UTC")
    return pa.table(
        {
            "entry_time": pa.array(bars.time[entry], pa.int64()).cast(stamp),
            "exit_time": pa.array(bars.time[leave], pa.int64()).cast(stamp),
            "side": pa.array(["long" if side > 0 else "short" for side in column["side"]], pa.string()),
            "units": column["units"],
            "entry_price": column["entry_price"],
            "exit_price": column["exit_price"],
            "fees": column["fees"],
            "funding": column["funding"],
            "pnl": column["pnl"],
            "profit": column["pnl"] / (column["units"] * column["entry_price"]),
            "bars": leave - entry,
            "reason": pa.array([REASONS[int(code)] for code in column["reason"]], pa.string()),
        }
    )
