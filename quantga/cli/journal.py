"""`quantga replay`, `explain`, `parity`: what a session did, decided again, told, and held against a backtest."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from quantga.cli.console import JsonOption, StoreOption, give_json, give_table, say
from quantga.cli.runs import open_store
from quantga.errors import DataError

SessionArgument = Annotated[
    str, typer.Argument(metavar="SESSION", help="The id of a session, its beginning, or: last.")
]
_SHOWN = 20


def replay(session: SessionArgument = "last", store: StoreOption = None, json: JsonOption = False) -> None:
    """Decide a session again from its journal; leaves with 1 where an order, target or decision is not the same."""
    from quantga.live.explain import find_session
    from quantga.live.journal import read
    from quantga.live.replay import replay as again

    place, name, entries = find_session(open_store(store), session)
    damage = read(place.journal(name))[1]
    if damage is not None:
        say(f"the journal does not read from entry {damage.number} on: {damage.reason} ({damage.size:,} bytes)")
    found = again(entries)
    if json:
        give_json(asdict(found))
    else:
        say(
            f"session {found.session}: {found.bars:,} bars, {found.decisions:,} decisions, {found.targets:,} targets and "
            f"{found.orders:,} orders decided again; {len(found.mismatches)} mismatches"
        )
        rows = [(one.entry, one.what, one.journaled, one.again) for one in found.mismatches[:_SHOWN]]
        if rows:
            give_table("mismatches", ("entry", "what", "journaled", "decided again"), rows)
    if damage is not None and not damage.torn:
        raise DataError(
            f"the journal is damaged from entry {damage.number} on: only what is before it was decided again"
        )
    if found.mismatches:
        raise DataError(f"{len(found.mismatches)} mismatches: the first is at entry {found.mismatches[0].entry}")


def parity(session: SessionArgument = "last", store: StoreOption = None, json: JsonOption = False) -> None:
    """Hold a session against a backtest of the same hours; leaves with 1 where a signal is not the same."""
    from quantga.live.explain import find_session
    from quantga.live.parity import parity as compare
    from quantga.live.parity import rows

    _, _, entries = find_session(open_store(store), session)
    found = compare(entries)
    if json:
        give_json({**asdict(found), "errors": rows(found.errors), "costs": found.costs})
    else:
        say(
            f"session {found.session}: {found.signals:,} signals compared, {len(found.mismatches)} mismatches; "
            f"{found.undecided} undecided, {found.unseen} bars while the trader was away"
        )
        table = [tuple(row.values()) for row in rows(found.errors)]
        give_table("costs", ("cost", "assumed bp", "measured bp", "error bp", "cases", "USDC"), table)
        earned = [(name, live, tested) for name, (live, tested) in found.returns.items()]
        give_table("returns, %", ("strategy", "live", "backtest"), earned)
        typer.echo("[costs]  # for the next search\n" + "\n".join(f"{k} = {v}" for k, v in found.costs.items()))
    if found.mismatches:
        raise DataError(
            f"{len(found.mismatches)} signals differ from the backtest's: the first is {found.mismatches[0]}"
        )


def explain(
    order: Annotated[
        str, typer.Argument(metavar="ORDER", help="A cloid or its beginning, or an order's or fill's number.")
    ],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Tell where an order came from: fills, decision, program, run, generation, dataset, seed, evidence."""
    from quantga.lang.parse import parse
    from quantga.live.explain import explain as find
    from quantga.report.words import describe

    found = find(open_store(store), order)
    if json:
        give_json(found)
        return
    give_table("order", ("", ""), [*found["order"].items(), ("session", found["session"]), ("filled", found["filled"])])
    if found["fills"]:
        give_table("fills", tuple(found["fills"][0]), [tuple(one.values()) for one in found["fills"]])
    give_table(
        "what became of it", ("time", "phase", "oid", "reason"), [tuple(one.values()) for one in found["outcome"]]
    )
    if found["decisions"]:
        give_table("decisions", tuple(found["decisions"][0]), [tuple(one.values()) for one in found["decisions"]])
    for one in found["strategies"]:
        typer.echo(f"\nstrategy {one['strategy']}: {one['lots']} lots of this order\n{one['text']}")
        for line in describe(parse(one["text"])):
            typer.echo("  " * (line.depth + 1) + line.text)
        for sentence in _origin(one):
            typer.echo(sentence)


def _origin(one: dict[str, Any]) -> list[str]:
    run, promotion = one["run"], one["promotion"]
    lines = []
    if run:
        lines.append(f"run {run['run']}, seed {run['seed']}, dataset {run['dataset']}")
    lines += [
        f"first appraised in run {born['run']}: generation {born['generation']}, island {born['island']}, slot {born['slot']}"
        for born in one["born"]
    ]
    if promotion:
        proof, hope = promotion["evidence"], promotion["forecast"]
        lines.append(f"promoted with p = {proof['p']:.3g} (needed {proof['level']:.3g}), of {proof['trials']:,} trials")
        lines.append(f"expected Sharpe ratio {hope['sharpe']:.2f} ({hope['low']:.2f} to {hope['high']:.2f})")
    else:
        lines.append("never promoted: paper trading alone")
    return lines
