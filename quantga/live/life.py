"""The life of a trader in one process: lease, journal, proofs, recovery, then bars as they close until it is stopped.

Starting is recovering, so it may end at any point. How it ends is defined: stopped, or the reason as an error: the lease was
lost, the store or the disk failed. In every case the stops wait at the venue; docs/live.md has the table.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from quantga.errors import ConfigError, Conflict, QuantgaError, StoreError, VenueError
from quantga.live.bars import Bar
from quantga.live.beginning import Begun, Wanted, begin
from quantga.live.closes import Closes
from quantga.live.dealer import Dealer
from quantga.live.flatten import Exit
from quantga.live.lease import LOOK_S, Lease, lease
from quantga.live.places import Account
from quantga.live.resuming import resume
from quantga.live.startup import Standing, master_of, prove, set_leverage
from quantga.live.stream import Now, Plan, Stream
from quantga.live.trading import Trader
from quantga.store.lake import open_lake
from quantga.venue.budget import Limits
from quantga.venue.desk import Desk
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.hyperliquid.weights import INTERVALS, actual, learned
from quantga.venue.protocol import Network, Venue
from quantga.venue.wire import Wire

__all__ = ["Hear", "Life", "Market", "Timing", "own_wire"]

_SETTLING_S = 30.0


@dataclass(frozen=True)
class Timing:
    """Seconds. beat: between signs of life; wake: between looks at what is due; check: between reconciliations.

    straggler: how long the bars of one close wait for each other; rates: how long they wait for the hour's funding rate; fresh:
    how old a mark may be; silent: without market data, after which the account is halted; rest: for one request; patience:
    for a venue that does not answer at the start.
    """

    beat: float = 1.0
    wake: float = 0.1
    check: float = 15.0
    straggler: float = 2.0
    rates: float = 5.0
    fresh: float = 3.0
    silent: float = 120.0
    rest: float = 3.0
    patience: float = 10.0


class Market(Protocol):
    """Where closed bars and marks come from: a feed of this process, or the actor's."""

    @property
    def now(self) -> Mapping[str, Now]:
        """The last that was heard of each coin."""
        ...

    def resume(self, bars: Sequence[Bar]) -> None:
        """Go on after these bars."""
        ...

    async def run(self) -> None:
        """Bring bars until cancelled."""
        ...

    def status(self) -> dict[str, Any]:
        """Return how the feed is: of it, `data_age_s` and how often it connected are read."""
        ...


type Hear = Callable[[Sequence[Bar]], None]


@asynccontextmanager
async def own_wire(url: str, seconds: float, limits: Limits | None = None) -> AsyncIterator[Wire]:
    """Open a way to the venue that leaves from this process, with its own budget."""
    async with Rest(url, timeout=seconds) as rest:
        yield Desk(rest, actual, limits, learn=learned)


@dataclass
class Life:
    """One trader. `run` it in an event loop; `stop` ends it at the next safe point, from any thread.

    wire, market: how the venue is reached, and where bars come from; by default from this process.
    """

    wanted: Wanted
    key: str
    say: Callable[[str], None] = print
    timing: Timing = field(default_factory=Timing)
    wire: Callable[[str, float], AbstractAsyncContextManager[Wire]] = own_wire
    market: Callable[[Plan, Venue, Hear], Market] = Stream

    def __post_init__(self) -> None:
        self._stopping = False
        self._lost: QuantgaError | None = None
        self._unwritten: StoreError | None = None
        self._until = math.inf
        self._asked: list[tuple[str, str, str]] = []
        self._lively = time.monotonic()
        self._signer = ""

    def stop(self) -> None:
        """End at the next safe point: nothing is decided any more, outcomes are settled, positions and stops stay."""
        self._stopping, self._until = True, time.monotonic() + _SETTLING_S

    async def run(self) -> None:
        """Trade until stopped.

        Raises:
            ConfigError: what was asked for cannot be traded; nothing was sent.
            Conflict: another process trades the account, or took it over.
            StoreError: store or disk failed; positions were seen to be protected.
        """
        lake = open_lake(self.wanted.store)
        lake.require_writable()
        signer = Signer(self.key, mainnet=self.wanted.network is Network.MAINNET)
        self._signer = signer.address
        async with self.wire(self.wanted.url, self.timing.rest) as wire:
            client = Hyperliquid(wire, self.wanted.network, signer)
            account = await self._patiently(lambda: master_of(client, signer.address, self.wanted.account))
            place = Account.of(lake, self.wanted.network.value, account)
            with lease(lake, place.folder.name) as right:
                await self._begin(client, place, right, signer.address)

    async def _begin(self, client: Hyperliquid, place: Account, right: Lease, key: str) -> None:
        wanted = self.wanted
        standing = await self._patiently(lambda: prove(client, key, wanted.account, wanted.symbols))
        clock = await self._patiently(client.clock)
        orders = await self._patiently(lambda: client.open_orders(standing.account))
        begun = begin(place, wanted, standing, clock.market, bool(orders))
        how = "begins" if begun.fresh else "goes on"
        self.say(f"session {begun.session.began.session} of {standing.account} {how}: {place.folder}")
        with begun.journal:
            dealer = Dealer(client, begun.journal, begun.session, fence=lambda: right.remaining_ms, sleep=self._sleep)
            terms = begun.terms
            trader = Trader(
                dealer, begun.strategies, terms.limits, standing.meta, execution=terms.execution,
                volatility=terms.volatility, last=dict(begun.decided),
            )  # fmt: skip
            beside = [self._renew(right), self._beat(place, begun), self._heed(place, trader)]
            tasks = [asyncio.create_task(one) for one in beside]
            try:
                await self._work(begun, trader, standing, right)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if self._stopping:
                    place.beat(self._sign(begun))

    async def _work(self, begun: Begun, trader: Trader, standing: Standing, right: Lease) -> None:
        try:
            if right.waits:
                self.say(f"{right.before} may hold the account still: waiting {right.waits:.0f} s")
                await asyncio.sleep(right.waits)
            known = [symbol for symbol in begun.terms.symbols if begun.history.last(symbol) is not None]
            trader.learn({symbol: begun.history.bars(symbol, fundings=False) for symbol in known})
            await trader.resume()
            await set_leverage(trader.dealer, standing.meta, begun.terms.limits, begun.terms.symbols)
            self.say("recovered: every outcome is known and every position has its stop")
            await self._follow(begun, trader)
            await self._end(trader)
        except TimeoutError:
            self.say("stopped; the venue does not answer: what is open is settled at the next start")
        except StoreError as error:
            if error is not self._lost:
                await self._shield(begun, trader, standing)
            raise

    async def _follow(self, begun: Begun, trader: Trader) -> None:
        """Follow the market until stopped."""
        heard: list[Bar] = []
        wake = asyncio.Event()

        def hear(bars: Sequence[Bar]) -> None:
            heard.extend(bars)
            wake.set()

        closes = Closes(begun, trader.dealer, self.timing.straggler, self.timing.rates)
        await closes.warm()
        stream = self._stream(trader, begun, closes, hear)
        trader.quick = lambda: self._marks(stream, trader.symbols)
        running = asyncio.create_task(stream.run())
        checked, connects = time.monotonic(), 0
        try:
            while not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), self.timing.wake)
                wake.clear()
                if running.done():
                    running.result()
                self._require()
                await self._due(begun, trader, closes, heard)
                met = stream.status()["traffic"]["connects"]
                if met != connects or time.monotonic() - checked > self.timing.check:
                    await trader.resume()
                    self._listen(stream, trader)
                    checked, connects = time.monotonic(), met
                self._lively = time.monotonic()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _due(self, begun: Begun, trader: Trader, closes: Closes, heard: list[Bar]) -> None:
        """Do what is due, the most urgent first."""
        while self._asked:
            await self._obey(trader, *self._asked.pop(0))
        new = [bar for bar in heard if begun.history.add(bar)]
        heard.clear()
        trader.dealer.note(*new)
        bars = await closes.due()
        if bars:
            await trader.act(bars)
        else:
            await trader.surely(trader.leave)

    async def _obey(self, trader: Trader, name: str, symbol: str, reason: str) -> None:
        """Do what a person asked for; halts were latched when they were heard."""
        if name == "flatten":
            await trader.surely(lambda: trader.flatten(reason))
            self.say("flat, by the venue's answer")
        elif name == "halt":
            await trader.surely(trader.withdraw)
        elif name == "resume":
            try:
                await resume(trader.dealer, symbol)
            except (ConfigError, VenueError) as error:
                self.say(f"not resumed: {error}")
                return
            self.say(f"resumed {symbol or 'the account'}")

    async def _heed(self, place: Account, trader: Trader) -> None:
        """Take requests; a halt is latched at once, whatever the trader is doing."""
        while True:
            for path, asked in place.requests():
                name, symbol = str(asked.get("ask", "")), str(asked.get("symbol", ""))
                reason = str(asked.get("reason", "")) or f"{name} was asked for"
                try:
                    if name in {"halt", "flatten"}:
                        trader.guard.halt(symbol if name == "halt" else "", reason)
                        self.say(f"halted {symbol}: {reason}")
                except StoreError as error:
                    self._unwritten = error
                self._asked.append((name, symbol, reason))
                path.unlink(missing_ok=True)
            await asyncio.sleep(self.timing.wake)

    async def _renew(self, right: Lease) -> None:
        """Renew the lease; what cannot be renewed ends the trader before it ends itself."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await asyncio.to_thread(right.look)
            except Conflict as error:
                self._lost = error
            except StoreError as error:
                if right.remaining_ms == 0:
                    self._lost = error

    async def _sleep(self, seconds: float) -> None:
        """Pause between two tries, unless there is no sense in another one."""
        self._require()
        await asyncio.sleep(seconds)

    def _require(self) -> None:
        """Raise what ends this trader: a lost lease, a journal that cannot be written, a stop that took too long."""
        for failure in (self._lost, self._unwritten):
            if failure is not None:
                raise failure
        if time.monotonic() > self._until:
            raise TimeoutError

    async def _beat(self, place: Account, begun: Begun) -> None:
        """Tell others that the trader lives: `lively` is when its loop went round last."""
        while True:
            with contextlib.suppress(StoreError):
                place.beat(self._sign(begun))
            await asyncio.sleep(self.timing.beat)

    def _sign(self, begun: Begun) -> dict[str, object]:
        now, session = time.time_ns() // 10**6, begun.session
        age = int((time.monotonic() - self._lively) * 1_000)
        return {
            "at": now, "lively": now - age, "process": os.getpid(), "session": session.began.session,
            "account": session.began.account, "network": begun.terms.network, "url": self.wanted.url,
            "halts": dict(session.halts), "signer": self._signer, "leaving": self._stopping,
        }  # fmt: skip

    async def _end(self, trader: Trader) -> None:
        """Come to the end that SIGTERM asks for: entries withdrawn, outcomes known, stops in place."""
        await trader.surely(trader.withdraw)
        await trader.resume()
        held = ", ".join(f"{trader.dealer.session.book.net(one)} lots of {one}" for one in trader.symbols)
        self.say(f"stopped; held with their stops: {held}")

    async def _shield(self, begun: Begun, trader: Trader, standing: Standing) -> None:
        """The journal cannot be written: close, unjournaled and reduce-only, what has no stop. Everything else stays."""
        out = Exit(
            trader.dealer.venue, standing.account, standing.meta, Nonces(begun.session.nonce), begun.terms.execution
        )
        with contextlib.suppress(TimeoutError, VenueError):
            async with asyncio.timeout(_SETTLING_S):
                closed = await out.shielded()
                self.say(f"the journal failed: {', '.join(closed) or 'nothing'} had to be closed, stops stand")

    def _stream(self, trader: Trader, begun: Begun, closes: Closes, hear: Hear) -> Market:
        name = next(name for name, length in INTERVALS.items() if length == begun.terms.interval)
        since = max(one.since for one in begun.strategies)
        plan = Plan(self.wanted.url, closes.followed, (name,), history=since - begun.terms.origin)
        stream = self.market(plan, trader.dealer.venue, hear)
        stream.resume([bar for symbol in closes.followed if (bar := begun.history.last(symbol)) is not None])
        return stream

    def _marks(self, stream: Market, symbols: Sequence[str]) -> dict[str, float]:
        """Return the marks that the stream told lately."""
        oldest = time.time_ns() - int(self.timing.fresh * 1e9)
        heard = {symbol: stream.now[symbol] for symbol in symbols}
        return {s: now.context.mark for s, now in heard.items() if now.context is not None and now.at > oldest}

    def _listen(self, stream: Market, trader: Trader) -> None:
        """Halt where the market was silent for too long while something is held."""
        age = stream.status()["data_age_s"]
        held = any(trader.dealer.session.book.net(symbol) for symbol in trader.symbols)
        if held and age is not None and age > self.timing.silent:
            trader.guard.halt("", f"no market data for {age:.0f} s while something is held")

    async def _patiently[Answer](self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until the venue answers; ConfigError when it does not within the patience."""
        end, first = time.monotonic() + self.timing.patience, None
        while True:
            try:
                return await ask()
            except VenueError as error:
                first = first or error
                if time.monotonic() > end:
                    raise ConfigError(f"no usable answer from {self.wanted.url} ({first}){self._hint}") from error
                await asyncio.sleep(0.5)

    @property
    def _hint(self) -> str:
        start = ": start one with `quantga exchange --state paper --replay BARS` (docs/exchange.md)"
        return start if self.wanted.network is Network.PAPER else ""
