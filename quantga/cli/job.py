"""`quantga job`: send a command to a cluster, look after it, stop it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import JsonOption, give_json, give_table, say

if TYPE_CHECKING:
    from quantga.cluster.jobs import JobDetails

job_app = typer.Typer(no_args_is_help=True, help="Run commands on a cluster as Ray jobs.")

DashboardOption = Annotated[
    str | None,
    typer.Option(
        "--cluster", help="The dashboard's address. Default: RAY_API_SERVER_ADDRESS, or http://127.0.0.1:8265."
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@job_app.command("submit", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def submit(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A script of jobs/: ingest, evolve, validate, report, …")],
    cluster: DashboardOption = None,
    folder: Annotated[Path, typer.Option("--folder", help="The project's folder, which is sent along.")] = Path(),
    locked: Annotated[
        bool, typer.Option("--locked", help="Install requirements.lock with hashes there first.")
    ] = False,
    installed: Annotated[
        bool, typer.Option("--installed", help="Run the quantga of the cluster's image, not this folder's.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Print what it writes, and end as it ends.")] = False,
    json: JsonOption = False,
) -> None:
    """Submit a job; all further words are its own: `quantga job submit evolve --symbols BTC --store s3://…`.

    A job that was stopped, or whose machines vanished, goes on where it stopped when it is submitted again.
    """
    from quantga.cluster.jobs import Order
    from quantga.cluster.jobs import submit as send

    made = send(Order(job, tuple(context.args), folder.resolve(), locked, installed), cluster or "")
    if wait:
        _follow(made, cluster or "")
    elif json:
        give_json({"job": made})
    else:
        say(f"submitted {made}: `quantga job logs {made} --follow` shows what it does")


@job_app.command("status")
def status(
    job: Annotated[str | None, typer.Argument(metavar="ID", help="The job's id. Default: all jobs.")] = None,
    cluster: DashboardOption = None,
    json: JsonOption = False,
) -> None:
    """Say how a job stands, or all of them."""
    from quantga.cluster import jobs

    found = [jobs.status(job, cluster or "")] if job else jobs.listed(cluster or "")
    rows = [_row(one) for one in found]
    if json:
        give_json(rows[0] if job else {"jobs": rows})
        return
    give_table("jobs", ("job", "status", "since", "command"), [tuple(row[n] or "" for n in _SHOWN) for row in rows])
    if job and rows[0]["message"]:
        say(rows[0]["message"])


@job_app.command("logs")
def logs(
    job: JobArgument,
    cluster: DashboardOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
) -> None:
    """Print what a job has written."""
    from quantga.cluster import jobs

    if follow:
        _follow(job, cluster or "")
    else:
        typer.echo(jobs.logs(job, cluster or ""), nl=False)


@job_app.command("stop")
def stop(job: JobArgument, cluster: DashboardOption = None, json: JsonOption = False) -> None:
    """Stop a job; what it has committed stays."""
    from quantga.cluster import jobs

    jobs.stop(job, cluster or "")
    if json:
        give_json({"job": job, "stopped": True})
    else:
        say(f"stopped {job}: submitted again, it goes on from its last commit")


_SHOWN = ("job", "status", "since", "command")


def _row(one: JobDetails) -> dict[str, Any]:
    since = datetime.fromtimestamp((one.start_time or 0) / 1000, UTC).isoformat(timespec="seconds")
    return {
        "job": one.submission_id,
        "status": str(one.status),
        "since": since if one.start_time else None,
        "command": one.entrypoint,
        "message": one.message,
    }


def _follow(job: str, cluster: str) -> None:
    from quantga.cluster.jobs import follow

    ended = asyncio.run(follow(job, cluster))
    if ended != "SUCCEEDED":
        raise typer.Exit(1)
