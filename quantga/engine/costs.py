"""What trading costs and which of the venue's rules are applied: one frozen record, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantga.engine.instruments import Instrument
from quantga.errors import ConfigError

_BOUNDS = {
    "fee": (0.0, 0.05),
    "maker": (-0.01, 0.05),
    "slippage": (0.0, 0.2),
    "capital": (1e-3, 1e15),
    "max_leverage": (0.01, 50.0),
    "min_notional": (0.0, 1e9),
}
_SWITCHES = ("funding", "lots", "margin", "stops")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of trading, per side and as fractions of the notional; the defaults are Hyperliquid's lowest tier.

    fee: taker fee, paid by every order but a take. maker: fee of a take (a resting limit order); negative is a rebate.
    slippage: how much worse than the bar's open, or a stop's level, a market order fills.
    funding: pay and receive the bars' `funding`. lots: round sizes and prices as the venue does, refuse orders below
    `min_notional` USDC unless they close the whole position. margin: cap the leverage by the asset's tiers and liquidate
    below the maintenance margin. stops: obey the genes that close a position (stop, take, ladder, max_hold).
    capital: USDC at the start. max_leverage: no order aims at a larger |weight|.
    instruments: lot sizes and margin tiers that replace or extend the shipped table.
    """

    fee: float = 0.00045
    maker: float = 0.00015
    slippage: float = 0.0002
    funding: bool = True
    lots: bool = False
    margin: bool = False
    stops: bool = True
    capital: float = 10_000.0
    max_leverage: float = 10.0
    min_notional: float = 10.0
    instruments: tuple[Instrument, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ConfigError(f"costs: {name}={value!r} must be a number from {low:g} to {high:g}")
            if not low <= value <= high:
                raise ConfigError(f"costs: {name}={value:g} is outside {low:g} to {high:g}")
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"costs: {name}={getattr(self, name)!r} must be true or false")
        if self.fee * self.max_leverage >= 1:
            raise ConfigError(f"costs: fee={self.fee:g} eats the whole account at max_leverage={self.max_leverage:g}")
        if not all(isinstance(item, Instrument) for item in self.instruments):
            raise ConfigError("costs: instruments must be Instrument records, e.g. Instrument('FOO', 2, ((0, 5),))")
