"""What the ledger knows of one account: a row of numbers, and the places where it writes what happened.

A flat array, so that a program can be carried from block to block, and thousands of them lie side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quantga.engine.ledger_terms import CAPITAL, Floats

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

NEVER = 1e300


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


def begin(programs: int, terms: Floats) -> Floats:
    """Return the state of `programs` accounts that hold the capital and nothing else: float64[programs, len(STATE)]."""
    state = np.zeros((programs, len(STATE)))
    state[:, CASH] = terms[CAPITAL]
    state[:, ACTED] = state[:, PENDING] = np.nan
    state[:, STOP_LEVEL] = -np.inf
    state[:, TAKE_LEVEL] = state[:, LADDER_LEVEL] = np.inf
    state[:, NEXT_EVENT] = NEVER
    return state
