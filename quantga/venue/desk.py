"""The budget's owner: a wire that queues requests by urgency, shares public answers, and stops asking what fails.

One desk serves an IP address and an account. Within a process it is used as it is; over several it belongs into an actor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from quantga.errors import Denied, Unknown
from quantga.venue.breaker import Breaker, Condition
from quantga.venue.budget import Budget, Limits, Ticket
from quantga.venue.protocol import Priority
from quantga.venue.wire import Ask, Endpoint, Reply, Wire

_CLASSES: tuple[Endpoint, ...] = ("market", "account", "exchange")


@dataclass(frozen=True, slots=True)
class DeskState:
    """Where a desk stands; figures by priority are in the order of `Priority`. Waits are seconds before leaving."""

    used: int
    limit: int
    actions_used: int
    actions_cap: int
    waiting: tuple[int, ...]
    worst_wait: tuple[float, ...]
    sent: tuple[int, ...]
    spent: int
    saved: int
    limited: int
    denied: int
    breakers: dict[str, Condition]
    opened: dict[str, int]


@dataclass(slots=True)
class _Shared:
    """An answer that others may have too."""

    priority: Priority
    task: asyncio.Task[Reply] = field(init=False)
    until: float = 0.0
    left: bool = False
    waiting: int = 0


@dataclass(slots=True)
class _Counts:
    worst: list[float] = field(default_factory=lambda: [0.0] * len(Priority))
    sent: list[int] = field(default_factory=lambda: [0] * len(Priority))
    spent: int = 0
    saved: int = 0
    limited: int = 0
    denied: int = 0


class Desk:
    """Sends through `wire` what the budget lets leave. Use it from one event loop."""

    def __init__(
        self,
        wire: Wire,
        weigh: Callable[[Ask, Reply], int],
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
        learn: Callable[[Ask, Reply], tuple[int, int] | None] | None = None,
    ) -> None:
        """Make a desk for one IP address and one account.

        Args:
            wire: sends what may leave.
            weigh: tells what a request cost once it is answered.
            limits: what the address and the account may use.
            now: seconds that never go back.
            learn: tells the account's actions (used, granted) where an answer says them. Without it the account is
                taken to be a new one.
        """
        self._wire, self._weigh, self._now, self._learn = wire, weigh, now, learn
        self.budget = Budget(limits or Limits())
        self._breakers = {name: Breaker(name) for name in _CLASSES}
        self._gates: dict[Ticket, asyncio.Future[None]] = {}
        self._shared: dict[bytes, _Shared] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._counts = _Counts()

    async def send(self, ask: Ask) -> Reply:
        """Send when it is this request's turn, or give the answer that another one just got.

        Raises:
            Denied: it cannot leave: over the budget, or its class of endpoint fails.
            Unknown: no answer came.
        """
        if ask.endpoint == "exchange":
            return await self._through(ask, None)
        shared = self._shared.get(ask.body)
        if shared is not None and self._serves(shared, ask):
            self._counts.saved += 1
            return await self._join(ask, shared)
        shared = _Shared(ask.priority)
        shared.task = asyncio.ensure_future(self._keep(ask, shared))
        shared.task.add_done_callback(_seen)
        self._shared[ask.body] = shared
        return await self._join(ask, shared)

    def state(self) -> DeskState:
        """Return where the desk stands, for metrics."""
        now, counts, account = self._now(), self._counts, self.budget.account
        return DeskState(
            used=self.budget.used(now),
            limit=self.budget.limits.weight,
            actions_used=account.used,
            actions_cap=account.cap,
            waiting=tuple(self.budget.waiting(priority) for priority in Priority),
            worst_wait=tuple(counts.worst),
            sent=tuple(counts.sent),
            spent=counts.spent,
            saved=counts.saved,
            limited=counts.limited,
            denied=counts.denied,
            breakers={name: breaker.condition(now) for name, breaker in self._breakers.items()},
            opened={name: breaker.opened for name, breaker in self._breakers.items()},
        )

    def _serves(self, shared: _Shared, ask: Ask) -> bool:
        """Say whether another's answer will do: it is fresh, or will come no later than one's own would.

        What may not be kept serves only those who asked before the question left: it is no older than theirs.
        """
        if shared.task.done():
            return self._now() < shared.until and not shared.task.cancelled() and shared.task.exception() is None
        if shared.left:
            return ask.keep > 0
        return shared.priority <= ask.priority

    async def _join(self, ask: Ask, shared: _Shared) -> Reply:
        """Wait for an answer; when all who did have given up before the question left, it does not leave."""
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.left and not shared.task.done():
                self._drop(ask.body, shared)
                shared.task.cancel()

    async def _keep(self, ask: Ask, shared: _Shared) -> Reply:
        try:
            reply = await self._through(ask, shared)
        except BaseException:
            self._drop(ask.body, shared)
            raise
        if reply.status == 200 and ask.keep:
            shared.until = self._now() + ask.keep
            asyncio.get_running_loop().call_later(ask.keep, self._drop, ask.body, shared)
        else:
            self._drop(ask.body, shared)
        return reply

    def _drop(self, key: bytes, shared: _Shared) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]

    async def _through(self, ask: Ask, shared: _Shared | None) -> Reply:
        ticket = Ticket(ask.priority, ask.weight, ask.actions, ask.cancels, self._now())
        breaker = self._breakers[ask.endpoint]
        await self._turn(ticket, breaker)
        if shared is not None:
            shared.left = True
        weight: int | None = None
        try:
            reply = await self._wire.send(ask)
            weight = self._weigh(ask, reply)
            self._judge(ask, reply, breaker)
        except Unknown:
            breaker.failed(self._now())
            raise
        except BaseException:
            breaker.abandoned()
            raise
        else:
            return reply
        finally:
            self._counts.spent += ask.weight if weight is None else weight
            self.budget.settle(ticket, self._now(), weight)
            self._pump()

    async def _turn(self, ticket: Ticket, breaker: Breaker) -> None:
        """Wait until the ticket may leave, and its breaker lets it pass."""
        vital = ticket.priority == Priority.RISK
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            if breaker.condition(self._now()) == "open" and not vital:
                breaker.enter(self._now(), vital=False)
            self.budget.offer(ticket)
            self._gates[ticket] = gate
            self._pump()
            await self._opened(gate, ticket.priority)
            breaker.enter(self._now(), vital=vital)
        except BaseException as error:
            self._counts.denied += isinstance(error, Denied)
            if self._gates.pop(ticket, None) is not None:
                self.budget.withdraw(ticket)
            elif ticket.admitted >= 0:  # it had its turn, and nothing was sent
                self.budget.account.used -= ticket.actions
                self.budget.settle(ticket, self._now(), 0)
            self._pump()
            raise
        waited = ticket.admitted - ticket.offered
        self._counts.worst[ticket.priority] = max(self._counts.worst[ticket.priority], waited)
        self._counts.sent[ticket.priority] += 1

    async def _opened(self, gate: asyncio.Future[None], priority: Priority) -> None:
        """Wait for a gate as long as the priority has patience.

        Raises:
            Denied: it had none left.
        """
        patience = self.budget.limits.patience[priority]
        try:
            async with asyncio.timeout(None if patience == float("inf") else patience):
                await gate
        except TimeoutError:
            raise Denied(
                f"more urgent requests took this minute's room for {patience:.0f} s, and nothing was sent"
            ) from None

    def _judge(self, ask: Ask, reply: Reply, breaker: Breaker) -> None:
        if reply.status == 429:
            self._counts.limited += 1
            self.budget.refused(self._now())
            breaker.abandoned()
        elif reply.status >= 500:
            breaker.failed(self._now())
        else:
            self.budget.accepted()
            breaker.succeeded()
            known = self._learn(ask, reply) if self._learn is not None else None
            if known is not None:
                self.budget.observe(*known)

    def _pump(self) -> None:
        """Open the gates of what may leave; come back when the next one may."""
        for ticket in self.budget.admit(self._now()):
            gate = self._gates.pop(ticket)
            if not gate.done():
                gate.set_result(None)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._now()
        at = self.budget.wake(now)
        if at != float("inf"):
            self._alarm = asyncio.get_running_loop().call_later(max(0.001, at - now), self._pump)


def _seen(task: asyncio.Task[Reply]) -> None:
    """Take note of a failure that nobody waited for any more, so that asyncio does not report it as lost."""
    if not task.cancelled():
        task.exception()
