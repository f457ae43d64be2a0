"""The holdout lock: from which instant on an instrument's bars are kept back, decided when they are imported.

A search that has seen the end of a history cannot be judged on it, so the lock comes before the first search, and no
later import may move it to a later time: one more bar must not turn locked bars into open ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from quantga.store.manifest import Instrument, Manifest

SHARE = 0.4
"""The part of a span that is locked at the least."""

YEAR = timedelta(days=365) // timedelta(milliseconds=1)


def lock_start(first: int, end: int, interval: int) -> int:
    """Return where the lock of a span [first, end) (ms) begins: its last 40 %, a year at least of more than two years.

    The result lies on the grid of `interval` milliseconds.
    """
    span = end - first
    locked = max(round(SHARE * span), YEAR if span > 2 * YEAR else 0)
    return (end - locked) // interval * interval


def kept_lock(own: int, first: int, end: int, earlier: Iterable[Instrument]) -> int:
    """Return the earliest of `own` and the locks of the instruments in `earlier` whose spans overlap [first, end)."""
    overlapping = (one.locked_from for one in earlier if one.first < end and first < one.end)
    return min([own, *overlapping])


def same_market(manifests: Iterable[Manifest], venue: str, base: str, interval: str) -> list[Instrument]:
    """Return the instruments of a base asset and a bar interval on one venue."""
    return [
        instrument
        for manifest in manifests
        if (manifest.venue, manifest.interval) == (venue, interval)
        for instrument in manifest.instruments
        if instrument.base == base
    ]
