"""A program: an immutable, canonical, typed expression of kind Position, with its risk genes.

Tokens are in prefix order: an operator is its place in `ops.OPS`, numbers are `window(n)` and `level(x)` tokens, a
user's own column is its name. A program is canonical from birth, so equal rules have equal texts and equal ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

from quantga.lang.definitions import Apply, template
from quantga.lang.genes import NEUTRAL, Genes
from quantga.lang.ops import OPS
from quantga.lang.term import MAX_WINDOW, Term, Token, arity, kind_of, level, number, term_of, window, word

__all__ = [
    "MAX_WINDOW",
    "Program",
    "Token",
    "arity",
    "canonical",
    "kind_of",
    "level",
    "number",
    "span",
    "window",
    "word",
]


def span(tokens: tuple[Token, ...], start: int) -> int:
    """Return the end of the sub-expression that starts at `start`."""
    open_arguments = 1
    while open_arguments:
        open_arguments += arity(tokens[start]) - 1
        start += 1
    return start


def canonical(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Return the canonical form: commutative arguments in order of their text, numbers folded, double negation gone."""
    return term_of(tokens).tokens


@dataclass(frozen=True)
class Program:
    """A strategy's rule: `tokens` (prefix order, canonical) and `genes`. Make one by `parse`, `Program.of` or `of_term`."""

    tokens: tuple[Token, ...]
    genes: Genes = NEUTRAL

    @classmethod
    def of(cls, tokens: Iterable[Token], genes: Genes | None = None) -> Program:
        """Return the canonical program of an expression of kind Position."""
        return cls.of_term(term_of(tuple(tokens)), genes or NEUTRAL)

    @classmethod
    def of_term(cls, term: Term, genes: Genes = NEUTRAL) -> Program:
        """Return the program of a term of kind Position."""
        program = cls(term.tokens, genes)
        program.__dict__["term"] = term
        return program

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.tokens, self.genes))

    def __reduce__(self) -> tuple[type[Program], tuple[tuple[Token, ...], Genes]]:
        return Program, (self.tokens, self.genes)  # what is cached here is true for this process alone

    @cached_property
    def term(self) -> Term:
        """The expression as a tree."""
        return term_of(self.tokens)

    @cached_property
    def text(self) -> str:
        """The canonical text; `parse(text)` gives the program back."""
        genes = "" if self.genes is NEUTRAL else _shown(self.genes)
        return f"{self.term.text} with {genes}" if genes else self.term.text

    def __str__(self) -> str:
        return self.text

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Number of tokens, numbers included."""
        return len(self.tokens)

    @cached_property
    def depth(self) -> int:
        """Levels of the tree; 1 for a single word."""
        stack: list[int] = []
        for token in reversed(self.tokens):
            below = [stack.pop() for _ in range(arity(token))]
            stack.append(1 + max(below, default=0))
        return stack[0]

    @cached_property
    def lookback(self) -> int:
        """Bars of history, besides the current one, from which the wanted position is defined; it adds along a path."""
        return max(int(self.term.lookback), self.genes.lookback)

    @cached_property
    def reach(self) -> int:
        """Bars of history from which every value is bit-exact, wherever the array began."""
        return max(int(self.term.reach), self.genes.reach)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns that the program reads, user columns as `$name`."""
        names: set[str] = set()
        for token in self.tokens:
            names |= {token} if isinstance(token, str) else _columns_of(token)
        return frozenset(names)


_shown = lru_cache(maxsize=4096)(str)


@cache
def _columns_of(token: int) -> frozenset[str]:
    def walk(tree: Apply) -> frozenset[str]:
        below = frozenset[str]().union(*(walk(s) for s in tree.series if isinstance(s, Apply)))
        return below | {tree.column} if tree.column else below

    return walk(template(OPS[token])) if token < len(OPS) else frozenset()
