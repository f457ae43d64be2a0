"""`quantga watchdog`: a process outside Ray that cancels entries when the trader gives no sign of life."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import StoreOption, say
from quantga.cli.runs import open_store
from quantga.errors import ConfigError

if TYPE_CHECKING:
    from quantga.live.watchdog import Alert, Patience, Watchdog
    from quantga.venue.protocol import Network

_PING = 30.0


def watchdog(
    account: Annotated[str, typer.Option(help="The account's own address (the master, not an agent's).")],
    venue: Annotated[str, typer.Option(help="paper, testnet or mainnet.")] = "paper",
    url: Annotated[str, typer.Option(help="The venue's address, where it is another than the usual one.")] = "",
    store: StoreOption = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the watchdog's own agent key; else QUANTGA_WATCHDOG_KEY.")
    ] = None,
    key: Annotated[str, typer.Option(envvar="QUANTGA_WATCHDOG_KEY", hidden=True)] = "",
    lost: Annotated[float, typer.Option(help="Seconds without a beat until entries are cancelled.", min=1)] = 5.0,
    flatten_after: Annotated[
        float, typer.Option(help="Seconds without a beat until positions are closed; 0: never.", min=0)
    ] = 0.0,
    ping: Annotated[
        str, typer.Option(help="URL asked every 30 s while all is well: whoever misses it calls you.")
    ] = "",
    seconds: Annotated[float, typer.Option(help="Stop after so many seconds; 0: when interrupted.", min=0)] = 0.0,
) -> None:
    """Watch a trader's heartbeat; prints one JSON line for each alert (docs/runbook.md has a page for each)."""
    from quantga.live.places import Account
    from quantga.live.watchdog import Patience
    from quantga.venue.hyperliquid.rest import URLS
    from quantga.venue.protocol import Network

    try:
        network = Network(venue)
    except ValueError:
        raise ConfigError(f"--venue {venue}: there are {', '.join(Network)}") from None
    if flatten_after and flatten_after < 4 * lost:
        raise ConfigError(
            f"--flatten-after {flatten_after:g} is soon after --lost {lost:g}: give at least four times that"
        )
    patience = Patience(lost=lost, flatten=flatten_after or float("inf"))
    secret = key_file.read_text().strip() if key_file is not None else key
    if not secret:
        raise ConfigError("the watchdog needs an agent key of its own: give --key-file, or QUANTGA_WATCHDOG_KEY")
    folder = Account.of(open_store(store), network.value, account).folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_watch(folder, _Where(network, url or URLS[network], account, secret), patience, ping, seconds))


class _Where:
    """Which account is watched, and how it is reached."""

    def __init__(self, network: Network, url: str, account: str, key: str) -> None:
        from quantga.live.watchdog import loopback_only
        from quantga.venue.hyperliquid.signing import Signer
        from quantga.venue.protocol import Network

        loopback_only(network, url)
        self.network, self.url, self.account = network, url, account.lower()
        self.signer = Signer(key, mainnet=network is Network.MAINNET)


async def _watch(folder: Path, where: _Where, patience: Patience, ping: str, seconds: float) -> None:
    from quantga.live.heartbeat import Pulse
    from quantga.live.watchdog import RESERVE, Watchdog
    from quantga.venue.desk import Desk
    from quantga.venue.hyperliquid.client import Hyperliquid
    from quantga.venue.hyperliquid.rest import Rest
    from quantga.venue.hyperliquid.weights import actual, learned
    from quantga.venue.protocol import Network

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Rest(where.url, timeout=3.0) as rest:
        client = Hyperliquid(Desk(rest, actual, RESERVE, learn=learned), where.network, where.signer)
        dog = Watchdog(client, where.account, Pulse(folder, time.monotonic()), _tell, patience)
        own = where.network is Network.PAPER
        tasks = [asyncio.ensure_future(one) for one in (dog.run(where.signer.address, folder, own=own), stop.wait())]
        tasks += [asyncio.ensure_future(_keep_pinging(dog, ping))] if ping else []
        done, _ = await asyncio.wait(tasks, timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()


async def _keep_pinging(dog: Watchdog, url: str) -> None:
    """Ask a URL as long as all is well; silence is the alarm, so a ping that fails is told here alone."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        while True:
            if dog.well:
                try:
                    async with session.get(url) as answer:
                        answer.raise_for_status()
                except (aiohttp.ClientError, TimeoutError) as error:
                    say(f"watchdog: the ping of {url} failed ({type(error).__name__}: {error})")
            await asyncio.sleep(_PING if dog.well else 1.0)


def _tell(alert: Alert) -> None:
    import orjson

    told = {"time": time.time_ns() // 1_000_000, "alert": alert.name, "words": alert.words, "pid": os.getpid()}
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.stdout.buffer.flush()
