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
from quantga.evolve.tree import Node, by_sort, history, nodes
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import BY_NAME, OPS
from quantga.lang.program import Program, Token, level, number, window
from quantga.streams import dice

_TRIES = 20
_GENE_SHARE = 0.25
_TARGET = (20, 44)
"""Tokens that a random program aims at; it ends up some smaller."""
_LEAVES = frozenset(op.code for name in ("long", "short", "flat", "hold") for op in BY_NAME[name])
_HOLD = BY_NAME["hold"][0].code
_SCALES = frozenset(op.code for op in BY_NAME["scale"])


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
        tokens = grow(vocabulary.grammar, ROOT, target, chance)
        program = accept(vocabulary, tokens)
        if program is not None:
            return Program(program.tokens, draw_genes(chance)) if vocabulary.genes else program


def accept(vocabulary: Vocabulary, tokens: tuple[Token, ...]) -> Program | None:
    """Return the canonical program of `tokens`, or None where it is too large or can never change its mind."""
    program = Program.of(tokens)
    limits = vocabulary.limits
    if len(program.tokens) > limits.size or not decides(program.tokens):
        return None
    if history(program.tokens) > limits.lookback:
        return None
    return program


def decides(tokens: tuple[Token, ...]) -> bool:
    """Tell whether a program can want two different positions: `when(mask, long, hold)` would trade once."""
    if any(token in _SCALES and OPS[token].args[0] is Kind.RATIO for token in tokens if isinstance(token, int)):
        return True
    fixed = {tokens[i + 1] for i, token in enumerate(tokens[:-1]) if token in _SCALES}
    return len(fixed) + len(_LEAVES.intersection(tokens) - {_HOLD}) > 1


def cross(vocabulary: Vocabulary, first: Program, second: Program, chance: random.Random) -> Program:
    """Return `first` with one of its sub-expressions replaced by one of `second` of the same sort.

    Risk genes come from either parent. It returns `first` where nothing fits.
    """
    genes = cross_genes(first.genes, second.genes, chance) if vocabulary.genes else first.genes
    own, room = nodes(first.tokens), vocabulary.limits.size - len(first.tokens)
    for _ in range(_TRIES):
        node = own[chance.randrange(len(own))]
        here = first.tokens[node.start : node.end]
        donors = by_sort(second.tokens).get(node.sort, ())
        if donors:
            donor = donors[chance.randrange(len(donors))]
            there = second.tokens[donor.start : donor.end]
            if there != here and len(there) - len(here) <= room:
                child = _spliced(vocabulary, first.tokens, node, there)
                if child is not None:
                    return Program(child, genes)
    return Program(first.tokens, genes)


def mutate(vocabulary: Vocabulary, program: Program, chance: random.Random) -> Program:
    """Return `program` with one change: a sub-expression regrown, wrapped, shrunk or hoisted, a word or a number changed.

    With risk genes it is sometimes one of those. It returns the program itself where no change is within the limits.
    """
    if vocabulary.genes and chance.random() < _GENE_SHARE:
        return Program(program.tokens, vary_genes(program.genes, chance))
    own = nodes(program.tokens)
    for _ in range(_TRIES):
        change = _CHANGES[bisect(_CHANGE_WEIGHTS, chance.random() * _CHANGE_WEIGHTS[-1])]
        node = own[chance.randrange(len(own))]
        tree = change(_Site(vocabulary, program.tokens, node), chance)
        if tree and tree != program.tokens[node.start : node.end]:
            child = _spliced(vocabulary, program.tokens, node, tree)
            if child is not None and child != program.tokens:
                return Program(child, program.genes)
    return program


def tune(vocabulary: Vocabulary, program: Program, most: int, chance: random.Random) -> list[Program]:
    """Return up to `most` variants of `program`, each with one constant a rung up or down its ladder."""
    steps = [(node, up) for node in nodes(program.tokens) if node.sort[0] in IMMEDIATE for up in (False, True)]
    chance.shuffle(steps)
    found: dict[tuple[Token, ...], Program] = {}
    for node, up in steps:
        if len(found) == most:
            break
        child = _spliced(vocabulary, program.tokens, node, _stepped(program.tokens, node, up=up))
        if child is not None and child != program.tokens:
            found[child] = Program(child, program.genes)
    return list(found.values())


def _spliced(
    vocabulary: Vocabulary, tokens: tuple[Token, ...], node: Node, tree: tuple[Token, ...]
) -> tuple[Token, ...] | None:
    program = accept(vocabulary, tokens[: node.start] + tree + tokens[node.end :])
    return None if program is None else program.tokens


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a change happens: tokens[node.start:node.end]."""

    vocabulary: Vocabulary
    tokens: tuple[Token, ...]
    node: Node

    @property
    def size(self) -> int:
        return self.node.end - self.node.start

    @property
    def tree(self) -> tuple[Token, ...]:
        return self.tokens[self.node.start : self.node.end]

    @property
    def inner(self) -> list[Node]:
        """The nodes below the site."""
        return [n for n in nodes(self.tokens)[self.node.start + 1 :] if n.end <= self.node.end]


# Each change returns what comes to stand at the site; nothing where it does not apply there.


def _regrown(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    sort = ROOT if site.node.parent < 0 else site.node.sort
    room = site.vocabulary.limits.size - len(site.tokens) + site.size
    return grow(site.vocabulary.grammar, sort, min(chance.randint(1, 2 * site.size + 6), room), chance)


def _reworded(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    others = site.vocabulary.grammar.alike(site.tree[0], site.node.sort)
    return (others[chance.randrange(len(others))], *site.tree[1:]) if others else ()


def _restepped(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    numbers = [node for node in (site.node, *site.inner) if node.sort[0] in IMMEDIATE]
    if not numbers:
        return ()
    one = numbers[chance.randrange(len(numbers))]
    stepped = _stepped(site.tokens, one, up=chance.random() < 0.5)
    return site.tokens[site.node.start : one.start] + stepped + site.tokens[one.end : site.node.end]


def _stepped(tokens: tuple[Token, ...], node: Node, *, up: bool) -> tuple[Token, ...]:
    value = neighbour(ladder(node.sort), number(tokens[node.start]), up=up)
    return (level(value) if node.sort[0] is Kind.LEVEL else window(int(value)),)


def _hoisted(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    inner = [node for node in site.inner if node.sort == site.node.sort]
    one = inner[chance.randrange(len(inner))] if inner else None
    return site.tokens[one.start : one.end] if one else ()


def _shrunk(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    return grow(site.vocabulary.grammar, site.node.sort, 1, chance) if site.node.parent >= 0 and site.size > 1 else ()


def _wrapped(site: _Site, chance: random.Random) -> tuple[Token, ...]:
    grammar = site.vocabulary.grammar
    rows = grammar.wraps.get(site.node.sort, ())
    if not rows:
        return ()
    row = rows[chance.randrange(len(rows))]
    place = row.args.index(site.node.sort)
    out: tuple[Token, ...] = (row.code,)
    for i, sort in enumerate(row.args):
        out += site.tree if i == place else grow(grammar, sort, chance.randint(1, 8), chance)
    return out


_CHANGES = (_regrown, _reworded, _restepped, _hoisted, _shrunk, _wrapped)
_CHANGE_WEIGHTS = tuple(accumulate((0.35, 0.2, 0.2, 0.1, 0.05, 0.1)))
