"""What a venue tells one account, and what is asked of it: positions, orders, fills, actions and their outcomes.

Prices, sizes and money are Decimal with the venue's own digits: what is compared with the venue, or sent back to it,
must not pass through binary fractions. Times are milliseconds UTC; addresses and cloids are lower case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

type FillKey = tuple[str, int, int, int] | tuple[str, int, int, str, str, str]
type Tif = Literal["Alo", "Ioc", "Gtc"]
type Grouping = Literal["na", "normalTpsl", "positionTpsl"]

LIVE = frozenset({"open", "triggered"})
"""Statuses of an order that can still trade; all others are final."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position: `size` is signed. `liquidation` is None where no price would liquidate it."""

    coin: str
    size: Decimal
    entry: Decimal
    value: Decimal
    unrealized: Decimal
    liquidation: Decimal | None
    margin_used: Decimal
    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's margin and positions; a coin that is not listed is flat. `time` is 0 in answers older than 2024."""

    time: int
    value: Decimal
    margin_used: Decimal
    notional: Decimal
    cross_value: Decimal
    maintenance: Decimal | None
    withdrawable: Decimal
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the venue shows it. `trigger` is None unless it waits for a mark price.

    `openOrders` shows trigger orders without their trigger: there `trigger` and `kind` say nothing. `original` is None
    in answers that do not have it. A reduce-only order's `size` is what the venue shrank it to.
    """

    coin: str
    oid: int
    cloid: str | None
    buy: bool
    px: Decimal
    size: Decimal
    original: Decimal | None
    time: int
    reduce_only: bool
    trigger: Decimal | None = None
    condition: str = ""
    kind: str = ""
    tif: str | None = None
    position_tpsl: bool = False
    children: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What became of an order. `order` is None only where the venue knows no such order (`status` "unknownOid").

    That answer proves nothing by itself: a cloid may be unknown for a moment after its order was acknowledged, and old
    orders are forgotten.
    """

    status: str
    time: int
    order: Order | None

    @property
    def known(self) -> bool:
        """Whether the venue knows the order."""
        return self.order is not None

    @property
    def live(self) -> bool:
        """Whether the order can still trade."""
        return self.status in LIVE

    @property
    def rejected(self) -> bool:
        """Whether the order never rested and never traded; statuses that are not yet known are told by their ending."""
        return self.status.lower().endswith("rejected")


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Whose position a fill liquidated: on a taker's fill perhaps that of the other side."""

    user: str
    mark: Decimal
    method: str


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill of one's own. `closed_pnl` is gross of the fee; a negative fee is a rebate.

    `tid` is None before 2024, and `fee` NaN in the answers of early 2023, which had none.
    """

    coin: str
    time: int
    tid: int | None
    oid: int
    cloid: str | None
    buy: bool
    px: Decimal
    size: Decimal
    start: Decimal
    direction: str
    closed_pnl: Decimal
    fee: Decimal
    fee_token: str
    crossed: bool
    hash: str
    liquidation: Liquidation | None = None

    @property
    def key(self) -> FillKey:
        """What makes a fill the same as another: many share a millisecond, so neither time nor oid is enough."""
        if self.tid is not None:
            return self.coin, self.time, self.tid, self.oid
        return self.coin, self.time, self.oid, str(self.px), str(self.size), str(self.start)


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """A funding that was paid (`usdc` negative) or received."""

    coin: str
    time: int
    usdc: Decimal
    size: Decimal
    rate: Decimal
    hash: str = ""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A deposit, withdrawal or transfer; `fields` are the venue's own. What they change is no profit."""

    time: int
    kind: str
    hash: str
    usdc: Decimal | None
    fields: tuple[tuple[str, object], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddressBudget:
    """Actions an address has used of those it was granted: 10,000 and one per USDC traded."""

    volume: Decimal
    used: int
    cap: int


@dataclass(frozen=True, slots=True)
class Fees:
    """What this account pays of a fill's notional; a negative maker fee is a rebate."""

    taker: Decimal
    maker: Decimal


@dataclass(frozen=True, slots=True)
class Agent:
    """A key that may trade for an account, until `valid_until` (0: for ever)."""

    name: str
    address: str
    valid_until: int


@dataclass(frozen=True, slots=True)
class Role:
    """What an address is: `missing`, `user`, `agent` (of `master`), `vault` or `subAccount` (of `master`)."""

    kind: str
    master: str = ""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Wait until the mark price reaches `px`; then a market order, or a limit order at the order's own price."""

    px: Decimal
    take: bool
    market: bool = True


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to place. `tif` is without meaning where there is a trigger."""

    coin: str
    buy: bool
    px: Decimal
    size: Decimal
    tif: Tif = "Gtc"
    reduce_only: bool = False
    trigger: Trigger | None = None
    cloid: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Place orders, all in one action; a batch of 40 has the weight of one."""

    orders: tuple[OrderRequest, ...]
    grouping: Grouping = "na"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel orders, each named by coin and by its number or its cloid, all of one kind; at most 200."""

    orders: tuple[tuple[str, int | str], ...]


@dataclass(frozen=True, slots=True)
class Modify:
    """Replace orders, each named by its number or cloid. Not atomic: the old one may be lost and no new one placed."""

    orders: tuple[tuple[int | str, OrderRequest], ...]


@dataclass(frozen=True, slots=True)
class SetLeverage:
    """Set leverage and margin mode of a coin, which the venue only takes together."""

    coin: str
    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class AddMargin:
    """Add USDC to an isolated position, or take it out (negative)."""

    coin: str
    usdc: Decimal


@dataclass(frozen=True, slots=True)
class ScheduleCancel:
    """Cancel everything, protective stops too, at `time` (ms); None takes that back."""

    time: int | None


@dataclass(frozen=True, slots=True)
class Noop:
    """Do nothing but use up a nonce: whichever of two actions with one nonce lands first wins."""


type Action = Place | Cancel | Modify | SetLeverage | AddMargin | ScheduleCancel | Noop


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes an action unique and mortal: its nonce, and after when (ms, the venue's clock) it is dead."""

    nonce: int
    expires: int | None


@dataclass(frozen=True, slots=True)
class Resting:
    """The order is in the book, or waits for its trigger."""

    oid: int
    cloid: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """The order traded on arrival: `size` at `average`. A Gtc order may rest with what is left."""

    oid: int
    size: Decimal
    average: Decimal
    cloid: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Accepted without a number yet: `waitingForFill` (a child) or `waitingForTrigger`."""

    what: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue said no to this one, in its own words; nothing of it lives."""

    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The action, or this cancel, took effect."""


type Outcome = Resting | Filled | Waiting | Refused | Done
