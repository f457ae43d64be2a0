"""Definitions of the operator table, resolved to trees of kernels.

A definition is read once; the evaluator turns the trees into flat templates, the program into lookback and reach.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from quantga.lang.kinds import IMMEDIATE
from quantga.lang.ops import BY_NAME, PARTS, K, Op


@dataclass(frozen=True, slots=True)
class Immediate:
    """A number of a kernel: `first * second + plus`, where first and second are argument places or -1 for absent.

    With both absent the number is `plus`; with only `second` absent it is `first + plus`.
    """

    first: int = -1
    second: int = -1
    plus: float = 0.0

    def value(self, arguments: tuple[float, ...]) -> float:
        """Return the number, given the values of all arguments (those of series are ignored)."""
        if self.first < 0:
            return self.plus
        return arguments[self.first] * (arguments[self.second] if self.second >= 0 else 1) + self.plus


@dataclass(frozen=True, slots=True)
class Apply:
    """A kernel applied to series and numbers; an `int` among the series is an argument's place."""

    kernel: K
    series: tuple[Apply | int, ...]
    numbers: tuple[Immediate, ...] = ()
    column: str = ""


_SERIES = {
    0: "COLUMN CONSTANT LONG SHORT FLAT HOLD SCALE_LEVEL",
    2: "ADD SUB MUL DIV MIN MAX GT AND OR XOR CORR BETA",
    3: "WHEN",
}
SERIES: dict[K, int] = {kernel: n for n, names in _SERIES.items() for kernel in map(K.__getitem__, names.split())}
"""How many series a kernel takes; one, where not named here."""

_WORD = re.compile(r"\s*([A-Za-z_]+|\$\d(?:[*]\$\d)?(?:[+-]\d+)?|-?\d+(?:\.\d+)?|[(),])")


@cache
def template(op: Op) -> Apply:
    """Return what `op` computes, as a tree of kernels over its arguments."""
    places = range(len(op.args))
    if isinstance(op.meaning, K):
        series = tuple(i for i in places if op.args[i] not in IMMEDIATE)
        numbers = tuple(Immediate(first=i) for i in places if op.args[i] in IMMEDIATE)
        return Apply(op.meaning, series, numbers, op.column)
    return _read(op.meaning)


def _read(text: str) -> Apply:
    words = _WORD.findall(text)
    tree, end = _tree(words, 0)
    if end != len(words) or not isinstance(tree, Apply):
        raise ValueError(f"definition {text!r} does not read")
    return tree


def _tree(words: list[str], at: int) -> tuple[Apply | Immediate | int, int]:
    word = words[at]
    if word[0] == "$" or word[0] in "-0123456789":
        return _number(word), at + 1
    arguments: list[Apply | Immediate | int] = []
    at += 1
    if at < len(words) and words[at] == "(":
        while words[at] != ")":
            argument, at = _tree(words, at + 1)
            arguments.append(argument)
        at += 1
    return _apply(word, arguments), at


def _number(word: str) -> Immediate:
    match = re.fullmatch(r"\$(\d)(?:[*]\$(\d))?([+-]\d+)?", word)
    if match is None:
        return Immediate(plus=float(word))
    first, second, plus = match.groups()
    return Immediate(int(first) - 1, int(second) - 1 if second else -1, float(plus or 0))


def _apply(word: str, arguments: list[Apply | Immediate | int]) -> Apply:
    if word.upper() in K.__members__ and word != "column":
        kernel = K[word.upper()]
        split = SERIES.get(kernel, 1)
        series = tuple(a.first if isinstance(a, Immediate) else a for a in arguments[:split])
        numbers = tuple(a for a in arguments[split:] if isinstance(a, Immediate))
        return Apply(kernel, series, numbers)
    inner = _read(PARTS[word]) if word in PARTS else template(BY_NAME[word][0])
    return _substitute(inner, arguments)


def _substitute(tree: Apply, arguments: list[Apply | Immediate | int]) -> Apply:
    def series(item: Apply | int) -> Apply | int:
        if isinstance(item, Apply):
            return _substitute(item, arguments)
        given = arguments[item]
        return given.first if isinstance(given, Immediate) else given

    def number(item: Immediate) -> Immediate:
        if item.first < 0:
            return item
        given = arguments[item.first]
        if not isinstance(given, Immediate) or item.second >= 0:
            raise ValueError("a definition may use a product of windows at its own level only")
        return Immediate(given.first, given.second, given.plus + item.plus)

    return Apply(tree.kernel, tuple(map(series, tree.series)), tuple(map(number, tree.numbers)), tree.column)
