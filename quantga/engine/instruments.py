"""Lot, tick and margin rules of the venue's perpetuals: sizes must be traded as the venue trades them.

Sizes of lots were inferred from recorded Hyperliquid books and its metadata of July 2023; leverage tiers are those of its
documentation (August 2026). A table for the common assets ships here; others are given explicitly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from quantga.errors import ConfigError, DataError

MAX_DECIMALS = 6
"""A perpetual's price has at most MAX_DECIMALS - size_decimals decimals (and five significant figures)."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One perpetual: `base` asset, decimals of its size, and margin tiers (lower bound in USDC, maximal leverage).

    Maintenance margin in a tier is half the initial margin at its maximal leverage, less a deduction that makes it
    continuous: notional / (2 x leverage) - deduction.
    """

    base: str
    size_decimals: int
    tiers: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not 0 <= self.size_decimals <= MAX_DECIMALS:
            raise ConfigError(f"instrument {self.base}: size_decimals={self.size_decimals} is not 0 to {MAX_DECIMALS}")
        bounds, leverages = [tier[0] for tier in self.tiers], [tier[1] for tier in self.tiers]
        rising = all(a < b for a, b in pairwise(bounds))
        falling = all(a > b for a, b in pairwise(leverages))
        if not self.tiers or bounds[0] != 0 or not rising or not falling or leverages[-1] < 1:
            raise ConfigError(
                f"instrument {self.base}: tiers must begin at 0, rise in notional and fall in leverage down to 1 or more, "
                "e.g. ((0, 10), (3_000_000, 5))"
            )

    @property
    def max_leverage(self) -> float:
        """Leverage of the first tier."""
        return self.tiers[0][1]

    def maintenance(self) -> tuple[tuple[float, float], ...]:
        """Return (rate, deduction) of each tier: maintenance margin = notional x rate - deduction."""
        found: list[tuple[float, float]] = []
        for lower, leverage in self.tiers:
            rate = 1 / (2 * leverage)
            deduction = found[-1][1] + lower * (rate - found[-1][0]) if found else 0.0
            found.append((rate, deduction))
        return tuple(found)


_TIERS = {
    40: ((0, 40), (150e6, 20)),
    25: ((0, 25), (100e6, 15)),
    20: ((0, 20), (70e6, 10)),
    21: ((0, 20), (40e6, 10)),
    10: ((0, 10), (20e6, 5)),
    11: ((0, 10), (3e6, 5)),
    5: ((0, 5),),
    3: ((0, 3),),
}
_BY_TIER = {
    40: "BTC:5",
    25: "ETH:4",
    20: "SOL:2",
    21: "XRP:0",
    10: "AAVE:2 ADA:0 APT:2 AVAX:2 BCH:3 CRV:1 DOGE:0 ENA:0 FARTCOIN:1 HYPE:2 kBONK:0 kPEPE:0 LINK:1 LTC:2 NEAR:1 "
    "PUMP:0 SUI:1 TRUMP:1 UNI:1 WLD:1 ZEC:2",
    11: "ARB:1 BNB:3 DOT:1 JUP:0 kSHIB:0 MKR:4 ONDO:0 PAXG:3 TON:1 TRX:0",
    5: "ATOM:2 DYDX:1 APE:1 OP:1 INJ:1 LDO:1 STX:1 WIF:0 TAO:3 TIA:1 SEI:0 HBAR:0 XLM:0 ETC:2 FIL:1 ALGO:0 XMR:2",
    3: "MATIC:1 SNX:1 RNDR:1",
}
TABLE: dict[str, Instrument] = {
    name: Instrument(name, int(decimals), _TIERS[tier])
    for tier, names in _BY_TIER.items()
    for name, _, decimals in (word.partition(":") for word in names.split())
}
"""The shipped instruments by base asset. Tiers of one step that the documentation does not list are approximations."""


def instrument(base: str, given: Iterable[Instrument] = ()) -> Instrument:
    """Return the instrument of a base asset, from `given` first. Raises DataError if nobody knows it."""
    for item in given:
        if item.base == base:
            return item
    if base in TABLE:
        return TABLE[base]
    raise DataError(
        f"no lot size is known for {base or 'a market without a base asset'}: turn `lots` off, "
        f"or give it, e.g. instruments=(Instrument({base or 'FOO'!r}, 2, ((0, 5),)),)"
    )


STRICTEST = Instrument("", 0, _TIERS[3])
"""Margin of an asset that nobody knows: the least leverage that the venue grants any perpetual."""


def margined(base: str, given: Iterable[Instrument] = ()) -> Instrument:
    """Return the instrument whose margin tiers bind a base asset: its own, or the strictest of the venue."""
    try:
        return instrument(base, given)
    except DataError:
        return STRICTEST
