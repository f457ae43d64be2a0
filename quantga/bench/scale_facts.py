"""The times that the simulation of a cluster stands on, measured on this machine and on the store that is named."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from quantga.bench.scale_drivers import Facts
from quantga.bench.search import BARS, GENERATIONS, Judge, plan_of_search
from quantga.bench.story import chance_market
from quantga.cluster.connect import connect
from quantga.cluster.fan_out import FanOut, Inline, appraisals
from quantga.cluster.null_searches import in_order
from quantga.cluster.record import RunFiles
from quantga.cluster.rounds import rounds
from quantga.engine.appraise import Appraisals, Trial, appraiser
from quantga.engine.metrics import KEYS
from quantga.engine.warm import warm
from quantga.evolve.islands import begin
from quantga.evolve.select import Appraisal
from quantga.evolve.vary import random_programs
from quantga.lang.program import Program
from quantga.settings import Cluster
from quantga.store.catalog import refresh
from quantga.store.lake import Lake, open_lake
from quantga.store.null_library import NullLibrary, NullSearch

_WAITING = 1024  # searches out at once while the driver's price is measured
_PUTS = 100


@dataclass
class _Timed(Judge):
    """Remembers the seconds per program of every batch, too."""

    each: list[float] = field(default_factory=list)

    def __call__(self, programs: Sequence[Program]) -> Iterable[Appraisal]:
        before = self.seconds
        found = super().__call__(programs)
        self.each.append((self.seconds - before) / len(programs))
        return found


def measured(*, quick: bool, store: str, say: Callable[[str], None]) -> Facts:
    """Return the facts: a whole search in this process, then Ray and the store. `store`: "" measures a folder."""
    say("compiling, or loading what is compiled …")
    warm()
    bars = chance_market(8_760 if quick else BARS)
    generations = 3 if quick else GENERATIONS
    market, trial = {bars.symbol: bars}, Trial(min_trades=20)
    judge = _Timed(market, trial, appraiser(market, trial))
    plan = plan_of_search(bars, generations)
    say(f"one search: {plan.islands} islands x {plan.population} programs x {generations} generations …")
    with tempfile.TemporaryDirectory() as folder:
        lake = open_lake(_apart(store or folder))
        refresh(lake)
        files = RunFiles(lake, f"bench-{time.time_ns()}")
        files.begin({})
        began, commit, trials = time.process_time(), [], 0
        for done in rounds(plan, begin(plan), {}, Inline(judge)):
            trials += done.new
            wall, cpu = time.perf_counter(), time.process_time()
            files.commit(done, trials, "")
            commit.append((time.perf_counter() - wall, time.process_time() - cpu))
        total = time.process_time() - began - sum(cpu for _, cpu in commit)
        say(f"the store {lake.root} …")
        put, index = _put_seconds(lake), _index_seconds(lake) / generations
    say("Ray's price of a task …")
    with connect(Cluster(address="local", workers=2)):
        null = _null_seconds(300 if quick else 1500)
        small, large = (_batch_seconds(size, 100 if quick else 300) for size in (1, 100))
    program = max(0.0, (large - small) / 99)
    each = np.array(judge.each)
    return Facts(
        search=total,
        search_spread=_search_spread(),
        appraise=judge.seconds / judge.count,
        batch_spread=float(each.std() / each.mean()),
        breed=(total - judge.seconds) / judge.count,
        task=max(1e-9, small - program),
        program=program,
        null=null,
        put=put,
        commit=float(np.mean([wall for wall, _ in commit])) + put,
        index=index,
        market_bytes=float(sum(bars.columns[name].nbytes for name in bars.columns)),
    )


def _put_seconds(lake: Lake) -> float:
    library = NullLibrary(lake, f"bench-{time.time_ns()}")
    began = time.perf_counter()
    for number in range(_PUTS):
        library.keep(_answer(number))
    return (time.perf_counter() - began) / _PUTS


def _apart(store: str) -> str:
    """Return the address of a lake of its own within a store: what is written there is of no use afterwards."""
    address, mark, options = store.partition("?")
    return f"{address.rstrip('/')}/bench-{time.time_ns()}{mark}{options}"


def _search_spread(searches: int = 8) -> float:
    """Return the standard deviation over the mean of whole searches' CPU seconds, of small ones with other seeds."""
    bars = chance_market(8_760)
    market, trial = {bars.symbol: bars}, Trial(min_trades=20)
    appraise, seconds = appraiser(market, trial), []
    for seed in range(searches):
        plan = replace(plan_of_search(bars, 8), seed=seed, islands=4, population=32)
        began = time.process_time()
        for _ in rounds(plan, begin(plan), {}, Inline(lambda programs: appraisals(programs, appraise(programs)))):
            pass
        seconds.append(time.process_time() - began)
    return float(np.std(seconds) / np.mean(seconds))


def _index_seconds(lake: Lake) -> float:
    began = time.perf_counter()
    refresh(lake)
    return time.perf_counter() - began


def _answer(number: int) -> NullSearch:
    return NullSearch(
        number, 1.5, "when(gt(close, lag(close, 1)), long, flat)", 1000, tuple(float(i) for i in range(60))
    )


def _null_seconds(count: int) -> float:
    """Return the main thread's CPU seconds of one search in a task, with a thousand out at once."""
    for _ in in_order(_answer, (), range(20), 2, lambda _: None):
        pass
    began = time.thread_time()
    for _ in in_order(_answer, (), range(count), _WAITING, lambda _: None):
        pass
    return (time.thread_time() - began) / count


def _batch_seconds(size: int, count: int) -> float:
    """Return the main thread's CPU seconds of a batch of `size` programs that takes its worker no time."""
    crew = FanOut({}, Trial(), Cluster(batch_ms=1), max(1, count // 2), _nothing)
    programs = random_programs(size * count, seed=5, genes=True)
    crew.submit(programs[:size])
    while crew.collect():
        pass
    began = time.thread_time()
    for at in range(0, len(programs), size):
        crew.submit(programs[at : at + size])
    while crew.collect():
        pass
    return (time.thread_time() - began) / count


def _nothing(programs: Sequence[Program]) -> Appraisals:
    n, keys = len(programs), len(KEYS)
    figures = np.ones((n, keys))
    behaviour = np.arange(n, dtype=np.uint64)
    return Appraisals(tuple(programs), figures[:, 0], figures[:, :8], behaviour, figures, np.zeros(n, np.uint8))
