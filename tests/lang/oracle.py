"""The language once more, slow and plain: each window computed anew with numpy, as its definition reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantga.lang.bars import Bars, Floats
from quantga.lang.definitions import Apply, template
from quantga.lang.ops import OPS, K, ema_memory
from quantga.lang.program import Program, arity, number

WINDOW_FUNCTIONS: dict[K, Callable[[Floats], float]] = {
    K.SUM: np.sum,
    K.MEAN: np.mean,
    K.WMA: lambda w: np.average(w, weights=np.arange(1, len(w) + 1)),
    K.STD: lambda w: 0.0 if np.ptp(w) == 0 else np.std(w - w[0]),
    K.HIGHEST: np.max,
    K.LOWEST: np.min,
    K.ANY: np.max,
    K.ALL: np.min,
    K.SINCE_HIGHEST: lambda w: float(np.argmax(w[::-1])),
    K.SINCE_LOWEST: lambda w: float(np.argmin(w[::-1])),
    K.RANK: lambda w: np.mean(w <= w[-1]),
    K.SLOPE: lambda w: np.polyfit(np.arange(len(w)), w - w[0], 1)[0] if len(w) > 1 else np.nan,
    K.MEAN_DEVIATION: lambda w: np.mean(np.abs(w - np.mean(w))) if np.ptp(w) else 0.0,
    K.BARS_SINCE: lambda w: float(np.argmax(w[::-1])) if w.any() else float(len(w)),
}


def skew(w: Floats) -> float:
    off = (w - w[0]) - np.mean(w - w[0])
    return float(np.mean(off**3) / np.mean(off**2) ** 1.5) if np.ptp(w) else np.nan


def comoments(a: Floats, b: Floats) -> tuple[float, float, float]:
    a, b = (a - a[0]) - np.mean(a - a[0]), (b - b[0]) - np.mean(b - b[0])
    return float(np.mean(a * b)), float(np.mean(a * a)), float(np.mean(b * b))


def corr(a: Floats, b: Floats) -> float:
    ab, aa, bb = comoments(a, b)
    return ab / np.sqrt(aa * bb) if np.ptp(a) and np.ptp(b) else np.nan


def beta(a: Floats, b: Floats) -> float:
    ab, _, bb = comoments(a, b)
    return ab / bb if np.ptp(b) else np.nan


def windowed(kernel: K, series: list[Floats], window: int) -> Floats:
    """Apply a windowed kernel; NaN where the window holds one or is not full."""
    function: Callable[..., float]
    function = {K.SKEW: skew, K.CORR: corr, K.BETA: beta}.get(kernel) or WINDOW_FUNCTIONS[kernel]
    out = np.full(len(series[0]), np.nan)
    for t in range(window - 1, len(out)):
        windows = [s[t - window + 1 : t + 1] for s in series]
        if not any(np.isnan(w).any() for w in windows):
            out[t] = function(*windows)
    return out


def exponential(x: Floats, alpha: float, window: int, memory: int) -> Floats:
    """Return the exponential mean: weights normalised by their sum over the values since the last gap."""
    out, run = np.full(len(x), np.nan), 0
    for t in range(len(x)):
        run = 0 if np.isnan(x[t]) else run + 1
        if run >= window:
            n = min(run, memory + 512)
            weights = (1 - alpha) ** np.arange(n)
            out[t] = np.sum(weights * x[t - n + 1 : t + 1][::-1]) / np.sum(weights)
    return out


def lag(x: Floats, bars: int) -> Floats:
    return np.concatenate([np.full(min(bars, len(x)), np.nan), x[: max(len(x) - bars, 0)]])


def completed(x: Floats, factor: int, origin: int, back: int = 0) -> Floats:
    """Return the value at the end of the higher bar completed `back` before the last completed one."""
    rows = (np.arange(len(x)) + origin + 1) // factor * factor - 1 - origin - back * factor
    return np.where(rows >= 0, x[np.maximum(rows, 0)], np.nan)


def strict(mask: Floats, *inputs: Floats) -> Floats:
    return np.where(np.any([np.isnan(i) for i in inputs], axis=0), np.nan, mask.astype(float))


POINTWISE: dict[K, Callable[..., Floats]] = {
    K.ADD: lambda a, b: a + b,
    K.SUB: lambda a, b: a - b,
    K.MUL: lambda a, b: a * b,
    K.DIV: lambda a, b: a / b,
    K.NEG: lambda a: -a,
    K.ABS: np.abs,
    K.MIN: np.minimum,
    K.MAX: np.maximum,
    K.SIGN: np.sign,
    K.SQUASH: lambda a: a / (1 + np.abs(a)),
    K.POSITIVE: lambda a: np.maximum(a, 0),
    K.ADD_LEVEL: lambda a, level: a + level,
    K.MUL_LEVEL: lambda a, level: a * level,
    K.CLIP_LEVEL: lambda a, level: np.clip(a, -abs(level), abs(level)),
    K.GT: lambda a, b: strict(a > b, a, b),
    K.GT_LEVEL: lambda a, level: strict(a > level, a),
    K.LT_LEVEL: lambda a, level: strict(a < level, a),
    K.BETWEEN: lambda a, low, high: strict((low <= a) & (a <= high), a),
    K.WITHIN: lambda a, low, high: strict((low <= a) & (a <= high) if low <= high else (low <= a) | (a <= high), a),
    K.AND: lambda a, b: strict((a == 1) & (b == 1), a, b),
    K.OR: lambda a, b: strict((a == 1) | (b == 1), a, b),
    K.XOR: lambda a, b: strict(a != b, a, b),
    K.NOT: lambda a: strict(a == 0, a),
    K.WHEN: lambda m, a, b: np.where(np.isnan(m), np.nan, np.where(m == 1, a, b)),
    K.SCALE: lambda a: np.clip(a, -1, 1),
}
CONSTANTS = {K.LONG: 1.0, K.SHORT: -1.0, K.FLAT: 0.0, K.HOLD: np.nan}


def apply(tree: Apply, arguments: list[Floats | float], bars: Bars) -> Floats:
    """Compute one operator's definition."""
    series = [apply(s, arguments, bars) if isinstance(s, Apply) else arguments[s] for s in tree.series]
    numbers = [n.value(tuple(a if isinstance(a, float) else np.nan for a in arguments)) for n in tree.numbers]
    kernel = tree.kernel
    if kernel is K.COLUMN:
        return np.array(bars[tree.column])
    if kernel in CONSTANTS or kernel in (K.CONSTANT, K.SCALE_LEVEL):
        return np.full(len(bars), CONSTANTS.get(kernel, numbers[0] if numbers else np.nan))
    if kernel in POINTWISE:
        out = POINTWISE[kernel](*series, *numbers)
        return np.where(np.isfinite(out), out, np.nan)
    return over_time(kernel, series, numbers, bars)


def over_time(kernel: K, series: list[Floats], numbers: list[float], bars: Bars) -> Floats:
    """Apply a kernel that reads the past."""
    window = int(numbers[-1])
    match kernel:
        case K.LAG:
            return lag(series[0], window)
        case K.EVERY:
            return completed(series[0], window, bars.origin)
        case K.HIGHER_MEAN:
            ends = [completed(series[0], int(numbers[0]), bars.origin, k) for k in range(window)]
            return np.sum(ends, axis=0) / window
        case K.EMA:
            return exponential(series[0], 2 / (window + 1), window, ema_memory(window))
        case K.WILDER:
            return exponential(series[0], 1 / window, window, ema_memory(2 * window - 1))
        case _:
            return windowed(kernel, series, window)


def compute(program: Program, bars: Bars) -> Floats:
    """Compute an expression of any kind."""
    stack: list[Floats | float] = []
    with np.errstate(all="ignore"):
        for token in reversed(program.tokens):
            if isinstance(token, str):
                stack.append(np.array(bars[token]))
            elif token >= len(OPS):
                stack.append(number(token))
            else:
                arguments = [stack.pop() for _ in range(arity(token))]
                stack.append(apply(template(OPS[token]), arguments, bars))
    result = stack[0]
    assert not isinstance(result, float)
    return result
