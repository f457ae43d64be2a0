"""The operator table: every word a strategy may use, with its kinds, its meaning and how far it looks back.

Adding an operator is adding a row: parser, generator, evaluator, property tests and the reference (`quantga ops`) read
this table. A row is a *primitive*, computed by one kernel, or a *definition* in terms of kernels and other rows; so an
indicator inherits lookback, exactness and causality from its parts, and parts are shared between indicators.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from quantga.lang.kinds import VALUES, Kind

K = enum.IntEnum(
    "K",
    "COLUMN CONSTANT ADD SUB MUL DIV NEG ABS MIN MAX SIGN SQUASH POSITIVE ADD_LEVEL MUL_LEVEL CLIP_LEVEL "
    "GT GT_LEVEL LT_LEVEL WITHIN BETWEEN AND OR XOR NOT WHEN SCALE SCALE_LEVEL LONG SHORT FLAT HOLD "
    "LAG EVERY HIGHER_MEAN SUM MEAN WMA STD EMA WILDER HIGHEST LOWEST SINCE_HIGHEST SINCE_LOWEST RANK SLOPE "
    "CORR BETA SKEW MEAN_DEVIATION ANY ALL BARS_SINCE",
    start=0,
)
"""Kernel codes. In a definition a kernel is named by its lower-case name."""

BLOCK = 512
"""Bars per block, aligned on the absolute bar number: windowed state is rebuilt from its own window at each."""


@dataclass(frozen=True, slots=True)
class Op:
    """One row, `name(args) -> ret`, with every kind variable bound.

    `meaning` is a kernel, or a definition in which "$1" stands for the first argument. `scale` names the ladder of
    LEVELS for its Level arguments and, where it returns a Ratio, for the levels that its values are compared with.
    """

    code: int
    name: str
    args: tuple[Kind, ...]
    ret: Kind
    meaning: K | str
    scale: str
    column: str
    commutative: bool
    doc: str


def ema_memory(span: int) -> int:
    """Bars, in whole blocks, that an exponential mean of `span` remembers; the weight left outside is below e^-16."""
    return -(-8 * span // BLOCK) * BLOCK


def kernel_lookback(kernel: K, windows: tuple[int, ...]) -> int:
    """Bars of history, besides the current one, from which the kernel is defined."""
    match kernel:
        case K.LAG:
            return windows[0]
        case K.HIGHER_MEAN:
            return windows[0] * windows[1] - 1
        case _:
            return windows[0] - 1 if windows else 0


def kernel_reach(kernel: K, windows: tuple[int, ...]) -> int:
    """Bars of history from which the kernel is bit-exact wherever the array began."""
    match kernel:
        case K.EMA:
            return ema_memory(windows[0]) + BLOCK - 1
        case K.WILDER:
            return ema_memory(2 * windows[0] - 1) + BLOCK - 1
        case K.LAG | K.EVERY | K.HIGHER_MEAN:
            return kernel_lookback(kernel, windows)
        case _:
            return windows[0] + BLOCK - 1 if windows else 0


type Row = tuple[str, str, K | str, str, str]


def _leaves() -> Iterator[Row]:
    for name in ("open", "high", "low", "close"):
        yield name, "-> Price", K.COLUMN, "", f"{name} of the bar"
    for name in ("open", "high", "low", "close"):
        yield f"ref_{name}", "-> RefPrice", K.COLUMN, "", f"{name} of the reference asset's bar"
    yield "volume", "-> Size", K.COLUMN, "", "volume in base units"
    yield "ref_volume", "-> RefSize", K.COLUMN, "", "volume of the reference asset"
    yield "open_interest", "-> Size", K.COLUMN, "", "open interest in base units"
    yield "funding", "-> Ratio", K.COLUMN, "rate", "last funding rate published before the close, per hour"
    yield "ref_funding", "-> Ratio", K.COLUMN, "rate", "the same of the reference asset"
    yield "premium", "-> Ratio", K.COLUMN, "rate", "mark price over oracle price, less 1"
    yield "hour", "-> Clock", K.COLUMN, "hour", "hour of day (UTC) in which the bar opened, 0 to 23"
    yield "weekday", "-> Clock", K.COLUMN, "weekday", "day of week (UTC) on which the bar opened, Monday = 0"
    yield "typical", "-> Price", "div(add(add(high, low), close), constant(3))", "", "(high + low + close) / 3"
    yield "ret", "-> Ratio", "change(close, 1)", "return", "close over the previous close, less 1"
    yield "ref_ret", "-> Ratio", "change(ref_close, 1)", "return", "the same of the reference asset"
    yield (
        "true_range",
        "-> Price",
        ("max(sub(high, low), max(abs(sub(high, lag(close, 1))), abs(sub(lag(close, 1), low))))"),
        "",
        "Wilder's true range",
    )
    yield "long", "-> Position", K.LONG, "", "hold +1 of the allowed size"
    yield "short", "-> Position", K.SHORT, "", "hold -1 of the allowed size"
    yield "flat", "-> Position", K.FLAT, "", "hold nothing"
    yield "hold", "-> Position", K.HOLD, "", "keep what there is"


def _arithmetic() -> Iterator[Row]:
    yield "add", "T T -> T", K.ADD, "", "a + b"
    yield "sub", "T T -> T", K.SUB, "", "a - b"
    yield "mul", "Ratio Ratio -> Ratio", K.MUL, "score", "a x b"
    yield "mul", "T Level -> T", K.MUL_LEVEL, "times", "a x level"
    yield "add", "Ratio Level -> Ratio", K.ADD_LEVEL, "score", "a + level"
    yield "div", "T T -> Ratio", K.DIV, "times", "a / b; undefined where b is 0"
    yield "neg", "Ratio -> Ratio", K.NEG, "score", "-a"
    yield "abs", "Ratio -> Ratio", K.ABS, "score", "|a|"
    yield "min", "T T -> T", K.MIN, "", "the smaller"
    yield "max", "T T -> T", K.MAX, "", "the larger"
    yield "sign", "Ratio -> Ratio", K.SIGN, "score", "-1, 0 or 1"
    yield "squash", "Ratio -> Ratio", K.SQUASH, "score", "a / (1 + |a|)"
    yield "clip", "Ratio Level -> Ratio", K.CLIP_LEVEL, "width", "a held within -level and level"


def _masks() -> Iterator[Row]:
    yield "gt", "T T -> Mask", K.GT, "", "a > b"
    yield "lt", "T T -> Mask", "gt($2, $1)", "", "a < b"
    yield "gt", "Ratio Level -> Mask", K.GT_LEVEL, "score", "a > level"
    yield "lt", "Ratio Level -> Mask", K.LT_LEVEL, "score", "a < level"
    yield "between", "Ratio Level Level -> Mask", K.BETWEEN, "score", "low <= a <= high"
    yield "within", "Clock Level Level -> Mask", K.WITHIN, "hour", "from <= clock <= to; round the end if from > to"
    yield "and", "Mask Mask -> Mask", K.AND, "", "both"
    yield "or", "Mask Mask -> Mask", K.OR, "", "either"
    yield "xor", "Mask Mask -> Mask", K.XOR, "", "exactly one"
    yield "not", "Mask -> Mask", K.NOT, "", "the opposite"
    yield "was", "Mask Window -> Mask", K.LAG, "", "the mask `window` bars ago"
    yield "any", "Mask Window -> Mask", K.ANY, "", "true on any of the last `window` bars"
    yield "all", "Mask Window -> Mask", K.ALL, "", "true on all of the last `window` bars"
    yield "share", "Mask Window -> Ratio", K.MEAN, "unit", "share of the last `window` bars on which it was true"
    yield "bars_since", "Mask Window -> Ratio", K.BARS_SINCE, "bars", "bars since it was last true, at most `window`"
    over, under = "and({0}($1, $2), not(lag({0}($1, $2), 1)))", "and({0}, not(lag({0}, 1)))"
    yield "cross_over", "T T -> Mask", over.format("gt"), "", "a rises above b"
    yield "cross_under", "T T -> Mask", under.format("gt($2, $1)"), "", "a falls below b"
    yield "cross_over", "Ratio Level -> Mask", over.format("gt_level"), "score", "a rises above level"
    yield "cross_under", "Ratio Level -> Mask", over.format("lt_level"), "score", "a falls below level"
    yield "rising", "T Window -> Mask", "gt($1, lag($1, $2))", "", "above its value `window` bars ago"
    yield "falling", "T Window -> Mask", "gt(lag($1, $2), $1)", "", "below its value `window` bars ago"
    yield "when", "Mask T T -> T", K.WHEN, "", "a where the mask is true, else b"
    yield "when", "Mask Position Position -> Position", K.WHEN, "", "a where the mask is true, else b"
    yield "scale", "Ratio -> Position", K.SCALE, "", "the ratio, held within -1 and 1, as a position"
    yield "scale", "Level -> Position", K.SCALE_LEVEL, "size", "a fixed part of the allowed size"


def _windows() -> Iterator[Row]:
    yield "lag", "T Window -> T", K.LAG, "", "the value `window` bars ago"
    yield "diff", "T Window -> T", "sub($1, lag($1, $2))", "", "the value less that of `window` bars ago"
    yield "change", "T Window -> Ratio", "add_level(div($1, lag($1, $2)), -1)", "return", "relative change"
    yield "sum", "Ratio Window -> Ratio", K.SUM, "score", "sum"
    yield "mean", "T Window -> T", K.MEAN, "", "simple mean"
    yield "wma", "T Window -> T", K.WMA, "", "linearly weighted mean; the newest weighs most"
    yield "ema", "T Window -> T", K.EMA, "", "exponential mean, alpha = 2 / (window + 1)"
    yield "wilder", "T Window -> T", K.WILDER, "", "exponential mean, alpha = 1 / window"
    yield "std", "T Window -> T", K.STD, "", "standard deviation (ddof 0)"
    yield "highest", "T Window -> T", K.HIGHEST, "", "largest value"
    yield "lowest", "T Window -> T", K.LOWEST, "", "smallest value"
    yield "since_highest", "T Window -> Ratio", K.SINCE_HIGHEST, "bars", "bars since the largest; the newest of equals"
    yield "since_lowest", "T Window -> Ratio", K.SINCE_LOWEST, "bars", "bars since the smallest; the newest of equals"
    yield "rank", "T Window -> Ratio", K.RANK, "unit", "share of the window's values that are <= the current one"
    yield "zscore", "T Window -> Ratio", "div(sub($1, mean($1, $2)), std($1, $2))", "score", "distance from mean in std"
    yield "slope", "T Window -> T", K.SLOPE, "", "slope of the regression line, per bar"
    yield "trend", "T Window -> Ratio", "div(slope($1, $2), std($1, $2))", "unit", "regression slope, in std per bar"
    yield "skew", "Ratio Window -> Ratio", K.SKEW, "score", "skewness (biased)"
    yield "mean_dev", "T Window -> T", K.MEAN_DEVIATION, "", "mean absolute distance from the mean"
    yield "corr", "Ratio Ratio Window -> Ratio", K.CORR, "unit", "correlation"
    yield "beta", "Ratio Ratio Window -> Ratio", K.BETA, "times", "regression slope of a on b"
    yield (
        "efficiency",
        "T Window -> Ratio",
        ("div(sub($1, lag($1, $2)), sum(abs(sub($1, lag($1, 1))), $2))"),
        "unit",
        "net move over the path walked, signed (Kaufman)",
    )


def _higher() -> Iterator[Row]:
    yield "every", "T Factor -> T", K.EVERY, "", "the value at the last completed bar of `factor` times the interval"
    yield "higher_open", "Factor -> Price", "every(lag(open, $1-1), $1)", "", "open of the last completed higher bar"
    yield "higher_high", "Factor -> Price", "every(highest(high, $1), $1)", "", "its high"
    yield "higher_low", "Factor -> Price", "every(lowest(low, $1), $1)", "", "its low"
    yield "higher_close", "Factor -> Price", "every(close, $1)", "", "its close"
    yield "higher_volume", "Factor -> Size", "every(sum(volume, $1), $1)", "", "its volume"
    yield "higher_mean", "T Factor Window -> T", K.HIGHER_MEAN, "", "mean over the last `window` completed higher bars"
    yield (
        "higher_change",
        "T Factor Window -> Ratio",
        ("every(add_level(div($1, lag($1, $2*$3)), -1), $2)"),
        "return",
        "relative change over `window` completed higher bars",
    )
    up, down = "positive(sub($1, lag($1, $2)))", "positive(sub(lag($1, $2), $1))"
    yield (
        "higher_rsi",
        "T Factor Window -> Ratio",
        (f"percent(higher_mean({up}, $2, $3), higher_mean({down}, $2, $3))"),
        "percent",
        "relative strength (simple means, Cutler) on completed higher bars",
    )


def _indicators() -> Iterator[Row]:
    percent_k = "mul_level(div(sub(close, lowest(low, $1)), sub(highest(high, $1), lowest(low, $1))), 100)"
    aroon = "mul_level(div(sub(constant($1), {0}($1+1)), constant($1)), 100)"
    yield (
        "rsi",
        "T Window -> Ratio",
        "percent(wilder(gain($1), $2), wilder(loss($1), $2))",
        "percent",
        ("Wilder's relative strength, 0 to 100"),
    )
    yield "atr", "Window -> Price", "wilder(true_range, $1)", "", "Wilder's average true range"
    yield "natr", "Window -> Ratio", "div(atr($1), close)", "return", "average true range over close"
    yield "bb_upper", "T Window Level -> T", "add(mean($1, $2), mul_level(std($1, $2), $3))", "width", "upper Bollinger"
    yield "bb_lower", "T Window Level -> T", "sub(mean($1, $2), mul_level(std($1, $2), $3))", "width", "lower Bollinger"
    yield "bb_width", "T Window -> Ratio", "div(std($1, $2), mean($1, $2))", "return", "std over mean"
    yield "donchian_high", "Window -> Price", "highest(high, $1)", "", "highest high"
    yield "donchian_low", "Window -> Price", "lowest(low, $1)", "", "lowest low"
    yield (
        "donchian_mid",
        "Window -> Price",
        "mul_level(add(highest(high, $1), lowest(low, $1)), 0.5)",
        "",
        ("middle of highest high and lowest low"),
    )
    yield (
        "keltner_upper",
        "Window Level -> Price",
        "add(ema(close, $1), mul_level(atr($1), $2))",
        "width",
        ("exponential mean plus `level` average true ranges"),
    )
    yield (
        "keltner_lower",
        "Window Level -> Price",
        "sub(ema(close, $1), mul_level(atr($1), $2))",
        "width",
        ("exponential mean less `level` average true ranges"),
    )
    yield "macd", "T Window Window -> T", "sub(ema($1, $2), ema($1, $3))", "", "fast less slow exponential mean"
    yield "macd_signal", "T Window Window Window -> T", "ema(macd($1, $2, $3), $4)", "", "exponential mean of macd"
    yield (
        "macd_hist",
        "T Window Window Window -> T",
        ("sub(macd($1, $2, $3), ema(macd($1, $2, $3), $4))"),
        "",
        "macd less its signal",
    )
    yield "plus_di", "Window -> Ratio", "mul_level(div(wilder(plus_dm, $1), atr($1)), 100)", "percent", "Wilder's +DI"
    yield "minus_di", "Window -> Ratio", "mul_level(div(wilder(minus_dm, $1), atr($1)), 100)", "percent", "Wilder's -DI"
    yield (
        "adx",
        "Window -> Ratio",
        ("wilder(disparity(wilder(plus_dm, $1), wilder(minus_dm, $1)), $1)"),
        "percent",
        "Wilder's average directional index",
    )
    yield "stoch_k", "Window -> Ratio", percent_k, "percent", "fast stochastic %K"
    yield "stoch_d", "Window Window -> Ratio", "mean(stoch_k($1), $2)", "percent", "mean of %K"
    yield "williams_r", "Window -> Ratio", f"add_level({percent_k}, -100)", "percent", "Williams %R, -100 to 0"
    yield (
        "cci",
        "Window -> Ratio",
        ("div(sub(typical, mean(typical, $1)), mul_level(mean_deviation(typical, $1), 0.015))"),
        "percent",
        "commodity channel index",
    )
    yield "mfi", "Window -> Ratio", "percent(sum(money_in, $1), sum(money_out, $1))", "percent", "money flow index"
    yield "aroon_up", "Window -> Ratio", aroon.format("since_high"), "percent", "Aroon up, 0 to 100"
    yield "aroon_down", "Window -> Ratio", aroon.format("since_low"), "percent", "Aroon down, 0 to 100"
    yield "volatility", "Window -> Ratio", "std(ret, $1)", "return", "std of returns per bar"
    yield (
        "vwap",
        "Window -> Price",
        "div(sum(mul(typical, volume), $1), sum(volume, $1))",
        "",
        ("volume-weighted mean of the typical price"),
    )
    yield "volume_ratio", "Window -> Ratio", "div(volume, mean(volume, $1))", "times", "volume over its mean"
    yield (
        "flow",
        "Window -> Ratio",
        ("div(sum(mul(sign(sub(close, lag(close, 1))), volume), $1), sum(volume, $1))"),
        "unit",
        "volume of up bars less that of down bars, over all volume",
    )
    yield "funding_mean", "Window -> Ratio", "mean(funding, $1)", "rate", "mean funding rate"
    yield "funding_z", "Window -> Ratio", "zscore(funding, $1)", "score", "funding rate, in std from its mean"
    yield "ref_corr", "Window -> Ratio", "corr(ret, ref_ret, $1)", "unit", "correlation with the reference's returns"
    yield "ref_beta", "Window -> Ratio", "beta(ret, ref_ret, $1)", "times", "beta on the reference's returns"


PARTS = {
    "gain": "positive(sub($1, lag($1, 1)))",
    "loss": "positive(sub(lag($1, 1), $1))",
    "percent": "mul_level(div($1, add($1, $2)), 100)",
    "disparity": "mul_level(div(abs(sub($1, $2)), add($1, $2)), 100)",
    "up_move": "sub(high, lag(high, 1))",
    "down_move": "sub(lag(low, 1), low)",
    "plus_dm": "mul(gt(up_move, down_move), positive(up_move))",
    "minus_dm": "mul(gt(down_move, up_move), positive(down_move))",
    "money_in": "mul(gt(typical, lag(typical, 1)), mul(typical, volume))",
    "money_out": "mul(gt(lag(typical, 1), typical), mul(typical, volume))",
    "since_high": "since_highest(high, $1)",
    "since_low": "since_lowest(low, $1)",
}
"""Words that only definitions use."""

COMMUTATIVE = (K.ADD, K.MUL, K.MIN, K.MAX, K.AND, K.OR, K.XOR, K.CORR)
_COLUMNS = {"funding": "funding_rate", "ref_funding": "ref_funding_rate"}


def _bind(rows: Iterator[Row]) -> Iterator[Op]:
    code = 0
    for name, signature, meaning, scale, doc in rows:
        left, _, right = signature.partition("->")
        for kind in VALUES if "T" in signature.split() else (Kind.RATIO,):
            args = tuple(kind if word == "T" else Kind(word) for word in left.split())
            ret = kind if right.strip() == "T" else Kind(right.strip())
            column = _COLUMNS.get(name, name) if meaning is K.COLUMN else ""
            yield Op(code, name, args, ret, meaning, scale, column, meaning in COMMUTATIVE, doc)
            code += 1


def _rows() -> Iterator[Row]:
    for part in (_leaves, _arithmetic, _masks, _windows, _higher, _indicators):
        yield from part()


OPS: tuple[Op, ...] = tuple(_bind(_rows()))
"""Every row; an op's code is its place here. Only texts are stored, never codes."""

BY_NAME: dict[str, tuple[Op, ...]] = {
    name: tuple(op for op in OPS if op.name == name) for name in dict.fromkeys(op.name for op in OPS)
}
