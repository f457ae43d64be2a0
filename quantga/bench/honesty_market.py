"""One market through the whole pipeline, and the truth about what came out: search, surrogates, look, gate, fresh years.

The gates are those of a validation (`trust.pipeline.decide`); only where searches run and what the truth is differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from quantga.bench.honesty_cases import (
    START,
    Budget,
    Case,
    Ground,
    fresh_markets,
    market,
    null_market,
    searched,
    searched_window,
    whole_window,
)
from quantga.cluster.evolution import MOST_CHAMPIONS
from quantga.cluster.null_searches import null_search, whole_search
from quantga.engine.costs import Costs
from quantga.errors import DataError
from quantga.evolve.islands import State, champions
from quantga.evolve.select import by_score, distinct
from quantga.lang.bars import DAY_MS, HOUR_MS, Bars
from quantga.lang.program import Program
from quantga.streams import stream
from quantga.trust.families import family, known_policy, realised
from quantga.trust.holdout import Split, embargo, split
from quantga.trust.honesty import Tried, Validated
from quantga.trust.mining import Stop
from quantga.trust.pipeline import Found, Judgement, Look, Looked, Rules, decide, found_of, seen_of
from quantga.trust.promote import Gate
from quantga.trust.sharpe import DAYS, moments
from quantga.trust.shortlist import shortlist
from quantga.trust.track import track

_COST = 5e-4
_TOP = 20
_WARM_DAYS = 60
_NEAR = 0.1


def library_score(mould: str, number: int, budget: Budget, ground: Ground) -> float:
    """Return the best score of surrogate search `number` of a mould; -inf where it found nothing."""
    seed = int(stream(number, "library", mould).integers(2**31))
    state, _ = whole_search(null_market(mould, number, budget, ground), budget.settings(seed))
    best = champions(state, 1)
    return best[0].appraisal.score if best else float("-inf")


def validated(case: Case, library: Sequence[float] | None, budget: Budget, ground: Ground) -> Validated:
    """Return what the pipeline says of one market, and what is true.

    library: surrogate scores of its mould; None runs the market's own surrogate searches.
    """
    bars = market(case, budget, ground)
    dev, window = searched(bars), searched_window(bars)
    settings = budget.settings(case.seed)
    state, trials = whole_search(dev, settings)
    costs = Costs(**settings.costs.model_dump())
    scored = [(one.program, one.appraisal.score) for one in champions(state, MOST_CHAMPIONS)]
    found = found_of(scored, dev, costs, window)
    parts = _parts(found, window, whole_window(bars)[1])
    maxima: Iterable[float] = library if library is not None else _own(dev, budget, case.seed)
    stop = Stop() if library is None else Stop(len(library), len(library))
    rules = Rules(Gate(), stop, holdout_days=parts.closes // DAY_MS - -(-parts.opens // DAY_MS), seed=case.seed)
    judgement = decide(found, maxima, _look(bars, costs, parts, rules.gate.level), rules)
    truth = _Truth(case, budget, ground, costs)
    return Validated(
        family=case.kind,
        sharpe=case.sharpe,
        seed=case.seed,
        trials=trials,
        p_mine=judgement.mining[0].uniform if judgement.mining else 1.0,
        tried=_tried(found, judgement, truth, planted=case.sharpe > 0),
        oracle=truth.oracle(),
        naive=_naive(state, bars, costs, parts),
    )


def _own(dev: Mapping[str, Bars], budget: Budget, seed: int) -> Iterable[float]:
    return (null_search(dev, budget.settings(seed), "sign", number).score for number in range(Stop().most))


def _parts(found: Found, window: tuple[int, int], closes: int) -> Split:
    """Return dev | embargo | holdout, by what the shortlist remembers and how long it holds, as a validation does."""
    programs = [found.programs[k] for k in shortlist(found.scores, found.returns)] if found.programs else []
    holds = [program.genes.max_hold for program in programs]
    lookback = max((program.lookback for program in programs), default=0)
    needed = embargo(lookback, max(holds, default=0) if all(holds) else 0, HOUR_MS)
    return split(window, (window[1], closes), needed)


def _look(bars: Mapping[str, Bars], costs: Costs, parts: Split, level: float) -> Look:
    def opened(programs: Sequence[Program]) -> Looked:
        return Looked(level, tuple(seen_of(track(one, bars, costs, parts.opens, parts.closes)) for one in programs))

    return opened


def _tried(found: Found, judgement: Judgement, truth: _Truth, *, planted: bool) -> tuple[Tried, ...]:
    """Return the shortlist with what was said; what is true, of a planted market's champion and of all that came near."""
    said = {one.program: one for one in judgement.verdict.outcomes}
    rows = []
    for place, at in enumerate(judgement.shortlist):
        program, outcome = found.programs[at], said.get(found.programs[at].id)
        near = outcome is not None and (outcome.promoted or outcome.p_combined <= _NEAR)
        told = outcome.forecast if outcome else None
        rows.append(
            Tried(
                text=program.text,
                p_mine=judgement.p_mine[place],
                p_hold=outcome.p_hold if outcome else None,
                forecast=(told.sharpe, told.low, told.high) if told else None,
                seen=(told.seen, told.error) if told else None,
                promoted=bool(outcome and outcome.promoted),
                true=truth.sharpe(program) if near or (planted and place == 0) else None,
            )
        )
    return tuple(rows)


class _Truth:
    """True annual Sharpe ratios, on fresh years of the same process."""

    def __init__(self, case: Case, budget: Budget, ground: Ground, costs: Costs) -> None:
        self._case, self._budget, self._ground, self._costs = case, budget, ground, costs
        self._markets: list[dict[str, Bars]] = []
        self._known: dict[str, float] = {}

    def sharpe(self, program: Program) -> float:
        """Return the ratio of a program; 0 where it does not trade there."""
        self._markets = self._markets or fresh_markets(self._case, self._budget, self._ground)
        if program.id not in self._known:
            self._known[program.id] = float(np.mean([self._one(program, bars) for bars in self._markets]))
        return self._known[program.id]

    def oracle(self) -> float:
        """Return the ratio of one who knows the process, on the same fresh years; 0 where there is nothing to know."""
        if not self._case.sharpe:
            return 0.0
        planted = family(self._case.kind, self._case.sharpe, self._budget.fresh_years)
        return realised(planted.path(self._case.seed, "FRESH", START), known_policy(planted, _COST), _COST)

    def _one(self, program: Program, bars: Mapping[str, Bars]) -> float:
        start, end = whole_window(bars)
        try:
            return moments(track(program, bars, self._costs, start + _WARM_DAYS * DAY_MS, end).alpha).annual
        except DataError:
            return 0.0


def _naive(state: State, bars: Mapping[str, Bars], costs: Costs, parts: Split) -> bool:
    """Return whether the best of the top 20 has a Sharpe ratio above 1 in the year after: what one does without a gate."""
    members = distinct([member for island in state.islands for member in island.members])
    end = min(parts.opens + 365 * DAY_MS, parts.closes)
    ratios = []
    for member in sorted(members, key=by_score)[:_TOP]:
        returns = track(member.program, bars, costs, parts.opens, end).returns
        spread = float(returns.std(ddof=1))
        ratios.append(float(returns.mean()) / spread * DAYS**0.5 if spread > 0 else 0.0)
    return max(ratios, default=0.0) > 1.0
