"""The trader as a Ray actor beside the feed: named, detached, restarted for ever; its constructor starts the life.

Ray re-runs only the constructor after a restart, and a start is a recovery, so a trader whose worker was killed trades on. What
no new start would mend (a wrong key, another trader) is kept and told; everything else ends the process, and Ray starts it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import uvloop

from quantga.errors import ClusterError, ConfigError, Conflict, QuantgaError
from quantga.live.bars import Bar
from quantga.live.beginning import Wanted
from quantga.live.budget import NAMESPACE, ActorWire, open_budget
from quantga.live.feed import open_feed
from quantga.live.keys import read_key
from quantga.live.life import Life, Timing
from quantga.live.stream import Now, Plan
from quantga.venue.hyperliquid.weights import INTERVALS
from quantga.venue.protocol import Venue
from quantga.venue.wire import Wire

__all__ = ["ActorMarket", "TraderActor", "attend", "end", "find_trader", "open_trader"]

_LINES = 200
_TURN_S = 0.25
_WAIT_S = 1.0


@dataclass
class ActorMarket:
    """The feed actor as a market: its bars are pulled, so nothing here can delay it; while it is away, it is asked again."""

    plan: Plan
    budget: Any
    hear: Callable[[Sequence[Bar]], None]
    resource: str = ""
    now: dict[str, Now] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._after = {(coin, INTERVALS[name]): -1 for coin in self.plan.coins for name in self.plan.intervals}
        self.now = {coin: Now() for coin in self.plan.coins}
        self._status: dict[str, Any] = {"traffic": {"connects": 0}, "data_age_s": None}

    def resume(self, bars: Sequence[Bar]) -> None:
        """Go on after these bars."""
        self._after |= {(bar.coin, bar.interval): bar.time for bar in bars}

    def status(self) -> dict[str, Any]:
        """Return how the feed was when it last answered."""
        return self._status

    async def run(self) -> None:
        """Bring bars until cancelled; ConfigError or VenueError where the feed cannot work."""
        feed = await asyncio.to_thread(open_feed, self.plan, self.budget, _feed_name(self.plan), self.resource)
        await asyncio.gather(self._pull(feed), self._look(feed))

    async def _pull(self, feed: Any) -> None:
        while True:
            try:
                taken = await feed.wait.remote(self._after, _WAIT_S)
            except ray.exceptions.RayActorError:
                await asyncio.sleep(_TURN_S)
                continue
            bars = sorted((bar for one in taken.values() for bar in one.bars), key=lambda bar: bar.time)
            self.resume(bars)
            if bars:
                self.hear(bars)

    async def _look(self, feed: Any) -> None:
        while True:
            with contextlib.suppress(ray.exceptions.RayActorError):
                self.now = await feed.now.remote(self.plan.coins)
                self._status = await feed.status.remote()
            await asyncio.sleep(_TURN_S)


class TraderActor:
    """A trader that lives from its construction on."""

    def __init__(self, wanted: Wanted, passphrase: str, resource: str, timing: Timing) -> None:
        """The key is read from the file that `wanted` names, on this machine: it travels through no cluster."""
        self._failure: QuantgaError | None = None
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._ended = threading.Event()
        self._budget = open_budget(wanted.url, resource=resource)
        self._resource = resource
        key = read_key(Path(wanted.key_file), passphrase)
        self._life = Life(wanted, key, self._say, timing, self._wire, self._market)
        threading.Thread(target=self._run, name="trader", daemon=True).start()

    def _say(self, line: str) -> None:
        self._lines.append(line)
        sys.stderr.write(f"{line}\n")

    @asynccontextmanager
    async def _wire(self, url: str, seconds: float) -> AsyncIterator[Wire]:
        del url, seconds  # the budget's owner has both
        yield ActorWire(self._budget)

    def _market(self, plan: Plan, venue: Venue, hear: Callable[[Sequence[Bar]], None]) -> ActorMarket:
        del venue
        return ActorMarket(plan, self._budget, hear, self._resource)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._life.run())
        except (ConfigError, Conflict) as error:
            self._failure = error
            self._say(f"not trading: {error}")
        except BaseException as error:  # noqa: BLE001 -- whatever it was: Ray starts the trader anew
            traceback.print_exception(error, file=sys.stderr)
            os._exit(1)
        self._ended.set()

    def wanted(self) -> Wanted:
        """Return what this trader was made to trade."""
        return self._life.wanted

    def status(self) -> dict[str, Any]:
        """Return its process, why it does not trade (""), whether it ended, and its last lines."""
        failure = str(self._failure) if self._failure else ""
        return {"pid": os.getpid(), "failure": failure, "ended": self._ended.is_set(), "lines": list(self._lines)}

    def stop(self, patience: float = 60.0) -> bool:
        """End at a safe point: entries withdrawn, outcomes known, stops in place; False if it took too long."""
        self._life.stop()
        return self._ended.wait(patience)


def open_trader(
    wanted: Wanted, passphrase: str = "", resource: str = "", timing: Timing | None = None, key: str = ""
) -> Any:
    """Return the handle of the trader of `key` (an address), made where there is none.

    Raises:
        ConfigError: one of that name trades something else, or the key is in no file.
        ClusterError: it does not answer.
    """
    if not wanted.key_file:
        raise ConfigError("on Ray the key has to be in a file of the trader's machine: give --key-file")
    options: dict[str, Any] = {
        "name": f"trader {wanted.network} {key}",
        "namespace": NAMESPACE,
        "get_if_exists": True,
        "lifetime": "detached",
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": 4,
        "num_cpus": 0,
    }
    if resource:
        options["resources"] = {resource: 0.001}
    made: Any = ray.remote(TraderActor).options(**options)
    handle: Any = made.remote(wanted, passphrase, resource, timing or Timing())
    try:
        has: Any = ray.get(handle.wanted.remote(), timeout=60)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the trader does not answer: {error}") from error
    if has != wanted:
        raise ConfigError("a trader of this key trades something else: stop it first (`quantga trade --ray --stop`)")
    return handle


def find_trader(network: str, key: str) -> Any:
    """Return the handle of a running trader. ConfigError if there is none."""
    try:
        return ray.get_actor(f"trader {network} {key}", namespace=NAMESPACE)
    except ValueError:
        raise ConfigError(f"no trader of {key} runs on this Ray") from None


def attend(handle: Any, say: Callable[[str], None], stopping: Callable[[], bool]) -> None:
    """Tell what the trader says until it ends, or until `stopping` does: then end it at a safe point.

    ConfigError where it cannot trade, with its reason.
    """
    told = 0
    seen: list[str] = []
    while True:
        try:
            status = ray.get(handle.status.remote(), timeout=60)
        except ray.exceptions.RayActorError:
            time.sleep(_WAIT_S)
            continue
        lines = status["lines"]
        told = told if lines[: len(seen)] == seen else 0
        for line in lines[told:]:
            say(line)
        told, seen = len(lines), lines
        if status["failure"]:
            end(handle)
            raise ConfigError(status["failure"])
        if stopping() or status["ended"]:
            safe = end(handle)
            say(
                "the trader stopped; stops stay"
                if safe
                else "the trader was ended: what is open is settled at the next start"
            )
            return
        time.sleep(_WAIT_S)


def end(handle: Any) -> bool:
    """Stop a trader at a safe point and let Ray forget it; False if it had to be ended at once. Its stops stand."""
    safe = False
    with contextlib.suppress(ray.exceptions.RayError):
        safe = bool(ray.get(handle.stop.remote(), timeout=90))
    ray.kill(handle)
    return safe


def _feed_name(plan: Plan) -> str:
    """Return the feed's name: those who want the same bars share one."""
    return f"feed {plan.url} {','.join(plan.coins)} {','.join(plan.intervals)}"
