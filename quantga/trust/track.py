"""A fixed program's daily record over a window: what it earned, and what of that was not just being in the market.

Both are shown, the second decides: a rule that is always long is worth what the market was, and no search is needed for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quantga.engine.accounts import Asset
from quantga.engine.appraise import too_short
from quantga.engine.backtest import Backtest, backtest, recorded
from quantga.engine.costs import Costs
from quantga.engine.ledger import trace
from quantga.engine.ledger_terms import encode_genes
from quantga.errors import DataError
from quantga.lang.bars import DAY_MS, Bars, Floats, Ints
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program
from quantga.trust.overfitting import Panel
from quantga.trust.sharpe import exact_mean


@dataclass(frozen=True)
class Track:
    """Daily returns of a program, pooled over assets in equal shares as the search pools them.

    days: UTC day numbers, int64[n]. returns: net of all costs, float64[n]. alpha: the same less the mean position times the
    mean of the market's daily returns net of funding, per asset, float64[n]. trades: closed in the window.
    """

    days: Ints = field(repr=False)
    returns: Floats = field(repr=False)
    alpha: Floats = field(repr=False)
    trades: int


def track(program: Program, market: Mapping[str, Bars], costs: Costs, start: int, end: int, delay: int = 0) -> Track:
    """Return the record of `program` on the whole UTC days within [start, end) (ms).

    The bars before `start` only warm the program up (and let it hold what it would hold); those from `end` on are not read.
    delay: bars by which every decision comes later than it was made.

    Raises:
        DataError: no asset has two whole days in the window, or too few bars for the program.
        ProgramError: the bars lack a column.
    """
    first, last = -(-start // DAY_MS), end // DAY_MS
    known = [bars.between(0, end) for bars in market.values() if int(bars.time[0]) < end]
    accounts = [account(program, bars, costs, delay) for bars in known]
    parts = [
        part
        for bars, record in zip(known, accounts, strict=True)
        if len((part := _one(record, bars, costs, (first, last))).days) > 1
    ]
    if not parts:
        raise DataError("no asset has two whole days in this window: give more bars")
    days = np.unique(np.concatenate([part.days for part in parts]))
    sums, counts = np.zeros((2, len(days))), np.zeros(len(days))
    for part in parts:
        at = np.searchsorted(days, part.days)
        sums[:, at] += part.returns, part.alpha
        counts[at] += 1
    return Track(days, sums[0] / counts, sums[1] / counts, sum(part.trades for part in parts))


def panel(tracks: list[Track]) -> Panel:
    """Return the detrended returns of programs that were tracked on the same days. DataError where they were not."""
    if not tracks or any(not np.array_equal(one.days, tracks[0].days) for one in tracks):
        raise DataError("a panel needs programs that were tracked on the same days")
    return Panel(tracks[0].days, np.column_stack([one.alpha for one in tracks]))


def account(program: Program, bars: Bars, costs: Costs, delay: int = 0) -> Backtest:
    """Return the account of a program on one market whose decisions come `delay` bars late."""
    if not delay:
        return backtest(program, bars, costs)
    if program.lookback + delay >= len(bars):
        raise too_short(program, bars)
    wanted = evaluate([program], bars)[0]
    late = np.concatenate([np.full(delay, np.nan), wanted[:-delay]])
    asset = Asset.of(bars, costs, [program.genes])
    genes = encode_genes([program.genes], costs)[0]
    return recorded(program, asset, costs, trace(late, asset.market, asset.terms, genes))


def _one(record: Backtest, bars: Bars, costs: Costs, window: tuple[int, int]) -> Track:
    days = Asset.of(bars, costs, [record.program.genes]).days
    equity = record.equity[days.last_row]
    before = np.concatenate([[costs.capital], equity[:-1]])
    returns = np.divide(equity, before, out=np.ones(len(equity)), where=before > 0) - 1.0
    inside = (days.number >= window[0]) & (days.number < window[1])
    held = (record.time >= window[0] * DAY_MS) & (record.time < window[1] * DAY_MS) & bars.present
    drift = exact_mean(record.position[held]) * exact_mean(days.net[inside]) if inside.any() and held.any() else 0.0
    closed = np.asarray(record.trades["exit_time"].cast("int64").to_numpy(), dtype=np.int64)
    count = int(((closed >= window[0] * DAY_MS) & (closed < window[1] * DAY_MS)).sum())
    return Track(days.number[inside], returns[inside], returns[inside] - drift, count)
