"""What one closed trade earned, from its prices and the funding history: the accounting that any venue's list can check.

The ledger books the same sums bar by bar; here they are computed from times, so that other engines' trades, which count
funding stamps at a trade's ends in their own way, can be reproduced to the cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantga.errors import DataError

type Ends = Literal["after_entry", "before_exit", "both", "neither"]
"""Which funding stamps at the very moment of a fill count: `after_entry` is (entry, exit], as the ledger does."""


@dataclass(frozen=True, slots=True)
class Deal:
    """A closed trade. side: +1 long, -1 short; units > 0; times in ms UTC; fees as fractions of the notional."""

    side: int
    units: float
    entry_price: float
    exit_price: float
    entry_time: int
    exit_time: int
    entry_fee: float
    exit_fee: float


@dataclass(frozen=True, slots=True)
class Stamps:
    """Funding history: time int64[k] (ms UTC, ascending), rate float64[k] and the price that it is charged on."""

    time: NDArray[np.int64]
    rate: NDArray[np.float64]
    price: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not len(self.time) == len(self.rate) == len(self.price):
            raise DataError("funding stamps: times, rates and prices must have one length")
        if np.any(np.diff(self.time) <= 0):
            raise DataError("funding stamps: times must ascend")


@dataclass(frozen=True, slots=True)
class Profit:
    """fees and funding as paid (funding received is negative), profit after both, in USDC."""

    fees: float
    funding: float
    profit: float


def trade_profit(deal: Deal, stamps: Stamps, ends: Ends = "after_entry") -> Profit:
    """Return what the deal earned: side x units x (exit - entry) - fees - side x units x sum of rate x price.

    ends: which stamps at the moment of entry and of exit count. Raises DataError where a stamp that counts has no number.
    """
    low = np.searchsorted(stamps.time, deal.entry_time, "left" if ends in ("both", "before_exit") else "right")
    high = np.searchsorted(stamps.time, deal.exit_time, "right" if ends in ("both", "after_entry") else "left")
    charged = stamps.rate[low:high] * stamps.price[low:high]
    if np.isnan(charged).any():
        when = stamps.time[low:high][np.isnan(charged)][0]
        raise DataError(f"the funding stamp at {when} ms has no rate or no price; complete the history")
    funding = deal.side * deal.units * sum(charged.tolist())
    fees = deal.units * (deal.entry_price * deal.entry_fee + deal.exit_price * deal.exit_fee)
    return Profit(fees, funding, deal.side * deal.units * (deal.exit_price - deal.entry_price) - fees - funding)
