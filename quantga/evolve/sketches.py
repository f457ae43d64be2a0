"""Sketches: short random rules of the usual shapes, from which a search begins and with which it is kept fresh.

A random tree is seldom a whole idea. A sketch is: one signal in units of its own spread, and one way to act on it. None of
them knows which market it will be tried on, and what reads a column that the market lacks is not drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from quantga.evolve.grammar import Grammar
from quantga.evolve.vary import Vocabulary, admits, fresh
from quantga.lang.genes import Genes
from quantga.lang.parse import parse
from quantga.lang.program import Program

_SHORT = (2, 3, 4, 6, 8, 12, 24, 48, 72)
_LONG = (24, 48, 96, 168, 336)
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
        program = parse(shape(vocabulary.grammar, chance))
        if not vocabulary.genes:
            program = replace(program, genes=Genes())
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
    for blank, rungs in (("{short}", _SHORT), ("{long}", _LONG), ("{level}", _LEVELS), ("{times}", (2.0, 3.0, 4.0))):
        text = text.replace(blank, f"{_one(rungs, chance)}")
    while "{hour}" in text:
        text = text.replace("{hour}", f"{chance.randrange(24)}", 1)
    return text


def _one[T](rungs: Sequence[T], chance: random.Random) -> T:
    return rungs[int(chance.random() * len(rungs))]


def _sides(chance: random.Random) -> tuple[str, str]:
    return ("long", "short") if chance.random() < 0.5 else ("short", "long")


def _held(chance: random.Random) -> str:
    return f" with max_hold={_one(_HOLDS, chance)}" if chance.random() < 0.5 else ""


def _proportional(grammar: Grammar, chance: random.Random) -> str:
    """As much as the signal says, with or against it."""
    signal = _filled("{signal}", grammar, chance)
    band = f" with band={_one(_BANDS, chance)}" if chance.random() < 0.7 else ""
    return f"scale({signal if chance.random() < 0.5 else f'neg({signal})'}){band}"


def _banded(grammar: Grammar, chance: random.Random) -> str:
    """In beyond a level, and out, or over to the other side, beyond the other."""
    signal, level = _filled("{signal}", grammar, chance), _one(_LEVELS, chance)
    above, below = _sides(chance)
    rest, held = ("flat", "") if chance.random() < 0.25 else ("hold", _held(chance))
    return f"when(gt({signal}, {level}), {above}, when(lt({signal}, -{level}), {below}, {rest})){held}"


def _eventful(grammar: Grammar, chance: random.Random) -> str:
    """After something has happened, with or against a direction, for a while."""
    event = _filled(_one(_EVENTS, chance), grammar, chance)
    direction = _filled(_one(_DIRECTIONS, chance), grammar, chance)
    sided = f"sign({direction})" if chance.random() < 0.5 else f"neg(sign({direction}))"
    return f"when({event}, scale({sided}), hold) with max_hold={_one(_HOLDS, chance)}"


def _timed(grammar: Grammar, chance: random.Random) -> str:
    """At some hours, or on some days, and perhaps the other way round at others."""
    del grammar
    one, other = _sides(chance)
    if chance.random() < 0.2:
        first = chance.randrange(7)
        return f"when(within(weekday, {first}, {(first + chance.randrange(3)) % 7}), {one}, flat)"
    first, length = chance.randrange(24), chance.randint(1, 8)
    rest = "flat"
    if chance.random() < 0.5:
        second = (first + length + 1 + chance.randrange(20 - length)) % 24
        rest = f"when(within(hour, {second}, {(second + chance.randint(0, 7)) % 24}), {other}, flat)"
    return f"when(within(hour, {first}, {(first + length - 1) % 24}), {one}, {rest})"


_SHAPES: tuple[Callable[[Grammar, random.Random], str], ...] = (_proportional, _banded, _eventful, _timed)
_SHAPE_WEIGHTS = (0.25, 0.35, 0.2, 0.2)
