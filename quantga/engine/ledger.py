"""The ledger: wanted positions to fills, funding, liquidation and equity, one block of bars of one program at a time.

Between fills a position's equity is `cash + units x (mark - funding paid per unit)`, so held bars are only looked at
where a level can be touched; what is written depends on fills and days alone, never on how the bars were cut.
docs/ledger.md states every rule; tests/engine/oracle.py is a second implementation of that text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantga.engine.ledger_book import flush
from quantga.engine.ledger_borrow import borrow, lowest_bit
from quantga.engine.ledger_market import CHUNK, CHUNK_BITS, Market
from quantga.engine.ledger_scan import changes, first_touched, from_bit, stays
from quantga.engine.ledger_state import ACTED, NEXT_EVENT, PENDING, RUINED, STATE, TRADE, UNITS, Lent, Record, begin
from quantga.engine.ledger_steps import at_open, drifted, look_inside, schedule
from quantga.engine.ledger_terms import BAND, EXITS, Floats
from quantga.lang.jit import merged, njit

__all__ = ["Outcome", "advance", "advance_lent", "lend", "trace"]

_ZERO = 0.0


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
    advance_lent(
        borrow(state), borrow(wanted), offset - first - 1, first, stop, lend(market), borrow(terms), borrow(genes),
        _lend_record(record),
    )  # fmt: skip


@njit
def lend(market: Market) -> Market:
    """Return the market with its arrays lent (`ledger_borrow`)."""
    return Market(
        borrow(market.rows), borrow(market.chunks), borrow(market.low), borrow(market.high), borrow(market.day_end)
    )


@njit
def _lend_record(record: Record) -> Lent:
    """Return where results are written, with its arrays lent."""
    return Lent(
        borrow(record.daily), borrow(record.rows), borrow(record.trades), len(record.rows) > 0, len(record.trades) > 0
    )


@njit
def advance_lent(
    state: Floats, wanted: Floats, shift: int, first: int, stop: int, market: Market, terms: Floats, genes: Floats,
    record: Lent,
) -> None:  # fmt: skip
    """Do what `advance` says with arrays that are lent; wanted[shift + t] was decided at the close before row t."""
    again = True  # the next row's open must be looked at
    for chunk in range(first >> CHUNK_BITS, ((stop - 1) >> CHUNK_BITS) + 1):
        if state[RUINED] == _ZERO:
            again = _chunk(state, wanted, shift, first, stop, chunk, again, market, terms, genes, record)
    state[PENDING] = wanted[shift + stop]
    flush(state, stop, market, record)


@merged
def _signals(wanted: Floats, shift: int, first: int, low: int, high: int, base: int) -> np.uint64:
    """Return a bit for each row from low to high - 1, after `first`, before which the wanted value changed."""
    begin_row = max(low, first + 2)
    mask = changes(wanted, shift + begin_row, high - begin_row) << np.uint64(begin_row - base)
    if low <= first + 1 < high:
        mask |= np.uint64(1) << np.uint64(first + 1 - base)
    return mask


@merged
def _chunk(
    state: Floats, wanted: Floats, shift: int, first: int, stop: int, chunk: int, again: bool, market: Market,
    terms: Floats, genes: Floats, record: Lent,
) -> bool:  # fmt: skip
    """Carry the account over the rows of a chunk; tell whether the open after it must be looked at.

    `signals` has a bit for every row at whose open something other than was acted on may be wanted: where the value
    changes, and after a row that could not act on it, or forgot what was acted on.
    """
    base = chunk << CHUNK_BITS
    low, high = max(first, base), min(stop, base + CHUNK)
    changed = signals = _signals(wanted, shift, first, low, high, base)
    if again:
        signals |= np.uint64(1) << np.uint64(low - base)
    opened = low  # the first row whose open has not been looked at
    inside = low  # the first row that has not been looked inside
    while True:
        row = min(base + lowest_bit(signals), high)
        value = state[PENDING] if row == first else (wanted[shift + row] if row < high else _ZERO)
        if row < high and value == state[ACTED]:
            signals &= signals - np.uint64(1)
            continue
        if state[UNITS] != _ZERO:
            row = min(row, max(int(min(state[NEXT_EVENT], float(high))), opened))
            if genes[BAND] > _ZERO and not stays(state, chunk, market, terms, genes):
                row = _first_drifted(state, wanted, shift, first, opened, row, market, terms, genes)
            touched = first_touched(state, chunk, inside, row, market, terms)
            if touched < row:
                look_inside(state, touched, market, terms, genes, record)
                if state[RUINED] != _ZERO:
                    return False
                inside = opened = touched + 1
                if state[UNITS] == _ZERO:
                    signals = from_bit(changed, inside - base) | (np.uint64(1) << np.uint64(inside - base))
                continue
        if row >= high:
            return bool(signals >> np.uint64(high - base))
        value = state[PENDING] if row == first else wanted[shift + row]
        at_open(state, row, value, market, terms, genes, record)
        if state[RUINED] != _ZERO:
            return False
        inside, opened = row, row + 1
        signals = from_bit(changed, opened - base)
        if value == value and value != state[ACTED]:  # noqa: PLR0124 (NaN: hold)
            signals |= np.uint64(1) << np.uint64(opened - base)
        if genes[EXITS] > _ZERO and state[UNITS] != _ZERO:
            schedule(state, row, genes, terms)


@njit
def _first_drifted(
    state: Floats, wanted: Floats, shift: int, first: int, row: int, stop: int, market: Market, terms: Floats,
    genes: Floats,
) -> int:  # fmt: skip
    """Return the first row from `row` to stop - 1 before which the weight had drifted by more than the band."""
    while row < stop and not drifted(
        state, row, state[PENDING] if row == first else wanted[shift + row], market, terms, genes
    ):
        row += 1
    return row


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
