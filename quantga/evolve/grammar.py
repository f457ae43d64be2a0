"""What the generator may write: the operator table with every value's aspect bound, so that random rules make sense.

Kinds alone let `gt(close, atr(14))` (always true) and `gt(rsi(close, 14), level(0.01))` through. So a generated value
also has an aspect: a Price or Size is a `place` (close, a mean), a `range` (a difference) or a `spread` (an ATR, never
negative); a Ratio has the ladder of LEVELS that it is compared with. A sort is a kind with its aspect; a production is a row of the operator table
with all sorts bound; which productions exist follows from the columns that the market has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property

from quantga.lang.bars import REQUIRED
from quantga.lang.definitions import Apply, template
from quantga.lang.kinds import FACTORS, IMMEDIATE, LEVELS, WINDOWS, Kind
from quantga.lang.ops import OPS, Op
from quantga.lang.program import Token, level, window

type Sort = tuple[Kind, str]

ALWAYS = (*REQUIRED, "hour", "weekday")
"""Columns that every market has."""
ROOT: Sort = (Kind.POSITION, "root")
POSITION: Sort = (Kind.POSITION, "")
MASK: Sort = (Kind.MASK, "")

_SIGNED = ("score", "return", "rate")
_RATIOS = {
    "percent": 1.0, "score": 1.0, "return": 1.0, "unit": 0.5, "times": 0.4, "rate": 0.4, "bars": 0.3, "slight": 0.4,
    "strength": 0.2, "-percent": 0.1, "+score": 0.2, "+return": 0.3, "+rate": 0.1,
}  # fmt: skip
ASPECTS: dict[Kind, dict[str, float]] = {
    Kind.PRICE: {"place": 0.75, "range": 0.1, "spread": 0.15},
    Kind.SIZE: {"place": 0.3, "range": 0.03, "spread": 0.03},
    Kind.REF_PRICE: {"place": 0.2, "range": 0.03, "spread": 0.03},
    Kind.REF_SIZE: {"place": 0.05, "range": 0.01, "spread": 0.01},
    Kind.RATIO: {aspect: weight / 6 for aspect, weight in _RATIOS.items()},
    Kind.CLOCK: {"hour": 0.7, "weekday": 0.3},
}
"""Aspects of a kind, and how often an operator that takes any of them is given each."""

_SPREAD_WORDS = {"true_range", "atr"}
_KEEPS = {
    *("lag", "mean", "wma", "ema", "wilder", "highest", "lowest", "every", "higher_mean", "min", "max", "when"),
    *("bb_upper", "bb_lower", "add", "mul", "clip", "neg", "sum"),
}
_DIFFERS = {"sub", "diff", "slope", "macd", "macd_signal", "macd_hist"}
_SPREADS = {"std", "mean_dev", "abs"}
_SIBLING = {"gt", "lt", "between", "within", "cross_over", "cross_under", "add"}
"""Operators whose levels are drawn from the ladder of the value that they stand beside."""
_ONLY = {
    "neg": _SIGNED, "abs": _SIGNED, "sign": _SIGNED, "squash": ("score", "times"), "clip": ("score", "times"),
    "sum": _SIGNED, "skew": ("return", "score", "unit"), "scale": ("score", "unit"), "change": ("place", "percent", "times"),
    "beta": ("return", "score"), "higher_change": ("place", "times"),
    "higher_rsi": ("place", "score"), "bb_width": ("place", "percent"),
}  # fmt: skip
"""Operators that mean something for some aspects only."""
_FIXED = {
    "williams_r": "-percent", "natr": "+return", "volatility": "+return", "bb_width": "+return", "sign": "unit",
    "squash": "unit", "flow": "slight", "efficiency": "slight", "trend": "slight", "beta": "slight", "adx": "strength",
    "plus_di": "strength", "minus_di": "strength",
}  # fmt: skip
"""Aspects of operators whose values keep to a part of their scale's ladder."""

_WEIGHTS = {
    "share": 3.0, "long": 3.0, "short": 3.0, "flat": 1.5, "hold": 3.0, "open": 0.5, "high": 0.7, "low": 0.7, "close": 6.0,
    "typical": 1.0, "ret": 2.0, "volume": 4.0, "gt": 6.0, "lt": 3.0, "between": 1.0, "within": 1.5, "and": 3.0, "or": 3.0,
    "xor": 0.8, "not": 2.0, "was": 0.6, "any": 0.5, "all": 0.5, "cross_over": 1.5, "cross_under": 1.5, "rising": 0.7,
    "falling": 0.7, "mean": 2.0, "ema": 2.0, "lag": 0.8, "rsi": 2.0, "zscore": 2.0, "rank": 1.5, "change": 2.0,
    "min": 0.5, "max": 0.5, "mul": 1.2, "add": 0.7, "sign": 0.4, "squash": 4.5, "neg": 0.7, "abs": 0.6, "clip": 7.0, "corr": 5.0, "beta": 12.0,
    "bars_since": 11.0, "sum": 2.0, "skew": 2.0, "scale": 0.4, "true_range": 0.6,
}  # fmt: skip
_WINDOWS = {
    **dict.fromkeys(("any", "all", "was", "lag", "rising", "falling", "diff"), "short"),
    **dict.fromkeys(("skew", "corr", "beta", "rank", "zscore", "ref_corr", "ref_beta"), "long"),
    **dict.fromkeys(("higher_mean", "higher_change", "higher_rsi"), "few"),
    **dict.fromkeys(("rsi", "mfi", "adx", "plus_di", "minus_di", "stoch_k", "stoch_d", "williams_r", "cci"), "quick"),
    **dict.fromkeys(("aroon_up", "aroon_down", "flow", "efficiency", "trend"), "quick"),
}
_LADDERS: dict[Sort, tuple[float, ...]] = {
    (Kind.WINDOW, ""): WINDOWS,
    (Kind.WINDOW, "short"): tuple(w for w in WINDOWS if w <= 26),
    (Kind.WINDOW, "long"): tuple(w for w in WINDOWS if w >= 8),
    (Kind.WINDOW, "few"): tuple(w for w in WINDOWS if w <= 30),
    (Kind.WINDOW, "quick"): tuple(w for w in WINDOWS if 4 <= w <= 60),
    (Kind.FACTOR, ""): FACTORS,
    **{(Kind.LEVEL, scale): LEVELS[scale] for scale in LEVELS},
    **{(Kind.LEVEL, f"+{scale}"): tuple(v for v in LEVELS[scale] if v > 0) for scale in _SIGNED},
    (Kind.LEVEL, "slight"): tuple(v for v in LEVELS["unit"] if v <= 0.3),
    (Kind.LEVEL, "strength"): tuple(v for v in LEVELS["percent"] if 10 <= v <= 40),
    (Kind.LEVEL, "-percent"): tuple(-v for v in reversed(LEVELS["percent"])),
}
_EVEN = {"hour", "weekday", "size", "width"}


@dataclass(frozen=True, slots=True)
class Production:
    """A row of the operator table with its sorts bound; `least` is the size of the smallest tree it begins."""

    code: int
    sort: Sort
    args: tuple[Sort, ...]
    weight: float
    least: int = 0

    @property
    def aspects(self) -> tuple[str, ...]:
        """The aspects of its value arguments."""
        return tuple(aspect for kind, aspect in self.args if kind in ASPECTS)

    @property
    def is_open(self) -> bool:
        """Whether it takes a value, a mask or a position, so that it can be as large as one likes."""
        return any(sort[0] not in IMMEDIATE for sort in self.args)


def ladder(sort: Sort) -> tuple[float, ...]:
    """Return the values from which a number of this sort is drawn, ascending."""
    return _LADDERS[sort]


@cache
def tokens_of(sort: Sort) -> tuple[Token, ...]:
    """Return the tokens of the ladder's values."""
    return tuple(level(v) if sort[0] is Kind.LEVEL else window(int(v)) for v in _LADDERS[sort])


def is_even(sort: Sort) -> bool:
    """Tell whether the ladder's values are equally likely; the others favour the middle."""
    return sort[0] is not Kind.LEVEL or sort[1] in _EVEN


@cache
def _columns(op: Op) -> frozenset[str]:
    def walk(tree: Apply) -> Iterator[str]:
        if tree.column:
            yield tree.column
        for item in tree.series:
            if isinstance(item, Apply):
                yield from walk(item)

    return frozenset(walk(template(op)))


def _bound(op: Op) -> Iterator[Production]:
    """Yield the productions of one row."""
    values = [k for k in op.args if k in ASPECTS]
    base = _WEIGHTS.get(op.name, 1.0)
    if not values:
        yield _production(op, _own_aspect(op), (), base)
        return
    for aspect, share in ASPECTS[values[0]].items():
        if aspect in _ONLY.get(op.name, (aspect,)) and _sensible(op, aspect):
            for second, result in _results(op, values, aspect):
                yield _production(op, result, (aspect, second), base * share)


def _sensible(op: Op, aspect: str) -> bool:
    if op.name in ("add", "mul") and Kind.LEVEL in op.args:
        return aspect in ("range", "spread", *_SIGNED)
    if op.name == "mul" or (op.name == "add" and Kind.RATIO in op.args):
        return aspect in ("score", "unit", "return", "rate")
    return True


def _results(op: Op, values: list[Kind], aspect: str) -> Iterator[tuple[str, str]]:
    """Yield (aspect of the second value, aspect of the result)."""
    pair, placed = len(values) > 1, values[0] is not Kind.RATIO
    if op.name == "add" and pair and placed:
        yield "spread", aspect
    elif op.name == "sub" and aspect == "place":
        yield "place", "range"
        yield "spread", "place"
    elif op.name == "sub" and aspect == "spread":
        yield "spread", "range"
    elif op.name == "div" and placed:
        yield "spread", {"place": "times", "range": "score", "spread": "times"}[aspect]
        yield "place", {"place": "times", "range": "return", "spread": "+return"}[aspect]
    else:
        yield aspect, _result(op, aspect)


def _result(op: Op, aspect: str) -> str:
    if op.ret not in ASPECTS:
        return ""
    if op.ret is Kind.RATIO and op.args[0] is not Kind.RATIO:
        return _FIXED.get(op.name, op.scale)
    if op.name in _DIFFERS:
        return "range" if op.ret is not Kind.RATIO else aspect.lstrip("+") if aspect.lstrip("+") in _SIGNED else "score"
    if op.name in _SPREADS:
        return "spread" if op.ret is not Kind.RATIO else f"+{aspect}" if aspect in _SIGNED else aspect.lstrip("-")
    return aspect if op.name in _KEEPS else _FIXED.get(op.name, op.scale)


@cache
def bind(code: int, aspects: tuple[str, ...]) -> tuple[Sort, tuple[Sort, ...]]:
    """Return the sort of `op(...)` whose value arguments have `aspects`, and the sorts of all its arguments."""
    op = OPS[code]
    values = [k for k in op.args if k in ASPECTS]
    result = _own_aspect(op)
    if values:
        known = {p.aspects: p.sort[1] for p in _bound(op)}
        result = known.get(aspects) or known.get(aspects[::-1]) or _result(op, aspects[0])
    left = list(aspects)
    args = tuple(
        (kind, left.pop(0) if kind in ASPECTS else number_aspect(op, kind, aspects[0] if aspects else ""))
        for kind in op.args
    )
    return (op.ret, result), args


def _own_aspect(op: Op) -> str:
    """Return the aspect of a row that takes no value."""
    if op.ret is Kind.POSITION or op.ret is Kind.MASK:
        return ""
    if op.ret in (Kind.RATIO, Kind.CLOCK):
        return _FIXED.get(op.name, op.scale)
    return "spread" if op.name in _SPREAD_WORDS else "place"


def _production(op: Op, result: str, aspects: tuple[str, ...], weight: float) -> Production:
    values = iter((aspects[0], *aspects[1:], *aspects[1:]) if aspects else ())
    args = tuple(
        (kind, next(values) if kind in ASPECTS else number_aspect(op, kind, aspects[0] if aspects else ""))
        for kind in op.args
    )
    return Production(op.code, (op.ret, result), args, weight)


def number_aspect(op: Op, kind: Kind, beside: str) -> str:
    """Return which ladder a number of `op` is drawn from, beside a value of aspect `beside`."""
    if kind is Kind.LEVEL:
        return beside if op.name in _SIBLING else op.scale
    return _WINDOWS.get(op.name, "") if kind is Kind.WINDOW else ""


@dataclass(frozen=True)
class Grammar:
    """All productions for a market with `columns` (names as in Bars; `$name` for a user's own)."""

    columns: frozenset[str]

    @cached_property
    def productions(self) -> dict[Sort, tuple[Production, ...]]:
        """The productions of each sort that end: every argument's sort has one too."""
        rows = [row for op in OPS if _columns(op) <= self.columns for row in _bound(op)]
        least = self._least(rows)
        table: dict[Sort, list[Production]] = {}
        for row in rows:
            if all(sort in least for sort in row.args):
                size = 1 + sum(least[sort] for sort in row.args)
                table.setdefault(row.sort, []).append(replace(row, least=size))
        table[ROOT] = [row for row in table[POSITION] if row.is_open]
        return {sort: tuple(found) for sort, found in table.items()}

    def _least(self, rows: list[Production]) -> dict[Sort, int]:
        least: dict[Sort, int] = dict.fromkeys(_LADDERS, 1)
        if self.users:
            least[Kind.RATIO, "score"] = 1
        changed = True
        while changed:
            changed = False
            for row in rows:
                if all(sort in least for sort in row.args):
                    size = 1 + sum(least[sort] for sort in row.args)
                    if size < least.get(row.sort, size + 1):
                        least[row.sort] = size
                        changed = True
        return least

    @cached_property
    def least(self) -> dict[Sort, int]:
        """The size of the smallest tree of each sort."""
        found = {sort: min(row.least for row in rows) for sort, rows in self.productions.items()}
        if self.users:
            found[Kind.RATIO, "score"] = 1
        return {**dict.fromkeys(_LADDERS, 1), **found}

    @cached_property
    def wraps(self) -> dict[Sort, tuple[Production, ...]]:
        """The productions of each sort that take an argument of the same sort."""
        return {
            sort: tuple(r for r in rows if sort in r.args) for sort, rows in self.productions.items() if sort != ROOT
        }

    def alike(self, token: Token, sort: Sort) -> tuple[int, ...]:
        """Return the other words that could stand in the place of `token`, with the same arguments and result."""
        return self._alike.get((token, sort), ())

    @cached_property
    def _alike(self) -> dict[tuple[Token, Sort], tuple[int, ...]]:
        groups: dict[tuple[Sort, tuple[Sort, ...]], list[int]] = {}
        for sort, rows in self.productions.items():
            for row in rows:
                if sort != ROOT:
                    groups.setdefault((sort, row.args), []).append(row.code)
        return {
            (code, sort): tuple(other for other in group if other != code)
            for (sort, _), group in groups.items()
            for code in group
        }

    @cached_property
    def users(self) -> tuple[str, ...]:
        """The user's own columns: leaves of kind Ratio, compared with the score ladder."""
        return tuple(sorted(name for name in self.columns if name.startswith("$")))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The operators that a program of this grammar may contain, in the order of the table."""
        seen, reached = {ROOT}, [ROOT]
        while reached:
            for row in self.productions.get(reached.pop(), ()):
                fresh = [sort for sort in row.args if sort not in seen]
                seen.update(fresh)
                reached += fresh
        codes = {row.code for sort in seen for row in self.productions.get(sort, ())}
        return tuple(dict.fromkeys(OPS[code].name for code in sorted(codes)))


@cache
def grammar(columns: frozenset[str]) -> Grammar:
    """Return the grammar for a market that has `columns`, besides those that every market has."""
    return Grammar(columns | frozenset(ALWAYS))


def grammar_for(columns: Collection[str]) -> Grammar:
    """Return the grammar for a market that has `columns`."""
    return grammar(frozenset(columns))
