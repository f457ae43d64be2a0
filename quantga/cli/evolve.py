"""`quantga evolve`: the main job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import (
    FIGURES,
    IntervalOption,
    JsonOption,
    StoreOption,
    SymbolsOption,
    TimerangeOption,
    UnlockedOption,
    VenueOption,
    give_json,
    give_programs,
    say,
)
from quantga.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quantga.cluster.evolution import Run

WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Tasks at once. Default: all CPUs of the cluster.")
]
AddressOption = Annotated[
    str | None, typer.Option("--address", help="Ray's address. Default: RAY_ADDRESS, the job's own, or a local Ray.")
]

_SHOWN = 8


def evolve(
    symbols: SymbolsOption = None,
    interval: IntervalOption = None,
    venue: VenueOption = None,
    timerange: TimerangeOption = None,
    unlocked: UnlockedOption = None,
    population: Annotated[int | None, typer.Option("--population", help="Programs per island.")] = None,
    islands: Annotated[int | None, typer.Option("--islands", help="Populations that breed apart.")] = None,
    generations: Annotated[int | None, typer.Option("--generations")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Names every random stream.")] = None,
    selection: Annotated[str | None, typer.Option("--selection", help="nsga2, tournament or lexicase.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="numba, or vectorbt where its rules suffice.")] = None,
    workers: WorkersOption = None,
    address: AddressOption = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.")] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option("--budget-usd", help="What the run may cost, all calls together: [cluster] usd_per_hour."),
    ] = None,
    until: Annotated[str, typer.Option("--until", metavar="HH:MM", help="End before that time, UTC.")] = "",
    max_minutes: Annotated[
        float | None, typer.Option("--max-minutes", metavar="N", help="End within N minutes.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Evolve strategies on stored bars; a run that was interrupted, or met its budget, goes on where it stopped."""
    from quantga.cluster.budget import Budget
    from quantga.cluster.evolution import run_evolution
    from quantga.cluster.progress import show_progress

    settings = _settings(
        resume or "",
        {
            "data": {
                "symbols": symbols,
                "interval": interval,
                "venue": venue,
                "timerange": timerange,
                "unlocked": unlocked,
            },
            "search": {
                "population": population,
                "islands": islands,
                "generations": generations,
                "seed": seed,
                "selection": selection,
                "engine": engine,
            },
            "cluster": {"workers": workers, "address": address},
            "store": {"path": store},
        },
    )
    budget = Budget.of(budget_usd, until, max_minutes, time.time())
    run = run_evolution(settings, resume=resume or "", report=show_progress, budget=budget)
    if json:
        give_json(summary(run))
        return
    give_champions(run)
    if run.ended:
        say(
            f"stopped after generation {run.generations}: {run.ended}. `quantga evolve --resume {run.id}` goes on from there"
        )
    else:
        say(f"run {run.id}: `quantga report {run.id}` draws it, `quantga show {run.id}` lists its front")


def _settings(resume: str, given: Mapping[str, Mapping[str, object]]) -> Settings:
    """Load the settings; to resume, the run's own science stands below what is given."""
    if not resume:
        return Settings.load(given)
    from quantga.cluster.ground import science_of

    own = science_of(Settings.load({"store": given["store"]}), resume)
    stated = {section: {k: v for k, v in fields.items() if v is not None} for section, fields in given.items()}
    return Settings.load(
        {section: {**own.get(section, {}), **stated.get(section, {})} for section in {**own, **stated}}
    )


def summary(run: Run) -> dict[str, object]:
    """Return what a script wants to know of a run."""
    return {
        "run": run.id,
        "digest": run.digest,
        "dataset": run.dataset,
        "generations": run.generations,
        "trials": run.trials,
        "unlocked": run.unlocked,
        "ended": run.ended,
        "usd": run.usd,
        "champions": [{"id": one.id, "text": one.text, **one.figures} for one in run.champions],
    }


def give_champions(run: Run) -> None:
    """Print a run's best champions; in-sample figures never stand without the number of trials behind them."""
    best = run.champions[:_SHOWN]
    title = f"the {len(best)} best of {len(run.champions)} champions, in-sample, of {run.trials:,} trials"
    give_programs(title, FIGURES, [{"id": one.id, "text": one.text, **one.figures} for one in best])
    say(f"digest {run.digest}")
