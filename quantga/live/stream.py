"""The feed of one process: socket, closed bars, healing over REST, recordings; whoever wants bars takes them off a shelf.

Everything between a frame and its bar happens in one task without waiting, so frames queue in one place only: the socket.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from quantga.errors import ConfigError, VenueError
from quantga.live.bars import Ask, Assembler, Bar
from quantga.live.connection import Connection, Timing
from quantga.live.recorder import Recorder
from quantga.live.rules import Rules
from quantga.live.shelf import Shelf
from quantga.streams import dice
from quantga.venue.hyperliquid.weights import INTERVALS
from quantga.venue.market import Book, Candle, Context, FundingRate, Meta, Quote
from quantga.venue.stream import Frame, Subscription, Trades

HOUR = 3_600_000
LARGEST_INTERVAL = 86_400_000
"""Longer bars do not lie on a grid counted from 1970-01-01."""


class Source(Protocol):
    """What the feed asks a venue for over REST."""

    async def meta(self) -> Meta:
        """Return the assets."""
        ...

    async def candles(self, coin: str, interval: str, start: int, end: int) -> tuple[Candle, ...]:
        """Return the bars that open in [start, end]."""
        ...

    async def fundings(self, coin: str, start: int, end: int | None = None) -> tuple[FundingRate, ...]:
        """Return the fundings charged in [start, end]."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a feed brings.

    Args:
        url: the venue's http address.
        coins: coins, by the venue's names.
        intervals: bar intervals by the venue's names; the first coin's bars of all of them, and so on.
        history: closed bars that come first, over REST.
        depth: bars kept per series.
        record: folder of recordings; None: nothing is recorded.
        fundings: whether the published funding rates are fetched after each full hour.
        timing, rules: how long is waited.
        tick: seconds between looks at what is due.
        flush: seconds between writes of the recorder: what a crash may cost.
    """

    url: str
    coins: tuple[str, ...]
    intervals: tuple[str, ...] = ("1m",)
    history: int = 0
    depth: int = 5_000
    record: Path | None = None
    fundings: bool = False
    timing: Timing = field(default_factory=Timing)
    rules: Rules = field(default_factory=Rules)
    tick: float = 0.05
    flush: float = 1.0


@dataclass(slots=True)
class Now:
    """The last that was heard of a coin; `at` is our clock then (ns)."""

    quote: Quote | None = None
    context: Context | None = None
    book: Book | None = None
    at: int = 0


class Stream:
    """One feed. `run` it in an event loop; read `shelf` from anywhere."""

    def __init__(self, plan: Plan, source: Source, told: Callable[[Sequence[Bar]], None] | None = None) -> None:
        """`told` is called with closed bars as they come, in the feed's own task: it must not wait.

        Raises:
            ConfigError: no coin, or an interval that the venue lacks.
        """
        strange = [name for name in plan.intervals if INTERVALS.get(name, LARGEST_INTERVAL + 1) > LARGEST_INTERVAL]
        if strange or not plan.intervals or not plan.coins:
            known = ", ".join(name for name, length in INTERVALS.items() if length <= LARGEST_INTERVAL)
            raise ConfigError(
                f"a feed needs coins, and intervals out of {known}; given: {plan.coins}, {plan.intervals}"
            )
        self._plan, self._source, self._told = plan, source, told
        keys = [(coin, INTERVALS[name]) for coin in plan.coins for name in plan.intervals]
        self._names = {INTERVALS[name]: name for name in plan.intervals}
        self._core = Assembler(keys, history=plan.history, rules=plan.rules)
        chance = dice(os.getpid(), "feed", time.time_ns())
        self._link = Connection(plan.url, wanted(plan), self._heard, self._core.broken, plan.timing, chance)
        self._recorder = Recorder(plan.record) if plan.record is not None else None
        self._began = time.monotonic()
        self.shelf = Shelf(plan.depth)
        self.now: dict[str, Now] = {coin: Now() for coin in plan.coins}
        self.fundings: dict[str, tuple[FundingRate, ...]] = {}

    def resume(self, bars: Sequence[Bar]) -> None:
        """Go on after these bars, the last ones of their series; what came since is fetched."""
        for bar in bars:
            self._core.resume(bar.coin, bar.interval, bar.time)

    async def run(self) -> None:
        """Feed until cancelled.

        Raises:
            ConfigError: the venue does not have a coin.
            VenueError: the venue refuses a subscription again and again.
        """
        await self._check()
        parts = [self._link.run(), self._heal()]
        if self._recorder is not None:
            parts.append(self._record(self._recorder))
        if self._plan.fundings:
            parts.append(self._fund())
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(part)
        except* VenueError as errors:
            raise errors.exceptions[0] from None
        finally:
            if self._recorder is not None:
                await self._recorder.finish()

    async def _check(self) -> None:
        """Wait for the venue's metadata; the venue cuts a socket that names an unknown coin."""
        pause = self._plan.rules.retry
        while True:
            try:
                meta = await self._source.meta()
            except VenueError:
                await asyncio.sleep(pause)
                pause = min(self._plan.rules.longest, 2 * pause)
                continue
            for coin in self._plan.coins:
                if meta.asset(coin).delisted:
                    raise ConfigError(f"{coin} is delisted: leave it out")
            return

    def _heard(self, raw: bytes, frame: Frame, now: float, wall: int) -> None:
        channel, coin = "candle", ""
        if isinstance(frame, Quote):
            channel, coin, self._of(frame.coin, wall).quote = "bbo", frame.coin, frame
        elif isinstance(frame, Trades):
            channel, coin = "trades", frame.trades[0].coin if frame.trades else ""
        elif isinstance(frame, Candle):
            coin = frame.coin
        elif isinstance(frame, Book):
            channel, coin, self._of(frame.coin, wall).book = "l2Book", frame.coin, frame
        elif isinstance(frame, Context):
            channel, coin, self._of(frame.coin, wall).context = "activeAssetCtx", frame.coin, frame
        if self._recorder is not None and coin:
            self._recorder.put(wall, channel, coin, raw)
        self._tell(self._core.hear(frame, now, wall))

    def _of(self, coin: str, wall: int) -> Now:
        found = self.now.setdefault(coin, Now())
        found.at = wall
        return found

    def _tell(self, bars: list[Bar]) -> None:
        if bars:
            self.shelf.put(bars)
            if self._told is not None:
                self._told(bars)

    async def _heal(self) -> None:
        """Ask over REST what frames did not prove."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._plan.tick)
                for ask in self._core.asks(time.monotonic()):
                    group.create_task(self._ask(ask))

    async def _ask(self, ask: Ask) -> None:
        try:
            # Up to the venue's present time, so that no answer to an earlier question is given again.
            end = max(ask.end, ask.clock)
            rows = await self._source.candles(ask.coin, self._names[ask.interval], ask.start, end)
        except VenueError:
            self._core.failed(ask, time.monotonic())
            return
        self._tell(self._core.answer(ask, rows, time.monotonic(), time.time_ns()))

    async def _record(self, recorder: Recorder) -> None:
        while True:
            await asyncio.sleep(self._plan.flush)
            await recorder.flush()

    async def _fund(self) -> None:
        """Fetch the published fundings at the start, and after each full hour of the venue's clock."""
        hour, pause = -1, self._plan.rules.retry
        while True:
            await asyncio.sleep(self._plan.tick)
            clock = self._core.clock - 2_000
            if not self._core.clock or clock // HOUR == hour:
                continue
            try:
                for coin in self._plan.coins:
                    since = self.fundings[coin][-1].time if self.fundings.get(coin) else clock - 499 * HOUR
                    rows = await self._source.fundings(coin, max(0, since))
                    known = {row.time: row for row in (*self.fundings.get(coin, ()), *rows)}
                    self.fundings[coin] = tuple(known[at] for at in sorted(known))[-self._plan.depth :]
            except VenueError:
                await asyncio.sleep(pause)
                pause = min(self._plan.rules.longest, 2 * pause)
                continue
            hour, pause = clock // HOUR, self._plan.rules.retry

    def status(self) -> dict[str, Any]:
        """Return how the feed is: numbers since its start."""
        wall = time.time_ns()
        return {
            "up": self._link.up,
            "seconds": time.monotonic() - self._began,
            "data_age_s": self._link.data_age,
            "ages_s": {coin: (wall - now.at) / 1e9 if now.at else None for coin, now in self.now.items()},
            "clock": self._core.clock,
            "behind": {f"{coin} {self._names[length]}": n for (coin, length), n in self._core.behind().items()},
            "bars": asdict(self._core.counts),
            "traffic": asdict(self._link.traffic),
            "recorded": asdict(self._recorder.written) if self._recorder is not None else None,
        }


def wanted(plan: Plan) -> list[Subscription]:
    """Return what is subscribed to: trades before candles, so that the witness is heard first."""
    out: list[Subscription] = []
    for coin in plan.coins:
        out += [Subscription("trades", coin), Subscription("bbo", coin), Subscription("l2Book", coin, fast=True)]
        out += [Subscription("candle", coin, interval=name) for name in plan.intervals]
        out.append(Subscription("activeAssetCtx", coin))
    return out
