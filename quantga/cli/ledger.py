"""`quantga ledger`: what was ever tried on which bars, and whether the record of it is whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import JsonOption, StoreOption, give_json, give_table, say
from quantga.cli.runs import open_store
from quantga.errors import ConfigError

if TYPE_CHECKING:
    from quantga.store.trials import Head, Row

ledger_app = typer.Typer(no_args_is_help=True, help="The ledger of trials and looks: show it, verify it.")


@ledger_app.command("show")
def show(store: StoreOption = None, json: JsonOption = False) -> None:
    """List searches, looks and answers; a search's generations are summed up."""
    from quantga.store.trials import Ledger

    ledger = Ledger(open_store(store))
    rows = ledger.rows()
    listed = _listed(rows)
    if json:
        head = ledger.head()
        give_json({"rows": listed, "count": len(rows), "head": head.record, "history": bool(rows)})
        return
    if not rows:
        say(f"no history: the ledger of {ledger.lake.root} has no row; what was tried elsewhere is not known")
        return
    names = ("row", "when", "kind", "run", "bars", "programs", "level", "p", "note")
    give_table(f"{len(rows)} rows", names, [tuple(one[name] for name in names) for one in listed])
    say(
        f"head: row {ledger.head().number}, {ledger.head().digest} (keep it elsewhere: `quantga ledger verify --head` holds it)"
    )


@ledger_app.command("verify")
def verify(
    kept: Annotated[
        list[str] | None, typer.Option("--head", metavar="ROW:SHA256", help="A head that was kept elsewhere.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Check the chain, and hold it against what runs and strategies name; exit 1 if anything was tampered with."""
    from quantga.store.trials import Ledger
    from quantga.store.trials import verify as faults_of

    lake = open_store(store)
    faults = faults_of(lake, [_head(one) for one in kept or []])
    count = len(lake.paths("ledger"))
    if json:
        give_json({"sound": not faults, "rows": count, "faults": faults, "history": count > 0})
    elif faults:
        for fault in faults:
            say(f"quantga: {fault}")
    elif not count:
        say(f"no history: the ledger of {lake.root} has no row; what was tried elsewhere is not known")
    else:
        head = Ledger(lake).head()
        say(f"the ledger's {count} rows are whole; head: row {head.number}, {head.digest}")
    if faults:
        raise typer.Exit(1)


def _head(text: str) -> Head:
    from quantga.store.trials import Head

    number, colon, digest = text.partition(":")
    if not colon or not number.isdigit() or len(digest) != 64:
        raise ConfigError(f"a head reads like 12:<64 hex digits>, as `quantga ledger show` prints it, not {text!r}")
    return Head(int(number), digest)


def _listed(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """Return a line for each search with all its trials, each look and each answer, in the order of their first rows."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        one = row.entry
        kind = "search" if one.kind == "trials" else one.kind
        line = found.setdefault(
            (kind, one.run),
            {
                "row": row.number,
                "when": f"{datetime.fromtimestamp(row.at / 1000, UTC):%Y-%m-%d %H:%M}",
                "kind": kind,
                "run": one.run,
                "bars": ", ".join(f"{s.asset} {s.interval} {_day(s.start)}–{_day(s.end)}" for s in one.spans),
                "programs": 0 if kind == "search" else None,
                "level": one.level if kind == "look" else None,
                "p": one.p,
                "note": one.note,
            },
        )
        if kind == "search":
            line["programs"] += one.trials
    return list(found.values())


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
