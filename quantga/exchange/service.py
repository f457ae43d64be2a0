"""The running exchange: commands in order through engine and journal, answers only when durable, events to the hub."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantga.errors import ConfigError
from quantga.exchange import snapshot
from quantga.exchange.assets import MICRO, Asset, load_assets
from quantga.exchange.bars import Bars, read_folder
from quantga.exchange.clock import Clock
from quantga.exchange.clockwork import HOUR
from quantga.exchange.desk import Desk, Events
from quantga.exchange.engine import Engine, new_engine, resumed_engine
from quantga.exchange.faults import HOW_LONG, Faults, Planned
from quantga.exchange.hub import FAST, SLOW, Hub
from quantga.exchange.journal import Journal
from quantga.exchange.limits import Limits, Meter
from quantga.exchange.mirror import Mirror, fetch_start
from quantga.exchange.mirrored import begin_mirror
from quantga.exchange.replay import Choice, read_replay

Json = Any
SNAPSHOT_EVERY = 200_000
"""Orders, cancels and ticks after which a snapshot is due: a restart replays at most these."""
BEAT = 0.1
FIRST_BOOKS = 10.0
"""Seconds that a mirrored venue has for its first books before the port answers without."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an exchange is started. `speed` None = the market moves only by `step`.

    `cadence` is the pause (s) between frames of fast books and of the others; `greeting` sends a text before all frames, as
    the venue once did.
    """

    state: Path
    replay: Path | None = None
    choice: Choice = field(default_factory=Choice)
    mirror: str = ""
    coins: tuple[str, ...] = ()
    accounts: dict[str, int] = field(default_factory=dict)
    speed: float | None = 1.0
    seed: int = 7
    start: int | None = None
    assets: Path | None = None
    limits: Limits = field(default_factory=Limits)
    script: tuple[Planned, ...] = ()
    cadence: tuple[float, float] = (FAST, SLOW)
    greeting: bool = False


class Exchange:
    """One exchange over one state folder."""

    def __init__(self, options: Options) -> None:
        """Recover or begin.

        Raises:
            ConfigError: options or state folder do not fit.
            BadBars: the replay cannot be read.
        """
        self._options = options
        self._journal = Journal(options.state)
        self._assets, self._bars = _market(options)
        self.engine = self._recover()
        self.clock = Clock(self.engine.state.market, options.speed)
        self.faults = Faults()
        self.meter = Meter(options.limits)
        self.hub = Hub(lambda: self.engine.desk, options.cadence)
        self._outbox: deque[tuple[int, Events]] = deque()
        self._script = deque(options.script)
        self._began = time.monotonic()
        self._compacting = False
        for address, amount in options.accounts.items():
            if address not in self.engine.state.accounts:
                self._commit({"k": "fund", "u": address, "usd": amount})
        self._journal.sync()
        self._outbox.clear()

    @property
    def greeting(self) -> bool:
        """Whether a socket begins with a text that is no JSON."""
        return self._options.greeting

    @property
    def desk(self) -> Desk:
        """The engine's desk."""
        return self.engine.desk

    def _recover(self) -> Engine:
        data, commands = self._journal.recover()
        if data is None:
            named = [self._assets[one.name] for one in self._bars]
            start = self._options.start
            if self._options.mirror:
                start = max(int(bars.ts[-1]) for bars in self._bars)
            engine = new_engine(self._bars, named, seed=self._options.seed, start=start)
            if self._options.mirror:
                begin_mirror(engine.desk, self._options.state)
            self._journal.start(snapshot.dump(engine.state))
            return engine
        engine = resumed_engine(snapshot.load(data), self._assets, self._bars)
        for command in commands:
            engine.apply(command)
        if commands:
            self._journal.start(snapshot.dump(engine.state))
        return engine

    def _commit(self, command: Json) -> tuple[Json, int]:
        """Stamp, apply and write a command; its answer and the journal's mark to wait for."""
        state = self.engine.state
        command["w"] = max(self.clock.wall(), 0)
        command["m"] = max(self.clock.market(), state.market)
        outcome = self.engine.apply(command)
        mark = self._journal.append(command, work_of(command))
        self._outbox.append((mark, outcome.events))
        return outcome.answer, mark

    async def submit(self, command: Json) -> Json:
        """Apply a command; return its answer once it is durable and its events are on their way.

        An unexpected failure leaves nothing half-done: memory is rebuilt from the disk.
        """
        try:
            answer, mark = self._commit(command)
        except (ConfigError, OSError):
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            await self.restart()
            raise
        await self._journal.durable(mark)
        self._publish(mark)
        return answer

    def _publish(self, mark: int) -> None:
        while self._outbox and self._outbox[0][0] <= mark:
            self.hub.publish(self._outbox.popleft()[1])

    async def restart(self) -> None:
        """Forget memory, recover from disk; sockets are dropped, as by a process that was replaced."""
        await self._journal.settle()
        self._journal.close()
        self._outbox.clear()
        self._journal = Journal(self._options.state)
        self.engine = self._recover()
        self.clock = Clock(self.engine.state.market, self._options.speed)
        await self.drop_sockets()

    async def drop_sockets(self) -> None:
        """Cut every socket's transport."""
        for socket in list(self.hub.sockets):
            request = socket.ws._req  # noqa: SLF001 -- aiohttp has no public way to cut a socket without a close frame
            if request is not None and request.transport is not None:
                request.transport.abort()

    async def run(self) -> None:
        """Move the clock, keep cadences, run the fault script, compact the journal, follow a mirror; for ever."""
        following: asyncio.Task[None] | None = None
        if self._options.mirror:
            mirror = Mirror(self._options.mirror, self.desk.assets, self.submit, self._follow, self._newest)
            following = asyncio.ensure_future(mirror.run(self._bars[0].interval))
        try:
            await self._beat(following)
        finally:
            if following is not None:
                following.cancel()

    async def opened(self) -> None:
        """Wait until every market has a book, as long as a mirrored venue may take to send its first ones."""
        end = time.monotonic() + FIRST_BOOKS
        while self._options.mirror and time.monotonic() < end:
            if all(market.bids and market.asks for market in self.engine.state.coins):
                return
            await asyncio.sleep(BEAT)

    def _follow(self, market: int) -> None:
        """Take another venue's time; a restart in place has replaced the clock."""
        self.clock.follow(market)

    def _newest(self, coin: int) -> int:
        """The open time of a coin's last bar."""
        return int(self.desk.bars[coin].ts[-1])

    async def _beat(self, following: asyncio.Task[None] | None) -> None:
        while True:
            if following is not None and following.done():
                following.result()
            await asyncio.sleep(BEAT)
            now = time.monotonic()
            while self._script and self._script[0].after <= now - self._began:
                await self.fault(dict(self._script.popleft().body))
            if self._due():
                await self.submit({"k": "tick"})
            if not self.clock.stepped or following is not None:
                self.hub.beat(now)
            for socket in self.hub.idle(now, self._options.limits.idle):
                asyncio.ensure_future(socket.ws.close(code=1000, message=b"Inactive"))  # noqa: RUF006
            if self._journal.work > SNAPSHOT_EVERY:
                await self.compact()

    def _due(self) -> bool:
        state = self.engine.state
        switches = any(a.cancel_at and a.cancel_at <= self.clock.wall() for a in state.accounts.values())
        due = self.engine.clockwork.due()
        return switches or (due is not None and due <= self.clock.market())

    async def compact(self) -> None:
        """Write a snapshot and begin a new journal."""
        await self._journal.settle()
        self._journal.sync()
        self._journal.start(snapshot.dump(self.engine.state))

    async def step(self, ms: int) -> int:
        """Move a stepped market by `ms`, and send one frame of every book; the market's new time.

        It moves an hour at a time, so that a long way leaves nobody unanswered.

        Raises:
            ConfigError: the market runs by itself.
        """
        if not self.clock.stepped or self._options.mirror:
            raise ConfigError("the market runs at a ratio: start with --step to move it by command")
        while ms > 0 and self.engine.state.market < self.engine.clockwork.end():
            self.clock.step(min(ms, HOUR))
            ms -= HOUR
            await self.submit({"k": "tick"})
        for fast in (True, False):
            self.hub.books(fast=fast)
        return self.engine.state.market

    async def fund(self, address: str, usdc: int) -> None:
        """Credit an account with `usdc` millionths."""
        await self.submit({"k": "fund", "u": address, "usd": usdc})

    async def fault(self, body: Json) -> None:
        """Switch a fault on.

        Raises:
            ConfigError: unknown fault, or an argument is missing.
        """
        name = body.get("fault", "")
        user = str(body.get("user", "")).lower()
        if name in {"quota", "liquidate"} and user not in self.engine.state.accounts:
            raise ConfigError(f"{name} needs `user`, a funded address")
        if name == "quota":
            left = 10**6 + 2 * self.engine.state.accounts[user].volume // MICRO
            await self.submit({"k": "spend", "u": user, "n": left})
        elif name == "liquidate":
            await self.submit({"k": "liquidate", "u": user})
        elif name == "skew":
            self.clock.skew = int(body.get("ms", 0))
        elif name == "drop_sockets":
            await self.drop_sockets()
        elif name == "restart":
            await self.restart()
        elif name == "die":
            os._exit(9)
        elif name == "clear":
            self.faults.clear()
        else:
            seconds = float(body.get("seconds", 2.0 if name in HOW_LONG else 10.0))
            self.faults.switch(name, count=int(body.get("count", 1)), seconds=seconds)

    async def close(self) -> None:
        """A clean end: a snapshot, and the folder is released."""
        await self._journal.settle()
        self._journal.sync()
        if self._journal.work:
            self._journal.start(snapshot.dump(self.engine.state))
        self._journal.close()


def _market(options: Options) -> tuple[dict[str, Asset], list[Bars]]:
    """Assets and bars: of the replay, or of the mirrored venue as it was at the first start.

    Raises:
        ConfigError: neither or both are asked for, or the files do not fit.
        VenueError: the mirrored venue does not answer.
    """
    if bool(options.mirror) == (options.replay is not None):
        raise ConfigError("give either --replay PATH or --mirror URL")
    if options.replay is not None:
        assets = load_assets(options.assets)
        return assets, read_replay(options.replay, assets, options.choice)
    if not (options.state / "assets.json").exists():
        fetch_start(options.mirror, list(options.coins), options.state)
    assets = load_assets(options.state / "assets.json")
    return assets, read_folder(options.state / "bars", assets)


def work_of(command: Json) -> int:
    """How many orders, cancels or ticks a command holds."""
    action = command.get("a", {})
    return max(1, *(len(action.get(key, ())) for key in ("orders", "cancels", "modifies")))
