"""Draw and vary risk genes, each on its own ladder; neutral is the first rung, and most genes stay there."""

from __future__ import annotations

import random
from dataclasses import fields, replace
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


def draw_genes(chance: random.Random) -> Genes:
    """Return random genes: each is active with a chance of about one in eight."""
    given = {}
    for name in _NAMES:
        draw = chance.random()
        if draw < _ACTIVE:
            rungs = LADDERS[name]
            given[name] = rungs[int(draw / _ACTIVE * len(rungs))]
    return Genes(**given)


def vary_genes(genes: Genes, chance: random.Random) -> Genes:
    """Return genes of which one is a rung up or down, redrawn, or neutral again."""
    while True:
        name = _NAMES[chance.randrange(len(_NAMES))]
        rungs, now, act = LADDERS[name], getattr(genes, name), chance.random()
        if act < 0.25:
            then = getattr(NEUTRAL, name)
        elif act < 0.5:
            then = rungs[chance.randrange(len(rungs))]
        else:
            then = neighbour(rungs, now, up=chance.random() < 0.5)
        if then != now:
            return replace(genes, **{name: then})


def genes_in_use(genes: Genes) -> int:
    """Return how many genes are not neutral."""
    return sum(getattr(genes, name) != getattr(NEUTRAL, name) for name in _NAMES)


def cross_genes(first: Genes, second: Genes, chance: random.Random) -> Genes:
    """Return genes of which each comes from either parent."""
    if first == second:
        return first
    return Genes(**{name: getattr(second if chance.random() < 0.5 else first, name) for name in _NAMES})


def neighbour(rungs: tuple[Any, ...], value: Any, *, up: bool) -> Any:
    """Return the next rung above or below `value` (the nearest end where there is none); `value` may lie between rungs."""
    if up:
        return next((rung for rung in rungs if rung > value), rungs[-1])
    return next((rung for rung in reversed(rungs) if rung < value), rungs[0])
