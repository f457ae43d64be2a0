"""The lease: one process trades an account, among all that use the store; whoever lost it can no longer do anything.

A holder's right is `Lake.hold`; a claim, an object that only one can write, numbers the holders. The holder looks every few
seconds for a claim after its own. As long as a look is younger than a term it holds the lease, and no action of it lives
longer than the lease: so who comes from another machine waits one term after its claim, and then nothing of the one before can
reach the venue any more. Only durations are compared, no clocks of two machines.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from quantga.errors import Conflict
from quantga.store.lake import Lake, to_json
from quantga.store.objects import Held

__all__ = ["LOOK_S", "TERM_S", "Lease", "lease"]

TERM_S = 15.0
"""How long a holder may act after its last successful look at the store."""
LOOK_S = 2.0
"""Between two looks."""
_MARGIN_S = 1.0


class Lease:
    """The right to trade an account; `look` renews it, `remaining_ms` is for how long it holds."""

    def __init__(self, lake: Lake, held: Held, name: str, now: Callable[[], float] = time.monotonic) -> None:
        """Claim the account. Conflict if another process claimed it in this moment, StoreError if the store fails."""
        self._lake, self._held, self._folder, self._now = lake, held, f"leases/{name}", now
        claims = lake.paths(self._folder)
        before = orjson.loads(lake.read(claims[-1])) if claims else {}
        self.number = int(Path(claims[-1]).stem) + 1 if claims else 1
        self.waits = 0.0 if not claims or before.get("machine") == machine() else TERM_S + _MARGIN_S
        """Seconds that have to pass before anything is sent: the term of a holder that may live on another machine."""
        self.before = f"process {before.get('process')} on {before.get('host')}" if claims else ""
        self._until = 0.0
        began = now()
        claim = {"name": name, "number": self.number, **here()}
        lake.put(self._path(self.number), to_json(claim))
        self._until = began + TERM_S

    def look(self) -> None:
        """Renew the lease.

        Raises:
            Conflict: another process claimed the account: nothing may be sent any more.
            StoreError: the store does not answer: the lease goes on to its end.
        """
        began = self._now()
        try:
            self._held.require()
            lost = self._lake.exists(self._path(self.number + 1))
        except Conflict:
            self._until = 0.0
            raise
        if lost:
            self._until = 0.0
            raise Conflict("another process took this account over: it goes on with it, this one stops here")
        self._until = began + TERM_S

    @property
    def remaining_ms(self) -> int:
        """For how long the lease holds, ms; 0 when it has ended."""
        return max(0, int((self._until - self._now()) * 1_000))

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.json"


@contextmanager
def lease(lake: Lake, name: str) -> Iterator[Lease]:
    """Hold the lease of an account (`paper-0x…`).

    Raises:
        Conflict: another process trades it, and lives.
        StoreError: the store fails.
    """
    with lake.hold(f"trade {name}") as held:
        yield Lease(lake, held, name)


def here() -> dict[str, object]:
    """Return who we are, for those who come after."""
    return {"machine": machine(), "host": socket.gethostname(), "process": os.getpid(), "at": time.time_ns() // 10**6}


def machine() -> str:
    """Return a name for this boot and this space of process numbers: two containers do not see each other's."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        return f"{boot.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
