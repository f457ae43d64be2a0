"""`quantga doctor`: what is well here, what is not, and what to do about it; `--testnet` walks one order through the testnet."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import JsonOption, StoreOption, give_json, give_table, say
from quantga.cli.trade import AccountOption, KeyFileOption, PassphraseOption
from quantga.errors import ConfigError, VenueError

if TYPE_CHECKING:
    from quantga.live.doctor import Check, Walk
    from quantga.store.lake import Lake
    from quantga.venue.protocol import Network


def doctor(
    testnet: Annotated[
        bool, typer.Option("--testnet", help="Place one tiny order on the testnet, see, cancel, reconcile it.")
    ] = False,
    mainnet: Annotated[
        bool, typer.Option("--mainnet", help="Look at the mainnet and the account; sends nothing.")
    ] = False,
    url: Annotated[str, typer.Option(help="Of the paper exchange, on this machine.")] = "",
    coin: Annotated[str, typer.Option(help="Of the tiny order.")] = "ETH",
    account: AccountOption = "",
    key_file: KeyFileOption = None,
    key: Annotated[str, typer.Option(envvar="QUANTGA_KEY", hidden=True, help="From the environment alone.")] = "",
    passphrase: PassphraseOption = "",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Check versions, store, disk, catalog, Ray, venue, clock, key, account and budget; leaves with 1 where one is red."""
    from quantga.live.doctor import here
    from quantga.live.launch import address_of
    from quantga.settings import Settings, ray_address
    from quantga.store.lake import open_lake
    from quantga.venue.protocol import Network

    if testnet and mainnet:
        raise ConfigError("give one of --testnet, --mainnet")
    network = Network.MAINNET if mainnet else Network.TESTNET if testnet else Network.PAPER
    settings = Settings.load({"store": {"path": store}})
    lake = open_lake(settings.store.path)
    secret = _secret(key, key_file, passphrase)
    if testnet and not secret:
        raise ConfigError(
            "the walk signs an order: give --key-file, or QUANTGA_KEY, of an agent approved on the testnet"
        )
    checks = here(lake, settings.cluster.address or ray_address())
    found, done = asyncio.run(_ask(network, address_of(network, url), secret, account, coin if testnet else ""))
    checks += found
    kept = "" if done is None else done.keep(lake)
    _tell(checks, done, kept, lake, json=json)
    if any(one.state == "red" for one in [*checks, *(done.checks if done else [])]):
        raise VenueError("not everything is well; each red line says what to do")


def _secret(key: str, key_file: Path | None, passphrase: str) -> str:
    from quantga.live.keys import read_key

    return key if key_file is None else read_key(key_file, passphrase)


async def _ask(network: Network, url: str, secret: str, account: str, coin: str) -> tuple[list[Check], Walk | None]:
    """Check venue and account; walk one order of `coin` through where it is given."""
    from quantga.live.doctor import Recording, checkup, walk
    from quantga.venue.budget import ALONE
    from quantga.venue.desk import Desk
    from quantga.venue.hyperliquid.client import Hyperliquid
    from quantga.venue.hyperliquid.rest import Rest
    from quantga.venue.hyperliquid.signing import Signer
    from quantga.venue.hyperliquid.weights import actual, learned
    from quantga.venue.protocol import Network as Net

    signer = Signer(secret, mainnet=network is Net.MAINNET) if secret else None
    name = signer.address if signer else ""
    async with Rest(url, timeout=10.0) as rest:
        recording = Recording(rest)
        few = replace(
            ALONE, weight=300
        )  # its questions weigh some 200 together, and a trader seldom uses all of the rest
        venue = Hyperliquid(Desk(recording, actual, few, learn=learned), network, signer)
        found = await checkup(venue, url, name, account)
        if not coin or any(one.state == "red" for one in found):
            return found, None
        return found, await walk(recording, venue, url, name, account, coin)


def _tell(checks: list[Check], done: Walk | None, kept: str, lake: Lake, *, json: bool) -> None:
    if json:
        shown = (
            None
            if done is None
            else {**asdict(done), "words": done.words, "kept": kept, "transcript": len(done.transcript)}
        )
        give_json({"checks": [asdict(one) for one in checks], "walk": shown})
        return
    rows = [(one.state, one.name, one.words, one.todo) for one in [*checks, *(done.checks if done else [])]]
    give_table("doctor", ("", "what", "how it is", "what to do"), rows)
    if done is not None:
        say(f"{done.words}; the transcript is {lake.where(kept)}")
