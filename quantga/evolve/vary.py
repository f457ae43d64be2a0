"""Grow, cross and mutate programs: typed, within limits, and a function of the dice they are handed.

DEAP's own operators draw from the module-wide generator, pick types from a set by memory address and fail on kinds
that have only terminals; these three are what DEAP's toolbox would name mate, mutate and expr.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate

from quantga.errors import ConfigError
from quantga.evolve.grammar import ALWAYS, ROOT, Grammar, grammar_for, ladder
from quantga.evolve.grow import grow
from quantga.evolve.sizing import cross_genes, draw_genes, neighbour, vary_genes
from quantga.evolve.tree import Tree, history, tree
from quantga.lang.genes import Genes
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME
from quantga.lang.program import Program, Token, canonical, level, number, window
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
    while True:
        target = min(chance.randint(*_TARGET), vocabulary.limits.size)
        tokens = canonical(grow(vocabulary.grammar, ROOT, target, chance))
        if _lawful(vocabulary, tokens, history(tokens)):
            return Program(tokens, draw_genes(chance) if vocabulary.genes else Genes())


def admits(vocabulary: Vocabulary, program: Program) -> bool:
    """Tell whether a program could have been bred here: its columns, its size, its lookback; and that it decides."""
    known = program.columns <= vocabulary.grammar.columns
    return known and _lawful(vocabulary, program.tokens, history(program.tokens))


def _lawful(vocabulary: Vocabulary, tokens: tuple[Token, ...], lookback: int) -> bool:
    limits = vocabulary.limits
    return len(tokens) <= limits.size and lookback <= limits.lookback and decides(tokens)


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
    own, other = tree(first.tokens), tree(second.tokens)
    size = len(own.tokens)
    for _ in range(_TRIES):
        place = int(chance.random() * size)
        donors = other.places.get(own.sorts[place])
        if not donors:
            continue
        donor = donors[int(chance.random() * len(donors))]
        piece = other.at(donor)
        if piece == own.at(place) or len(piece) + size - (own.ends[place] - place) > vocabulary.limits.size:
            continue
        tokens, lookback = own.replaced(place, piece, other.histories[donor])
        if tokens != own.tokens and _lawful(vocabulary, tokens, lookback):
            return Program(tokens, genes)
    return Program(first.tokens, genes)


def mutate(vocabulary: Vocabulary, program: Program, chance: random.Random) -> Program:
    """Return `program` with one change: a sub-expression regrown, wrapped, shrunk or hoisted, a word or a number changed.

    With risk genes it is sometimes one of those. It returns the program itself where no change is within the limits.
    """
    if vocabulary.genes and chance.random() < _GENE_SHARE:
        return Program(program.tokens, vary_genes(program.genes, chance))
    own = tree(program.tokens)
    for _ in range(_TRIES):
        change = _CHANGES[bisect(_CHANGE_WEIGHTS, chance.random() * _CHANGE_WEIGHTS[-1])]
        place = int(chance.random() * len(own.tokens))
        piece = change(vocabulary, own, place, chance)
        if piece:
            tokens = _replaced(vocabulary, own, place, piece)
            if tokens:
                return Program(tokens, program.genes)
    return program


def tune(vocabulary: Vocabulary, program: Program, most: int, chance: random.Random) -> list[Program]:
    """Return up to `most` variants of `program`, each with one constant a rung up or down its ladder."""
    own = tree(program.tokens)
    steps = [(place, up) for place, sort in enumerate(own.sorts) if sort[0] in IMMEDIATE for up in (False, True)]
    chance.shuffle(steps)
    found: dict[tuple[Token, ...], Program] = {}
    for place, up in steps:
        if len(found) == most:
            break
        tokens = _replaced(vocabulary, own, place, (_stepped(own, place, up=up),))
        if tokens:
            found[tokens] = Program(tokens, program.genes)
    return list(found.values())


def _replaced(vocabulary: Vocabulary, own: Tree, place: int, piece: tuple[Token, ...]) -> tuple[Token, ...]:
    """Return the tokens with `piece` in a node's place, or nothing where that changes nothing or breaks a limit."""
    if piece == own.at(place):
        return ()
    tokens, lookback = own.replaced(place, piece, history(piece) if len(piece) > 1 else 0)
    return tokens if tokens != own.tokens and _lawful(vocabulary, tokens, lookback) else ()


# Each change returns what comes to stand in a node's place; nothing where it does not apply there.


def _regrown(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    size = own.ends[place] - place
    room = vocabulary.limits.size - len(own.tokens) + size
    sort = own.sorts[place] if place else ROOT
    return canonical(grow(vocabulary.grammar, sort, min(chance.randint(1, 2 * size + 6), room), chance))


def _reworded(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    others = vocabulary.grammar.alike(own.tokens[place], own.sorts[place])
    if not others:
        return ()
    return canonical((others[int(chance.random() * len(others))], *own.tokens[place + 1 : own.ends[place]]))


def _restepped(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    del vocabulary
    numbers = [at for at in range(place, own.ends[place]) if own.sorts[at][0] in IMMEDIATE]
    if not numbers:
        return ()
    at = numbers[int(chance.random() * len(numbers))]
    stepped = _stepped(own, at, up=chance.random() < 0.5)
    return canonical((*own.tokens[place:at], stepped, *own.tokens[at + 1 : own.ends[place]]))


def _stepped(own: Tree, place: int, *, up: bool) -> Token:
    sort = own.sorts[place]
    value = neighbour(ladder(sort), number(own.tokens[place]), up=up)
    return level(value) if sort[0] is Kind.LEVEL else window(int(value))


def _hoisted(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    del vocabulary
    inner = [at for at in own.places[own.sorts[place]] if place < at < own.ends[place]]
    return own.at(inner[int(chance.random() * len(inner))]) if inner else ()


def _shrunk(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    if not place or own.ends[place] == place + 1:
        return ()
    return canonical(grow(vocabulary.grammar, own.sorts[place], 1, chance))


def _wrapped(vocabulary: Vocabulary, own: Tree, place: int, chance: random.Random) -> tuple[Token, ...]:
    rows = vocabulary.grammar.wraps.get(own.sorts[place], ())
    if not rows:
        return ()
    row = rows[int(chance.random() * len(rows))]
    inside = row.args.index(own.sorts[place])
    out: tuple[Token, ...] = (row.code,)
    for i, sort in enumerate(row.args):
        out += own.at(place) if i == inside else grow(vocabulary.grammar, sort, chance.randint(1, 8), chance)
    return canonical(out)


_CHANGES = (_regrown, _reworded, _restepped, _hoisted, _shrunk, _wrapped)
_CHANGE_WEIGHTS = tuple(accumulate((0.35, 0.2, 0.2, 0.1, 0.05, 0.1)))
