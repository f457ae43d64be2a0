"""The whole judgement as one function: from what a search found to a verdict, in the one order that keeps it honest.

It computes no search and opens no holdout itself: it asks for surrogate searches one after the other, and for the look only
when nothing else is left to decide. So a validation of real bars and the benchmark of made markets pass the same gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from quantga.engine.costs import Costs
from quantga.errors import ConfigError
from quantga.evolve.select import PARSIMONY
from quantga.lang.bars import Bars, Floats
from quantga.lang.program import Program
from quantga.trust.mining import MOST as SURROGATES
from quantga.trust.mining import MiningP, Stop, mining_p, repeated
from quantga.trust.overfitting import Panel
from quantga.trust.promote import Candidate, Evidence, Gate, Verdict, judge, power_card, unopened, worth_opening
from quantga.trust.shortlist import ALIKE, MOST, shortlist
from quantga.trust.track import Track, panel, track


@dataclass(frozen=True)
class Found:
    """What a search found, on the years that it searched.

    programs: its champions, the best score first. scores: by the search's own fitness. returns: their daily detrended
    returns on the days searched, a column each.
    """

    programs: tuple[Program, ...]
    scores: tuple[float, ...]
    returns: Panel = field(repr=False)

    def __post_init__(self) -> None:
        if not len(self.programs) == len(self.scores) == self.returns.trials:
            raise ConfigError(
                f"{len(self.programs)} programs, {len(self.scores)} scores and {self.returns.trials} records are not of one search"
            )


@dataclass(frozen=True)
class Seen:
    """What the holdout showed of one program: daily detrended returns, float64[days], and trades closed there.

    refusals: reasons for which it must not be promoted whatever it earned. labels: what else is to be said of it.
    """

    alpha: Floats = field(repr=False)
    trades: int
    refusals: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Looked:
    """One look at the holdout: the level that the ledger grants it, and what it showed of each program asked for."""

    level: float
    seen: tuple[Seen, ...]


type Look = Callable[[Sequence[Program]], Looked]
"""Opens the holdout for a frozen shortlist; called at most once, and not at all where it could change nothing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a search is judged.

    gate: what has to be met; its level is replaced by the look's. stop: of the surrogate searches. most, alike: of the
    shortlist. searches: how many different searches read these bars, this one too: the best of several is luckier than one.
    holdout_days: whole days that the holdout has. seed: of the run.
    """

    gate: Gate = field(default_factory=Gate)
    stop: Stop = field(default_factory=Stop)
    most: int = MOST
    alike: float = ALIKE
    searches: int = 1
    holdout_days: int = 365
    seed: int = 1


@dataclass(frozen=True)
class Judgement:
    """A verdict with everything that it rests on.

    shortlist: places in `Found.programs`. mining: the search's p for each of them. p_mine: the same, charged with the other
    searches of these bars. maxima: the surrogates' best scores that were asked for. seen: what the look showed; empty where
    the holdout stayed shut.
    """

    verdict: Verdict
    shortlist: tuple[int, ...] = ()
    mining: tuple[MiningP, ...] = ()
    p_mine: tuple[float, ...] = ()
    maxima: tuple[float, ...] = field(default=(), repr=False)
    seen: tuple[Seen, ...] = field(default=(), repr=False)

    @property
    def opened(self) -> bool:
        """Whether the holdout was opened."""
        return bool(self.seen)


def decide(found: Found, maxima: Iterable[float], look: Look, rules: Rules) -> Judgement:
    """Return the judgement on a search: shortlist, mining permutation, the look if it is worth it, the gate.

    Args:
        found: the champions.
        maxima: best scores of the same search on surrogates, in the order of their numbers; read only as far as needed.
        look: opens the holdout.
        rules: see `Rules`.

    Raises:
        ConfigError: `maxima` ends too early, or the look shows other programs than were asked for.
    """
    chosen = tuple(shortlist(found.scores, found.returns, rules.most, rules.alike)) if found.programs else ()
    if not chosen:
        words = "nothing found: no program of the search traded often enough to be judged. The holdout was not opened"
        return Judgement(Verdict("unopened", 1.0, rules.gate.level, (), words))
    asked: list[float] = []
    mining = mining_p([found.scores[k] for k in chosen], _kept(maxima, asked), rules.stop, rules.seed)
    p_mine = tuple(repeated(one.p, rules.searches) for one in mining)
    so_far = Judgement(unopened(p_mine, rules.gate), chosen, mining, p_mine, tuple(asked))
    if not worth_opening(p_mine, rules.gate):
        return so_far
    if rules.holdout_days < rules.gate.holdout_days:
        return replace(so_far, verdict=_too_short(p_mine, rules))
    programs = [found.programs[k] for k in chosen]
    looked = look(programs)
    if len(looked.seen) != len(programs):
        raise ConfigError(f"the look showed {len(looked.seen)} programs, and {len(programs)} were asked for")
    candidates = [
        Candidate(program.id, p, seen.alpha, seen.trades, seen.refusals, seen.labels)
        for program, p, seen in zip(programs, p_mine, looked.seen, strict=True)
    ]
    verdict = judge(candidates, len(found.returns.days), replace(rules.gate, level=looked.level))
    return replace(so_far, verdict=verdict, seen=looked.seen)


def _kept(maxima: Iterable[float], asked: list[float]) -> Iterator[float]:
    for one in maxima:
        asked.append(one)
        yield one


def _too_short(p_mine: Sequence[float], rules: Rules) -> Verdict:
    words = (
        f"not provable with this history: the holdout has {rules.holdout_days} days, and below {rules.gate.holdout_days} "
        "nothing is promoted. It was not opened and keeps its worth"
    )
    return Verdict("not provable", min(p_mine), rules.gate.level, (), words)


def found_of(
    scored: Sequence[tuple[Program, float]], market: Mapping[str, Bars], costs: Costs, window: tuple[int, int]
) -> Found:
    """Return what a search found, with the daily records of its champions over `window` ([start, end), ms).

    scored: champions with their scores, the best first.
    """
    records = [track(program, market, costs, *window) for program, _ in scored]
    returns = panel(records) if records else Panel(np.empty(0, dtype=np.int64), np.empty((0, 0)))
    return Found(tuple(program for program, _ in scored), tuple(score for _, score in scored), returns)


def seen_of(record: Track, refusals: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> Seen:
    """Return what a program's record over the holdout shows."""
    return Seen(record.alpha, record.trades, refusals, labels)


_FEW = 60
"""Surrogate champions below which their distribution is taken from a fit."""


def power_evidence(judgement: Judgement, size: int, years: tuple[float, float]) -> Evidence:
    """Return from which the power of this history is computed: surrogate champions, the score's penalty, lengths.

    Where the rule stopped after few surrogates, those that a real find would have been compared with come from a Gumbel
    distribution of the same mean and standard deviation.

    size: complexity of a rule that would be found, for which the score takes off its price (`quantga.evolve.select.merit`).
    years: of search and of holdout.
    """
    known = [one for one in judgement.maxima if math.isfinite(one)]
    maxima: Sequence[float] = judgement.maxima
    if 1 < len(known) < _FEW:
        scale = float(np.std(known, ddof=1)) * math.sqrt(6) / math.pi
        middle = float(np.mean(known)) - 0.5772156649 * scale
        maxima = [middle - scale * math.log(-math.log((k + 0.5) / SURROGATES)) for k in range(SURROGATES)]
    return Evidence(maxima, PARSIMONY * size / math.sqrt(years[0]), years, max(len(judgement.shortlist), 1))


def power_words(judgement: Judgement, size: int, years: tuple[float, float], gate: Gate) -> tuple[str, ...]:
    """Return the power card of a judgement; empty where no surrogate search was asked for."""
    if not judgement.maxima:
        return ()
    return power_card(power_evidence(judgement, size, years), gate)
