"""The budget under five times the venue's limit, against no budget: requests saved, and the worst wait per priority.

Measured over real HTTP with a paper exchange that enforces the venue's 1,200 a minute. It runs as a process of its own,
started like any user would, because client and exchange share no code.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quantga.errors import Denied, RateLimited, Unknown, VenueError
from quantga.streams import stream
from quantga.venue.account import Cancel, OrderRequest, Place
from quantga.venue.desk import Desk
from quantga.venue.hyperliquid import weights
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.protocol import Network, Priority
from quantga.venue.wire import Ask, Reply, Wire

_KEY = "0x" + "5e" * 32  # of an account that exists on the bench's own exchange only
_STALE = {Priority.DATA: 2.0, Priority.RECONCILE: 10.0, Priority.ORDERS: 10.0, Priority.RISK: 1e9}
"""Seconds after which a caller gives up: a price of then is of no use, a stop is."""
_AGAIN = 0.25
_MINUTE = 60_000
_START = 1_735_689_600_000


@dataclass(slots=True)
class _Score:
    """What callers of one priority saw, in seconds: from the call to the answer, and of that not on the wire."""

    asked: int = 0
    gave_up: int = 0
    whole: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "asked": self.asked,
            "answered": len(self.whole),
            "gave_up": self.gave_up,
            "median_ms": 1000 * statistics.median(self.whole) if self.whole else None,
            "worst_ms": 1000 * max(self.whole, default=0.0),
            "worst_wait_beyond_venue_ms": 1000 * max(self.waits, default=0.0),
        }


_WIRE: ContextVar[list[float]] = ContextVar("seconds on the wire of one caller's requests")


class _Counted:
    """A wire that counts what leaves and what the venue refuses, and times it: from sending to the answer's last byte."""

    def __init__(self, wire: Wire) -> None:
        self._wire, self.sent, self.refused, self.weight = wire, 0, 0, 0

    async def send(self, ask: Ask) -> Reply:
        self.sent += 1
        start = time.perf_counter()
        reply = await self._wire.send(ask)
        _WIRE.get([]).append(time.perf_counter() - start)
        self.refused += reply.status == 429
        self.weight += 0 if reply.status == 429 else weights.actual(ask, reply)
        return reply


def measure(seconds: float = 75.0, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Load an exchange for `seconds` without a budget, then a fresh one with it; return the figures of both."""
    found: dict[str, Any] = {"seconds": seconds, "limit_a_minute": weights.PER_MINUTE}
    for name in ("none", "budget"):
        say(f"{name}: five times the venue's limit for {seconds:.0f} s")
        with _exchange() as url:
            found[name] = asyncio.run(_run(url, seconds, guarded=name == "budget"))
    found["requests_saved"] = found["none"]["requests_sent"] - found["budget"]["requests_sent"]
    found["risk_worst_beyond_venue_ms"] = found["budget"]["risk"]["worst_wait_beyond_venue_ms"]
    return found


async def _run(url: str, seconds: float, *, guarded: bool) -> dict[str, Any]:
    from quantga.venue.hyperliquid.signing import Signer  # noqa: PLC0415 (it imports the SDK)

    signer = Signer(_KEY, mainnet=False)
    async with Rest(url) as rest:
        counted = _Counted(rest)
        desk = Desk(counted, weights.actual)
        client = Hyperliquid(desk if guarded else counted, Network.PAPER, signer)
        await client.meta()
        callers = _Callers(client, signer.address, (await client.book("BTC")).bids[-1].px)
        own = await _quiet(callers)
        began = counted.sent, counted.weight
        scores = await callers.load(seconds)
        state = desk.state()
        return {
            **{priority.name.lower(): scores[priority].told() for priority in Priority},
            "offered_weight_a_minute": 60 * callers.offered / seconds,
            "requests_sent": counted.sent - began[0],
            "weight_used": counted.weight - began[1],
            "refused_429": counted.refused,
            "answers_shared": state.saved if guarded else 0,
            "cancel_alone_worst_ms": 1000 * own,
        }


async def _quiet(callers: _Callers) -> float:
    """Return the venue's own worst time for a cancel, asked alone."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        await callers.cancel()
        times.append(time.perf_counter() - start)
        await asyncio.sleep(0.02)
    return max(times)


class _Callers:
    """Strategies that poll, a download, reconcilers, and a trader that enters and protects: about 100 weight a second."""

    def __init__(self, client: Hyperliquid, user: str, px: float) -> None:
        self._client, self._user, self._px, self._nonces = client, user, px, Nonces()
        self.offered = 0
        self._scores = {priority: _Score() for priority in Priority}
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, seconds: float) -> dict[Priority, _Score]:
        """Call at fixed times, whether or not the calls before were answered."""
        client, user = self._client, self._user
        plan: list[tuple[float, Priority, int, Callable[[], Awaitable[object]]]] = [
            *[(1.0, Priority.DATA, 2, client.mids)] * 4,
            *[(1.0, Priority.DATA, 2, lambda: client.book("BTC"))] * 4,
            *[(2.0, Priority.DATA, 20, client.contexts)] * 4,
            (4.0, Priority.DATA, 104, lambda: client.candles("BTC", "1m", _START, _START + 4_999 * _MINUTE)),
            *[(2.0, Priority.RECONCILE, 2, lambda: client.state(user))] * 2,
            *[(4.0, Priority.RECONCILE, 20, lambda: client.open_orders(user))] * 2,
            (0.5, Priority.ORDERS, 1, self._enter),
            (0.5, Priority.RISK, 1, self.cancel),
        ]
        loops = [
            asyncio.ensure_future(self._every(*entry, at=k * 0.037, until=seconds)) for k, entry in enumerate(plan)
        ]
        await asyncio.gather(*loops)
        while self._tasks:
            await asyncio.wait(self._tasks, timeout=120)
        return self._scores

    async def _every(
        self,
        pause: float,
        priority: Priority,
        weight: int,
        call: Callable[[], Awaitable[object]],
        *,
        at: float,
        until: float,
    ) -> None:
        start = time.monotonic()
        while at < until:
            await asyncio.sleep(max(0.0, start + at - time.monotonic()))
            self.offered += weight
            task = asyncio.ensure_future(self._ask(priority, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            at += pause

    async def _ask(self, priority: Priority, call: Callable[[], Awaitable[object]]) -> None:
        score = self._scores[priority]
        score.asked += 1
        start, wire = time.perf_counter(), [0.0]
        _WIRE.set(wire)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(_STALE[priority], 90.0)):
                await self._until_answered(call)
                score.whole.append(time.perf_counter() - start)
                score.waits.append(score.whole[-1] - wire[-1])
                return
        score.gave_up += 1

    async def _until_answered(self, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await call()
            except (RateLimited, Unknown, Denied):
                await asyncio.sleep(_AGAIN)
            except VenueError:
                return  # an answer, if not the one hoped for
            else:
                return

    async def cancel(self) -> None:
        """Cancel an order, with the urgency of a stop."""
        await self._client.submit(Cancel((("BTC", 1),)), self._nonces.stamp(60_000), priority=Priority.RISK)

    async def _enter(self) -> None:
        order = OrderRequest("BTC", buy=True, px=Decimal(round(self._px * 0.9)), size=Decimal("0.001"))
        await self._client.submit(Place((order,)), self._nonces.stamp(60_000))


@contextlib.contextmanager
def _exchange() -> Iterator[str]:
    """Run a paper exchange on bars made of chance; give its address."""
    from quantga.venue.hyperliquid.signing import Signer  # noqa: PLC0415 (it imports the SDK)

    with tempfile.TemporaryDirectory(prefix="quantga-bench-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        _write_bars(Path(folder) / "bars")
        account = f"--account={Signer(_KEY, mainnet=False).address}=1000000"
        words = ["exchange", f"--port={port}", f"--state={folder}/state", f"--replay={folder}/bars", account, "--step"]
        process = subprocess.Popen(  # noqa: S603 (ourselves)
            [sys.executable, "-c", "from quantga.cli import main; main()", *words], stderr=subprocess.DEVNULL
        )
        try:
            _await_port(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unknown(f"the bench's exchange did not answer on port {port} within five minutes")


def _write_bars(folder: Path) -> None:
    folder.mkdir(parents=True)
    count = 6_000
    close = np.rint(80_000 * np.cumprod(1 + stream(1, "bench venue").normal(0, 1e-4, count)))
    opened = np.concatenate([close[:1], close[:-1]])
    columns = {
        "ts": _START + _MINUTE * np.arange(count),
        "open": opened,
        "high": np.maximum(opened, close) + 1,
        "low": np.minimum(opened, close) - 1,
        "close": close,
        "volume": np.full(count, 30.0),
    }
    pq.write_table(pa.table(columns), folder / "BTC.parquet")
