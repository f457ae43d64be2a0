"""The ledger's single steps: act at an open, set the levels that close a position, close it inside a bar.

Everything here changes one row of state.
"""

from __future__ import annotations

import math

import numpy as np

from quantga.engine.ledger_book import close_part, settle, trade
from quantga.engine.ledger_market import AFTER, ATR, BEFORE, HIGH, LOW, MARK, OPEN, ROW, VOLATILITY, Market
from quantga.engine.ledger_sizing import fill_price, liquidation_level, maintenance_margin, rebalance, tick_price
from quantga.engine.ledger_state import (
    ACTED,
    BANDED,
    CASH,
    ENTRY_PRICE,
    ENTRY_ROW,
    EXPIRED,
    HELD_LONG,
    LADDER_HIT,
    LADDER_LEVEL,
    LIQUIDATED,
    LIQUIDATION,
    LIQUIDATIONS,
    NEVER,
    NEXT_EVENT,
    RUINED,
    SETTLED,
    SIGNAL,
    STOP_HIT,
    STOP_LEVEL,
    STOPPED,
    TAKE_HIT,
    TAKE_LEVEL,
    TAKEN,
    UNITS,
    Lent,
)
from quantga.engine.ledger_terms import (
    BAND,
    EXITS,
    FEE,
    LADDER,
    LATCH,
    MAKER,
    MAX_HOLD,
    MAX_LEVERAGE,
    NOTHING,
    SIZE,
    STEPS,
    STOP,
    STOP_ATR,
    TAKE,
    TAKE_ATR,
    TIERS,
    VOL_TARGET,
    Floats,
)
from quantga.lang.jit import merged, njit

_ZERO = 0.0
_TIE = 1e-9  # of the price: a stop this close to the liquidation price counts as equal
_BACKSTOP = 2.0 / 3.0  # of the maintenance margin: below it the venue takes position and margin


@merged
def target_weight(wanted: float, t: int, market: Market, genes: Floats) -> float:
    """Return the target weight decided at the close before row t; NaN where its size or its stop is undefined."""
    if genes[VOL_TARGET] + genes[STOP_ATR] + genes[TAKE_ATR] == _ZERO or wanted == _ZERO:
        return float(wanted * genes[SIZE])
    if (genes[STOP_ATR] > _ZERO or genes[TAKE_ATR] > _ZERO) and np.isnan(market.rows[(t - 1) * ROW + ATR]):
        return math.nan
    if genes[VOL_TARGET] > _ZERO:
        volatility = market.rows[(t - 1) * ROW + VOLATILITY]
        if np.isnan(volatility):
            return math.nan
        if genes[VOL_TARGET] < genes[SIZE] * volatility:
            return float(wanted * (genes[VOL_TARGET] / volatility))
    return float(wanted * genes[SIZE])


@njit
def _levels(state: Floats, t: int, market: Market, genes: Floats) -> None:
    """Set stop and take, as side x price, from the average entry price and the true range at the deciding close."""
    side = 1.0 if state[UNITS] > _ZERO else -1.0
    entry = side * state[ENTRY_PRICE]
    stop, take = -math.inf, math.inf
    if genes[STOP] > _ZERO:
        stop = entry - genes[STOP] * state[ENTRY_PRICE]
    if genes[STOP_ATR] > _ZERO:
        stop = max(stop, entry - genes[STOP_ATR] * market.rows[(t - 1) * ROW + ATR])
    if genes[TAKE] > _ZERO:
        take = entry + genes[TAKE] * state[ENTRY_PRICE]
    if genes[TAKE_ATR] > _ZERO:
        take = min(take, entry + genes[TAKE_ATR] * market.rows[(t - 1) * ROW + ATR])
    state[STOP_LEVEL], state[TAKE_LEVEL] = stop, take
    state[LADDER_LEVEL], state[NEXT_EVENT] = math.inf, NEVER


@njit
def schedule(state: Floats, t: int, genes: Floats, terms: Floats) -> None:
    """Set the ladder's level at the position's age in row t, and the next row where age alone changes something."""
    side = 1.0 if state[UNITS] > _ZERO else -1.0
    age = t - state[ENTRY_ROW]
    ahead = NEVER
    if genes[MAX_HOLD] > _ZERO:
        ahead = max(genes[MAX_HOLD], age + 1.0)  # overdue where its bar was missing
    state[LADDER_LEVEL] = math.inf
    for step in range(int(genes[STEPS])):
        at = LADDER + 2 * step
        if genes[at] <= age:
            cost = side * (1.0 + side * terms[FEE]) + genes[at + 1]
            state[LADDER_LEVEL] = state[ENTRY_PRICE] * cost / (1.0 - side * terms[MAKER])
        elif genes[at] < ahead:
            ahead = genes[at]
    state[NEXT_EVENT] = state[ENTRY_ROW] + ahead


@merged
def at_open(state: Floats, t: int, wanted: float, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
    """Act at the open of row t on what was wanted at the close before."""
    price = market.rows[t * ROW + OPEN]
    if t == 0 or np.isnan(price):
        return
    if np.isnan(market.rows[(t - 1) * ROW + OPEN]):  # no decision on a missing bar
        wanted = math.nan
    units = state[UNITS]
    target, reason = math.nan, SIGNAL
    if wanted == wanted and wanted != state[ACTED]:  # noqa: PLR0124 (NaN: hold)
        target = target_weight(wanted, t, market, genes)
    if target == target:  # noqa: PLR0124
        state[ACTED] = wanted
    elif units == _ZERO:
        return
    elif genes[MAX_HOLD] > _ZERO and t - state[ENTRY_ROW] >= genes[MAX_HOLD]:
        target, reason = _ZERO, HELD_LONG
        state[EXPIRED] += 1.0
        if genes[LATCH] == _ZERO:
            state[ACTED] = math.nan
    elif genes[BAND] > _ZERO and drifted(state, t, wanted, market, terms, genes):
        target, reason = target_weight(wanted, t, market, genes), BANDED
    else:
        return
    cash = state[CASH] - units * (market.rows[t * ROW + BEFORE] - state[SETTLED])
    after, fill = rebalance(target, cash, units, price, terms)
    if after != units:
        trade(state, t, after, fill, price, terms[FEE], reason, market, terms[NOTHING], record)
        if genes[EXITS] > _ZERO and not (after * units > _ZERO and abs(after) < abs(units)):
            _levels(state, t, market, genes)


@njit
def drifted(state: Floats, t: int, wanted: float, market: Market, terms: Floats, genes: Floats) -> bool:
    """Tell whether at the close before row t the weight was further from its target than the band."""
    units, mark = state[UNITS], market.rows[(t - 1) * ROW + MARK]
    equity = state[CASH] + units * (mark - (market.rows[t * ROW + BEFORE] - state[SETTLED]))
    target = target_weight(wanted, t, market, genes)
    limit = min(abs(target), terms[MAX_LEVERAGE])
    capped = limit if target > _ZERO else -limit
    return bool(abs(units * mark - capped * equity) > genes[BAND] * equity)


@njit
def look_inside(state: Floats, t: int, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
    """Rules (2) and (3) of row t for a position that is held."""
    if genes[EXITS] + terms[TIERS] > _ZERO:
        _inside(state, t, market, terms, genes, record)
    units, row = state[UNITS], t * ROW
    equity = state[CASH] + units * (market.rows[row + MARK] - (market.rows[row + AFTER] - state[SETTLED]))
    if units != _ZERO and equity <= terms[NOTHING]:
        _ruin(state, t, market, record)


@njit
def _inside(state: Floats, t: int, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
    """Close the position inside row t if it opened beyond a level, or its low or high touched one."""
    units = state[UNITS]
    side = 1.0 if units > _ZERO else -1.0
    start = side * market.rows[t * ROW + OPEN]
    if np.isnan(start):
        return
    worst, best = market.rows[t * ROW + LOW], market.rows[t * ROW + HIGH]
    if side < _ZERO:
        worst, best = -best, -worst
    liquidation = -math.inf
    if terms[TIERS] > _ZERO:
        liquidation = liquidation_level(
            state[CASH] - units * (market.rows[t * ROW + BEFORE] - state[SETTLED]), units, terms
        )
    stop = state[STOP_LEVEL]
    take = min(state[TAKE_LEVEL], state[LADDER_LEVEL])
    if start <= liquidation:
        _liquidate(state, t, market.rows[t * ROW + OPEN], market, terms, record)
    elif start <= stop:
        _leave(state, t, market.rows[t * ROW + OPEN], STOP_HIT, market, terms, record)
    elif start >= take:
        _leave(state, t, market.rows[t * ROW + OPEN], TAKE_HIT, market, terms, record)
    elif worst <= max(liquidation, stop):
        if stop >= liquidation - _TIE * abs(liquidation):
            _leave(state, t, side * stop, STOP_HIT, market, terms, record)
        else:
            _liquidate(state, t, side * liquidation, market, terms, record)
    elif best >= take:
        _leave(state, t, side * take, TAKE_HIT, market, terms, record)
    else:
        return
    if genes[LATCH] == _ZERO:
        state[ACTED] = math.nan


@njit
def _leave(state: Floats, t: int, level: float, reason: int, market: Market, terms: Floats, record: Lent) -> None:
    """Close by a stop (a market order: slippage, taker fee) or a take (a resting order: neither, maker fee)."""
    side = -1.0 if state[UNITS] > _ZERO else 1.0
    if reason == STOP_HIT:
        state[STOPPED] += 1.0
        price, rate = fill_price(level, side, terms), terms[FEE]
    else:
        state[TAKEN] += 1.0
        price, rate = tick_price(level, side, terms), terms[MAKER]
        if state[LADDER_LEVEL] < state[TAKE_LEVEL]:
            reason = LADDER_HIT
    trade(state, t, _ZERO, price, level, rate, reason, market, terms[NOTHING], record)


@njit
def _liquidate(state: Floats, t: int, level: float, market: Market, terms: Floats, record: Lent) -> None:
    """Close by the venue at `level`: a market order, or everything is lost where equity is below 2/3 of the margin."""
    units = state[UNITS]
    equity = state[CASH] - units * (market.rows[t * ROW + BEFORE] - state[SETTLED]) + units * level
    state[LIQUIDATED] = 1.0
    state[LIQUIDATIONS] += 1.0
    lost = equity < _BACKSTOP * maintenance_margin(abs(units) * level, terms)
    price = fill_price(level, -1.0 if units > _ZERO else 1.0, terms)
    if lost:
        # The margin goes with the position: the price at which nothing is left.
        settle(state, t, market.rows[t * ROW + BEFORE], market, record)
        given_up = -(state[CASH] + units * level)
        state[CASH], state[RUINED] = _ZERO, 1.0
        close_part(state, t, abs(units), level, _ZERO, given_up, LIQUIDATION, record)
        state[UNITS] = _ZERO
    else:
        trade(state, t, _ZERO, price, level, terms[FEE], LIQUIDATION, market, terms[NOTHING], record)


@njit
def _ruin(state: Floats, t: int, market: Market, record: Lent) -> None:
    """Close row t with nothing left: the position goes at the mark without a fee, and the account stays at 0."""
    settle(state, t, market.rows[t * ROW + AFTER], market, record)
    units, mark = state[UNITS], market.rows[t * ROW + MARK]
    given_up = -(state[CASH] + units * mark)
    state[CASH] = _ZERO
    state[RUINED] = 1.0
    state[LIQUIDATED] = 1.0
    state[LIQUIDATIONS] += 1.0
    close_part(state, t, abs(units), mark, _ZERO, given_up, LIQUIDATION, record)
    state[UNITS] = _ZERO
