"""The venue's archive into the lake: contexts and books as columns of one's own, trades as bars.

It goes through the importer like any file, so that checks, locks and manifests hold for it too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from quantga.errors import ConfigError
from quantga.store.ingest.archive import Archive, Item, Listing, Wanted, fetch_all
from quantga.store.ingest.archive_read import Columns, bars_of, read_books, read_contexts
from quantga.store.ingest.importer import Imported, import_files
from quantga.store.ingest.labels import OHLCV, Told
from quantga.store.lake import Lake
from quantga.store.manifest import Manifest, head, heads
from quantga.store.series import read_series
from quantga.store.symbols import interval_ms


@dataclass(slots=True)
class Brought:
    """What came: rows by coin, the datasets that now stand, and what the user should know."""

    rows: dict[str, int] = field(default_factory=dict)
    datasets: tuple[Manifest, ...] = ()
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes: the venue's name in the store, and the interval of bars made of trades."""

    lake: Lake
    venue: str
    interval: str


def require_place(target: Target, wanted: Wanted) -> None:
    """Raise ConfigError, before anything is paid for, if what is wanted could not be stored."""
    target.lake.require_writable()
    if not wanted.coins:
        raise ConfigError("say which coins, as in --symbols BTC,ETH")
    if wanted.kind == "fills":
        interval_ms(target.interval)
        return
    have = {symbol for manifest in heads(target.lake) if manifest.venue == target.venue for symbol in manifest.symbols}
    homeless = [coin for coin in wanted.coins if coin not in have]
    if homeless:
        raise ConfigError(
            f"the store has no bars of {', '.join(homeless)} on {target.venue} that these columns could join: "
            "`quantga data pull` or `quantga data import` first"
        )


def bring(archive: Archive, listing: Listing, wanted: Wanted, target: Target, say: Callable[[str], None]) -> Brought:
    """Fetch what is listed and store it.

    Raises:
        BadBars: a file is corrupt; it is named, and nothing is stored.
        StoreError: something cannot be fetched; what was fetched is kept for the next time.
    """
    files = fetch_all(archive, listing, say)
    done = Brought()
    if listing.absent:
        shown = ", ".join(listing.absent[:5]) + (", …" if len(listing.absent) > 5 else "")
        done.notes.append(f"the archive lacks {len(listing.absent)} of the files that are wanted: {shown}")
    if wanted.kind == "fills":
        _bring_bars([(item.start, path) for item, path in files], wanted, target, done)
        return done
    columns = _columns(files, wanted)
    done.rows = {coin: int(found.available_at.size) for coin, found in columns.items()}
    with tempfile.TemporaryDirectory(prefix="quantga-archive-") as folder:
        paths = [_write_columns(Path(folder), coin, found) for coin, found in columns.items()]
        if paths:
            _note(done, import_files(target.lake, paths, Told(venue=target.venue)), folder)
    return done


def _columns(files: Sequence[tuple[Item, Path]], wanted: Wanted) -> dict[str, Columns]:
    parts: dict[str, list[Columns]] = {}
    for item, path in files:
        found: Mapping[str, Columns] = {item.coin: read_books(path)} if item.coin else read_contexts(path, wanted.coins)
        for coin, columns in found.items():
            parts.setdefault(coin, []).append(columns)
    return {coin: _joined(columns) for coin, columns in sorted(parts.items())}


def _joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several files, ascending, the last of those that were known at one time."""
    at = np.concatenate([part.available_at for part in parts])
    order = np.argsort(at, kind="stable")
    order = order[np.append(np.diff(at[order]) > 0, True)] if at.size else order
    names = list(parts[0].values)
    return Columns(at[order], {name: np.concatenate([part.values[name] for part in parts])[order] for name in names})


def _write_columns(folder: Path, coin: str, found: Columns) -> Path:
    path = folder / f"{coin}.parquet"
    pq.write_table(pa.table({"available_at": found.available_at, **found.values}), path)
    return path


def _bring_bars(files: Sequence[tuple[datetime, Path]], wanted: Wanted, target: Target, done: Brought) -> None:
    """Store bars made of trades, besides those that stand; say how well the two agree where they overlap."""
    step = interval_ms(target.interval)
    span = round(wanted.since.timestamp() * 1000), round(wanted.until.timestamp() * 1000) - step
    tapes = bars_of(files, wanted.coins, step)
    _, manifest = head(target.lake, target.venue, target.interval)
    with tempfile.TemporaryDirectory(prefix="quantga-archive-") as folder:
        paths = []
        for coin, tape in tapes.items():
            rows = {time: row for time, row in tape.rows().items() if span[0] <= time <= span[1]}
            fresh = _besides(rows, manifest, coin, target, done)
            done.rows[coin] = len(fresh)
            if fresh:
                paths.append(_write_bars(Path(folder), coin, target.interval, fresh))
        if paths:
            _note(done, import_files(target.lake, paths, Told(venue=target.venue, interval=target.interval)), folder)


def _besides(
    rows: dict[int, list[float]], manifest: Manifest | None, coin: str, target: Target, done: Brought
) -> dict[int, list[float]]:
    """Return the rows that the lake does not have yet."""
    entries = manifest.entries("bars", coin) if manifest is not None else []
    if not entries:
        return rows
    stored = read_series(target.lake, entries)
    both = [(at, rows[time]) for at, time in enumerate(stored.times.tolist()) if time in rows]
    equal = sum(
        all(stored.columns[name][at] == value for name, value in zip(OHLCV, row, strict=True)) for at, row in both
    )
    if both:
        done.notes.append(
            f"{coin}: of {len(both):,} bars that were stored before, {equal:,} are equal to those made of trades"
        )
    known = set(stored.times.tolist())
    return {time: row for time, row in rows.items() if time not in known}


def _write_bars(folder: Path, coin: str, interval: str, rows: dict[int, list[float]]) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.json"
    named = [
        dict(zip("ohlcv", row, strict=True)) | {"s": coin, "i": interval, "t": time}
        for time, row in sorted(rows.items())
    ]
    path.write_bytes(orjson.dumps(named))
    return path


def _note(done: Brought, imported: Imported, folder: str) -> None:
    done.datasets = imported.datasets
    done.notes += [note for note in imported.notes if folder not in note]
