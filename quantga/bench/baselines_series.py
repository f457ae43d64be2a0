"""The language's kernels as NumPy, pandas and VectorBT users write them: whole series at once, masks as bool.

For each window the fastest of the usual ways was taken (measured on 8,760 and 100,000 bars): VectorBT's compiled
one-dimensional functions for means, deviations and exponential means, pandas for long extremes, ranks and moments.
Warm-up is not tracked in masks, as nobody does; the caller leaves the first `lookback` bars alone instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from quantga.lang.bars import Floats
from quantga.lang.ops import K

type Series = NDArray[Any]

_SHORT = 32  # VectorBT's extremes look at the whole window on every bar; pandas' do not
_DIRECT = 100  # windows from which a convolution by Fourier transform is the faster


@cache
def compiled() -> Any:
    """Return VectorBT's module of compiled functions on series."""
    from vectorbt.generic import nb  # noqa: PLC0415 (takes seconds)

    return nb


def _lag(x: Series, bars: float) -> Series:
    out = np.zeros_like(x) if x.dtype == np.bool_ else np.full_like(x, np.nan)
    n = int(bars)
    out[n:] = x[: len(x) - n]
    return out


def _div(a: Series, b: Series) -> Series:
    found: Series = np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0)
    return found


def _mean(x: Series, window: float) -> Series:
    if x.dtype == np.bool_:
        return _count(x, int(window)) / int(window)
    found: Series = compiled().rolling_mean_1d_nb(x, int(window), int(window))
    return found


def _sum(x: Series, window: float) -> Series:
    return _mean(x, window) * int(window)


def _std(x: Series, window: float) -> Series:
    found: Series = compiled().rolling_std_1d_nb(x, int(window), int(window), 0)
    return found


def _ema(x: Series, window: float) -> Series:
    found: Series = compiled().ewm_mean_1d_nb(x, int(window), int(window), True)
    return found


def _wilder(x: Series, window: float) -> Series:
    # alpha = 1 / window is that of a span of 2 x window - 1
    out: Series = compiled().ewm_mean_1d_nb(x, 2 * int(window) - 1, int(window), True)
    return out


def _highest(x: Series, window: float) -> Series:
    if int(window) <= _SHORT:
        found: Series = compiled().rolling_max_1d_nb(x, int(window), int(window))
        return found
    return pd.Series(x).rolling(int(window)).max().to_numpy()


def _lowest(x: Series, window: float) -> Series:
    if int(window) <= _SHORT:
        found: Series = compiled().rolling_min_1d_nb(x, int(window), int(window))
        return found
    return pd.Series(x).rolling(int(window)).min().to_numpy()


def _rank(x: Series, window: float) -> Series:
    found: Series = pd.Series(x).rolling(int(window)).rank(method="max", pct=True).to_numpy()
    return found


def _skew(x: Series, window: float) -> Series:
    n = int(window)
    if n < 3:
        return np.where(_std(x, n) > 0, 0.0, np.nan)
    found: Series = pd.Series(x).rolling(n).skew().to_numpy() * ((n - 2) / np.sqrt(n * (n - 1)))
    return found


def _corr(a: Series, b: Series, window: float) -> Series:
    return _div(_covariance(a, b, window), _std(a, window) * _std(b, window))


def _beta(a: Series, b: Series, window: float) -> Series:
    return _div(_covariance(a, b, window), _std(b, window) ** 2)


def _covariance(a: Series, b: Series, window: float) -> Series:
    found: Series = _mean(a * b, window) - _mean(a, window) * _mean(b, window)
    return found


def _weighted(x: Series, weights: Floats) -> Series:
    """Return the sum of the window's values by weights (the oldest first); NaN before it is full."""
    first = int(np.argmax(~np.isnan(x)))
    out = np.full(len(x), np.nan)
    window = len(weights)
    if len(x) - first >= window:
        convolve = np.convolve if window <= _DIRECT else oaconvolve
        out[first + window - 1 :] = convolve(x[first:], weights[::-1], "valid")
    return out


def _slope(x: Series, window: float) -> Series:
    n = int(window)
    centred = np.arange(n) - (n - 1) / 2
    return _weighted(x, centred / (centred @ centred))


def _wma(x: Series, window: float) -> Series:
    rising = np.arange(1.0, int(window) + 1)
    return _weighted(x, rising / rising.sum())


def _mean_deviation(x: Series, window: float) -> Series:
    n = int(window)
    mean = _mean(x, n)[n - 1 :]
    out = np.full(len(x), np.nan)
    total, far = np.zeros(len(mean)), np.empty(len(mean))
    for k in range(n):
        np.subtract(x[k : k + len(mean)], mean, out=far)
        np.abs(far, out=far)
        total += far
    out[n - 1 :] = total / n
    return out


def _since(x: Series, window: float) -> Series:
    out = np.full(len(x), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(x, int(window))
    out[int(window) - 1 :] = windows[:, ::-1].argmax(axis=1)
    return out


def _count(mask: Series, window: int) -> Series:
    total = np.cumsum(mask, dtype=np.float64)
    total[window:] = total[window:] - total[:-window]
    total[: window - 1] = np.nan
    return total


def _bars_since(mask: Series, window: float) -> Series:
    place = np.arange(len(mask))
    last = np.maximum.accumulate(np.where(mask, place, -(2**40)))
    return np.minimum(place - last, window).astype(np.float64)


def _within(x: Series, first: float, last: float) -> Series:
    return (x >= first) & (x <= last) if first <= last else (x >= first) | (x <= last)


def completed(series: Series, factor: int, origin: int) -> tuple[Series, Series]:
    """Return the rows at which higher bars of `factor` bars complete, and for each row how many have (its own too)."""
    ends = (np.arange(len(series)) + origin + 1) % factor == 0
    return np.flatnonzero(ends), np.cumsum(ends)


def _every(x: Series, factor: float, origin: int) -> Series:
    rows, done = completed(x, int(factor), origin)
    known = np.concatenate([[np.nan], x[rows]])
    return known[done]


def _higher_mean(x: Series, factor: float, window: float, origin: int) -> Series:
    rows, done = completed(x, int(factor), origin)
    return np.concatenate([[np.nan], _mean(np.ascontiguousarray(x[rows]), window)])[done]


def kernels(origin: int) -> dict[K, Callable[..., Any]]:
    """Return a function for every kernel but columns and constants; `origin` is the number of the first bar."""
    return {
        K.ADD: np.add, K.SUB: np.subtract, K.MUL: np.multiply, K.DIV: _div, K.NEG: np.negative, K.ABS: np.abs,
        K.MIN: np.minimum, K.MAX: np.maximum, K.SIGN: np.sign, K.SQUASH: lambda x: x / (1 + np.abs(x)),
        K.POSITIVE: lambda x: np.maximum(x, 0.0), K.ADD_LEVEL: np.add, K.MUL_LEVEL: np.multiply,
        K.CLIP_LEVEL: lambda x, level: np.clip(x, -abs(level), abs(level)),
        K.GT: np.greater, K.GT_LEVEL: np.greater, K.LT_LEVEL: np.less, K.WITHIN: _within,
        K.BETWEEN: lambda x, low, high: (x >= low) & (x <= high),
        K.AND: np.logical_and, K.OR: np.logical_or, K.XOR: np.logical_xor, K.NOT: np.logical_not, K.WHEN: np.where,
        K.LAG: _lag, K.EVERY: lambda x, factor: _every(x, factor, origin),
        K.HIGHER_MEAN: lambda x, factor, window: _higher_mean(x, factor, window, origin),
        K.SUM: _sum, K.MEAN: _mean, K.WMA: _wma, K.STD: _std, K.EMA: _ema, K.WILDER: _wilder,
        K.HIGHEST: _highest, K.LOWEST: _lowest, K.SINCE_HIGHEST: _since, K.SINCE_LOWEST: lambda x, w: _since(-x, w),
        K.RANK: _rank, K.SLOPE: _slope, K.CORR: _corr, K.BETA: _beta, K.SKEW: _skew, K.MEAN_DEVIATION: _mean_deviation,
        K.ANY: lambda mask, window: _count(mask, int(window)) > 0,
        K.ALL: lambda mask, window: _count(mask, int(window)) == int(window), K.BARS_SINCE: _bars_since,
    }  # fmt: skip
