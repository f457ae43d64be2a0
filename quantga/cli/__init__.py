"""Floor 4: the command line. It parses, calls and prints; every verb takes `--json`.

Exit codes: 0 done, 1 failed, 2 bad input or configuration. Results go to standard output, all else to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from quantga.cli.bench import bench_app
from quantga.cli.console import say
from quantga.cli.data import data_app
from quantga.cli.demo import demo
from quantga.cli.doctor import doctor
from quantga.cli.evolve import evolve
from quantga.cli.exchange import app as exchange_app
from quantga.cli.feed import feed
from quantga.cli.job import job_app
from quantga.cli.journal import explain, parity, replay
from quantga.cli.ledger import ledger_app
from quantga.cli.program import backtest, ops, warm
from quantga.cli.runs import catalog_app, report, runs, show, sql
from quantga.cli.serve import serve
from quantga.cli.token import token_app
from quantga.cli.trade import fills, flatten, halt, resume, status, trade
from quantga.cli.validate import validate
from quantga.cli.watchdog import watchdog
from quantga.errors import QuantgaError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Evolves trading strategies for crypto perpetuals and trades the ones that can be believed.",
)
app.add_typer(data_app, name="data")
app.add_typer(catalog_app, name="catalog")
app.add_typer(bench_app, name="bench")
app.add_typer(exchange_app, name="exchange")
app.add_typer(ledger_app, name="ledger")
app.add_typer(job_app, name="job")
app.add_typer(token_app, name="token")
for verb in (
    evolve,
    validate,
    runs,
    show,
    report,
    backtest,
    sql,
    ops,
    warm,
    demo,
    feed,
    watchdog,
    replay,
    parity,
    explain,
    doctor,
    serve,
):
    app.command(verb.__name__)(verb)
for act in (trade, halt, flatten, resume, status, fills):
    app.command(act.__name__)(act)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from quantga import __version__

        typer.echo(f"quantga {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; leave with its exit code."""
    try:
        app(list(arguments) if arguments is not None else None, prog_name="quantga")
    except QuantgaError as error:
        say(f"quantga: {error}")
        sys.exit(error.exit_code)
