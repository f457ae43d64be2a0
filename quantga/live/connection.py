"""One socket to the venue, for ever: subscribed, watched by the age of its data, and replaced when it fails.

The socket's own state says little: a feed that died in silence still answers pings. So data must come, pongs must come, and
every subscription must be acknowledged, each in time; otherwise the socket is cut and a new one is made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from quantga.errors import Unknown, VenueError
from quantga.venue.hyperliquid.streams import LARGEST, PING, address, read, request
from quantga.venue.sockets import SocketBudget, SocketLimits
from quantga.venue.stream import Ack, Frame, Pong, Refusal, Subscription, Unread

QUEUE = 1024
"""Frames that wait in this process before reading stops, and the venue's side has to wait."""
INVALID = ("Invalid subscription", "Error parsing JSON", "Cannot track")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long is waited (s), and how often is tried."""

    stale: float = 5.0
    """Without data: fast books come each half second."""
    ack: float = 10.0
    """For all subscriptions to be acknowledged."""
    ping: float = 15.0
    pong: float = 10.0
    """For a pong, which waits behind all data not read yet: a process that cannot keep up is seen here."""
    pause: float = 0.25
    longest: float = 15.0
    """Before a new socket: doubled after each failure, up to the longest, and jittered."""
    limits: SocketLimits = field(default_factory=lambda: SocketLimits(new_a_minute=20, messages=1_200))
    """What of the venue's allowance per address this socket takes: the rest is for traders and the command line."""
    refusals: int = 3
    """Sockets in a row on which a subscription was refused, before that is an error."""


@dataclass(slots=True)
class Traffic:
    """What went over the sockets, in numbers."""

    frames: int = 0
    bytes: int = 0
    connects: int = 0
    failures: int = 0
    stale: int = 0
    lost_pongs: int = 0
    unacked: int = 0
    refused: int = 0
    unread: int = 0
    bad: int = 0
    pong_ms: float = 0.0
    """How long the last pong took."""


type Heard = Callable[[bytes, Frame, float, int], None]
"""Takes a frame as it came, what it says, and when (s, monotonic; ns, wall)."""


class Connection:
    """Keeps one socket alive and hands over its frames."""

    def __init__(
        self,
        url: str,
        wanted: Sequence[Subscription],
        heard: Heard,
        broken: Callable[[], None],
        timing: Timing,
        dice: Random,
    ) -> None:
        """`url` is the venue's http address; `broken` is called whenever frames may be missed from now on.

        Raises:
            Denied: more subscriptions than the venue allows.
        """
        self._budget = SocketBudget(timing.limits)
        for subscription in wanted:
            self._budget.subscribe(subscription.user)
        self._url, self._wanted, self._timing, self._dice = address(url), tuple(wanted), timing, dice
        self._heard, self._broken = heard, broken
        self._pending: set[Subscription] = set()
        self._last = self._pinged = self._began = 0.0
        self._awaited = False
        self._flowed = False
        self._refusals: list[str] = []
        self.traffic = Traffic()
        self.up = False
        """Whether all subscriptions are acknowledged."""

    @property
    def data_age(self) -> float:
        """Seconds since the last frame with data; inf before the first."""
        return time.monotonic() - self._last if self._last else float("inf")

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises:
            VenueError: the venue refuses a subscription again and again.
        """
        pause = 0.0
        while True:
            await asyncio.sleep(pause * self._dice.uniform(0.5, 1.0) + self._budget.open(time.monotonic()))
            self._flowed, self.up = False, False
            try:
                await self._talk()
            except (WebSocketException, OSError, TimeoutError, EOFError):
                self.traffic.failures += 1
            self.up = False
            self._budget.close()
            self._broken()
            pause = (
                self._timing.pause if self._flowed else min(self._timing.longest, max(self._timing.pause, 2 * pause))
            )
            if len(self._refusals) >= self._timing.refusals:
                raise VenueError(f"the venue refuses what is subscribed to: {self._refusals[-1]}")

    async def _talk(self) -> None:
        options = {"compression": None, "ping_interval": None, "max_size": LARGEST, "max_queue": QUEUE}
        async with connect(self._url, open_timeout=self._timing.ack, close_timeout=1, **options) as socket:  # type: ignore[arg-type]
            self.traffic.connects += 1
            self._began = self._pinged = time.monotonic()
            self._last, self._awaited = 0.0, False
            self._pending = set(self._wanted)
            tasks = [asyncio.ensure_future(part(socket)) for part in (self._subscribe, self._watch, self._listen)]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                while tasks[0] in done and tasks[0].exception() is None and len(done) == 1:
                    done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                socket.transport.abort()

    async def _subscribe(self, socket: ClientConnection) -> None:
        for subscription in self._wanted:
            await self._send(socket, request(subscription))

    async def _send(self, socket: ClientConnection, text: str) -> None:
        wait = self._budget.message(time.monotonic())
        if wait:
            await asyncio.sleep(wait)
        await socket.send(text)

    async def _watch(self, socket: ClientConnection) -> None:
        """End when data, a pong or an acknowledgement is overdue; ping in between."""
        timing, traffic = self._timing, self.traffic
        step = min(timing.stale, timing.ping, timing.pong, timing.ack) / 4
        while True:
            await asyncio.sleep(step)
            now = time.monotonic()
            if now - (self._last or self._began) > timing.stale:
                traffic.stale += 1
                return
            if self._pending and now - self._began > timing.ack:
                traffic.unacked += 1
                return
            if self._awaited and now - self._pinged > timing.pong:
                traffic.lost_pongs += 1
                return
            if not self._awaited and now - self._pinged > timing.ping:
                self._awaited, self._pinged = True, now
                await self._send(socket, PING)

    async def _listen(self, socket: ClientConnection) -> None:
        traffic = self.traffic
        while True:
            raw = await socket.recv(decode=False)
            now, wall = time.monotonic(), time.time_ns()
            traffic.frames += 1
            traffic.bytes += len(raw)
            try:
                frame = read(raw)
            except Unknown:
                traffic.bad += 1
                continue
            if isinstance(frame, Ack | Pong | Refusal | Unread):
                self._control(frame, now)
            else:
                self._last = now
                self._flowed = True
                self._heard(raw, frame, now, wall)

    def _control(self, frame: Ack | Pong | Refusal | Unread, now: float) -> None:
        if isinstance(frame, Pong):
            self.traffic.pong_ms = (now - self._pinged) * 1000
            self._awaited = False
        elif isinstance(frame, Ack):
            self._pending.discard(frame.subscription)
            if not self._pending and not self.up:
                self.up = True
                self._refusals.clear()
        elif isinstance(frame, Refusal):
            self.traffic.refused += 1
            if frame.reason.startswith(INVALID):
                self._refusals.append(frame.reason)
        else:
            self.traffic.unread += 1
