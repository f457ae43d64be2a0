"""Grow a random tree of a sort within a budget of tokens, from the dice that it is handed.

DEAP's generator knows no budget and fails on kinds that have only terminals, such as windows and levels.
"""

from __future__ import annotations

import random
from bisect import bisect
from functools import cache
from itertools import accumulate

from quantga.evolve.grammar import Grammar, Production, Sort, is_even, tokens_of
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME, OPS
from quantga.lang.program import Token, number

_DEEP = 60
"""Budgets above this share one table of choices."""
_VALUE = 6
"""A value's share of a large budget: beyond it grows logic, not smoothing of smoothing."""
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


def grow(grammar: Grammar, sort: Sort, budget: int, chance: random.Random) -> tuple[Token, ...]:
    """Return a random tree of `sort` of about `budget` tokens (at least the smallest there is)."""
    return tuple(_grow(grammar, sort, budget, chance))


def _grow(grammar: Grammar, sort: Sort, budget: int, chance: random.Random) -> list[Token]:
    if sort[0] in IMMEDIATE:
        return [_number(sort, chance)]
    rows, weights = _choices(grammar, sort, max(grammar.least[sort], min(budget, _DEEP)))
    place = bisect(weights, chance.random() * weights[-1])
    if place >= len(rows):
        return [grammar.users[chance.randrange(len(grammar.users))]]
    row = rows[place]
    out: list[Token] = [row.code]
    shares = _shares(grammar, row, budget, chance)
    previous: list[Token] = []
    for argument, share in zip(row.args, shares, strict=True):
        tree = _grow(grammar, argument, share, chance)
        for more in range(1, 4):
            if not _idle(row, tree, previous):
                break
            tree = _grow(grammar, argument, share + 6 + more, chance)
        out += tree
        previous = tree
    return _ordered(row, out)


def _idle(row: Production, tree: list[Token], previous: list[Token]) -> bool:
    """Tell whether an argument says what the one before it said, or is always above or below it."""
    if tree == previous:
        return True
    if row.code not in _TWINS or row.sort[0] not in (Kind.MASK, Kind.RATIO) or not previous:
        return False
    if len(tree) == len(previous) == 1:
        return True
    one, other = _side(previous), _side(tree)
    return one * other < 0 or (0 in (one, other) and abs(one + other) == 2)


def _side(tree: list[Token]) -> int:
    """Return 2 for what bounds recent bars from above, 1 for what lies above them, 0 for a bar itself; negative: below.

    3 is none of these, and fits beside everything.
    """
    for token in tree:
        if token not in _SMOOTH:
            return _SIDES.get(token, 3)
    return 3


def _shares(grammar: Grammar, row: Production, budget: int, chance: random.Random) -> list[int]:
    """Split what the budget leaves beyond the smallest arguments at random among those that can grow."""
    least = grammar.least
    spare = max(0, budget - row.least)
    weights = [0.0 if sort[0] in IMMEDIATE else 0.15 + chance.random() for sort in row.args]
    total = sum(weights)
    if not total:
        return [1] * len(row.args)
    return [least[sort] + int(spare * weight / total + 0.5) for sort, weight in zip(row.args, weights, strict=True)]


def _ordered(row: Production, tree: list[Token]) -> list[Token]:
    """Put a fast window before a slow one, and a low level before a high one."""
    if row.code in _MACD:
        count = sum(sort[0] is Kind.WINDOW for sort in row.args)
        first = len(tree) - count
        tree[first : first + 2] = sorted(tree[first : first + 2], key=number)
    elif row.code == _BETWEEN:
        tree[-2:] = sorted(tree[-2:], key=number)
    return tree


def _number(sort: Sort, chance: random.Random) -> Token:
    found = tokens_of(sort)
    if is_even(sort):
        return found[int(chance.random() * len(found))]
    return found[int((chance.random() + chance.random() + chance.random()) / 3 * len(found))]


@cache
def _choices(grammar: Grammar, sort: Sort, budget: int) -> tuple[tuple[Production, ...], tuple[float, ...]]:
    """Return what a tree of this sort and budget may begin with, and the running sum of the weights.

    Where the user's own columns fit, a last weight without a row stands for them.
    """
    rows = tuple(row for row in grammar.productions.get(sort, ()) if row.least <= budget)
    weights = [row.weight * _suits(row, budget) for row in rows]
    if grammar.users and sort == (Kind.RATIO, "score"):
        weights.append(len(grammar.users) * max(0.05, 1 - (budget - 1) / 6))
    return rows, tuple(accumulate(weights))


def _suits(row: Production, budget: int) -> float:
    """Return how well a row can use the budget: leaves cannot grow, and values should not grow large."""
    logic = any(sort[0] in (Kind.MASK, Kind.POSITION) for sort in row.args)
    if logic:
        return 1.0
    most = _VALUE * sum(sort[0] not in IMMEDIATE for sort in row.args) + 1 if row.is_open else row.least
    return max(0.02, 1 - max(0, budget - most) / 6)
