"""Series that the page draws: daily equity, the pooled equity of several markets, drawdowns, months, and the luck line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import NormalDist

import numpy as np

from quantga.report.record import Champion, Floats, Ints, Result
from quantga.report.svg import DAY

_EULER = 0.5772156649015329
_E = 2.718281828459045


@dataclass(frozen=True)
class Curve:
    """Equity of a champion and of buying and holding, at the end of each UTC day; float64[days], USDC."""

    time: Ints
    equity: Floats
    market: Floats


def daily(result: Result, capital: float) -> Curve:
    """Return one market's equity by day; the market's is `capital` at the first open, without costs or funding."""
    day = (result.time - 1) // DAY  # a close at midnight belongs to the day that ends
    last = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    close = result.close.copy()
    known = ~np.isnan(close)
    rows = np.maximum.accumulate(np.where(known, np.arange(len(close)), -1))
    filled = np.where(rows >= 0, close[np.maximum(rows, 0)], result.open_first)
    market = capital * filled / result.open_first
    return Curve((day[last] + 1) * DAY, result.equity[last], market[last])


def pooled(champion: Champion, capital: float) -> Curve:
    """Return the equal-weight pool: each day the mean of the daily returns of the markets that have that day."""
    curves = [daily(result, capital) for result in champion.results]
    if len(curves) == 1:
        return curves[0]
    days = np.unique(np.concatenate([curve.time for curve in curves]))
    sums, markets, counts = np.zeros(len(days)), np.zeros(len(days)), np.zeros(len(days))
    for curve in curves:
        rows = np.searchsorted(days, curve.time)
        sums[rows] += returns(curve.equity, capital)
        markets[rows] += returns(curve.market, capital)
        counts[rows] += 1
    return Curve(days, capital * np.cumprod(1 + sums / counts), capital * np.cumprod(1 + markets / counts))


def returns(equity: Floats, capital: float) -> Floats:
    """Return simple returns per row, the first one against the starting capital; 0 after ruin."""
    before = np.concatenate([[capital], equity[:-1]])
    grown: Floats = np.divide(equity, before, out=np.ones_like(equity), where=before > 0)
    return grown - 1


def drawdown(equity: Floats, capital: float) -> Floats:
    """Return the distance below the highest equity so far, the starting capital included; 0 to -1."""
    peak = np.maximum(np.maximum.accumulate(equity), capital)
    return equity / peak - 1


@dataclass(frozen=True, slots=True)
class Month:
    """The return of one calendar month."""

    year: int
    month: int
    value: float


def months(curve: Curve, capital: float) -> list[Month]:
    """Return the return of every calendar month, in order; the first and the last may be parts of a month."""
    stamps = [datetime.fromtimestamp((int(t) - 1) / 1000, UTC) for t in curve.time]
    keys = np.array([s.year * 12 + s.month - 1 for s in stamps])
    last = np.append(np.flatnonzero(np.diff(keys)), len(keys) - 1)
    found = returns(curve.equity[last], capital)
    return [Month(int(key) // 12, int(key) % 12 + 1, float(v)) for key, v in zip(keys[last], found, strict=True)]


def year_total(parts: Sequence[Month]) -> float:
    """Return the compound return of months."""
    total = 1.0
    for part in parts:
        total *= 1 + part.value
    return total - 1


def expected_best(trials: float, deviation: float = 1.0) -> float:
    """Return what the best of `trials` independent draws without skill reaches on average.

    E[max] = sd x [(1 - g) z(1 - 1/N) + g z(1 - 1/(N e))], g = 0.5772 (Bailey and Lopez de Prado, The Deflated Sharpe
    Ratio, 2014). One draw reaches 0.
    """
    if trials < 2:
        return 0.0
    quantile = NormalDist().inv_cdf
    return deviation * ((1 - _EULER) * quantile(1 - 1 / trials) + _EULER * quantile(1 - 1 / (trials * _E)))


def luck_line(trials: float, days: float) -> float:
    """Return the annual Sharpe ratio that pure luck reaches with that many trials on that many daily returns.

    Without skill the Sharpe ratio of `days` returns varies by 1 / days; a year has 365 of them.
    """
    return expected_best(trials, (365 / days) ** 0.5) if days > 0 else 0.0
