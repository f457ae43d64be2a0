"""The condition of what is stored: counted again from the bytes in the lake, not copied from the manifest.

A manifest says what was true when it was written; this says what is true now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantga.store.ingest.checks import broken
from quantga.store.lake import Lake
from quantga.store.manifest import Manifest
from quantga.store.series import read_series


@dataclass(frozen=True, slots=True)
class Condition:
    """One instrument's bars as the lake holds them; times are milliseconds UTC, `end` is the last bar's close.

    `gaps` are runs of absent bars, `missing` the bars absent in them, `longest` the bars of the longest run. `violations`
    counts bars that are no bars: a NaN, a price <= 0, or low <= open, close <= high violated.
    """

    venue: str
    interval: str
    symbol: str
    base: str
    rows: int
    first: int
    end: int
    gaps: int
    missing: int
    longest: int
    duplicates: int
    violations: int
    zero_volume: int
    stamps: int
    locked_from: int

    @property
    def sound(self) -> bool:
        """Whether no bar is wrong; absent bars are not wrong."""
        return self.duplicates == 0 and self.violations == 0


def conditions(lake: Lake, manifest: Manifest) -> list[Condition]:
    """Return the condition of every instrument of a dataset, by symbol.

    Raises:
        ManifestMismatch: a file is gone, changed or unreadable.
        StoreError: a file cannot be read.
    """
    return [_condition(lake, manifest, symbol) for symbol in manifest.symbols]


def _condition(lake: Lake, manifest: Manifest, symbol: str) -> Condition:
    part = manifest.instrument(symbol)
    bars = read_series(lake, manifest.entries("bars", symbol))
    steps = np.diff(bars.times)
    absent = np.maximum(steps // manifest.interval_ms - 1, 0)
    funding = manifest.entries("funding", symbol)
    columns = dict(bars.columns)
    values = np.stack([columns[name] for name in sorted(columns)])
    prices = np.stack([columns[name] for name in ("open", "high", "low", "close")])
    wrong = np.isnan(values).any(axis=0) | (prices <= 0).any(axis=0) | broken(columns)
    return Condition(
        venue=manifest.venue,
        interval=manifest.interval,
        symbol=symbol,
        base=part.base,
        rows=int(bars.times.size),
        first=int(bars.times[0]),
        end=int(bars.times[-1]) + manifest.interval_ms,
        gaps=int((absent > 0).sum()),
        missing=int(absent.sum()),
        longest=int(absent.max(initial=0)),
        duplicates=int((steps <= 0).sum()),
        violations=int(wrong.sum()),
        zero_volume=int((columns["volume"] == 0).sum()),
        stamps=sum(read_series(lake, [entry]).times.size for entry in funding),
        locked_from=part.locked_from,
    )
