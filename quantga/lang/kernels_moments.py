"""Sums and moments over windows, by doubling: a window of 2n is two windows of n, so no rounding is carried along.

Every value depends on its own window alone: it is exact wherever the array began, an undefined value spoils only the
windows that hold it, and a window of equal values has exactly their mean and exactly no deviation.

Conventions: `x` holds the window's past and the rows asked for, `rows + window - 1` values; `out` takes `rows` values;
`room` is scratch of at least `ROOM * (rows + window)` values. Undefined is NaN.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import njit
from quantga.lang.kernels_pointwise import LARGEST

ROOM = 14
"""Arrays of scratch that a kernel may use, each of rows + window values."""


@njit
def _first_bit(window: int) -> int:
    """Return the second highest power of two in `window`'s binary form (0 for a window of 1)."""
    top = 1
    while top * 2 <= window:
        top *= 2
    return top // 2


@njit
def window_sum(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the sum of each window."""
    stride = rows + window
    bit, n, side, low = _first_bit(window), 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        odd = 1 if window & bit else 0
        m = 2 * n + odd
        to = out if m == window else room[side * stride : (side + 1) * stride]
        high, mid = low[n + odd :], x[n:]
        if odd:
            for i in range(rows + window - m):
                to[i] = (low[i] + high[i]) + mid[i]
        else:
            for i in range(rows + window - m):
                to[i] = low[i] + high[i]
        low, n, bit, side = to, m, bit // 2, 1 - side


@njit
def window_mean(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the mean of each window."""
    stride = rows + window
    bit, n, side, low = _first_bit(window), 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        odd = 1 if window & bit else 0
        m = 2 * n + odd
        to = out if m == window else room[side * stride : (side + 1) * stride]
        _merge_mean(low, low[n + odd :], x[n:], odd, m, rows + window - m, to)
        low, n, bit, side = to, m, bit // 2, 1 - side


@njit
def _merge_mean(low: Floats, high: Floats, mid: Floats, odd: int, m: int, length: int, to: Floats) -> None:
    if odd:
        share = 1.0 / m
        for i in range(length):
            mean = (low[i] + high[i]) * 0.5
            to[i] = mean + (mid[i] - mean) * share
    else:
        for i in range(length):
            to[i] = (low[i] + high[i]) * 0.5


@njit
def _merge_comoment(
    a: Floats, b: Floats, c: Floats, a_mid: Floats, b_mid: Floats, step: int, n: int, length: int, to: Floats
) -> None:
    """Write the mean product of deviations of 2n or 2n + 1 values, from the means `a`, `b` and comoments `c` of n."""
    a_high, b_high, c_high = a[step:], b[step:], c[step:]
    if step == n:
        for i in range(length):
            to[i] = (c[i] + c_high[i]) * 0.5 + ((a_high[i] - a[i]) * 0.5) * ((b_high[i] - b[i]) * 0.5)
    else:
        keep = 2.0 * n / (2.0 * n + 1.0)
        single = keep / (2.0 * n + 1.0)
        for i in range(length):
            both = (c[i] + c_high[i]) * 0.5 + ((a_high[i] - a[i]) * 0.5) * ((b_high[i] - b[i]) * 0.5)
            a_off = a_mid[i] - (a[i] + a_high[i]) * 0.5
            b_off = b_mid[i] - (b[i] + b_high[i]) * 0.5
            to[i] = both * keep + a_off * b_off * single


@njit
def window_moments(x: Floats, window: int, rows: int, mean: Floats, variance: Floats, room: Floats) -> None:
    """Write mean and variance (ddof 0) of each window; merging of Chan, Golub and LeVeque (1983)."""
    stride = rows + window
    bit, n, side = _first_bit(window), 1, 0
    low, low2 = x, room[4 * stride : 5 * stride]
    for i in range(rows + window - 1):
        low2[i] = x[i] - x[i]
    if window == 1:
        for i in range(rows):
            mean[i], variance[i] = x[i], low2[i]
    while n < window:
        odd = 1 if window & bit else 0
        m = 2 * n + odd
        length = rows + window - m
        to = mean if m == window else room[side * stride : (side + 1) * stride]
        to2 = variance if m == window else room[(side + 2) * stride : (side + 3) * stride]
        _merge_comoment(low, low, low2, x[n:], x[n:], n + odd, n, length, to2)
        _merge_mean(low, low[n + odd :], x[n:], odd, m, length, to)
        low, low2, n, bit, side = to, to2, m, bit // 2, 1 - side


@njit
def window_std(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the standard deviation (ddof 0) of each window."""
    stride = rows + window
    window_moments(x, window, rows, room[5 * stride : 6 * stride], out, room)
    for i in range(rows):
        out[i] = np.sqrt(out[i]) if out[i] <= LARGEST else np.nan


@njit
def _comoments(a: Floats, b: Floats, window: int, rows: int, room: Floats) -> None:
    """Leave in `room`, from place 10 on, each `rows + window` apart, the windows' comoment and both variances."""
    stride = rows + window
    bit, n, side = _first_bit(window), 1, 0
    a_low, b_low = a, b
    ab, aa, bb = room[10 * stride : 11 * stride], room[11 * stride : 12 * stride], room[12 * stride : 13 * stride]
    for i in range(rows + window - 1):
        ab[i], aa[i], bb[i] = (a[i] - a[i]) + (b[i] - b[i]), a[i] - a[i], b[i] - b[i]
    while n < window:
        odd = 1 if window & bit else 0
        step, m = n + odd, 2 * n + odd
        length = rows + window - m
        at = 10 if m == window else side * 5
        ab_to, aa_to = room[at * stride : (at + 1) * stride], room[(at + 1) * stride : (at + 2) * stride]
        bb_to = room[(at + 2) * stride : (at + 3) * stride]
        _merge_comoment(a_low, b_low, ab, a[n:], b[n:], step, n, length, ab_to)
        _merge_comoment(a_low, a_low, aa, a[n:], a[n:], step, n, length, aa_to)
        _merge_comoment(b_low, b_low, bb, b[n:], b[n:], step, n, length, bb_to)
        at = side * 5 + 3
        a_to, b_to = room[at * stride : (at + 1) * stride], room[(at + 1) * stride : (at + 2) * stride]
        _merge_mean(a_low, a_low[step:], a[n:], odd, m, length, a_to)
        _merge_mean(b_low, b_low[step:], b[n:], odd, m, length, b_to)
        a_low, b_low, ab, aa, bb, n, bit, side = a_to, b_to, ab_to, aa_to, bb_to, m, bit // 2, 1 - side


@njit
def window_corr(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the correlation of each window, within -1 and 1; undefined where one of them does not vary."""
    stride = rows + window
    _comoments(a, b, window, rows, room)
    ab, aa, bb = room[10 * stride : 11 * stride], room[11 * stride : 12 * stride], room[12 * stride : 13 * stride]
    for i in range(rows):
        scale = aa[i] * bb[i]
        corr = ab[i] / np.sqrt(scale)
        corr = 1.0 if corr > 1.0 else (-1.0 if corr < -1.0 else corr)
        out[i] = corr if (scale > 0.0) & (scale <= LARGEST) else np.nan


@njit
def window_beta(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the slope of the regression of `a` on `b` in each window; undefined where `b` does not vary."""
    stride = rows + window
    _comoments(a, b, window, rows, room)
    ab, bb = room[10 * stride : 11 * stride], room[12 * stride : 13 * stride]
    for i in range(rows):
        beta = ab[i] / bb[i]
        out[i] = beta if (bb[i] > 0.0) & (abs(beta) <= LARGEST) else np.nan


@njit
def window_skew(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the skewness (biased) of each window; undefined where it does not vary. Merging of Pébay (2008)."""
    stride = rows + window
    bit, n, side = _first_bit(window), 1, 0
    low, low2, low3 = x, room[9 * stride : 10 * stride], room[10 * stride : 11 * stride]
    for i in range(rows + window - 1):
        low2[i] = low3[i] = x[i] - x[i]
    while n < window:
        odd = 1 if window & bit else 0
        step, m = n + odd, 2 * n + odd
        length = rows + window - m
        to, to2, to3 = (
            room[side * stride : (side + 1) * stride],
            room[(side + 2) * stride : (side + 3) * stride],
            room[(side + 4) * stride : (side + 5) * stride],
        )
        _merge_third(low, low2, low3, x[n:], step, n, length, to3)
        _merge_comoment(low, low, low2, x[n:], x[n:], step, n, length, to2)
        _merge_mean(low, low[step:], x[n:], odd, m, length, to)
        low, low2, low3, n, bit, side = to, to2, to3, m, bit // 2, 1 - side
    for i in range(rows):
        skew = low3[i] / (low2[i] * np.sqrt(low2[i]))
        out[i] = skew if (low2[i] > 0.0) & (abs(skew) <= LARGEST) else np.nan


@njit
def _merge_third(
    mean: Floats, second: Floats, third: Floats, mid: Floats, step: int, n: int, length: int, to: Floats
) -> None:
    high, high2, high3 = mean[step:], second[step:], third[step:]
    if step == n:
        for i in range(length):
            off = (high[i] - mean[i]) * 0.5
            to[i] = (third[i] + high3[i]) * 0.5 + 1.5 * off * (high2[i] - second[i])
    else:
        many = 2.0 * n
        keep = many / (many + 1.0)
        cubic = keep * (many - 1.0) / ((many + 1.0) * (many + 1.0))
        cross = 3.0 * keep / (many + 1.0)
        for i in range(length):
            off = (high[i] - mean[i]) * 0.5
            both2 = (second[i] + high2[i]) * 0.5 + off * off
            both3 = (third[i] + high3[i]) * 0.5 + 1.5 * off * (high2[i] - second[i])
            far = mid[i] - (mean[i] + high[i]) * 0.5
            to[i] = both3 * keep + far * far * far * cubic - far * both2 * cross


@njit
def window_slope(x: Floats, window: int, rows: int, mean: Floats, out: Floats, room: Floats) -> None:
    """Write mean and regression slope per bar of each window; the slope is undefined for a window of 1."""
    stride = rows + window
    bit, n, side = _first_bit(window), 1, 0
    low, low2 = x, room[4 * stride : 5 * stride]
    for i in range(rows + window - 1):
        low2[i] = x[i] - x[i]
    if window == 1:
        for i in range(rows):
            mean[i], out[i] = x[i], np.nan
    while n < window:
        odd = 1 if window & bit else 0
        step, m = n + odd, 2 * n + odd
        length = rows + window - m
        to = mean if m == window else room[side * stride : (side + 1) * stride]
        to2 = out if m == window else room[(side + 2) * stride : (side + 3) * stride]
        high, high2, arm = low[step:], low2[step:], 0.5 * step * n
        for i in range(length):
            to2[i] = (low2[i] + high2[i]) + (high[i] - low[i]) * arm
        _merge_mean(low, high, x[n:], odd, m, length, to)
        low, low2, n, bit, side = to, to2, m, bit // 2, 1 - side
    if window > 1:
        scale = 12.0 / (float(window) * (float(window) * window - 1.0))
        for i in range(rows):
            out[i] *= scale


@njit
def window_wma(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the linearly weighted mean: the mean, plus the slope over the distance of the weights' centre."""
    stride = rows + window
    mean = room[5 * stride : 6 * stride]
    window_slope(x, window, rows, mean, out, room)
    arm = (window - 1.0) / 6.0
    for i in range(rows):
        out[i] = mean[i] + out[i] * arm if window > 1 else mean[i]


@njit
def window_mean_deviation(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the mean absolute distance from the window's mean; O(window)."""
    stride = rows + window
    mean = room[2 * stride : 3 * stride]
    window_mean(x, window, rows, mean, room)
    for i in range(rows):
        out[i] = 0.0
    lag = 0
    while lag + 4 <= window:
        x0, x1, x2, x3 = x[lag:], x[lag + 1 :], x[lag + 2 :], x[lag + 3 :]
        for i in range(rows):
            m = mean[i]
            out[i] += (abs(x0[i] - m) + abs(x1[i] - m)) + (abs(x2[i] - m) + abs(x3[i] - m))
        lag += 4
    for k in range(lag, window):
        x0 = x[k:]
        for i in range(rows):
            out[i] += abs(x0[i] - mean[i])
    for i in range(rows):
        out[i] /= window
