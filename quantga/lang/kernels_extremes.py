# ruff: noqa: FURB136  # min, max and `in` compile to other code, or say nothing of NaN
"""Largest, smallest, their age, and ranks over windows: comparisons alone, so exact by nature.

Conventions as in kernels_moments: pointers; `x` holds `rows + window - 1` values, `out` takes `rows`, `room` is scratch.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import inlined
from quantga.lang.kernels_moments import stride_of
from quantga.lang.pointers import at

_NEVER = -1e18  # a place long before any window


@inlined
def blank(x: Floats, window: int, rows: int, out: Floats) -> None:
    """Set `out` to NaN where the window holds an undefined value."""
    bad = 0
    for i in range(rows + window - 1):
        bad += x[i] != x[i]
    if bad > 0:
        last = -1
        for i in range(window - 1):
            if x[i] != x[i]:
                last = i
        for i in range(rows):
            if x[i + window - 1] != x[i + window - 1]:
                last = i + window - 1
            if last >= i:
                out[i] = np.nan


@inlined
def largest(x: Floats, window: int, rows: int, sign: float, out: Floats, room: Floats) -> None:
    """Write the largest value of each window (`sign` 1), or the smallest (`sign` -1), of those without NaN."""
    stride = stride_of(window, rows)
    n, side, low = 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        m = min(2 * n, window)
        length = rows + window - m
        to = out if m == window else at(room, side * stride)
        high = at(low, m - n)
        if sign > 0.0:
            for i in range(length):
                a, b = low[i], high[i]
                to[i] = a if a > b else b
        else:
            for i in range(length):
                a, b = low[i], high[i]
                to[i] = a if a < b else b
        low, n, side = to, m, 1 - side


@inlined
def window_since(x: Floats, window: int, rows: int, sign: float, out: Floats, room: Floats) -> None:
    """Write the bars since the window's largest (`sign` 1) or smallest (-1) value, the newest of equals."""
    stride = stride_of(window, rows)
    n, side = 1, 0
    low, age = at(room, 4 * stride), at(room, 5 * stride)
    for i in range(rows + window - 1):
        low[i], age[i] = x[i] * sign, 0.0
    while n < window:
        m = min(2 * n, window)
        step = m - n
        to, to_age = at(room, side * stride), at(room, (side + 2) * stride)
        high, high_age = at(low, step), at(age, step)
        for i in range(rows + window - m):
            a, b = low[i], high[i]
            old, new = age[i] + step, high_age[i]
            to[i] = a if a > b else b
            to_age[i] = old if a > b else new
        low, age, n, side = to, to_age, m, 1 - side
    for i in range(rows):
        out[i] = age[i]


@inlined
def window_bars_since(x: Floats, window: int, rows: int, out: Floats) -> None:
    """Write the bars since the mask was last 1, at most `window`."""
    last = _NEVER
    for i in range(window - 1):
        last = float(i) if x[i] > 0.5 else last
    for i in range(rows):
        place = i + (window - 1)
        last = float(place) if x[place] > 0.5 else last
        age = place - last
        out[i] = age if age < window else float(window)


@inlined
def window_rank(x: Floats, window: int, rows: int, out: Floats) -> None:
    """Write the share of the window's values that are at most the newest one; O(window)."""
    now = at(x, window - 1)
    for i in range(rows):
        out[i] = 0.0
    lag = 0
    while lag + 8 <= window:
        x0, x1, x2, x3 = at(x, lag), at(x, lag + 1), at(x, lag + 2), at(x, lag + 3)
        x4, x5, x6, x7 = at(x, lag + 4), at(x, lag + 5), at(x, lag + 6), at(x, lag + 7)
        for i in range(rows):
            v = now[i]
            c0, c1 = 1.0 if x0[i] <= v else 0.0, 1.0 if x1[i] <= v else 0.0
            c2, c3 = 1.0 if x2[i] <= v else 0.0, 1.0 if x3[i] <= v else 0.0
            c4, c5 = 1.0 if x4[i] <= v else 0.0, 1.0 if x5[i] <= v else 0.0
            c6, c7 = 1.0 if x6[i] <= v else 0.0, 1.0 if x7[i] <= v else 0.0
            out[i] += ((c0 + c1) + (c2 + c3)) + ((c4 + c5) + (c6 + c7))
        lag += 8
    for k in range(lag, window):
        x0 = at(x, k)
        for i in range(rows):
            out[i] += 1.0 if x0[i] <= now[i] else 0.0
    for i in range(rows):
        out[i] /= window
