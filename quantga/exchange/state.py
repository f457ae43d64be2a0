"""Everything the exchange knows, as plain records that a snapshot can hold.

Prices, sizes and money are whole numbers (see `assets.Asset`), so that money is conserved to the last millionth and
a replay of the journal ends in the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HISTORY = 2000
"""Orders and fills kept per account, by count."""
FILLS = 10_000
DEFAULT_LEVERAGE = 20


@dataclass(slots=True)
class Order:
    """One order. `size` is what is left, `orig` what was asked for; `side` is +1 for a buy, -1 for a sell."""

    oid: int
    user: str
    coin: int
    side: int
    px: int
    size: int
    orig: int
    tif: str
    reduce_only: bool
    cloid: str | None
    time: int
    trigger_px: int = 0
    tpsl: str = ""
    is_market: bool = False
    position_tpsl: bool = False
    waiting: bool = False
    fired: bool = False
    parent: int = 0
    children: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    status: str = "open"
    status_time: int = 0
    builder_fee: int = 0
    filled: int = 0
    cost: int = 0
    twap: int = 0

    @property
    def is_trigger(self) -> bool:
        """Whether it waits for a mark price."""
        return self.trigger_px > 0 and not self.fired


@dataclass(slots=True)
class Twap:
    """A TWAP order: `parts` suborders over `minutes`, of which `done` were sent; `status_time` 0 = it runs."""

    twap_id: int
    user: str
    coin: int
    side: int
    size: int
    minutes: int
    reduce_only: bool
    randomize: bool
    time: int
    parts: int
    done: int = 0
    executed: int = 0
    notional: int = 0
    status: str = "activated"
    status_time: int = 0
    description: str = ""


@dataclass(slots=True)
class Position:
    """A position: signed size, what it cost (unsigned), and for an isolated one its own `raw` dollars."""

    szi: int
    entry: int
    leverage: int
    cross: bool
    raw: int = 0
    funding_open: int = 0
    funding_change: int = 0
    liquidated_at: int = 0


@dataclass(slots=True)
class Resting:
    """Notional of an account's resting orders in one coin that could open a position."""

    buys: int = 0
    sells: int = 0


@dataclass(slots=True)
class Agent:
    """An approved agent wallet: `until` is the wall time (ms) after which it no longer counts, 0 = never."""

    address: str
    name: str
    until: int = 0


@dataclass(slots=True)
class Account:
    """One funded account. `raw` is the cross balance less the cost of cross positions."""

    address: str
    raw: int = 0
    spot: int = 0
    deposited: int = 0
    positions: dict[int, Position] = field(default_factory=dict)
    leverage: dict[int, list[int]] = field(default_factory=dict)
    resting: dict[int, Resting] = field(default_factory=dict)
    orders: dict[int, None] = field(default_factory=dict)
    reduce_only: dict[int, dict[int, None]] = field(default_factory=dict)
    cloids: dict[str, int] = field(default_factory=dict)
    history: list[int] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)
    fundings: list[dict[str, Any]] = field(default_factory=list)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    funding_all: dict[int, int] = field(default_factory=dict)
    agents: list[Agent] = field(default_factory=list)
    builders: dict[str, str] = field(default_factory=dict)
    volume: int = 0
    daily: dict[int, list[int]] = field(default_factory=dict)
    used: int = 0
    reserved: int = 0
    last_extra: int = 0
    cancel_at: int = 0
    firings: list[int] = field(default_factory=lambda: [0, 0])
    samples: list[list[int]] = field(default_factory=list)
    twaps: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Coin:
    """One market: its asset, where the replay stands in its bars, its prices and its levels.

    A mirrored one has the levels of another venue, and `live` bars (time, open, high, low, close, volume) since the start.
    """

    name: str
    digest: str
    bar: int = -1
    point: int = -1
    px: int = 0
    low: int = 0
    high: int = 0
    mark: int = 0
    oracle: int = 0
    basis: float = 0.0
    smooth: float = 0.0
    slow: float = 0.0
    time: int = 0
    halted: bool = False
    mirrored: bool = False
    live: list[list[int]] = field(default_factory=list)
    bids: list[list[int]] = field(default_factory=list)
    asks: list[list[int]] = field(default_factory=list)
    premium_sum: float = 0.0
    premiums: int = 0
    funding: int = 0
    fundings: list[list[int]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class House:
    """The other side of synthetic liquidity and of backstops; it keeps the fees. With it, money sums to deposits."""

    raw: int = 0
    fees: int = 0
    szi: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """The whole exchange. Times: `market` is the replay's clock (ms), `wall` the newest admission time (ms)."""

    seed: int
    market: int
    start: int
    wall: int = 0
    next_oid: int = 1_000_000
    next_hour: int = 0
    serial: int = 0
    coins: list[Coin] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    nonces: dict[str, list[int]] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    triggers: dict[int, dict[int, None]] = field(default_factory=dict)
    next_twap: int = 1
    twaps: dict[int, Twap] = field(default_factory=dict)
    running: dict[int, None] = field(default_factory=dict)
    house: House = field(default_factory=House)
    deposits: int = 0


RECORDS = {kind.__name__: kind for kind in (Order, Twap, Position, Resting, Agent, Account, Coin, House, State)}
"""What a snapshot may contain besides numbers, texts, lists and dictionaries."""
