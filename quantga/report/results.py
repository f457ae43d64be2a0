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

RESTING = frozenset({"take", "ladder"})
"""Exits by a resting order: they fill at their level, without slippage."""
_UNTRADED = frozenset({"end", "liquidation"})


def champion(
    program: Program, score: float, market: Mapping[str, Bars], terms: Terms, pool: Metrics | None
) -> Champion:
    """Return what a program did on every market; `pool` are its pooled figures where there are several."""
    results = tuple(result(backtest(program, bars, terms), bars, terms) for bars in market.values())
    if len(results) == 1 or pool is None:
        return Champion(program, score, results, results[0].metrics, results[0].reasons)
    why = {key: reason for one in reversed(results) for key, reason in one.reasons.items()}
    reasons = {key: why.get(key, "undefined on the pool of markets") for key, value in pool.items() if value is None}
    return Champion(program, score, results, pool, reasons)


def result(account: Backtest, bars: Bars, terms: Terms) -> Result:
    """Return one account as the page shows it."""
    first = int(np.flatnonzero(bars.present)[0])
    fees, funding = (float(account.metrics[key] or 0.0) for key in ("fees", "funding"))
    return Result(
        symbol=bars.symbol or bars.base or "market",
        time=account.time + bars.interval,
        close=bars["close"],
        equity=account.equity,
        trades=_trades(account.trades),
        costs=Costs(fees, slippage(account.trades, terms.slippage), funding),
        metrics=account.metrics,
        reasons=account.reasons,
        open_first=float(bars["open"][first]),
    )


def slippage(trades: pa.Table, rate: float) -> float:
    """Return what market orders lost to slippage, USDC, from the prices at which closed trades filled.

    A buy fills at open x (1 + rate), a sale at open x (1 - rate); a rise of a position inside a trade is in its mean entry.
    """
    columns = trades.to_pydict()
    lost = 0.0
    rows = zip(*(columns[name] for name in ("side", "units", "entry_price", "exit_price", "reason")), strict=True)
    for side, units, entry, leave, reason in rows:
        sign = 1 if side == "long" else -1
        lost += units * entry * rate / (1 + sign * rate)
        if reason not in RESTING | _UNTRADED:
            lost += units * leave * rate / (1 - sign * rate)
    return lost


def _trades(table: pa.Table) -> tuple[Trade, ...]:
    columns = {
        name: table[name].to_pylist() for name in ("side", "entry_price", "exit_price", "reason", "pnl", "profit")
    }
    opened, closed = (table[name].cast(pa.int64()).to_pylist() for name in ("entry_time", "exit_time"))
    rows: Sequence[tuple[str, float, float, str, float, float]] = list(zip(*columns.values(), strict=True))
    found = [
        Trade(1 if side == "long" else -1, begin, entry, 0 if reason == "end" else end, leave, reason, pnl, profit)
        for (side, entry, leave, reason, pnl, profit), begin, end in zip(rows, opened, closed, strict=True)
    ]
    return tuple(sorted(found, key=lambda trade: trade.opened))
