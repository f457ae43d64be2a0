"""The catalog: a DuckDB index over the lake, made of nothing but the lake, so that deleting it loses nothing.

A database file is built beside the old one and takes its name when it is whole: readers see one state or the next, never
a half, and nobody waits for a lock. What was indexed once is not read again, since the lake's objects never change.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.dataset as ds

from quantga.errors import ConfigError, StoreError, Transient
from quantga.store.folder import FULL, Folder, disk_full
from quantga.store.lake import Lake
from quantga.store.manifest import heads, read_manifest

FILE = "catalog.duckdb"

type Connection = duckdb.DuckDBPyConnection


def query(lake: Lake, sql: str) -> pa.Table:
    """Return the result of a statement on an up-to-date catalog, which it cannot change.

    Raises:
        ConfigError: the statement is wrong; says why.
        StoreError: the catalog cannot be built.
    """
    refresh(lake)
    with snapshot(lake) as connection:
        try:
            result: Any = connection.sql(sql)  # None where a statement has no result
            return pa.table({}) if result is None else result.to_arrow_table()
        except duckdb.Error as error:
            raise ConfigError(f"the query failed: {_first_line(error)} (tables: {', '.join(_TABLES)})") from error


@contextmanager
def snapshot(lake: Lake) -> Iterator[Connection]:
    """Open the catalog as it is now, read-only; a later refresh does not change what is seen.

    The snapshot has a name of its own, since DuckDB shares one open database among all who open the same path.
    """
    with tempfile.TemporaryDirectory(prefix=".catalog-", dir=lake.local) as folder:
        own = Path(folder) / FILE
        try:
            own.hardlink_to(lake.local / FILE)
        except OSError:
            shutil.copyfile(lake.local / FILE, own)  # a file system without hard links
        try:
            connection = duckdb.connect(str(own), read_only=True)
        except duckdb.Error as error:
            what = f"{lake.local / FILE} does not open"
            raise StoreError(f"{what}: give `quantga catalog rebuild` ({_first_line(error)})") from error
        with connection:
            yield connection


def rebuild(lake: Lake) -> Path:
    """Build the catalog anew from the lake; return its path."""
    return _build(lake, anew=True)


def refresh(lake: Lake) -> Path:
    """Index what the lake has gained since the catalog was built; return its path."""
    return _build(lake, anew=False)


def _build(lake: Lake, *, anew: bool) -> Path:
    """Build the catalog on a copy of what is there; if that is damaged, from nothing."""
    Folder(lake.local).require_writable()
    final = lake.local / FILE
    failure: duckdb.Error | None = None
    with _only_writer(lake):
        for empty in (True,) if anew or not final.exists() else (False, True):
            with tempfile.TemporaryDirectory(prefix=".catalog-", dir=lake.local) as folder:
                draft = Path(folder) / FILE
                try:
                    if not empty:
                        shutil.copyfile(final, draft)
                    with duckdb.connect(str(draft)) as connection:
                        changed = _migrate(connection) + _index(connection, lake)
                except OSError as error:
                    if error.errno in FULL:
                        raise disk_full(final) from error
                    raise StoreError(f"{final} cannot be written: {error.strerror}") from error
                except duckdb.Error as error:
                    if "No space left" in str(error):
                        raise disk_full(final) from error
                    failure = error
                    continue
                if changed:
                    draft.replace(final)
                return final
    raise StoreError(f"the catalog of {lake.root} cannot be built: {_first_line(failure)}") from failure


@contextmanager
def _only_writer(lake: Lake) -> Iterator[None]:
    """Hold the one right to build; it ends with the process, however that ends."""
    with (lake.local / ".catalog.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise Transient(f"{lake.root}: no lock for the catalog ({os.strerror(error.errno or 0)})") from error
        yield


def _create_tables(connection: Connection) -> None:
    connection.execute(
        """
        CREATE TABLE datasets (
            dataset VARCHAR, venue VARCHAR, "interval" VARCHAR, symbol VARCHAR, base VARCHAR, "rows" BIGINT,
            first TIMESTAMP, "end" TIMESTAMP, locked_from TIMESTAMP, gaps BIGINT, missing BIGINT,
            funding_stamps BIGINT, newest BOOLEAN, PRIMARY KEY (dataset, symbol));
        CREATE TABLE runs (run VARCHAR PRIMARY KEY, settings VARCHAR, finished BOOLEAN);
        CREATE TABLE generations (run VARCHAR, generation INTEGER, state VARCHAR, PRIMARY KEY (run, generation));
        CREATE TABLE appraisals (
            run VARCHAR, generation INTEGER, island INTEGER, slot INTEGER, id VARCHAR, text VARCHAR, size INTEGER,
            score DOUBLE, alpha_sharpe DOUBLE, sharpe DOUBLE, total_return DOUBLE, max_drawdown DOUBLE, trades DOUBLE);
        CREATE TABLE fronts (
            run VARCHAR, id VARCHAR, text VARCHAR, size INTEGER,
            score DOUBLE, alpha_sharpe DOUBLE, sharpe DOUBLE, total_return DOUBLE, max_drawdown DOUBLE, trades DOUBLE);
        CREATE VIEW programs AS
            SELECT id, any_value(text) AS text, any_value(size) AS size, count(*) AS appraisals,
                   count(DISTINCT run) AS runs, min(run) AS first_run
            FROM appraisals GROUP BY id;
        """
    )


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create_tables,)
"""What makes an older catalog a newer one, in order; never changed, only added to."""

_TABLES = ("datasets", "runs", "generations", "appraisals", "fronts", "programs", "migrations")


def _migrate(connection: Connection) -> int:
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name VARCHAR)")
    done = {number for (number,) in connection.execute("SELECT number FROM migrations").fetchall()}
    if done and max(done) > len(MIGRATIONS):
        raise StoreError(
            "the catalog was written by a newer quantga: install that one, or give `quantga catalog rebuild`"
        )
    for number, migration in enumerate(MIGRATIONS, 1):
        if number not in done:
            migration(connection)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", [number, migration.__name__.strip("_")])
    return len(MIGRATIONS) - len(done)


def _index(connection: Connection, lake: Lake) -> int:
    changed = _index_datasets(connection, lake)
    for run in lake.folders("runs"):
        changed += _index_run(connection, lake, run)
    return changed


def _index_datasets(connection: Connection, lake: Lake) -> int:
    known = {name for (name,) in connection.execute("SELECT DISTINCT dataset FROM datasets").fetchall()}
    there = {path.rsplit("/", 1)[1].removesuffix(".json") for path in lake.paths("manifests")}
    for dataset in sorted(there - known):
        manifest = read_manifest(lake, dataset)
        for one in manifest.instruments:
            times = (one.first, one.end, one.locked_from)
            stamps = one.funding.stamps if one.funding else None
            connection.execute(
                "INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, epoch_ms(?), epoch_ms(?), epoch_ms(?), ?, ?, ?, false)",
                [
                    dataset,
                    manifest.venue,
                    manifest.interval,
                    one.symbol,
                    one.base,
                    one.rows,
                    *times,
                    one.gaps,
                    one.missing,
                    stamps,
                ],
            )
    newest = [manifest.id for manifest in heads(lake)]
    stands = {name for (name,) in connection.execute("SELECT DISTINCT dataset FROM datasets WHERE newest").fetchall()}
    if stands == set(newest):
        return len(there - known)
    connection.execute("UPDATE datasets SET newest = list_contains(?, dataset)", [newest])
    return 1


def _index_run(connection: Connection, lake: Lake, run: str) -> int:
    folder = f"runs/{run}"
    row = connection.execute("SELECT finished FROM runs WHERE run = ?", [run]).fetchone()
    if row is not None and row[0]:
        return 0
    if not lake.exists(f"{folder}/run.json"):
        return 0
    changed = 0
    if row is None:
        settings = lake.read(f"{folder}/run.json").decode()
        connection.execute("INSERT INTO runs VALUES (?, ?, false)", [run, settings])
        changed += 1
    changed += _index_generations(connection, lake, run)
    if lake.exists(f"{folder}/front.parquet"):
        _append(connection, "fronts", lake.read_table(f"{folder}/front.parquet"), {"run": run})
        connection.execute("UPDATE runs SET finished = true WHERE run = ?", [run])
        changed += 1
    return changed


def _index_generations(connection: Connection, lake: Lake, run: str) -> int:
    """Index the generations of a run that were committed since; return how many. Their rows are read as one Arrow dataset."""
    known = {n for (n,) in connection.execute("SELECT generation FROM generations WHERE run = ?", [run]).fetchall()}
    there = set(lake.paths(f"runs/{run}"))
    folders = {
        number: f"runs/{run}/{name}"
        for name in lake.folders(f"runs/{run}")
        if (number := _generation(name)) is not None
    }
    new = sorted(n for n, folder in folders.items() if n not in known and f"{folder}/state.json" in there)
    if not new:
        return 0
    appraised = [path for n in new if (path := f"{folders[n]}/appraisals.parquet") in there]
    if appraised:
        _append(connection, "appraisals", lake.scan(appraised), {"run": run})
    states = lake.read_all([f"{folders[n]}/state.json" for n in new])
    rows = [[run, n, state.decode()] for n, state in zip(new, states, strict=True)]
    connection.executemany("INSERT INTO generations VALUES (?, ?, ?)", rows)
    return len(new)


def _generation(folder: str) -> int | None:
    """Return the number in `gen=0012`; other folders of a run are not generations."""
    name, _, number = folder.partition("=")
    return int(number) if name == "gen" and number.isdigit() else None


def _append(connection: Connection, table: str, rows: pa.Table | ds.Dataset, given: Mapping[str, str]) -> None:
    """Append rows by column name, and `given` to each; columns that the table lacks are added, those that rows lack are NULL."""
    present = {name for (name, *_) in connection.execute(f"DESCRIBE {table}").fetchall()}
    connection.register("incoming", rows)
    known = {*given, *(["generation"] if "gen" in rows.schema.names else [])}
    chosen = [_column(name) for name in rows.schema.names if name not in known]
    chosen += [f"'{value}' AS {_quoted(name)}" for name, value in given.items()]
    incoming = f"SELECT {', '.join(chosen)} FROM incoming"
    for name, kind, *_ in connection.execute(f"DESCRIBE {incoming}").fetchall():
        if name not in present:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {_quoted(name)} {kind}")
    connection.execute(f"INSERT INTO {table} BY NAME {incoming}")
    connection.unregister("incoming")


def _column(name: str) -> str:
    """Return a column as the catalog calls it: a folder `gen=0012` is the generation 12."""
    return "gen AS generation" if name == "gen" else _quoted(name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception | None) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]


def to_records(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as plain values that JSON can hold: instants (UTC) as ISO texts, everything else as it is."""
    rows: list[dict[str, Any]] = orjson.loads(orjson.dumps(table.to_pylist(), default=str))
    return rows
