"""run_evolution(): from settings to champions, and the same ones wherever and however often it is run.

A run's id is the hash of what decides its result, so to run is to resume: what was committed before is not done again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from quantga.cluster.account import Account, costs_of
from quantga.cluster.budget import UNLIMITED, Budget, Spent
from quantga.cluster.connect import connect
from quantga.cluster.fan_out import Crew, FanOut, Inline
from quantga.cluster.gauges import on_dashboard
from quantga.cluster.ground import (
    Ground,
    charge,
    made_of,
    plan_of,
    require_same,
    require_unknowing,
    survey,
    trial_of,
)
from quantga.cluster.progress import Report, Standing, Started, middle, silent
from quantga.cluster.record import Champion, RunFiles, champion, digest_of, run_id
from quantga.cluster.rounds import Round, rounds
from quantga.evolve.islands import Plan, State, champions
from quantga.evolve.select import Appraisal
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.settings import Settings
from quantga.store.ingest.importer import funding_notes
from quantga.store.objects import Held
from quantga.store.trials import Ledger, entry
from quantga.trust.holdout import Span

type Appraise = Callable[[Sequence[Program]], Iterable[Appraisal]]

MOST_CHAMPIONS = 50
"""A front of three objectives can be long; this many of it, by score, are the run's result."""


@dataclass(frozen=True)
class Run:
    """A run, finished or `ended` before that by its budget: why, and the champions so far. usd: cost, where nodes have prices.

    digest: SHA-256 over the champions' texts and the bytes of their figures. unlocked: the locked holdout was read, so
    that nothing of it can ever be promoted.
    """

    id: str
    digest: str
    dataset: str
    champions: tuple[Champion, ...]
    generations: int
    trials: int
    unlocked: bool
    ended: str = ""
    usd: float | None = None


def evolve(settings: Settings, report: Report = silent) -> Run:
    """Evolve strategies as `settings` say; go on where an interrupted run stopped."""
    return run_evolution(settings, report=report)


def run_evolution(
    settings: Settings,
    *,
    resume: str = "",
    report: Report = silent,
    appraise: Appraise | None = None,
    budget: Budget = UNLIMITED,
) -> Run:
    """Run a search to its end, or its budget's, and return it; a finished one is only read.

    resume: the id of the run that these settings must be those of. appraise: appraises in this process instead of on Ray.

    Raises ConfigError, before any work, for settings that cannot be or are not those of the run to resume; DataError for
    bars that are missing or too few; Conflict where another process drives the run. After a ClusterError or StoreError the
    run goes on when this is called again.
    """
    prices, ended = settings.cluster.usd_per_hour, ""
    budget.require_prices(prices)
    ground = survey(settings)
    files = RunFiles(ground.lake, run_id(settings.science_hash, ground.manifest.id))
    if resume:
        require_same(files, resume, settings, ground)
    if not files.finished:
        with ground.lake.hold(f"run {files.id}") as held:
            ledger = Ledger(ground.lake)
            head = charge(ledger, files.id, ground)
            market = ground.market(files.id)
            plan = plan_of(settings, market)
            require_unknowing(market)
            files.begin({**made_of(settings, ground), "ledger": head.record})
            tally = Tally(ledger, files.id, ground.spans, held)
            stage = Stage(_started(files, settings, ground), crew_of(settings, market, appraise), prices, budget)
            ended = _search(plan, files, tally, report if appraise else on_dashboard(report), stage)
    return _read(files, ground, ended, settings)


@dataclass(frozen=True)
class Stage:
    """What a search starts from: what it is, who appraises, what nodes cost, and what may be spent."""

    started: Started
    hire: AbstractContextManager[Crew]
    prices: Mapping[str, float]
    budget: Budget


@dataclass(frozen=True)
class Tally:
    """Where a run's trials are charged: each generation once, however often it is computed, by its one driver."""

    ledger: Ledger
    run: str
    spans: tuple[Span, ...]
    held: Held

    def charge(self, generation: int, new: int) -> None:
        """Record the programs that a generation (from 1) appraised for the first time in this run.

        Raises Conflict if another process has taken the run over.
        """
        self.held.require()
        self.ledger.append(entry("trials", f"{self.run}/gen={generation - 1:04d}", self.run, self.spans, trials=new))


def _search(plan: Plan, files: RunFiles, tally: Tally, report: Report, stage: Stage) -> str:
    """Search from the last committed generation to the end, and write the front; return why it ended before, or "".

    A generation is charged before it is committed: what can be read has been counted.
    """
    state, known, trials = files.last(plan.islands)
    with _resumable(files), stage.hire as crew, report(stage.started) as watch:
        account = Account(files, stage.prices, stage.budget)
        for done in rounds(plan, state, known, crew):
            state, trials = done.state, trials + done.new
            last = done.generation == plan.generations
            tally.charge(done.generation, done.new)
            spent = account.settle(done.generation, len(front(state)) if stage.prices else 0)
            files.commit(done, trials, digest_of(front(state)) if last else "")
            watch(_standing(done, trials, spent))
            if not last and (ended := account.reached()):
                return ended
    files.finish(front(state))
    return ""


def front(state: State) -> list[Champion]:
    """Return the champions of a state, the best score first."""
    return [champion(member) for member in champions(state, MOST_CHAMPIONS)]


@contextmanager
def crew_of(settings: Settings, market: Mapping[str, Bars], appraise: Appraise | None) -> Iterator[Crew]:
    """Yield who appraises: Ray tasks over the market, or the function that was given."""
    if appraise is not None:
        yield Inline(appraise)
        return
    with connect(settings.cluster) as workers:
        yield FanOut(market, trial_of(settings), settings.cluster, workers)


@contextmanager
def _resumable(files: RunFiles) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\nstopped after generation {files.committed()}: `quantga evolve --resume {files.id}` goes on from there\n"
        )
        raise


def _started(files: RunFiles, settings: Settings, ground: Ground) -> Started:
    search = settings.search
    what = (
        f"{', '.join(ground.symbols)} {ground.manifest.interval} of {ground.manifest.venue}, {search.islands} islands x "
        f"{search.population} programs x {search.generations} generations"
    )
    unknown = funding_notes(ground.manifest) if settings.costs.funding else []
    before = Ledger(ground.lake).history(ground.spans, files.id)
    note = "\n".join(filter(None, [ground.window.note, *unknown, f"ledger: {before.words}"]))
    return Started(files.id, what, search.generations, files.committed(), note)


def _standing(done: Round, trials: int, spent: Spent | None) -> Standing:
    scores = [[member.appraisal.score for member in island.members] for island in done.state.islands]
    asked = [done.worths[child.program] for brood in done.broods for child in brood]
    return Standing(
        done.generation,
        tuple(max(those, default=float("nan")) for those in scores),
        tuple(middle(those) for those in scores),
        trials,
        len(asked),
        done.new,
        len({appraisal.behaviour for appraisal in asked}),
        spent,
    )


def _read(files: RunFiles, ground: Ground, ended: str, settings: Settings) -> Run:
    """Return a run from its files."""
    found = tuple(front(files.last(settings.search.islands)[0]) if ended else files.champions())
    generations = files.committed()
    trials, unlocked = files.trials(generations), ground.window.unlocked
    usd = sum(costs_of(files)) if settings.cluster.usd_per_hour else None
    return Run(files.id, digest_of(found), ground.manifest.id, found, generations, trials, unlocked, ended, usd)
