"""Funding and the user's columns on the grid of the bars: per row, what was charged, and what was known.

Joins are as-of by the time when a value became available, never by the time that it is about.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantga.store.ingest.checks import minute

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

HOUR = 3_600_000


def charged(stamps: Ints, rates: Floats, closes: Ints, interval: int) -> Floats:
    """Return per bar the sum of the rates stamped within (open, close], 0 where there is none.

    Stamps are rounded to the nearest minute, since a venue charges the full hour some milliseconds late. `closes` are the
    closes of consecutive bars of `interval` milliseconds.
    """
    bar = (minute(stamps) - closes[0] + interval - 1) // interval
    found = np.zeros(closes.size)
    inside = (bar >= 0) & (bar < closes.size)
    np.add.at(found, bar[inside], rates[inside])
    return found


def hourly_rate(stamps: Ints, rates: Floats) -> Floats:
    """Return the rates per hour; the first is NaN, since what it covers is not known.

    A rate covers the shorter of the last two gaps between stamps: one stamp that is absent then changes nothing, and the
    step of a venue from 8 hours to 1 is right at once.
    """
    gaps = np.diff(minute(stamps)).astype(np.float64) / HOUR
    if not gaps.size:
        return np.full(rates.size, np.nan)
    hours = np.minimum(gaps, np.concatenate([gaps[:1], gaps[:-1]]))
    return np.concatenate([[np.nan], rates[1:] / hours])


def last_before(stamps: Ints, values: Floats, closes: Ints) -> Floats:
    """Return per bar the last value stamped strictly before its close (to the minute); NaN before the first."""
    return _taken(values, np.searchsorted(minute(stamps), closes, side="left"))


def as_of(available: Ints, values: Floats, closes: Ints) -> Floats:
    """Return per bar the last value that was available at its close or before; NaN before the first."""
    return _taken(values, np.searchsorted(available, closes, side="right"))


def _taken(values: Floats, count: npt.NDArray[np.intp]) -> Floats:
    known = values[np.maximum(count - 1, 0)]
    return np.where(count > 0, known, np.nan)
