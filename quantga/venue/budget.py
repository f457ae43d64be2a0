"""The request budget, pure: what may leave now, in which order, given the venue's weights and an injected clock.

The venue counts 1,200 weight a minute per IP address, and actions per account. Every priority has a share that only stops may
touch, so that a stop never waits behind a download and nobody starves; what is left goes to the most urgent. Weight is taken to be spent until a minute after its answer
came: whenever in between the venue counted it, its own window is never exceeded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from quantga.errors import Denied
from quantga.venue.protocol import Priority

_NEVER = float("inf")
_HOLDS = (2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds of silence after the first, second … 429 in a row; risk-reducing requests try again after one second."""
_RISK_HOLD = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one IP address and one account may use, and who keeps what from whom. The defaults are Hyperliquid's.

    Args:
        weight: a minute, per IP address.
        outside: of it, left to other processes at this address: watchdog, command line.
        shares: weight kept for each priority; only risk may go into those of the others.
        patience: seconds that a request of each priority waits at most: it is refused when it would take longer.
        parallel: requests under way at once, by priority.
        actions: what a new account may do; each USDC traded adds one.
        kept_actions: of the account's actions, those kept for reducing risk.
        pace: seconds between actions when the account has used all.
        minute: seconds, with slack for a clock that differs.
    """

    weight: int = 1_200
    outside: int = 100
    shares: tuple[int, int, int, int] = (150, 350, 150, 100)
    patience: tuple[float, float, float, float] = (_NEVER, _NEVER, 5.0, _NEVER)
    parallel: tuple[int, int, int, int] = (1_000, 32, 32, 6)
    actions: int = 10_000
    kept_actions: int = 500
    pace: float = 11.0
    minute: float = 60.5

    def ceiling(self, priority: Priority) -> int:
        """Return how much weight a minute a priority may use where nobody else asks."""
        kept = 0 if priority == Priority.RISK else sum(self.shares) - self.shares[priority]
        return self.weight - self.outside - kept


ALONE = Limits(outside=0, shares=(0, 0, 0, 0))
"""For a download that has the address to itself."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A request in the queue, or under way."""

    priority: Priority
    weight: int
    actions: int
    cancels: bool
    offered: float
    admitted: float = -1.0


@dataclass(slots=True)
class Account:
    """The account's own budget, as the venue last told it and as counted since; `promised` are those in the queue."""

    cap: int
    used: int = 0
    promised: int = 0
    paced: float = -_NEVER

    def left(self, ticket: Ticket) -> int:
        """Return how many actions a ticket may still use at once; a cancel has up to twice the number."""
        cap = min(self.cap + 100_000, 2 * self.cap) if ticket.cancels else self.cap
        return cap - self.used


@dataclass(slots=True)
class Budget:
    """Tickets in, tickets out. The caller owns time: every call says what time it is, in seconds, never going back."""

    limits: Limits = field(default_factory=Limits)
    account: Account = field(init=False)
    _queues: tuple[deque[Ticket], ...] = field(init=False)
    _spent: deque[tuple[float, Priority, int]] = field(default_factory=deque)
    _under_way: dict[Priority, int] = field(default_factory=lambda: dict.fromkeys(Priority, 0))
    _used: list[int] = field(default_factory=lambda: [0] * len(Priority))
    """Weight of the last minute and of what is under way, by priority."""
    _refusals: int = 0
    _held: float = -_NEVER
    _risk_held: float = -_NEVER

    def __post_init__(self) -> None:
        self.account = Account(self.limits.actions)
        self._queues = tuple(deque() for _ in Priority)

    def offer(self, ticket: Ticket) -> None:
        """Put a ticket into the queue of its priority.

        Raises:
            Denied: it weighs more than its priority may ever use, the account's actions are used up, or it would wait for
                longer than its priority has patience.
        """
        ceiling = self.limits.ceiling(ticket.priority)
        if ticket.weight > ceiling:
            raise Denied(f"a request of weight {ticket.weight} is over what its priority may use a minute ({ceiling})")
        left = self.account.left(ticket) - self.account.promised - self.limits.kept_actions
        if ticket.actions > left and ticket.priority != Priority.RISK:
            raise Denied(
                f"the account has {max(0, left)} actions left besides those kept for reducing risk, and this needs "
                f"{ticket.actions}: trade (each USDC adds one), send fewer orders, or buy actions from the venue"
            )
        patient = self.limits.patience[ticket.priority] == _NEVER
        wait = 0.0 if patient else self._wait(ticket)
        if wait > self.limits.patience[ticket.priority]:
            raise Denied(
                f"this minute's requests are used up, and nothing was sent: there is room in about {wait:.0f} s"
            )
        self.account.promised += ticket.actions
        self._queues[ticket.priority].append(ticket)

    def admit(self, now: float) -> list[Ticket]:
        """Return the tickets that leave now, in their order; the most urgent first, then the oldest."""
        self._release(now)
        leaving: list[Ticket] = []
        first = True
        for priority in Priority:
            if now < (self._risk_held if priority == Priority.RISK else self._held):
                continue
            first &= self._admit_of(priority, now, leaving, first=first)
        return leaving

    def _fits(self, priority: Priority, weight: int, *, first: bool) -> bool:
        """Say whether a weight may leave; where somebody more urgent waits (not `first`), only out of its own share.

        What leaves out of a share takes nothing from anybody: the others are not let at it anyway.
        """
        shares, used = self.limits.shares, self._used
        room = self.limits.weight - self.limits.outside - sum(used)
        if priority != Priority.RISK:
            room -= sum(max(0, shares[p] - used[p]) for p in Priority if p != priority)
        return weight <= room and (first or used[priority] + weight <= shares[priority])

    def _wait(self, ticket: Ticket) -> float:
        """Return in how many seconds a ticket would have its turn if nobody else came; 0 if there is room."""
        priority = ticket.priority
        weight = ticket.weight + sum(one.weight for one in self._queues[priority])
        before, found = self._used, 0.0
        self._used = list(before)
        for until, spender, spent in self._spent:
            if self._fits(priority, weight, first=True):
                break
            self._used[spender] -= spent
            found = max(0.0, until - ticket.offered)
        else:
            if not self._fits(priority, weight, first=True):
                found = self.limits.minute
        self._used = before
        return found

    def _admit_of(self, priority: Priority, now: float, leaving: list[Ticket], *, first: bool) -> bool:
        """Let tickets of one priority leave; return False where weight ran out, so that nobody below passes freely."""
        queue = self._queues[priority]
        waiting: deque[Ticket] = deque()
        enough = True
        while queue and self._under_way[priority] < self.limits.parallel[priority]:
            ticket = queue.popleft()
            if not self._fits(priority, ticket.weight, first=first):
                queue.appendleft(ticket)
                enough = False
                break
            if not self._may_act(ticket, now):
                waiting.append(ticket)
                continue
            ticket.admitted = now
            self.account.promised -= ticket.actions
            self.account.used += ticket.actions
            self._used[priority] += ticket.weight
            self._under_way[priority] += 1
            leaving.append(ticket)
        queue.extendleft(reversed(waiting))
        return enough

    def _may_act(self, ticket: Ticket, now: float) -> bool:
        """Say whether the account's actions suffice; without any left, what reduces risk goes one by one."""
        if not ticket.actions or ticket.priority != Priority.RISK or ticket.actions <= self.account.left(ticket):
            return True
        if now < self.account.paced + self.limits.pace:
            return False
        self.account.paced = now
        return True

    def settle(self, ticket: Ticket, now: float, weight: int | None = None) -> None:
        """An answer came, or none will: count its true weight for a minute from now on."""
        self._under_way[ticket.priority] -= 1
        spent = ticket.weight if weight is None else weight
        self._used[ticket.priority] += spent - ticket.weight
        self._spent.append((now + self.limits.minute, ticket.priority, spent))

    def withdraw(self, ticket: Ticket) -> None:
        """Take a ticket out that has not left."""
        if ticket.admitted < 0:
            self.account.promised -= ticket.actions
            self._queues[ticket.priority].remove(ticket)

    def refused(self, now: float) -> None:
        """The venue said 429: be silent for a while, longer each time in a row."""
        self._held = max(self._held, now + _HOLDS[min(self._refusals, len(_HOLDS) - 1)])
        self._risk_held = max(self._risk_held, now + _RISK_HOLD)
        self._refusals += 1

    def accepted(self) -> None:
        """The venue answered: its patience is back."""
        self._refusals = 0

    def observe(self, used: int, cap: int) -> None:
        """Take over what the venue says of the account's actions; those under way are counted on top by `admit`."""
        self.account.used, self.account.cap = used, cap

    def used(self, now: float) -> int:
        """Return the weight of the last minute and of what is under way."""
        self._release(now)
        return sum(self._used)

    def waiting(self, priority: Priority) -> int:
        """Return how many tickets of a priority wait."""
        return len(self._queues[priority])

    def wake(self, now: float) -> float:
        """Return when `admit` may let something leave that it does not let leave now; infinity: not before a call."""
        times = [_NEVER]
        if any(self._queues) and self._spent:
            times.append(self._spent[0][0])
        if self._queues[Priority.RISK] and self._risk_held > now:
            times.append(self._risk_held)
        if any(self._queues[1:]) and self._held > now:
            times.append(self._held)
        paced = self.account.paced + self.limits.pace
        if paced > now and any(ticket.actions for ticket in self._queues[Priority.RISK]):
            times.append(paced)
        return min(times)

    def _release(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now:
            _, priority, spent = self._spent.popleft()
            self._used[priority] -= spent
