"""The ledger: wanted positions to fills, funding, liquidation and equity, one block of bars of one program at a time.

Between fills a position's equity is `cash + units x (mark - funding paid per unit)`, so held bars are only looked at
where a level can be touched; what is written depends on fills and days alone, never on how the bars were cut.
docs/ledger.md states every rule; tests/engine/oracle.py is a second implementation of that text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantga.engine.ledger_borrow import borrow
from quantga.engine.ledger_market import (
    AFTER,
    BEFORE,
    BOUNDS,
    CHUNK,
    CHUNK_BITS,
    GAIN_MAX,
    GAIN_MIN,
    HIGH,
    HIGH_MAX,
    LOW,
    LOW_MIN,
    MARK,
    PAID_MAX,
    PAID_MIN,
    ROW,
    Market,
)
from quantga.engine.ledger_sizing import liquidation_level, maintenance_margin
from quantga.engine.ledger_steps import (
    ACTED,
    CASH,
    LADDER_LEVEL,
    NEXT_EVENT,
    PENDING,
    RUINED,
    SETTLED,
    STATE,
    STOP_LEVEL,
    TAKE_LEVEL,
    TRADE,
    UNITS,
    Lent,
    Record,
    at_open,
    flush,
    inside,
    ruin,
    schedule,
)
from quantga.engine.ledger_terms import BAND, CAPITAL, EXITS, NOTHING, TIERS, Floats
from quantga.lang.jit import njit

__all__ = ["Outcome", "advance", "begin", "trace"]

_ZERO = 0.0
_NEAR_RUIN = 1e-6  # of the capital, far above RUIN: below it equity is looked at bar by bar
_ROUNDING = 1e-9  # of the sums: what rounding may move a bound


def begin(programs: int, terms: Floats) -> Floats:
    """Return the state of `programs` accounts that hold the capital and nothing else: float64[programs, len(STATE)]."""
    state = np.zeros((programs, len(STATE)))
    state[:, CASH] = terms[CAPITAL]
    state[:, ACTED] = state[:, PENDING] = np.nan
    return state


@njit
def advance(
    state: Floats, wanted: Floats, offset: int, first: int, stop: int, market: Market, terms: Floats, genes: Floats,
    record: Record,
) -> None:  # fmt: skip
    """Carry one account over the bars first to stop - 1.

    state: its row of `begin`, changed in place. wanted[offset + i] is the position wanted at the close of row first + i.
    terms, genes: of `encode_terms`, and a row of `encode_genes`. record: where results are written; `daily` must have
    room for every UTC day of the market. Bars come in order and without gaps; how they are cut changes no bit.
    """
    _advance(
        borrow(state), borrow(wanted), offset - first - 1, first, stop,
        Market(borrow(market.rows), borrow(market.chunks), borrow(market.day_end)), borrow(terms), borrow(genes),
        Lent(borrow(record.daily), borrow(record.rows), borrow(record.trades), len(record.rows) > 0, len(record.trades) > 0),
    )  # fmt: skip


@njit
def _advance(
    state: Floats, wanted: Floats, shift: int, first: int, stop: int, market: Market, terms: Floats, genes: Floats,
    record: Lent,
) -> None:  # fmt: skip
    """Do what `advance` says; wanted[shift + t] was decided at the close before row t."""
    want = state[PENDING]
    t = first
    while t < stop:
        if state[RUINED] == _ZERO:
            at_open(state, t, want, market, terms, genes, record)
            if state[UNITS] != _ZERO:
                _during(state, t, market, terms, genes, record)
            t = _quiet(state, wanted, shift, t + 1, stop, market, terms, genes)
        else:
            t = stop
        if t < stop:
            want = wanted[shift + t]
    state[PENDING] = wanted[shift + stop]
    flush(state, stop, market, record)


@njit
def _during(state: Floats, t: int, market: Market, terms: Floats, genes: Floats, record: Lent) -> None:
    """Rules (2) and (3) of row t for a position that is held."""
    if genes[EXITS] + terms[TIERS] > _ZERO:
        schedule(state, t, genes, terms)
        inside(state, t, market, terms, genes, record)
    units = state[UNITS]
    if (
        units != _ZERO
        and state[CASH] + units * (market.rows[t * ROW + MARK] - (market.rows[t * ROW + AFTER] - state[SETTLED]))
        <= terms[NOTHING]
    ):
        ruin(state, t, market, record)


@njit
def _quiet(
    state: Floats, wanted: Floats, shift: int, t: int, stop: int, market: Market, terms: Floats, genes: Floats
) -> int:
    """Return the first row from t on at whose open or inside of which something may happen; `stop` if there is none."""
    acted, units = state[ACTED], state[UNITS]
    if units != _ZERO and genes[BAND] > _ZERO:
        return t
    next_event = state[NEXT_EVENT]
    while t < stop:
        chunk = t >> CHUNK_BITS
        end = min(stop, (chunk + 1) * CHUNK)
        upto = end
        if end - t < CHUNK or not _unchanged(wanted, shift + t, acted):
            upto = t
            while upto < end:
                value = wanted[shift + upto]
                if value == value and value != acted:  # noqa: PLR0124 (NaN: hold)
                    break
                upto += 1
        if units != _ZERO:
            if next_event < upto:
                upto = max(int(next_event), t)
            if upto == t:
                return t
            if not _safe(state, chunk, market, terms):
                for row in range(t, upto):
                    if _touched(state, row, market, terms):
                        return row
        if upto < end:
            return upto
        t = upto
    return t


@njit
def _unchanged(wanted: Floats, at: int, acted: float) -> bool:
    """Tell whether the CHUNK values from `at` on are all as acted on, or NaN; without a branch, so in vectors."""
    changes = 0
    for i in range(at, at + CHUNK):
        changes += (wanted[i] == wanted[i]) & (wanted[i] != acted)  # NaN: hold
    return changes == 0


@njit
def _safe(state: Floats, chunk: int, market: Market, terms: Floats) -> bool:
    """Tell whether no row of the chunk can touch a level of the position, or ruin it."""
    cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
    if units > _ZERO:
        worst, best = market.chunks[chunk * BOUNDS + LOW_MIN], market.chunks[chunk * BOUNDS + HIGH_MAX]
        gain, paid = market.chunks[chunk * BOUNDS + GAIN_MIN], market.chunks[chunk * BOUNDS + PAID_MAX]
    else:
        worst, best = -market.chunks[chunk * BOUNDS + HIGH_MAX], -market.chunks[chunk * BOUNDS + LOW_MIN]
        gain, paid = market.chunks[chunk * BOUNDS + GAIN_MAX], market.chunks[chunk * BOUNDS + PAID_MIN]
    if worst <= state[STOP_LEVEL] or best >= state[TAKE_LEVEL] or best >= state[LADDER_LEVEL]:
        return False
    if cash + units * (gain + settled) <= _NEAR_RUIN * terms[CAPITAL]:
        return False
    if terms[TIERS] > _ZERO:
        left, value = cash - units * (paid - settled), abs(units * worst)
        spare = left + (value if units > _ZERO else -value) - maintenance_margin(value, terms)
        return bool(spare > _ROUNDING * (abs(left) + value))
    return True


@njit
def _touched(state: Floats, t: int, market: Market, terms: Floats) -> bool:
    """Tell whether row t touches a level of the position, or ruins it; exactly what `inside` and `ruin` look at."""
    cash, units, settled = state[CASH], state[UNITS], state[SETTLED]
    worst, best = market.rows[t * ROW + LOW], market.rows[t * ROW + HIGH]
    if units < _ZERO:
        worst, best = -best, -worst
    level = state[STOP_LEVEL]
    if terms[TIERS] > _ZERO:
        level = max(level, liquidation_level(cash - units * (market.rows[t * ROW + BEFORE] - settled), units, terms))
    if worst <= level or best >= min(state[TAKE_LEVEL], state[LADDER_LEVEL]):
        return True
    return bool(
        cash + units * (market.rows[t * ROW + MARK] - (market.rows[t * ROW + AFTER] - settled)) <= terms[NOTHING]
    )


@dataclass(frozen=True)
class Outcome:
    """One account's whole run, recorded.

    equity, units: float64[n] at each close; daily: float64[days], equity at each UTC day's close;
    trades: float64[k, len(TRADE)], as closed; state: float64[len(STATE)] at the end, the open position included.
    """

    equity: Floats
    units: Floats
    daily: Floats
    trades: Floats
    state: Floats

    def figure(self, name: str) -> float:
        """Return a field of the final state by its name in STATE."""
        return float(self.state[STATE.index(name)])


def trace(wanted: Floats, market: Market, terms: Floats, genes: Floats, block: int = 0) -> Outcome:
    """Run one program over the whole market and record everything; `block` cuts the bars (0: not at all).

    wanted: float64[n]; genes: one row of `encode_genes`.
    """
    n = len(market.rows)
    state = begin(1, terms)[0]
    record = Record(np.zeros(len(market.day_end) - 1), np.zeros((n, 2)), np.zeros((2 * n + 1, len(TRADE))))
    step = block or n
    for first in range(0, n, step):
        advance(state, wanted, first, first, min(first + step, n), market, terms, genes, record)
    equity, units = record.rows.T.copy()
    return Outcome(equity, units, record.daily, record.trades[: int(state[-1])].copy(), state)
