"""What comes over a venue's socket, as frozen records, and what one can subscribe to.

A socket's frames are parsed by the venue's own package (`hyperliquid.frames`); who keeps the socket alive is not its matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantga.venue.account import AccountState, Fill, FundingPayment, Order, OrderReport
from quantga.venue.market import Book, Candle, Context, Quote, Trade

type Channel = Literal[
    "bbo",
    "trades",
    "candle",
    "l2Book",
    "activeAssetCtx",
    "allMids",
    "orderUpdates",
    "userEvents",
    "userFills",
    "userFundings",
    "clearinghouseState",
    "openOrders",
]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One stream. `coin` for markets, `interval` for candles, `fast` for the short book, `user` for an account's."""

    channel: Channel
    coin: str = ""
    interval: str = ""
    user: str = ""
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """The venue took a subscription on or off. The snapshot, where there is one, comes after it."""

    subscribed: bool
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping: the socket lives, which says nothing of the data."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue refuses what was sent, in its own words."""

    reason: str


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one coin. The first frame after subscribing repeats old ones: tell them by (time, tid)."""

    trades: tuple[Trade, ...]


@dataclass(frozen=True, slots=True)
class Mids:
    """The mid price of every coin that has one."""

    mids: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Fills:
    """One's own fills; a snapshot repeats the last 2,000. `user` is empty in frames of `userEvents`."""

    user: str
    fills: tuple[Fill, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Fundings:
    """Fundings paid or received."""

    user: str
    payments: tuple[FundingPayment, ...]
    snapshot: bool


@dataclass(frozen=True, slots=True)
class OrderUpdates:
    """What became of orders. There is no snapshot: ask for the open orders after the ack."""

    reports: tuple[OrderReport, ...]


@dataclass(frozen=True, slots=True)
class Liquidated:
    """The account was liquidated."""

    user: str
    notional: str
    value: str


@dataclass(frozen=True, slots=True)
class CanceledByVenue:
    """Orders that the venue cancelled by itself: (coin, number)."""

    orders: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """An account's margin and positions."""

    user: str
    state: AccountState


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """All open orders of an account."""

    user: str
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """A channel, or an event, that is not read: it is counted, never an error."""

    channel: str


type Frame = (
    Ack
    | Pong
    | Refusal
    | Quote
    | Book
    | Candle
    | Context
    | Trades
    | Mids
    | Fills
    | Fundings
    | OrderUpdates
    | Liquidated
    | CanceledByVenue
    | StateUpdate
    | OpenOrders
    | Unread
)
