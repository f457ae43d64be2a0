"""What a series must satisfy before a byte of it is written; the first fault is named by file, row and reason.

A bar that is wrong is worse than one that is absent: an absent bar stops decisions, a wrong one makes them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantga.store.ingest.labels import OHLCV, PRICES, Piece
from quantga.store.ingest.times import Floats, Ints, bad_row, iso
from quantga.store.symbols import interval_ms

type Faults = npt.NDArray[np.bool_]

MINUTE = 60_000


def check(piece: Piece) -> None:
    """Raise BadBars for the first row that is wrong, if any is."""
    if piece.kind == "bars":
        _check_bars(piece)
    elif piece.kind == "funding":
        _check_order(piece, minute(piece.times))
        rates = piece.columns["funding_rate"]
        _refuse(piece, ~np.isfinite(rates), "funding_rate is missing")
        _refuse(piece, np.abs(rates) > 1, "funding_rate is over 100 %: give it as a fraction (0.0001 is 0.01 %)")
    else:
        _refuse(piece, np.isinf(piece.columns["value"]), f"{piece.name} is infinite")


def trimmed(piece: Piece, now: int) -> tuple[Piece, list[str]]:
    """Return a piece without the bars that are none, and notes on them.

    These are a last bar that is still open at `now` (ms UTC), and those with volume 0 that Hyperliquid fills in from
    before a coin was listed.
    """
    if piece.kind != "bars":
        return piece, []
    notes = []
    start, stop = 0, piece.times.size
    if stop > 1 and piece.times[-1] <= now < piece.times[-1] + interval_ms(piece.interval):
        stop -= 1
        notes.append(f"{piece.file}: left out the last bar, {iso(int(piece.times[-1]))}, which has not closed yet")
    traded = np.flatnonzero(piece.columns["volume"][:stop] > 0)
    if piece.venue == "hyperliquid" and traded.size and traded[0] > 0:
        start = int(traded[0])
        notes.append(f"{piece.file}: left out {start} bars with volume 0 from before the listing of {piece.symbol}")
    if not notes:
        return piece, []
    columns = {name: values[start:stop] for name, values in piece.columns.items()}
    return replace(piece, times=piece.times[start:stop], columns=columns), notes


def minute(times: Ints) -> Ints:
    """Return instants rounded to the nearest minute: venues stamp funding some milliseconds late."""
    return (times + MINUTE // 2) // MINUTE * MINUTE


def broken(columns: dict[str, Floats]) -> Faults:
    """Return which bars violate low <= open, close <= high; a NaN violates nothing here."""
    low, high = columns["low"], columns["high"]
    body = np.stack([columns["open"], columns["close"]])
    return np.asarray((low > body).any(axis=0) | (high < body).any(axis=0) | (low > high))


def _check_bars(piece: Piece) -> None:
    step = interval_ms(piece.interval)
    _check_order(piece, piece.times)
    off = piece.times % step != 0
    _refuse(piece, off, f"its time is not on the grid of {piece.interval} bars: is it the bar's open, in UTC?")
    for name in OHLCV:
        values = piece.columns[name]
        _refuse(piece, np.isnan(values), f"{name} is missing: remove the row, an absent bar is known as absent")
        _refuse(piece, np.isinf(values), f"{name} is infinite")
        if name in PRICES:
            _refuse(piece, values <= 0, f"{name} is not positive")
    _refuse(piece, piece.columns["volume"] < 0, "volume is negative")
    _refuse(piece, broken(dict(piece.columns)), "violates low <= open, close <= high")


def _check_order(piece: Piece, times: Ints) -> None:
    steps = np.diff(times)
    faults = np.flatnonzero(steps <= 0)
    if faults.size:
        row = int(faults[0]) + 1
        said = "occurs twice" if steps[faults[0]] == 0 else "is earlier than the row before: sort the file"
        raise bad_row(piece.file, row, f"the time {iso(int(piece.times[row]))} {said}")


def _refuse(piece: Piece, faults: Faults, reason: str) -> None:
    if faults.any():
        rows = np.flatnonzero(faults)
        more = f" (and {rows.size - 1} more such rows)" if rows.size > 1 else ""
        row = int(rows[0])
        raise bad_row(piece.file, row, f"{iso(int(piece.times[row]))}: {reason}{more}")
