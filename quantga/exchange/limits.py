"""The venue's limits per IP address: request weight a minute, sockets, subscriptions, users, messages, posts."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

MINUTE = 60.0
LIGHT = frozenset(
    {
        "l2Book",
        "allMids",
        "clearinghouseState",
        "orderStatus",
        "spotClearinghouseState",
        "exchangeStatus",
    }
)
BY_TWENTY = frozenset(
    {
        "recentTrades",
        "historicalOrders",
        "userFills",
        "userFillsByTime",
        "fundingHistory",
        "userFunding",
        "userTwapSliceFills",
        "userTwapSliceFillsByTime",
        "twapHistory",
        "userNonFundingLedgerUpdates",
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address may do; 0 lifts a limit. Defaults are the venue's."""

    weight: int = 1200
    sockets: int = 10
    new_sockets: int = 30
    subscriptions: int = 1000
    users: int = 15
    messages: int = 2000
    posts: int = 100
    idle: float = 60.0


NO_LIMITS = Limits(0, 0, 0, 0, 0, 0, 0, 60.0)


class Window:
    """A sum over the last minute."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self.total = 0

    def add(self, now: float, amount: int) -> None:
        """Count an amount."""
        self._entries.append((now, amount))
        self.total += amount

    def at(self, now: float) -> int:
        """The sum of what is younger than a minute."""
        while self._entries and self._entries[0][0] <= now - MINUTE:
            self.total -= self._entries.popleft()[1]
        return self.total


class Meter:
    """Weights used by each address."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._used: dict[str, Window] = defaultdict(Window)
        self._opened: dict[str, Window] = defaultdict(Window)

    def admits(self, address: str, now: float, weight: int) -> bool:
        """Charge a request, unless the address has used up its minute."""
        window = self._used[address]
        if self.limits.weight and window.at(now) + weight > self.limits.weight:
            return False
        window.add(now, weight)
        return True

    def charge(self, address: str, now: float, weight: int) -> None:
        """Charge what an answer's rows cost."""
        if weight:
            self._used[address].add(now, weight)

    def may_open(self, address: str, now: float, opened: int) -> bool:
        """Whether the address may open one more socket."""
        window = self._opened[address]
        recent = window.at(now)
        limits = self.limits
        if (limits.sockets and opened >= limits.sockets) or (limits.new_sockets and recent >= limits.new_sockets):
            return False
        window.add(now, 1)
        return True


def info_weight(kind: str) -> int:
    """The weight of an `/info` request before its rows."""
    if kind in LIGHT:
        return 2
    return 60 if kind == "userRole" else 20


def rows_weight(kind: str, answer: Any) -> int:
    """What the rows of an answer add."""
    if not isinstance(answer, list):
        return 0
    if kind == "candleSnapshot":
        return len(answer) // 60
    return len(answer) // 20 if kind in BY_TWENTY else 0


def action_weight(action: Any) -> int:
    """1 + floor(n / 40) for a batch of n."""
    if isinstance(action, dict):
        for key in ("orders", "cancels", "modifies"):
            if isinstance(action.get(key), list):
                return 1 + len(action[key]) // 40
    return 1
