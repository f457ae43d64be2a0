"""`quantga feed`: closed bars of a venue as they close, one JSON line each, and recordings of its frames."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import JsonOption, say
from quantga.errors import ConfigError

if TYPE_CHECKING:
    from quantga.live.bars import Bar
    from quantga.live.stream import Stream


def feed(
    venue: Annotated[str, typer.Option(help="paper, testnet or mainnet: where market data come from.")] = "paper",
    url: Annotated[str, typer.Option(help="The venue's address, where it is another than the usual one.")] = "",
    coins: Annotated[str, typer.Option(help="Coins, separated by commas.")] = "BTC",
    intervals: Annotated[str, typer.Option(help="Bar intervals, separated by commas.")] = "1m",
    history: Annotated[int, typer.Option(help="Closed bars that come first, over REST.", min=0, max=4_999)] = 0,
    record: Annotated[Path | None, typer.Option(help="Folder in which the frames are recorded.")] = None,
    seconds: Annotated[float, typer.Option(help="Stop after so many seconds; 0: when interrupted.", min=0)] = 0.0,
    json: JsonOption = False,
) -> None:
    """Print closed bars as they close, one JSON line each; at the end say how the feed was."""
    import orjson
    import uvloop

    from quantga.live.stream import Plan
    from quantga.venue.hyperliquid.rest import URLS
    from quantga.venue.protocol import Network

    try:
        address = url or URLS[Network(venue)]
    except ValueError:
        raise ConfigError(f"--venue {venue}: there are {', '.join(Network)}") from None
    plan = Plan(
        address,
        tuple(word.strip() for word in coins.split(",") if word.strip()),
        tuple(word.strip() for word in intervals.split(",") if word.strip()),
        history=history,
        record=record,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = runner.run(_feed(plan, seconds))
    if json:
        sys.stdout.buffer.write(orjson.dumps({"status": status}, default=str) + b"\n")
    else:
        say(_sentence(status))


async def _feed(plan: Any, seconds: float) -> dict[str, Any]:
    from quantga.live.stream import Stream
    from quantga.venue.desk import Desk
    from quantga.venue.hyperliquid.client import Hyperliquid
    from quantga.venue.hyperliquid.rest import Rest
    from quantga.venue.hyperliquid.weights import actual
    from quantga.venue.protocol import Network

    async with Rest(plan.url) as rest:
        stream = Stream(plan, Hyperliquid(Desk(rest, actual), Network.PAPER), _print)
        return await _until(stream, seconds)


async def _until(stream: Stream, seconds: float) -> dict[str, Any]:
    """Run until the time is over, a signal comes, or the feed fails."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    running, waiting = asyncio.ensure_future(stream.run()), asyncio.ensure_future(stop.wait())
    await asyncio.wait([running, waiting], timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED)
    status = stream.status()
    if running.done():
        running.result()
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    return status


def _print(bars: Sequence[Bar]) -> None:
    import orjson

    for bar in bars:
        sys.stdout.buffer.write(orjson.dumps(bar) + b"\n")  # NaN becomes null
    sys.stdout.buffer.flush()


def _sentence(status: dict[str, Any]) -> str:
    bars, traffic = status["bars"], status["traffic"]
    return (
        f"{bars['stream']} bars proven by frames, {bars['rest']} asked for ({bars['absent']} without trades), "
        f"{bars['revised']} revised; {traffic['frames']} frames over {traffic['connects']} sockets"
    )
