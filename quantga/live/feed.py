"""The feed as a Ray actor: one per machine, detached and restarted for ever; traders take closed bars from it.

Ray re-runs only an actor's constructor after a restart, so the feed starts there, in a thread with an event loop of its
own: whoever asks it something cannot delay it. It keeps nothing on disk but recordings: what closed while it was away is
fetched again.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
import uvloop

from quantga.errors import ClusterError, ConfigError, QuantgaError, VenueError
from quantga.live.budget import NAMESPACE, ActorWire
from quantga.live.shelf import Key, Taken
from quantga.live.stream import Now, Plan, Stream
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.market import FundingRate
from quantga.venue.protocol import Network

WAITERS = 32
"""How many readers may wait for bars at once; more of them queue, which the feed does not notice."""


class Feed:
    """A feed that runs from its construction on."""

    def __init__(self, plan: Plan, budget: Any) -> None:
        """`budget` is the handle of the budget's owner, through which all REST requests go."""
        self._plan = plan
        self._failure: QuantgaError | None = None
        # Only public market data are asked for, and those do not depend on the network's name.
        self._stream = Stream(plan, Hyperliquid(ActorWire(budget), Network.PAPER))
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._stream.run())
        except (ConfigError, VenueError) as error:
            self._failure = error  # a new start would not mend it: every question is answered with it
        except BaseException as error:  # noqa: BLE001 -- whatever it was: Ray starts the feed anew
            traceback.print_exception(error, file=sys.stderr)
            os._exit(1)

    def plan(self) -> Plan:
        """Return what this feed was made to bring."""
        return self._plan

    def take(self, after: Mapping[Key, int]) -> dict[Key, Taken]:
        """Return bars of each series that opened after its time; see `Shelf.take`."""
        self._require()
        return self._stream.shelf.take(after)

    def wait(self, after: Mapping[Key, int], timeout: float = 10.0) -> dict[Key, Taken]:
        """Return like `take`, as soon as there are any, or after `timeout` seconds."""
        self._require()
        return self._stream.shelf.wait(after, timeout)

    def now(self, coins: Sequence[str]) -> dict[str, Now]:
        """Return the last quote, book and context of each coin, and when it was heard."""
        self._require()
        return {coin: replace(self._stream.now[coin]) for coin in coins}

    def fundings(self, coin: str) -> tuple[FundingRate, ...]:
        """Return the fundings published so far, ascending; empty where the plan does not ask for them."""
        self._require()
        return self._stream.fundings.get(coin, ())

    def status(self) -> dict[str, Any]:
        """Return how the feed is."""
        return {**self._stream.status(), "failure": str(self._failure) if self._failure else "", "pid": os.getpid()}

    def _require(self) -> None:
        if self._failure is not None:
            raise self._failure


def open_feed(plan: Plan, budget: Any, name: str = "feed", resource: str = "") -> Any:
    """Return the handle of the feed called `name`; it is made where there is none.

    Args:
        plan: what it brings.
        budget: the handle of `open_budget`.
        name: its name in Ray's namespace.
        resource: a custom resource to be placed by, so that feed and trader share a machine.

    Raises:
        ConfigError: a feed of that name brings something else.
        ClusterError: it does not answer.
    """
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "get_if_exists": True,
        "lifetime": "detached",
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": WAITERS,
        "num_cpus": 0,
    }
    if resource:
        options["resources"] = {resource: 0.001}
    handle: Any = ray.remote(Feed).options(**options).remote(plan, budget)
    try:
        has: Any = ray.get(handle.plan.remote(), timeout=60)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"the feed {name!r} does not answer: {error}") from error
    if has != plan:
        raise ConfigError(f"a feed {name!r} runs with other coins or intervals: stop it, or give another name")
    return handle
