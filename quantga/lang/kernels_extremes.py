# ruff: noqa: FURB136  # min, max and `in` compile to other code, or say nothing of NaN
"""Largest, smallest, their age, and ranks over windows: comparisons alone, so exact by nature.

Conventions as in kernels_moments: `x` holds `rows + window - 1` values, `out` takes `rows`, `room` is scratch.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import njit

_NEVER = -1e18  # a place long before any window


@njit
def _undefined(x: Floats, length: int) -> bool:
    bad = 0
    for i in range(length):
        bad += x[i] != x[i]
    return bad > 0


@njit
def blank(x: Floats, window: int, rows: int, out: Floats) -> None:
    """Set `out` to NaN where the window holds an undefined value."""
    if not _undefined(x, rows + window - 1):
        return
    last = -1
    for i in range(window - 1):
        if x[i] != x[i]:
            last = i
    for i in range(rows):
        if x[i + window - 1] != x[i + window - 1]:
            last = i + window - 1
        if last >= i:
            out[i] = np.nan


@njit
def window_highest(x: Floats, window: int, rows: int, sign: float, out: Floats, room: Floats) -> None:
    """Write the largest value of each window (`sign` 1), or the smallest (`sign` -1)."""
    stride = rows + window
    n, side, low = 1, 0, x
    if window == 1:
        for i in range(rows):
            out[i] = x[i]
    while n < window:
        m = min(2 * n, window)
        length = rows + window - m
        to = out if m == window else room[side * stride : (side + 1) * stride]
        high = low[m - n :]
        if sign > 0.0:
            for i in range(length):
                a, b = low[i], high[i]
                to[i] = a if a > b else b
        else:
            for i in range(length):
                a, b = low[i], high[i]
                to[i] = a if a < b else b
        low, n, side = to, m, 1 - side
    blank(x, window, rows, out)


@njit
def window_since(x: Floats, window: int, rows: int, sign: float, out: Floats, room: Floats) -> None:
    """Write the bars since the window's largest (`sign` 1) or smallest (-1) value, the newest of equals."""
    stride = rows + window
    n, side = 1, 0
    low, age = room[4 * stride : 5 * stride], room[5 * stride : 6 * stride]
    for i in range(rows + window - 1):
        low[i], age[i] = x[i] * sign, 0.0
    while n < window:
        m = min(2 * n, window)
        step = m - n
        to, to_age = room[side * stride : (side + 1) * stride], room[(side + 2) * stride : (side + 3) * stride]
        high, high_age = low[step:], age[step:]
        for i in range(rows + window - m):
            a, b = low[i], high[i]
            old, new = age[i] + step, high_age[i]
            to[i] = a if a > b else b
            to_age[i] = old if a > b else new
        low, age, n, side = to, to_age, m, 1 - side
    for i in range(rows):
        out[i] = age[i]
    blank(x, window, rows, out)


@njit
def window_bars_since(x: Floats, window: int, rows: int, out: Floats, room: Floats) -> None:
    """Write the bars since the mask was last 1, at most `window`."""
    stride = rows + window
    place = room[2 * stride : 3 * stride]
    for i in range(rows + window - 1):
        place[i] = float(i) if x[i] > 0.5 else _NEVER
    window_highest(place, window, rows, 1.0, out, room)
    for i in range(rows):
        age = (i + window - 1.0) - out[i]
        out[i] = age if age < window else float(window)
    blank(x, window, rows, out)


@njit
def window_rank(x: Floats, window: int, rows: int, out: Floats) -> None:
    """Write the share of the window's values that are at most the newest one; O(window)."""
    now = x[window - 1 :]
    for i in range(rows):
        out[i] = 0.0
    lag = 0
    while lag + 4 <= window:
        x0, x1, x2, x3 = x[lag:], x[lag + 1 :], x[lag + 2 :], x[lag + 3 :]
        for i in range(rows):
            v = now[i]
            c0, c1 = 1.0 if x0[i] <= v else 0.0, 1.0 if x1[i] <= v else 0.0
            c2, c3 = 1.0 if x2[i] <= v else 0.0, 1.0 if x3[i] <= v else 0.0
            out[i] += (c0 + c1) + (c2 + c3)
        lag += 4
    for k in range(lag, window):
        x0 = x[k:]
        for i in range(rows):
            out[i] += 1.0 if x0[i] <= now[i] else 0.0
    for i in range(rows):
        out[i] /= window
    blank(x, window, rows, out)
