"""`quantga data`: bring bars into the store, list them, check them.

Messages go to standard error and results to standard output, so that the last line is one JSON object under `--json`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import IntervalOption, JsonOption, StoreOption, VenueOption, give_json, give_table, say
from quantga.cli.pull import archive, pull
from quantga.settings import Settings

if TYPE_CHECKING:
    from quantga.store.condition import Condition
    from quantga.store.lake import Lake
    from quantga.store.manifest import Manifest

data_app = typer.Typer(no_args_is_help=True, help="Bring bars into the store, list them, check them.")
data_app.command("pull")(pull)
data_app.command("archive")(archive)


@data_app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or folders that are read whole.")],
    store: StoreOption = None,
    venue: VenueOption = None,
    interval: IntervalOption = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="Symbol of the one instrument. Default: a file's stem.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let differing values win over those stored.")] = False,
    json: JsonOption = False,
) -> None:
    """Import bars, funding and own columns from CSV, Parquet, Feather or the venue's JSON.

    Every file is checked before anything is written. The last 40 % of each span (at least a year of more than two) is
    locked as the holdout.
    """
    from quantga.store.ingest.importer import import_files
    from quantga.store.ingest.labels import Told
    from quantga.store.symbols import interval_ms, require_venue

    if venue:
        require_venue(venue)
    if interval:
        interval_ms(interval)
    lake = _lake(store)
    done = import_files(lake, paths, Told(venue or "", interval or "", symbol or ""), overwrite=replace)
    for note in done.notes:
        say(f"note: {note}")
    if json:
        give_json(
            {
                "datasets": [_dataset(manifest) for manifest in done.datasets],
                "dataset": done.datasets[0].id if len(done.datasets) == 1 else None,
                "files": done.files,
                "rows": done.rows,
                "notes": list(done.notes),
                "store": str(lake.root),
            }
        )
        return
    for manifest in done.datasets:
        _show(manifest)


@data_app.command("list")
def list_(store: StoreOption = None, json: JsonOption = False) -> None:
    """List the datasets of the store: the newest of each venue and interval."""
    from quantga.store.manifest import heads

    lake = _lake(store)
    standing = heads(lake)
    if json:
        give_json({"datasets": [_dataset(manifest) for manifest in standing], "store": str(lake.root)})
        return
    if not standing:
        say(f"the store {lake.root} holds no bars: give `quantga data import PATH` or `quantga data pull` first")
    for manifest in standing:
        _show(manifest)


@data_app.command("check")
def check(
    store: StoreOption = None,
    venue: VenueOption = None,
    interval: IntervalOption = None,
    json: JsonOption = False,
) -> None:
    """Count bars, gaps, duplicates, OHLC violations and zero volumes anew; exit 1 if a bar is wrong."""
    from quantga.errors import MissingBars
    from quantga.store.condition import conditions
    from quantga.store.manifest import heads

    lake = _lake(store)
    chosen = [one for one in heads(lake) if (venue or one.venue, interval or one.interval) == (one.venue, one.interval)]
    if not chosen:
        what = " ".join(filter(None, (venue, interval))) or "bars"
        raise MissingBars(f"the store {lake.root} holds no {what}: `quantga data list` shows what there is")
    found = [condition for manifest in chosen for condition in conditions(lake, manifest)]
    if json:
        give_json({"symbols": [_condition(one) for one in found], "sound": all(one.sound for one in found)})
    else:
        _show_conditions(found)
    if not all(one.sound for one in found):
        raise typer.Exit(1)


def _lake(store: str | None) -> Lake:
    from quantga.store.lake import open_lake

    return open_lake(Settings.load({"store": {"path": store}}).store.path)


def _dataset(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "venue": manifest.venue,
        "interval": manifest.interval,
        "symbols": [_instrument(manifest, symbol) for symbol in manifest.symbols],
    }


def _instrument(manifest: Manifest, symbol: str) -> dict[str, Any]:
    part = manifest.instrument(symbol)
    return {
        "symbol": part.symbol,
        "base": part.base,
        "rows": part.rows,
        "first": _iso(part.first),
        "end": _iso(part.end),
        "locked_from": _iso(part.locked_from),
        "gaps": part.gaps,
        "missing": part.missing,
        "funding_stamps": part.funding.stamps if part.funding else None,
        "columns": list(part.columns),
    }


def _condition(one: Condition) -> dict[str, Any]:
    names = ("venue", "interval", "symbol", "base", "rows", "gaps", "missing", "longest", "duplicates", "violations")
    counts = {name: getattr(one, name) for name in (*names, "zero_volume", "stamps", "sound")}
    return counts | {name: _iso(getattr(one, name)) for name in ("first", "end", "locked_from")}


def _show(manifest: Manifest) -> None:
    """One dataset as a table that fits into 80 columns."""
    own = any(part.columns for part in manifest.instruments)
    rows = [
        (
            part.symbol,
            part.base,
            f"{part.rows:,}",
            *(_iso(instant)[:10] for instant in (part.first, part.end)),
            f"{part.missing:,}",
            f"{part.funding.stamps:,}" if part.funding else "unknown",
            _iso(part.locked_from)[:10],
            *([" ".join(f"${name}" for name in part.columns)] if own else []),
        )
        for part in manifest.instruments
    ]
    header = ("symbol", "base", "bars", "from", "to", "missing", "fundings", "locked", *(["own"] if own else []))
    give_table(f"{manifest.venue} {manifest.interval} · dataset {manifest.id}", header, rows)


def _show_conditions(found: list[Condition]) -> None:
    names = ("gaps", "missing", "duplicates", "violations", "zero_volume")
    header = ("symbol", "bars", "from", "to", "gaps", "missing", "twice", "OHLC", "no volume")
    for venue, interval in dict.fromkeys((one.venue, one.interval) for one in found):
        rows = [
            (
                one.symbol,
                f"{one.rows:,}",
                *(_iso(instant)[:10] for instant in (one.first, one.end)),
                *(f"{getattr(one, name):,}" for name in names),
            )
            for one in found
            if (one.venue, one.interval) == (venue, interval)
        ]
        give_table(f"{venue} {interval}: counted anew (OHLC: bars that are wrong)", header, rows)


def _iso(milliseconds: int) -> str:
    from quantga.store.ingest.times import iso

    return iso(milliseconds)
