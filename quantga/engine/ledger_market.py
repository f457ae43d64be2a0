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


class Market(NamedTuple):
    """Arrays of one market; all are read-only. Row t is the bar of the same row of the bars.

    open, high, low: float64[n], NaN where the bar is missing. mark: float64[n], the close, carried over missing bars.
    paid: float64[n + 1]; paid[t] is what one unit held long since row 0 has paid by the open of row t, in USDC.
    volatility: float64[n] annual (NaN undefined) or of length 0; atr: float64[n] in price units, or of length 0.
    day_end: int64[days + 1], the last row of each UTC day, then n + CHUNK as an end mark.
    low_min, high_max, gain_min, gain_max, paid_min, paid_max: float64[chunks] over rows c * CHUNK to (c + 1) * CHUNK - 1,
    where gain = mark[t] - paid[t + 1] and paid is that before the close.
    """

    open: Floats
    high: Floats
    low: Floats
    mark: Floats
    paid: Floats
    volatility: Floats
    atr: Floats
    day_end: NDArray[np.int64]
    low_min: Floats
    high_max: Floats
    gain_min: Floats
    gain_max: Floats
    paid_min: Floats
    paid_max: Floats


def prepare(bars: Bars, costs: Costs, genes: Iterable[Genes]) -> Market:
    """Return the market of `bars`, with volatility and true range where a program's genes need them.

    Raises DataError if no bar is present.
    """
    genes = tuple(genes)
    if not bars.present.any():
        raise DataError(f"{bars.symbol or 'the market'}: not one bar is present, so nothing can be traded")
    volatility = atr = np.empty(0)
    if any(gene.vol_target for gene in genes):
        volatility = _feature("volatility", VOLATILITY_WINDOW, bars) * np.sqrt(bars.bars_per_year)
    if any(gene.stop_atr or gene.take_atr for gene in genes):
        atr = _feature("atr", ATR_WINDOW, bars)
    return assemble(bars, bars.columns.get("funding") if costs.funding else None, volatility, atr)


def assemble(bars: Bars, funding: Floats | None, volatility: Floats, atr: Floats) -> Market:
    """Return the market from its parts; `funding` None charges nothing."""
    n = len(bars)
    mark, paid = _carry(bars["close"], np.zeros(n) if funding is None else funding)
    day_end = np.append(np.flatnonzero(np.append(np.diff(bars.time // DAY_MS), 1)), n + CHUNK).astype(np.int64)
    start, high, low = (np.ascontiguousarray(bars[name]) for name in ("open", "high", "low"))
    market = Market(start, high, low, mark, paid, volatility, atr, day_end, *_bounds(high, low, mark, paid))
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
def _carry(close: Floats, funding: Floats) -> tuple[Floats, Floats]:
    """Return the marks and the funding added up; a missing bar carries the mark and charges nothing."""
    n = len(close)
    mark, paid = np.empty(n), np.zeros(n + 1)
    first = 0
    while np.isnan(close[first]):
        first += 1
    last = close[first]
    for t in range(n):
        paid[t + 1] = paid[t]
        if not np.isnan(close[t]):
            last = close[t]
            paid[t + 1] += funding[t] * last
        mark[t] = last
    return mark, paid


@njit
def _bounds(
    high: Floats, low: Floats, mark: Floats, paid: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Return low_min, high_max, gain_min, gain_max, paid_min and paid_max of every chunk."""
    n = len(mark)
    chunks = (n + CHUNK - 1) // CHUNK
    low_min, high_max = np.full(chunks, np.inf), np.full(chunks, -np.inf)
    gain_min, gain_max = np.full(chunks, np.inf), np.full(chunks, -np.inf)
    paid_min, paid_max = np.full(chunks, np.inf), np.full(chunks, -np.inf)
    for t in range(n):
        c = t >> CHUNK_BITS
        low_min[c], high_max[c] = np.fmin(low_min[c], low[t]), np.fmax(high_max[c], high[t])  # past NaN
        gain = mark[t] - paid[t + 1]
        gain_min[c], gain_max[c] = min(gain_min[c], gain), max(gain_max[c], gain)
        paid_min[c], paid_max[c] = min(paid_min[c], paid[t]), max(paid_max[c], paid[t])
    return low_min, high_max, gain_min, gain_max, paid_min, paid_max
