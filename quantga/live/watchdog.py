"""The watchdog: when the trader gives no sign of life, orders that could add to a position are cancelled.

It runs outside Ray, with a key of its own (two processes with one key would use up each other's nonces), and knows nothing of
the trader but its heartbeat. Reduce-only orders stay: they are what protects a position while nobody trades. Each look asks
the venue anew and does what is left to do, so that a lost answer, or a death of the watchdog itself, needs no memory.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from quantga.errors import ConfigError, Rejected, VenueError
from quantga.live.heartbeat import NOTICE, Pulse, put
from quantga.venue.account import AccountState, Cancel, OrderRequest, Place, ScheduleCancel, Stamp
from quantga.venue.budget import ALONE
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rules import price
from quantga.venue.market import Meta
from quantga.venue.protocol import Network, Priority, Venue

__all__ = ["RESERVE", "Alert", "Notice", "Patience", "Watchdog", "loopback_only"]

RESERVE = replace(ALONE, weight=100)
"""What other processes at this IP address leave to watchdog and command line (`Limits.outside`)."""
GRANTED = Decimal(1_000_000)
"""USDC traded from which on the venue takes `scheduleCancel`."""
BATCH = 200
_RISK = Priority.RISK
_HOUR = 3_600.0
_TURN = 0.25  # seconds between two looks at the heartbeat
_LIFETIME_MS = 5_000
_REACH = Decimal("0.05")


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds.

    lost: without a beat, until entries are cancelled. again: from then on until the second look: what the trader sent last
    may arrive until it expires. every: between later looks. look: between looks at the account while all is well. probe: between
    tries while the venue does not answer. flatten: without a beat, until positions are closed; infinite: never.
    ahead: for how long the venue's own switch is set; it is set again at half of it.
    """

    lost: float = 5.0
    again: float = 6.5
    every: float = 20.0
    look: float = 5.0
    probe: float = 2.0
    flatten: float = float("inf")
    ahead: float = 60.0


@dataclass(frozen=True)
class Alert:
    """Something a person should know; `name` is its heading in docs/runbook.md."""

    name: str
    words: str


@dataclass
class Notice:
    """Where the watchdog stands. armed: whether the venue's own switch is set; why not: `unarmed`."""

    pid: int
    account: str
    at: int = 0
    age: float = 0.0
    lost: bool = False
    reached: bool = False
    flat: bool | None = None
    armed: bool = False
    unarmed: str = "not known yet"
    cancelled: int = 0


class Watchdog:
    """Watches one trader for one account. The caller owns time: `step` is called a few times a second."""

    def __init__(
        self,
        venue: Venue,
        account: str,
        pulse: Pulse,
        tell: Callable[[Alert], None],
        patience: Patience = Patience(),
        nonces: Nonces | None = None,
    ) -> None:
        self._venue, self._account, self._pulse = venue, account.lower(), pulse
        self._tell, self._patience, self._nonces = tell, patience, nonces or Nonces()
        self._due, self._failing, self._looks, self._closed = 0.0, False, 0, False
        self._granted: bool | None = None
        self._set, self._until, self._asked = True, 0, 0.0  # another watchdog may have set the switch
        self._meta: Meta | None = None
        self.notice = Notice(0, self._account)

    @property
    def well(self) -> bool:
        """Whether the trader lives and the venue answers."""
        return not self.notice.lost and self.notice.reached

    async def check(self, signer: str, *, own: bool) -> None:
        """Prove that the key may act for the account; `own`: the account's own key will do (paper).

        Raises:
            ConfigError: it may not, or it is the trader's.
        """
        self._meta = await self._venue.meta(priority=_RISK)
        named = {agent.address for agent in await self._venue.agents(self._account, priority=_RISK)}
        if signer not in named and not (own and signer == self._account):
            role = await self._venue.role(signer, priority=_RISK)  # dear; it knows agents without a name too
            if role.kind != "agent" or role.master.lower() != self._account:
                raise ConfigError(
                    f"the watchdog's key {signer} is no agent of {self._account} (the venue calls it {role.kind}): "
                    "approve it there"
                )
        if self._pulse.signer == signer and not own:
            raise ConfigError("the watchdog has the trader's key: approve a second agent, nonces of one key collide")

    async def run(self, signer: str, folder: Path, *, own: bool) -> None:
        """Watch for ever, and leave word in `folder` every second. ConfigError where the key may not act."""
        told, checked = -1.0, False
        while True:
            now = time.monotonic()
            if checked:
                await self.step(now)
            else:
                checked = await self._checked(signer, own=own)
            if now >= told + 1.0:
                self.write(folder, time.time_ns() // 1_000_000, os.getpid())
                told = now
            await asyncio.sleep(_TURN if checked else self._patience.probe)

    async def _checked(self, signer: str, *, own: bool) -> bool:
        try:
            await self.check(signer, own=own)
        except VenueError as error:
            if not self._failing:
                self._tell(Alert("venue-unreachable", str(error)))
            self._failing = True
            return False
        return True

    async def step(self, now: float) -> None:
        """Look at the heartbeat, and at the account when it is time; `now` in seconds that never go back."""
        age = self._pulse.age(now)
        lost = age > self._patience.lost
        if lost != self.notice.lost:
            self._turned(now, lost=lost)
        self.notice.age = age
        if now < self._due:
            return
        try:
            await (self._protect(now, age) if lost else self._look(now))
        except VenueError as error:
            self._due = now + self._patience.probe
            if not self._failing:
                self._tell(Alert("venue-unreachable", str(error)))
            self._failing, self.notice.reached = True, False
        else:
            if self._failing:
                self._tell(Alert("venue-reached", "the venue answers again"))
            self._failing, self.notice.reached = False, True

    def write(self, folder: Path, at: int, pid: int) -> None:
        """Leave word for `quantga status`, at wall time `at`, ms."""
        self.notice.at, self.notice.pid = at, pid
        put(folder / NOTICE, asdict(self.notice))

    def _turned(self, now: float, *, lost: bool) -> None:
        self.notice.lost = lost
        self._due, self._looks, self._closed = now, 0, False
        if not lost:
            self._tell(Alert("trader-back", "the trader gives signs of life again"))
        elif self._pulse.leaving:
            self._tell(Alert("trader-left", "the trader ended on purpose; its positions keep their stops"))
        else:
            self._tell(Alert("trader-lost", f"no sign of life for {self._patience.lost:g} s: entries are cancelled"))

    async def _look(self, now: float) -> None:
        """All is well: see what there is, and keep the venue's own switch as it should be."""
        state = await self._venue.state(self._account, priority=_RISK)
        await self._switch(state, now)
        self._due = now + self._patience.look

    async def _protect(self, now: float, age: float) -> None:
        """The trader is lost: cancel what could add to a position; close the position where that was asked for."""
        state = await self._venue.state(self._account, priority=_RISK)  # light: the way to the venue is tried with it
        await self._switch(state, now)
        if age > self._patience.flatten and not self._pulse.leaving and not self._closed:
            self._closed = await self._close(state)
            self._due = now + self._patience.look
            return
        found = await self._cancel(all_of_them=self._closed and not state.positions)
        if found:
            self._tell(Alert("entries-cancelled", f"{found} orders that were not reduce-only"))
        self._looks += 1
        # What the trader sent in its last moment is mortal: it has arrived by the second look, or never will.
        self._due = now + (self._patience.again if found or self._looks == 1 else self._patience.every)

    async def _cancel(self, *, all_of_them: bool) -> int:
        """Cancel open orders, reduce-only ones just where there is no position; return how many there were."""
        orders = await self._venue.open_orders(self._account, priority=_RISK)
        named = [(one.coin, one.oid) for one in orders if all_of_them or not one.reduce_only]
        for first in range(0, len(named), BATCH):
            action = Cancel(tuple(named[first : first + BATCH]))
            await self._venue.submit(action, Stamp(self._nonces.next(), None), priority=_RISK)
        self.notice.cancelled += len(named)
        return len(named)

    async def _close(self, state: AccountState) -> bool:
        """Send one reduce-only order for each position; return whether there is none left."""
        if not state.positions:
            self._tell(Alert("flattened", "the account is flat, by the venue's own answer"))
            return True
        mids, meta = await self._venue.mids(priority=_RISK), self._meta or await self._venue.meta(priority=_RISK)
        orders = []
        for one in state.positions:
            buy = one.size < 0
            wanted = Decimal(str(mids[one.coin])) * (1 + _REACH * (1 if buy else -1))
            px = price(meta.asset(one.coin), wanted, up=not buy)
            orders.append(OrderRequest(one.coin, buy, px, abs(one.size), "Ioc", reduce_only=True))
        self._tell(Alert("flattening", ", ".join(f"{one.coin} {one.size}" for one in orders)))
        expires = (await self._venue.clock(priority=_RISK)).admission + _LIFETIME_MS
        await self._venue.submit(Place(tuple(orders)), Stamp(self._nonces.next(), expires), priority=_RISK)
        return False

    async def _switch(self, state: AccountState, now: float) -> None:
        """Set the venue's switch while flat, take it back otherwise: it would cancel the stops too."""
        self.notice.flat = not state.positions
        if state.positions:
            await self._unset()
        if self.notice.lost:
            return
        if now >= self._asked:
            self._asked = now + _HOUR
            await self._ask()
        if self._granted and not state.positions:
            clock = await self._venue.clock(priority=_RISK)
            if self._until - clock.admission < self._patience.ahead * 500:
                self._set = True  # before it is sent: without an answer it may be set
                self._until = clock.admission + round(self._patience.ahead * 1_000)
                await self._schedule(self._until)
                self.notice.armed, self.notice.unarmed = True, ""

    async def _ask(self) -> None:
        """Ask whether the venue grants its switch; say so, once and loudly, if it does not."""
        volume = (await self._venue.address_budget(self._account, priority=_RISK)).volume
        refused, self._granted = self._granted, volume >= GRANTED
        if not self._granted:
            self.notice.armed = False
            self.notice.unarmed = (
                f"the venue has no switch for this account: {volume:,.0f} of {GRANTED:,} USDC were traded"
            )
            if refused is None:
                self._tell(Alert("unarmed", f"{self.notice.unarmed}; if this machine dies, resting entries stay"))

    async def _unset(self) -> None:
        """Take the switch back, whoever set it."""
        if self._granted is not False:
            self.notice.armed, self.notice.unarmed = False, "there is a position, and the switch would cancel its stop"
        if not self._set:
            return
        try:
            await self._schedule(None)
        except Rejected:
            self._granted = False  # nobody can have set it
        self._set, self._until = False, 0

    async def _schedule(self, time: int | None) -> None:
        await self._venue.submit(ScheduleCancel(time), Stamp(self._nonces.next(), None), priority=_RISK)


def loopback_only(network: Network, url: str) -> None:
    """Raise ConfigError where paper trading would leave this machine."""
    host = urlsplit(url).hostname or ""
    if network is Network.PAPER and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ConfigError(
            f"{url} is not on this machine: paper trading speaks with a paper exchange on 127.0.0.1 alone"
        )
