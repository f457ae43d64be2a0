"""The venue as the rest of quantga sees it: a few coroutines over frozen records.

Whoever trades, records or imports is written against `Venue`; which venue, and over what, is decided once, at the edge.
The records are in `market` (what everybody sees), `account` (what one account sees and asks) and `stream` (what comes
over a socket).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from quantga.venue.account import (
    AccountState,
    Action,
    AddressBudget,
    Agent,
    Fees,
    Fill,
    FundingPayment,
    LedgerEntry,
    Order,
    OrderReport,
    Outcome,
    Role,
    Stamp,
)
from quantga.venue.market import (
    Book,
    Candle,
    Context,
    FundingRate,
    Meta,
)


class Network(enum.StrEnum):
    """Which market is meant; only MAINNET is real money. PAPER is the paper exchange, on this machine."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    PAPER = "paper"


class Priority(enum.IntEnum):
    """Who goes first when requests have to wait; the lowest number does."""

    RISK = 0
    """Reduces risk: stops, cancels of entries, flattening."""
    RECONCILE = 1
    """Finds out what is true: positions, orders, fills, the outcome of an order."""
    ORDERS = 2
    """New exposure."""
    DATA = 3
    """Market data and downloads."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Two readings of the venue in one answer (ms UTC).

    `market` is the time in the answer's body: of the last block, or of the paper exchange's replay. `wall` is the
    answer's own date, in whole seconds rounded down. Actions expire by the block's time on a real venue, and by `wall`
    on the paper exchange; `admission` is the one that an `expires` may be compared with.
    """

    market: int
    wall: int
    admission: int

    def past(self, expires: int) -> bool:
        """Return whether an action that expires then can no longer take effect."""
        return self.admission > expires


class Venue(Protocol):
    """A venue, for one account or for none.

    Every call may raise the errors of `quantga.errors.VenueError`: `Rejected` (the venue said no), `Unknown` (no usable
    answer: an action may live or not; a read simply failed and is never "empty"), `RateLimited` (for an action treat as
    Unknown) and `Denied` (our own budget said no before anything left).
    """

    @property
    def network(self) -> Network:
        """Which market this is."""
        ...

    async def meta(self, *, priority: Priority = Priority.DATA) -> Meta:
        """Return the assets, checked."""
        ...

    async def contexts(self, *, priority: Priority = Priority.DATA) -> Mapping[str, Context]:
        """Return every asset's mark, oracle, funding and open interest, by coin."""
        ...

    async def mids(self, *, priority: Priority = Priority.DATA) -> Mapping[str, float]:
        """Return the mid price of every coin that has one."""
        ...

    async def book(self, coin: str, *, priority: Priority = Priority.DATA) -> Book:
        """Return up to 20 levels a side."""
        ...

    async def candles(
        self, coin: str, interval: str, start: int, end: int, *, priority: Priority = Priority.DATA
    ) -> tuple[Candle, ...]:
        """Return the bars that open in [start, end], ascending, the open one included; only the last 5,000 exist."""
        ...

    async def fundings(
        self, coin: str, start: int, end: int | None = None, *, priority: Priority = Priority.DATA
    ) -> tuple[FundingRate, ...]:
        """Return the fundings charged in [start, end], ascending, at most 500: ask on from the last one's time."""
        ...

    async def clock(self, *, priority: Priority = Priority.RECONCILE) -> Clock:
        """Return the venue's time."""
        ...

    async def state(self, user: str, *, priority: Priority = Priority.RECONCILE) -> AccountState:
        """Return margin and positions. `user` is the master's address; an agent's is answered with an empty account."""
        ...

    async def open_orders(self, user: str, *, priority: Priority = Priority.RECONCILE) -> tuple[Order, ...]:
        """Return all open orders, those with a trigger too, but without their trigger."""
        ...

    async def triggers(self, user: str, *, priority: Priority = Priority.RECONCILE) -> tuple[Order, ...]:
        """Return open orders with their triggers, at most 100 of them."""
        ...

    async def order(self, user: str, ref: int | str, *, priority: Priority = Priority.RECONCILE) -> OrderReport:
        """Return what became of an order, by number or cloid."""
        ...

    async def fills(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = Priority.RECONCILE
    ) -> tuple[Fill, ...]:
        """Return all fills in [start, end], ascending, each once; only the last 10,000 exist."""
        ...

    async def funding_payments(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = Priority.RECONCILE
    ) -> tuple[FundingPayment, ...]:
        """Return the fundings paid and received in [start, end], ascending."""
        ...

    async def ledger(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = Priority.RECONCILE
    ) -> tuple[LedgerEntry, ...]:
        """Return deposits, withdrawals and transfers in [start, end], ascending."""
        ...

    async def address_budget(self, user: str, *, priority: Priority = Priority.RECONCILE) -> AddressBudget:
        """Return how many actions the address has left."""
        ...

    async def fees(self, user: str, *, priority: Priority = Priority.RECONCILE) -> Fees:
        """Return what the account pays."""
        ...

    async def role(self, user: str, *, priority: Priority = Priority.RECONCILE) -> Role:
        """Return whether the address is a user, an agent, or missing."""
        ...

    async def agents(self, user: str, *, priority: Priority = Priority.RECONCILE) -> tuple[Agent, ...]:
        """Return the named agents that may trade for `user`."""
        ...

    async def abstraction(self, user: str, *, priority: Priority = Priority.RECONCILE) -> str:
        """Return the account's mode; only `disabled` and `default` keep perpetuals apart."""
        ...

    async def submit(
        self, action: Action, stamp: Stamp, *, priority: Priority = Priority.ORDERS
    ) -> tuple[Outcome, ...]:
        """Sign and send an action; return one outcome per order in it, or one `Done`.

        Journal the action and its stamp first: after `Unknown` they are all there is to find out with.
        """
        ...
