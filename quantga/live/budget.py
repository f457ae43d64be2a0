"""The request budget as an actor: one per IP address and account, so that all processes spend from one purse.

The queue, the shares and the breakers are `venue.desk.Desk`; here is only how to reach it from another process.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from quantga.errors import Denied, Unknown, VenueError
from quantga.venue.budget import Limits
from quantga.venue.desk import Desk, DeskState
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.weights import actual, learned
from quantga.venue.wire import Ask, Reply

NAMESPACE = "quantga"


class Purse:
    """A desk that answers from a process of its own. Its constructor makes it whole: Ray re-runs nothing else."""

    def __init__(self, url: str, limits: Limits | None = None) -> None:
        self._rest = Rest(url)
        self._desk = Desk(self._rest, actual, limits, learn=learned)
        self._open = False

    async def send(self, ask: Ask) -> Reply:
        """Send when it is this request's turn; see `Desk.send`."""
        if not self._open:
            self._open = True
            await self._rest.__aenter__()
        return await self._desk.send(ask)

    async def state(self) -> DeskState:
        """Return where the desk stands."""
        return self._desk.state()


class ActorWire:
    """A wire to the budget's owner."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def send(self, ask: Ask) -> Reply:
        """Send through the owner.

        Raises:
            Unknown: the owner is gone, or got no answer; an action may have been executed all the same.
            Denied: nothing was sent.
        """
        try:
            reply: Reply = await self._handle.send.remote(ask)
        except VenueError as error:  # Ray raises a class of its own that is this one too
            kind = Denied if isinstance(error, Denied) else Unknown
            raise kind(_sentence(error)) from error
        except ray.exceptions.RayError as error:
            raise Unknown(f"the budget's owner is gone ({type(error).__name__}): what was sent may live") from error
        return reply


def open_budget(url: str, account: str = "", limits: Limits | None = None, resource: str = "") -> Any:
    """Return the handle of this machine's budget for an account at `url`; the actor is made where there is none.

    It runs on this node, whose address the venue counts; `resource` names a custom resource to be placed by.
    """
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    node = ray.get_runtime_context().get_node_id()
    options: dict[str, Any] = {
        "name": f"budget {address} {account or 'nobody'} {url}",
        "namespace": NAMESPACE,
        "get_if_exists": True,
        "lifetime": "detached",
        "max_restarts": -1,
        "max_task_retries": 0,
        "max_concurrency": 1_000,
        "num_cpus": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
    }
    if resource:
        options["resources"] = {resource: 0.001}
    return ray.remote(Purse).options(**options).remote(url, limits)


def _sentence(error: Exception) -> str:
    cause = getattr(error, "cause", error)
    return str(cause)
