"""From a dataset to Bars: which dataset has the symbols, which window may be read, and the bars with their features.

The lock is enforced here, at the only door between the lake and a search: locked bars are never read from disk into
arrays unless the caller says that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from quantga.errors import ConfigError, LockedBars, MissingBars
from quantga.lang.bars import KNOWN, Bars, Floats
from quantga.store.features import as_of, charged, hourly_rate, last_before
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake
from quantga.store.manifest import Instrument, Manifest, heads, read_manifest
from quantga.store.series import Series, read_series
from quantga.store.symbols import REFERENCE, interval_ms, venue_symbol


@dataclass(frozen=True, slots=True)
class Query:
    """Which bars are asked for: symbols (venue symbols or base assets; none: all), and where to look; empty: anywhere."""

    symbols: tuple[str, ...] = ()
    interval: str = ""
    venue: str = ""
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """What may be read: bars that open at or after `start` and close at or before `end` (ms UTC).

    `locked_from` is where the holdout begins; `unlocked` says that the window may reach into it; `note` is empty, or says
    that the window was cut at the lock.
    """

    start: int
    end: int
    locked_from: int
    unlocked: bool
    note: str


def find_dataset(lake: Lake, query: Query) -> Manifest:
    """Return the one dataset that has every symbol of `query`.

    Raises:
        MissingBars: no dataset has them; says what there is.
        ConfigError: several have them, or a base asset names several symbols; says how to choose.
    """
    if query.dataset:
        return read_manifest(lake, query.dataset)
    if query.interval:
        interval_ms(query.interval)
    standing = heads(lake)
    if not standing:
        raise MissingBars(
            f"the store {lake.root} holds no bars: give `quantga data import PATH` or `quantga data pull` first"
        )
    fitting = [one for one in standing if query.interval in ("", one.interval) and query.venue in ("", one.venue)]
    found = [one for one in fitting if all(_matches(one, symbol) for symbol in query.symbols)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise MissingBars(_nothing(fitting or standing, query, narrowed=bool(fitting)))
    choices = ", ".join(f"{one.venue} {one.interval}" for one in found)
    raise ConfigError(f"several datasets hold these symbols ({choices}): choose with --venue and --interval")


def select(manifest: Manifest, symbols: Sequence[str]) -> tuple[str, ...]:
    """Return the venue symbols that `symbols` name in a dataset, each once, in the order given; none names all.

    Raises:
        MissingBars: a symbol is not in the dataset.
        ConfigError: a base asset names several of its symbols.
    """
    found: dict[str, None] = {}
    for symbol in symbols or manifest.symbols:
        matches = _matches(manifest, symbol)
        if not matches:
            known = ", ".join(manifest.symbols)
            raise MissingBars(f"no bars of {symbol} in {manifest.venue} {manifest.interval}: it has {known}")
        if len(matches) > 1:
            raise ConfigError(f"{symbol} could be {' or '.join(matches)}: name the symbol")
        found.setdefault(matches[0])
    return tuple(found)


def dev_window(
    manifest: Manifest,
    symbols: Sequence[str],
    start: int | None = None,
    end: int | None = None,
    *,
    unlocked: bool = False,
) -> Window:
    """Return the part of [start, end) that a search on `symbols` may read; None leaves a side open.

    One lock holds for all: the earliest among the symbols and the reference asset that they are joined with; a reference
    whose lock would take more than half of what is open is not joined. A window
    that reaches into the holdout is cut at the lock, and says so.

    Raises:
        LockedBars: all of it is locked.
        MissingBars: the dataset has no bars in it.
    """
    parts = [manifest.instrument(symbol) for symbol in select(manifest, symbols)]
    first, last = min(part.first for part in parts), max(part.end for part in parts)
    lock = _lock(manifest, parts)
    begins, ends = max(first if start is None else start, first), min(last if end is None else end, last)
    if begins >= ends:
        raise MissingBars(
            f"no bars of {', '.join(part.symbol for part in parts)} in that timerange: {manifest.venue} "
            f"{manifest.interval} has {iso(first)} to {iso(last)} UTC"
        )
    if unlocked:
        return Window(begins, ends, lock, unlocked=True, note="")
    if lock <= first:
        raise LockedBars(
            f"all of {manifest.venue} {manifest.interval} is locked: another import of the same market, with a longer "
            f"history, locked it from {iso(lock)} UTC on. Search that one, or keep these bars in a store of their own "
            "(--store), or give --unlocked (such a run can never be promoted)"
        )
    if begins >= lock:
        raise LockedBars(_locked(begins, lock))
    note = f"bars from {iso(lock)} UTC on are the locked holdout and are not read" if ends > lock else ""
    return Window(begins, min(ends, lock), lock, unlocked=False, note=note)


def load(
    lake: Lake,
    manifest: Manifest,
    symbols: Sequence[str],
    start: int | None = None,
    end: int | None = None,
    *,
    unlocked: bool = False,
) -> Mapping[str, Bars]:
    """Return the bars that open at or after `start` and close at or before `end` (ms UTC), by venue symbol.

    None leaves a side open: an open end is the lock. Each market begins with its own first bar; absent bars are NaN. Besides
    OHLCV there are, where known, `funding`, `funding_rate`, `premium`, the user's `$columns`, and `ref_*` where the
    dataset has the reference asset.

    Raises:
        LockedBars: the window reaches into the locked holdout and `unlocked` is off.
        MissingBars: a symbol is unknown, or has fewer than two bars in the window.
        ManifestMismatch: a file is not what the manifest promises.
    """
    if end is not None and not unlocked:
        lock = _lock(manifest, [manifest.instrument(symbol) for symbol in select(manifest, symbols)])
        if end > lock:
            raise LockedBars(_locked(end, lock))
    window = dev_window(manifest, symbols, start, end, unlocked=unlocked)
    return _read(lake, manifest, select(manifest, symbols), window.start, window.end)


def load_holdout(lake: Lake, manifest: Manifest, symbols: Sequence[str], warmup: int = 0) -> Mapping[str, Bars]:
    """Return the locked bars, preceded by `warmup` bars of before the lock: for a validation, which answers once.

    Whoever calls this has to record the look.
    """
    chosen = select(manifest, symbols)
    parts = [manifest.instrument(symbol) for symbol in chosen]
    lock = _lock(manifest, parts)
    return _read(lake, manifest, chosen, lock - warmup * manifest.interval_ms, max(part.end for part in parts))


def _read(lake: Lake, manifest: Manifest, symbols: Sequence[str], start: int, end: int) -> dict[str, Bars]:
    found = {symbol: _market(lake, manifest, manifest.instrument(symbol), start, end) for symbol in symbols}
    reference = _reference(manifest, [manifest.instrument(symbol) for symbol in symbols])
    if reference is None:
        return found
    other = found.get(reference.symbol)
    if other is None:
        try:
            other = _market(lake, manifest, reference, start, end)
        except MissingBars:
            return found
    return {symbol: bars.with_reference(other) for symbol, bars in found.items()}


def _market(lake: Lake, manifest: Manifest, part: Instrument, start: int, end: int) -> Bars:
    step = manifest.interval_ms
    entries = [e for e in manifest.entries("bars", part.symbol) if e.last >= start and e.first + step <= end]
    series = read_series(lake, entries) if entries else Series(np.empty(0, np.int64), {})
    inside = (series.times >= start) & (series.times + step <= end)
    if inside.sum() < 2:
        raise MissingBars(
            f"{part.symbol} has {int(inside.sum())} bars between {iso(start)} and {iso(end)} UTC: it has {iso(part.first)} "
            f"to {iso(part.end)}, locked from {iso(part.locked_from)}"
        )
    columns = {name: values[inside] for name, values in series.columns.items()}
    bars = Bars.from_columns(series.times[inside], columns, interval=step, symbol=part.symbol, base=part.base)
    return bars.with_columns(_features(lake, manifest, part, bars))


def _features(lake: Lake, manifest: Manifest, part: Instrument, bars: Bars) -> dict[str, Floats]:
    closes = bars.time + bars.interval
    found = {}
    entries = [e for e in manifest.entries("funding", part.symbol) if e.first <= closes[-1]]
    if entries:
        funding = read_series(lake, entries)
        found["funding"] = charged(funding.times, funding.columns["funding_rate"], closes, bars.interval)
        rate = hourly_rate(funding.times, funding.columns["funding_rate"])
        found["funding_rate"] = last_before(funding.times, rate, closes)
        if "premium" in funding.columns:
            found["premium"] = last_before(funding.times, funding.columns["premium"], closes)
    for name in part.columns:
        series = read_series(lake, manifest.entries("features", part.symbol, name))
        found[name if name in KNOWN else f"${name}"] = as_of(series.times, series.columns["value"], closes)
    return found


def _reference(manifest: Manifest, parts: Sequence[Instrument]) -> Instrument | None:
    """Return the one reference asset of the dataset, unless its lock would take more than half of what is open."""
    found = [one for one in manifest.instruments if one.base == REFERENCE]
    first, lock = min(part.first for part in parts), min(part.locked_from for part in parts)
    return found[0] if len(found) == 1 and 2 * (found[0].locked_from - first) >= lock - first else None


def _lock(manifest: Manifest, parts: Sequence[Instrument]) -> int:
    reference = _reference(manifest, parts)
    return min(part.locked_from for part in [*parts, *([reference] if reference else [])])


def _matches(manifest: Manifest, symbol: str) -> list[str]:
    exact = venue_symbol(symbol, manifest.venue)
    if exact in manifest.symbols:
        return [exact]
    return [one.symbol for one in manifest.instruments if one.base == symbol.upper()]


def _nothing(there: Sequence[Manifest], query: Query, *, narrowed: bool) -> str:
    asked = " ".join([", ".join(query.symbols) or "bars", *filter(None, (query.venue, query.interval))])
    have = "; ".join(f"{one.venue} {one.interval}: {', '.join(one.symbols)}" for one in there)
    lost = [symbol for symbol in query.symbols if not any(_matches(one, symbol) for one in there)]
    if lost and narrowed:
        return f"no bars of {', '.join(lost)}: the store has {have}"
    return f"no dataset holds {asked}: the store has {have}"


def _locked(asked: int, lock: int) -> str:
    day = datetime.fromtimestamp(lock / 1000, UTC)
    return (
        f"{iso(asked)} UTC is in the locked holdout, which begins {iso(lock)} UTC: end the timerange at {day:%Y%m%d} or "
        "before, or give --unlocked (such a run can never be promoted)"
    )
