# ruff: noqa: PLR0124  # min, max and `in` compile to other code, or say nothing of NaN
"""Exponential means with a finite memory, and views of completed higher bars.

An exponential mean remembers whole blocks: each block leaves behind its own weighted sum, and the state at a block's
start is those of the last few blocks, weighted. So it needs no history of its argument, and is exact from there on.
"""

from __future__ import annotations

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import inlined
from quantga.lang.kernels_moments import stride_of, window_mean
from quantga.lang.ops import BLOCK
from quantga.lang.pointers import at


@inlined
def power(base: float, exponent: int) -> float:
    """Return base ** exponent by squaring: the same bits on every machine."""
    result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


@inlined
def _run(x: Floats, alpha: float, start: float, out: Floats) -> float:
    """Write the recursion `e += alpha * (x - e)` from `start`; return what the block alone left behind."""
    b = 1.0 - alpha
    b2 = b * b
    b3, b4 = b2 * b, b2 * b2
    e, own = start, 0.0
    for i in range(0, BLOCK, 4):
        u0 = alpha * x[i]
        u1 = alpha * x[i + 1] + b * u0
        u2 = alpha * x[i + 2] + b * u1
        u3 = alpha * x[i + 3] + b * u2
        out[i] = b * e + u0
        out[i + 1] = b2 * e + u1
        out[i + 2] = b3 * e + u2
        e = b4 * e + u3
        own = b4 * own + u3
        out[i + 3] = e
    return own


@inlined
def _run_on(x: Floats, alpha: float, window: int, out: Floats) -> tuple[float, int]:
    """Write the block from its first undefined value on, restarting behind every one; return what is left behind."""
    b = 1.0 - alpha
    own, left, count, first = 0.0, 1.0, BLOCK, 0
    while first < BLOCK and x[first] == x[first]:
        first += 1
    for i in range(first, BLOCK):
        if x[i] != x[i]:
            own, left, count = 0.0, 1.0, 0
            out[i] = np.nan
        else:
            own = b * own + alpha * x[i]
            left *= b
            count += 1
            out[i] = own / (1.0 - left) if count >= window else np.nan
    return own, count


@inlined
def _normalise(b: float, weight: float, out: Floats) -> None:
    """Divide by the sum of the weights so far; `weight` is b to the number of values before the block."""
    b2 = b * b
    b3, b4 = b2 * b, b2 * b2
    for i in range(0, BLOCK, 4):
        out[i] /= 1.0 - weight * b
        out[i + 1] /= 1.0 - weight * b2
        out[i + 2] /= 1.0 - weight * b3
        weight *= b4
        out[i + 3] /= 1.0 - weight


@inlined
def exponential(x: Floats, alpha: float, window: int, memory: int, fresh: bool, state: Floats, out: Floats) -> None:
    """Write the exponential mean of one block, weights normalised by their sum, from `window` values on.

    state: 2 * memory values, of the last `memory` blocks the newest first: what each left behind, and how many values
    ran to its end without a gap. `fresh` forgets them.
    """
    b = 1.0 - alpha
    whole = power(b, BLOCK)
    if fresh:
        for i in range(2 * memory):
            state[i] = 0.0
    start, weight, run = 0.0, 1.0, 0
    for i in range(memory):
        start += weight * state[2 * i]
        count = int(state[2 * i + 1])
        run += count
        if count < BLOCK:
            weight *= power(b, count)
            break
        weight *= whole
    settled = run == memory * BLOCK
    own = _run(x, alpha, start / (1.0 - weight) if settled else start, out)
    if not settled:
        _normalise(b, weight, out)
        for i in range(min(window - 1 - run, BLOCK)):
            out[i] = np.nan
    count = BLOCK
    if own != own:
        own, count = _run_on(x, alpha, window, out)
    for i in range(2 * memory - 1, 1, -1):
        state[i] = state[i - 2]
    state[0], state[1] = own, float(count)


@inlined
def every(x: Floats, factor: int, number: int, out: Floats) -> None:
    """Write the value at the last completed bar of `factor` bars; `number` is the absolute number of the first row.

    x: `factor - 1` values of history and the block.
    """
    phase = (number + 1) % factor
    for i in range(BLOCK):
        out[i] = x[i + factor - 1 - phase]
        phase = phase + 1 if phase + 1 < factor else 0


@inlined
def higher_mean(x: Floats, factor: int, window: int, number: int, out: Floats, room: Floats) -> None:
    """Write the mean over the last `window` completed bars of `factor` bars; x: `factor * window - 1` of history."""
    phase = (number + 1) % factor
    ends = (BLOCK - 1 + phase) // factor + 1
    first = factor - 1 - phase
    stride = stride_of(window, ends)
    taken, mean = at(room, 2 * stride), at(room, 3 * stride)
    for i in range(ends + window - 1):
        taken[i] = x[first + i * factor]
    window_mean(taken, window, ends, mean, room)
    taken_to = 0
    for i in range(BLOCK):
        out[i] = mean[taken_to]
        phase += 1
        if phase == factor:
            phase = 0
            taken_to += 1
