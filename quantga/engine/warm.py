"""Compile once what every worker needs, so that none compiles in its first batch.

Ray delivers arrays that must not be written to, which is another type to the compiler than arrays that may; bars are
read-only everywhere, so what is compiled here, through the doors that a worker uses, is what it will find.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from quantga.engine.appraise import Trial, appraise, appraise_market
from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.lang.bars import HOUR_MS, Bars
from quantga.lang.jit import cache_directory
from quantga.lang.parse import parse
from quantga.streams import stream

_HOURS = 24 * 60
_RULES = (
    "when(gt(rsi(close, 14), level(70)), short, long)",
    "when(gt(close, mean(close, 24)), long, flat) with vol_target=0.4, stop_atr=2, take=0.1, band=0.1, max_hold=48",
)


def warm() -> tuple[Path, float]:
    """Compile everything that appraising and backtesting need; return the cache's folder and the seconds it took.

    What is in the cache already is loaded. The folder has one subfolder per floor and digest of its sources.
    """
    started = time.perf_counter()
    market = {name: _bars(name) for name in ("BTC", "ETH")}
    programs = [parse(text) for text in _RULES]
    costs = Costs(lots=True, margin=True)
    for symbols in (("BTC",), ("BTC", "ETH")):
        appraise_market(programs, {name: market[name] for name in symbols}, Trial(costs=costs))
    for sharing in (True, False):
        appraise(programs, market["BTC"], costs, sharing=sharing)
    for program in programs:
        backtest(program, market["BTC"], costs)
    return cache_directory().parent, time.perf_counter() - started


def _bars(symbol: str) -> Bars:
    chance = stream(0, "warm", symbol)
    close = 100.0 * np.cumprod(1 + 0.01 * chance.standard_normal(_HOURS))
    before = np.concatenate(([100.0], close[:-1]))
    columns = {
        "open": before,
        "high": np.maximum(before, close) * 1.001,
        "low": np.minimum(before, close) * 0.999,
        "close": close,
        "volume": np.full(_HOURS, 1e3),
        "funding": np.full(_HOURS, 1e-5),
    }
    return Bars.from_columns(HOUR_MS * np.arange(_HOURS, dtype=np.int64), columns, symbol=symbol, base=symbol)
