"""After promotion: the shortlist is shadow-traded beside the live strategies, and an e-process says when a forecast broke.

The e-process is a bet against the forecast, day by day, on each of a few worse truths; while the forecast (or a better one)
holds, the stake is expected not to grow, and by Ville's inequality it exceeds 1/alpha at any time whatever with a chance of at
most alpha (Ramdas et al. 2023, "Game-theoretic statistics and safe anytime-valid inference"). So it may be looked at every day,
for ever, without being tested to death. Pure: bars and returns in, stakes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantga.engine.costs import Costs
from quantga.engine.ledger import trace
from quantga.engine.ledger_market import prepare
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.errors import ConfigError, DataError
from quantga.lang.bars import DAY_MS, Bars, Floats
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program

__all__ = ["Health", "Watch", "after", "begin", "judge", "shadow"]

_YEAR = 365.0
_SETTLED = 20
"""Days before which the spread of returns is not known well enough to bet on."""
_FADE = 1 / 60
"""Share of a new day in the running variance."""
_WIDEST = 4.0
"""A day counts as at most so many standard deviations: one crash is not a broken edge, and fat tails must not make bets."""


@dataclass(frozen=True)
class Watch:
    """What is bet against.

    sharpe: the annual ratio that was forecast (shrunk). worse: annual ratios that are bet on, in equal shares. alpha: how
    often, at most, an alarm is false over the whole life. ConfigError for figures that are none.
    """

    sharpe: float
    alpha: float = 0.05
    worse: tuple[float, ...] = (0.0, -1.0, -2.0, -4.0)

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and math.isfinite(self.sharpe)):
            raise ConfigError(f"a watch needs 0 < alpha < 1 and a finite forecast, not {self.alpha} and {self.sharpe}")

    @property
    def bets(self) -> tuple[float, ...]:
        """Return the truths that are worse than the forecast; half a ratio below it where none of the given ones is."""
        return tuple(one for one in self.worse if one < self.sharpe) or (self.sharpe - 0.5,)


@dataclass(frozen=True)
class Health:
    """Where a strategy stands.

    log_stakes: natural logarithm of the stake on each worse truth. variance: of daily returns, NaN until one is known. settled:
    days before the first bet. alarmed: the day of the alarm, which stays; -1 without one.
    """

    log_stakes: tuple[float, ...]
    variance: float = math.nan
    days: int = 0
    settled: int = _SETTLED
    alarmed: int = -1

    @property
    def log_e(self) -> float:
        """Return the logarithm of the stakes together."""
        most = max(self.log_stakes)
        return most + math.log(math.fsum(math.exp(one - most) for one in self.log_stakes) / len(self.log_stakes))


def begin(watch: Watch, known: Sequence[float] = ()) -> Health:
    """Return the health at promotion; `known`: daily returns from before, for their spread alone."""
    health = Health((0.0,) * len(watch.bets))
    if len(known) >= _SETTLED:
        mean = math.fsum(known) / len(known)
        variance = math.fsum((one - mean) ** 2 for one in known) / (len(known) - 1)
        return replace(health, variance=variance, settled=0)
    return health


def after(health: Health, watch: Watch, earned: float) -> Health:
    """Return the health after one more day that earned `earned` (a fraction). DataError for a return that is no number.

    The day is measured in the standard deviation that was known before it; on the first days nothing is bet.
    """
    if not math.isfinite(earned):
        raise DataError("a day without a return cannot be judged: leave it out")
    days, variance, stakes = health.days + 1, health.variance, health.log_stakes
    if days > health.settled and variance > 0:
        x = max(-_WIDEST, min(_WIDEST, earned / math.sqrt(variance)))
        held = watch.sharpe / math.sqrt(_YEAR)
        bets = [one / math.sqrt(_YEAR) for one in watch.bets]
        stakes = tuple(
            stake + (worse - held) * x - (worse**2 - held**2) / 2 for stake, worse in zip(stakes, bets, strict=True)
        )
    fade = max(_FADE, 1 / days) if health.settled else _FADE
    grown = earned**2 if math.isnan(variance) else variance + fade * (earned**2 - variance)
    found = replace(health, log_stakes=stakes, variance=grown, days=days)
    if found.alarmed < 0 and found.log_e >= -math.log(watch.alpha):
        return replace(found, alarmed=days)
    return found


def judge(returns: Floats, watch: Watch, known: Sequence[float] = ()) -> Health:
    """Return the health after these daily returns, in order."""
    health = begin(watch, known)
    for earned in returns:
        health = after(health, watch, float(earned))
    return health


def shadow(
    programs: Sequence[Program], market: Mapping[str, Bars], costs: Costs, since: Mapping[str, int]
) -> dict[str, Floats]:
    """Return the daily returns of each program since a bar number, by program id: every symbol gets an equal share.

    All programs are evaluated in one step on each symbol, and share their common parts. Days are UTC days with a close in
    them; the first is the one after the first bar's. DataError where the bars end before a whole day.
    """
    wealth: dict[str, list[Floats]] = {program.id: [] for program in programs}
    for symbol, bars in market.items():
        start = since[symbol] - bars.origin
        closes = _day_closes(bars, start)
        if len(closes) < 2:
            raise DataError(f"{symbol}: no whole day of bars since the start: nothing can be judged yet")
        prepared = prepare(bars, costs, [program.genes for program in programs])
        for program, signal in zip(programs, evaluate(list(programs), bars), strict=True):
            wanted = signal.copy()
            wanted[:start] = np.nan
            outcome = trace(wanted, prepared, encode_terms(costs, bars.base), encode_genes([program.genes], costs)[0])
            wealth[program.id].append(outcome.equity[closes] / costs.capital)
    shortest = min(len(one) for parts in wealth.values() for one in parts)
    together = {name: np.mean([part[-shortest:] for part in parts], axis=0) for name, parts in wealth.items()}
    return {name: np.asarray(one[1:] / one[:-1] - 1) for name, one in together.items()}


def _day_closes(bars: Bars, start: int) -> list[int]:
    """Return the rows from `start` on that are the last of their UTC day."""
    days = ((bars.time + bars.interval - 1) // DAY_MS).tolist()
    return [row for row in range(max(0, start), len(days)) if row + 1 < len(days) and days[row] != days[row + 1]]
