"""Two clocks: the wall's for admission, the replay's for the market, at a ratio of the wall or moved by command."""

from __future__ import annotations

import time


class Clock:
    """Wall time with an optional skew, and the market's time derived from it or stepped."""

    def __init__(self, market: int, speed: float | None) -> None:
        """Start at `market` (ms); `speed` is market seconds per wall second, None = only by `step`."""
        self._market = market
        self._speed = speed
        self._began = time.monotonic()
        self.skew = 0

    @property
    def stepped(self) -> bool:
        """Whether the market moves only by command."""
        return self._speed is None

    def wall(self) -> int:
        """Unix time in ms as the exchange believes it."""
        return time.time_ns() // 1_000_000 + self.skew

    def market(self) -> int:
        """The market's time in ms."""
        if self._speed is None:
            return self._market
        return self._market + int((time.monotonic() - self._began) * 1000 * self._speed)

    def follow(self, market: int) -> None:
        """Move a stepped market to another venue's time; it never goes back."""
        self._market = max(self._market, market)

    def step(self, ms: int) -> int:
        """Move a stepped market by `ms`; the new time."""
        self._market = self.market() + ms
        self._began = time.monotonic()
        return self._market
