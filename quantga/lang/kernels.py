# ruff: noqa: PLR1714, SIM109  # compiled: see kernels_moments
"""The interpreter: computes the nodes of a plan for one block of 512 bars, each by its kernel.

Everything lies in one work array, so that a population's values of a block stay in the processor's caches; columns are
read where they are. All kernels are taken into one function that is compiled once and called by its address.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.core import types

from quantga.lang import kernels_extremes as extremes
from quantga.lang import kernels_memory as memory
from quantga.lang import kernels_moments as moments
from quantga.lang import kernels_pointwise as pointwise
from quantga.lang.bars import Floats, Ints
from quantga.lang.jit import entry, inlined, njit
from quantga.lang.ops import BLOCK, K
from quantga.lang.pointers import FLOATS, INTS, at, borrow, call

(CODE, OUT, FIRST, SECOND, THIRD, WINDOW, FACTOR, HISTORY, TAIL, STATE, FIELDS) = range(11)
"""Fields of a node's row: kernel, places in the work array, windows, how much of its past it keeps, and where."""
SHARE = len(K)
"""The mean of a mask: a count over the window, divided once, so that it equals a level of the same value."""

AND_NOT, DIV_SCALED, WHEN_BOTH, WHEN_FIRST, WHEN_SECOND = -1, -2, -3, -4, -5
"""Two kernels in one: and(a, not(b)); a / b x number; `when` with both, the first or the second branch a number."""

HEADER = 8
"""Numbers at the beginning of a work array; the first one's bits are the address of the interpreter."""
PAST = 1024
"""Bars that every column has before its first block, undefined; so windows up to there read it in place."""
_COLUMN_BITS = 32
_ADD, _SUB, _MUL, _DIV = (
    int(K.ADD),
    int(K.SUB),
    int(K.MUL),
    int(K.DIV),
)
_NEG, _ABS, _MIN, _MAX, _SIGN, _SQUASH = int(K.NEG), int(K.ABS), int(K.MIN), int(K.MAX), int(K.SIGN), int(K.SQUASH)
_POSITIVE, _ADD_LEVEL, _MUL_LEVEL, _CLIP = int(K.POSITIVE), int(K.ADD_LEVEL), int(K.MUL_LEVEL), int(K.CLIP_LEVEL)
_GT, _GT_LEVEL, _LT_LEVEL, _WITHIN, _BETWEEN = (
    int(K.GT),
    int(K.GT_LEVEL),
    int(K.LT_LEVEL),
    int(K.WITHIN),
    int(K.BETWEEN),
)
_AND, _OR, _XOR, _NOT, _WHEN, _SCALE = int(K.AND), int(K.OR), int(K.XOR), int(K.NOT), int(K.WHEN), int(K.SCALE)
_EVERY, _HIGHER, _SUM, _MEAN, _WMA, _STD = (
    int(K.EVERY),
    int(K.HIGHER_MEAN),
    int(K.SUM),
    int(K.MEAN),
    int(K.WMA),
    int(K.STD),
)
_EMA, _HIGHEST, _LOWEST, _SINCE_H, _SINCE_L = (
    int(K.EMA),
    int(K.HIGHEST),
    int(K.LOWEST),
    int(K.SINCE_HIGHEST),
    int(K.SINCE_LOWEST),
)
_SLOPE, _CORR, _BETA, _SKEW = int(K.SLOPE), int(K.CORR), int(K.BETA), int(K.SKEW)
_DEVIATION, _BARS_SINCE = int(K.MEAN_DEVIATION), int(K.BARS_SINCE)


@inlined
def column_place(column: int, shift: int) -> int:
    """Return the place by which a node reads a column `shift` bars back: negative, as against places in the work array."""
    return -1 - ((column << _COLUMN_BITS) | (PAST - shift))


@njit
def run_block(
    nodes: Ints, numbers: Floats, work: Floats, columns: Floats, origin: int, start: int, first: int, last: int
) -> None:
    """Compute nodes first to last (of `Plan.nodes`) for the block whose first bar is row `start`.

    work: of `buffers`. columns: of `column_matrix`, of bars whose row 0 is bar number `origin`. `start` is
    -(origin % BLOCK) for the first block, then BLOCK more each time: blocks are taken in order. Rows outside the bars
    count as undefined.
    """
    lent = borrow(work)
    call(
        lent,
        (borrow(nodes), borrow(numbers), lent, borrow(columns), columns.shape[1], origin, start, first, last),
    )


@cache
def interpreter() -> int:
    """Return the address of the compiled interpreter of this process; it is compiled, or loaded, when first asked for."""
    integers = (types.int64,) * 5
    arguments: tuple[Any, ...] = (INTS, FLOATS, FLOATS, FLOATS, *integers)
    return entry(_run, types.void(*arguments))


def _run(
    nodes: Ints, numbers: Floats, work: Floats, columns: Floats, width: int, origin: int, start: int, first: int,
    last: int,
) -> None:  # fmt: skip
    fresh = start <= 0
    row_of_columns = start + origin % BLOCK
    for v in range(first, last):
        node, number = at(nodes, v * FIELDS), at(numbers, 2 * v)
        keep, tail = node[HISTORY], node[TAIL]
        o = at(work, node[OUT])
        if keep > 0:
            if fresh:
                for i in range(keep):
                    o[i - keep] = np.nan
            elif tail < 0:
                for i in range(keep):
                    o[i - keep] = o[i - keep + BLOCK]
            else:
                kept = at(work, tail)
                for i in range(keep):
                    o[i - keep] = kept[i]
        code = node[CODE]
        a = _operand(work, columns, width, row_of_columns, node[FIRST])
        b = _operand(work, columns, width, row_of_columns, node[SECOND])
        if code < _EVERY:
            c = _operand(work, columns, width, row_of_columns, node[THIRD])
            _run_pointwise(code, number, a, b, c, o)
        else:
            _run_window(node, code, number, work, a, b, origin + start, fresh, o)
        if keep > 0 and tail >= 0:
            kept = at(work, tail)
            for i in range(keep):
                kept[i] = o[BLOCK - keep + i]


@inlined
def _operand(work: Floats, columns: Floats, width: int, row: int, place: int) -> Floats:
    column = (-1 - place) >> _COLUMN_BITS
    offset = (-1 - place) & ((1 << _COLUMN_BITS) - 1)
    found: Floats = at(work, place) if place >= 0 else at(columns, column * width + row + offset)
    return found


@inlined
def _run_pointwise(code: int, number: Floats, a: Floats, b: Floats, c: Floats, o: Floats) -> None:
    if code == _WHEN:
        pointwise.when(a, b, c, o)
    elif code == WHEN_BOTH:
        pointwise.when_both(a, number[0], number[1], o)
    elif code == WHEN_FIRST:
        pointwise.when_first(a, number[0], c, o)
    elif code == WHEN_SECOND:
        pointwise.when_second(a, b, number[1], o)
    elif code == AND_NOT:
        pointwise.and_not(a, b, o)
    elif code == DIV_SCALED:
        pointwise.div(a, b, number[0], o)
    elif code == _GT:
        pointwise.greater(a, b, o)
    elif code == _GT_LEVEL:
        pointwise.above(a, number[0], o)
    elif code == _LT_LEVEL:
        pointwise.below(a, number[0], o)
    elif code == _SUB:
        pointwise.sub(a, b, o)
    elif code == _ADD:
        pointwise.add(a, b, o)
    elif code == _MUL:
        pointwise.mul(a, b, o)
    elif code == _DIV:
        pointwise.div(a, b, 1.0, o)
    elif code == _AND:
        pointwise.both(a, b, o)
    elif code == _OR:
        pointwise.either(a, b, o)
    elif code == _XOR:
        pointwise.one_of(a, b, o)
    elif code == _NOT:
        pointwise.opposite(a, o)
    elif code == _POSITIVE:
        pointwise.positive(a, o)
    elif code == _ADD_LEVEL:
        pointwise.scaled(a, 1.0, number[0], o)
    elif code == _MUL_LEVEL:
        pointwise.scaled(a, number[0], 0.0, o)
    elif code == _NEG:
        pointwise.scaled(a, -1.0, 0.0, o)
    elif code == _MIN:
        pointwise.smaller(a, b, o)
    elif code == _MAX:
        pointwise.larger(a, b, o)
    elif code == _ABS:
        pointwise.absolute(a, o)
    elif code == _SIGN:
        pointwise.sign(a, o)
    elif code == _SQUASH:
        pointwise.squash(a, o)
    elif code == _CLIP:
        pointwise.clip(a, number[0], o)
    elif code == _WITHIN:
        pointwise.within(a, number[0], number[1], o)
    elif code == _BETWEEN:
        pointwise.between(a, number[0], number[1], o)
    elif code == _SCALE:
        pointwise.position(a, o)
    else:
        pointwise.copy(a, o)


@inlined
def _run_window(
    node: Ints, code: int, number: Floats, work: Floats, a: Floats, b: Floats, block: int, fresh: bool, o: Floats
) -> None:
    window, factor, room = node[WINDOW], node[FACTOR], at(work, HEADER)
    x = at(a, 1 - window)
    if code == _EMA:
        memory.exponential(a, number[0], window, factor, fresh, at(work, node[STATE]), o)
    elif code == _MEAN:
        moments.window_mean(x, window, BLOCK, o, room)
    elif code == _SUM or code == SHARE:
        moments.window_sum(x, window, BLOCK, o, room)
        divisor = float(window) if code == SHARE else 1.0
        for i in range(BLOCK):
            total = o[i]
            o[i] = total / divisor if abs(total) <= pointwise.LARGEST else np.nan
    elif code == _STD:
        moments.window_std(x, window, BLOCK, o, room)
    elif code == _WMA:
        moments.window_wma(x, window, BLOCK, o, room)
    elif code == _SLOPE:
        moments.window_slope(x, window, BLOCK, o, room)
    elif code == _CORR:
        moments.window_corr(x, at(b, 1 - window), window, BLOCK, o, room)
    elif code == _BETA:
        moments.window_beta(x, at(b, 1 - window), window, BLOCK, o, room)
    elif code == _SKEW:
        moments.window_skew(x, window, BLOCK, o, room)
    elif code == _DEVIATION:
        moments.window_mean_deviation(x, b, window, BLOCK, o, room)
    elif code == _EVERY:
        memory.every(at(a, 1 - factor), factor, block, o)
    elif code == _HIGHER:
        memory.higher_mean(at(a, 1 - factor * window), factor, window, block, o, room)
    else:
        if code == _HIGHEST or code == _LOWEST:
            extremes.largest(x, window, BLOCK, 1.0 if code == _HIGHEST else -1.0, o, room)
        elif code == _SINCE_H or code == _SINCE_L:
            extremes.window_since(x, window, BLOCK, 1.0 if code == _SINCE_H else -1.0, o, room)
        elif code == _BARS_SINCE:
            extremes.window_bars_since(x, window, BLOCK, o)
        else:
            extremes.window_rank(x, window, BLOCK, o)
        extremes.blank(x, window, BLOCK, o)
