"""`quantga trade`, `halt`, `flatten`, `resume`, `status`, `fills`: trading, and everything a person needs to stop it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import IntervalOption, JsonOption, StoreOption, SymbolsOption, give_json, give_table, say
from quantga.errors import ConfigError, Conflict, StoreError
from quantga.settings import Settings

if TYPE_CHECKING:
    from quantga.live.beginning import Wanted
    from quantga.live.places import Account
    from quantga.live.plan import Traded
    from quantga.store.lake import Lake

KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file", envvar="QUANTGA_KEY_FILE", help="File of the trading key, 0600: hex, or a wallet's keystore."
    ),
]
PassphraseOption = Annotated[
    str, typer.Option(envvar="QUANTGA_KEY_PASSPHRASE", hidden=True, help="Of the keystore; from the environment.")
]
AccountOption = Annotated[str, typer.Option("--account", help="The account's (master's) address; else the key tells.")]


def trade(
    paper: Annotated[bool, typer.Option("--paper", help="A local `quantga exchange` (the default).")] = False,
    testnet: Annotated[bool, typer.Option("--testnet", help="The venue's testnet.")] = False,
    mainnet: Annotated[
        bool, typer.Option("--mainnet", help="Real money: needs --cap, --canary, --i-understand.")
    ] = False,
    url: Annotated[str, typer.Option(help="Of the paper exchange, on this machine.")] = "",
    strategy: Annotated[
        list[str] | None, typer.Option(help="Id of a promoted strategy; repeatable. Default: all.")
    ] = None,
    run: Annotated[str, typer.Option(help="Paper only: the best champion of this run, or last.")] = "",
    program: Annotated[str, typer.Option(help="Paper only: a program's text, with --symbols and --interval.")] = "",
    symbols: SymbolsOption = None,
    interval: IntervalOption = None,
    cap: Annotated[str, typer.Option(help="USDC of the account that may be used.")] = "0",
    canary: Annotated[str, typer.Option(help="USDC in one symbol at most.")] = "0",
    volatility: Annotated[float, typer.Option(help="Annual volatility aimed at, as a fraction.", min=0.001)] = 0.6,
    understood: Annotated[str, typer.Option("--i-understand", help="The phrase that real money asks for.")] = "",
    account: AccountOption = "",
    key_file: KeyFileOption = None,
    key: Annotated[str, typer.Option(envvar="QUANTGA_KEY", hidden=True, help="From the environment alone.")] = "",
    passphrase: PassphraseOption = "",
    ray: Annotated[bool, typer.Option("--ray", help="As actors on Ray; stopping this command ends them.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="With --ray: leave them running and return.")] = False,
    resource: Annotated[str, typer.Option(help="With --ray: custom resource of the node to be placed on.")] = "",
    store: StoreOption = None,
) -> None:
    """Trade strategies until interrupted; starting again goes on where it stopped."""
    from quantga.live.beginning import Wanted
    from quantga.live.launch import Money, address_of, guarded, sentences
    from quantga.venue.protocol import Network

    network = _network(paper=paper, testnet=testnet, mainnet=mainnet)
    if (run or program) and network is not Network.PAPER:
        raise ConfigError("--run and --program are for --paper: only promoted strategies trade elsewhere")
    settings = Settings.load({"store": {"path": store}})
    traded, length = _chosen(settings, strategy or [], run, program, symbols, interval)
    wanted = Wanted(
        network, address_of(network, url), settings.store.path, length, traded, account,
        "" if key_file is None else str(key_file), volatility=volatility,
    )  # fmt: skip
    wanted = guarded(wanted, Money(_usdc("--cap", cap), _usdc("--canary", canary)), understood)
    for line in sentences(wanted):
        say(line)
    wanted, secret = _key(wanted, key, passphrase)
    if ray:
        _on_ray(settings, wanted, secret, passphrase, resource, detach=detach)
    else:
        _here(wanted, secret)


def _network(*, paper: bool, testnet: bool, mainnet: bool) -> Any:
    from quantga.venue.protocol import Network

    if paper + testnet + mainnet > 1:
        raise ConfigError("give one of --paper, --testnet, --mainnet")
    return Network.MAINNET if mainnet else Network.TESTNET if testnet else Network.PAPER


def _chosen(
    settings: Settings, names: list[str], run: str, text: str, symbols: str | None, interval: str | None
) -> tuple[tuple[Traded, ...], int]:
    from quantga.live.choosing import champion, program, promoted
    from quantga.store.lake import open_lake

    if bool(names) + bool(run) + bool(text) > 1:
        raise ConfigError("give one of --strategy, --run, --program")
    if text:
        listed = [word.strip() for word in (symbols or "").split(",") if word.strip()]
        return program(text, listed, interval or "", settings.costs.model_dump())
    lake = open_lake(settings.store.path)
    return champion(lake, run) if run else promoted(lake, names)


def _usdc(name: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise ConfigError(f"{name} {text}: give an amount of USDC, as in 500")
    return amount


def _key(wanted: Wanted, key: str, passphrase: str) -> tuple[Wanted, str]:
    """Return the trading key, and where it is; on paper one is made where none is given."""
    from quantga.live.keys import new_key, read_key
    from quantga.store.lake import open_lake
    from quantga.venue.protocol import Network

    if wanted.key_file:
        return wanted, read_key(Path(wanted.key_file), passphrase)
    if key:
        return wanted, key
    if wanted.network is not Network.PAPER:
        raise ConfigError(
            "no trading key: give --key-file FILE, or set QUANTGA_KEY (an agent's key, not the account's own)"
        )
    made = open_lake(wanted.store).local / "sessions" / "paper.key"
    return replace(wanted, key_file=str(made.absolute())), new_key(made)


def _here(wanted: Wanted, key: str) -> None:
    import uvloop

    from quantga.live.life import Life

    life = Life(wanted, key, say)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, life.stop)
        await life.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _on_ray(settings: Settings, wanted: Wanted, key: str, passphrase: str, resource: str, *, detach: bool) -> None:
    """Trade as actors; unless they are detached, they end at a safe point when this command is stopped."""
    import threading

    from quantga.cluster.connect import connect
    from quantga.live.trader import attend, open_trader
    from quantga.venue.hyperliquid.signing import Signer

    stop = threading.Event()
    with connect(settings.cluster):
        for number in (signal.SIGTERM, signal.SIGINT):  # Ray, when it connects, puts its own in their place
            signal.signal(number, lambda *_: stop.set())
        handle = open_trader(wanted, passphrase, resource, key=Signer(key, mainnet=False).address)
        if detach:
            say("the trader lives on Ray; `quantga status` shows it, `quantga halt` and `quantga flatten` reach it")
            return
        attend(handle, say, stop.is_set)


def halt(
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    reason: Annotated[str, typer.Option(help="Kept in the journal.")] = "a person halted it",
    account: AccountOption = "",
    store: StoreOption = None,
) -> None:
    """Take no new risk until `quantga resume`: positions stay, with their stops."""
    from quantga.live.session import Halt, event_of

    place = _place(store, account)
    if _told(place, "halt", symbol=symbol, reason=reason):
        say(f"halted {symbol or 'the account'}; the trader lives and knows")
        return
    with place.open_last() as journal:
        journal.append(journal.time, event_of(Halt(symbol, reason)))
    say(f"halted {symbol or 'the account'}; no trader runs, the next one will know")


def flatten(
    reason: Annotated[str, typer.Option(help="Kept in the journal.")] = "a person flattened it",
    wait: Annotated[float, typer.Option(help="Seconds that a running trader has for it.", min=0)] = 30.0,
    url: Annotated[str, typer.Option(help="Of the paper exchange, on this machine.")] = "",
    account: AccountOption = "",
    key_file: KeyFileOption = None,
    key: Annotated[str, typer.Option(envvar="QUANTGA_KEY", hidden=True, help="From the environment alone.")] = "",
    passphrase: PassphraseOption = "",
    store: StoreOption = None,
) -> None:
    """Halt, then close everything with reduce-only orders until the venue says that nothing is held. Needs no Ray."""
    from quantga.live.leaving import leave

    place = _place(store, account)
    secret = _own_key(place, key, key_file, passphrase)
    say(asyncio.run(leave(place, secret, url, reason, wait, say)))


def resume(
    symbol: Annotated[str, typer.Option(help="Only this symbol.")] = "",
    url: Annotated[str, typer.Option(help="Of the paper exchange, on this machine.")] = "",
    account: AccountOption = "",
    store: StoreOption = None,
) -> None:
    """Lift a halt, once the venue holds what the journal explains, or nothing."""
    from quantga.live.leaving import lift

    place = _place(store, account)
    if _told(place, "resume", symbol=symbol):
        standing = place.last()
        if standing is not None and (standing.halts if not symbol else standing.halted(symbol)):
            raise StoreError("the trader did not resume: its log and `quantga status` say why")
        say(f"resumed {symbol or 'the account'}; the trader lives and knows")
        return
    asyncio.run(lift(place, url, symbol))
    say(f"resumed {symbol or 'the account'}; the next trader goes on")


def status(account: AccountOption = "", store: StoreOption = None, json: JsonOption = False) -> None:
    """Where each account stands: alive or not, equity, losses, halts, positions, orders."""
    from quantga.live.places import accounts
    from quantga.live.standing import standing

    lake = _lake(store)
    found = [standing(one) for one in accounts(lake) if one.sessions() and account.lower() in one.address]
    if json:
        give_json({"accounts": found})
        return
    if not found:
        say(f"nothing was traded from {lake.root} on this machine: `quantga trade --paper` begins")
    for one in found:
        give_table(f"{one['network']} {one['account']}", ("", ""), [(k, v) for k, v in one.items() if k != "positions"])
        rows = [(p["symbol"], p["units"], p["stops"], p["owners"]) for p in one["positions"]]
        give_table("positions", ("symbol", "units", "stops waiting", "lots by strategy"), rows)


def fills(
    csv: Annotated[Path | None, typer.Option("--csv", help="Write them here instead of to the terminal.")] = None,
    account: AccountOption = "",
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List every fill of the account's sessions, with the order's purpose and the cost beyond the mark."""
    from quantga.live.standing import FILL_COLUMNS, fill_rows, write_csv

    rows = fill_rows(_place(store, account))
    if csv is not None:
        write_csv(csv, rows)
        say(f"wrote {len(rows)} fills to {csv}")
    elif json:
        give_json({"fills": [dict(zip(FILL_COLUMNS, row, strict=True)) for row in rows]})
    else:
        give_table(f"{len(rows)} fills", FILL_COLUMNS, rows)


def _lake(store: str | None) -> Lake:
    from quantga.store.lake import open_lake

    return open_lake(Settings.load({"store": {"path": store}}).store.path)


def _place(store: str | None, account: str) -> Account:
    """Return the account that is meant: the one named, or the only one."""
    from quantga.live.places import accounts

    lake = _lake(store)
    found = [one for one in accounts(lake) if one.sessions() and account.lower() in (one.address, "")]
    if len(found) != 1:
        names = ", ".join(f"{one.network} {one.address}" for one in found) or "none"
        raise ConfigError(f"which account? {lake.root} has {names}: choose with --account")
    return found[0]


def _own_key(place: Account, key: str, key_file: Path | None, passphrase: str) -> str:
    from quantga.live.keys import read_key

    if key_file is not None:
        return read_key(key_file, passphrase)
    made = place.root / "paper.key"
    if key or (place.network == "paper" and made.exists()):
        return key or read_key(made)
    raise ConfigError("no trading key: give --key-file FILE, or set QUANTGA_KEY")


def _told(place: Account, name: str, **what: str) -> bool:
    """Ask a running trader; False where none runs. StoreError if one runs and does not take it."""
    import time

    try:
        place.open_last().close()
    except Conflict:
        path = place.ask(name, **what)
        end = time.monotonic() + 20
        while path.exists() and time.monotonic() < end:
            time.sleep(0.1)
        if not path.exists():
            time.sleep(1.0)
            return True
        path.unlink(missing_ok=True)
        raise StoreError(
            "a process holds the journal and does not answer: `quantga flatten` works without it"
        ) from None
    return False
