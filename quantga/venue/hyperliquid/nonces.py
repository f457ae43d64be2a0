"""Nonces: milliseconds that never repeat, never go back, and survive a restart.

Two actions in one millisecond must not share a nonce, and after a restart the clock may be behind the last one used.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from quantga.venue.account import Stamp


def _now() -> int:
    return time.time_ns() // 1_000_000


class Nonces:
    """Gives out nonces for one key, in one process."""

    def __init__(self, last: int = 0, now: Callable[[], int] = _now) -> None:
        """`last` is the highest nonce that was ever used with this key; `now` gives milliseconds UTC."""
        self.last, self._now = last, now

    def next(self) -> int:
        """Return a nonce above all before."""
        self.last = max(self._now(), self.last + 1)
        return self.last

    def stamp(self, lifetime: int) -> Stamp:
        """Return a new nonce with an expiry `lifetime` milliseconds ahead."""
        nonce = self.next()
        return Stamp(nonce, nonce + lifetime)
