# ruff: noqa: FURB136  # min, max and `in` compile to other code, or say nothing of NaN
"""Sums and moments over windows that carry no rounding along, though each costs about what a running window does.

A block's rows are cut into chunks of a window's length. All windows that begin in one chunk hold its last value, the
anchor; so a window is what lies before the anchor and what lies behind it, both summed up once for all of them, as
distances from the anchor. Sums and means double instead: a window of 2n is two windows of n.

Every value depends on its own window alone: it is exact wherever the array began, an undefined value spoils only the
windows that hold it, a distant value harms no other window, and a window of equal values has exactly their mean and
exactly no deviation.

Conventions: arguments are pointers; `x` points at the past of the first row, `rows + window - 1` values; `out` takes
`rows` values; `room` is scratch of at least `ROOM` arrays of `stride_of(window, rows)` values. Undefined is NaN.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import inlined
from quantga.lang.kernels_pointwise import LARGEST
from quantga.lang.lanes import first, minus, pair, plus, put, second, times
from quantga.lang.pointers import at

ROOM = 10
"""Arrays of scratch that a kernel may use."""
SHORT = 12
"""Windows up to here are weighted value by value: that is faster than to sum up chunks of them."""


@inlined
def stride_of(window: int, rows: int) -> int:
    """Return the length of an array of scratch: rows + window, in whole cache lines."""
    return (rows + window + 7) // 8 * 8


@inlined
def _first_bit(window: int) -> int:
    """Return the second highest power of two in `window`'s binary form (0 for a window of 1)."""
    top = 1
    while top * 2 <= window:
        top *= 2
    return top // 2


@inlined
def window_sum(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the sum of each window."""
    stride = stride_of(window, rows)
    bit, n, side, low = _first_bit(window), 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        odd = 1 if window & bit else 0
        m = 2 * n + odd
        to = out if m == window else at(room, side * stride)
        high, mid = at(low, n + odd), at(x, n)
        if odd:
            for i in range(rows + window - m):
                to[i] = (low[i] + high[i]) + mid[i]
        else:
            for i in range(rows + window - m):
                to[i] = low[i] + high[i]
        low, n, bit, side = to, m, bit // 2, 1 - side


@inlined
def window_mean(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the mean of each window."""
    stride = stride_of(window, rows)
    bit, n, side, low = _first_bit(window), 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        odd = 1 if window & bit else 0
        m = 2 * n + odd
        to = out if m == window else at(room, side * stride)
        high, mid = at(low, n + odd), at(x, n)
        if odd:
            share = 1.0 / m
            for i in range(rows + window - m):
                mean = (low[i] + high[i]) * 0.5
                to[i] = mean + (mid[i] - mean) * share
        else:
            for i in range(rows + window - m):
                to[i] = (low[i] + high[i]) * 0.5
        low, n, bit, side = to, m, bit // 2, 1 - side


@inlined
def window_std(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the standard deviation (ddof 0) of each window."""
    back, on = room, at(room, 2 * stride_of(window, rows))  # of each row the sum and that of the squares
    for begin in range(0, rows, window):
        end = begin + window - 1
        anchor, last = x[end], min(window, rows - begin)
        old, new, b, f = at(x, end), at(x, end), at(back, 2 * end), at(on, 2 * begin)
        s = t = pair(anchor - anchor, anchor - anchor)
        put(b, 0, s)
        put(f, 0, t)
        for j in range(1, last):
            d, e = old[-j] - anchor, new[j] - anchor
            s, t = plus(s, pair(d, d * d)), plus(t, pair(e, e * e))
            put(b, -2 * j, s)
            put(f, 2 * j, t)
        for j in range(last, window):
            d = old[-j] - anchor
            s = plus(s, pair(d, d * d))
            put(b, -2 * j, s)
    share = 1.0 / window
    for i in range(rows):
        mean = (back[2 * i] + on[2 * i]) * share
        variance = (back[2 * i + 1] + on[2 * i + 1]) * share - mean * mean
        v = 0.0 if variance < 0.0 else variance
        out[i] = np.sqrt(v) if v <= LARGEST else np.nan


@inlined
def window_skew(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the skewness (biased) of each window; undefined where it does not vary."""
    stride = stride_of(window, rows)
    back, back3, on, on3 = room, at(room, 2 * stride), at(room, 3 * stride), at(room, 5 * stride)
    for begin in range(0, rows, window):
        end = begin + window - 1
        anchor, last, old, new = x[end], min(window, rows - begin), at(x, end), at(x, end)
        b, b3, f, f3 = at(back, 2 * end), at(back3, end), at(on, 2 * begin), at(on3, begin)
        s3 = t3 = anchor - anchor
        s = t = pair(s3, s3)
        put(b, 0, s)
        put(f, 0, t)
        b3[0], f3[0] = s3, t3
        for j in range(1, last):
            d, e = old[-j] - anchor, new[j] - anchor
            dd, ee = d * d, e * e
            s, s3, t, t3 = plus(s, pair(d, dd)), s3 + dd * d, plus(t, pair(e, ee)), t3 + ee * e
            put(b, -2 * j, s)
            put(f, 2 * j, t)
            b3[-j], f3[j] = s3, t3
        for j in range(last, window):
            d = old[-j] - anchor
            dd = d * d
            s, s3 = plus(s, pair(d, dd)), s3 + dd * d
            put(b, -2 * j, s)
            b3[-j] = s3
    share = 1.0 / window
    for i in range(rows):
        mean, square = (back[2 * i] + on[2 * i]) * share, (back[2 * i + 1] + on[2 * i + 1]) * share
        variance = square - mean * mean
        third = (back3[i] + on3[i]) * share - mean * (3.0 * square - 2.0 * mean * mean)
        skew = third / (variance * np.sqrt(variance))
        out[i] = skew if (variance > 0.0) & (abs(skew) <= LARGEST) else np.nan


@inlined
def _comoments(a: Floats, b: Floats, window: int, rows: int, room: Floats) -> None:
    """Leave in `room` the sums of (a, b), (aa, bb) and ab (distances from anchors) before, then behind the anchors."""
    stride = stride_of(window, rows)
    half = 5 * stride
    for begin in range(0, rows, window):
        end = begin + window - 1
        last, x, y, mid = min(window, rows - begin), at(a, end), at(b, end), pair(a[end], b[end])
        nothing = (a[end] - a[end]) + (b[end] - b[end])
        p, pp, pab = at(room, 2 * end), at(room, 2 * stride + 2 * end), at(room, 4 * stride + end)
        s = ss = pair(nothing, nothing)
        sab = nothing
        put(p, 0, s)
        put(pp, 0, ss)
        pab[0] = sab
        for j in range(1, window):
            d = minus(pair(x[-j], y[-j]), mid)
            s, ss, sab = plus(s, d), plus(ss, times(d, d)), sab + first(d) * second(d)
            put(p, -2 * j, s)
            put(pp, -2 * j, ss)
            pab[-j] = sab
        q, qq, qab = (
            at(room, half + 2 * begin), at(room, half + 2 * stride + 2 * begin), at(room, half + 4 * stride + begin),
        )  # fmt: skip
        s = ss = pair(nothing, nothing)
        sab = nothing
        put(q, 0, s)
        put(qq, 0, ss)
        qab[0] = sab
        for j in range(1, last):
            d = minus(pair(x[j], y[j]), mid)
            s, ss, sab = plus(s, d), plus(ss, times(d, d)), sab + first(d) * second(d)
            put(q, 2 * j, s)
            put(qq, 2 * j, ss)
            qab[j] = sab


@inlined
def window_corr(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the correlation of each window, within -1 and 1; undefined where one of them does not vary."""
    stride = stride_of(window, rows)
    share = 1.0 / window
    _comoments(a, b, window, rows, room)
    p, pp, pab = room, at(room, 2 * stride), at(room, 4 * stride)
    q, qq, qab = at(room, 5 * stride), at(room, 7 * stride), at(room, 9 * stride)
    for i in range(rows):
        ma, mb = (p[2 * i] + q[2 * i]) * share, (p[2 * i + 1] + q[2 * i + 1]) * share
        aa = (pp[2 * i] + qq[2 * i]) * share - ma * ma
        bb = (pp[2 * i + 1] + qq[2 * i + 1]) * share - mb * mb
        scale = aa * bb
        corr = ((pab[i] + qab[i]) * share - ma * mb) / np.sqrt(scale)
        corr = 1.0 if corr > 1.0 else corr
        corr = -1.0 if corr < -1.0 else corr
        out[i] = corr if (aa > 0.0) & (scale > 0.0) & (scale <= LARGEST) else np.nan


@inlined
def window_beta(a: Floats, b: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the slope of the regression of `a` on `b` in each window; undefined where `b` does not vary."""
    stride = stride_of(window, rows)
    sums, products = room, at(room, 2 * stride)  # of each row those of a and b; of ab and bb
    sums_on, products_on = at(room, 4 * stride), at(room, 6 * stride)
    for begin in range(0, rows, window):
        end = begin + window - 1
        last, x, y, mid = min(window, rows - begin), at(a, end), at(b, end), pair(a[end], b[end])
        nothing = (a[end] - a[end]) + (b[end] - b[end])
        p, pp, q, qq = at(sums, 2 * end), at(products, 2 * end), at(sums_on, 2 * begin), at(products_on, 2 * begin)
        s = ss = t = tt = pair(nothing, nothing)
        put(p, 0, s)
        put(pp, 0, ss)
        put(q, 0, t)
        put(qq, 0, tt)
        for j in range(1, window):
            d = minus(pair(x[-j], y[-j]), mid)
            s, ss = plus(s, d), plus(ss, times(d, pair(second(d), second(d))))
            put(p, -2 * j, s)
            put(pp, -2 * j, ss)
        for j in range(1, last):
            e = minus(pair(x[j], y[j]), mid)
            t, tt = plus(t, e), plus(tt, times(e, pair(second(e), second(e))))
            put(q, 2 * j, t)
            put(qq, 2 * j, tt)
    share = 1.0 / window
    for i in range(rows):
        ma, mb = (sums[2 * i] + sums_on[2 * i]) * share, (sums[2 * i + 1] + sums_on[2 * i + 1]) * share
        bb = (products[2 * i + 1] + products_on[2 * i + 1]) * share - mb * mb
        beta = ((products[2 * i] + products_on[2 * i]) * share - ma * mb) / bb
        out[i] = beta if (bb > 0.0) & (abs(beta) <= LARGEST) else np.nan


@inlined
def _ramps(x: Floats, window: int, rows: int, room: Floats) -> None:
    """Leave in `room` what weights that grow with time need.

    Before the anchor: the sum of distances, and that weighted 0, 1, 2 … from the window's oldest value on; behind it:
    the sum, and that weighted 0, 1, 2 … from the newest one backwards.
    """
    stride = stride_of(window, rows)
    for begin in range(0, rows, window):
        end = begin + window - 1
        anchor, last, old, new = x[end], min(window, rows - begin), at(x, end), at(x, end)
        b, b2 = at(room, end), at(room, stride + end)
        f, f2 = at(room, 2 * stride + begin), at(room, 3 * stride + begin)
        s = s2 = t = t2 = anchor - anchor
        b[0], b2[0], f[0], f2[0] = s, s2, t, t2
        for j in range(1, last):
            d, e = old[-j] - anchor, new[j] - anchor
            s2, t2 = s2 + s, t2 + t
            s, t = s + d, t + e
            b[-j], b2[-j], f[j], f2[j] = s, s2, t, t2
        for j in range(last, window):
            s2 += s
            s += old[-j] - anchor
            b[-j], b2[-j] = s, s2


@inlined
def _weighted(x: Floats, window: int, rows: int, oldest: float, scale: float, anchored: float, out: Floats) -> None:
    """Write the distances from the window's newest value, weighted `oldest`, oldest + 1 …; O(window)."""
    new = at(x, window - 1)
    for i in range(rows):
        out[i] = (x[i] - new[i]) * oldest
    for k in range(1, window - 1):
        weight, old = oldest + k, at(x, k)
        for i in range(rows):
            out[i] += (old[i] - new[i]) * weight
    for i in range(rows):
        out[i] = new[i] * anchored + out[i] * scale


@inlined
def window_slope(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the regression slope per bar of each window; undefined for a window of 1."""
    stride = stride_of(window, rows)
    arm = 0.5 * (window - 1.0)
    scale = 12.0 / (float(window) * (float(window) * window - 1.0)) if window > 1 else np.nan
    if window <= SHORT:
        _weighted(x, window, rows, -arm, scale, 0.0, out)
        return
    _ramps(x, window, rows, room)
    b, b2, f, f2 = room, at(room, stride), at(room, 2 * stride), at(room, 3 * stride)
    for i in range(rows):
        out[i] = ((b2[i] - f2[i]) + (f[i] - b[i]) * arm) * scale


@inlined
def window_wma(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the linearly weighted mean; the newest value weighs `window`, the oldest 1."""
    stride = stride_of(window, rows)
    many = float(window)
    share = 2.0 / (many * (many + 1.0))
    if window <= SHORT:
        _weighted(x, window, rows, 1.0, share, 1.0, out)
        return
    _ramps(x, window, rows, room)
    b, b2, f, f2 = room, at(room, stride), at(room, 2 * stride), at(room, 3 * stride)
    for begin in range(0, rows, window):
        anchor = x[begin + window - 1]
        for i in range(begin, min(begin + window, rows)):
            out[i] = anchor + ((b2[i] - f2[i]) + (b[i] + f[i] * many)) * share


@inlined
def window_mean_deviation(x: Floats, mean: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the mean absolute distance from the window's mean; O(window).

    That is twice the mean distance of what lies above it. Where the difference of large numbers would leave less than
    ten digits, the distances themselves are summed up.
    """
    for i in range(rows):
        out[i] = 0.0
    lag = 0
    while lag + 8 <= window:
        x0, x1, x2, x3 = at(x, lag), at(x, lag + 1), at(x, lag + 2), at(x, lag + 3)
        x4, x5, x6, x7 = at(x, lag + 4), at(x, lag + 5), at(x, lag + 6), at(x, lag + 7)
        for i in range(rows):
            m = mean[i]
            v0, v1, v2, v3 = x0[i], x1[i], x2[i], x3[i]
            v4, v5, v6, v7 = x4[i], x5[i], x6[i], x7[i]
            v0, v1 = v0 if v0 > m else m, v1 if v1 > m else m
            v2, v3 = v2 if v2 > m else m, v3 if v3 > m else m
            v4, v5 = v4 if v4 > m else m, v5 if v5 > m else m
            v6, v7 = v6 if v6 > m else m, v7 if v7 > m else m
            out[i] += ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
        lag += 8
    for k in range(lag, window):
        x0 = at(x, k)
        for i in range(rows):
            m, v0 = mean[i], x0[i]
            out[i] += v0 if v0 > m else m
    share, close = 1.0 / window, 0
    for i in range(rows):
        m = mean[i]
        deviation = 2.0 * (out[i] * share - m)
        close += deviation <= 1e-6 * abs(m)
        out[i] = deviation
    if close == 0:
        return
    for i in range(rows):
        room[i] = 0.0
    for k in range(window):
        x0 = at(x, k)
        for i in range(rows):
            room[i] += abs(x0[i] - mean[i])
    for i in range(rows):
        near, far = room[i] * share, out[i]
        out[i] = near if far <= 1e-6 * abs(mean[i]) else far
