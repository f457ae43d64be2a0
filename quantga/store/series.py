"""Series in the lake: a key in milliseconds and columns of numbers, kept as one immutable file per month.

A month that grows or changes becomes a new file under a new name, so every dataset made before still reads its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from quantga.errors import BadBars
from quantga.store.ingest.times import iso
from quantga.store.lake import Lake, sha256, to_parquet
from quantga.store.manifest import FileEntry

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

_KEYS = {"bars": "time", "funding": "time", "features": "available_at"}


@dataclass(frozen=True, slots=True)
class Series:
    """Rows in ascending order of `times` (int64 milliseconds UTC); every column is float64 of that length."""

    times: Ints
    columns: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Place:
    """Which series of which venue: where its files lie."""

    kind: str
    venue: str
    interval: str
    symbol: str
    column: str

    def folder(self) -> str:
        """Return the folder of its files."""
        parts = [self.kind, f"venue={self.venue}"]
        parts += [f"interval={self.interval}"] if self.kind == "bars" else []
        parts += [f"symbol={quote(self.symbol, safe='')}"]
        parts += [f"column={self.column}"] if self.column else []
        return "/".join(parts)


def read_series(lake: Lake, entries: Sequence[FileEntry]) -> Series:
    """Return the rows of `entries`, which are of one series, earliest first; their bytes are checked.

    From a store far away they are fetched once per machine: the arrays are then views of a file that all processes share.
    """
    if lake.cache is None:
        table = _fetched(lake, entries)
    else:
        key = sha256("\n".join(entry.sha256 for entry in entries).encode())[:32]
        table = lake.cache.table(key, lambda: _fetched(lake, entries))
    times, *names = table.column_names
    return Series(
        np.asarray(table[times].to_numpy(), dtype=np.int64),
        {name: np.asarray(table[name].to_numpy(), dtype=np.float64) for name in names},
    )


def _fetched(lake: Lake, entries: Sequence[FileEntry]) -> pa.Table:
    """Return the rows of `entries` with plain numbers: the key as int64, every other column float64."""
    tables = lake.read_tables([(entry.path, entry.sha256) for entry in entries])
    table = pa.concat_tables(tables, promote_options="default").combine_chunks()
    names = table.column_names
    columns = [table[names[0]].cast(pa.int64()), *(table[name].cast(pa.float64()) for name in names[1:])]
    filled = [column.fill_null(float("nan")) if column.null_count else column for column in columns]
    return pa.table(dict(zip(names, filled, strict=True)))


def merge(old: Series, new: Series, keys: tuple[Ints, Ints], what: str, *, replace: bool) -> Series:
    """Return the rows of both; `keys` tell which rows are the same one.

    Raises:
        BadBars: a row of `new` differs from the same row of `old` and `replace` is off.
    """
    names = list(dict.fromkeys([*old.columns, *new.columns]))
    shared, in_old, in_new = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    for name in names if not replace else ():
        if name not in old.columns or name not in new.columns:
            continue
        before, after = old.columns[name][in_old], new.columns[name][in_new]
        differ = np.flatnonzero((before != after) & ~(np.isnan(before) & np.isnan(after)))
        if differ.size:
            row = int(differ[0])
            raise BadBars(
                f"{what} at {iso(int(shared[row]))}: {name} is {after[row]} but {before[row]} was imported before "
                f"({differ.size} such rows): --replace lets the new values stand"
            )
    fresh = np.ones(new.times.size, dtype=bool)
    stays = np.ones(old.times.size, dtype=bool)
    if replace or len(names) > len(old.columns):
        stays[in_old] = False
    else:
        fresh[in_new] = False
    times = np.concatenate([old.times[stays], new.times[fresh]])
    order = np.argsort(times, kind="stable")
    columns = {n: np.concatenate([_column(old, n)[stays], _column(new, n)[fresh]])[order] for n in names}
    return Series(times[order], columns)


def write_series(lake: Lake, place: Place, series: Series, before: Sequence[FileEntry]) -> list[FileEntry]:
    """Write the months of `series` that `before` does not hold already; return the files it now consists of."""
    known = {entry.sha256: entry for entry in before}
    month = series.times.astype("datetime64[ms]").astype("datetime64[M]")
    entries, fresh = [], []
    for name in np.unique(month):
        rows = month == name
        part = Series(series.times[rows], {column: values[rows] for column, values in series.columns.items()})
        data = to_parquet(_table(part, _KEYS[place.kind]))
        digest = sha256(data)
        if digest in known:
            entries.append(known[digest])
            continue
        path = f"{place.folder()}/{name}-{digest[:12]}.parquet"
        fresh.append((path, data))
        entries.append(
            FileEntry(
                kind=place.kind,
                symbol=place.symbol,
                column=place.column,
                path=path,
                sha256=digest,
                rows=int(part.times.size),
                first=int(part.times[0]),
                last=int(part.times[-1]),
            )
        )
    lake.put_all(fresh)
    return entries


def _column(series: Series, name: str) -> Floats:
    return series.columns.get(name, np.full(series.times.size, np.nan))


def _table(series: Series, key: str) -> pa.Table:
    instants = pa.array(series.times, pa.timestamp("ms", tz="UTC"))
    return pa.table({key: instants, **{name: pa.array(values) for name, values in series.columns.items()}})
