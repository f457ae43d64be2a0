"""`quantga validate`: whether what a run found may be believed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import JsonOption, StoreOption, give_json, give_table, say
from quantga.cli.evolve import AddressOption, WorkersOption
from quantga.settings import Settings

if TYPE_CHECKING:
    from quantga.cluster.validation import Validation


def validate(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The id of a finished run, its beginning, or: last.")
    ] = "last",
    second_look: Annotated[
        bool, typer.Option("--second-look", help="Open a holdout that was opened before; it halves the level.")
    ] = False,
    confirm_on: Annotated[
        str, typer.Option("--confirm-on", metavar="VENUE", help="Promote for this venue, if it holds on its bars too.")
    ] = "",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Judge by the locked bars that came after any that were seen before.")
    ] = False,
    embargo: Annotated[
        float | None, typer.Option("--embargo", metavar="DAYS", help="Longer than what the programs remember and hold.")
    ] = None,
    surrogate: Annotated[str, typer.Option("--surrogate", help="sign, or order (bars in another order).")] = "sign",
    nulls: Annotated[int, typer.Option("--nulls", metavar="N", help="Surrogate searches at the most.")] = 199,
    workers: WorkersOption = None,
    address: AddressOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Judge what a run found: the search again where nothing can be found, then one look at the locked holdout.

    Promotes what passes, as strategies/<id>.json, or says why nothing does. Interrupted, it goes on where it stopped. Exit
    code 0 whatever the verdict; 2 where the run cannot be judged.
    """
    from quantga.cluster.case import Terms
    from quantga.cluster.validation import run_validation
    from quantga.cluster.validation_progress import Spoken

    began = time.monotonic()
    settings = Settings.load({"cluster": {"workers": workers, "address": address}, "store": {"path": store}})
    terms = Terms(
        second_look=second_look,
        confirm_on=confirm_on,
        embargo_days=embargo,
        surrogate=surrogate,
        nulls=nulls,
        fresh=fresh,
    )
    done = run_validation(settings, run, terms, Spoken())
    if json:
        give_json({**summary(done), "seconds": round(time.monotonic() - began, 1)})
    else:
        tell(done)


def summary(done: Validation) -> dict[str, Any]:
    """Return what a script wants to know: the record, and the figures of the verdict by short names."""
    record = done.record
    return {
        **record,
        "promoted": record["strategies"],
        "null_searches": record["search"]["null_searches"],
        "p_mine": record["search"]["p_charged"],
        "p_hold": min((one["p_hold"] for one in record["shortlist"] if one["p_hold"] is not None), default=None),
    }


def tell(done: Validation) -> None:
    """Print a validation."""
    record = done.record
    if not done.new:
        say(f"run {done.run} was validated before; its answer stands")
    typer.echo(f"{record['decision'].upper()}: {record['words']}\n")
    _tell_evidence(record)
    if record["shortlist"]:
        _tell_shortlist(record)
    _tell_diagnostics(record)
    for line in record["power"]["words"]:
        typer.echo(line)
    for name in record["strategies"]:
        typer.echo(f"promoted: strategies/{name}.json")
    say(f"`quantga report {done.run}` draws it; ledger at row {record['ledger']['number']}")


def _tell_evidence(record: dict[str, Any]) -> None:
    part, search = record["split"], record["search"]
    rows = [
        ("where", "{venue} {interval} {}".format(", ".join(record["where"]["symbols"]), **record["where"])),
        ("searched", f"{_day(part['searched'][0])} to {_day(part['searched'][1])}, {record['trials']:,} programs"),
        ("before", record["history"]["words"]),
        (
            "surrogate searches",
            f"{search['null_searches']}, of which {search['exceedances']} did as well: p = {search['p']:.3g}"
            + (f", charged with {record['searches']} searches of these bars {search['p_charged']:.3g}" if record["searches"] > 1 else ""),
        ),
        (
            "holdout",
            f"{_day(part['holdout'][0])} to {_day(part['holdout'][1])}, {part['holdout_days']} days after an embargo of "
            f"{part['embargo_days']:.0f}; " + (record["permission"] if record["holdout_opened"] else "not opened"),
        ),
        (
            "looks before",
            "{count} in this store; luck alone grants them {expected_false:.2g} false promotions".format(**record["looks_before"]),
        ),
    ]  # fmt: skip
    give_table("evidence", ("what", "figure"), rows)


def _tell_shortlist(record: dict[str, Any]) -> None:
    names = (
        "program",
        "score",
        "p search",
        "Sharpe in holdout",
        "trades",
        "p holdout",
        "p both",
        "promoted",
        "expected Sharpe",
    )
    rows = [
        (
            one["program"],
            one["score"],
            one["p_mine"],
            one["holdout"] and one["holdout"]["sharpe"],
            one["holdout"] and one["holdout"]["trades"],
            one["p_hold"],
            one["p"],
            "yes" if one["promoted"] else "no",
            _forecast(one["forecast"]) if one["promoted"] else None,
        )
        for one in record["shortlist"]
    ]
    give_table(f"shortlist, of {record['trials']:,} trials; Sharpe ratios are of alpha", names, rows)
    for one in record["shortlist"]:
        typer.echo(f"{one['program']}  {one['text']}")
        for reason in one["reasons"]:
            typer.echo(f"    not promoted: {reason}")
        for label in one["tradability"]["labels"]:
            typer.echo(f"    label: {label}")
        if one["confirmed"]:
            typer.echo(f"    {_confirmed(one['confirmed'])}")
    typer.echo(f"labels decide nothing: {record['tradability_base_rate']}\n")


def _confirmed(one: dict[str, Any]) -> str:
    ratio = "no" if one["sharpe"] is None else f"a Sharpe ratio of {one['sharpe']:.2f}"
    p = "" if one["p"] is None else f", p = {one['p']:.3g} alone"
    return f"on {one['venue']} {_day(one['start'])} to {_day(one['end'])} ({one['days']} days, {one['trades']} trades): {ratio}{p}"


def _tell_diagnostics(record: dict[str, Any]) -> None:
    rows = [
        (
            one["label"],
            one["version"],
            one["value"] if one["value"] is not None else one["reason"],
            one["passes"],
            one["base_rate"],
        )
        for one in record["diagnostics"]
    ]
    if rows:
        give_table(
            "diagnostics: none of them decides", ("figure", "version", "value", "passes", "what it is worth"), rows
        )


def _forecast(one: dict[str, float]) -> str:
    return f"{one['sharpe']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
