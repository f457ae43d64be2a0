"""Between a venue's client and the network: what is asked and at what price, and what came back.

A client does not know whether its requests leave from here, or from an actor that several processes share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from quantga.venue.protocol import Priority

type Endpoint = Literal["market", "account", "exchange"]
"""Classes of requests that fail together: public data, an account's data, actions."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: its JSON, and what the budget has to know of it.

    Args:
        endpoint: which breaker watches it.
        kind: the request's or action's type, as the venue calls it.
        body: the request's JSON, byte for byte.
        priority: who goes first.
        weight: of the venue's 1,200 a minute, with what the answer's rows are expected to add.
        actions: how much of the address's own budget it uses: 1 per order or cancel; 0 for reads.
        cancels: whether the actions are cancels, of which an address has more.
        keep: seconds for which the answer may serve others who ask the same; 0: nobody else's answer will do.
    """

    endpoint: Endpoint
    kind: str
    body: bytes
    priority: Priority
    weight: int
    actions: int = 0
    cancels: bool = False
    keep: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: its status, body, and date (ms UTC, whole seconds; 0 where it had none)."""

    status: int
    body: bytes
    date: int


class Wire(Protocol):
    """Sends one request.

    Raises `Unknown` when no answer came, and `Denied` when nothing was sent; every answer that came is returned.
    """

    async def send(self, ask: Ask) -> Reply:
        """Send and return the answer, whatever its status."""
        ...
