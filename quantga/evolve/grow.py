"""Grow a random term of a sort within a budget of tokens, from the dice that it is handed.

DEAP's generator knows no budget and fails on kinds that have only terminals, such as windows and levels.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

from quantga.evolve.grammar import Grammar, Production, Sort, is_even, tokens_of
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME, OPS
from quantga.lang.term import Term, Token, number, same, term

type Draw = Callable[[], float]

_DEEP = 60
"""Budgets above this share one table of choices."""
_VALUE = 6
"""A value's share of a large budget: beyond it grows logic, not smoothing of smoothing."""
_AGAIN = 3
"""How often an argument that says what the one before it said is drawn anew."""
_TWINS = frozenset(
    op.code for op in OPS if len(op.args) >= 2 and op.args[-1] == op.args[-2] and op.args[-1] not in IMMEDIATE
)
"""Operators of two like values, idle where both are equal."""
_SIDES: dict[Token, int] = {
    **{
        op.code: side
        for side, names in (
            (2, "highest donchian_high max high higher_volume"),
            (1, "bb_upper keltner_upper higher_high"),
            (0, "open close typical volume ret"),
            (-1, "bb_lower keltner_lower higher_low"),
            (-2, "lowest donchian_low min low"),
        )
        for name in names.split()
        for op in BY_NAME[name]
    },
    **{op.code: 2 for op in BY_NAME["add"] if op.ret is not Kind.RATIO},
    **{op.code: -2 for op in BY_NAME["sub"] if op.ret is not Kind.RATIO},
}
_SMOOTH = frozenset(op.code for name in ("mean", "ema", "wma", "wilder", "every") for op in BY_NAME[name])
_MACD = frozenset(op.code for name in ("macd", "macd_signal", "macd_hist") for op in BY_NAME[name])
_BETWEEN = BY_NAME["between"][0].code


@dataclass(eq=False, slots=True)
class Symbol:
    """A sort, ready to be grown: its numbers, or what its trees may begin with, by budget.

    Where the user's own columns fit, `users` has them, and a last weight without a rule stands for them all.
    """

    least: int
    numbers: tuple[Term, ...] = ()
    is_even: bool = False
    rules: list[Rule] = field(default_factory=list)
    users: tuple[Term, ...] = ()
    choices: dict[int, tuple[Sequence[Rule], Sequence[float]]] = field(default_factory=dict)

    def choice(self, budget: int) -> tuple[Sequence[Rule], Sequence[float]]:
        """Return what a tree of this budget may begin with, and the running sum of the weights."""
        rules = [rule for rule in self.rules if rule.least <= budget]
        weights = [rule.weight * _suits(rule.row, budget) for rule in rules]
        if self.users:
            weights.append(len(self.users) * max(0.05, 1 - (budget - 1) / 6))
        self.choices[budget] = rules, tuple(accumulate(weights))
        return self.choices[budget]


@dataclass(eq=False, slots=True)
class Rule:
    """A production, ready to be used.

    large: places of the arguments that can grow. ordered: place of the first of two numbers that ascend, or -1. twins:
    whether it is idle where its two values say the same.
    """

    row: Production
    args: tuple[Symbol, ...]
    least: int
    weight: float
    large: tuple[int, ...]
    ordered: int
    twins: bool


def grow(grammar: Grammar, sort: Sort, budget: int, chance: random.Random) -> Term:
    """Return a random canonical term of `sort` of about `budget` tokens (at least the smallest there is)."""
    return _grow(_symbols(grammar)[sort], budget, chance.random)


@cache
def _symbols(grammar: Grammar) -> dict[Sort, Symbol]:
    """Return the symbol of every sort of a grammar."""
    symbols: dict[Sort, Symbol] = {}
    for sort, least in grammar.least.items():
        if sort[0] in IMMEDIATE:
            symbols[sort] = Symbol(1, tuple(map(term, tokens_of(sort))), is_even(sort))
        else:
            symbols[sort] = Symbol(
                least, users=tuple(map(term, grammar.users)) if sort == (Kind.RATIO, "score") else ()
            )
    for sort, rows in grammar.productions.items():
        symbols[sort].rules += [_rule(row, tuple(symbols[arg] for arg in row.args)) for row in rows]
    return symbols


def _rule(row: Production, args: tuple[Symbol, ...]) -> Rule:
    kinds = [sort[0] for sort in row.args]
    ordered = kinds.index(Kind.WINDOW) if row.code in _MACD else len(kinds) - 2 if row.code == _BETWEEN else -1
    large = tuple(place for place, kind in enumerate(kinds) if kind not in IMMEDIATE)
    twins = row.code in _TWINS and row.sort[0] in (Kind.MASK, Kind.RATIO)
    return Rule(row, args, row.least, row.weight, large, ordered, twins)


def _grow(symbol: Symbol, budget: int, draw: Draw) -> Term:
    if symbol.numbers:
        return _number(symbol, draw)
    within = max(symbol.least, min(budget, _DEEP))
    rules, weights = symbol.choices.get(within) or symbol.choice(within)
    place = bisect(weights, draw() * weights[-1])
    if place >= len(rules):
        return symbol.users[int(draw() * len(symbol.users))]
    rule = rules[place]
    if not rule.args:
        return term(rule.row.code)
    out: list[Term] = []
    for argument, share in zip(rule.args, _shares(rule, budget, draw), strict=True):
        found = _grow(argument, share, draw)
        if out:
            for more in range(1, _AGAIN + 1):
                if not _idle(rule, found, out[-1]):
                    break
                found = _grow(argument, share + 6 + more, draw)
        out.append(found)
    if rule.ordered >= 0:
        pair = slice(rule.ordered, rule.ordered + 2)
        out[pair] = sorted(out[pair], key=_value)
    return term(rule.row.code, tuple(out))


def _value(leaf: Term) -> float:
    return number(leaf.token)


def _idle(rule: Rule, found: Term, previous: Term) -> bool:
    """Tell whether an argument says what the one before it said, or is always above or below it."""
    if same(found, previous):
        return True
    if not rule.twins:
        return False
    if not found.args and not previous.args:
        return True
    one, other = _side(previous), _side(found)
    return one * other < 0 or (0 in (one, other) and abs(one + other) == 2)


def _side(found: Term) -> int:
    """Return 2 for what bounds recent bars from above, 1 for what lies above them, 0 for a bar itself; negative: below.

    3 is none of these, and fits beside everything.
    """
    while found.token in _SMOOTH:
        found = found.args[0]
    return _SIDES.get(found.token, 3)


def _shares(rule: Rule, budget: int, draw: Draw) -> list[int]:
    """Split what the budget leaves beyond the smallest arguments at random among those that can grow."""
    shares = [argument.least for argument in rule.args]
    spare, large = budget - rule.least, rule.large
    if spare <= 0 or not large:
        return shares
    if len(large) == 1:
        shares[large[0]] += spare
        return shares
    weights = [0.15 + draw() for _ in large]
    unit = spare / sum(weights)
    for place, weight in zip(large, weights, strict=True):
        shares[place] += int(unit * weight + 0.5)
    return shares


def _number(symbol: Symbol, draw: Draw) -> Term:
    found = symbol.numbers
    if symbol.is_even:
        return found[int(draw() * len(found))]
    return found[int((draw() + draw() + draw()) / 3 * len(found))]


def _suits(row: Production, budget: int) -> float:
    """Return how well a row can use the budget: leaves cannot grow, and values should not grow large."""
    logic = any(sort[0] in (Kind.MASK, Kind.POSITION) for sort in row.args)
    if logic:
        return 1.0
    most = _VALUE * sum(sort[0] not in IMMEDIATE for sort in row.args) + 1 if row.is_open else row.least
    return max(0.02, 1 - max(0, budget - most) / 6)
