"""A program's tokens seen as a tree: where each sub-expression ends, what sort it is, and what replacing it gives.

A replacement is brought to canonical form along the path to the root only: all that hangs beside it is canonical already.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from quantga.evolve.grammar import ASPECTS, POSITION, Sort, bind
from quantga.lang.kinds import IMMEDIATE, Kind
from quantga.lang.ops import OPS
from quantga.lang.program import Program, Token, rewrite

WORDS = len(OPS)
_ARITY = tuple(len(op.args) for op in OPS)
_USER: Sort = (Kind.RATIO, "score")
_NUMBER: Sort = (Kind.WINDOW, "")  # until the operator that takes it says which ladder
_NO_NUMBERS: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """Node i begins at token i, ends before `ends[i]`, is an argument of `parents[i]` (-1: the root), and is of `sorts[i]`.

    `histories[i]` bounds its lookback in bars; `places` are the nodes of each sort.
    """

    tokens: tuple[Token, ...]
    ends: tuple[int, ...]
    parents: tuple[int, ...]
    sorts: tuple[Sort, ...]
    histories: tuple[int, ...]
    places: dict[Sort, list[int]]

    def at(self, place: int) -> tuple[Token, ...]:
        """Return the tokens of a node."""
        return self.tokens[place : self.ends[place]]

    def replaced(self, place: int, piece: tuple[Token, ...], history: int) -> tuple[tuple[Token, ...], int]:
        """Return the canonical tokens with `piece` (canonical, of that lookback) in a node's place, and their lookback."""
        tokens, ends, parents = self.tokens, self.ends, self.parents
        while (up := parents[place]) >= 0:
            token = tokens[up]
            assert isinstance(token, int)
            arguments, numbers, at = [], [], up + 1
            for kind in OPS[token].args:
                own = piece if at == place else tokens[at : ends[at]]
                if kind in IMMEDIATE:
                    numbers.append(own[0])
                elif at != place:
                    history = max(history, self.histories[at])
                arguments.append(own)
                at = ends[at]
            history += _own_history(token, tuple(numbers))
            piece = rewrite(token, arguments)
            place = up
        return piece, history


@lru_cache(maxsize=16384)
def tree(tokens: tuple[Token, ...]) -> Tree:
    """Return the tree of a program's tokens."""
    size = len(tokens)
    ends, parents, histories = list(range(1, size + 1)), [-1] * size, [0] * size
    sorts: list[Sort] = [POSITION] * size
    stack: list[int] = []
    for place in range(size - 1, -1, -1):
        token = tokens[place]
        if isinstance(token, str):
            sorts[place] = _USER
        elif token >= WORDS:
            sorts[place] = _NUMBER
        else:
            own: list[int] = [stack.pop() for _ in range(_ARITY[token])]
            aspects = [sorts[a][1] for a in own if sorts[a][0] in ASPECTS]
            sorts[place], given = bind(token, tuple(aspects))
            history, numbers = 0, []
            for a, sort in zip(own, given, strict=True):
                parents[a] = place
                if sort[0] in IMMEDIATE:
                    sorts[a] = sort
                    numbers.append(tokens[a])
                else:
                    history = max(history, histories[a])
            histories[place] = history + _own_history(token, tuple(numbers))
            if own:
                ends[place] = ends[own[-1]]
        stack.append(place)
    places: dict[Sort, list[int]] = {}
    for place, sort in enumerate(sorts):
        places.setdefault(sort, []).append(place)
    return Tree(tokens, tuple(ends), tuple(parents), tuple(sorts), tuple(histories), places)


@cache
def _own_history(code: int, numbers: tuple[Token, ...]) -> int:
    """Return the lookback of an operator over values that have none."""
    values = sum(kind not in IMMEDIATE for kind in OPS[code].args)
    return Program((code, *["$momentary"] * values, *numbers)).lookback


def history(tokens: tuple[Token, ...]) -> int:
    """Return a bound of the lookback in bars: at least `Program.lookback`, mostly equal to it, and quick to have."""
    stack: list[int] = []
    for place in range(len(tokens) - 1, -1, -1):
        token = tokens[place]
        if isinstance(token, str):
            stack.append(0)
        elif token >= WORDS:
            stack.append(-place)  # a number, not a history
        else:
            below, numbers = 0, _NO_NUMBERS
            for _ in range(_ARITY[token]):
                item = stack.pop()
                if item < 0:
                    numbers = (*numbers, tokens[-item])  # type: ignore[arg-type]
                elif item > below:
                    below = item
            stack.append(below + _own_history(token, numbers))
    return stack[0]


@lru_cache(maxsize=65536)
def pieces(tokens: tuple[Token, ...]) -> int:
    """Return how many different sub-expressions there are, numbers and leaves among them."""
    known: dict[tuple[Token, ...], int] = {}
    stack: list[int] = []
    for token in reversed(tokens):
        arity = _ARITY[token] if isinstance(token, int) and token < WORDS else 0
        own = (token, *(stack.pop() for _ in range(arity)))
        stack.append(known.setdefault(own, len(known)))
    return len(known)
