"""Champions traded again on the bars of their search, so that the page can draw what the search only summed up.

A run keeps figures, not equity; the same program, bars and costs give the same account bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from quantga.engine.backtest import Backtest, backtest
from quantga.engine.costs import Costs as Terms
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.report.record import Champion, Costs, Metrics, Result, Trade

RESTING = frozenset({"take", "ladder", "liquidation"})
"""Exits that no market order makes: they fill at their level, without slippage."""


def champion(program: Program, score: float, market: Mapping[str, Bars], terms: Terms, figures: Metrics) -> Champion:
    """Return what a program did on every market; `figures` are those that the run recorded, pooled over the markets."""
    results = tuple(result(backtest(program, bars, terms), bars, terms) for bars in market.values())
    why = {key: reason for one in reversed(results) for key, reason in one.reasons.items()}
    reasons = {key: why.get(key, "undefined on the pool of markets") for key, value in figures.items() if value is None}
    return Champion(program, score, results, figures, reasons)


def result(account: Backtest, bars: Bars, terms: Terms) -> Result:
    """Return one account as the page shows it; a position still held at the end is its last trade."""
    first = int(np.flatnonzero(bars.present)[0])
    fees, funding = (float(account.metrics[key] or 0.0) for key in ("fees", "funding"))
    return Result(
        symbol=bars.symbol or bars.base or "market",
        time=account.time + bars.interval,
        close=bars["close"],
        equity=account.equity,
        trades=(*_closed(account.trades), *_held(account, bars, terms.slippage)),
        costs=Costs(fees, slippage(account.trades, fees, terms), funding),
        metrics=account.metrics,
        reasons=account.reasons,
        open_first=float(bars["open"][first]),
    )


def slippage(trades: pa.Table, fees: float, terms: Terms) -> float:
    """Return what market orders lost to slippage, USDC, from the prices at which closed trades filled.

    A buy fills at open x (1 + rate), a sale at open x (1 - rate). `fees` are all that were paid: those of no closed trade
    are of the position still held, whose slippage is in proportion.
    """
    columns, rate = trades.to_pydict(), terms.slippage
    held = fees - sum(columns["fees"])
    lost = max(held, 0.0) * rate / terms.fee if terms.fee else 0.0
    rows = zip(*(columns[name] for name in ("side", "units", "entry_price", "exit_price", "reason")), strict=True)
    for side, units, entry, leave, reason in rows:
        sign = 1 if side == "long" else -1
        lost += units * entry * rate / (1 + sign * rate)
        if reason not in RESTING:
            lost += units * leave * rate / (1 - sign * rate)
    return lost


def _closed(table: pa.Table) -> list[Trade]:
    columns = {
        name: table[name].to_pylist() for name in ("side", "entry_price", "exit_price", "reason", "pnl", "profit")
    }
    opened, closed = (table[name].cast(pa.int64()).to_pylist() for name in ("entry_time", "exit_time"))
    rows: Sequence[tuple[str, float, float, str, float, float]] = list(zip(*columns.values(), strict=True))
    found = [
        Trade(1 if side == "long" else -1, begin, entry, end, leave, reason, pnl, profit)
        for (side, entry, leave, reason, pnl, profit), begin, end in zip(rows, opened, closed, strict=True)
    ]
    return sorted(found, key=lambda trade: trade.opened)


def _held(account: Backtest, bars: Bars, rate: float) -> list[Trade]:
    """Return the position still held at the end, from the bar on which its side was taken."""
    sides = np.sign(account.units)
    side = int(sides[-1])
    if not side:
        return []
    others = np.flatnonzero(sides != side)
    row = int(others[-1]) + 1 if len(others) else 0
    entry = float(bars["open"][row]) * (1 + side * rate)
    return [Trade(side, int(account.time[row]), entry, 0, entry, "", 0.0, 0.0)]
