"""A program's tokens seen as a tree: where each sub-expression starts and ends, and what sort it is."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from quantga.evolve.grammar import ASPECTS, POSITION, Sort, bind
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import OPS
from quantga.lang.program import Program, Token, arity

WORDS = len(OPS)


class Node(NamedTuple):
    """A sub-expression: tokens[start:end], its sort, and the place of the operator that takes it (-1 for the root)."""

    start: int
    end: int
    sort: Sort
    parent: int


@lru_cache(maxsize=8192)
def nodes(tokens: tuple[Token, ...]) -> tuple[Node, ...]:
    """Return the nodes in prefix order: node i starts at token i."""
    size = len(tokens)
    ends, parents, sorts = list(range(1, size + 1)), [-1] * size, [POSITION] * size
    stack: list[int] = []
    for place in range(size - 1, -1, -1):
        token = tokens[place]
        count = arity(token)
        if isinstance(token, str):
            sorts[place] = (Kind.RATIO, "score")
        elif count or token < WORDS:
            args = stack[: -count - 1 : -1] if count else []
            own, given = bind(token, tuple(sorts[a][1] for a in args if sorts[a][0] in ASPECTS))
            sorts[place] = own
            for a, sort in zip(args, given, strict=True):
                parents[a], sorts[a] = place, sort
            if count:
                del stack[-count:]
                ends[place] = ends[args[-1]]
        stack.append(place)
    return tuple(map(Node, range(size), ends, sorts, parents))


@lru_cache(maxsize=8192)
def by_sort(tokens: tuple[Token, ...]) -> dict[Sort, tuple[Node, ...]]:
    """Return the nodes of each sort, in prefix order."""
    found: dict[Sort, list[Node]] = {}
    for node in nodes(tokens):
        found.setdefault(node.sort, []).append(node)
    return {sort: tuple(those) for sort, those in found.items()}


def history(tokens: tuple[Token, ...]) -> int:
    """Return a bound of the lookback in bars: at least `Program.lookback`, mostly equal to it, and quick to have."""
    stack: list[int] = []
    for token in reversed(tokens):
        if isinstance(token, str):
            stack.append(0)
        elif token >= WORDS:
            stack.append(-token)  # a number, not a history
        else:
            below, given = 0, []
            for _ in range(arity(token)):
                item = stack.pop()
                if item >= 0:
                    below = max(below, item)
                else:
                    given.append(-item)
            stack.append(below + _own_history(token, tuple(given)))
    return stack[0]


@cache
def _own_history(code: int, numbers: tuple[int, ...]) -> int:
    """Return the lookback of an operator over values that have none."""
    values = sum(kind not in IMMEDIATE for kind in OPS[code].args)
    return Program((code, *["$momentary"] * values, *numbers)).lookback
