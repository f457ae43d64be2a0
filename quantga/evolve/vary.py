"""Grow, cross and mutate programs: typed, within limits, and a function of the dice they are handed.

DEAP's own operators draw from the module-wide generator, pick types from a set by memory address and fail on kinds
that have only terminals; these three are what DEAP's toolbox would name mate, mutate and expr.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from quantga.errors import ConfigError
from quantga.evolve.grammar import ALWAYS, ROOT, Grammar, Sort, grammar_for, ladder
from quantga.evolve.grow import grow
from quantga.evolve.sizing import cross_genes, draw_genes, neighbour, vary_genes
from quantga.evolve.tree import Tree, tree
from quantga.lang.genes import Genes
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME
from quantga.lang.program import Program
from quantga.lang.term import Term, Token, level, number, same, term, window
from quantga.streams import dice

_TRIES = 20
_GENE_SHARE = 0.25
_TARGET = (20, 44)
"""Tokens that a random program aims at; it ends up some smaller."""
_WANTS = frozenset(op.code for name in ("long", "short", "flat") for op in BY_NAME[name])
_FREE = frozenset(op.code for op in BY_NAME["scale"] if op.args[0] is Kind.RATIO)
_FIXED = next(op.code for op in BY_NAME["scale"] if op.args[0] is Kind.LEVEL)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a program may be: tokens, and bars of history that it needs."""

    size: int = 40
    lookback: int = 1_000


@dataclass(frozen=True)
class Vocabulary:
    """What programs may be made of: the grammar, the limits, and whether risk genes vary."""

    grammar: Grammar
    limits: Limits = Limits()
    genes: bool = False


def random_programs(
    n: int,
    seed: int,
    *,
    columns: Collection[str] = ALWAYS,
    genes: bool = False,
    limits: Limits | None = None,
) -> list[Program]:
    """Return `n` random programs as evolution draws its first ones; the i-th depends on (seed, i) alone.

    columns: names of the columns that they may read, `$name` for a user's own, besides OHLCV and the calendar.
    genes: draw risk genes too; else they are neutral.
    """
    if n < 0:
        raise ConfigError(f"the number of random programs must be 0 or more, not {n}")
    vocabulary = Vocabulary(grammar_for(columns), limits or Limits(), genes)
    return [fresh(vocabulary, dice(seed, "random", slot)) for slot in range(n)]


def fresh(vocabulary: Vocabulary, chance: random.Random) -> Program:
    """Return a new random program that changes its mind at least once and is within the limits."""
    least, most = _TARGET
    while True:
        target = min(_whole(least, most, chance), vocabulary.limits.size)
        found = grow(vocabulary.grammar, ROOT, target, chance)
        if _lawful(vocabulary, found):
            return Program.of_term(found, draw_genes(chance) if vocabulary.genes else Genes())


def _whole(least: int, most: int, chance: random.Random) -> int:
    """Return a whole number from `least` to `most`."""
    return least + int(chance.random() * (most - least + 1))


def admits(vocabulary: Vocabulary, program: Program) -> bool:
    """Tell whether a program could have been bred here: its columns, its size, its lookback; and that it decides."""
    return program.columns <= vocabulary.grammar.columns and _lawful(vocabulary, program.term)


def _lawful(vocabulary: Vocabulary, found: Term) -> bool:
    limits = vocabulary.limits
    return found.size <= limits.size and decides(found.tokens) and found.lookback <= limits.lookback


def decides(tokens: tuple[Token, ...]) -> bool:
    """Tell whether a program can want two different positions: `when(mask, long, hold)` would trade once."""
    if not _FREE.isdisjoint(tokens):
        return True
    wants = len(_WANTS.intersection(tokens))
    if wants < 2 and _FIXED in tokens:
        wants += len({tokens[i + 1] for i, token in enumerate(tokens) if token == _FIXED})
    return wants > 1


def cross(vocabulary: Vocabulary, first: Program, second: Program, chance: random.Random) -> Program:
    """Return `first` with one of its sub-expressions replaced by one of `second` of the same sort.

    Risk genes come from either parent. It returns `first` where nothing fits.
    """
    genes = cross_genes(first.genes, second.genes, chance) if vocabulary.genes else first.genes
    own, other = tree(first.term), tree(second.term)
    size, most = len(own.nodes), len(other.nodes)
    for _ in range(_TRIES):
        place = int(chance.random() * size)
        donors = other.alike(own.sorts[place], 0, most)
        if not donors:
            continue
        piece = other.nodes[donors[int(chance.random() * len(donors))]]
        found = _replaced(vocabulary, own, place, piece)
        if found:
            return Program.of_term(found, genes)
    return Program.of_term(first.term, genes)


def mutate(vocabulary: Vocabulary, program: Program, chance: random.Random) -> Program:
    """Return `program` with one change: a sub-expression regrown, wrapped, shrunk or hoisted, a word or a number changed.

    With risk genes it is sometimes one of those. It returns the program itself where no change is within the limits.
    """
    if vocabulary.genes and chance.random() < _GENE_SHARE:
        return Program.of_term(program.term, vary_genes(program.genes, chance))
    own = tree(program.term)
    for _ in range(_TRIES):
        change = _CHANGES[bisect(_CHANGE_WEIGHTS, chance.random() * _CHANGE_WEIGHTS[-1])]
        place = int(chance.random() * len(own.nodes))
        piece = change(vocabulary, own, place, chance)
        found = piece and _replaced(vocabulary, own, place, piece)
        if found:
            return Program.of_term(found, program.genes)
    return program


def tune(vocabulary: Vocabulary, program: Program, most: int, chance: random.Random) -> list[Program]:
    """Return up to `most` variants of `program`, each with one constant a rung up or down its ladder."""
    own = tree(program.term)
    steps = [(place, up) for place, sort in enumerate(own.sorts) if sort[0] in IMMEDIATE for up in (False, True)]
    chance.shuffle(steps)
    found: dict[tuple[Token, ...], Program] = {}
    for place, up in steps:
        if len(found) == most:
            break
        varied = _replaced(vocabulary, own, place, _stepped(own, place, up=up))
        if varied:
            found[varied.tokens] = Program.of_term(varied, program.genes)
    return list(found.values())


def _replaced(vocabulary: Vocabulary, own: Tree, place: int, piece: Term) -> Term | None:
    """Return the term with `piece` in a node's place; None where that changes nothing or breaks a limit."""
    old = own.nodes[place]
    if same(piece, old) or own.root.size - old.size + piece.size > vocabulary.limits.size:
        return None
    found = own.replaced(place, piece)
    return found if not same(found, own.root) and _lawful(vocabulary, found) else None


# Each change returns what comes to stand in a node's place; None where it does not apply there.


def _regrown(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term:
    size = own.nodes[place].size
    room = vocabulary.limits.size - own.root.size + size
    sort = own.sorts[place] if place else ROOT
    return grow(vocabulary.grammar, sort, min(_whole(1, 2 * size + 6, chance), room), chance)


def _reworded(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term | None:
    old = own.nodes[place]
    others = _alike(vocabulary.grammar, old.token, own.sorts[place])
    return term(others[int(chance.random() * len(others))], old.args) if others else None


@cache
def _alike(grammar: Grammar, token: Token, sort: Sort) -> tuple[int, ...]:
    return grammar.alike(token, sort)


def _restepped(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term | None:
    del vocabulary
    end = place + own.nodes[place].size
    numbers = [at for at in range(place, end) if own.sorts[at][0] in IMMEDIATE]
    if not numbers:
        return None
    at = numbers[int(chance.random() * len(numbers))]
    stepped = _stepped(own, at, up=chance.random() < 0.5)
    return stepped if at == place else tree(own.nodes[place]).replaced(at - place, stepped)


def _stepped(own: Tree, place: int, *, up: bool) -> Term:
    sort = own.sorts[place]
    value = neighbour(ladder(sort), number(own.nodes[place].token), up=up)
    return term(level(value) if sort[0] is Kind.LEVEL else window(int(value)))


def _hoisted(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term | None:
    del vocabulary
    inner = own.alike(own.sorts[place], place + 1, place + own.nodes[place].size)
    return own.nodes[inner[int(chance.random() * len(inner))]] if inner else None


def _shrunk(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term | None:
    if not place or not own.nodes[place].args:
        return None
    return grow(vocabulary.grammar, own.sorts[place], 1, chance)


def _wrapped(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> Term | None:
    rows = vocabulary.grammar.wraps.get(own.sorts[place], ())
    if not rows:
        return None
    row = rows[int(chance.random() * len(rows))]
    inside = row.args.index(own.sorts[place])
    args = [
        own.nodes[place] if i == inside else grow(vocabulary.grammar, sort, _whole(1, 8, chance), chance)
        for i, sort in enumerate(row.args)
    ]
    return term(row.code, tuple(args))


_CHANGES = (_regrown, _reworded, _restepped, _hoisted, _shrunk, _wrapped)
_CHANGE_WEIGHTS = tuple(accumulate((0.35, 0.2, 0.2, 0.1, 0.05, 0.1)))
