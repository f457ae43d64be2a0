"""The ledger's single steps: book what was held, trade, set the levels that close a position, close it inside a bar.

Everything here changes one row of state, a flat array, so that a program can be carried from block to block.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from quantga.engine.ledger_market import AFTER, ATR, BEFORE, HIGH, LOW, MARK, OPEN, ROW, VOLATILITY, Market
from quantga.engine.ledger_sizing import fill_price, liquidation_level, maintenance_margin, rebalance, tick_price
from quantga.engine.ledger_terms import (
    BAND,
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
from quantga.lang.jit import njit

STATE = (
    *("trades", "wins", "won", "lost", "bars_in_trades", "fees", "funding", "held_bars", "long_bars", "turnover"),
    *("weight", "liquidated", "orders", "traded", "slippage", "stopped", "taken", "expired", "liquidations"),
    *("cash", "units", "settled", "acted", "pending", "ruined", "entry_row", "entry_price", "entry_fees"),
    *("entry_funding", "stop_level", "take_level", "ladder_level", "next_event", "flushed", "next_day", "held_since"),
    *("charged", "recorded"),
)
"""A program's state, float64 each; docs/ledger.md says what each figure is. Up to `liquidations` they are results."""
(TRADES, WINS, WON, LOST, BARS_IN_TRADES, FEES, FUNDING, HELD_BARS, LONG_BARS, TURNOVER) = range(10)
(WEIGHT, LIQUIDATED, ORDERS, TRADED, SLIPPED, STOPPED, TAKEN, EXPIRED, LIQUIDATIONS) = range(10, 19)
(CASH, UNITS, SETTLED, ACTED, PENDING, RUINED, ENTRY_ROW, ENTRY_PRICE, ENTRY_FEES) = range(19, 28)
(ENTRY_FUNDING, STOP_LEVEL, TAKE_LEVEL, LADDER_LEVEL, NEXT_EVENT, FLUSHED, NEXT_DAY, HELD_SINCE) = range(28, 36)
CHARGED, RECORDED = 36, 37

REASONS = ("signal", "band", "stop", "take", "ladder", "max_hold", "liquidation", "end")
"""Why a trade was closed, by code; `end`: it was still open at the last bar."""
(SIGNAL, BANDED, STOP_HIT, TAKE_HIT, LADDER_HIT, HELD_LONG, LIQUIDATION, END) = range(8)

TRADE = ("entry_row", "exit_row", "side", "entry_price", "exit_price", "units", "fees", "funding", "pnl", "reason")
"""Columns of a recorded trade, float64 each; units > 0, fees and funding as paid, pnl after both."""

_ZERO = 0.0
_NEVER = 1e300
_TIE = 1e-9  # of the price: a stop this close to the liquidation price counts as equal
_BACKSTOP = 2.0 / 3.0  # of the maintenance margin: below it the venue takes position and margin


class Record(NamedTuple):
    """Where the ledger writes; `rows` and `trades` of length 0 are not written.

    daily: float64[days], equity at each UTC day's close. rows: float64[n, 2], equity and signed units at each bar's
    close. trades: float64[k, len(TRADE)], as closed; at most two a bar.
    """

    daily: Floats
    rows: Floats
    trades: Floats


class Lent(NamedTuple):
    """A `Record` inside the kernel: its arrays lent, and which of them are written besides `daily`."""

    daily: Floats
    rows: Floats
    trades: Floats
    keeps_rows: bool
    keeps_trades: bool


@njit
def flush(state: Floats, upto: int, market: Market, record: Lent) -> None:
    """Write what the rows up to `upto` (exclusive) closed with; units have not changed since the last flush."""
    cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
    first = int(state[FLUSHED])
    if record.keeps_rows:
        for t in range(first, upto):
            record.rows[2 * t] = cash + units * (market.rows[t * ROW + MARK] - (market.rows[t * ROW + AFTER] - settled))
            record.rows[2 * t + 1] = units
    day = int(state[NEXT_DAY])
    while market.day_end[day] < upto:
        t = market.day_end[day]
        equity = cash + units * (market.rows[t * ROW + MARK] - (market.rows[t * ROW + AFTER] - settled))
        record.daily[day] = equity
        if units != _ZERO:
            _hold(state, t + 1, units * market.rows[t * ROW + MARK] / equity, market.rows[t * ROW + AFTER])
        day += 1
    state[NEXT_DAY] = day
    state[FLUSHED] = upto


@njit
def _hold(state: Floats, until: int, weight: float, paid: float) -> None:
    """Count the bars since the last call as held with `weight`, which is that of the last of them, and their funding."""
    bars = until - state[HELD_SINCE]
    state[HELD_BARS] += bars
    if weight > _ZERO:
        state[LONG_BARS] += bars
    state[WEIGHT] += weight * bars
    state[HELD_SINCE] = until
    state[FUNDING] += state[UNITS] * (paid - state[CHARGED])
    state[CHARGED] = paid


@njit
def _settle(state: Floats, t: int, paid: float, market: Market, record: Lent) -> None:
    """Book the rows before t, and the funding until `paid`, on what has been held."""
    flush(state, t, market, record)
    units = state[UNITS]
    if units != _ZERO:
        if state[HELD_SINCE] < t:
            mark = market.rows[(t - 1) * ROW + MARK]
            equity = state[CASH] + units * (mark - (market.rows[t * ROW + BEFORE] - state[SETTLED]))
            _hold(state, t, units * mark / equity, market.rows[t * ROW + BEFORE])
        charge = units * (paid - state[SETTLED])
        state[CASH] -= charge
        state[ENTRY_FUNDING] += charge
        state[FUNDING] += units * (paid - state[CHARGED])
    state[HELD_SINCE] = t
    state[CHARGED] = state[SETTLED] = paid


@njit
def _close_part(
    state: Floats, t: int, closed: float, price: float, fee: float, given_up: float, reason: int, record: Lent
) -> None:
    """Book a closed trade of `closed` units; `given_up` is what a ruined account does not have and so does not lose."""
    units = state[UNITS]
    side = 1.0 if units > _ZERO else -1.0
    share = 1.0 if closed == abs(units) else closed / abs(units)
    fees = state[ENTRY_FEES] * share
    funding = state[ENTRY_FUNDING] * share
    state[ENTRY_FEES] -= fees
    state[ENTRY_FUNDING] -= funding
    pnl = side * closed * (price - state[ENTRY_PRICE]) - fees - fee - funding + given_up
    state[TRADES] += 1.0
    state[BARS_IN_TRADES] += t - state[ENTRY_ROW]
    if pnl > _ZERO:
        state[WINS] += 1.0
        state[WON] += pnl
    else:
        state[LOST] -= pnl
    if record.keeps_trades:
        row, at = record.trades, int(state[RECORDED]) * len(TRADE)
        row[at], row[at + 1], row[at + 2] = state[ENTRY_ROW], t, side
        row[at + 3], row[at + 4], row[at + 5] = state[ENTRY_PRICE], price, closed
        row[at + 6], row[at + 7], row[at + 8], row[at + 9] = fees + fee, funding, pnl, reason
        state[RECORDED] += 1.0


@njit
def trade(
    state: Floats, t: int, after: float, price: float, reference: float, rate: float, reason: int, market: Market,
    nothing: float, record: Lent,
) -> None:  # fmt: skip
    """Change the units held to `after` at `price`, at the open of row t or inside it; the fee is `rate` x notional.

    nothing: USDC at or below which an account is ruined.
    """
    _settle(state, t, market.rows[t * ROW + BEFORE], market, record)
    before = state[UNITS]
    change = after - before
    size = abs(change)
    fee = rate * size * price
    equity = state[CASH] + before * price
    state[ORDERS] += 1.0
    state[FEES] += fee
    state[TRADED] += size * price
    state[SLIPPED] += size * abs(price - reference)
    if equity > nothing:
        state[TURNOVER] += size * price / equity
    state[CASH] -= change * price + fee
    given_up = _ZERO
    if after == _ZERO and state[CASH] <= nothing:
        given_up = -state[CASH]
        state[CASH] = _ZERO
        state[RUINED] = state[LIQUIDATED] = 1.0
    if before == _ZERO:
        _open_part(state, t, price, fee)
    elif change * before > _ZERO:
        state[ENTRY_PRICE] = (abs(before) * state[ENTRY_PRICE] + size * price) / abs(after)
        state[ENTRY_FEES] += fee
    elif after * before < _ZERO:
        exit_fee = rate * abs(before) * price
        _close_part(state, t, abs(before), price, exit_fee, given_up, reason, record)
        _open_part(state, t, price, fee - exit_fee)
    else:
        _close_part(state, t, size, price, fee, given_up, reason, record)
    state[UNITS] = after


@njit
def _open_part(state: Floats, t: int, price: float, fee: float) -> None:
    state[ENTRY_ROW] = t
    state[ENTRY_PRICE] = price
    state[ENTRY_FEES] = fee
    state[ENTRY_FUNDING] = _ZERO


@njit
def ruin(state: Floats, t: int, market: Market, record: Lent) -> None:
    """Close row t with nothing left: the position goes at the mark without a fee, and the account stays at 0."""
    _settle(state, t, market.rows[t * ROW + AFTER], market, record)
    units, mark = state[UNITS], market.rows[t * ROW + MARK]
    given_up = -(state[CASH] + units * mark)
    state[CASH] = _ZERO
    state[RUINED] = 1.0
    state[LIQUIDATED] = 1.0
    state[LIQUIDATIONS] += 1.0
    _close_part(state, t, abs(units), mark, _ZERO, given_up, LIQUIDATION, record)
    state[UNITS] = _ZERO


@njit
def _weight(wanted: float, t: int, market: Market, genes: Floats) -> float:
    """Return the target weight decided at the close before row t; NaN where its size or its stop is undefined."""
    if wanted == _ZERO:
        return _ZERO
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
    state[LADDER_LEVEL], state[NEXT_EVENT] = math.inf, _NEVER


@njit
def schedule(state: Floats, t: int, genes: Floats, terms: Floats) -> None:
    """Set the ladder's level at the position's age in row t, and the next row where age alone changes something."""
    side = 1.0 if state[UNITS] > _ZERO else -1.0
    age = t - state[ENTRY_ROW]
    ahead = _NEVER
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


@njit
def at_open(state: Floats, t: int, wanted: float, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
    """Act at the open of row t on what was wanted at the close before."""
    price = market.rows[t * ROW + OPEN]
    if t == 0 or np.isnan(price):
        return
    units = state[UNITS]
    if np.isnan(market.rows[(t - 1) * ROW + OPEN]):  # no decision on a missing bar
        wanted = math.nan
    due = wanted == wanted and wanted != state[ACTED]  # noqa: PLR0124 (NaN: hold)
    target = _weight(wanted, t, market, genes) if due else math.nan
    reason = SIGNAL
    if due and target == target:  # noqa: PLR0124
        state[ACTED] = wanted
    elif units == _ZERO:
        return
    elif genes[MAX_HOLD] > _ZERO and t - state[ENTRY_ROW] >= genes[MAX_HOLD]:
        target = _ZERO
        reason = HELD_LONG
        state[EXPIRED] += 1.0
        if genes[LATCH] == _ZERO:
            state[ACTED] = math.nan
    elif genes[BAND] > _ZERO and wanted == wanted:  # noqa: PLR0124
        target = _weight(wanted, t, market, genes)
        reason = BANDED
        equity = state[CASH] + units * (
            market.rows[(t - 1) * ROW + MARK] - (market.rows[t * ROW + BEFORE] - state[SETTLED])
        )
        limit = min(abs(target), terms[MAX_LEVERAGE])
        capped = limit if target > _ZERO else -limit
        if not abs(units * market.rows[(t - 1) * ROW + MARK] - capped * equity) > genes[BAND] * equity:
            return
    else:
        return
    cash = state[CASH] - units * (market.rows[t * ROW + BEFORE] - state[SETTLED])
    after, fill = rebalance(target, cash, units, price, terms)
    if after != units:
        trade(state, t, after, fill, price, terms[FEE], reason, market, terms[NOTHING], record)
        if abs(after) > abs(units) or after * units < _ZERO:
            _levels(state, t, market, genes)


@njit
def inside(state: Floats, t: int, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
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
        _settle(state, t, market.rows[t * ROW + BEFORE], market, record)
        given_up = -(state[CASH] + units * level)
        state[CASH], state[RUINED] = _ZERO, 1.0
        _close_part(state, t, abs(units), level, _ZERO, given_up, LIQUIDATION, record)
        state[UNITS] = _ZERO
    else:
        trade(state, t, _ZERO, price, level, terms[FEE], LIQUIDATION, market, terms[NOTHING], record)
