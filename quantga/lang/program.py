"""A program: an immutable, canonical, typed expression of kind Position, with its risk genes.

Tokens are in prefix order: an operator is its place in `ops.OPS`, numbers are `window(n)` and `level(x)` tokens, a
user's own column is its name. A program is canonical from birth, so equal rules have equal texts and equal ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from quantga.lang.definitions import Apply, template
from quantga.lang.genes import NEUTRAL, Genes
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME, OPS, K, kernel_lookback, kernel_reach

type Token = int | str

MAX_WINDOW = 5_000
_WINDOW = 10_000
_LEVEL = 1_000_000_000
_LEVELS_FROM = 400_000_000  # below every level, above every window
_LEVEL_GRID = 10_000  # levels are decimals of at most four places, so that they print, hash and compare exactly


def window(bars: int) -> Token:
    """Return the token of a Window or Factor; `bars` is 1 to MAX_WINDOW."""
    return _WINDOW + bars


def level(value: float) -> Token:
    """Return the token of a Level, rounded to four decimals."""
    return _LEVEL + round(value * _LEVEL_GRID)


def number(token: Token) -> float:
    """Return the value of a window, factor or level token; NaN for any other token."""
    if isinstance(token, str) or token < _WINDOW:
        return float("nan")
    return (token - _LEVEL) / _LEVEL_GRID if token > _LEVELS_FROM else float(token - _WINDOW)


def arity(token: Token) -> int:
    """Return how many arguments follow the token in prefix order."""
    return len(OPS[token].args) if isinstance(token, int) and token < _WINDOW else 0


def span(tokens: tuple[Token, ...], start: int) -> int:
    """Return the end of the sub-expression that starts at `start`."""
    open_arguments = 1
    while open_arguments:
        open_arguments += arity(tokens[start]) - 1
        start += 1
    return start


def kind_of(token: Token) -> Kind:
    """Return the kind of the sub-expression that starts with `token` (Window also stands for Factor)."""
    if isinstance(token, str):
        return Kind.RATIO
    if token < _WINDOW:
        return OPS[token].ret
    return Kind.LEVEL if token > _LEVELS_FROM else Kind.WINDOW


@dataclass(frozen=True)
class Program:
    """A strategy's rule: `tokens` (prefix order, canonical) and `genes`. Make one by `parse` or `Program.of`."""

    tokens: tuple[Token, ...]
    genes: Genes = NEUTRAL

    @classmethod
    def of(cls, tokens: Iterable[Token], genes: Genes | None = None) -> Program:
        """Return the canonical program of an expression of kind Position."""
        return cls(canonical(tuple(tokens)), genes or NEUTRAL)

    @cached_property
    def text(self) -> str:
        """The canonical text; `parse(text)` gives the program back."""
        genes = str(self.genes)
        return _text(self.tokens) + (f" with {genes}" if genes else "")

    def __str__(self) -> str:
        return self.text

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Number of tokens, numbers included."""
        return len(self.tokens)

    @cached_property
    def depth(self) -> int:
        """Levels of the tree; 1 for a single word."""
        stack: list[int] = []
        for token in reversed(self.tokens):
            below = [stack.pop() for _ in range(arity(token))]
            stack.append(1 + max(below, default=0))
        return stack[0]

    @cached_property
    def lookback(self) -> int:
        """Bars of history, besides the current one, from which the wanted position is defined; it adds along a path."""
        return max(_history(self.tokens, reach=False), self.genes.lookback)

    @cached_property
    def reach(self) -> int:
        """Bars of history from which every value is bit-exact, wherever the array began."""
        return max(_history(self.tokens, reach=True), self.genes.reach)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that the program reads, user columns as `$name`."""
        names: set[str] = set()
        for token in self.tokens:
            names |= {token} if isinstance(token, str) else _columns_of(token)
        return frozenset(names)


@cache
def _columns_of(token: int) -> frozenset[str]:
    def walk(tree: Apply) -> frozenset[str]:
        below = frozenset[str]().union(*(walk(s) for s in tree.series if isinstance(s, Apply)))
        return below | {tree.column} if tree.column else below

    return walk(template(OPS[token])) if token < _WINDOW else frozenset()


def _history(tokens: tuple[Token, ...], *, reach: bool) -> int:
    stack: list[float] = []
    for token in reversed(tokens):
        if isinstance(token, str):
            stack.append(0)
        elif token >= _WINDOW:
            stack.append(number(token))
        else:
            op = OPS[token]
            arguments = tuple(stack.pop() for _ in op.args)
            stack.append(_through(template(op), arguments, reach=reach))
    return int(stack[0])


def _through(tree: Apply, arguments: tuple[float, ...], *, reach: bool) -> float:
    own = kernel_reach if reach else kernel_lookback
    below = (_through(s, arguments, reach=reach) if isinstance(s, Apply) else arguments[s] for s in tree.series)
    windows = tuple(int(n.value(arguments)) for n in tree.numbers) if tree.kernel >= K.LAG else ()
    return max(below, default=0) + own(tree.kernel, windows)


@cache
def word(token: Token) -> str:
    """Return how a token is written."""
    if isinstance(token, str):
        return token
    if token < _WINDOW:
        return OPS[token].name
    value = number(token)
    shown = repr(int(value)) if value == int(value) else repr(value)
    return f"level({shown})" if token > _LEVELS_FROM else shown


def _text(tokens: tuple[Token, ...]) -> str:
    stack: list[str] = []
    for token in reversed(tokens):
        n = arity(token)
        if n == 0:
            stack.append(word(token))
        else:
            arguments = ", ".join(stack[: -n - 1 : -1])
            del stack[-n:]
            stack.append(f"{word(token)}({arguments})")
    return stack[0]


def _code(name: str, *args: Kind) -> int:
    return next(op.code for op in BY_NAME[name] if op.args == args)


_NOT, _NEG, _ABS = _code("not", Kind.MASK), _code("neg", Kind.RATIO), _code("abs", Kind.RATIO)
_LONG, _SHORT, _FLAT, _FIXED = _code("long"), _code("short"), _code("flat"), _code("scale", Kind.LEVEL)
_IDEMPOTENT = frozenset(op.code for op in OPS if op.meaning in (K.AND, K.OR, K.MIN, K.MAX))
_SORTED = frozenset(op.code for op in OPS if op.commutative)
_WHEN = frozenset(op.code for op in OPS if op.meaning is K.WHEN)
_LAG = frozenset(op.code for op in OPS if op.meaning is K.LAG)
_LESS = {op.code: _code("gt", *op.args) for op in BY_NAME["lt"] if op.args[1] not in IMMEDIATE}
_ADD_LEVEL, _MUL_LEVEL = _code("add", Kind.RATIO, Kind.LEVEL), _code("mul", Kind.RATIO, Kind.LEVEL)

type Tree = tuple[Token, ...]


def canonical(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Return the canonical form: commutative arguments in order of their text, numbers folded, double negation gone."""
    stack: list[Tree] = []
    for token in reversed(tokens):
        n = arity(token)
        arguments = stack[: -n - 1 : -1] if n else []
        if n:
            del stack[-n:]
        stack.append(rewrite(token, arguments))
    return stack[0]


def rewrite(token: Token, args: list[Tree]) -> Tree:
    """Return the canonical form of `token` applied to canonical arguments."""
    if not isinstance(token, int) or not args:
        return (token,)
    if token in _LESS:
        token, args = _LESS[token], [args[1], args[0]]
    if token in _SORTED:
        args = sorted(args[:2], key=_text) + args[2:]
    if token in _IDEMPOTENT and args[0] == args[1]:
        return args[0]
    if token in _WHEN and args[0][0] == _NOT:
        args = [args[0][1:], args[2], args[1]]
    if token in (_NOT, _NEG) and args[0][0] == token:
        return args[0][1:]
    if token == _ABS and args[0][0] in (_ABS, _NEG):
        args = [args[0][1:]]
    return _fold(token, args)


def _fold(token: int, args: list[Tree]) -> Tree:
    inner, last = args[0], args[-1][0]
    if token == _FIXED:
        value = max(-1.0, min(1.0, number(last)))
        return {1.0: (_LONG,), -1.0: (_SHORT,), 0.0: (_FLAT,)}.get(value, (_FIXED, level(value)))
    if token in _LAG and inner[0] == token and number(inner[-1]) + number(last) <= MAX_WINDOW:
        return (*inner[:-1], window(int(number(inner[-1]) + number(last))))
    if token == _ADD_LEVEL and inner[0] == token:
        return (*inner[:-1], level(number(inner[-1]) + number(last)))
    if token == _MUL_LEVEL and inner[0] == token and (number(inner[-1]) * number(last) * _LEVEL_GRID).is_integer():
        return (*inner[:-1], level(number(inner[-1]) * number(last)))
    return (token, *(t for tree in args for t in tree))
