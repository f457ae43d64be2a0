"""From settings to what a run is: the bars it may read, the search, the terms of its trial, its identity, and its charge.

Locked bars are read here only by who asked for it (`--unlocked`), and never without a row in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quantga.cluster.record import RunFiles, code_version
from quantga.engine.appraise import Trial
from quantga.engine.auditor import check_rules
from quantga.engine.costs import Costs
from quantga.errors import ConfigError, DataError
from quantga.evolve.grammar import grammar_for
from quantga.evolve.islands import Plan
from quantga.evolve.vary import Limits, Vocabulary, admits
from quantga.lang.bars import DAY_MS, Bars
from quantga.lang.classics import classics
from quantga.lang.program import Program
from quantga.settings import Settings, parse_timerange
from quantga.store.lake import Lake, open_lake
from quantga.store.manifest import Manifest
from quantga.store.market import Query, Window, dev_window, find_dataset, load, select
from quantga.store.trials import Head, Ledger, entry, searched_spans
from quantga.trust.holdout import Span
from quantga.trust.lookahead import foreknowing_columns

_LOOKBACK = 1_000
_FEWEST_BARS = 200


@dataclass(frozen=True)
class Ground:
    """What a run searches on: the dataset, its symbols and the window of time that may be read."""

    lake: Lake
    manifest: Manifest
    symbols: tuple[str, ...]
    window: Window

    @property
    def spans(self) -> tuple[Span, ...]:
        """What a search here reads, by base asset and time: what it is charged for."""
        return searched_spans(self.manifest, self.symbols, self.window.start, self.window.end)

    def market(self, run: str = "") -> Mapping[str, Bars]:
        """Return the bars by symbol.

        run: whose row in the ledger covers them; without one, reading locked bars is charged by a row of its own.
        """
        window = self.window
        if window.unlocked and window.end > window.locked_from and not run:
            key = f"unlocked/{self.manifest.id}/{','.join(self.symbols)}/{window.start}-{window.end}"
            note = "locked bars were read: they can never be a holdout"
            Ledger(self.lake).append(entry("search", key, key, self.spans, note=note))
        return load(self.lake, self.manifest, self.symbols, window.start, window.end, unlocked=window.unlocked)


def survey(settings: Settings) -> Ground:
    """Find the dataset and the window that the settings name, and check that the store can be written."""
    lake = open_lake(settings.store.path)
    lake.require_writable()
    data = settings.data
    manifest = find_dataset(lake, Query(data.symbols, data.interval, data.venue))
    start, end = parse_timerange(data.timerange)
    window = dev_window(manifest, data.symbols, start, end, unlocked=data.unlocked)
    return Ground(lake, manifest, select(manifest, data.symbols), window)


def plan_of(settings: Settings, market: Mapping[str, Bars]) -> Plan:
    """Return the search that the settings describe on a market. DataError where it has too few bars.

    ConfigError where VectorBT is to appraise what it does not know.
    """
    search = settings.search
    if search.engine == "vectorbt":
        for bars in market.values():
            check_rules(trial_of(settings).costs, bars)
        if search.genes:
            raise ConfigError("VectorBT knows no risk genes: set search.genes = false, or use the ledger")
    shortest = min(market.values(), key=len)
    if len(shortest) < _FEWEST_BARS:
        raise DataError(
            f"{shortest.symbol} has only {len(shortest)} bars in that timerange, and a search needs {_FEWEST_BARS}: "
            "widen --timerange or leave it out"
        )
    days = (
        max(int(bars.time[-1]) for bars in market.values()) - min(int(bars.time[0]) for bars in market.values())
    ) / DAY_MS
    if days < 2 * search.slices:
        raise ConfigError(
            f"{search.slices} slices need {2 * search.slices} days, there are {days:.0f}: widen --timerange"
        )
    columns = frozenset.intersection(*(frozenset(bars.columns) for bars in market.values()))
    limits = Limits(search.max_size, min(_LOOKBACK, len(shortest) // 4))
    vocabulary = Vocabulary(grammar_for(columns), limits, search.genes)
    return Plan(
        vocabulary,
        search.seed,
        search.islands,
        search.population,
        search.generations,
        search.selection,
        search.crossover,
        search.mutation,
        search.fresh,
        search.migrate_every,
        search.migrants,
        search.tuned,
        classics=_classics(vocabulary) if search.classics else (),
    )


def _classics(vocabulary: Vocabulary) -> tuple[Program, ...]:
    return tuple(program for program in classics().values() if admits(vocabulary, program))


def trial_of(settings: Settings) -> Trial:
    """Return the terms on which programs are judged."""
    search = settings.search
    return Trial(Costs(**settings.costs.model_dump()), search.slices, search.min_trades, search.engine)


def require_unknowing(market: Mapping[str, Bars]) -> None:
    """Raise DataError where a user's column knows the next bar's return: nothing found with it would be true."""
    faults = [fault for bars in market.values() for fault in foreknowing_columns(bars)]
    if faults:
        raise DataError("; ".join(faults))


def charge(ledger: Ledger, run: str, ground: Ground) -> Head:
    """Record that a search begins, before it has appraised anything; return the head that names its row."""
    row = ledger.append(entry("search", f"{run}/search", run, ground.spans))
    return row.head


def made_of(settings: Settings, ground: Ground) -> dict[str, Any]:
    """Return what a run is made of, for run.json."""
    return {
        "science": settings.science,
        "dataset": ground.manifest.id,
        "venue": ground.manifest.venue,
        "interval": ground.manifest.interval,
        "symbols": list(ground.symbols),
        "start": ground.window.start,
        "end": ground.window.end,
        "locked_from": ground.window.locked_from,
        "unlocked": ground.window.unlocked,
        "code": code_version(),
    }


def require_same(files: RunFiles, resume: str, settings: Settings, ground: Ground) -> None:
    """Raise ConfigError unless the run named `resume` is the one that these settings make."""
    named = [run for run in files.lake.folders("runs") if run.startswith(resume)]
    if len(named) > 1:
        raise ConfigError(f"{resume!r} could be any of the runs {', '.join(named)}: give more of it")
    was = RunFiles(files.lake, named[0] if named else resume).made()
    if was["run"] == files.id:
        return
    now = made_of(settings, ground)
    changed = [
        f"{section}.{name} was {then!r} and is {now['science'][section].get(name)!r}"
        for section, fields in was["science"].items()
        for name, then in fields.items()
        if now["science"].get(section, {}).get(name) != then
    ]
    changed += [
        f"the {name} was {was[name]} and is {now[name]}" for name in ("dataset", "code") if was[name] != now[name]
    ]
    raise ConfigError(f"run {was['run']} cannot go on, since {'; '.join(changed)}: leave --resume out to start another")


def science_of(settings: Settings, resume: str) -> dict[str, dict[str, Any]]:
    """Return the settings that change results as the run named `resume` has them, to go on with it."""
    lake = open_lake(settings.store.path)
    named = [run for run in lake.folders("runs") if run.startswith(resume)]
    science: dict[str, dict[str, Any]] = RunFiles(lake, named[0] if len(named) == 1 else resume).made()["science"]
    return science
