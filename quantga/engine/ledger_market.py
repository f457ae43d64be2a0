"""One market as the ledger reads it: prices without holes, funding added up, and bounds per chunk of bars.

Funding is a running sum per unit held, so a position's equity needs no loop over the bars it was held; the bounds prove
that most chunks can touch no stop, no take and no liquidation, so they are passed over at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantga.engine.costs import Costs
from quantga.engine.ledger_terms import Floats
from quantga.errors import DataError
from quantga.lang.bars import DAY_MS, Bars
from quantga.lang.genes import ATR_WINDOW, VOLATILITY_WINDOW, Genes
from quantga.lang.jit import njit

CHUNK_BITS = 5
CHUNK = 1 << CHUNK_BITS

(OPEN, HIGH, LOW, MARK, BEFORE, AFTER, VOLATILITY, ATR, ROW) = range(9)
"""Columns of `Market.rows`: one cache line a bar."""
(LOW_MIN, HIGH_MAX, PAID_MIN, PAID_MAX, LAST_MIN, LAST_MAX, CALM_MIN, CALM_MAX, BOUNDS) = range(9)
"""Columns of `Market.chunks`: of the chunk's rows, paid is BEFORE and AFTER; last and calm are the mark and the volatility
of the row before, which an order at a row's open knows."""


class Market(NamedTuple):
    """One market; the arrays are read-only. Row t is the bar of the same row of the bars.

    rows: float64[n, ROW]. OPEN, HIGH, LOW: NaN where the bar is missing. MARK: the close, carried over missing bars.
    BEFORE, AFTER: USDC that one unit held long since row 0 has paid in funding by the bar's open, and after its close.
    VOLATILITY: annual, known at the close; ATR: in price units; NaN undefined or not asked for.
    chunks: float64[ceil(n / CHUNK), BOUNDS], the extremes over the rows of each chunk.
    low, high: float64[n], the rows' again, side by side.
    day_end: int64[days + 1], the last row of each UTC day, then n + CHUNK as an end mark.
    """

    rows: Floats
    chunks: Floats
    low: Floats
    high: Floats
    day_end: NDArray[np.int64]

    @property
    def mark(self) -> Floats:
        """The close of each bar, carried over missing bars: float64[n]."""
        return self.rows[:, MARK]

    @property
    def paid(self) -> Floats:
        """Funding paid per unit by the open of each row, and at the end: float64[n + 1], USDC."""
        return np.append(self.rows[:, BEFORE], self.rows[-1, AFTER])


def prepare(bars: Bars, costs: Costs, genes: Iterable[Genes]) -> Market:
    """Return the market of `bars`, with volatility and true range where a program's genes need them.

    Raises DataError if no bar is present.
    """
    genes = tuple(genes)
    if not bars.present.any():
        raise DataError(f"{bars.symbol or 'the market'}: not one bar is present, so nothing can be traded")
    volatility = atr = None
    if any(gene.vol_target for gene in genes):
        volatility = _feature("volatility", VOLATILITY_WINDOW, bars) * np.sqrt(bars.bars_per_year)
    if any(gene.stop_atr or gene.take_atr for gene in genes):
        atr = _feature("atr", ATR_WINDOW, bars)
    return assemble(bars, bars.columns.get("funding") if costs.funding else None, volatility, atr)


def assemble(bars: Bars, funding: Floats | None, volatility: Floats | None = None, atr: Floats | None = None) -> Market:
    """Return the market from its parts; `funding` None charges nothing."""
    n = len(bars)
    rows = np.full((n, ROW), np.nan)
    for column, name in ((OPEN, "open"), (HIGH, "high"), (LOW, "low")):
        rows[:, column] = bars[name]
    if volatility is not None:
        rows[:, VOLATILITY] = volatility
    if atr is not None:
        rows[:, ATR] = atr
    _carry(bars["close"], np.zeros(n) if funding is None else funding, rows)
    day_end = np.append(np.flatnonzero(np.append(np.diff(bars.time // DAY_MS), 1)), n + CHUNK).astype(np.int64)
    market = Market(rows, _bounds(rows), rows[:, LOW].copy(), rows[:, HIGH].copy(), day_end)
    for array in market:
        array.flags.writeable = False
    return market


def _feature(name: str, window_bars: int, bars: Bars) -> Floats:
    """Return an indicator of the language over the bars, float64[n]."""
    from quantga.lang.evaluate import evaluate  # noqa: PLC0415 (compiles when imported; most programs need none)
    from quantga.lang.ops import BY_NAME  # noqa: PLC0415
    from quantga.lang.program import Program, window  # noqa: PLC0415

    series: Floats = evaluate([Program((BY_NAME[name][0].code, window(window_bars)))], bars)[0]
    return series


@njit
def _carry(close: Floats, funding: Floats, rows: Floats) -> None:
    """Fill in the marks and the funding added up; a missing bar carries the mark and charges nothing."""
    first = 0
    while np.isnan(close[first]):
        first += 1
    mark, paid = close[first], 0.0
    for t in range(len(close)):
        rows[t, BEFORE] = paid
        if not np.isnan(close[t]):
            mark = close[t]
            paid += funding[t] * mark
        rows[t, MARK], rows[t, AFTER] = mark, paid


@njit
def _bounds(rows: Floats) -> Floats:
    """Return the extremes of every chunk; the prices of missing bars do not count."""
    chunks = np.empty(((len(rows) + CHUNK - 1) // CHUNK, BOUNDS))
    chunks[:, LOW_MIN::2], chunks[:, HIGH_MAX::2] = np.inf, -np.inf
    for t in range(len(rows)):
        chunk, before = chunks[t >> CHUNK_BITS], max(t - 1, 0)
        _stretch(chunk[LOW_MIN:], rows[t, LOW], rows[t, HIGH])
        _stretch(chunk[PAID_MIN:], min(rows[t, BEFORE], rows[t, AFTER]), max(rows[t, BEFORE], rows[t, AFTER]))
        _stretch(chunk[LAST_MIN:], rows[before, MARK], rows[before, MARK])
        _stretch(chunk[CALM_MIN:], rows[before, VOLATILITY], rows[before, VOLATILITY])
    return chunks


@njit
def _stretch(bounds: Floats, low: float, high: float) -> None:
    """Widen bounds[0] and bounds[1] to hold `low` and `high`; NaN widens nothing."""
    bounds[0], bounds[1] = np.fmin(bounds[0], low), np.fmax(bounds[1], high)
