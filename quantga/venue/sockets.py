"""Limits of sockets per IP address, pure: connections, new ones a minute, subscriptions, users, messages, posts.

The venue cuts every feed of a socket that breaks them, so they are kept on this side.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from quantga.errors import Denied

MINUTE = 60.5


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Per IP address; `users` are distinct users in subscriptions. The defaults are Hyperliquid's."""

    sockets: int = 10
    new_a_minute: int = 30
    subscriptions: int = 1_000
    users: int = 10
    messages: int = 2_000
    posts: int = 100


@dataclass(slots=True)
class SocketBudget:
    """Counts what is open. Every call says what time it is, in seconds."""

    limits: SocketLimits = field(default_factory=SocketLimits)
    sockets: int = 0
    subscriptions: int = 0
    posts: int = 0
    _users: dict[str, int] = field(default_factory=dict)
    _opened: deque[float] = field(default_factory=deque)
    _sent: deque[float] = field(default_factory=deque)

    def open(self, now: float) -> float:
        """Count a new connection; return the seconds to wait before it is made.

        Raises:
            Denied: as many are open as the venue allows.
        """
        if self.sockets >= self.limits.sockets:
            raise Denied(f"{self.sockets} sockets are open, which is all that the venue allows an address: share one")
        self.sockets += 1
        return _turn(self._opened, now, self.limits.new_a_minute)

    def close(self) -> None:
        """A connection ended; its subscriptions are taken off one by one."""
        self.sockets -= 1

    def subscribe(self, user: str = "") -> None:
        """Count a subscription.

        Raises:
            Denied: one subscription, or one user, too many.
        """
        if self.subscriptions >= self.limits.subscriptions:
            raise Denied(f"{self.subscriptions} subscriptions are all that the venue allows an address")
        if user and user not in self._users and len(self._users) >= self.limits.users:
            raise Denied(f"the venue lets an address follow {self.limits.users} users: {user} is one too many")
        self.subscriptions += 1
        if user:
            self._users[user] = self._users.get(user, 0) + 1

    def unsubscribe(self, user: str = "") -> None:
        """Take a subscription off."""
        self.subscriptions -= 1
        if user:
            self._users[user] -= 1
            if not self._users[user]:
                del self._users[user]

    def message(self, now: float) -> float:
        """Count a message that is to be sent; return the seconds to wait before."""
        return _turn(self._sent, now, self.limits.messages)

    def post(self) -> None:
        """Count a request over a socket; Denied where too many are unanswered."""
        if self.posts >= self.limits.posts:
            raise Denied(f"{self.posts} requests over sockets are unanswered, which is all that the venue allows")
        self.posts += 1

    def answered(self) -> None:
        """A request over a socket was answered, or its socket ended."""
        self.posts -= 1


def _turn(times: deque[float], now: float, most: int) -> float:
    """Reserve a place among the `most` of any minute; return how long to wait for it."""
    while times and times[0] <= now - MINUTE:
        times.popleft()
    at = now if len(times) < most else max(now, times[-most] + MINUTE)
    times.append(at)
    return at - now
