"""What a venue tells everybody: its assets, books, candles, trades and fundings, as frozen records.

Market data are floats, because they are computed with; what goes back to the venue (see `account`) is Decimal, because
it must arrive unchanged. Times are milliseconds UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from quantga.errors import ConfigError

type MarginMode = Literal["cross", "noCross", "strictIsolated"]


@dataclass(frozen=True, slots=True)
class MarginTier:
    """From this notional (USDC) on, at most this leverage."""

    lower: Decimal
    max_leverage: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One perpetual. `index` is its number in orders; sizes have at most `size_decimals` decimals.

    Without `tiers` the venue named a margin table that it did not give, or no leverage (as early in 2023; `max_leverage` is
    then 0): the margin is not known.
    """

    coin: str
    index: int
    size_decimals: int
    max_leverage: int
    tiers: tuple[MarginTier, ...]
    margin_mode: MarginMode = "cross"
    delisted: bool = False

    @property
    def price_decimals(self) -> int:
        """The most decimals that a price may have; it has at most five significant figures besides."""
        return 6 - self.size_decimals

    @property
    def tradable(self) -> bool:
        """Whether orders for it can be sent: it is listed, and its margin is known."""
        return bool(self.tiers) and not self.delisted


@dataclass(frozen=True, slots=True)
class Meta:
    """The assets of the venue in the order of their numbers, as they were when asked for."""

    assets: tuple[Asset, ...]

    def asset(self, coin: str) -> Asset:
        """Return the asset called `coin`.

        Raises:
            ConfigError: the venue has none of that name; near names are told.
        """
        found = next((asset for asset in self.assets if asset.coin == coin), None)
        if found is None:
            near = [asset.coin for asset in self.assets if asset.coin.upper() == coin.upper()]
            names = near or sorted(asset.coin for asset in self.assets if not asset.delisted)[:12]
            raise ConfigError(f"the venue has no perpetual {coin!r}: it has {', '.join(names)}{'' if near else ', …'}")
        return found


@dataclass(frozen=True, slots=True)
class Context:
    """An asset at this moment. `funding` is the present hourly rate; `open_interest` counts coins, `day_volume` USDC.

    `mid`, `premium` and the impact prices are NaN while there is no two-sided book.
    """

    coin: str
    funding: float
    open_interest: float
    mark: float
    oracle: float
    mid: float
    premium: float
    impact_bid: float
    impact_ask: float
    previous_day: float
    day_volume: float


@dataclass(frozen=True, slots=True)
class Level:
    """A price, what rests there, and in how many orders."""

    px: float
    size: float
    orders: int


@dataclass(frozen=True, slots=True)
class Book:
    """The best levels of both sides, the best first; a side may be empty. `fast` marks the short, frequent kind."""

    coin: str
    time: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """The best level of both sides; None where a side is empty."""

    coin: str
    time: int
    bid: Level | None
    ask: Level | None


@dataclass(frozen=True, slots=True)
class Candle:
    """A bar: it opens at `start` and covers up to and including `end` (start + interval - 1 ms)."""

    coin: str
    interval: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade; `buy` says that the taker bought. `tid` is unique only together with coin and time."""

    coin: str
    time: int
    buy: bool
    px: float
    size: float
    tid: int
    hash: str
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FundingRate:
    """A rate that was charged at `time`, per funding interval; the venue stamps some milliseconds late."""

    coin: str
    time: int
    rate: float
    premium: float
