"""The case that a validation judges: one finished run, held against the ledger, its files, its bars and its holdout's past.

Everything that speaks against a validation is found here, before a surrogate is searched and before a locked bar is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from quantga.cluster.evolution import MOST_CHAMPIONS
from quantga.cluster.ground import Ground, trial_of
from quantga.cluster.record import RunFiles, code_version, digest_of, run_id, run_named
from quantga.engine.costs import Costs
from quantga.errors import ConfigError, ManifestMismatch
from quantga.lang.bars import DAY_MS, Bars
from quantga.settings import Settings, parse_timerange
from quantga.store.lake import Lake, open_lake
from quantga.store.manifest import Manifest, head, read_manifest
from quantga.store.market import Query, dev_window, find_dataset, load
from quantga.store.trials import History, Ledger, Row, permitted, spans_of, verify
from quantga.trust.holdout import Permission, Span, Split, embargo, split
from quantga.trust.mining import MOST, Stop
from quantga.trust.pipeline import Found, Rules, found_of
from quantga.trust.promote import Gate
from quantga.trust.shortlist import shortlist
from quantga.trust.surrogates import SURROGATES

FEWEST_NULLS = 19


@dataclass(frozen=True, slots=True)
class Terms:
    """What a validation is asked for beyond its run; all of it is kept with the answer.

    alpha: level of a first look. second_look: spend more of a holdout that was opened. confirm_on: another venue on which
    what is promoted has to hold too. embargo_days: longer than the shortlist needs. surrogate: "sign" or "order".
    nulls: surrogate searches at the most. fresh: judge by what came after the bars that anybody has seen.
    """

    alpha: float = 0.05
    second_look: bool = False
    confirm_on: str = ""
    embargo_days: float | None = None
    surrogate: str = "sign"
    nulls: int = MOST
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.nulls < FEWEST_NULLS or not 0 < self.alpha < 0.5:
            raise ConfigError(
                f"{self.nulls} surrogate searches at a level of {self.alpha:g}: give at least {FEWEST_NULLS}, since p can "
                "not fall below one in their number, and a level within (0, 0.5)"
            )
        if self.surrogate not in SURROGATES:
            raise ConfigError(f"{self.surrogate!r} is no surrogate market: there are {', '.join(SURROGATES)}")


@dataclass(frozen=True)
class Case:
    """One run to be judged. settings: its own science, and this machine. permission: that its holdout may be opened."""

    settings: Settings
    terms: Terms
    files: RunFiles
    ground: Ground
    ledger: Ledger

    @property
    def run(self) -> str:
        """The run's id."""
        return self.files.id

    @property
    def lake(self) -> Lake:
        """The lake that holds it."""
        return self.ground.lake

    @property
    def costs(self) -> Costs:
        """What trading costs in it."""
        return trial_of(self.settings).costs

    @cached_property
    def market(self) -> Mapping[str, Bars]:
        """The bars that it searched."""
        return self.ground.market(self.run)

    @cached_property
    def found(self) -> Found:
        """Its champions, with their records over the bars searched."""
        scored = [(one.program, float(one.figures["score"] or 0.0)) for one in self.files.champions()[:MOST_CHAMPIONS]]
        return found_of(scored, self.market, self.costs, (self.ground.window.start, self.ground.window.end))

    @cached_property
    def shortlist(self) -> tuple[int, ...]:
        """Places of the programs that are judged, the best score first."""
        return tuple(shortlist(self.found.scores, self.found.returns)) if self.found.programs else ()

    @cached_property
    def split(self) -> Split:
        """Dev | embargo | holdout, by what the shortlist remembers and how long it holds. Raises as `holdout.split`."""
        programs = [self.found.programs[k] for k in self.shortlist]
        manifest, window = self.ground.manifest, self.ground.window
        holds = [program.genes.max_hold for program in programs]
        longest = max(holds, default=0) if all(holds) else 0
        lookback = max((program.lookback for program in programs), default=0)
        needed = embargo(lookback, longest, manifest.interval_ms)
        given = None if self.terms.embargo_days is None else round(self.terms.embargo_days * DAY_MS)
        closes = max(manifest.instrument(symbol).end for symbol in self.ground.symbols)
        opens = max(window.locked_from, self._seen_until()) if self.terms.fresh else window.locked_from
        return split((window.start, window.end), (opens, closes), needed, given)

    def _seen_until(self) -> int:
        """Return until when (ms UTC) others have read or opened the locked bars; 0 where nobody has."""
        manifest = self.ground.manifest
        parts = [manifest.instrument(symbol) for symbol in self.ground.symbols]
        locked = [Span(part.base, manifest.interval, self.ground.window.locked_from, part.end) for part in parts]
        rows = [row for row in self._rows_before() if row.entry.run != self.run]
        seen = [span for row in rows for span in spans_of(row.entry)]
        return max((one.end for one in seen if any(one.overlaps(other) for other in locked)), default=0)

    def _rows_before(self) -> Sequence[Row]:
        """Return the ledger until this run's look, if there was one, so that to go on changes nothing."""
        rows = self.ledger.rows()
        looked = next((row.number for row in rows if row.entry.key == f"{self.run}/look"), None)
        return rows[:looked]

    @property
    def spans(self) -> tuple[Span, ...]:
        """What a look here opens: the holdout, and the other venue's bars where there is one to confirm on."""
        manifest = self.ground.manifest
        parts = [manifest.instrument(symbol) for symbol in self.ground.symbols]
        own = [
            Span(part.base, manifest.interval, self.split.opens, part.end)
            for part in parts
            if part.end > self.split.opens
        ]
        return (*own, *(self.elsewhere.spans if self.elsewhere else ()))

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """The other venue's bars after what was searched; None where nothing is to be confirmed."""
        return elsewhere(self) if self.terms.confirm_on else None

    @property
    def permission(self) -> Permission:
        """The permission to look that the ledger grants now. LockedBars where it grants none."""
        return permitted(self.ledger.rows(), self.spans, self.run, self.terms.alpha, second_look=self.terms.second_look)

    @property
    def rules(self) -> Rules:
        """By what the search is judged: other searches of these bars are charged."""
        days = self.split.closes // DAY_MS - -(-self.split.opens // DAY_MS)
        gate = Gate(self.terms.alpha)
        return Rules(
            gate,
            Stop(most=self.terms.nulls),
            searches=1 + self.history.searches,
            holdout_days=days,
            seed=self.settings.search.seed,
        )

    @property
    def history(self) -> History:
        """What others tried on these bars before."""
        return self.ledger.history(self.ground.spans, self.run, len(self._rows_before()))

    @property
    def chances(self) -> tuple[int, float]:
        """Looks that this store made before, wherever, and how many false promotions luck grants them: the sum of their levels."""
        levels = [
            one.entry.level for one in self._rows_before() if one.entry.kind == "look" and one.entry.run != self.run
        ]
        return len(levels), math.fsum(levels)


@dataclass(frozen=True)
class Elsewhere:
    """Bars of the same base assets on another venue, of which [start, end) (ms) come after what was searched."""

    manifest: Manifest
    symbols: tuple[str, ...]
    start: int
    end: int

    @property
    def spans(self) -> tuple[Span, ...]:
        """What reading them opens."""
        parts = [self.manifest.instrument(symbol) for symbol in self.symbols]
        return tuple(Span(part.base, self.manifest.interval, self.start, part.end) for part in parts)


def elsewhere(case: Case) -> Elsewhere:
    """Return the bars on which a case is to be confirmed. MissingBars or ConfigError where there are none to speak of."""
    ground, venue = case.ground, case.terms.confirm_on
    if venue == ground.manifest.venue:
        raise ConfigError(f"the run was evolved on {venue} itself: confirm on another venue, or leave --confirm-on out")
    bases = tuple(ground.manifest.instrument(symbol).base for symbol in ground.symbols)
    other = find_dataset(case.lake, Query(bases, ground.manifest.interval, venue))
    symbols = tuple(next(one.symbol for one in other.instruments if one.base == base) for base in bases)
    parts = [other.instrument(symbol) for symbol in symbols]
    start = max(case.split.opens, min(part.first for part in parts))
    end = max(part.end for part in parts)
    if any(part.end - start < 30 * DAY_MS for part in parts):
        raise ConfigError(
            f"{venue} {other.interval} has less than 30 days of {', '.join(symbols)} after what was searched: import newer "
            "bars of it, or leave --confirm-on out"
        )
    return Elsewhere(other, symbols, start, end)


def open_case(settings: Settings, run: str, terms: Terms) -> Case:
    """Return the case of a run, or say why it cannot be judged.

    Args:
        settings: store and cluster; everything else is taken from the run.
        run: its id, the beginning of it, or "last".
        terms: see `Terms`.

    Raises:
        ManifestMismatch: the ledger's chain is broken, or the run's files or bars are not what they were.
        ConfigError: no such run, or one that is unfinished, unlocked, unrecorded, or of other code or settings.
    """
    lake = open_lake(settings.store.path)
    _require_ledger(lake)
    ledger = Ledger(lake)
    files = RunFiles(lake, run_named(lake, run, ledger))
    made = files.made()
    _require_finished(files)
    if made["unlocked"]:
        raise ConfigError(
            f"run {files.id} read the locked holdout (--unlocked), and so nothing is left to judge it by: evolve again without"
        )
    own = _own_settings(settings, files, made)
    manifest = read_manifest(lake, made["dataset"])
    start, end = parse_timerange(own.data.timerange)
    window = dev_window(manifest, own.data.symbols, start, end)
    if (window.start, window.end, window.locked_from) != (made["start"], made["end"], made["locked_from"]):
        raise ManifestMismatch(
            f"run {files.id} says that it searched other bars than its dataset gives: its run.json was changed"
        )
    case = Case(own, terms, files, Ground(lake, manifest, tuple(made["symbols"]), window), ledger)
    _require_recorded(case)
    _require_standing(case)
    return case


def _require_ledger(lake: Lake) -> None:
    faults = verify(lake)
    if faults:
        raise ManifestMismatch(f"the ledger of trials cannot be trusted, and without it no p-value: {faults[0]}")


def _require_finished(files: RunFiles) -> None:
    if not files.finished:
        raise ConfigError(f"run {files.id} is not finished: `quantga evolve --resume {files.id}` goes on with it")
    last = files.lake.read_json(f"{files.folder}/gen={files.committed() - 1:04d}/state.json")
    if not isinstance(last, dict) or last.get("digest") != digest_of(files.champions()):
        raise ManifestMismatch(
            f"the champions of run {files.id} are not those that its search ended with: its files were changed"
        )


def _own_settings(settings: Settings, files: RunFiles, made: Mapping[str, Any]) -> Settings:
    if made["code"] != code_version():
        raise ConfigError(
            f"run {files.id} was made by the code {made['code']}, and this is {code_version()}: other code is another search; "
            "evolve again, or validate with the version that made it"
        )
    machine = settings.model_dump(include={"cluster", "store"})
    own = Settings.load({**made["science"], **machine})
    if run_id(own.science_hash, made["dataset"]) != files.id:
        raise ConfigError(
            f"run {files.id} is not the run of the settings and the dataset that its run.json names: they were changed after it was "
            "made; evolve again"
        )
    return own


def _require_recorded(case: Case) -> None:
    """Require that the ledger counts every program that the run appraised."""
    own = next((one for one in case.ledger.searches() if one.run == case.run), None)
    counted = case.files.trials(case.files.committed())
    if own is None or own.trials != counted:
        raise ConfigError(
            f"run {case.run} appraised {counted:,} programs, and the ledger counts {own.trials if own else 0:,} of them: it was made "
            "elsewhere or before there was a ledger; evolve again in this store"
        )


def _require_standing(case: Case) -> None:
    """Require that no later import has replaced bars that the run searched."""
    manifest, window = case.ground.manifest, case.ground.window
    _, newest = head(case.lake, manifest.venue, manifest.interval)
    if newest is None or newest.id == manifest.id or not set(case.ground.symbols) <= set(newest.symbols):
        return
    now = load(case.lake, newest, case.ground.symbols, window.start, window.end, unlocked=True)
    for symbol, bars in case.market.items():
        if not all(
            np.array_equal(now[symbol][name], bars[name], equal_nan=True) for name in ("open", "high", "low", "close")
        ):
            raise ManifestMismatch(
                f"bars of {symbol} that run {case.run} searched were replaced by a later import: evolve again on the new ones"
            )
