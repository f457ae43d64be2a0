"""Draw and vary risk genes, each on its own ladder; neutral is the first rung, and most genes stay there."""

from __future__ import annotations

import random
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

from quantga.lang.genes import Genes

LADDERS: dict[str, tuple[Any, ...]] = {
    "vol_target": (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2),
    "leverage": (0.25, 0.5, 1.0, 1.5, 2.0, 3.0),
    "stop": (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2),
    "stop_atr": (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0),
    "take": (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3),
    "take_atr": (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0),
    "ladder": (
        (),
        ((0, 0.02), (12, 0.01), (48, 0.0)),
        ((0, 0.05), (24, 0.02), (72, 0.0)),
        ((0, 0.1), (48, 0.05), (168, 0.0)),
    ),
    "latch": (False, True),
    "band": (0.0, 0.05, 0.1, 0.2, 0.3),
    "max_hold": (0, 4, 8, 12, 24, 48, 72, 120, 168, 336),
}
"""The rungs of each gene, ascending."""

_NAMES = tuple(field.name for field in fields(Genes))
NEUTRAL = Genes()
_ACTIVE = 0.12
_values = attrgetter(*_NAMES)
_NONE = _values(NEUTRAL)


@lru_cache(maxsize=4096)
def _genes(values: tuple[Any, ...]) -> Genes:
    """Return the genes of these values; equal ones are one object."""
    return Genes(*values)


def draw_genes(chance: random.Random) -> Genes:
    """Return random genes: each is active with a chance of about one in eight."""
    given = list(_NONE)
    for place, name in enumerate(_NAMES):
        draw = chance.random()
        if draw < _ACTIVE:
            rungs = LADDERS[name]
            given[place] = rungs[int(draw / _ACTIVE * len(rungs))]
    return _genes(tuple(given))


def vary_genes(genes: Genes, chance: random.Random) -> Genes:
    """Return genes of which one is a rung up or down, redrawn, or neutral again."""
    values = list(_values(genes))
    while True:
        place = int(chance.random() * len(_NAMES))
        rungs, now, act = LADDERS[_NAMES[place]], values[place], chance.random()
        if act < 0.25:
            then = _NONE[place]
        elif act < 0.5:
            then = rungs[int(chance.random() * len(rungs))]
        else:
            then = neighbour(rungs, now, up=chance.random() < 0.5)
        if then != now:
            values[place] = then
            return _genes(tuple(values))


def genes_in_use(genes: Genes) -> int:
    """Return how many genes are not neutral."""
    return sum([value != none for value, none in zip(_values(genes), _NONE, strict=True)])


def cross_genes(first: Genes, second: Genes, chance: random.Random) -> Genes:
    """Return genes of which each comes from either parent."""
    if first is second or first == second:
        return first
    draw = chance.random
    return _genes(
        tuple([other if draw() < 0.5 else own for own, other in zip(_values(first), _values(second), strict=True)])
    )


def neighbour(rungs: tuple[Any, ...], value: Any, *, up: bool) -> Any:
    """Return the next rung above or below `value` (the nearest end where there is none); `value` may lie between rungs."""
    if up:
        return next((rung for rung in rungs if rung > value), rungs[-1])
    return next((rung for rung in reversed(rungs) if rung < value), rungs[0])
