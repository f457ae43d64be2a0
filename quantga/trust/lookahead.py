"""What reads ahead, found before anything is appraised: signals cut short, columns that know the next return, labels.

The language cannot name the future, so these checks look at what comes from outside: a user's columns, the bars
themselves, the choice of assets, and any signal that is not a Program. A weak leak cannot be told from a real edge of one
bar by statistics (a column with correlation 0.1 to the next return gives an annual Sharpe ratio of 2): where a column
comes from has to be known, which is why every one carries `available_at`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from quantga.lang.bars import Bars, Floats
from quantga.streams import stream

type Signal = Callable[[Bars], Floats]
"""Bars to wanted positions, float64[n] or float64[signals, n]."""

CUTS = 20
FOREKNOWN = 0.2
"""A column whose correlation with the next bar's return exceeds this knows too much: real edges of one bar have 0.1."""
ALARM = 6.0
"""An annual Sharpe ratio of daily returns above this is a mistake until it is shown not to be."""
_COMPARED = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """Signal number `signal` changed at row `row` when the bars from row `cut` on were taken away, or replaced by noise."""

    signal: int
    cut: int
    row: int
    time: int

    def __str__(self) -> str:
        return f"reads ahead: what it wants at {_minute(self.time)} changes with bars that come {self.cut - self.row} later"


def lookahead_faults(signal: Signal, bars: Bars, seed: int, cuts: int = CUTS) -> list[Fault]:
    """Return where a signal's past changes with its future; an empty list says that it did not at any cut.

    At `cuts` random rows (stream (seed, "cuts")) the bars are cut off, and replaced by the same bars in another order; all
    rows before have to stay the same, bit for bit. A centred window shows at the last rows before a cut only, which is why
    there are many cuts; a figure of the whole sample shows everywhere.
    """
    n = len(bars)
    whole = np.atleast_2d(signal(bars))
    found: dict[tuple[int, int], Fault] = {}
    for cut in sorted(stream(seed, "cuts").integers(min(2, n - 1), n, cuts).tolist()):
        for other in (bars.slice(0, cut), _shuffled(bars, cut, seed)):
            part = np.atleast_2d(signal(other))[:, :cut]
            changed = _bits(part) != _bits(whole[:, :cut])
            for one in np.flatnonzero(changed.any(axis=1)).tolist():
                row = int(np.argmax(changed[one]))
                found.setdefault((one, cut), Fault(one, cut, row, int(bars.time[row])))
    return [found[key] for key in sorted(found)]


def _bits(values: Floats) -> NDArray[np.int64]:
    return np.where(np.isnan(values), np.nan, values).astype(np.float64).view(np.int64)


def _shuffled(bars: Bars, cut: int, seed: int) -> Bars:
    order = np.concatenate([np.arange(cut), cut + stream(seed, "future", cut).permutation(len(bars) - cut)])
    columns = {name: column[order] for name, column in bars.columns.items()}
    return Bars(bars.interval, bars.origin, columns, bars.symbol, bars.base)


def foreknowing_columns(bars: Bars) -> list[str]:
    """Return a sentence for each user's column whose level or change goes with the next bar's return as no edge does.

    Over all bars at which both are known; with few of them the threshold is five standard errors instead of `FOREKNOWN`.
    """
    close = bars["close"]
    ahead = np.full(len(bars), np.nan)
    ahead[:-1] = np.clip(close[1:] / close[:-1] - 1, -0.5, 0.5)
    found = []
    for name in sorted(column for column in bars.columns if column.startswith("$")):
        column = bars[name]
        change = np.concatenate([[np.nan], np.diff(column)])
        strength, count = max(_correlation(column, ahead), _correlation(change, ahead))
        if count > 10 and strength > max(FOREKNOWN, 5 / math.sqrt(count)):
            found.append(
                f"{bars.symbol}: the column {name} has a correlation of {strength:.2f} with the NEXT bar's return: it was known "
                "later than its rows say; give each row the time at which it could first be read (available_at)"
            )
    return found


def _correlation(x: Floats, y: Floats) -> tuple[float, int]:
    both = np.isfinite(x) & np.isfinite(y)
    a, b = x[both], y[both]
    if len(a) < 3 or a.std() <= 1e-12 * np.abs(a).max() or b.std() == 0:
        return 0.0, len(a)
    return abs(float(np.corrcoef(a, b)[0, 1])), len(a)


def too_good(annual: float, delayed: float) -> str:
    """Return a sentence where an annual Sharpe ratio is beyond belief, empty where it is not.

    delayed: the same program's ratio when each order comes one bar later; a leak of one bar collapses there.
    """
    if annual <= ALARM:
        return ""
    falls = "and falls to" if delayed < annual / 2 else "and is still"
    return (
        f"an annual Sharpe ratio of {annual:.1f} is above {ALARM:g}, {falls} {delayed:.1f} when orders come one bar later: "
        "look for a column or a price that was not known at the close of its bar"
    )


def mislabelled(coarse: Bars, fine: Bars) -> str:
    """Return a sentence where bars carry another time than their open, empty where they do not.

    coarse and fine: bars of the same instrument; a coarse bar has to open where the fine bar of that moment opens. Bars
    labelled by their close open one bar earlier than they say.
    """
    here, shares = _opens_like(coarse, fine, 0)
    if shares < 10 or here > 0.5:
        return ""
    for shift, words in ((-1, "their close"), (1, "a time one bar early: each shows what happens only later")):
        there, shares = _opens_like(coarse, fine, shift)
        if shares >= 10 and there > 0.9:
            return (
                f"{coarse.symbol}: the bars of {coarse.interval // 60_000} minutes are labelled by {words}: label each by its "
                "open, in UTC"
            )
    return ""


def _opens_like(coarse: Bars, fine: Bars, shift: int) -> tuple[float, int]:
    """Return the share of coarse bars whose open is that of the fine bar `shift` coarse bars after their label."""
    rows = (coarse.time + shift * coarse.interval) // fine.interval - fine.origin
    inside = (rows >= 0) & (rows < len(fine))
    ours, theirs = coarse["open"][inside], fine["open"][rows[inside]]
    both = np.flatnonzero(np.isfinite(ours) & np.isfinite(theirs))[:_COMPARED]
    same = np.abs(ours[both] - theirs[both]) <= 1e-9 * theirs[both]
    return (float(same.mean()) if len(both) else 0.0), len(both)


def survivors(market: Mapping[str, Bars]) -> str:
    """Return a sentence where all of several assets are still there at the end, empty otherwise.

    A universe chosen today leaves out what failed; what is found on it is too good by what the failures would have cost.
    """
    ends = {int(np.flatnonzero(bars.present)[-1]) + bars.origin for bars in market.values()}
    starts = {int(np.flatnonzero(bars.present)[0]) + bars.origin for bars in market.values()}
    if len(market) < 3 or len(ends) > 1:
        return ""
    young = " although they were listed at different times" if len(starts) > 1 else ""
    return (
        f"all {len(market)} assets trade to the very end{young}: a universe chosen with hindsight leaves out those that "
        "failed; add delisted assets, or read the result as one about survivors"
    )


def _minute(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"
