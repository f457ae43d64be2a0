"""`quantga exchange`: run the paper exchange, fund accounts, step its market, switch faults."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.errors import ConfigError, QuantgaError

if TYPE_CHECKING:
    from quantga.exchange.replay import Choice

app = typer.Typer(
    help="A paper exchange that speaks Hyperliquid's protocol.", invoke_without_command=True, no_args_is_help=True
)
HOST = "127.0.0.1"


def parse_account(text: str) -> tuple[str, int]:
    """`ADDRESS=USDC` as a lower-case address and millionths of USDC.

    Raises:
        ConfigError: it has another form.
    """
    from quantga.exchange.wire import ADDRESS, Malformed

    address, _, amount = text.partition("=")
    try:
        micro = Decimal(amount) * 10**6
        if not micro.is_finite() or micro <= 0 or micro != int(micro):
            raise ConfigError(f"{text}: the amount must be a positive number of USDC with at most six decimals")
        return str(ADDRESS(address)), int(micro)
    except (Malformed, InvalidOperation) as error:
        raise ConfigError(f"{text}: give an account as 0xADDRESS=USDC, e.g. 0x{'ab' * 20}=10000") from error


@app.callback()
def run(
    ctx: typer.Context,
    state: Annotated[Path | None, typer.Option(help="Folder of the exchange's journal and snapshots.")] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Folder of SYMBOL.parquet (ts, open high low close volume), a store, or recordings."),
    ] = None,
    mirror: Annotated[str, typer.Option(help="Instead of a replay: a venue whose market data to follow, by URL.")] = "",
    coins: Annotated[
        str,
        typer.Option(help="Coins, separated by commas. Default: all of the replay; BTC,ETH,SOL of a mirrored venue."),
    ] = "",
    interval: Annotated[str, typer.Option(help="Interval of the replayed bars, where a store has several.")] = "",
    dataset_venue: Annotated[
        str, typer.Option("--venue", help="Venue of the dataset, where a store has several.")
    ] = "",
    timerange: Annotated[str, typer.Option(help="YYYYMMDD-YYYYMMDD of the replay, either side may be empty.")] = "",
    unlocked: Annotated[
        bool, typer.Option("--unlocked", help="Replay a store's locked holdout too: whoever watches it has seen it.")
    ] = False,
    port: Annotated[int, typer.Option(help="TCP port.")] = 8100,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = HOST,
    account: Annotated[list[str] | None, typer.Option(help="ADDRESS=USDC, credited once; repeatable.")] = None,
    speed: Annotated[float, typer.Option(help="Market seconds per wall second.")] = 1.0,
    step: Annotated[bool, typer.Option("--step", help="The market moves only by `quantga exchange step`.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the synthetic books and paths.")] = 7,
    start: Annotated[int | None, typer.Option(help="Market time to begin at (ms); default: after 5,000 bars.")] = None,
    assets: Annotated[Path | None, typer.Option(help="JSON file with metadata of further assets.")] = None,
    faults: Annotated[Path | None, typer.Option(help="JSON list of faults with `after` seconds.")] = None,
    cadence: Annotated[
        str, typer.Option(metavar="FAST,SLOW", help="Seconds between frames of fast books, and of the others.")
    ] = "0.5,5",
    greeting: Annotated[
        bool, typer.Option("--greeting", help="Sockets begin with a text that is no JSON, as the venue's once did.")
    ] = False,
    limits: Annotated[bool, typer.Option(help="Enforce the venue's limits per IP address.")] = True,
) -> None:
    """Run the exchange until interrupted."""
    if ctx.invoked_subcommand is not None:
        return
    import asyncio

    import uvloop

    from quantga.exchange.faults import read_script
    from quantga.exchange.limits import NO_LIMITS, Limits
    from quantga.exchange.server import serve
    from quantga.exchange.service import Exchange, Options

    if state is None:
        raise ConfigError("give --state DIR, and --replay PATH or --mirror URL")
    choice = _choice(coins, interval, dataset_venue, timerange, unlocked=unlocked)
    if not speed > 0:
        raise ConfigError(f"--speed {speed} must be positive; to move the market by hand use --step")
    exchange = Exchange(
        Options(
            state=state,
            replay=replay,
            mirror=mirror.rstrip("/"),
            choice=choice,
            coins=choice.coins or ("BTC", "ETH", "SOL"),
            accounts=dict(parse_account(one) for one in account or []),
            speed=None if step or mirror else speed,
            seed=seed,
            start=start,
            assets=assets,
            limits=Limits() if limits else NO_LIMITS,
            script=tuple(read_script(faults)) if faults else (),
            cadence=_cadence(cadence),
            greeting=greeting,
        )
    )
    typer.echo(f"listening on http://{host}:{port}", err=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve(exchange, host, port))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error}") from error


def _cadence(text: str) -> tuple[float, float]:
    try:
        fast, slow = (float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"--cadence {text}: give two numbers of seconds, as in 0.5,5") from None
    if not (fast > 0 and slow > 0):
        raise ConfigError(f"--cadence {text}: both must be positive")
    return fast, slow


def _choice(coins: str, interval: str, venue: str, timerange: str, *, unlocked: bool) -> Choice:
    from quantga.exchange.candles import INTERVALS
    from quantga.exchange.replay import Choice
    from quantga.settings import parse_timerange

    if interval and interval not in INTERVALS:
        raise ConfigError(f"--interval {interval} is none of {', '.join(INTERVALS)}")
    try:
        start, end = parse_timerange(timerange)
    except ValueError as error:
        raise ConfigError(f"--timerange: {error}") from error
    named = tuple(word.strip() for word in coins.split(",") if word.strip())
    return Choice(named, interval, venue, start, end, unlocked)


def _control(port: int, host: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://{host}:{port}/control", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            typer.echo(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise ConfigError(f"the exchange refuses: {error.read().decode()}") from error
    except OSError as error:
        raise ConfigError(f"no exchange answers on {host}:{port}: {error}") from error


Port = Annotated[int, typer.Option(help="The exchange's port.")]
Host = Annotated[str, typer.Option(help="The exchange's address.")]


@app.command()
def fund(
    account: Annotated[list[str], typer.Argument(help="ADDRESS=USDC …")], port: Port = 8100, host: Host = HOST
) -> None:
    """Credit accounts of a running exchange; an account exists from its first credit on."""
    for address, amount in [parse_account(one) for one in account]:
        _control(port, host, {"do": "fund", "user": address, "usd": amount})


@app.command()
def step(
    ms: Annotated[int, typer.Argument(help="Market milliseconds.", min=1)], port: Port = 8100, host: Host = HOST
) -> None:
    """Move the market of an exchange that was started with --step."""
    _control(port, host, {"do": "step", "ms": ms})


@app.command()
def fault(
    name: Annotated[str, typer.Argument(help="A fault's name; see docs/exchange.md.")],
    port: Port = 8100,
    host: Host = HOST,
    count: Annotated[int, typer.Option(help="How many requests, frames or orders it hits.")] = 1,
    seconds: Annotated[float | None, typer.Option(help="How long it lasts, or delays.")] = None,
    user: Annotated[str, typer.Option(help="The account it hits.")] = "",
    ms: Annotated[int, typer.Option(help="Clock skew.")] = 0,
) -> None:
    """Switch a fault on."""
    body: dict[str, Any] = {"do": "fault", "fault": name, "count": count, "user": user, "ms": ms}
    _control(port, host, body if seconds is None else {**body, "seconds": seconds})


@app.command()
def status(port: Port = 8100, host: Host = HOST) -> None:
    """Where the exchange stands."""
    _control(port, host, {"do": "status"})


def main() -> None:
    """Run the verb by itself (`python -m quantga.cli.exchange`)."""
    try:
        app(prog_name="quantga exchange")
    except QuantgaError as error:
        typer.echo(f"quantga: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
