"""Orders: their names, what is known of each, and how an unknown outcome becomes a known one.

An order's id is a function of the decision behind it, so a process that starts again asks for the very orders that the
one before it may have sent. A request without an answer is UNKNOWN, never refused: it ends only on the venue's own word,
given after the order can no longer be executed. docs/live.md has the rules; everything here is pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from quantga.errors import DataError
from quantga.venue.account import Fill, OrderRequest, Stamp

__all__ = [
    "Evidence",
    "Fact",
    "Intent",
    "Lookup",
    "Order",
    "Phase",
    "Purpose",
    "apply",
    "cloid_of",
    "settle",
    "unexplained",
]

MARGIN_MS = 1_000
"""How long after an order's expiry the venue is asked: what was admitted in the last moment has to be visible by then."""
LOOKUPS = 2
"""How often in a row the venue must not know a cloid: right after an execution it was seen to say so once."""


class Purpose(StrEnum):
    """Why an order exists; part of its id."""

    TARGET = "target"
    STOP = "stop"
    FLATTEN = "flatten"


class Phase(StrEnum):
    """What is known of an order. INTENDED: written down, perhaps sent. The last four are final."""

    INTENDED = "intended"
    UNKNOWN = "unknown"
    RESTING = "resting"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    ABSENT = "absent"

    @property
    def final(self) -> bool:
        """Tell whether nothing more can come of the order (fills of a canceled one may still be told late)."""
        return self in {Phase.FILLED, Phase.CANCELED, Phase.REJECTED, Phase.ABSENT}


def cloid_of(account: str, session: str, symbol: str, bar: int, purpose: Purpose, attempt: int) -> str:
    """Return the client order id of a decision: 16 bytes as 0x and 32 hex digits."""
    text = "\x1f".join((account.lower(), session, symbol, str(bar), purpose, str(attempt)))
    return "0x" + hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Intent:
    """An order as decided, before it is sent: for which bar and why, what is asked for, and until when it lives."""

    bar: int
    purpose: Purpose
    attempt: int
    request: OrderRequest
    stamp: Stamp

    def __post_init__(self) -> None:
        if self.request.cloid is None or self.stamp.expires is None or self.stamp.expires <= self.stamp.nonce:
            raise DataError(f"an order for {self.request.coin} needs a cloid, and an expiry after its nonce")
        if self.request.size <= 0 or self.request.px <= 0:
            raise DataError(f"{self.cloid}: an order needs a size and a price above 0")

    @property
    def cloid(self) -> str:
        """Return the order's id."""
        return str(self.request.cloid)

    @property
    def expires(self) -> int:
        """Return when the venue begins to refuse it, ms."""
        return int(self.stamp.expires or 0)


@dataclass(frozen=True)
class Fact:
    """Something that became known of an order: the phase, and the venue's id and words where there are any."""

    cloid: str
    phase: Phase
    oid: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Order:
    """An order and what is known of it. fills: each once, as told, by key."""

    intent: Intent
    phase: Phase = Phase.INTENDED
    oid: int = 0
    reason: str = ""
    fills: tuple[Fill, ...] = ()

    @property
    def filled(self) -> Decimal:
        """Return the units that have been filled."""
        return sum((fill.size for fill in self.fills), Decimal(0))

    @property
    def remainder(self) -> Decimal:
        """Return the units that can still be filled: 0 once the order is final."""
        return Decimal(0) if self.phase.final else self.intent.request.size - self.filled

    @property
    def exposure(self) -> Decimal:
        """Return the signed units that may still be added to the position."""
        return self.remainder if self.intent.request.buy else -self.remainder


def apply(order: Order, told: Fact | Fill) -> Order:
    """Return the order after something became known. What is told twice or late changes nothing.

    A final phase stays, whatever comes after it, with one exception: fills always count. Raises DataError for what
    cannot be: a fill larger than the order, or an order that was said to be absent and fills.
    """
    if told.cloid != order.intent.cloid:
        raise DataError(f"{order.intent.cloid}: told of another order, {told.cloid}")
    return _fill(order, told) if isinstance(told, Fill) else _learn(order, told)


def _fill(order: Order, fill: Fill) -> Order:
    if any(known.key == fill.key for known in order.fills):
        return order
    if (fill.coin, fill.buy) != (order.intent.request.coin, order.intent.request.buy):
        raise DataError(f"{fill.cloid}: a fill of another symbol or side than the order's; halt and reconcile")
    if order.phase in {Phase.ABSENT, Phase.REJECTED}:
        raise DataError(f"{fill.cloid}: filled although it was held to be {order.phase}; halt and reconcile")
    fills = (*order.fills, fill)
    total = order.filled + fill.size
    if total > order.intent.request.size:
        raise DataError(
            f"{fill.cloid}: filled {total}, more than its size {order.intent.request.size}; halt and reconcile"
        )
    phase = Phase.FILLED if total == order.intent.request.size else order.phase
    return replace(order, fills=fills, phase=phase, oid=order.oid or fill.oid)


def _learn(order: Order, fact: Fact) -> Order:
    if order.phase.final or fact.phase == Phase.INTENDED:
        return order
    if fact.phase == Phase.UNKNOWN and order.phase == Phase.RESTING:
        return order
    if fact.phase in {Phase.ABSENT, Phase.REJECTED} and order.fills:
        raise DataError(f"{fact.cloid}: said to be {fact.phase} although it filled; halt and reconcile")
    return replace(order, phase=fact.phase, oid=fact.oid or order.oid, reason=fact.reason or order.reason)


@dataclass(frozen=True)
class Lookup:
    """An answer to `orderStatus` by cloid. asked: venue time before the question, ms. fact: None for `unknownOid`."""

    asked: int
    fact: Fact | None


@dataclass(frozen=True)
class Evidence:
    """What was asked since an order's outcome became unknown, in order.

    lookups: by cloid. fills: cloids found among the fills since it was sent, and `fills_at`, open_orders and `open_at`: the
    venue time before each question, ms; 0 for never. Only complete answers count: a failed read is not an empty one.
    """

    lookups: Sequence[Lookup] = ()
    fills: frozenset[str] = frozenset()
    fills_at: int = 0
    open_orders: frozenset[str] = frozenset()
    open_at: int = 0


def settle(order: Order, evidence: Evidence) -> Fact | None:
    """Return what an UNKNOWN order turned out to be, or None while that cannot be said: ask on.

    The venue's own record of the order decides at once. Its absence decides only when, at a venue time after expiry
    and margin, the cloid was not known twice in a row, no fill carries it, and it is not among the open orders.
    """
    cloid = order.intent.cloid
    known = [one.fact for one in evidence.lookups if one.fact is not None]
    if known:
        return known[-1]
    if cloid in evidence.open_orders:
        return Fact(cloid, Phase.RESTING, reason="found among the open orders")
    after = order.intent.expires + MARGIN_MS
    silent = [one for one in evidence.lookups if one.asked > after]
    if len(silent) < LOOKUPS or min(evidence.fills_at, evidence.open_at) <= after or cloid in evidence.fills:
        return None
    return Fact(cloid, Phase.ABSENT, reason="the venue does not know it after its expiry")


def unexplained(position: Decimal, start: Decimal, orders: Iterable[Order]) -> Decimal:
    """Return the part of a symbol's position at the venue that `start` and the fills known of do not explain."""
    told = sum((fill.size if fill.buy else -fill.size for order in orders for fill in order.fills), Decimal(0))
    return position - start - told
