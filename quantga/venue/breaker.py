"""A circuit breaker, pure: after failures in a row stop asking, then try with one request at a time.

One watches each class of endpoint, so that broken market data do not stop actions. Risk-reducing requests always pass,
and serve as probes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

from quantga.errors import Denied
from quantga.streams import dice

type Condition = Literal["closed", "open", "half-open"]


@dataclass(slots=True)
class Breaker:
    """Args: `name` for messages; `failures` in a row that open it; first and longest pause in seconds."""

    name: str
    failures: int = 5
    pause: float = 1.0
    longest: float = 30.0
    chance: random.Random = field(default_factory=lambda: dice(0, "breaker"))
    opened: int = 0
    _failed: int = 0
    _again: float = 0.0
    _open: bool = False
    _probing: bool = False

    def condition(self, now: float) -> Condition:
        """Return its state at a time in seconds."""
        if not self._open:
            return "closed"
        return "half-open" if self._probing or now >= self._again else "open"

    def enter(self, now: float, *, vital: bool) -> None:
        """Let a request pass.

        Raises:
            Denied: too many failed; says in how many seconds the next one is tried.
        """
        if not self._open:
            return
        if not vital and (self._probing or now < self._again):
            wait = max(0.0, self._again - now)
            raise Denied(f"the venue's {self.name} fails: nothing was sent, the next try is in {wait:.1f} s")
        self._probing = True

    def succeeded(self) -> None:
        """A usable answer came: everything passes again."""
        self._failed, self._open, self._probing = 0, False, False

    def abandoned(self) -> None:
        """A request ended without telling anything of the venue."""
        self._probing = False

    def failed(self, now: float) -> None:
        """No usable answer came."""
        self._failed += 1
        self._probing = False
        if self._failed < self.failures:
            return
        self.opened += not self._open
        self._open = True
        pause = min(self.longest, self.pause * 2 ** (self._failed - self.failures))
        self._again = max(self._again, now + pause * self.chance.uniform(0.5, 1.0))
