"""The gate: from the search's own p-value and one look at the holdout to a verdict, with every reason in words.

The two are independent, since they are about different years, and each years' evidence counts by its length (Stouffer).
Nothing else decides: robustness tests, deflated ratios and the rest pass noise more readily than real edges.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from quantga.errors import ConfigError, DataError
from quantga.lang.bars import Floats
from quantga.trust.sharpe import moments, p_value

type Decision = Literal["promoted", "not promoted", "not provable", "unopened"]
type Procedure = Literal["tapered", "holm", "sequence"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What has to be met. Shares are in [0, 1], lengths in days.

    level: of the run, as the ledger grants it. mined: a search p above this leaves the holdout shut. held: the holdout's
    own p has to reach this, whatever the search says. trades: closed in the holdout, at the least. holdout_days: below,
    nothing is promoted. center, prior: mean and standard deviation of the true annual Sharpe ratios of programs that get
    this far, from which forecasts are shrunk: of 75 champions that were looked at in markets with planted ratios of 1, 2 and 3, the
    true ratios had mean 1.74 and standard deviation 1.16 (`quantga bench honesty`, docs/honesty.md).
    coverage: of the forecast's interval.
    procedure: over the shortlist. "tapered" is Holm's with weights that fall to a fifth from one program to the next, in the order
    of the search's own scores, so that a longer shortlist costs the champion at most a fifth of the level; "holm" gives all the same
    weight; "sequence" tests in that order, each at the whole level, and ends at the first that fails.
    """

    level: float = 0.05
    mined: float = 0.5
    held: float = 0.2
    trades: int = 20
    holdout_days: int = 365
    center: float = 1.7
    prior: float = 1.2
    coverage: float = 0.9
    procedure: Procedure = "tapered"

    def __post_init__(self) -> None:
        shares = (self.level, self.mined, self.held, self.coverage)
        if not all(0 < share < 1 for share in shares) or self.prior <= 0:
            raise ConfigError("a gate's level, mined, held and coverage lie within (0, 1), its prior above 0")


@dataclass(frozen=True)
class Candidate:
    """One program of the shortlist with its evidence.

    program: its id. p_mine: of the search. holdout: detrended daily returns in the holdout, float64[days]. trades: closed
    there. refusals: reasons for which it is not fit to be traded at all (a look-ahead found); they decide.
    labels: what the tradability report says; they do not.
    """

    program: str
    p_mine: float
    holdout: Floats = field(repr=False)
    trades: int
    refusals: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a promoted program may be expected to earn: annual Sharpe ratio of detrended returns, shrunk, with interval.

    seen: the ratio in the holdout; error: its standard error.
    """

    sharpe: float
    low: float
    high: float
    seen: float
    error: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one candidate. `reasons` say why it was not promoted; empty where it was.

    p_hold is 1 and forecast is None where the holdout has no Sharpe ratio; the reason is among `reasons`.
    """

    program: str
    p_mine: float
    p_hold: float
    p_combined: float
    p_adjusted: float
    promoted: bool
    reasons: tuple[str, ...]
    forecast: Forecast | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a validation. p: of the run, the smallest adjusted p (Holm's minimum). words: for the user."""

    decision: Decision
    p: float
    level: float
    outcomes: tuple[Outcome, ...]
    words: str

    @property
    def promoted(self) -> tuple[Outcome, ...]:
        """The candidates that passed."""
        return tuple(one for one in self.outcomes if one.promoted)


def worth_opening(p_mined: Sequence[float], gate: Gate) -> bool:
    """Return whether the best of the shortlist is good enough a find to spend the holdout on."""
    return min(p_mined) <= gate.mined


def unopened(p_mined: Sequence[float], gate: Gate) -> Verdict:
    """Return the verdict of a search that luck explains: the holdout stays shut, for a later search."""
    best = min(p_mined)
    words = (
        f"nothing found: {100 * best:.0f} % of the same searches on markets without any edge did as well. "
        "The holdout was not opened and keeps its worth"
    )
    return Verdict("unopened", 1.0, gate.level, (), words)


def stouffer(p_mine: float, p_hold: float, dev_days: float, hold_days: float) -> float:
    """Return the combined p of two independent ones, weighted by the square roots of their lengths."""
    first, second = math.sqrt(dev_days), math.sqrt(hold_days)
    z = (first * -ndtri(p_mine) + second * -ndtri(p_hold)) / math.hypot(first, second)
    return float(ndtr(-z))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: family-wise error, whatever the dependence."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [1.0] * len(p_values)
    worst = 0.0
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = worst
    return adjusted


TAPER = 0.2
"""Weight of a program of the shortlist over that of the one before (decision 0014)."""


def tapered(count: int) -> list[float]:
    """Return weights that fall by TAPER from one to the next and add up to 1."""
    total = math.fsum(TAPER**k for k in range(count))
    return [TAPER**k / total for k in range(count)]


def weighted_holm(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return adjusted p-values of Holm's procedure with weights (Holm 1979): family-wise error, whatever the dependence.

    The weights have to be fixed before anything is seen that the p-values rest on together; with equal ones it is `holm`.
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k] / weights[k])
    adjusted = [1.0] * len(p_values)
    worst, left = 0.0, math.fsum(weights)
    for k in order:
        worst = max(worst, min(1.0, left * p_values[k] / weights[k]))
        adjusted[k] = worst
        left -= weights[k]
    return adjusted


def adjusted_for(p_values: Sequence[float], procedure: Procedure) -> list[float]:
    """Return the p-values of a shortlist, the best score first, adjusted by a procedure."""
    if procedure == "sequence":
        return in_sequence(p_values)
    return holm(p_values) if procedure == "holm" else weighted_holm(p_values, tapered(len(p_values)))


def in_sequence(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values of tests in a fixed order: each is at least the one before.

    Family-wise error holds here although the order comes from the search: p_mine compares every candidate with the best of
    the surrogate searches, and so does not profit from being first.
    """
    return [max(p_values[: k + 1]) for k in range(len(p_values))]


def forecast(returns: Floats, gate: Gate) -> Forecast:
    """Return the shrunk annual Sharpe ratio of daily `returns` in the holdout.

    The posterior of a normal estimate under the prior N(gate.center, gate.prior^2); the estimate's error is the one of PSR, version
    2012. DataError where there is no ratio.
    """
    m = moments(returns)
    seen, error = m.annual, m.annual_error
    share = gate.prior**2 / (gate.prior**2 + error**2)
    half = float(ndtri(0.5 + gate.coverage / 2)) * error * math.sqrt(share)
    middle = share * seen + (1 - share) * gate.center
    return Forecast(middle, middle - half, middle + half, seen, error)


def judge(candidates: Sequence[Candidate], dev_days: int, gate: Gate) -> Verdict:
    """Return the verdict on a shortlist after its one look at the holdout.

    Args:
        candidates: the shortlist as it was frozen before the look, the best score first; leaving one out would hide a trial.
        dev_days: days that the search scored.
        gate: what has to be met.

    Raises:
        ConfigError: no candidate, one twice, different holdouts, or a p that is none.
    """
    _check(candidates, dev_days)
    days = len(candidates[0].holdout)
    seen = [_held(one, gate) for one in candidates]
    combined = [
        stouffer(one.p_mine, p_hold, dev_days, days) for one, (p_hold, _, _) in zip(candidates, seen, strict=True)
    ]
    adjusted = adjusted_for(combined, gate.procedure)
    outcomes = []
    for one, (p_hold, expected, why), p, p_adjusted in zip(candidates, seen, combined, adjusted, strict=True):
        reasons = (*one.refusals, *why, *_reasons(one, p_hold, p_adjusted, days, gate))
        promoted = not reasons
        outcomes.append(
            Outcome(one.program, one.p_mine, p_hold, p, p_adjusted, promoted, reasons, expected, one.labels)
        )
    best = min(adjusted)
    count = sum(one.promoted for one in outcomes)
    if days < gate.holdout_days:
        words = f"not provable with this history: the holdout has {days} days, and below {gate.holdout_days} nothing is promoted"
        return Verdict("not provable", best, gate.level, tuple(outcomes), words)
    if not count:
        words = (
            f"nothing promoted, since it is not provable with this history: the run's p is {best:.3g}, and {gate.level:g} is needed"
            if best > gate.level
            else f"nothing promoted: the run's p is {best:.3g} at a level of {gate.level:g}, and what passes it lacks something else"
        )
        return Verdict("not promoted", best, gate.level, tuple(outcomes), words)
    words = f"{count} of {len(outcomes)} promoted: the run's p is {best:.3g} at a level of {gate.level:g}"
    return Verdict("promoted", best, gate.level, tuple(outcomes), words)


def _check(candidates: Sequence[Candidate], dev_days: int) -> None:
    if not candidates or len({one.program for one in candidates}) != len(candidates):
        raise ConfigError("a verdict is on a shortlist of different programs: give at least one, and each once")
    if len({len(one.holdout) for one in candidates}) > 1 or dev_days < 1 or not len(candidates[0].holdout):
        raise ConfigError("a shortlist is judged on one holdout: give every candidate's returns on the same days")
    if any(not 0 < one.p_mine <= 1 for one in candidates):
        raise ConfigError("a search's p lies within (0, 1]")
    if any(one.p_mine > two.p_mine for one, two in itertools.pairwise(candidates)):
        raise ConfigError("a shortlist is in the order of its scores: the smallest p of the search comes first")


def _held(one: Candidate, gate: Gate) -> tuple[float, Forecast | None, tuple[str, ...]]:
    """Return the holdout's p, the forecast, and why there is none."""
    try:
        return min(max(p_value(moments(one.holdout)), 1e-300), 1 - 1e-16), forecast(one.holdout, gate), ()
    except DataError as error:
        return 1 - 1e-16, None, (f"the holdout says nothing: {error}",)


def _reasons(one: Candidate, p_hold: float, p_adjusted: float, days: int, gate: Gate) -> tuple[str, ...]:
    found = []
    if p_adjusted > gate.level:
        found.append(f"search and holdout together give p = {p_adjusted:.3g}, and {gate.level:g} is needed")
    if p_hold > gate.held:
        found.append(f"the holdout alone gives p = {p_hold:.3g}, and {gate.held:g} is needed")
    if one.trades < gate.trades:
        found.append(f"{one.trades} trades in the holdout, and {gate.trades} are needed")
    if days < gate.holdout_days:
        found.append(f"a holdout of {days} days, and {gate.holdout_days} are needed")
    return tuple(found)


@dataclass(frozen=True)
class Evidence:
    """From which a power card is computed.

    maxima: champions' scores of the surrogate searches. penalty: what the score takes off a Sharpe ratio (the price of its
    complexity, in errors of a ratio). gain: what choosing among variants of a real rule adds; 0 is
    cautious. years: of search and of holdout. shortlist: programs judged.
    """

    maxima: Sequence[float] = field(repr=False)
    penalty: float
    years: tuple[float, float]
    shortlist: int = 1
    gain: float = 0.0

    def with_years(self, total: float) -> Evidence:
        """Return what the same search would have with `total` years, cut in the same shares: luck shrinks as 1/sqrt."""
        have = sum(self.years)
        scale = math.sqrt(have / total)
        years = (self.years[0] * total / have, self.years[1] * total / have)
        maxima = [one * scale for one in self.maxima]
        return Evidence(maxima, self.penalty * scale, years, self.shortlist, self.gain * scale)


_STEPS = 400


def power(evidence: Evidence, sharpe: float, gate: Gate) -> float:
    """Return how often a program of this true annual Sharpe ratio is promoted, if the search has it.

    Its score is normal about `sharpe` less the penalty, plus the gain, and has to beat one surrogate champion to be the champion; the
    holdout's estimate is normal too. That the search may not find the program is not in it: `quantga bench honesty`
    measures that. ConfigError without surrogates or with a history too short for the gate.
    """
    if not evidence.maxima or evidence.shortlist < 1:
        raise ConfigError("a power card needs the surrogate searches' scores and a shortlist")
    dev, hold = evidence.years
    if hold * 365 < gate.holdout_days:
        return 0.0
    maxima = np.sort(np.asarray(evidence.maxima, dtype=np.float64))
    chances = (np.arange(_STEPS) + 0.5) / _STEPS
    scores = sharpe - evidence.penalty + evidence.gain + ndtri(chances) / math.sqrt(dev)
    above = len(maxima) - np.searchsorted(maxima, scores, side="left")
    p_mine = (above + 1) / (len(maxima) + 1)
    champion = np.searchsorted(maxima, scores, side="right") / len(maxima)
    shares = {"tapered": tapered(evidence.shortlist)[0], "holm": 1 / evidence.shortlist, "sequence": 1.0}
    level = gate.level * shares[gate.procedure]
    needed = -ndtri(level) * math.hypot(math.sqrt(dev), math.sqrt(hold))
    least = (needed + math.sqrt(dev) * ndtri(p_mine)) / math.sqrt(hold)
    least = np.maximum(least, -ndtri(gate.held))
    passes = ndtr(sharpe * math.sqrt(hold) - least) * (p_mine <= gate.mined)
    return float(np.mean(passes * champion))


def power_card(evidence: Evidence, gate: Gate, sharpes: Sequence[float] = (1.0, 1.5, 2.0, 3.0)) -> tuple[str, ...]:
    """Return the sentences of the power card: what this history can show, and how long one would have to be."""
    total = sum(evidence.years)
    lines = []
    for sharpe in sharpes:
        share = power(evidence, sharpe, gate)
        lines.append(
            f"with these {total:.1f} years a true Sharpe ratio of {sharpe:g} is found with {100 * share:.0f} %"
            + _length(evidence, sharpe, gate, share)
        )
    return tuple(lines)


def _length(evidence: Evidence, sharpe: float, gate: Gate, share: float) -> str:
    if share >= 0.8:
        return ""
    total = sum(evidence.years)
    for years in np.arange(math.ceil(total), 41):
        if years > total and power(evidence.with_years(float(years)), sharpe, gate) >= 0.8:
            return f"; 80 % would take {years:.0f} years"
    return "; 80 % would take more than 40 years"
