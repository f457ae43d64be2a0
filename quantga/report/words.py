"""A rule in English, from the operator table: a phrase per word of the language, and sentences for the whole.

Every operator of the table has its phrase here; a test walks over the table, so a new operator brings its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantga.lang.genes import ATR_WINDOW, VOLATILITY_WINDOW, Genes
from quantga.lang.kinds import Kind
from quantga.lang.ops import OPS, Op
from quantga.lang.program import Program, Token, arity, number, span

PHRASES = {
    "open": "the open", "high": "the high", "low": "the low", "close": "the close", "volume": "the volume",
    "ref_open": "the open of {ref}", "ref_high": "the high of {ref}", "ref_low": "the low of {ref}",
    "ref_close": "the close of {ref}", "ref_volume": "the volume of {ref}", "ref_funding": "the funding rate of {ref}",
    "ref_ret": "the last return of {ref}", "open_interest": "the open interest", "funding": "the funding rate per hour",
    "premium": "the premium of mark over oracle price", "hour": "the time of day", "weekday": "the day of the week",
    "typical": "the typical price", "ret": "the last return", "true_range": "the true range",
    "long": "go long", "short": "go short", "flat": "hold nothing", "hold": "keep what there is",
    "add": "{0} + {1}", "sub": "{0} − {1}", "mul": "{0} × {1}", "div": "{0} ÷ {1}", "neg": "minus {0}",
    "abs": "the absolute value of {0}", "min": "the smaller of {0} and {1}", "max": "the larger of {0} and {1}",
    "sign": "the sign of {0}", "squash": "{0}, squashed into −1 to 1", "clip": "{0}, held within ±{1}",
    "gt": "{0} is above {1}", "lt": "{0} is below {1}", "between": "{0} is between {1} and {2}",
    "within": "{0} is from {1} to {2}", "and": "{0} and {1}", "or": "{0} or {1}",
    "xor": "exactly one of these holds: {0}; {1}", "not": "it is not so that {0}",
    "was": "{1} bars ago it was so that {0}", "any": "on at least one of the last {1} bars, {0}",
    "all": "on each of the last {1} bars, {0}", "share": "the share of the last {1} bars on which {0}",
    "bars_since": "the number of bars since {0} (counted up to {1})",
    "cross_over": "{0} rises above {1}", "cross_under": "{0} falls below {1}",
    "rising": "{0} is above its value {1} bars ago", "falling": "{0} is below its value {1} bars ago",
    "when": "{1} if {0}, else {2}", "scale": "hold a position of {0}, within −1 and 1, of the allowed size",
    "lag": "{0} of {1} bars ago", "diff": "the {1}-bar difference of {0}", "change": "the {1}-bar change of {0}",
    "sum": "the {1}-bar sum of {0}", "mean": "the {1}-bar mean of {0}", "wma": "the {1}-bar weighted mean of {0}",
    "ema": "the {1}-bar exponential mean of {0}", "wilder": "the {1}-bar Wilder mean of {0}",
    "std": "the {1}-bar standard deviation of {0}", "highest": "the {1}-bar highest of {0}",
    "lowest": "the {1}-bar lowest of {0}", "since_highest": "the number of bars since the {1}-bar highest of {0}",
    "since_lowest": "the number of bars since the {1}-bar lowest of {0}",
    "rank": "the rank of {0} among its last {1} values (0 to 1)", "zscore": "the {1}-bar z-score of {0}",
    "slope": "the {1}-bar slope of {0}", "trend": "the {1}-bar trend of {0} (slope over standard deviation)",
    "skew": "the {1}-bar skewness of {0}", "mean_dev": "the {1}-bar mean deviation of {0}",
    "corr": "the {2}-bar correlation of {0} with {1}", "beta": "the {2}-bar beta of {0} on {1}",
    "efficiency": "the {1}-bar efficiency of {0} (net move over path)",
    "every": "{0} at the last completed {1}-bar block", "higher_open": "the open of the last completed {0}-bar block",
    "higher_high": "the high of the last completed {0}-bar block",
    "higher_low": "the low of the last completed {0}-bar block",
    "higher_close": "the close of the last completed {0}-bar block",
    "higher_volume": "the volume of the last completed {0}-bar block",
    "higher_mean": "the mean of {0} over the last {2} completed {1}-bar blocks",
    "higher_change": "the change of {0} over the last {2} completed {1}-bar blocks",
    "higher_rsi": "the RSI of {0} over the last {2} completed {1}-bar blocks",
    "rsi": "the {1}-bar RSI of {0}", "atr": "the {0}-bar average true range",
    "natr": "the {0}-bar average true range over the close",
    "bb_upper": "the upper Bollinger band of {0} ({1} bars, {2} std)",
    "bb_lower": "the lower Bollinger band of {0} ({1} bars, {2} std)", "bb_width": "the {1}-bar Bollinger width of {0}",
    "donchian_high": "the {0}-bar highest high", "donchian_low": "the {0}-bar lowest low",
    "donchian_mid": "the middle of the {0}-bar price range",
    "keltner_upper": "the upper Keltner band ({0} bars, {1} average true ranges)",
    "keltner_lower": "the lower Keltner band ({0} bars, {1} average true ranges)",
    "macd": "the MACD of {0} ({1}/{2} bars)", "macd_signal": "the MACD signal of {0} ({1}/{2}/{3} bars)",
    "macd_hist": "the MACD histogram of {0} ({1}/{2}/{3} bars)", "plus_di": "the {0}-bar +DI",
    "minus_di": "the {0}-bar −DI", "adx": "the {0}-bar ADX", "stoch_k": "the {0}-bar stochastic %K",
    "stoch_d": "the {0}-bar stochastic %K, averaged over {1} bars", "williams_r": "the {0}-bar Williams %R",
    "cci": "the {0}-bar CCI", "mfi": "the {0}-bar money flow index", "aroon_up": "the {0}-bar Aroon up",
    "aroon_down": "the {0}-bar Aroon down", "volatility": "the {0}-bar volatility of returns",
    "vwap": "the {0}-bar volume-weighted price", "volume_ratio": "the volume over its {0}-bar mean",
    "flow": "the {0}-bar volume flow (up less down, over all)", "funding_mean": "the {0}-bar mean funding rate",
    "funding_z": "the {0}-bar z-score of the funding rate",
    "ref_corr": "the {0}-bar correlation with the returns of {ref}", "ref_beta": "the {0}-bar beta on the returns of {ref}",
}  # fmt: skip
"""Operator -> phrase; {0}, {1} … are its arguments in words, {ref} names the reference asset."""

NEGATED = {
    "gt": "{0} is not above {1}", "lt": "{0} is not below {1}", "between": "{0} is not between {1} and {2}",
    "within": "{0} is not from {1} to {2}", "rising": "{0} is not above its value {1} bars ago",
    "falling": "{0} is not below its value {1} bars ago", "cross_over": "{0} does not just rise above {1}",
    "cross_under": "{0} does not just fall below {1}", "any": "on none of the last {1} bars, {0}",
}  # fmt: skip
_INFIX = frozenset({"add", "sub", "mul", "div", "when", "and", "or", "xor"})
_KEEP_SCALE = frozenset({"neg", "abs"})
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PERCENT_SCALES = frozenset({"return", "rate"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the rule in words; `depth` is how far it is indented."""

    depth: int
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A sub-expression: its own token and its arguments in order."""

    token: Token
    args: tuple[Node, ...]

    @property
    def op(self) -> Op | None:
        """The operator; None for a number or a user's own column."""
        token = self.token
        return OPS[token] if isinstance(token, int) and token < len(OPS) else None

    @property
    def name(self) -> str:
        """The operator's name, or an empty text."""
        return self.op.name if self.op else ""

    @property
    def is_number(self) -> bool:
        """Whether it is a window, a factor or a level."""
        return isinstance(self.token, int) and self.op is None


def tree_of(tokens: tuple[Token, ...]) -> Node:
    """Return prefix tokens as a tree."""
    args: list[Node] = []
    at = 1
    for _ in range(arity(tokens[0])):
        end = span(tokens, at)
        args.append(tree_of(tokens[at:end]))
        at = end
    return Node(tokens[0], tuple(args))


def describe(program: Program, reference: str = "the reference asset") -> tuple[Line, ...]:
    """Return the rule as lines of English: what is wanted when, then what the risk genes do."""
    lines = _position(tree_of(program.tokens), 0, "", reference)
    return (*lines, *(Line(0, text) for text in describe_genes(program.genes)))


def sentences(program: Program, reference: str = "the reference asset") -> str:
    """Return the rule in words as one text."""
    return " ".join(line.text for line in describe(program, reference))


def _position(node: Node, depth: int, lead: str, ref: str) -> list[Line]:
    """Return lines for a node of kind Position; `lead` is '' or 'Otherwise'."""
    if node.name != "when":
        text = phrase(node, ref)
        return [Line(depth, f"{f'{lead}, {text}' if lead else _capital(text)}.")]
    condition, then, other = node.args
    opening = f"{lead}, if" if lead else "If"
    if then.name == "when":
        lines = [Line(depth, f"{opening} {phrase(condition, ref)}:"), *_position(then, depth + 1, "", ref)]
    elif not lead and other.name == "hold":
        return [
            Line(depth, f"{_capital(phrase(then, ref))} when {phrase(condition, ref)}; otherwise keep what there is.")
        ]
    else:
        lines = [Line(depth, f"{_capital(phrase(then, ref))} when {phrase(condition, ref)}.")]
        if lead:
            lines = [Line(depth, f"{opening} {phrase(condition, ref)}, {phrase(then, ref)}.")]
    return [*lines, *_position(other, depth, "Otherwise", ref)]


def phrase(node: Node, ref: str = "the reference asset") -> str:
    """Return a sub-expression in words."""
    op = node.op
    if op is None:
        return (
            str(node.token).replace("$", "the column $", 1)
            if isinstance(node.token, str)
            else _plain(number(node.token))
        )
    if op.name == "scale" and op.args == (Kind.LEVEL,):
        value = number(node.args[0].token)
        side = "long" if value > 0 else "short"
        return f"go {side} with {_percent(abs(value))} of the allowed size"
    inner = node.args[0] if node.args else node
    if op.name == "not" and inner.name in NEGATED:
        name, args = _turned(inner, ref)
        return NEGATED[name].format(*args, ref=ref)
    name, args = _turned(node, ref)
    return PHRASES[name].format(*args, ref=ref).replace(" 1 bars ", " 1 bar ")


def _turned(node: Node, ref: str) -> tuple[str, list[str]]:
    """Return a node's word and arguments; what is plain comes first: the close is below its mean, not the mean above it."""
    args = _arguments(node, ref)
    if node.name == "gt" and node.args[0].args and not node.args[1].args and not node.args[1].is_number:
        return "lt", args[::-1]
    return node.name, args


def _arguments(node: Node, ref: str) -> list[str]:
    op = node.op
    scale = op.scale if op is not None else ""
    if op is not None and Kind.RATIO in op.args[:1] and op.ret is Kind.MASK:
        scale = _scale(node.args[0])
    clock = node.args[0].name if node.name == "within" else ""
    return [_argument(node, place, clock or scale, ref) for place in range(len(node.args))]


def _argument(parent: Node, place: int, scale: str, ref: str) -> str:
    node = parent.args[place]
    op = parent.op
    if node.is_number:
        is_level = op is not None and op.args[place] is Kind.LEVEL
        last = is_level and place == len(parent.args) - 1
        return _level(number(node.token), scale, last=last) if is_level else _plain(number(node.token))
    text = phrase(node, ref)
    same = node.name == parent.name and parent.name in ("and", "or", "add")
    loose = node.name in _INFIX and not same
    return f"({text})" if loose else text


def _scale(node: Node) -> str:
    """Return the ladder of a ratio's levels; what keeps the unit of its argument has the argument's."""
    op = node.op
    if op is None or not node.args:
        return op.scale if op else "score"
    keeps = op.name in _KEEP_SCALE or (not op.scale and op.args[0] is Kind.RATIO)
    return _scale(node.args[0]) if keeps else op.scale


def _level(value: float, scale: str, *, last: bool) -> str:
    if scale == "hour":
        return f"{int(value):02d}:59 UTC" if last else f"{int(value):02d}:00"
    if scale == "weekday":
        return _DAYS[int(value) % 7]
    return _percent(value) if value and scale in _PERCENT_SCALES else _plain(value)


def _plain(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _percent(value: float) -> str:
    return f"{_plain(round(value * 100, 6))} %"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def describe_genes(genes: Genes) -> list[str]:
    """Return the risk genes as sentences, size first; a neutral gene says nothing."""
    return [text for text in (*_sizing(genes), *_exits(genes), *_discipline(genes)) if text]


def _sizing(genes: Genes) -> tuple[str, ...]:
    if genes.vol_target:
        return (
            (
                f"Size for a volatility of {_percent(genes.vol_target)} a year (measured over {VOLATILITY_WINDOW} bars), "
                f"with at most {_plain(genes.leverage)} times the equity."
            ),
        )
    return (f"Size is {_plain(genes.leverage)} times the equity.",) if genes.leverage != 1 else ()


def _exits(genes: Genes) -> tuple[str, ...]:
    steps = [f"{_percent(gain)} {'at once' if age == 0 else f'from {age} bars on'}" for age, gain in genes.ladder]
    atr = f"average true ranges ({ATR_WINDOW} bars) from the entry"
    return (
        f"Stop {_percent(genes.stop)} from the entry." if genes.stop else "",
        f"Stop {_plain(genes.stop_atr)} {atr}." if genes.stop_atr else "",
        f"Take profit {_percent(genes.take)} from the entry." if genes.take else "",
        f"Take profit {_plain(genes.take_atr)} {atr}." if genes.take_atr else "",
        f"Take a profit of {', '.join(steps)}." if steps else "",
        f"Leave after {genes.max_hold} bars at the latest." if genes.max_hold else "",
    )


def _discipline(genes: Genes) -> tuple[str, ...]:
    return (
        "After a stop, wait until the rule wants something else." if genes.latch else "",
        f"Rebalance when the weight is off by more than {_percent(genes.band)} of the equity." if genes.band else "",
    )
