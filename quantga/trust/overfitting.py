"""How much of what a search shows is the choosing: CSCV, combinatorial paths, walk-forward efficiency, effective trials.

All of it describes; none of it is a gate. On searches in pure noise most of these figures look good (see
`quantga.trust.evidence.BASE_RATES`), since they know nothing of how the trials came about.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from quantga.errors import ConfigError, DataError
from quantga.lang.bars import Floats, Ints

type Matrix = NDArray[np.float64]
type Masks = NDArray[np.bool_]

_MOST_SPLITS = 20_000


@dataclass(frozen=True)
class Panel:
    """Daily returns of several trials over the same days.

    days: day numbers, int64[days], increasing. returns: float64[days, trials], without NaN. Both are asked for, since a
    matrix that lies on its side would give a figure that looks right.
    """

    days: Ints = field(repr=False)
    returns: Matrix = field(repr=False)

    def __post_init__(self) -> None:
        if self.returns.ndim != 2 or self.returns.shape[0] != len(self.days):
            raise DataError(
                f"a panel of {len(self.days)} days needs returns of the shape [days, trials], not {self.returns.shape}"
            )
        if not np.isfinite(self.returns).all():
            raise DataError("the panel holds a NaN or an infinity: leave that trial or those days out")
        if len(self.days) > 1 and (np.diff(self.days) <= 0).any():
            raise DataError("the days of a panel increase")

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return int(self.returns.shape[1])


@dataclass(frozen=True)
class Overfitting:
    """CSCV's answer: `probability` that the best trial of one half is below the median of the other (PBO).

    logits: float64[splits], ln(w / (1 - w)) of the relative rank w outside of the best inside; chosen: the index of the
    best inside, int64[splits]; inside, outside: that trial's Sharpe ratio per day in either half, float64[splits].
    """

    probability: float
    logits: Floats = field(repr=False)
    chosen: NDArray[np.int64] = field(repr=False)
    inside: Floats = field(repr=False)
    outside: Floats = field(repr=False)


def cscv(panel: Panel, blocks: int = 16) -> Overfitting:
    """Return the probability of backtest overfitting over all halvings of `blocks` blocks of days.

    Bailey, Borwein, López de Prado and Zhu (2015). The oldest days that do not fill a block are left out. A trial that
    stands still in a half has the ratio 0 there; equal ratios share their rank.

    Raises:
        ConfigError: `blocks` is odd, below 2, or gives too many halvings.
        DataError: fewer than two trials, or less than two days per block.
    """
    if blocks % 2 or blocks < 2 or math.comb(blocks, blocks // 2) > _MOST_SPLITS:
        raise ConfigError(f"{blocks} blocks: give an even number from 2 to 16")
    if panel.trials < 2:
        raise DataError("overfitting is about a choice: give at least two trials")
    size = len(panel.days) // blocks
    if size < 2:
        raise DataError(f"{len(panel.days)} days are too few for {blocks} blocks of at least two days")
    returns = panel.returns[len(panel.days) - size * blocks :].reshape(blocks, size, panel.trials)
    sums, squares = returns.sum(axis=1), (returns * returns).sum(axis=1)
    halves = [set(half) for half in itertools.combinations(range(blocks), blocks // 2)]
    masks = np.array([[block in half for block in range(blocks)] for half in halves], dtype=np.float64)
    count = size * blocks // 2
    inside = _sharpe(masks @ sums, masks @ squares, count)
    outside = _sharpe((1 - masks) @ sums, (1 - masks) @ squares, count)
    chosen = np.argmax(inside, axis=1)
    rows = np.arange(len(halves))
    own = outside[rows, chosen][:, None]
    rank = (outside < own).sum(axis=1) + ((outside == own).sum(axis=1) + 1) / 2
    relative = rank / (panel.trials + 1)
    logits = np.log(relative / (1 - relative))
    return Overfitting(float(np.mean(logits <= 0)), logits, chosen, inside[rows, chosen], outside[rows, chosen])


def _sharpe(sums: Matrix, squares: Matrix, count: int) -> Matrix:
    mean = sums / count
    variance = np.maximum(squares / count - mean * mean, 0.0)
    still = variance <= 1e-15 * np.maximum(squares / count, 1e-300)
    return np.where(still, 0.0, mean / np.sqrt(np.where(still, 1.0, variance) * count / (count - 1)))


@dataclass(frozen=True, slots=True)
class EffectiveTrials:
    """How many independent trials correlated ones amount to: two answers, neither the truth."""

    made: int
    participation: float
    rank: float


def effective_trials(panel: Panel) -> EffectiveTrials:
    """Return (sum l)^2 / sum l^2 and exp(entropy of l / sum l) over the eigenvalues l of the trials' correlation.

    The second is the effective rank of Roy and Vetterli (2007). Trials that never moved are left out.

    Raises:
        DataError: no trial moved.
    """
    moving = panel.returns[:, panel.returns.std(axis=0) > 1e-14]
    if not moving.shape[1]:
        raise DataError("no trial moved: there is nothing to count")
    scaled = (moving - moving.mean(axis=0)) / moving.std(axis=0)
    small = scaled if scaled.shape[1] <= scaled.shape[0] else scaled.T  # the same eigenvalues, but for zeros
    values = np.linalg.eigvalsh(small.T @ small / scaled.shape[0])
    values = values[values > 1e-12 * values.max()]
    shares = values / values.sum()
    return EffectiveTrials(
        panel.trials, 1 / float(np.sum(shares**2)), math.exp(-float(np.sum(shares * np.log(shares))))
    )


@dataclass(frozen=True)
class Paths:
    """Combinatorial purged cross-validation of a fixed shortlist.

    returns: float64[paths, days], each path out of sample throughout; sharpe: float64[paths], per day; chosen: which
    program each split chose, int64[splits].
    """

    returns: Matrix = field(repr=False)
    sharpe: Floats
    chosen: NDArray[np.int64] = field(repr=False)


def cpcv(panel: Panel, groups: int = 8, tested: int = 2, embargo: int = 30, purge: int = 0) -> Paths:
    """Return the paths that one gets by choosing the best of a shortlist on some groups of days and using it on others.

    López de Prado (2018), chapter 12: every choice of `tested` of the `groups` is left out once; C(groups - 1, tested - 1)
    paths come out. Days of training within `purge` days before a tested group, and within `embargo` days after it, are
    not used. The programs have to be fixed beforehand: this repeats the choice, not the search.

    Raises:
        ConfigError: no path can be made.
        DataError: fewer than two programs, or days, or no training day is left.
    """
    if not 1 <= tested < groups:
        raise ConfigError(f"{tested} of {groups} groups: leave out at least one, and keep at least one")
    if panel.trials < 2 or len(panel.days) < 2 * groups:
        raise DataError(f"paths need at least two programs and {2 * groups} days")
    edges = [round(group * len(panel.days) / groups) for group in range(groups + 1)]
    seen = [0] * groups
    paths = np.full((math.comb(groups - 1, tested - 1), len(panel.days)), np.nan)
    chosen = []
    for left_out in itertools.combinations(range(groups), tested):
        train = training_days(panel.days, [(edges[g], edges[g + 1]) for g in left_out], embargo, purge)
        if train.sum() < 2:
            raise DataError("purge and embargo leave no day to choose on: take fewer groups")
        part = panel.returns[train]
        ratio = _sharpe(part.sum(axis=0), (part * part).sum(axis=0), len(part))
        best = int(np.argmax(ratio))
        chosen.append(best)
        for group in left_out:
            rows = slice(edges[group], edges[group + 1])
            paths[seen[group], rows] = panel.returns[rows, best]
            seen[group] += 1
    sharpe = _sharpe(paths.sum(axis=1), (paths * paths).sum(axis=1), paths.shape[1])
    return Paths(paths, sharpe, np.array(chosen, dtype=np.int64))


def training_days(days: Ints, tests: list[tuple[int, int]], embargo: int, purge: int) -> Masks:
    """Return which rows may train, bool[days]: outside the tested rows [first, stop), the purge and the embargo (days)."""
    kept = np.ones(len(days), dtype=np.bool_)
    for first, stop in tests:
        kept &= ~((days >= days[first] - purge) & (days <= days[stop - 1] + embargo))
    return kept


def walk_forward_efficiency(inside: Floats, outside: Floats) -> float:
    """Return the mean annualised result out of sample over that in sample, over the windows of a walk forward.

    inside, outside: one figure per window (returns per year, or Sharpe ratios), of the champion of that window's search.
    Above 0.5 is often called robust (Pardo 2008); noise gets there too.

    Raises:
        DataError: no window, or nothing was earned in sample, so that there is nothing to compare with.
    """
    if not len(inside) or len(inside) != len(outside):
        raise DataError("a walk forward needs one figure in and one out of sample per window")
    base = float(np.mean(inside))
    if base <= 0:
        raise DataError("nothing was earned in sample: there is no efficiency")
    return float(np.mean(outside)) / base
