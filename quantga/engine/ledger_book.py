"""The ledger's bookkeeping: what was held until now, and what an order changes.

An order is booked without a branch that the market decides: a closed trade and a new position are worked out in any
case, and count with what they are, which may be nothing. A processor that guesses wrongly loses as much as a division.
"""

from __future__ import annotations

from quantga.engine.ledger_market import AFTER, BEFORE, MARK, ROW, Market
from quantga.engine.ledger_state import (
    BARS_IN_TRADES,
    CASH,
    CHARGED,
    ENTRY_FEES,
    ENTRY_FUNDING,
    ENTRY_PRICE,
    ENTRY_ROW,
    FEES,
    FLUSHED,
    FUNDING,
    HELD_BARS,
    HELD_SINCE,
    LIQUIDATED,
    LONG_BARS,
    LOST,
    NEXT_DAY,
    ORDERS,
    RECORDED,
    RUINED,
    SETTLED,
    SLIPPED,
    TRADE,
    TRADED,
    TRADES,
    TURNOVER,
    UNITS,
    WEIGHT,
    WINS,
    WON,
    Lent,
)
from quantga.engine.ledger_terms import Floats
from quantga.lang.jit import merged, njit

_ZERO = 0.0


@merged
def flush(state: Floats, upto: int, market: Market, record: Lent) -> None:
    """Write what the rows up to `upto` (exclusive) closed with; units have not changed since the last flush."""
    if record.keeps_rows:
        cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
        for t in range(int(state[FLUSHED]), upto):
            record.rows[2 * t] = cash + units * (market.rows[t * ROW + MARK] - (market.rows[t * ROW + AFTER] - settled))
            record.rows[2 * t + 1] = units
        state[FLUSHED] = upto
    if market.day_end[int(state[NEXT_DAY])] < upto:
        _flush_days(state, upto, market, record)


@njit
def _flush_days(state: Floats, upto: int, market: Market, record: Lent) -> None:
    """Write the days that end before `upto`, and count their bars as held with the weight of the last of them."""
    cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
    day, since, bars = int(state[NEXT_DAY]), state[HELD_SINCE], _ZERO
    weights, funding, charged = state[WEIGHT], state[FUNDING], state[CHARGED]
    t = market.day_end[day]
    while t < upto:
        mark, paid = market.rows[t * ROW + MARK], market.rows[t * ROW + AFTER]
        equity = cash + units * (mark - (paid - settled))
        record.daily[day] = equity
        if units != _ZERO:
            weights += units * mark / equity * (t + 1 - since)
            bars += t + 1 - since
            funding += units * (paid - charged)
            charged = paid
            since = t + 1.0
        day += 1
        t = market.day_end[day]
    state[NEXT_DAY], state[HELD_SINCE] = day, since
    state[WEIGHT], state[FUNDING], state[CHARGED] = weights, funding, charged
    state[HELD_BARS] += bars
    if units > _ZERO:
        state[LONG_BARS] += bars


@merged
def settle(state: Floats, t: int, paid: float, market: Market, record: Lent) -> None:
    """Book the rows before t, and the funding until `paid`, on what has been held."""
    flush(state, t, market, record)
    cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
    bars = t - state[HELD_SINCE]
    mark, by_open = market.rows[(t - 1) * ROW + MARK], market.rows[t * ROW + BEFORE]
    weight = units * mark / (cash + units * (mark - (by_open - settled)))
    held = bars if units != _ZERO else _ZERO
    state[HELD_BARS] += held
    state[LONG_BARS] += held if units > _ZERO else _ZERO
    state[WEIGHT] += weight * held if held > _ZERO else _ZERO
    charge = units * (paid - settled)
    state[CASH] = cash - charge
    state[ENTRY_FUNDING] += charge
    state[FUNDING] += units * (paid - state[CHARGED])
    state[HELD_SINCE] = t
    state[CHARGED] = state[SETTLED] = paid


@merged
def close_part(
    state: Floats, t: int, closed: float, price: float, fee: float, given_up: float, reason: float, record: Lent
) -> None:
    """Book a closed trade of `closed` units; `given_up` is what a ruined account does not have and so does not lose.

    Where no units are held, every sum is of zeros.
    """
    units, entry_row = state[UNITS], state[ENTRY_ROW]
    side = 1.0 if units > _ZERO else -1.0
    size = abs(units)
    share = closed / size if closed < size else 1.0
    fees, funding = state[ENTRY_FEES] * share, state[ENTRY_FUNDING] * share
    state[ENTRY_FEES] -= fees
    state[ENTRY_FUNDING] -= funding
    pnl = side * closed * (price - state[ENTRY_PRICE]) - fees - fee - funding + given_up
    state[TRADES] += 1.0 if closed > _ZERO else _ZERO
    state[BARS_IN_TRADES] += t - entry_row if closed > _ZERO else _ZERO
    state[WINS] += 1.0 if pnl > _ZERO else _ZERO
    state[WON] += max(pnl, _ZERO)
    state[LOST] -= min(pnl, _ZERO)
    if record.keeps_trades and closed > _ZERO:
        row, at = record.trades, int(state[RECORDED]) * len(TRADE)
        row[at], row[at + 1], row[at + 2] = entry_row, t, side
        row[at + 3], row[at + 4], row[at + 5] = state[ENTRY_PRICE], price, closed
        row[at + 6], row[at + 7], row[at + 8], row[at + 9] = fees + fee, funding, pnl, reason
        state[RECORDED] += 1.0


@njit
def trade(
    state: Floats, t: int, after: float, price: float, reference: float, rate: float, reason: float, market: Market,
    nothing: float, record: Lent,
) -> None:  # fmt: skip
    """Change the units held to `after` at `price`, at the open of row t or inside it; the fee is `rate` x notional.

    nothing: USDC at or below which an account is ruined.
    """
    settle(state, t, market.rows[t * ROW + BEFORE], market, record)
    units, cash = state[UNITS], state[CASH]
    change = after - units
    size = abs(change)
    value = size * price
    fee = rate * size * price
    equity = cash + units * price
    state[ORDERS] += 1.0
    state[FEES] += fee
    state[TRADED] += value
    state[SLIPPED] += size * abs(price - reference)
    if equity > nothing:
        state[TURNOVER] += value / equity
    cash -= change * price + fee
    given_up = _ZERO
    if cash <= nothing and after == _ZERO:
        given_up, cash = -cash, _ZERO
        state[RUINED] = state[LIQUIDATED] = 1.0
    state[CASH] = cash
    if units * after > _ZERO:
        _resize(state, t, after, price, fee, reason, record)
    else:
        held = abs(units)
        exit_fee = rate * held * price
        close_part(state, t, held, price, exit_fee, given_up, reason, record)
        state[ENTRY_ROW], state[ENTRY_PRICE] = t, price
        state[ENTRY_FEES], state[ENTRY_FUNDING] = fee - exit_fee, _ZERO
    state[UNITS] = after


@njit
def _resize(state: Floats, t: int, after: float, price: float, fee: float, reason: float, record: Lent) -> None:
    """Book an order that leaves the position on its side: enlarged at an average price, or closed in part."""
    before, rest = abs(state[UNITS]), abs(after)
    if rest > before:
        state[ENTRY_PRICE] = (before * state[ENTRY_PRICE] + (rest - before) * price) / rest
        state[ENTRY_FEES] += fee
    else:
        close_part(state, t, before - rest, price, fee, _ZERO, reason, record)
