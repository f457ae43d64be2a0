"""How often somebody may ask: a bucket that fills steadily, for each token, and for each address that guesses tokens."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Pace:
    """So many requests a second for ever, and so many at once."""

    rate: float
    burst: int


CALLS = Pace(100.0, 200)
"""Requests of one token."""
GUESSES = Pace(0.1, 10)
"""Refused tokens of one address."""


class Buckets:
    """One bucket for each name, at most 10,000: whoever asked longest ago is forgotten first, with a full bucket."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace, self._clock = pace, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str) -> int:
        """Return for how many whole seconds `name` has to wait before it may ask; 0 if it may now."""
        left = self._now(name)
        return 0 if left >= 1 else math.ceil((1 - left) / self._pace.rate)

    def take(self, name: str) -> None:
        """Count one request of `name`."""
        left = max(0.0, self._now(name) - 1)
        self._left[name] = (left, self._clock())
        self._left.move_to_end(name)
        if len(self._left) > _MOST:
            self._left.popitem(last=False)

    def _now(self, name: str) -> float:
        left, since = self._left.get(name, (float(self._pace.burst), self._clock()))
        return min(float(self._pace.burst), left + (self._clock() - since) * self._pace.rate)
