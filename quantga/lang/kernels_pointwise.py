# ruff: noqa: FURB136, PLR0124  # min, max and `in` compile to other code, or say nothing of NaN
"""Kernels of one bar: arithmetic, comparisons, masks and positions, each over one block of 512.

Arguments are pointers (`quantga.lang.pointers`). Masks are 1, 0 or NaN. NaN in gives NaN out (a `when` reads only the branch it takes); what overflows is NaN.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import inlined
from quantga.lang.ops import BLOCK

LARGEST = 1e300
"""What is larger has overflowed: sums of such values over any window are still finite."""


@inlined
def add(a: Floats, b: Floats, o: Floats) -> None:
    """Write a + b."""
    for i in range(BLOCK):
        v = a[i] + b[i]
        o[i] = v if abs(v) <= LARGEST else np.nan


@inlined
def sub(a: Floats, b: Floats, o: Floats) -> None:
    """Write a - b."""
    for i in range(BLOCK):
        v = a[i] - b[i]
        o[i] = v if abs(v) <= LARGEST else np.nan


@inlined
def mul(a: Floats, b: Floats, o: Floats) -> None:
    """Write a * b."""
    for i in range(BLOCK):
        v = a[i] * b[i]
        o[i] = v if abs(v) <= LARGEST else np.nan


@inlined
def div(a: Floats, b: Floats, factor: float, o: Floats) -> None:
    """Write a / b x factor, undefined where b is 0."""
    for i in range(BLOCK):
        v = a[i] / b[i] * factor
        o[i] = v if abs(v) <= LARGEST else np.nan


@inlined
def absolute(a: Floats, o: Floats) -> None:
    """Write |a|."""
    for i in range(BLOCK):
        o[i] = abs(a[i])


@inlined
def smaller(a: Floats, b: Floats, o: Floats) -> None:
    """Write min(a, b)."""
    for i in range(BLOCK):
        x, y = a[i], b[i]
        v = x if x < y else y
        o[i] = v if x == x else np.nan


@inlined
def larger(a: Floats, b: Floats, o: Floats) -> None:
    """Write max(a, b)."""
    for i in range(BLOCK):
        x, y = a[i], b[i]
        v = x if x > y else y
        o[i] = v if x == x else np.nan


@inlined
def sign(a: Floats, o: Floats) -> None:
    """Write -1, 0 or 1."""
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if x > 0.0 else 0.0
        w = 1.0 if x < 0.0 else 0.0
        o[i] = v - w if x == x else np.nan


@inlined
def squash(a: Floats, o: Floats) -> None:
    """Write a / (1 + |a|)."""
    for i in range(BLOCK):
        x = a[i]
        o[i] = x / (1.0 + abs(x))


@inlined
def positive(a: Floats, o: Floats) -> None:
    """Write a where above 0, else 0."""
    for i in range(BLOCK):
        x = a[i]
        o[i] = 0.0 if x <= 0.0 else x


@inlined
def scaled(a: Floats, factor: float, plus: float, o: Floats) -> None:
    """Write factor * a + plus (one of them neutral)."""
    for i in range(BLOCK):
        v = a[i] * factor + plus
        o[i] = v if abs(v) <= LARGEST else np.nan


@inlined
def clip(a: Floats, limit: float, o: Floats) -> None:
    """Write `a` held within -|limit| and |limit|."""
    limit = abs(limit)
    for i in range(BLOCK):
        x = a[i]
        v = limit if x > limit else x
        w = -limit if v < -limit else v
        o[i] = w if x == x else np.nan


@inlined
def greater(a: Floats, b: Floats, o: Floats) -> None:
    """Write a > b."""
    for i in range(BLOCK):
        x, y = a[i], b[i]
        v = 1.0 if x > y else 0.0
        o[i] = v if (x == x) & (y == y) else np.nan


@inlined
def above(a: Floats, level: float, o: Floats) -> None:
    """Write a > level."""
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if x > level else 0.0
        o[i] = v if x == x else np.nan


@inlined
def below(a: Floats, level: float, o: Floats) -> None:
    """Write a < level."""
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if x < level else 0.0
        o[i] = v if x == x else np.nan


@inlined
def between(a: Floats, low: float, high: float, o: Floats) -> None:
    """Write low <= a <= high."""
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if (x >= low) & (x <= high) else 0.0
        o[i] = v if x == x else np.nan


@inlined
def within(a: Floats, first: float, last: float, o: Floats) -> None:
    """Write first <= clock <= last; where first > last the span runs round the end of the day or week."""
    if first <= last:
        between(a, first, last, o)
        return
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if (x >= first) | (x <= last) else 0.0
        o[i] = v if x == x else np.nan


@inlined
def both(a: Floats, b: Floats, o: Floats) -> None:
    """Write a and b."""
    for i in range(BLOCK):
        o[i] = a[i] * b[i]


@inlined
def and_not(a: Floats, b: Floats, o: Floats) -> None:
    """Write a and not b."""
    for i in range(BLOCK):
        o[i] = a[i] * (1.0 - b[i])


@inlined
def either(a: Floats, b: Floats, o: Floats) -> None:
    """Write a or b."""
    for i in range(BLOCK):
        x, y = a[i], b[i]
        o[i] = (x + y) - x * y


@inlined
def one_of(a: Floats, b: Floats, o: Floats) -> None:
    """Write a xor b."""
    for i in range(BLOCK):
        o[i] = abs(a[i] - b[i])


@inlined
def opposite(a: Floats, o: Floats) -> None:
    """Write not a."""
    for i in range(BLOCK):
        o[i] = 1.0 - a[i]


@inlined
def when(mask: Floats, a: Floats, b: Floats, o: Floats) -> None:
    """Write a where the mask is 1, b where it is 0; undefined where the mask is."""
    for i in range(BLOCK):
        m, x, y = mask[i], a[i], b[i]
        v = x if m > 0.5 else y
        o[i] = v if m == m else np.nan


@inlined
def when_both(mask: Floats, a: float, b: float, o: Floats) -> None:
    """Write `when` of two numbers."""
    for i in range(BLOCK):
        m = mask[i]
        v = a if m > 0.5 else b
        o[i] = v if m == m else np.nan


@inlined
def when_first(mask: Floats, a: float, b: Floats, o: Floats) -> None:
    """Write `when` of a number and a series."""
    for i in range(BLOCK):
        m, y = mask[i], b[i]
        v = a if m > 0.5 else y
        o[i] = v if m == m else np.nan


@inlined
def when_second(mask: Floats, a: Floats, b: float, o: Floats) -> None:
    """Write `when` of a series and a number."""
    for i in range(BLOCK):
        m, x = mask[i], a[i]
        v = x if m > 0.5 else b
        o[i] = v if m == m else np.nan


@inlined
def position(a: Floats, o: Floats) -> None:
    """Write `a` held within -1 and 1."""
    for i in range(BLOCK):
        x = a[i]
        v = 1.0 if x > 1.0 else x
        w = -1.0 if v < -1.0 else v
        o[i] = w if x == x else np.nan


@inlined
def copy(a: Floats, o: Floats) -> None:
    """Write a."""
    for i in range(BLOCK):
        o[i] = a[i]
