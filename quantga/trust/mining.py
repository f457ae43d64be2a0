"""The search's own p-value: how often the same search, where nothing can be found, ends with as good a champion.

The search chooses the best of very many programs, so its champion looks good in any market. What says something is its
score beside those of champions of the same search, budget and settings on surrogates (Aronson 2006; Masters 2006).
Everything here is arithmetic on scores; who computes the surrogate searches, and where, is somebody else's matter.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quantga.errors import ConfigError
from quantga.streams import dice

EXCEEDANCES = 5
"""Surrogate champions that reach the score before one stops asking (h of Besag and Clifford 1991)."""

MOST = 199
"""Surrogate searches at the most (B)."""


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop asking: after `exceedances` surrogate champions at or above the score, or after `most` searches."""

    exceedances: int = EXCEEDANCES
    most: int = MOST

    def __post_init__(self) -> None:
        if not 1 <= self.exceedances <= self.most:
            raise ConfigError(f"stop after {self.exceedances} exceedances of {self.most} searches: take 1 <= h <= B")


@dataclass(frozen=True, slots=True)
class MiningP:
    """What the surrogates say of one champion.

    p: valid and never too small: h / l if the h-th exceedance came with search l, else (g + 1) / (B + 1).
    uniform: the same, randomised between the two values that p could just have taken: uniform on [0, 1] if nothing can be
    found. For checking the method; the gate takes `p`.
    searches: how many surrogates were asked for this champion; exceedances: how many reached its score.
    skill: its score less the mean of the surrogates' (Masters' estimate); NaN if any of these is infinite.
    """

    p: float
    uniform: float
    searches: int
    exceedances: int
    skill: float


def settled(score: float, maxima: Sequence[float], stop: Stop) -> bool:
    """Return whether the surrogates' `maxima`, in their order, are enough for a champion's `score`."""
    return len(maxima) >= stop.most or sum(one >= score for one in maxima) >= stop.exceedances


def mining_p(scores: Sequence[float], maxima: Iterable[float], stop: Stop, seed: int) -> tuple[MiningP, ...]:
    """Return the p-values of a shortlist, in its order, reading no more of `maxima` than they need.

    Every champion is compared with the surrogates' best (Westfall and Young 1993), and none gets a smaller p than one
    with a higher score: the family-wise error over the shortlist is that of its best.

    Args:
        scores: of the shortlist, by the search's own fitness; -inf is allowed, NaN is not.
        maxima: the surrogate searches' best scores, in the order of their numbers.
        stop: Besag and Clifford's rule, applied to the best of the shortlist.
        seed: of the run; ties and the randomised value are the stream (seed, "mining").

    Raises:
        ConfigError: no score, a NaN, or `maxima` ends before the rule is satisfied.
    """
    if not scores or any(math.isnan(score) for score in scores):
        raise ConfigError("a mining p-value needs the score of at least one champion, and no NaN")
    best = max(scores)
    asked: list[float] = []
    for one in maxima:
        if math.isnan(one):
            raise ConfigError("a surrogate search ended without a score")
        asked.append(one)
        if settled(best, asked, stop):
            break
    if not settled(best, asked, stop):
        raise ConfigError(f"{len(asked)} surrogate searches do not settle it: give up to {stop.most}")
    found = {score: _one(score, asked, stop, seed) for score in scores}
    worst = uniform = 0.0
    stepped = {}
    for score in sorted(found, reverse=True):
        own = found[score]
        worst, uniform = max(worst, own.p), max(uniform, own.uniform)
        stepped[score] = MiningP(worst, uniform, own.searches, own.exceedances, own.skill)
    return tuple(stepped[score] for score in scores)


def _one(score: float, maxima: Sequence[float], stop: Stop, seed: int) -> MiningP:
    """Apply the rule to one score; a tie exceeds in `p`, and in the randomised value if its coin says so."""
    chance = dice(seed, "mining")
    last, mine = chance.random(), chance.random()
    coins = [chance.random() for _ in maxima]
    p, searches, exceedances, _ = _stopped([one >= score for one in maxima], stop)
    fair = [one > score or (one == score and coin > mine) for one, coin in zip(maxima, coins, strict=True)]
    _, _, _, (low, high) = _stopped(fair, stop)
    read = maxima[:searches]
    skill = score - math.fsum(read) / len(read) if all(math.isfinite(x) for x in (score, *read)) else math.nan
    return MiningP(p, high - (high - low) * last, searches, exceedances, skill)


def _stopped(above: Sequence[bool], stop: Stop) -> tuple[float, int, int, tuple[float, float]]:
    """Return p, searches, exceedances, and the interval in which p would lie if scores were ranked without end."""
    count = 0
    for number, exceeds in enumerate(above[: stop.most], 1):
        count += exceeds
        if count == stop.exceedances:
            return count / number, number, count, (count / (number + 1), count / number)
    number = min(len(above), stop.most)
    return (count + 1) / (number + 1), number, count, (count / (number + 1), (count + 1) / (number + 1))


def repeated(p: float, searches: int) -> float:
    """Return the p-value of the best of `searches` searches on the same bars (Sidak): 1 - (1 - p)^searches."""
    if searches < 1:
        raise ConfigError(f"{searches} searches: there is at least this one")
    return -math.expm1(searches * math.log1p(-p)) if p < 1 else 1.0


def library_key(parts: Mapping[str, object]) -> str:
    """Return the key of a null library: 16 hex digits over everything that shapes the luck of a search.

    Args:
        parts: plain data: dataset, symbols, the span that was searched, the grammar's digest, the search's settings
            without its seed, costs, code, kind of surrogate.

    Raises:
        ConfigError: one of dataset, span, grammar, search or surrogate is not given, or the seed is.
    """
    needed = {"dataset", "symbols", "span", "grammar", "search", "costs", "surrogate"}
    lacking = sorted(needed - parts.keys())
    if lacking:
        raise ConfigError(f"a null library's key lacks {', '.join(lacking)}")
    search = parts["search"]
    if isinstance(search, Mapping) and "seed" in search:
        raise ConfigError("a null library serves every seed: leave the seed out of its key")
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
