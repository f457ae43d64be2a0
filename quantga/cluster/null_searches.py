"""The same search on markets in which nothing can be found, each one task: what the mining p-value asks for.

Searches are yielded by their number, whatever came back first, and no more are begun than may run at once, so that the
rule that stops early is not paid for twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from quantga.cluster.fan_out import Inline, appraisals
from quantga.cluster.ground import plan_of, trial_of
from quantga.cluster.rounds import rounds
from quantga.engine.appraise import appraise_market
from quantga.errors import ClusterError, QuantgaError
from quantga.evolve.islands import Island, State, champions
from quantga.evolve.select import Appraisal
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.settings import Settings
from quantga.streams import stream
from quantga.trust.surrogates import surrogate

type Market = Mapping[str, Bars]


@dataclass(frozen=True, slots=True)
class NullSearch:
    """What one search found where there is nothing: its champion's score (-inf: none) and text, and the programs appraised."""

    number: int
    score: float
    text: str
    trials: int


def whole_search(market: Market, settings: Settings) -> tuple[State, int]:
    """Run the search that `settings` describe on a market, in this process; return its last state and its trials."""
    plan, trial = plan_of(settings, market), trial_of(settings)
    known: dict[Program, Appraisal] = {}

    def appraise(programs: Sequence[Program]) -> list[Appraisal]:
        return appraisals(programs, appraise_market(programs, market, trial))

    state = State(tuple(Island(number) for number in range(plan.islands)))
    for done in rounds(plan, state, known, Inline(appraise)):
        state = done.state
    return state, len(known)


def null_search(market: Market, settings: Settings, kind: str, number: int) -> NullSearch:
    """Run the search of `settings` on surrogate `number` of a market: a function of its arguments alone.

    The search has a seed of its own, the stream (seed, "null search", number): same settings and budget, other chance.
    """
    seed = settings.search.seed
    own = int(stream(seed, "null search", number).integers(2**31))
    there = settings.model_copy(update={"search": settings.search.model_copy(update={"seed": own})})
    state, trials = whole_search(surrogate(kind, market, seed, number), there)
    best = champions(state, 1)
    if not best:
        return NullSearch(number, float("-inf"), "", trials)
    return NullSearch(number, best[0].appraisal.score, best[0].program.text, trials)


_null_search = ray.remote(num_cpus=1, max_retries=3)(null_search)


def null_searches(
    market: Market, settings: Settings, kind: str, numbers: Sequence[int], workers: int
) -> Iterator[NullSearch]:
    """Yield the searches on the surrogates `numbers` of a market, in that order, from Ray tasks.

    At most `workers` are under way. Closing the iterator cancels them.

    Raises:
        ClusterError: a search never came back; the caller goes on from the numbers that it has.
    """
    held: Any = ray.put(dict(market))
    terms = ray.put(settings)
    waiting, running = deque(numbers), deque[Any]()
    try:
        while waiting or running:
            while waiting and len(running) < max(workers, 1):
                running.append(_null_search.remote(held, terms, kind, waiting.popleft()))
            yield _taken(running.popleft())
    finally:
        for task in running:
            ray.cancel(task, force=False)


def _taken(task: Any) -> NullSearch:
    try:
        found: NullSearch = ray.get(task)
    except RayTaskError as error:
        cause = getattr(error, "cause", None)
        raise (cause if isinstance(cause, QuantgaError) else error) from error
    except RayError as error:
        raise ClusterError(f"a null search did not come back ({error}): give the same command again") from error
    return found
