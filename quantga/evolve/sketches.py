"""Sketches: short random rules of the usual shapes, from which a search begins and with which it is kept fresh.

A random tree is seldom a whole idea. A sketch is: one signal in units of its own spread, and one way to act on it. None of
them knows which market it will be tried on, and what reads a column that the market lacks is not drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache

from quantga.evolve.grammar import Grammar
from quantga.evolve.vary import Vocabulary, admits, fresh
from quantga.lang.genes import NEUTRAL, Genes
from quantga.lang.kinds import Kind
from quantga.lang.ops import BY_NAME
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.lang.term import Term, level, term

type Sketch = tuple[Term, Genes]

_SHORT_WINDOWS = (2, 3, 4, 6, 8, 12, 24, 48, 72)
_LONG_WINDOWS = (24, 48, 96, 168, 336)
_LEVELS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5)
_HOLDS = (4, 8, 12, 24, 48, 72)
_BANDS = (0.1, 0.2, 0.3)
_TRIES = 10

_SIGNALS: tuple[tuple[float, str, str], ...] = (
    (2.0, "", "zscore(ret, {long})"),
    (1.0, "", "zscore(close, {short})"),
    (1.0, "", "zscore(change(close, {short}), {long})"),
    (0.7, "", "zscore(close, {long})"),
    (0.7, "", "mul(efficiency(close, {long}), 4)"),
    (0.7, "", "zscore(flow({short}), {long})"),
    (0.5, "", "zscore(lag(ret, {short}), {long})"),
    (0.7, "", "zscore(volume, {long})"),
    (0.5, "", "zscore(true_range, {long})"),
    (2.0, "funding_rate", "zscore(funding, {long})"),
    (0.7, "funding_rate", "zscore(mean(funding, {short}), {long})"),
    (2.0, "ref_close", "zscore(ref_ret, {long})"),
    (0.7, "ref_close", "zscore(change(ref_close, {short}), {long})"),
    (1.0, "ref_close", "zscore(sub(change(ref_close, {short}), change(close, {short})), {long})"),
    (2.0, "premium", "zscore(premium, {long})"),
    (2.0, "open_interest", "zscore(change(open_interest, {short}), {long})"),
)
"""Weight, the column it needs besides those of every market, and the signal."""

_EVENTS = (
    "gt(volume_ratio({long}), {times})",
    "gt(abs(zscore(ret, {long})), {level})",
    "gt(zscore(true_range, {long}), {level})",
    "gt(abs({signal}), {level})",
    "within(hour, {hour}, {hour})",
)
_DIRECTIONS = ("ret", "change(close, {short})", "{signal}")


def sketch(vocabulary: Vocabulary, chance: random.Random) -> Program:
    """Return a sketch that the vocabulary admits; a random program where ten draws gave none."""
    for _ in range(_TRIES):
        shape = chance.choices(_SHAPES, _SHAPE_WEIGHTS)[0]
        found, genes = shape(vocabulary.grammar, chance)
        program = Program.of_term(found, genes if vocabulary.genes else NEUTRAL)
        if admits(vocabulary, program):
            return program
    return fresh(vocabulary, chance)


def _signal(grammar: Grammar, chance: random.Random) -> str:
    known = [(weight, text) for weight, column, text in _SIGNALS if not column or column in grammar.columns]
    known += [(2.0, f"zscore({name}, {{long}})") for name in grammar.users]
    return chance.choices([text for _, text in known], [weight for weight, _ in known])[0]


def _filled(text: str, grammar: Grammar, chance: random.Random) -> str:
    """Fill the blanks of a shape: the same blank twice is the same signal or window, but another hour."""
    if "{signal}" in text:
        text = text.replace("{signal}", _signal(grammar, chance))
    for blank, rungs in (
        ("{short}", _SHORT_WINDOWS),
        ("{long}", _LONG_WINDOWS),
        ("{level}", _LEVELS),
        ("{times}", (2.0, 3.0, 4.0)),
    ):
        text = text.replace(blank, f"{_one(rungs, chance)}")
    while "{hour}" in text:
        text = text.replace("{hour}", f"{chance.randrange(24)}", 1)
    return text


def _one[T](rungs: Sequence[T], chance: random.Random) -> T:
    return rungs[int(chance.random() * len(rungs))]


def _code(name: str, *kinds: Kind) -> int:
    return next(op.code for op in BY_NAME[name] if op.args == kinds)


_LONG, _SHORT, _FLAT, _HOLD = (term(_code(name)) for name in ("long", "short", "flat", "hold"))
_WHEN, _SCALE = _code("when", Kind.MASK, Kind.POSITION, Kind.POSITION), _code("scale", Kind.RATIO)
_NEG, _SIGN = _code("neg", Kind.RATIO), _code("sign", Kind.RATIO)
_ABOVE, _BELOW = _code("gt", Kind.RATIO, Kind.LEVEL), _code("lt", Kind.RATIO, Kind.LEVEL)
_WITHIN = _code("within", Kind.CLOCK, Kind.LEVEL, Kind.LEVEL)
_HOUR, _WEEKDAY = term(_code("hour")), term(_code("weekday"))


@lru_cache(maxsize=4096)
def _ratio(text: str) -> Term:
    """Return what is written, of kind Ratio."""
    return parse(f"scale({text})").term.args[0]


@lru_cache(maxsize=4096)
def _mask(text: str) -> Term:
    """Return what is written, of kind Mask."""
    return parse(f"when({text}, long, hold)").term.args[0]


def _when(mask: Term, then: Term, otherwise: Term) -> Term:
    return term(_WHEN, (mask, then, otherwise))


def _number(value: float) -> Term:
    return term(level(value))


def _sides(chance: random.Random) -> tuple[Term, Term]:
    return (_LONG, _SHORT) if chance.random() < 0.5 else (_SHORT, _LONG)


def _proportional(grammar: Grammar, chance: random.Random) -> Sketch:
    """As much as the signal says, with or against it."""
    signal = _ratio(_filled("{signal}", grammar, chance))
    genes = Genes(band=_one(_BANDS, chance)) if chance.random() < 0.7 else NEUTRAL
    return term(_SCALE, (signal if chance.random() < 0.5 else term(_NEG, (signal,)),)), genes


def _banded(grammar: Grammar, chance: random.Random) -> Sketch:
    """In beyond a level, and out, or over to the other side, beyond the other."""
    signal, bound = _ratio(_filled("{signal}", grammar, chance)), _one(_LEVELS, chance)
    above, below = _sides(chance)
    rest, genes = _FLAT, NEUTRAL
    if chance.random() >= 0.25:
        rest, genes = _HOLD, Genes(max_hold=_one(_HOLDS, chance)) if chance.random() < 0.5 else NEUTRAL
    other = _when(term(_BELOW, (signal, _number(-bound))), below, rest)
    return _when(term(_ABOVE, (signal, _number(bound))), above, other), genes


def _eventful(grammar: Grammar, chance: random.Random) -> Sketch:
    """After something has happened, with or against a direction, for a while."""
    event = _mask(_filled(_one(_EVENTS, chance), grammar, chance))
    direction = _ratio(_filled(_one(_DIRECTIONS, chance), grammar, chance))
    sided = term(_SIGN, (direction,))
    sided = sided if chance.random() < 0.5 else term(_NEG, (sided,))
    return _when(event, term(_SCALE, (sided,)), _HOLD), Genes(max_hold=_one(_HOLDS, chance))


def _timed(grammar: Grammar, chance: random.Random) -> Sketch:
    """At some hours, or on some days, and perhaps the other way round at others."""
    del grammar
    one, other = _sides(chance)
    if chance.random() < 0.2:
        first = chance.randrange(7)
        return _when(_within(_WEEKDAY, first, (first + chance.randrange(3)) % 7), one, _FLAT), NEUTRAL
    first, length = chance.randrange(24), chance.randint(1, 8)
    rest = _FLAT
    if chance.random() < 0.5:
        second = (first + length + 1 + chance.randrange(20 - length)) % 24
        rest = _when(_within(_HOUR, second, (second + chance.randint(0, 7)) % 24), other, _FLAT)
    return _when(_within(_HOUR, first, (first + length - 1) % 24), one, rest), NEUTRAL


def _within(clock: Term, first: int, last: int) -> Term:
    return term(_WITHIN, (clock, _number(first), _number(last)))


_SHAPES: tuple[Callable[[Grammar, random.Random], Sketch], ...] = (_proportional, _banded, _eventful, _timed)
_SHAPE_WEIGHTS = (0.25, 0.35, 0.2, 0.2)
