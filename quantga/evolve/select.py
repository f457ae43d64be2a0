"""Who survives and who breeds: goals, fronts and crowding; tournaments and lexicase with the caller's dice.

DEAP's tournaments and lexicase draw from the module-wide generator, so those are ours. Its fitness and fronts name the
champions (decision 0016). Ties that fronts leave in the order of input are broken by the program's id.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from deap.base import Fitness
from deap.tools import sortLogNondominated
from numpy.typing import NDArray

from quantga.evolve.fronts import crowding, fronts_of
from quantga.evolve.sizing import NEUTRAL, genes_in_use
from quantga.evolve.tree import pieces
from quantga.lang.genes import Genes
from quantga.lang.program import Program

type Selection = Literal["nsga2", "tournament", "lexicase"]
type Picker = Callable[[random.Random], "Member"]

PARSIMONY = 0.08
"""What one piece of complexity takes off a score, in errors of a year's Sharpe ratio (decision 0010)."""
_DAYS = 365.0
_NOTHING = 1e6  # more than any drawdown or complexity

ROUNDS = {"nsga2": 2, "tournament": 4, "lexicase": 0}
"""How many members a tournament compares."""


@dataclass(frozen=True)
class Appraisal:
    """What a program was found to be worth.

    score: to be made large; drawdown: a share of the equity, to be made small; behaviour: hash of its wanted positions.
    cases: the score of each slice of time. failed: why it is worth nothing, or "". figures: float64[k], NaN undefined.
    """

    program: Program
    score: float
    drawdown: float
    behaviour: int
    failed: str = ""
    cases: tuple[float, ...] = ()
    figures: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @cached_property
    def complexity(self) -> int:
        """Tokens, and two for every risk gene in use."""
        return complexity(self.program)


@dataclass(frozen=True, slots=True)
class Member:
    """An appraised program in a population; age: generations since the oldest of its forebears was drawn."""

    appraisal: Appraisal
    age: int

    @property
    def program(self) -> Program:
        """The program."""
        return self.appraisal.program

    @property
    def complexity(self) -> int:
        """Tokens, and two for every risk gene in use."""
        return self.appraisal.complexity

    @property
    def likeness(self) -> tuple[int, Genes]:
        """Equal for members that do the same: the same wanted positions under the same risk genes."""
        return self.appraisal.behaviour, self.appraisal.program.genes


class Goals(Fitness):  # type: ignore[misc]
    """Score up, drawdown down, complexity down."""

    weights = (1.0, -1.0, -1.0)


class _Candidate:
    """A member as DEAP wants to see it."""

    __slots__ = ("fitness", "member")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.fitness = Goals(goals(member))


def goals(member: Member) -> tuple[float, float, float]:
    """Return score, drawdown and complexity as the fronts see them: without a positive score nothing speaks for a program.

    Else the fronts would be full of programs that hold next to nothing, which neither earn nor fall.
    """
    score = member.appraisal.score
    if score > 0.0:
        return score, member.appraisal.drawdown, float(member.complexity)
    return score, _NOTHING - score, _NOTHING - score


def complexity(program: Program) -> int:
    """Return the different sub-expressions of a program, and two for every risk gene in use.

    What is said twice counts once: `when(gt(x, 1), long, when(lt(x, -1), short, hold))` has one x.
    """
    return pieces(program.term) + (2 * genes_in_use(program.genes) if program.genes != NEUTRAL else 0)


@dataclass(frozen=True, slots=True)
class Record:
    """What a score is made of: annual Sharpe ratio of detrended daily returns, their skewness and kurtosis, and days.

    NaN where undefined.
    """

    ratio: float
    skew: float
    kurtosis: float
    days: float


def merit(record: Record, size: int) -> float:
    """Return a program's score: its ratio, less where tails make it uncertain, less what complexity alone would have found.

    The ratio's error is (1 - skew s + (kurtosis - 1) / 4 s^2) / days at a daily ratio of s (Bailey and Lopez de Prado 2012), and
    a ratio is taken down by as much as its error exceeds the normal one; nothing is added where it is smaller. A piece of
    complexity costs PARSIMONY errors of a year's ratio. -inf where the record says nothing.
    """
    years = record.days / _DAYS
    daily = record.ratio / math.sqrt(_DAYS)
    spread = 1.0 - record.skew * daily + (record.kurtosis - 1.0) / 4.0 * daily * daily
    found = record.ratio / math.sqrt(max(spread, 1.0)) - PARSIMONY * size / math.sqrt(years) if years > 0 else math.nan
    return found if math.isfinite(found) else -math.inf


def distinct(members: Sequence[Member]) -> list[Member]:
    """Return one member for each behaviour: the simplest, then the smaller id; failed ones are left out."""
    kept: dict[tuple[int, Genes], Member] = {}
    for member in members:
        if not member.appraisal.failed:
            other = kept.get(member.likeness)
            if other is None or _simpler(member, other):
                kept[member.likeness] = member
    return list(kept.values())


def _simpler(one: Member, other: Member) -> bool:
    if one.program == other.program:
        return one.age < other.age
    return (one.complexity, one.program.id) < (other.complexity, other.program.id)


def fronts(members: Sequence[Member]) -> list[list[Member]]:
    """Return the Pareto fronts; the least crowded of each first."""
    ordered = sorted(members, key=by_id)
    points = [goals(member) for member in ordered]
    found = []
    for front in fronts_of(points):
        rows = zip(crowding([points[place] for place in front]), front, strict=True)
        found.append(
            [
                ordered[place]
                for _, _, place in sorted((-distance, -points[place][0], place) for distance, place in rows)
            ]
        )
    return found


def unbeaten(members: Sequence[Member]) -> list[Member]:
    """Return the first front, as DEAP finds it, the best score first."""
    if not members:
        return []
    first = sortLogNondominated([_Candidate(member) for member in members], len(members), first_front_only=True)
    return sorted([one.member for one in first], key=by_score)


def ranked(members: Sequence[Member], selection: Selection) -> list[Member]:
    """Return the members, the best first: by fronts and crowding, or by score and then simplicity."""
    if selection == "nsga2":
        return [member for front in fronts(members) for member in front]
    return sorted(members, key=by_score)


def by_id(member: Member) -> str:
    """Return the id: crowding distances depend on the order of ties, so members are put in this order first."""
    return member.program.id


def by_score(member: Member) -> tuple[float, int, str]:
    """Return the key that sorts by score, then simplicity (lexicographic parsimony), then id."""
    return -member.appraisal.score, member.complexity, member.program.id


def picker(members: Sequence[Member], selection: Selection) -> Picker:
    """Return the function that picks a parent from `members`, which are ranked best first."""
    if selection == "lexicase" and all(member.appraisal.cases for member in members):
        return _lexicase(members)
    size, rounds = len(members), ROUNDS[selection] or ROUNDS["tournament"]

    def tournament(chance: random.Random) -> Member:
        return members[min(int(chance.random() * size) for _ in range(rounds))]

    return tournament


def _lexicase(members: Sequence[Member]) -> Picker:
    """Epsilon-lexicase (La Cava et al. 2019): slices in random order; who is within one median deviation of the best stays."""
    cases = np.array([member.appraisal.cases for member in members])
    epsilon = np.median(np.abs(cases - np.median(cases, axis=0)), axis=0)

    def pick(chance: random.Random) -> Member:
        order = list(range(cases.shape[1]))
        chance.shuffle(order)
        left = np.arange(len(members))
        for case in order:
            values = cases[left, case]
            left = left[values >= values.max() - epsilon[case]]
            if len(left) == 1:
                break
        return members[int(left[int(chance.random() * len(left))])]

    return pick
