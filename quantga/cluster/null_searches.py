"""The same search on markets in which nothing can be found, each one task: what the mining p-value asks for.

Searches are yielded by their number, whatever came back first, so that the answer is the same on one worker and on many.
Each is handed over to be kept as soon as it is back, without waiting for the store, and few are begun ahead of the one that is
waited for, since the rule that stops early would throw them away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import ray

from quantga.cluster.attempts import Attempts
from quantga.cluster.fan_out import Inline, appraisals
from quantga.cluster.ground import plan_of, trial_of
from quantga.cluster.rounds import rounds
from quantga.cluster.task import task_bytes
from quantga.engine.appraise import appraiser
from quantga.evolve.islands import Island, State, champions
from quantga.evolve.select import Appraisal
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.settings import Settings
from quantga.store.null_library import NullSearch
from quantga.streams import stream
from quantga.trust.surrogates import surrogate
from quantga.trust.track import track

type Market = Mapping[str, Bars]

CURVE = 60
"""Points of a null champion's curve."""
_WRITERS = 8
_UNWRITTEN = 64
_AHEAD = 2
"""Searches begun at most, per worker, behind the one that is waited for."""
_SEARCH_BYTES = 100 << 20
_SURROGATE_BYTES = 300


def whole_search(market: Market, settings: Settings) -> tuple[State, int]:
    """Run the search that `settings` describe on a market, in this process; return its last state and its trials."""
    plan, trial = plan_of(settings, market), trial_of(settings)
    known: dict[Program, Appraisal] = {}
    judge = appraiser(market, trial)

    def appraise(programs: Sequence[Program]) -> list[Appraisal]:
        return appraisals(programs, judge(programs))

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
    made = surrogate(kind, market, seed, number)
    state, trials = whole_search(made, there)
    best = champions(state, 1)
    if not best:
        return NullSearch(number, float("-inf"), "", trials)
    program = best[0].program
    return NullSearch(number, best[0].appraisal.score, program.text, trials, _curve(program, made, settings))


def _curve(program: Program, market: Market, settings: Settings) -> tuple[float, ...]:
    start = min(int(bars.time[0]) for bars in market.values())
    end = max(int(bars.time[-1]) + bars.interval for bars in market.values())
    alpha = track(program, market, trial_of(settings).costs, start, end).alpha
    total = np.cumsum(alpha)
    places = np.linspace(0, len(total) - 1, min(CURVE, len(total))).round().astype(np.int64)
    return tuple(round(float(value), 6) for value in total[places])


def null_searches(
    market: Market,
    settings: Settings,
    kind: str,
    numbers: Sequence[int],
    workers: int,
    keep: Callable[[NullSearch], None] = lambda _: None,
) -> Generator[NullSearch]:
    """Yield the searches on the surrogates `numbers` of a market, in that order, from Ray tasks.

    At most `workers` run at once. `keep` is given each as soon as it is back, in whatever order. Closing the iterator cancels
    what runs.

    Raises:
        ClusterError: a search never came back; the caller goes on from those that were kept.
    """
    return in_order(null_search, (dict(market), settings, kind), numbers, workers, keep, search_bytes(market))


def search_bytes(market: Market) -> int:
    """Return the memory that a whole search takes, in bytes: what appraising does, a surrogate and a population.

    Measured: 290 MB of a worker's own on 21,000 bars of one asset; this gives 370.
    """
    return task_bytes(market) + _SEARCH_BYTES + _SURROGATE_BYTES * sum(map(len, market.values()))


def in_order(
    search: Callable[..., NullSearch],
    shared: Sequence[object],
    numbers: Sequence[int],
    workers: int,
    keep: Callable[[NullSearch], None],
    memory: int = 0,
) -> Generator[NullSearch]:
    """Yield search(*shared, number) for each of `numbers`, as `null_searches` does. memory: what one needs, in bytes."""
    workers = max(workers, 1)
    running = Attempts(search, "surrogate search", memory)
    held: Any = [ray.put(one) for one in shared]
    waiting, wanted = deque(numbers), deque(numbers)
    back: dict[int, NullSearch] = {}
    writers = Writers(keep)
    try:
        while wanted:
            while waiting and len(running) < workers and len(back) + len(running) < (1 + _AHEAD) * workers:
                number = waiting.popleft()
                running.begin(number, *held, number)
            if wanted[0] in back:
                yield back.pop(wanted.popleft())
                continue
            number, found = running.next()
            back[number] = found
            writers.write(found)
    finally:
        running.cancel()
        writers.close()


class Writers:
    """Keeps what came back, a few at once, so that a store far away does not hold up those who search."""

    def __init__(self, keep: Callable[[NullSearch], None]) -> None:
        self._keep = keep
        self._threads = ThreadPoolExecutor(_WRITERS)
        self._waiting: deque[Future[None]] = deque()

    def write(self, found: NullSearch) -> None:
        """Take one to be kept. Raises what keeping an earlier one raised; waits where many have not been kept yet."""
        self._waiting.append(self._threads.submit(self._keep, found))
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > _UNWRITTEN):
            self._waiting.popleft().result()

    def close(self) -> None:
        """Wait until all are kept. Raises what keeping one raised."""
        with self._threads:
            for one in self._waiting:
                one.result()
