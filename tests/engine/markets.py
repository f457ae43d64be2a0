"""Markets and programs that the tests of the engine share."""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import HOUR_MS, Bars

START = 1_640_995_200_000  # 1 January 2022


def made_market(seed, hours=1500, *, symbol="MADE", start=START, funding=True, holes=0, drift=0.0):
    draw = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + draw.standard_t(5, hours) * 0.008 + drift)
    opened = np.concatenate([[100.0], close[:-1]]) * (1 + draw.normal(0, 0.0005, hours))
    spread = np.abs(draw.normal(0, 0.003, (2, hours)))
    high, low = np.maximum(opened, close) * (1 + spread[0]), np.minimum(opened, close) * (1 - spread[1])
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": draw.lognormal(8, 1, hours)}
    if funding:
        columns["funding"] = draw.normal(2e-5, 5e-5, hours)
    time = start + HOUR_MS * np.arange(hours)
    kept = np.ones(hours, dtype=bool)
    if holes:
        kept[draw.choice(np.arange(1, hours - 1), holes, replace=False)] = False
    return Bars.from_columns(
        time[kept], {name: column[kept] for name, column in columns.items()}, symbol=symbol, base="BTC"
    )
