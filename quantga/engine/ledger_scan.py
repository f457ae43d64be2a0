"""Which rows of a chunk may matter to an account: masks of bits, worked out for 32 bars at a time without a branch.

A mask may name a row too many, never one too few; what happens there is for the exact rules to say. Most chunks are
proved quiet by their extremes alone.
"""

from __future__ import annotations

import numpy as np

from quantga.engine.ledger_borrow import MASKED, changed, further, lowest_bit
from quantga.engine.ledger_market import (
    BOUNDS,
    CALM_MAX,
    CALM_MIN,
    HIGH_MAX,
    LAST_MAX,
    LAST_MIN,
    LOW_MIN,
    PAID_MAX,
    PAID_MIN,
    Market,
)
from quantga.engine.ledger_sizing import liquidation_level, maintenance_margin
from quantga.engine.ledger_state import ACTED, CASH, LADDER_LEVEL, SETTLED, STOP_LEVEL, TAKE_LEVEL, UNITS
from quantga.engine.ledger_terms import BAND, CAPITAL, MAX_LEVERAGE, SIZE, TIERS, VOL_TARGET, Floats
from quantga.lang.jit import merged, njit

_ZERO = 0.0
_NEAR_RUIN = 1e-6  # of the capital, far above RUIN: below it equity is looked at bar by bar
_ROUNDING = 1e-9  # of the sums: what rounding may move a bound
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


@merged
def changes(wanted: Floats, first: int, count: int) -> np.uint64:
    """Return a bit for each of the `count` values from `first` on that is not NaN and not the value before it."""
    if count == MASKED:
        whole: np.uint64 = changed(further(wanted, first))
        return whole
    mask = np.uint64(0)
    for i in range(count):
        value = wanted[first + i]
        mask |= np.uint64((value == value) & (value != wanted[first + i - 1])) << np.uint64(i)  # noqa: PLR0124
    return mask


@merged
def from_bit(mask: np.uint64, bit: int) -> np.uint64:
    """Return the mask's bits from `bit` on; bit: 0 to CHUNK."""
    return mask & (_ALL << np.uint64(bit))


@merged
def first_touched(state: Floats, chunk: int, first: int, stop: int, market: Market, terms: Floats) -> int:
    """Return the first row from first to stop - 1, all of this chunk, that may touch a level or ruin; else `stop`."""
    units, settled, at = state[UNITS], state[SETTLED], chunk * BOUNDS
    size = abs(units)
    side, short = 1.0 if units > _ZERO else -1.0, int(units < _ZERO)  # a short swaps least and most
    worst, best = side * market.chunks[at + LOW_MIN + short], side * market.chunks[at + HIGH_MAX - short]
    paid = market.chunks[at + PAID_MAX - short]
    left = state[CASH] - units * (paid - settled)
    stopped, taken = state[STOP_LEVEL], min(state[TAKE_LEVEL], state[LADDER_LEVEL])
    near = _NEAR_RUIN * terms[CAPITAL]
    spare = left + size * worst - near
    if terms[TIERS] > _ZERO:
        value = size * abs(worst)
        spare -= maintenance_margin(value, terms) + _ROUNDING * (abs(left) + value)
    if (spare > _ZERO) & (worst > stopped) & (best < taken):
        return stop
    level = (near - left) / size
    if terms[TIERS] > _ZERO:
        level = max(level, liquidation_level(left, units, terms))
    level = max(level + _ROUNDING * abs(level), stopped)
    below, above = (level, taken) if units > _ZERO else (-taken, -level)
    return first + _beyond(market, first, stop - first, below, above)


@njit
def _beyond(market: Market, first: int, count: int, below: float, above: float) -> int:
    """Return how many of the `count` rows from `first` on come before one with a low or a high at or beyond a price."""
    mask = np.uint64(0)
    for i in range(count):
        mask |= np.uint64((market.low[first + i] <= below) | (market.high[first + i] >= above)) << np.uint64(i)
    return int(min(lowest_bit(mask), count))


@njit
def stays(state: Floats, chunk: int, market: Market, terms: Floats, genes: Floats) -> bool:
    """Tell whether at no row of the chunk the weight can have drifted by more than the band from what was acted on.

    Both ends of the band are lines in the mark and in the funding paid, so their extremes lie at the corners.
    """
    units, cash = state[UNITS], state[CASH] + state[UNITS] * state[SETTLED]
    at = chunk * BOUNDS
    low, high = market.chunks[at + LAST_MIN], market.chunks[at + LAST_MAX]
    least, most = market.chunks[at + PAID_MIN], market.chunks[at + PAID_MAX]
    small = large = abs(state[ACTED]) * genes[SIZE]
    if genes[VOL_TARGET] > _ZERO:
        small = min(small, abs(state[ACTED]) * genes[VOL_TARGET] / market.chunks[at + CALM_MAX])
        large = min(large, abs(state[ACTED]) * genes[VOL_TARGET] / market.chunks[at + CALM_MIN])
    small, large = min(small, terms[MAX_LEVERAGE]), min(large, terms[MAX_LEVERAGE])
    if state[ACTED] < _ZERO:
        small, large = -large, -small
    upper, lower = small + genes[BAND], large - genes[BAND]
    slack = _ROUNDING * (abs(cash) + abs(units) * (high + abs(least) + abs(most))) * (1.0 + abs(upper) + abs(lower))
    above = max(units * low * (1.0 - upper), units * high * (1.0 - upper))
    above += max(units * upper * least, units * upper * most) - upper * cash
    below = min(units * low * (1.0 - lower), units * high * (1.0 - lower))
    below += min(units * lower * least, units * lower * most) - lower * cash
    return bool(above < -slack and below > slack)
