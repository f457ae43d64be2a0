"""`quantga runs`, `show`, `report`, `sql`, `catalog`: look at what was kept."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import FIGURES, JsonOption, StoreOption, give_json, give_programs, give_table, say
from quantga.errors import ConfigError
from quantga.settings import Settings

if TYPE_CHECKING:
    from quantga.store.lake import Lake

catalog_app = typer.Typer(no_args_is_help=True, help="The DuckDB index over the lake.")


def open_store(store: str | None) -> Lake:
    """Return the lake of `--store`, else of the settings."""
    from quantga.store.lake import open_lake

    return open_lake(Settings.load({"store": {"path": store}}).store.path)


def runs(store: StoreOption = None, json: JsonOption = False) -> None:
    """List the runs of the store, with their last generation, trials and digest."""
    from quantga.store.catalog import query, to_records

    lake = open_store(store)
    found = to_records(query(lake, _RUNS))
    listed = [_listed(row) for row in found]
    if json:
        give_json({"runs": listed})
    elif not listed:
        say(f"the store {lake.root} holds no runs: give `quantga evolve` first")
    else:
        names = ("run", "symbols", "interval", "seed", "generations", "trials", "state", "best score", "digest")
        give_table(f"{len(listed)} runs", names, [tuple(one[name] for name in names) for one in listed])


_RUNS = """
    SELECT r.run, r.settings, r.finished, max(g.generation) AS generation, max_by(g.state, g.generation) AS state,
           (SELECT max(a.score) FROM appraisals a WHERE a.run = r.run AND isfinite(a.score)) AS best
    FROM runs r LEFT JOIN generations g USING (run) GROUP BY r.run, r.settings, r.finished ORDER BY r.run
"""


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    made = json_text.loads(row["settings"])
    science = made["science"]
    state = json_text.loads(row["state"]) if row["state"] else {}
    return {
        "run": row["run"],
        "symbols": ",".join(science["data"]["symbols"]),
        "interval": science["data"]["interval"],
        "seed": science["search"]["seed"],
        "generations": f"{(row['generation'] or 0) + 1}/{science['search']['generations']}" if state else "0",
        "trials": state.get("trials"),
        "state": "finished" if row["finished"] else "resumable",
        "best score": row["best"],
        "digest": str(state.get("digest", ""))[:12],
    }


def show(
    name: Annotated[
        str, typer.Argument(metavar="RUN|PROGRAM", help="The id of a run or of a program, a prefix of it, or: last.")
    ],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show a run's front, or a program: its text, in words, and where it was appraised."""
    lake = open_store(store)
    run = _run_named(lake, name)
    if run:
        _show_run(lake, run, json=json)
    else:
        _show_program(lake, name, json=json)


def _run_named(lake: Lake, name: str) -> str:
    """Return the run that `name` means ("last": the one searched last that is finished); empty where there is none."""
    if name == "last":
        from quantga.cluster.record import run_named
        from quantga.store.trials import Ledger

        return run_named(lake, name, Ledger(lake))
    found = [run for run in lake.folders("runs") if run.startswith(name)]
    if len(found) > 1:
        raise ConfigError(f"{name!r} could be any of the runs {', '.join(found)}: give more of it")
    return found[0] if found else ""


def _show_run(lake: Lake, run: str, *, json: bool) -> None:
    from quantga.cluster.record import RunFiles
    from quantga.store.catalog import query, to_records

    made = RunFiles(lake, run).made()
    front = to_records(query(lake, f"SELECT * FROM fronts WHERE run = '{run}' ORDER BY score DESC"))
    if json:
        give_json({"run": run, "made": made, "front": front})
        return
    if not front:
        say(f"run {run} is not finished: `quantga evolve --resume {run}` goes on with it")
        return
    trials = RunFiles(lake, run).trials(made["science"]["search"]["generations"])
    give_programs(f"front of run {run} in-sample, the best of {trials:,} trials", FIGURES, front)


def _show_program(lake: Lake, name: str, *, json: bool) -> None:
    from quantga.lang.parse import parse
    from quantga.report.words import describe, sentences
    from quantga.store.catalog import query, to_records

    if not name.isalnum():
        raise ConfigError(f"{name!r} is no id of a run or a program: `quantga runs` lists the runs")
    rows = to_records(
        query(lake, f"SELECT * FROM appraisals WHERE id LIKE '{name}%' ORDER BY run, generation LIMIT 1000")
    )
    texts = {row["id"]: row["text"] for row in rows}
    if not rows:
        raise ConfigError(f"there is no run or program {name!r} in {lake.root}: `quantga runs` lists the runs")
    if len(texts) > 1:
        raise ConfigError(f"{name!r} could be any of the programs {', '.join(sorted(texts))}: give more of it")
    (text,) = texts.values()
    program = parse(text)
    if json:
        known = {"id": program.id, "text": text, "lookback": program.lookback, "reach": program.reach}
        give_json({**known, "words": sentences(program), "appraisals": rows})
        return
    typer.echo(f"{program.id}  lookback {program.lookback} bars\n{text}\n")
    for line in describe(program):
        typer.echo("  " * line.depth + line.text)
    typer.echo("")
    give_table(
        "appraised in",
        ("run", "generation", *FIGURES),
        [tuple(row.get(n) for n in ("run", "generation", *FIGURES)) for row in rows],
    )


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The id of a finished run, a prefix of it, or: last.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write here instead of into the run's folder.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make one self-contained HTML page of a run; it opens offline."""
    from quantga.report import write_report

    lake = open_store(store)
    found = _run_named(lake, run)
    if not found:
        raise ConfigError(f"there is no run {run!r} in {lake.root}: `quantga runs` lists them")
    path = write_report(lake, found, out)
    if json:
        give_json({"run": found, "report": str(path)})
    else:
        say(f"wrote {path}")


def sql(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="A query over the catalog.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Query the catalog: tables datasets, runs, generations, appraisals, fronts; view programs."""
    from quantga.store.catalog import query, to_records

    table = query(open_store(store), statement)
    if json:
        give_json({"rows": to_records(table)})
    else:
        names = table.column_names
        give_table(f"{table.num_rows} rows", names, [tuple(row[n] for n in names) for row in to_records(table)])


@catalog_app.command("rebuild")
def rebuild(store: StoreOption = None, json: JsonOption = False) -> None:
    """Build the catalog anew from the lake; deleting it loses nothing."""
    from quantga.store.catalog import rebuild as build

    path = build(open_store(store))
    if json:
        give_json({"catalog": str(path)})
    else:
        say(f"built {path}")
