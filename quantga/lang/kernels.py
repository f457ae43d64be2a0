# ruff: noqa: PLR1714, SIM109  # min, max and `in` compile to other code, or say nothing of NaN
"""The interpreter: computes the nodes of a plan for one block of 512 bars, each by its kernel.

Everything lies in one work array, so that a population's values of a block stay in the processor's caches.
"""

from __future__ import annotations

import numpy as np

from quantga.lang import kernels_extremes as extremes
from quantga.lang import kernels_memory as memory
from quantga.lang import kernels_moments as moments
from quantga.lang import kernels_pointwise as pointwise
from quantga.lang.bars import Floats, Ints
from quantga.lang.jit import inlined, njit
from quantga.lang.ops import BLOCK, K

(CODE, OUT, FIRST, SECOND, THIRD, WINDOW, FACTOR, HISTORY, TAIL, STATE, FIELDS) = range(11)
"""Fields of a node's row: kernel, places in the work array, windows, how much of its past it keeps, and where."""
SHARE = len(K)
"""The mean of a mask: a count over the window, divided once, so that it equals a level of the same value."""

AND_NOT, DIV_SCALED, WHEN_BOTH, WHEN_FIRST, WHEN_SECOND = -1, -2, -3, -4, -5
"""Two kernels in one: and(a, not(b)); a / b x number; `when` with both, the first or the second branch a number."""

_COLUMN, _CONSTANT, _ADD, _SUB, _MUL, _DIV = (
    int(K.COLUMN),
    int(K.CONSTANT),
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
_RANK, _SLOPE, _CORR, _BETA, _SKEW = int(K.RANK), int(K.SLOPE), int(K.CORR), int(K.BETA), int(K.SKEW)
_DEVIATION, _BARS_SINCE = int(K.MEAN_DEVIATION), int(K.BARS_SINCE)


@njit
def run_block(
    nodes: Ints, numbers: Floats, work: Floats, columns: Floats, origin: int, start: int, first: int, last: int
) -> None:
    """Compute nodes first to last (of `Plan.nodes`) for the block whose first bar is row `start`.

    columns: float64[n_columns, n_bars] of bars whose row 0 is bar number `origin`. `start` is -(origin % BLOCK) for the
    first block, then BLOCK more each time: blocks are taken in order. Rows outside the bars count as undefined.
    """
    fresh = start <= 0
    for v in range(first, last):
        out, keep, tail = nodes[v, OUT], nodes[v, HISTORY], nodes[v, TAIL]
        if keep:
            if fresh:
                for i in range(out - keep, out):
                    work[i] = np.nan
            elif tail < 0:
                for i in range(keep):
                    work[out - keep + i] = work[out - keep + BLOCK + i]
            else:
                for i in range(keep):
                    work[out - keep + i] = work[tail + i]
        o = work[out : out + BLOCK]
        if nodes[v, CODE] < _EVERY:
            _run_pointwise(nodes[v], numbers[v], work, columns, start, o)
        else:
            _run_window(nodes[v], numbers[v], work, origin + start, fresh, o)
        if keep and tail >= 0:
            for i in range(keep):
                work[tail + i] = work[out + BLOCK - keep + i]


@inlined
def _run_pointwise(node: Ints, number: Floats, work: Floats, columns: Floats, start: int, o: Floats) -> None:
    code = node[CODE]
    a = work[node[FIRST] : node[FIRST] + BLOCK]
    b = work[node[SECOND] : node[SECOND] + BLOCK]
    if code == _WHEN:
        pointwise.when(a, b, work[node[THIRD] : node[THIRD] + BLOCK], o)
    elif code == WHEN_BOTH:
        pointwise.when_both(a, number[0], number[1], o)
    elif code == WHEN_FIRST:
        pointwise.when_first(a, number[0], work[node[THIRD] : node[THIRD] + BLOCK], o)
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
    elif code == _COLUMN:
        pointwise.load(columns[node[WINDOW]], start, o)
    else:
        pointwise.fill(number[0], o)


@inlined
def _run_window(node: Ints, number: Floats, work: Floats, block: int, fresh: bool, o: Floats) -> None:
    code, window, factor = node[CODE], node[WINDOW], node[FACTOR]
    past = factor - 1 if code == _EVERY else (factor * window - 1 if code == _HIGHER else window - 1)
    x = work[node[FIRST] - past : node[FIRST] + BLOCK]
    room = work[: moments.ROOM * (BLOCK + window)]
    if code == _EMA:
        exponential = work[node[STATE] : node[STATE] + 2 * factor]
        memory.exponential(work[node[FIRST] : node[FIRST] + BLOCK], number[0], window, factor, fresh, exponential, o)
    elif code == _MEAN:
        moments.window_mean(x, window, BLOCK, o, room)
    elif code == _SUM or code == SHARE:
        moments.window_sum(x, window, BLOCK, o, room)
        divisor = float(window) if code == SHARE else 1.0
        for i in range(BLOCK):
            o[i] = o[i] / divisor if abs(o[i]) <= pointwise.LARGEST else np.nan
    elif code == _STD:
        moments.window_std(x, window, BLOCK, o, room)
    elif code == _WMA:
        moments.window_wma(x, window, BLOCK, o, room)
    elif code == _SLOPE:
        stride = BLOCK + window
        moments.window_slope(x, window, BLOCK, room[5 * stride : 6 * stride], o, room)
    elif code == _CORR:
        moments.window_corr(x, work[node[SECOND] - past : node[SECOND] + BLOCK], window, BLOCK, o, room)
    elif code == _BETA:
        moments.window_beta(x, work[node[SECOND] - past : node[SECOND] + BLOCK], window, BLOCK, o, room)
    elif code == _SKEW:
        moments.window_skew(x, window, BLOCK, o, room)
    elif code == _DEVIATION:
        moments.window_mean_deviation(x, window, BLOCK, o, room)
    elif code == _HIGHEST or code == _LOWEST:
        extremes.window_highest(x, window, BLOCK, 1.0 if code == _HIGHEST else -1.0, o, room)
    elif code == _SINCE_H or code == _SINCE_L:
        extremes.window_since(x, window, BLOCK, 1.0 if code == _SINCE_H else -1.0, o, room)
    elif code == _BARS_SINCE:
        extremes.window_bars_since(x, window, BLOCK, o, room)
    elif code == _RANK:
        extremes.window_rank(x, window, BLOCK, o)
    elif code == _EVERY:
        memory.every(x, factor, block, o)
    elif code == _HIGHER:
        memory.higher_mean(x, factor, window, block, o, room)
