"""The doctor: is everything there that trading needs; and a walk through what only the venue itself can answer.

Each check ends in one sentence, and where it is red in what to do about it. The walk places one tiny order, sees it, cancels
it and reconciles, and keeps what was said, word for word: nothing is held to work at the venue that was not seen there.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import orjson

from quantga.errors import ConfigError, QuantgaError, VenueError
from quantga.live.startup import Standing, prove
from quantga.store.catalog import query, refresh
from quantga.store.lake import Lake
from quantga.venue.account import Cancel, OrderRequest, Place, Resting
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import URLS
from quantga.venue.hyperliquid.rules import MIN_NOTIONAL, price, size
from quantga.venue.protocol import Network, Priority, Venue
from quantga.venue.wire import Ask, Reply, Wire

__all__ = ["Check", "Recording", "Walk", "checkup", "here", "walk"]

type State = Literal["ok", "warning", "red"]

_DISK_RED, _DISK_LOW = 1 << 30, 10 << 30
_NEEDED = ("ray", "deap", "duckdb", "pyarrow", "numba", "hyperliquid-python-sdk", "aiohttp", "websockets")
_LIFETIME_MS = 10_000
_AWAY = Decimal("0.9")  # of the mid price: far enough not to be filled, near enough to be taken
_TRIES = 20
_PAUSE = 0.25


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, in words, and what to do where it is not well."""

    name: str
    state: State
    words: str
    todo: str = ""


@dataclass
class Recording:
    """A wire that keeps what was asked and answered, word for word; keys never pass here."""

    wire: Wire
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, ask: Ask) -> Reply:
        """Send, and keep both sides."""
        line = {"time": _now(), "kind": ask.kind, "asked": ask.body.decode(), "status": 0, "answer": ""}
        self.lines.append(line)
        reply = await self.wire.send(ask)
        line |= {"status": reply.status, "answer": reply.body.decode(errors="replace")[:20_000]}
        return reply


@dataclass
class Walk:
    """What was seen. real: whether this was the network's own address; without that nothing is proven about the network."""

    network: str
    url: str
    real: bool
    began: int
    checks: list[Check] = field(default_factory=list)
    transcript: list[dict[str, Any]] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether every step was seen to work."""
        return bool(self.checks) and all(one.state == "ok" for one in self.checks)

    @property
    def words(self) -> str:
        """The verdict."""
        where = f"{self.network} at {self.url}" + ("" if self.real else f", which is not {self.network} itself")
        return f"{where}: {'all steps were seen to work' if self.well else 'not all steps were seen to work'}"

    def keep(self, lake: Lake) -> str:
        """Write it to the lake, once; return where."""
        path = f"doctor/{self.network}{'' if self.real else '-stand-in'}-{self.began}.json"
        lake.put(
            path, orjson.dumps({**asdict(self), "well": self.well, "words": self.words}, option=orjson.OPT_INDENT_2)
        )
        return path


def here(lake: Lake, ray_address: str) -> list[Check]:
    """Check this machine: versions, store, disk, catalog, and which Ray would be used."""
    return [*_versions(), _store(lake), _disk(lake.local), _catalog(lake), _ray(ray_address)]


async def checkup(venue: Venue, url: str, signer: str, account: str) -> list[Check]:
    """Check the venue, and with a key (its address: `signer`) the account: reachable, clock, agent, mode, money, budget."""
    try:
        before = _now()
        clock = await venue.clock()
    except VenueError as error:
        todo = "start one: `quantga exchange --state paper --replay DIR --account ADDRESS=10000`"
        paper = venue.network is Network.PAPER
        return [Check("venue", "red", str(error), todo if paper else "check the network, then the venue's status page")]
    took = _now() - before
    found = [Check("venue", "ok", f"{url} answered in {took} ms")]
    skew = (before + _now()) / 2 - clock.wall
    state: State = "ok" if abs(skew) < 2_000 else "warning" if abs(skew) < 30_000 else "red"
    found.append(
        Check(
            "clock",
            state,
            f"{skew / 1000:+.1f} s against the venue's",
            "" if state == "ok" else "let the machine's clock follow NTP",
        )
    )
    if not signer:
        return [
            *found,
            Check(
                "key", "warning", "no key was given: the account was not looked at", "give --key-file, or QUANTGA_KEY"
            ),
        ]
    try:
        standing = await prove(venue, signer, account, ())
        left = await venue.address_budget(standing.account)
    except (ConfigError, VenueError) as error:
        return [*found, Check("account", "red", str(error), "mend that; then ask again")]
    found.append(
        Check("account", "ok", f"{signer} may trade for {standing.account}, which has {standing.state.value} USDC")
    )
    free = left.cap - left.used
    state = "ok" if free > 1_000 else "warning" if free > 0 else "red"
    todo = "" if state == "ok" else "trade by hand, or buy actions from the venue: each USDC traded adds one"
    return [*found, Check("action budget", state, f"{free:,} of {left.cap:,} actions are left", todo)]


async def walk(recording: Recording, venue: Venue, url: str, signer: str, account: str, coin: str) -> Walk:
    """Place one tiny order, see it, cancel it, reconcile; `venue` speaks through `recording`. Never raises what a step met."""
    done = Walk(venue.network.value, url, url == URLS[venue.network] and venue.network is not Network.PAPER, _now())
    cloid = "0x" + f"{done.began:032x}"
    try:
        standing = await prove(venue, signer, account, (coin,))
        done.checks.append(Check("account", "ok", f"{signer} may trade for {standing.account}"))
        await _order(done, venue, standing, coin, cloid)
    except QuantgaError as error:
        done.checks.append(
            Check("walk", "red", str(error), "nothing more was tried; what was said is in the transcript")
        )
    done.transcript = recording.lines
    return done


async def _order(done: Walk, venue: Venue, standing: Standing, coin: str, cloid: str) -> None:
    """Go through the order's life; whatever happens, it is cancelled in the end."""
    asset, mids = standing.meta.asset(coin), await venue.mids()
    px = price(asset, Decimal(str(mids[coin])) * _AWAY, up=False)
    units = size(asset, MIN_NOTIONAL * Decimal("1.2") / px) + Decimal(1).scaleb(-asset.size_decimals)
    account, nonces = standing.account, Nonces()
    held = {one.coin: one.size for one in standing.state.positions}

    async def stamped(action: Place | Cancel) -> Any:
        clock = await venue.clock()
        nonce = nonces.stamp(_LIFETIME_MS)
        return (await venue.submit(action, type(nonce)(nonce.nonce, max(clock.admission, nonce.nonce) + _LIFETIME_MS)))[
            0
        ]

    order = OrderRequest(coin, buy=True, px=px, size=units, tif="Alo", cloid=cloid)
    try:
        outcome = await stamped(Place((order,)))
        good = isinstance(outcome, Resting)
        done.checks.append(_seen("placed", good, f"{units} {coin} at {px}: {outcome}"))
        shown = await _until(lambda: _open(venue, account, cloid), wanted=True)
        done.checks.append(_seen("seen", shown, f"{cloid} is {'' if shown else 'not '}among the open orders"))
    finally:
        cancelled = await stamped(Cancel(((coin, cloid),)))
    done.checks.append(_seen("cancelled", type(cancelled).__name__ == "Done", str(cancelled)))
    gone = await _until(lambda: _open(venue, account, cloid), wanted=False)
    report = await venue.order(account, cloid)
    done.checks.append(_seen("reported", gone and report.status == "canceled", f"the venue calls it {report.status!r}"))
    fills = [one for one in await venue.fills(account, done.began - 60_000) if one.cloid == cloid]
    after = {one.coin: one.size for one in (await venue.state(account)).positions}
    same = not fills and after == held
    done.checks.append(
        _seen("reconciled", same, f"{len(fills)} fills of it, positions {'as' if same else 'not as'} before")
    )


async def _open(venue: Venue, account: str, cloid: str) -> bool:
    return any(one.cloid == cloid for one in await venue.open_orders(account, priority=Priority.RECONCILE))


async def _until(ask: Callable[[], Awaitable[bool]], *, wanted: bool) -> bool:
    """Ask until the answer is as wanted, a few times; tell whether it was."""
    for _ in range(_TRIES):
        if await ask() == wanted:
            return True
        await asyncio.sleep(_PAUSE)
    return False


def _seen(name: str, good: bool, words: str) -> Check:
    return Check(name, "ok", words) if good else Check(name, "red", words, "the transcript has what the venue said")


def _versions() -> list[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info[:2] == (3, 12)
    found = [
        Check("python", "ok" if good else "red", python, "" if good else "quantga needs Python 3.12: `make install`")
    ]
    have, missing = [], []
    for name in _NEEDED:
        try:
            have.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    words = ", ".join(have) if not missing else f"missing: {', '.join(missing)}"
    return [*found, Check("packages", "red" if missing else "ok", words, "`make install`" if missing else "")]


def _store(lake: Lake) -> Check:
    try:
        lake.require_writable()
    except QuantgaError as error:
        return Check("store", "red", str(error), "give another --store, or mend its rights")
    return Check("store", "ok", f"{lake.root} can be written")


def _disk(folder: Path) -> Check:
    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    state: State = "red" if free < _DISK_RED else "warning" if free < _DISK_LOW else "ok"
    todo = "" if state == "ok" else "make room: a journal that cannot be written stops all new risk"
    return Check("disk", state, f"{free / 2**30:.1f} GiB free at {there}", todo)


def _catalog(lake: Lake) -> Check:
    try:
        before = lake.local / "catalog.duckdb"
        stood = before.stat().st_mtime_ns if before.exists() else 0
        path = refresh(lake)
        rows = query(
            lake, "SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM datasets) AS datasets"
        ).to_pylist()[0]
    except QuantgaError as error:
        return Check("catalog", "red", str(error), "`quantga catalog rebuild` makes it anew; nothing is lost")
    late = path.stat().st_mtime_ns != stood
    words = f"{rows['runs']} runs, {rows['datasets']} rows of datasets" + (
        "; it was behind the lake and is in step now" if late else ""
    )
    return Check("catalog", "ok", words)


def _ray(address: str) -> Check:
    return Check(
        "ray", "ok", f"ray {version('ray')}; " + (f"this names {address}" if address else "one would be started here")
    )


def _now() -> int:
    return time.time_ns() // 10**6
