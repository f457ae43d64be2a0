"""The replayed bars: read from Parquet files, checked, as whole numbers, and the path of prices inside a bar."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from quantga.errors import BadBars, ConfigError
from quantga.exchange.assets import Asset

POINTS = 60
"""Prices shown per bar, at most one a second."""

Ints = NDArray[np.int64]
_COLUMNS = ("ts", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one asset: `ts` is the open time (ms), prices and volume are whole numbers of the asset's units."""

    name: str
    interval: int
    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    digest: str

    @property
    def points(self) -> int:
        """Prices shown per bar."""
        return int(max(4, min(POINTS, self.interval // 1000)))

    @property
    def pause(self) -> int:
        """Milliseconds between two prices."""
        return self.interval // self.points

    def traded(self, bar: int, points: int) -> tuple[int, int]:
        """What the first `points` prices of a bar have put on the tape: volume and number of trades."""
        volume = int(self.volume[bar])
        done = points * volume // self.points
        return done, min(points, done) if volume < self.points else points

    def extended(self, row: list[int]) -> Bars:
        """The same bars with `row` (time, open, high, low, close, volume) after them, or in the place of its time."""
        stop = len(self.ts) - 1 if row[0] == int(self.ts[-1]) else len(self.ts)
        columns = [self.ts, self.open, self.high, self.low, self.close, self.volume]
        ts, o, h, low, c, v = (np.append(column[:stop], value) for column, value in zip(columns, row, strict=True))
        return Bars(self.name, self.interval, ts, o, h, low, c, v, self.digest)

    def path(self, bar: int, seed: int, tick: int) -> list[int]:
        """Prices inside a bar: from open over both extremes to close, never outside what the extremes allow.

        Which extreme comes first is drawn from (seed, name, bar); the side against the bar's body is likelier.
        """
        count = self.points
        stream = np.random.Generator(np.random.PCG64([seed, *self.name.encode(), bar]))
        first, second = sorted(stream.choice(np.arange(1, count - 1), size=2, replace=False).tolist())
        o, h, low, c = (int(column[bar]) for column in (self.open, self.high, self.low, self.close))
        low_first = (stream.random() < 0.75) == (c >= o)
        early, late = (low, h) if low_first else (h, low)
        knots = [(0, o), (first, early), (second, late), (count - 1, c)]
        noise = stream.standard_normal(count) * (h - low) * 0.03
        out = [0] * count
        for (left, a), (right, b) in pairwise(knots):
            for k in range(left, right + 1):
                level = a + (b - a) * (k - left) / max(1, right - left) + (0.0 if k in (left, right) else noise[k])
                bounded = min(max(level, min(a, b)), max(a, b))
                out[k] = min(max(round(bounded / tick) * tick, low), h)
        for k, exact in knots:
            out[k] = exact
        return out


def read_bars(path: Path, asset: Asset) -> Bars:
    """One `SYMBOL.parquet`.

    Raises:
        BadBars: a column is missing, times do not rise on a grid, or a price is impossible.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise BadBars(f"{path.name} is no readable Parquet file: {error}") from error
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise BadBars(f"{path.name}: missing columns {missing}; needed are {list(_COLUMNS)}")
    columns = {name: table.column(name).to_numpy(zero_copy_only=False) for name in _COLUMNS}
    return bars_of(path.name, asset, columns.pop("ts"), columns)


def bars_of(
    source: str, asset: Asset, ts: NDArray[Any], columns: Mapping[str, NDArray[Any]], interval: int = 0
) -> Bars:
    """Bars in the asset's units; `source` is named in errors, and an `interval` of 0 is inferred.

    Raises:
        BadBars: times do not rise on a grid, or a price is impossible.
    """
    ts = ts.astype(np.int64)
    if len(ts) < 2:
        raise BadBars(f"{source}: {len(ts)} bars; at least two are needed to infer the interval")
    steps = np.diff(ts)
    interval = interval or int(steps.min())
    if interval < 1000 or (steps <= 0).any() or (steps % interval).any():
        raise BadBars(f"{source}: open times must rise in multiples of one interval of at least a second")
    prices = {name: np.asarray(columns[name], dtype=np.float64) for name in _COLUMNS[1:]}
    if not all(np.isfinite(column).all() for column in prices.values()):
        raise BadBars(f"{source}: a price or volume is NaN or infinite")
    scale = 10**asset.px_decimals
    whole = {name: np.rint(prices[name] * scale).astype(np.int64) for name in ("open", "high", "low", "close")}
    low = np.minimum.reduce([whole["open"], whole["close"], whole["high"]])
    if (whole["low"] < 1).any() or (whole["low"] > low).any() or (whole["high"] < low).any():
        raise BadBars(f"{source}: a low is not below the other prices, or rounds to 0 at {asset.px_decimals} decimals")
    volume = np.floor(prices["volume"] * 10**asset.sz_decimals).astype(np.int64)
    digest = hashlib.sha256(b"".join(whole[k].tobytes() for k in sorted(whole)) + ts.tobytes()).hexdigest()
    return Bars(asset.name, interval, ts, whole["open"], whole["high"], whole["low"], whole["close"], volume, digest)


def read_folder(folder: Path, assets: dict[str, Asset], only: Collection[str] = ()) -> list[Bars]:
    """All `SYMBOL.parquet` of a folder in the venue's asset order, or those of the symbols in `only`.

    Raises:
        ConfigError: the folder holds none, or one without metadata.
        BadBars: a file's content is wrong.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    if not files:
        raise ConfigError(f"no SYMBOL.parquet in {folder}: give a folder of bars with --replay")
    lacking = sorted(set(only) - files.keys())
    if lacking:
        raise ConfigError(f"no bars of {lacking} in {folder}: it has {sorted(files)}")
    files = {name: file for name, file in files.items() if not only or name in only}
    unknown = sorted(files.keys() - assets.keys())
    if unknown:
        raise ConfigError(f"no metadata for {unknown}: add rows [name, sz_decimals, max_leverage, table] to --assets")
    return [read_bars(files[name], asset) for name, asset in assets.items() if name in files]
