"""One rebalance step: from a target weight to units and a fill price. The search and live trading both call it.

Pure and compiled; docs/ledger.md states the rules so that anybody can reproduce them elsewhere.
"""

from __future__ import annotations

import math

import numpy as np

from quantga.engine.ledger_terms import (
    DEDUCTION,
    FEE,
    LEVERAGE,
    LOWER,
    MAX_LEVERAGE,
    MIN_NOTIONAL,
    NOTHING,
    PER_UNIT,
    PRICE_SCALE,
    RATE,
    SLIPPAGE,
    TIER,
    TIER_WIDTH,
    TIERS,
    Floats,
)
from quantga.lang.jit import merged, njit

_TIE = 1e-6  # of a lot or a tick: a quotient this close to a whole number is that number
_DUST = 1e-12  # units: a smaller position is none, a smaller order (or part of a large position) is rounding
_REST = 1e-9  # of the position before the order: a smaller one after it is none
_ZERO = 0.0


@merged
def tick_price(price: float, side: float, terms: Floats) -> float:
    """Return the nearest valid price against the trader: up for a buy (side 1), down for a sell (side -1).

    Valid: five significant figures and at most 6 - size_decimals decimals; whole numbers always are.
    """
    if terms[PER_UNIT] == _ZERO:
        return price
    scale = 1e6
    if price >= 0.1:
        scale = 1e5 if price < 1.0 else 1e4
    if price >= 10.0:
        scale = 1e3 if price < 100.0 else 1e2
    if price >= 1e3:
        scale = 10.0 if price < 1e4 else 1.0
    scale = min(scale, terms[PRICE_SCALE])
    return float(-side * np.floor(_TIE - side * (price * scale)) / scale)


@merged
def fill_price(price: float, side: float, terms: Floats) -> float:
    """Return where a market order fills that finds the market at `price`: after slippage and tick."""
    return tick_price(price * (1.0 + side * terms[SLIPPAGE]), side, terms)


@merged
def _size(
    weight: float, sign: float, side: float, cash: float, units: float, fill: float, terms: Floats
) -> tuple[float, float]:
    """Return |units after| as a fraction: their notional N is weight x (equity - fee x |sign N - units x fill|)."""
    fee = side * terms[FEE]
    return weight * (cash + units * fill + fee * units * fill), (1.0 + weight * fee * sign) * fill


@njit
def _allowed(weight: float, sign: float, side: float, cash: float, units: float, fill: float, terms: Floats) -> float:
    """Return the size of `_size` within the margin tiers: at most leverage x equity in the tier where it lies."""
    count = int(terms[TIERS])
    found = _ZERO
    for tier in range(count):
        at = TIER + tier * TIER_WIDTH
        capped = min(weight, terms[at + LEVERAGE])
        above, below = _size(capped, sign, side, cash, units, fill, terms)
        found = max(above / below, terms[at + LOWER] / fill)
        if tier + 1 == count or found * fill <= terms[at + TIER_WIDTH + LOWER]:
            break
    return found


@njit
def rebalance(target: float, cash: float, units: float, price: float, terms: Floats) -> tuple[float, float]:
    """Return (units after the order, fill price); units unchanged where no order is due.

    target: weight of the equity after fees, its sign the direction; cash: USDC besides the position; units: held, signed;
    price: where the market is. A target of 0 closes, and so does an account that is ruined.

    A buy and a sale are both worked out and one is chosen, without branches: a processor would guess them wrongly.
    """
    equity = cash + units * price
    sign = 1.0 if target > _ZERO else -1.0
    weight = min(abs(target), terms[MAX_LEVERAGE])
    tiers = terms[TIERS]
    first = min(weight, terms[TIER + LEVERAGE]) if tiers > _ZERO else weight
    bid, ask = fill_price(price, -1.0, terms), fill_price(price, 1.0, terms)
    sold = _size(first, sign, -1.0, cash, units, bid, terms)
    bought = _size(first, sign, 1.0, cash, units, ask, terms)
    worth = sign * weight * equity if equity > terms[NOTHING] else _ZERO
    buys = worth > units * price
    side, fill = 1.0 if buys else -1.0, ask if buys else bid
    after = (bought[0] if buys else sold[0]) / (bought[1] if buys else sold[1])
    if fill <= _ZERO:
        return units, fill
    if tiers > 1.0 and after * fill > terms[TIER + TIER_WIDTH + LOWER]:
        after = _allowed(weight, sign, side, cash, units, fill, terms)
    if terms[PER_UNIT] > _ZERO:
        after = np.floor(after * terms[PER_UNIT] + _TIE) / terms[PER_UNIT]
    kept = (after > max(_DUST, _REST * abs(units))) & (equity > terms[NOTHING])
    after = sign * after if kept else _ZERO
    change = side * (after - units)
    if change <= _DUST * max(1.0, abs(units)) or (kept & (change * fill < terms[MIN_NOTIONAL])):
        return units, fill
    return after + _ZERO, fill


@njit
def liquidation_level(cash: float, units: float, terms: Floats) -> float:
    """Return sign(units) x the price at which cash + units x price equals the maintenance margin; -inf without margin.

    The maintenance margin is the largest of the tiers' notional x rate - deduction, so the price reached first counts.
    """
    sign = 1.0 if units > _ZERO else -1.0
    level = -math.inf
    for tier in range(int(terms[TIERS])):
        at = TIER + tier * TIER_WIDTH
        level = max(level, -(cash + terms[at + DEDUCTION]) / (abs(units) * (1.0 - sign * terms[at + RATE])))
    return level


@njit
def maintenance_margin(notional: float, terms: Floats) -> float:
    """Return the maintenance margin of a position worth `notional` USDC."""
    margin = _ZERO
    for tier in range(int(terms[TIERS])):
        at = TIER + tier * TIER_WIDTH
        margin = max(margin, notional * terms[at + RATE] - terms[at + DEDUCTION])
    return margin
