"""`quantga bench search`: one whole search in this process, and where its CPU seconds go."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from quantga.bench.laps import shares
from quantga.bench.operators import sweep_seconds
from quantga.bench.story import chance_market
from quantga.cluster.fan_out import Crew, Inline, appraisals
from quantga.cluster.record import RunFiles
from quantga.cluster.rounds import rounds
from quantga.cluster.task import Appraise
from quantga.engine.accounts import Asset, carry
from quantga.engine.appraise import Trial, appraiser
from quantga.engine.warm import warm
from quantga.evolve.grammar import grammar_for
from quantga.evolve.islands import Plan, begin
from quantga.evolve.select import Appraisal
from quantga.evolve.vary import Limits, Vocabulary
from quantga.lang.bars import Bars
from quantga.lang.classics import classics
from quantga.lang.evaluate import tiles
from quantga.lang.program import Program
from quantga.settings import Search
from quantga.store.lake import open_lake

BARS = 35_040
ISLANDS, POPULATION, GENERATIONS = 8, 128, 25
_REPLAYED = 8  # batches, spread over the search, whose appraisal is taken apart


def plan_of_search(bars: Bars, generations: int) -> Plan:
    """Return a search as `quantga evolve` would make it, with its default settings."""
    chosen = Search(islands=ISLANDS, population=POPULATION, generations=generations)
    columns = frozenset(bars.columns)
    words = Vocabulary(grammar_for(columns), Limits(chosen.max_size), chosen.genes)
    known = tuple(one for one in classics().values() if one.columns <= words.grammar.columns)
    return Plan(words, chosen.seed, ISLANDS, POPULATION, generations, classics=known)


@dataclass
class Judge:
    """Appraises in this process, as a search on one worker does, and remembers what it cost."""

    market: Mapping[str, Bars]
    trial: Trial
    appraise: Appraise
    seconds: float = 0.0
    count: int = 0
    batches: list[list[Program]] = field(default_factory=list)

    def __call__(self, programs: Sequence[Program]) -> Iterable[Appraisal]:
        """Appraise."""
        began = time.process_time()
        found = appraisals(programs, self.appraise(programs))
        self.seconds += time.process_time() - began
        self.count += len(programs)
        self.batches.append(list(programs))
        return found


def measure(*, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the search and return its CPU seconds, their split, appraisals per second and the memory it took."""
    bars = chance_market(8_760 if quick else BARS)
    plan = plan_of_search(bars, 5 if quick else GENERATIONS)
    market, trial = {bars.symbol: bars}, Trial(min_trades=20)
    judge = Judge(market, trial, appraiser(market, trial))
    say("compiling, or loading what is compiled …")
    warm()
    say(f"searching: {plan.islands} islands x {plan.population} programs x {plan.generations} generations …")
    total, storage = _run(plan, Inline(judge))
    say("taking appraisal apart …")
    parts = _parts(judge)
    spent = {name: judge.seconds * share for name, share in shares(parts).items()}
    breeding = total - judge.seconds - storage
    return {
        "bars": len(bars),
        "search": f"{plan.islands} x {plan.population} x {plan.generations}",
        "cpu_seconds": total,
        "split_seconds": {"breeding": breeding, **spent, "storage": storage},
        "split_share": shares({"breeding": breeding, **spent, "storage": storage}),
        "breeding_and_bookkeeping_share": (breeding + storage) / total,
        "appraisals": judge.count,
        "appraisals_per_second": judge.count / total,
        "us_per_appraisal": judge.seconds / judge.count * 1e6,
        "us_per_appraisal_bred": breeding / judge.count * 1e6,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _run(plan: Plan, crew: Crew) -> tuple[float, float]:
    """Run a search to its end; return its CPU seconds, and those of writing every generation to a lake."""
    storage = 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(open_lake(str(Path(folder) / "store")), "bench")
        began = time.process_time()
        trials = 0
        for done in rounds(plan, begin(plan), {}, crew):
            trials += done.new
            before = time.process_time()
            files.commit(done, trials, "")
            storage += time.process_time() - before
        return time.process_time() - began, storage


def _parts(judge: Judge) -> dict[str, float]:
    """Return CPU seconds of the parts of appraisal, over some batches spread over the search."""
    step = max(1, len(judge.batches) // _REPLAYED)
    parts = dict.fromkeys(("planning", "evaluation", "simulation", "metrics"), 0.0)
    costs = judge.trial.costs
    for programs in judge.batches[step // 2 :: step]:
        for bars in judge.market.values():
            whole = _seconds(partial(judge.appraise, programs))
            began = time.process_time()
            plans = list(tiles(programs))
            planning = time.process_time() - began
            asset = Asset.of(bars, costs, {program.genes for program in programs})
            evaluation = sum(sweep_seconds(made, bars, 1) for made in plans)
            both = sum(_seconds(partial(carry, one, asset, costs, hashed=True)) for one in plans)
            parts["planning"] += planning
            parts["evaluation"] += evaluation
            parts["simulation"] += max(0.0, both - evaluation)
            parts["metrics"] += max(0.0, whole - planning - both)
    return {name: max(value, 1e-9) for name, value in parts.items()}


def _seconds(run: Callable[[], object]) -> float:
    found = []
    for _ in range(2):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return float(np.min(found))
