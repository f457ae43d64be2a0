"""The dealer: sends what was decided, once, and finds out what became of it. Nothing leaves before it is in the journal.

It holds the session's one state. Every failure between here and the venue ends in a phase of the order, never in a guess:
what got no answer is UNKNOWN until the venue's own word settles it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from quantga.errors import ConfigError, Denied, RateLimited, Rejected, Unknown, VenueError
from quantga.live.journal import Journal
from quantga.live.orders import LOOKUPS, MARGIN_MS, Evidence, Fact, Lookup, Order, Phase, settle
from quantga.live.reconcile import Belief, Report, Result, reconcile
from quantga.live.records import Record, body_of
from quantga.live.session import Asked, Event, Session, Used, advance, event_of
from quantga.venue.account import (
    AccountState,
    Action,
    Cancel,
    Fill,
    Filled,
    Noop,
    OrderReport,
    OrderRequest,
    Outcome,
    Place,
    Refused,
    Stamp,
)
from quantga.venue.protocol import Priority, Venue

__all__ = ["LIFETIME_MS", "Dealer"]

LIFETIME_MS = 5_000
"""How long after it was made an action may still take effect at the venue."""
_LEAST_MS = 500  # an action that lives shorter would only arrive dead
_OVERLAP_MS = 60_000  # fills are asked for again over this long: they may become visible late
_PAUSE = 0.25  # seconds between two questions about an order


def _local() -> int:
    return time.time_ns() // 1_000_000


class Dealer:
    """One account's orders. `session` is what is known; it changes only by what is appended to the journal."""

    def __init__(
        self,
        venue: Venue,
        journal: Journal,
        session: Session,
        *,
        local: Callable[[], int] = _local,
        fence: Callable[[], int] = lambda: LIFETIME_MS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.venue, self.session, self.sleep = venue, session, sleep
        self._journal, self._local, self._fence = journal, local, fence
        self._skew: int | None = None
        self.market, self.value = journal.time, session.equity

    @property
    def account(self) -> str:
        """The master's address."""
        return self.session.began.account

    def tell(self, *events: Event) -> None:
        """Write events down and let the session know; raises StoreError if they could not be made durable."""
        advance(self.session, self._journal.append(self.market, *map(event_of, events)))

    def note(self, *records: Record) -> None:
        """Write down what is kept for reading alone; raises StoreError if it could not be made durable."""
        if records:
            self._journal.append(self.market, *map(body_of, records))

    async def sync(self) -> int:
        """Ask for the venue's time; return the one that an action's expiry is compared with, ms."""
        before = self._local()
        clock = await self.venue.clock()
        self._skew = clock.admission - before
        self.market = max(self.market, clock.market)
        return clock.admission

    def stamp(self) -> Stamp:
        """Return a nonce above all before and its expiry, by the venue's clock, which is never after the lease's end.

        Unknown before `sync` has succeeded; Denied while the lease is about to end.
        """
        if self._skew is None:
            raise Unknown("the venue's clock is not known yet; nothing can be sent")
        lives = min(LIFETIME_MS, self._fence())
        if lives < _LEAST_MS:
            raise Denied("the lease ends, and the store has not renewed it: nothing may be sent")
        now = self._local() + self._skew
        nonce = self.session.stamp(now)
        return Stamp(nonce, max(now, nonce) + lives)

    async def place(self, asked: Sequence[Asked], priority: Priority) -> list[Order]:
        """Send orders that share one stamp in one action; return what is known of each afterwards."""
        self.tell(*asked)
        cloids = [one.intent.cloid for one in asked]
        action = Place(tuple(one.intent.request for one in asked))
        try:
            outcomes = await self.venue.submit(action, asked[0].intent.stamp, priority=priority)
        except (Rejected, Denied) as error:
            facts = [Fact(cloid, Phase.REJECTED, reason=str(error)) for cloid in cloids]
        except VenueError as error:
            facts = [Fact(cloid, Phase.UNKNOWN, reason=str(error)) for cloid in cloids]
        else:
            facts = [_fact(one.intent.request, outcome) for one, outcome in zip(asked, outcomes, strict=True)]
        self.tell(*facts)
        return [self.session.orders[cloid] for cloid in cloids]

    async def act(self, action: Action, what: str) -> None:
        """Do something that is no order and may be done twice, until the venue has answered; ConfigError if it refuses."""
        while True:
            stamp = self.stamp()
            self.tell(Used(stamp.nonce))
            try:
                (outcome,) = await self.venue.submit(action, stamp, priority=Priority.RISK)
            except Rejected as error:
                raise ConfigError(f"the venue refuses {what}: {error}") from error
            except (Unknown, RateLimited):
                await self.sleep(_PAUSE)
                continue
            if isinstance(outcome, Refused):
                raise ConfigError(f"the venue refuses {what}: {outcome.reason}")
            return

    async def cancel(self, cloids: Collection[str], priority: Priority = Priority.RISK) -> None:
        """Cancel orders, and find out about each whether it was; those that cannot be told stay as they are."""
        open_ones = [cloid for cloid in cloids if not self.session.orders[cloid].phase.final]
        if not open_ones:
            return
        stamp = self.stamp()
        self.tell(Used(stamp.nonce))
        named = tuple((self.session.orders[cloid].intent.request.coin, cloid) for cloid in open_ones)
        try:
            outcomes = await self.venue.submit(Cancel(named), stamp, priority=priority)
        except VenueError:
            outcomes = tuple(Refused("no answer") for _ in named)
        for cloid, outcome in zip(open_ones, outcomes, strict=True):
            if isinstance(outcome, Refused):
                await self.learn(cloid)
            else:
                self.tell(Fact(cloid, Phase.CANCELED))

    async def learn(self, cloid: str) -> Fact | None:
        """Ask the venue about an order and write down what it says; None if it does not know it, or did not answer."""
        try:
            report = await self.venue.order(self.account, cloid)
        except (Unknown, RateLimited, Denied):
            return None
        fact = _reported(cloid, report)
        if fact is not None:
            self.tell(fact)
        return fact

    async def take_fills(self) -> list[Fill]:
        """Ask for fills and write down those that are ours and new; return all of the session that the venue told now."""
        session = self.session
        doubtful = [asked for cloid, asked in session.open.items() if session.orders[cloid].phase != Phase.RESTING]
        start = min([session.last_fill, *doubtful]) - _OVERLAP_MS
        fills = await self.venue.fills(self.account, max(start, 0))
        told = [fill for fill in fills if fill.cloid in session.orders or fill.time > session.trusted]
        new = [fill for fill in told if fill.cloid in session.orders and not _known(session.orders[fill.cloid], fill)]
        if new:
            self.tell(*new)
        return told

    async def doubt(self, cloid: str) -> None:
        """Begin to find out about an order whose outcome is not known: if it has not arrived yet, it shall never.

        Its nonce is burnt; whether that arrived is not relied upon: only the venue's record and the expiry decide.
        """
        order = self.session.orders[cloid]
        if order.phase == Phase.INTENDED:
            self.tell(Fact(cloid, Phase.UNKNOWN, reason="no answer is in the journal"))
        await self._burn(order.intent.stamp)

    async def await_outcome(self, cloid: str, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        """Return when it is known what became of an order; `meanwhile` is done between the questions."""
        await self.doubt(cloid)
        lookups: list[Lookup] = []
        while not await self.settled(cloid, lookups):
            if meanwhile is not None:
                await meanwhile()
            await self.sleep(_PAUSE)

    async def settled(self, cloid: str, lookups: list[Lookup]) -> bool:
        """Ask once what became of an order; tell whether it is known now. `lookups` keeps what was answered so far."""
        fact = await self._settled(cloid, lookups)
        if fact is not None and self.session.orders[cloid].phase == Phase.UNKNOWN:
            self.tell(fact)
        return self.session.orders[cloid].phase not in {Phase.INTENDED, Phase.UNKNOWN}

    async def _burn(self, stamp: Stamp) -> None:
        try:
            await self.venue.submit(Noop(), stamp, priority=Priority.RISK)
        except VenueError:
            return

    async def _settled(self, cloid: str, lookups: list[Lookup]) -> Fact | None:
        """Ask once more; what an answer says stays in `lookups`. A question that failed has no answer."""
        order = self.session.orders[cloid]
        try:
            now = await self.sync()
            lookups.append(Lookup(now, _reported(cloid, await self.venue.order(self.account, cloid))))
            late = sum(one.asked > order.intent.expires + MARGIN_MS for one in lookups)
            if lookups[-1].fact is not None or late < LOOKUPS:
                return settle(order, Evidence(lookups))
            fills = await self.take_fills()
            resting = await self.venue.open_orders(self.account)
        except VenueError:
            return None
        evidence = Evidence(
            lookups,
            frozenset(fill.cloid for fill in fills if fill.cloid), now,
            frozenset(one.cloid for one in resting if one.cloid), now,
        )  # fmt: skip
        return settle(self.session.orders[cloid], evidence)

    async def look(self) -> AccountState:
        """Ask for margin and positions; `value` is the equity that was told last."""
        state = await self.venue.state(self.account)
        self.market, self.value = max(self.market, state.time), state.value
        return state

    async def reconcile(self) -> Result:
        """Compare with the venue and write down what was learned; raises VenueError where an answer is missing."""
        fills = await self.take_fills()
        resting = await self.venue.open_orders(self.account)
        state = await self.look()
        belief = Belief(self.session.explained, self.session.orders)
        result = reconcile(belief, Report(fills, resting, state))
        if result.learned:
            self.tell(*result.learned)
        return result


def _known(order: Order, fill: Fill) -> bool:
    return any(known.key == fill.key for known in order.fills)


def _fact(request: OrderRequest, outcome: Outcome) -> Fact:
    """Return what an answer to a new order says of it; the fills themselves are asked for."""
    cloid = str(request.cloid)
    if isinstance(outcome, Refused):
        return Fact(cloid, Phase.REJECTED, reason=outcome.reason)
    if isinstance(outcome, Filled):
        rest = Phase.CANCELED if request.tif == "Ioc" else Phase.RESTING
        return Fact(cloid, Phase.FILLED if outcome.size >= request.size else rest, outcome.oid)
    return Fact(cloid, Phase.RESTING, getattr(outcome, "oid", 0))


def _reported(cloid: str, report: OrderReport) -> Fact | None:
    """Return what `orderStatus` says of an order; None where the venue knows none of that name."""
    if report.order is None:
        return None
    if report.live:
        phase = Phase.RESTING
    elif report.status == "filled":
        phase = Phase.FILLED
    else:
        phase = Phase.REJECTED if report.rejected else Phase.CANCELED
    return Fact(cloid, phase, report.order.oid, report.status)
