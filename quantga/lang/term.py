"""Terms: canonical expressions, each built once, with what is known of it (its text, its history) kept beside it.

A program that evolution makes of another shares nearly all its terms with it, so what is new is all that costs anything.
"""

from __future__ import annotations

from functools import cache

from quantga.lang.definitions import Apply, template
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME, OPS, K, kernel_lookback, kernel_reach

type Token = int | str
type Terms = tuple["Term", ...]

MAX_WINDOW = 5_000
_WINDOW = 10_000
_LEVEL = 1_000_000_000
_LEVELS_FROM = 400_000_000  # below every level, above every window
_LEVEL_GRID = 10_000  # levels are decimals of at most four places, so that they print, hash and compare exactly
_MOST = 1 << 16  # terms kept, some 30 MB; then all are forgotten


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


def kind_of(token: Token) -> Kind:
    """Return the kind of the sub-expression that starts with `token` (Window also stands for Factor)."""
    if isinstance(token, str):
        return Kind.RATIO
    if token < _WINDOW:
        return OPS[token].ret
    return Kind.LEVEL if token > _LEVELS_FROM else Kind.WINDOW


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


class Term:
    """A token with its arguments. Make one by `term` or `term_of`; compare by `same`: two may be alike and not identical."""

    __slots__ = ("_reach", "_text", "_tokens", "args", "lookback", "size", "token")

    def __init__(self, token: Token, args: Terms) -> None:
        self.token, self.args = token, args
        self._reach = -1.0
        self.size: int = 1
        self.lookback: float = 0.0
        """Bars of history, besides the current one, from which the value is defined."""
        self._tokens: tuple[Token, ...] | None = None if args else (token,)
        self._text = "" if args else word(token)
        numbers = []
        for arg in args:
            self.size += arg.size
            if _is_number(arg.token):
                numbers.append(arg.token)
        own, ways = _ways(token, tuple(numbers), reach=False)
        for place, more in ways:
            below = args[place].lookback + more
            own = max(below, own)
        self.lookback = own

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens in prefix order."""
        if self._tokens is None:
            found = [self.token]
            for arg in self.args:
                found += arg.tokens
            self._tokens = tuple(found)
        return self._tokens

    @property
    def text(self) -> str:
        """The canonical text."""
        if not self._text:
            self._text = f"{word(self.token)}({', '.join([arg.text for arg in self.args])})"
        return self._text

    @property
    def reach(self) -> float:
        """Bars of history from which the value is bit-exact, wherever the array began."""
        if self._reach < 0:
            numbers = tuple([arg.token for arg in self.args if _is_number(arg.token)])
            own, ways = _ways(self.token, numbers, reach=True)
            self._reach = max([own, *[self.args[place].reach + more for place, more in ways]])
        return self._reach


def same(one: Term, other: Term) -> bool:
    """Tell whether two terms are the same expression."""
    return one is other or (one.token == other.token and one.size == other.size and one.tokens == other.tokens)


def _is_number(token: Token) -> bool:
    return isinstance(token, int) and token >= _WINDOW


@cache
def _ways(token: Token, given: tuple[Token, ...], *, reach: bool) -> tuple[float, tuple[tuple[int, float], ...]]:
    """Return the history that an operator with these numbers needs itself, and what it adds to each argument's, by place."""
    if not isinstance(token, int) or token >= _WINDOW:
        return 0.0, ()
    op, left = OPS[token], iter(given)
    numbers = tuple(number(next(left)) if kind in IMMEDIATE else 0.0 for kind in op.args)
    own, most = 0.0, dict[int, float]()

    def walk(tree: Apply, above: float) -> None:
        nonlocal own
        windows = tuple(int(n.value(numbers)) for n in tree.numbers) if tree.kernel >= K.LAG else ()
        above += (kernel_reach if reach else kernel_lookback)(tree.kernel, windows)
        own = max(own, above)
        for item in tree.series:
            if isinstance(item, Apply):
                walk(item, above)
            elif op.args[item] in IMMEDIATE:
                own = max(own, above + numbers[item])
            else:
                most[item] = max(most.get(item, 0.0), above)

    walk(template(op), 0.0)
    return own, tuple(most.items())


_TERMS: dict[tuple[Token | Term, ...], Term] = {}


def term(token: Token, args: Terms = ()) -> Term:
    """Return the canonical form of `token` applied to canonical arguments.

    Commutative arguments in order of their text, numbers folded, double negation gone.
    """
    key = (token, *args)
    found = _TERMS.get(key)
    if found is None:
        found = _rewritten(token, args) if token in _RULED and isinstance(token, int) else Term(token, args)
        if len(_TERMS) >= _MOST:
            _TERMS.clear()
        _TERMS[key] = found
    return found


def term_of(tokens: tuple[Token, ...]) -> Term:
    """Return the canonical form of tokens in prefix order."""
    stack: list[Term] = []
    for token in reversed(tokens):
        n = arity(token)
        if n:
            args = tuple(stack[: -n - 1 : -1])
            del stack[-n:]
            stack.append(term(token, args))
        else:
            stack.append(term(token))
    return stack[0]


def _code(name: str, *args: Kind) -> int:
    return next(op.code for op in BY_NAME[name] if op.args == args)


_NOT, _NEG, _ABS = _code("not", Kind.MASK), _code("neg", Kind.RATIO), _code("abs", Kind.RATIO)
_SIGNS = frozenset((_NOT, _NEG, _ABS))
_LONG, _SHORT, _FLAT, _FIXED = _code("long"), _code("short"), _code("flat"), _code("scale", Kind.LEVEL)
_IDEMPOTENT = frozenset(op.code for op in OPS if op.meaning in (K.AND, K.OR, K.MIN, K.MAX))
_SORTED = frozenset(op.code for op in OPS if op.commutative)
_WHEN = frozenset(op.code for op in OPS if op.meaning is K.WHEN)
_LAG = frozenset(op.code for op in OPS if op.meaning is K.LAG)
_LESS = {op.code: _code("gt", *op.args) for op in BY_NAME["lt"] if op.args[1] not in IMMEDIATE}
_ADD_LEVEL, _MUL_LEVEL = _code("add", Kind.RATIO, Kind.LEVEL), _code("mul", Kind.RATIO, Kind.LEVEL)
_RULED: frozenset[Token] = (
    _IDEMPOTENT | _SORTED | _WHEN | _LAG | frozenset(_LESS) | {_NOT, _NEG, _ABS, _FIXED, _ADD_LEVEL, _MUL_LEVEL}
)


def _rewritten(token: int, args: Terms) -> Term:
    if token in _LESS:
        return term(_LESS[token], (args[1], args[0]))
    if token in _IDEMPOTENT and same(args[0], args[1]):
        return args[0]
    if token in _SORTED and args[1].text < args[0].text:
        return term(token, (args[1], args[0], *args[2:]))
    if args[0].token in _SIGNS:
        return _unsigned(token, args)
    return _folded(token, args)


def _unsigned(token: int, args: Terms) -> Term:
    """Take away a `not`, `neg` or `abs` that changes nothing."""
    inner = args[0]
    if token in _WHEN and inner.token == _NOT:
        return term(token, (inner.args[0], args[2], args[1]))
    if token in (_NOT, _NEG) and inner.token == token:
        return inner.args[0]
    if token == _ABS and inner.token in (_ABS, _NEG):
        return term(token, inner.args)
    return Term(token, args)


def _folded(token: int, args: Terms) -> Term:
    """Fold numbers into one."""
    inner, last = args[0], number(args[-1].token)
    if token == _FIXED:
        value = max(-1.0, min(1.0, last))
        whole = {1.0: _LONG, -1.0: _SHORT, 0.0: _FLAT}.get(value)
        return Term(token, (term(level(value)),)) if whole is None else term(whole)
    if inner.token != token:
        return Term(token, args)
    within = number(inner.args[-1].token)
    if token in _LAG and within + last <= MAX_WINDOW:
        return term(token, (inner.args[0], term(window(int(within + last)))))
    if token == _ADD_LEVEL:
        return term(token, (inner.args[0], term(level(within + last))))
    if token == _MUL_LEVEL and (within * last * _LEVEL_GRID).is_integer():
        return term(token, (inner.args[0], term(level(within * last))))
    return Term(token, args)
