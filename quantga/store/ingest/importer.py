"""`import_files`: read, label, check, merge with what the lake has, write month files, commit one head per dataset.

Every file is read and checked before the first byte is written, and the head is written last: whatever fails or is
killed on the way, the lake shows the datasets of before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from quantga.errors import BadBars, ConfigError, Conflict, Transient
from quantga.store.ingest.checks import check, minute, trimmed
from quantga.store.ingest.labels import Kind, Piece, Told, label
from quantga.store.ingest.readers import data_files, read_tables
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake
from quantga.store.lock import kept_lock, lock_start, same_market
from quantga.store.manifest import FileEntry, Funding, Gap, Instrument, Manifest, commit, head, heads
from quantga.store.series import Place, Series, merge, read_series, write_series
from quantga.store.symbols import interval_ms, name_of

_ATTEMPTS = 5
_LONGEST = 10
_SLACK = 8 * 3_600_000  # the longest usual time between two fundings

type Key = tuple[Kind, str, str]
"""Kind, symbol and user's column: which series of a venue and interval."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """One dataset to be: the head that it follows, the files that stand, the series that change."""

    venue: str
    interval: str
    number: int
    before: Manifest | None
    standing: dict[Key, list[FileEntry]]
    merged: dict[Key, Series]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the datasets that now stand, and what the user should know."""

    datasets: tuple[Manifest, ...]
    files: int
    rows: int
    notes: tuple[str, ...]


def import_files(lake: Lake, paths: Sequence[Path], told: Told, *, overwrite: bool = False) -> Imported:
    """Bring files into the lake; return the datasets that they became part of.

    Funding and user's columns join the bars of their venue: those imported with them, else every dataset of the venue.

    Raises:
        BadBars: a file is wrong, or differs from what was imported before and `overwrite` is off; nothing is written.
        ConfigError: a path does not exist, the interval cannot be told, or there are no bars that a funding belongs to.
    """
    lake.require_writable()
    files = [file for file in data_files(list(paths)) if lake.root not in file.resolve().parents]
    pieces, notes = _checked(files, told)
    joined = _joined(pieces, overwrite=overwrite)
    targets = _targets(lake, joined)
    notes += _homeless(lake, joined)
    plans = [_plan(lake, venue, interval, joined, overwrite=overwrite) for venue, interval in targets]
    manifests = []
    for plan in plans:
        manifests.append(_settle(lake, plan, joined, overwrite=overwrite))
        notes += funding_notes(manifests[-1]) + lock_notes(manifests[-1])
    rows = sum(piece.times.size for piece in joined)
    return Imported(tuple(manifests), len(files), rows, tuple(dict.fromkeys(notes)))


def funding_notes(manifest: Manifest) -> list[str]:
    """Return what is not known of a dataset's funding costs, a sentence per case."""
    bare = [one.symbol for one in manifest.instruments if one.funding is None]
    notes = []
    if bare:
        notes.append(
            f"{manifest.venue} {manifest.interval}: no funding was imported for {', '.join(bare)}: the cost of holding is "
            "unknown and not charged (import the funding history beside the bars)"
        )
    late = [
        f"{one.symbol} from {iso(one.funding.first)}"
        for one in manifest.instruments
        if one.funding is not None and one.funding.first > one.first + _SLACK
    ]
    if late:
        notes.append(
            f"{manifest.venue} {manifest.interval}: funding is known later than the bars begin, 0 is charged before: "
            + ", ".join(late)
        )
    return notes


def lock_notes(manifest: Manifest) -> list[str]:
    """Return which instruments are locked earlier than their own span asks, because their market was locked before."""
    earlier = [
        f"{one.symbol} from {iso(one.locked_from)}"
        for one in manifest.instruments
        if one.locked_from < lock_start(one.first, one.end, manifest.interval_ms)
    ]
    if not earlier:
        return []
    return [
        f"{manifest.venue} {manifest.interval}: an earlier import of the same market keeps its lock: {', '.join(earlier)}"
    ]


def _checked(files: Sequence[Path], told: Told) -> tuple[list[Piece], list[str]]:
    pieces: list[Piece] = []
    notes: list[str] = []
    for file in files:
        for table in read_tables(file):
            found, said = label(table, told)
            notes += said
            for piece in found:
                check(piece)
                whole, cut = trimmed(piece, time.time_ns() // 1_000_000)
                notes += cut
                pieces.append(whole)
    if not pieces:
        raise BadBars(f"nothing to import: {'; '.join(notes) or 'the files hold no bars'}")
    if told.symbol:
        symbols = sorted({piece.symbol for piece in pieces})
        if len(symbols) > 1:
            raise ConfigError(f"--symbol names one instrument, the files hold {', '.join(symbols)}: import them apart")
        pieces = [replace(piece, symbol=told.symbol) for piece in pieces]
    if any(piece.venue == "local" for piece in pieces) and not told.venue:
        notes.append("the venue is not named by any folder: filed under 'local' (name it with --venue)")
    return pieces, notes


def _joined(pieces: Sequence[Piece], *, overwrite: bool) -> list[Piece]:
    """Return one piece per series: several files of one symbol (a file per month) become one."""
    groups: dict[tuple[str, str, str, str, str], Piece] = {}
    for piece in pieces:
        key = (piece.kind, piece.venue, piece.symbol, piece.interval, piece.name)
        first = groups.get(key)
        if first is None:
            groups[key] = piece
            continue
        both = _merged(Series(first.times, first.columns), piece, f"{piece.file}: {piece.symbol}", overwrite=overwrite)
        groups[key] = replace(first, times=both.times, columns=both.columns)
    return [groups[key] for key in sorted(groups)]


def _merged(old: Series, piece: Piece, what: str, *, overwrite: bool) -> Series:
    new = Series(piece.times, piece.columns)
    keys = (minute(old.times), minute(new.times)) if piece.kind == "funding" else (old.times, new.times)
    return merge(old, new, keys, what, replace=overwrite)


def _targets(lake: Lake, pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Return the venues and intervals whose datasets the pieces extend."""
    targets = {(piece.venue, piece.interval) for piece in pieces if piece.kind == "bars"}
    there = [(manifest.venue, manifest.interval) for manifest in heads(lake)]
    for piece in pieces:
        if piece.kind == "bars" or any(venue == piece.venue for venue, _ in targets):
            continue
        known = [target for target in there if target[0] == piece.venue]
        if not known:
            raise ConfigError(
                f"{piece.file}: there are no bars of venue {piece.venue!r} yet that this {_what(piece)} belongs to: "
                "import the bars first or with it, or name the venue with --venue"
            )
        targets.update(known)
    return sorted(targets)


def _homeless(lake: Lake, pieces: Sequence[Piece]) -> list[str]:
    """Return a note on funding of symbols without bars; refuse a user's column of such a symbol."""
    owners = {(piece.venue, piece.symbol) for piece in pieces if piece.kind == "bars"}
    owners |= {(manifest.venue, symbol) for manifest in heads(lake) for symbol in manifest.symbols}
    lost = [piece for piece in pieces if (piece.venue, piece.symbol) not in owners]
    column = next((piece for piece in lost if piece.kind == "features"), None)
    if column is not None:
        raise ConfigError(
            f"{column.file}: there are no bars of {column.symbol!r} on {column.venue} that the column {column.name!r} "
            "belongs to: name the file after its symbol, or give --symbol"
        )
    symbols = sorted({piece.symbol for piece in lost})
    return [f"left out the funding of {', '.join(symbols)}: there are no bars of that name"] if symbols else []


def _what(piece: Piece) -> str:
    return "funding" if piece.kind == "funding" else f"column {piece.name!r}"


def _plan(lake: Lake, venue: str, interval: str, pieces: Sequence[Piece], *, overwrite: bool) -> _Plan:
    """Merge the pieces of one dataset with what stands, in memory."""
    number, before = head(lake, venue, interval)
    standing = _standing_files(heads(lake), before, venue)
    merged: dict[Key, Series] = {}
    for piece in _fitting(pieces, venue, interval, standing):
        key: Key = (piece.kind, piece.symbol, piece.name)
        merged[key] = Series(piece.times, piece.columns)
        if key in standing:
            what = f"{venue} {interval} {piece.symbol}: the {piece.kind} of {piece.file}"
            merged[key] = _merged(read_series(lake, standing[key]), piece, what, overwrite=overwrite)
    return _Plan(venue, interval, number, before, standing, merged)


def _settle(lake: Lake, plan: _Plan, pieces: Sequence[Piece], *, overwrite: bool) -> Manifest:
    """Write and commit one dataset; plan again when another import was faster."""
    for _ in range(_ATTEMPTS):
        manifest = _written(lake, plan)
        if plan.before is not None and manifest.id == plan.before.id:
            return plan.before
        try:
            commit(lake, manifest, plan.number + 1)
        except Conflict:
            plan = _plan(lake, plan.venue, plan.interval, pieces, overwrite=overwrite)
            continue
        return manifest
    what = f"{plan.venue} {plan.interval}"
    raise Transient(f"other imports into {what} kept winning: give the command again when they have ended")


def _written(lake: Lake, plan: _Plan) -> Manifest:
    series = dict(plan.standing)
    for key, merged in plan.merged.items():
        kind, symbol, column = key
        place = Place(kind, plan.venue, plan.interval, symbol, column)
        series[key] = write_series(lake, place, merged, plan.standing.get(key, []))
    symbols = sorted(symbol for kind, symbol, _ in series if kind == "bars")
    series = {key: entries for key, entries in series.items() if key[1] in symbols}
    standing = heads(lake)
    return Manifest(
        venue=plan.venue,
        interval=plan.interval,
        interval_ms=interval_ms(plan.interval),
        instruments=tuple(_instrument(symbol, plan, series, standing) for symbol in symbols),
        files=tuple(entry for key in sorted(series) for entry in series[key]),
    )


def _standing_files(standing: Sequence[Manifest], before: Manifest | None, venue: str) -> dict[Key, list[FileEntry]]:
    """Return the files of the dataset of before, with what is known most of the venue's funding and columns."""
    series: dict[Key, list[FileEntry]] = {}
    for manifest in [*([before] if before else []), *(one for one in standing if one.venue == venue and one != before)]:
        groups: dict[Key, list[FileEntry]] = {}
        for entry in manifest.files:
            if manifest is before or entry.kind != "bars":
                groups.setdefault((entry.kind, entry.symbol, entry.column), []).append(entry)
        for key, entries in groups.items():
            if _rows(entries) > _rows(series.get(key, [])):
                series[key] = entries
    return series


def _rows(entries: Sequence[FileEntry]) -> int:
    return sum(entry.rows for entry in entries)


def _fitting(pieces: Sequence[Piece], venue: str, interval: str, series: dict[Key, list[FileEntry]]) -> list[Piece]:
    """Return the pieces of this dataset: its bars, then funding and columns of the symbols that have bars in it."""
    bars = [piece for piece in pieces if piece.kind == "bars" and (piece.venue, piece.interval) == (venue, interval)]
    symbols = {piece.symbol for piece in bars} | {symbol for kind, symbol, _ in series if kind == "bars"}
    rest = [piece for piece in pieces if piece.kind != "bars" and piece.venue == venue]
    return bars + [piece for piece in rest if piece.symbol in symbols]


def _instrument(
    symbol: str, plan: _Plan, series: dict[Key, list[FileEntry]], standing: Sequence[Manifest]
) -> Instrument:
    funding = series.get(("funding", symbol, ""), [])
    columns = tuple(sorted(column for kind, owner, column in series if kind == "features" and owner == symbol))
    known = None
    if funding:
        known = Funding(stamps=_rows(funding), first=min(e.first for e in funding), last=max(e.last for e in funding))
    bars = plan.merged.get(("bars", symbol, ""))
    if bars is None:
        assert plan.before is not None
        return plan.before.instrument(symbol).model_copy(update={"funding": known, "columns": columns})
    name, step, opens = name_of(symbol), interval_ms(plan.interval), bars.times
    first, end = int(opens[0]), int(opens[-1]) + step
    absent = np.diff(opens) // step - 1
    at = np.flatnonzero(absent)
    order = at[np.argsort(-absent[at], kind="stable")][:_LONGEST]
    own = lock_start(first, end, step)
    return Instrument(
        symbol=symbol,
        base=name.base,
        unit=name.unit,
        rows=int(opens.size),
        first=first,
        end=end,
        locked_from=kept_lock(own, first, end, same_market(standing, plan.venue, name.base, plan.interval)),
        gaps=int(at.size),
        missing=int(absent.sum()),
        longest=tuple(Gap(first=int(opens[i]) + step, bars=int(absent[i])) for i in order),
        funding=known,
        columns=columns,
    )
