# ruff: noqa: FURB136  # min, max and `in` compile to other code, or say nothing of NaN
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
        high, mid = low[n + odd :], x[n:]
        if odd:
            share = 1.0 / m
            for i in range(rows + window - m):
                mean = (low[i] + high[i]) * 0.5
                to[i] = mean + (mid[i] - mean) * share
        else:
            for i in range(rows + window - m):
                to[i] = (low[i] + high[i]) * 0.5
        low, n, bit, side = to, m, bit // 2, 1 - side


@njit
def window_std(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the standard deviation (ddof 0) of each window; merging of Chan, Golub and LeVeque (1983)."""
    stride = rows + window
    bit, n, side = _first_bit(window), 1, 0
    low, low2 = x, room[4 * stride : 5 * stride]
    for i in range(rows + window - 1):
        low2[i] = x[i] - x[i]
    while n < window:
        step = n + 1 if window & bit else n
        m = n + step
        to, to2 = room[side * stride : (side + 1) * stride], room[(side + 2) * stride : (side + 3) * stride]
        _merge_variance(low, low2, x[n:], step, n, rows + window - m, to, to2)
        low, low2, n, bit, side = to, to2, m, bit // 2, 1 - side
    for i in range(rows):
        out[i] = np.sqrt(low2[i]) if low2[i] <= LARGEST else np.nan


@njit
def _merge_variance(
    mean: Floats, variance: Floats, mid: Floats, step: int, n: int, length: int, to: Floats, to2: Floats
) -> None:
    high, high2 = mean[step:], variance[step:]
    if step == n:
        for i in range(length):
            a, b = mean[i], high[i]
            off = (b - a) * 0.5
            to[i] = (a + b) * 0.5
            to2[i] = (variance[i] + high2[i]) * 0.5 + off * off
        return
    share = 1.0 / (2.0 * n + 1.0)
    keep = 2.0 * n * share
    for i in range(length):
        a, b = mean[i], high[i]
        off = (b - a) * 0.5
        both = (a + b) * 0.5
        far = mid[i] - both
        to[i] = both + far * share
        to2[i] = ((variance[i] + high2[i]) * 0.5 + off * off + far * far * share) * keep


@njit
def _comoments(a: Floats, b: Floats, window: int, rows: int, room: Floats) -> int:
    """Leave in `room` both variances and the comoment of the windows, `rows + window` apart; return their place."""
    stride = rows + window
    bit, n, at = _first_bit(window), 1, 5
    low = room[: 5 * stride]
    for i in range(rows + window - 1):
        low[i], low[stride + i] = a[i], b[i]
        low[2 * stride + i], low[3 * stride + i] = a[i] - a[i], b[i] - b[i]
        low[4 * stride + i] = (a[i] - a[i]) + (b[i] - b[i])
    while n < window:
        step = n + 1 if window & bit else n
        m = n + step
        to = room[at * stride : (at + 5) * stride]
        _merge_comoments(low, a[n:], b[n:], step, n, rows + window - m, stride, to)
        low, n, bit, at = to, m, bit // 2, 5 - at
    return (7 - at) * stride


@njit
def _merge_comoments(
    low: Floats, a_mid: Floats, b_mid: Floats, step: int, n: int, length: int, stride: int, to: Floats
) -> None:
    """Merge means, variances and comoment, one behind the other in `low`, of two windows of n (and a value between)."""
    a, b, aa, bb, ab = low, low[stride:], low[2 * stride :], low[3 * stride :], low[4 * stride :]
    a2, b2, aa2, bb2, ab2 = a[step:], b[step:], aa[step:], bb[step:], ab[step:]
    a_to, b_to, aa_to, bb_to, ab_to = to, to[stride:], to[2 * stride :], to[3 * stride :], to[4 * stride :]
    odd = step != n
    share = 1.0 / (2.0 * n + 1.0) if odd else 0.0
    keep = 2.0 * n * share if odd else 1.0
    for i in range(length):
        a_off, b_off = (a2[i] - a[i]) * 0.5, (b2[i] - b[i]) * 0.5
        a_both, b_both = (a[i] + a2[i]) * 0.5, (b[i] + b2[i]) * 0.5
        a_far, b_far = a_mid[i] - a_both, b_mid[i] - b_both
        a_to[i] = a_both + a_far * share
        b_to[i] = b_both + b_far * share
        aa_to[i] = ((aa[i] + aa2[i]) * 0.5 + a_off * a_off + a_far * a_far * share) * keep
        bb_to[i] = ((bb[i] + bb2[i]) * 0.5 + b_off * b_off + b_far * b_far * share) * keep
        ab_to[i] = ((ab[i] + ab2[i]) * 0.5 + a_off * b_off + a_far * b_far * share) * keep


@njit
def window_corr(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the correlation of each window, within -1 and 1; undefined where one of them does not vary."""
    stride = rows + window
    at = _comoments(a, b, window, rows, room)
    aa, bb, ab = room[at : at + stride], room[at + stride : at + 2 * stride], room[at + 2 * stride : at + 3 * stride]
    for i in range(rows):
        scale = aa[i] * bb[i]
        corr = ab[i] / np.sqrt(scale)
        corr = 1.0 if corr > 1.0 else corr
        corr = -1.0 if corr < -1.0 else corr
        out[i] = corr if (scale > 0.0) & (scale <= LARGEST) else np.nan


@njit
def window_beta(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the slope of the regression of `a` on `b` in each window; undefined where `b` does not vary."""
    stride = rows + window
    at = _comoments(a, b, window, rows, room)
    bb, ab = room[at + stride : at + 2 * stride], room[at + 2 * stride : at + 3 * stride]
    for i in range(rows):
        beta = ab[i] / bb[i]
        out[i] = beta if (bb[i] > 0.0) & (abs(beta) <= LARGEST) else np.nan


@njit
def window_skew(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the skewness (biased) of each window; undefined where it does not vary. Merging of Pébay (2008)."""
    stride = rows + window
    bit, n, at = _first_bit(window), 1, 3
    low = room[: 3 * stride]
    for i in range(rows + window - 1):
        low[i] = x[i]
        low[stride + i] = low[2 * stride + i] = x[i] - x[i]
    while n < window:
        step = n + 1 if window & bit else n
        m = n + step
        to = room[at * stride : (at + 3) * stride]
        _merge_third(low, x[n:], step, n, rows + window - m, stride, to)
        low, n, bit, at = to, m, bit // 2, 3 - at
    second, third = low[stride:], low[2 * stride :]
    for i in range(rows):
        skew = third[i] / (second[i] * np.sqrt(second[i]))
        out[i] = skew if (second[i] > 0.0) & (abs(skew) <= LARGEST) else np.nan


@njit
def _merge_third(low: Floats, mid: Floats, step: int, n: int, length: int, stride: int, to: Floats) -> None:
    mean, second, third = low, low[stride:], low[2 * stride :]
    high, high2, high3 = mean[step:], second[step:], third[step:]
    to2, to3 = to[stride:], to[2 * stride :]
    many = 2.0 * n
    odd = step != n
    share = 1.0 / (many + 1.0) if odd else 0.0
    keep = many * share if odd else 1.0
    cubic = (many - 1.0) * share * share
    for i in range(length):
        off, both = (high[i] - mean[i]) * 0.5, (mean[i] + high[i]) * 0.5
        both2 = (second[i] + high2[i]) * 0.5 + off * off
        both3 = (third[i] + high3[i]) * 0.5 + 1.5 * off * (high2[i] - second[i])
        far = mid[i] - both
        to[i] = both + far * share
        to2[i] = (both2 + far * far * share) * keep
        to3[i] = (both3 + far * far * far * cubic - 3.0 * far * both2 * share) * keep


@njit
def window_slope(x: Floats, window: int, rows: int, mean: Floats, out: Floats, room: Floats) -> None:
    """Write mean and regression slope per bar of each window; the slope is undefined for a window of 1."""
    stride = rows + window
    bit, n, at = _first_bit(window), 1, 2
    low = room[: 2 * stride]
    for i in range(rows + window - 1):
        low[i], low[stride + i] = x[i], x[i] - x[i]
    while n < window:
        step = n + 1 if window & bit else n
        m = n + step
        to = room[at * stride : (at + 2) * stride]
        _merge_slope(low, x[n:], step, n, rows + window - m, stride, to)
        low, n, bit, at = to, m, bit // 2, 2 - at
    scale = 12.0 / (float(window) * (float(window) * window - 1.0)) if window > 1 else np.nan
    for i in range(rows):
        mean[i], out[i] = low[i], low[stride + i] * scale


@njit
def _merge_slope(low: Floats, mid: Floats, step: int, n: int, length: int, stride: int, to: Floats) -> None:
    mean, slope = low, low[stride:]
    high, high2, to2 = mean[step:], slope[step:], to[stride:]
    share = 1.0 / (2.0 * n + 1.0) if step != n else 0.0
    arm = 0.5 * step * n
    for i in range(length):
        both = (mean[i] + high[i]) * 0.5
        to[i] = both + (mid[i] - both) * share
        to2[i] = (slope[i] + high2[i]) + (high[i] - mean[i]) * arm


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
