"""A program's term seen by the grammar: its nodes in prefix order, the sort of each, and what replacing one gives.

A replacement is brought to canonical form along the path to the root only: all that hangs beside it is canonical already.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from quantga.evolve.grammar import ASPECTS, POSITION, Sort, bind
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import OPS
from quantga.lang.term import Term, Token, term

_USER: Sort = (Kind.RATIO, "score")
_NUMBER: Sort = (Kind.WINDOW, "")  # until the operator that takes it says which ladder
_VALUED = tuple(tuple(i for i, kind in enumerate(op.args) if kind in ASPECTS) for op in OPS)
"""For each operator the places of the arguments that have an aspect."""
_NUMBERS = tuple(tuple(kind in IMMEDIATE for kind in op.args) for op in OPS)
"""For each operator which of its arguments are numbers."""
_ONE: dict[Sort, Sort] = {}


@dataclass(frozen=True, slots=True)
class Tree:
    """The nodes of a term in prefix order: node i ends before node `i + size`, and is of `sorts[i]`.

    Sorts of two trees are equal where they are identical.
    """

    root: Term
    nodes: tuple[Term, ...]
    sorts: tuple[Sort, ...]

    def alike(self, sort: Sort, start: int, end: int) -> list[int]:
        """Return the nodes of a sort among some."""
        return [place for place in range(start, end) if self.sorts[place] is sort]

    def replaced(self, place: int, piece: Term) -> Term:
        """Return the canonical term with `piece` in a node's place."""
        at, path = self.root, []
        while place:
            place -= 1
            for i, argument in enumerate(at.args):
                if place < argument.size:
                    path.append((at, i))
                    at = argument
                    break
                place -= argument.size
        for above, i in reversed(path):
            piece = term(above.token, (*above.args[:i], piece, *above.args[i + 1 :]))
        return piece


@lru_cache(maxsize=16384)
def tree(root: Term) -> Tree:
    """Return the tree of a term."""
    return Tree(root, tuple(_nodes(root)), _sorts(root))


def _nodes(root: Term) -> list[Term]:
    found = [root]
    for argument in root.args:
        if argument.args:
            found += _nodes(argument)
        else:
            found.append(argument)
    return found


@lru_cache(maxsize=1 << 16)
def _sorts(root: Term) -> tuple[Sort, ...]:
    """Return the sort of every node of a term."""
    token = root.token
    if isinstance(token, str):
        return (_one(_USER),)
    if token >= len(OPS):
        return (_one(_NUMBER),)
    below = [_sorts(argument) for argument in root.args]
    own, given = _bound(token, tuple([below[place][0][1] for place in _VALUED[token]]))
    found = [own]
    for sort, sorts, is_number in zip(given, below, _NUMBERS[token], strict=True):
        if is_number:
            found.append(sort)
        else:
            found += sorts
    return tuple(found)


@cache
def _bound(code: int, aspects: tuple[str, ...]) -> tuple[Sort, tuple[Sort, ...]]:
    own, given = bind(code, aspects)
    return _one(own), tuple(map(_one, given))


def _one(sort: Sort) -> Sort:
    """Return the one sort that stands for all equal ones."""
    return _ONE.setdefault(sort, sort)


_one(POSITION)


@lru_cache(maxsize=16384)
def pieces(root: Term) -> int:
    """Return how many different sub-expressions there are, numbers and leaves among them."""
    known: set[tuple[Token, ...]] = set()
    waiting = [root]
    while waiting:
        at = waiting.pop()
        if at.args:
            tokens = at.tokens
            if tokens not in known:
                known.add(tokens)
                waiting += at.args
        else:
            known.add((at.token,))
    return len(known)
