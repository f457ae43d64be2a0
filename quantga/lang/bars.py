"""Bars: closed bars of one market on a complete grid, numbered absolutely, with what was known at each close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quantga.errors import BadBars, ProgramError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]

PRICES = ("open", "high", "low", "close")
REQUIRED = (*PRICES, "volume")
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0


@dataclass(frozen=True)
class Bars:
    """Closed bars of one market.

    interval: milliseconds. origin: number of row 0; a bar's number is its open time (ms UTC) // interval.
    columns: name -> float64[n], read-only. Required: open, high, low, close, volume (base units); a missing bar is NaN in
    all five. `funding`, where known, is the sum of the funding rates stamped within (open, close], NaN-free. Every other
    column is a feature: its row holds what was available before the bar's close (NaN: nothing yet).
    """

    interval: int
    origin: int
    columns: Mapping[str, Floats] = field(repr=False)
    symbol: str = ""
    base: str = ""

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns.values()}
        lacking = [name for name in REQUIRED if name not in self.columns]
        if lacking or len(lengths) != 1:
            raise BadBars(f"bars of {self.symbol or 'a market'} need columns {', '.join(REQUIRED)} of one length")
        for column in self.columns.values():
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.columns["close"])

    def __getitem__(self, name: str) -> Floats:
        """Return a column; `hour` and `weekday` are derived from the bar's open time. ProgramError if there is none."""
        if name in self.columns:
            return self.columns[name]
        if name == "hour":
            return _frozen((self.time // HOUR_MS % 24).astype(np.float64))
        if name == "weekday":
            return _frozen(((self.time // DAY_MS + _EPOCH_WEEKDAY) % 7).astype(np.float64))
        has = ", ".join(sorted(self.columns))
        raise ProgramError(f"{self.symbol or 'the market'} has no column {name!r}; it has {has}, hour, weekday")

    @property
    def time(self) -> Ints:
        """Open times, int64[n], ms UTC."""
        return (np.arange(len(self), dtype=np.int64) + self.origin) * self.interval

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which bars are there, bool[n]."""
        return ~np.isnan(self.columns["close"])

    @property
    def bars_per_year(self) -> float:
        """Bars in 365 days."""
        return 365 * DAY_MS / self.interval

    def slice(self, start: int, stop: int) -> Bars:
        """Return rows start to stop (0 <= start < stop <= n), without copying."""
        columns = {name: column[start:stop] for name, column in self.columns.items()}
        return Bars(self.interval, self.origin + start, columns, self.symbol, self.base)

    def between(self, start: int, end: int) -> Bars:
        """Return the bars that open within [start, end) (ms UTC)."""
        first, last = -(-start // self.interval) - self.origin, -(-end // self.interval) - self.origin
        return self.slice(min(max(first, 0), len(self)), min(max(last, 0), len(self)))

    def with_columns(self, columns: Mapping[str, Floats]) -> Bars:
        """Return the same bars with more (or other) columns."""
        return Bars(self.interval, self.origin, {**self.columns, **columns}, self.symbol, self.base)

    def with_reference(self, other: Bars) -> Bars:
        """Return the same bars with `ref_*` columns of another market, joined by bar number (NaN where it has no bar)."""
        if other.interval != self.interval:
            raise BadBars(f"the reference {other.symbol} has another interval than {self.symbol}")
        first, last = max(self.origin, other.origin), min(self.origin + len(self), other.origin + len(other))
        joined: dict[str, Floats] = {}
        for name in (*REQUIRED, "funding_rate"):
            if name in other.columns:
                column = np.full(len(self), np.nan)
                if last > first:
                    column[first - self.origin : last - self.origin] = other[name][
                        first - other.origin : last - other.origin
                    ]
                joined[f"ref_{name}"] = column
        return self.with_columns(joined)

    @classmethod
    def from_columns(
        cls, time: Ints, columns: Mapping[str, Floats], *, interval: int = 0, symbol: str = "", base: str = ""
    ) -> Bars:
        """Put rows on the grid; `time` is each bar's open (ms UTC). Absent bars become NaN.

        `interval` 0 is inferred as the commonest spacing. Raises BadBars naming the first wrong row.
        """
        _check_rows(time, columns, symbol)
        interval = interval or _spacing(time, symbol)
        off = np.flatnonzero(time % interval)
        if len(off):
            raise BadBars(
                f"{symbol}: row {off[0]} opens at {time[off[0]]} ms, which is not on the grid of {interval} ms"
            )
        rows = time // interval - time[0] // interval
        grid: dict[str, Floats] = {}
        for name, column in columns.items():
            grid[name] = np.zeros(rows[-1] + 1) if name == "funding" else np.full(rows[-1] + 1, np.nan)
            grid[name][rows] = np.nan_to_num(column) if name == "funding" else column
        if "funding" in columns and "funding_rate" not in columns:
            grid["funding_rate"] = _published(grid["funding"], interval)
        return cls(interval, int(time[0] // interval), grid, symbol, base)

    @classmethod
    def from_arrow(cls, table: pa.Table, *, interval: int = 0, symbol: str = "", base: str = "") -> Bars:
        """Read a table with columns time (ms UTC, the bar's OPEN), open, high, low, close, volume, optional funding.

        Further columns become features as they stand: each row must hold what was known before that bar's close.
        """
        lacking = [name for name in ("time", *REQUIRED) if name not in table.column_names]
        if lacking:
            raise BadBars(f"the table lacks {', '.join(lacking)}; it has {', '.join(table.column_names)}")
        time = np.asarray(table["time"].cast("int64").to_numpy(), dtype=np.int64)
        names = [name for name in table.column_names if name != "time"]
        columns = {_feature(name): np.asarray(table[name].to_numpy(), dtype=np.float64) for name in names}
        return cls.from_columns(time, columns, interval=interval, symbol=symbol, base=base)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame, *, interval: int = 0, symbol: str = "", base: str = "") -> Bars:
        """Read a frame with the columns of `from_arrow`."""
        import pyarrow as pa  # noqa: PLC0415 (costs time that most callers need not spend)

        return cls.from_arrow(
            pa.Table.from_pandas(frame, preserve_index=False), interval=interval, symbol=symbol, base=base
        )

    def to_arrow(self) -> pa.Table:
        """Return a table with `time` and every column, a row per bar of the grid."""
        import pyarrow as pa  # noqa: PLC0415

        return pa.table({"time": self.time, **self.columns})


KNOWN = (*REQUIRED, "funding", "funding_rate", "premium", "open_interest")


def _feature(name: str) -> str:
    return name if name in KNOWN or name.startswith(("ref_", "$")) else f"${name}"


def _frozen(column: Floats) -> Floats:
    column.flags.writeable = False
    return column


def _check_rows(time: Ints, columns: Mapping[str, Floats], symbol: str) -> None:
    if len(time) < 2:
        raise BadBars(f"{symbol or 'the table'}: at least two bars are needed, there are {len(time)}")
    late = np.flatnonzero(np.diff(time) <= 0)
    if len(late):
        what = "the same time as" if time[late[0] + 1] == time[late[0]] else "an earlier time than"
        raise BadBars(f"{symbol or 'the table'}: row {late[0] + 1} has {what} row {late[0]}")
    prices = {name: columns[name] for name in PRICES}
    absent = np.isnan(prices["close"])
    for name in REQUIRED:
        bad = np.flatnonzero((np.isnan(columns[name]) != absent) | np.isinf(columns[name]))
        if len(bad):
            raise BadBars(f"{symbol or 'the table'}: row {bad[0]} has no number in {name}")
    for name, column in prices.items():
        bad = np.flatnonzero(column <= 0)
        if len(bad):
            raise BadBars(f"{symbol or 'the table'}: row {bad[0]} has a {name} that is not positive")
    high, low = prices["high"], prices["low"]
    inside = (high < np.fmax(prices["open"], prices["close"])) | (low > np.fmin(prices["open"], prices["close"]))
    bad = np.flatnonzero(inside | (columns["volume"] < 0))
    if len(bad):
        raise BadBars(
            f"{symbol or 'the table'}: row {bad[0]} has a high or low inside open and close, or a volume below 0"
        )


def _spacing(time: Ints, symbol: str) -> int:
    steps, counts = np.unique(np.diff(time), return_counts=True)
    step = int(steps[np.argmax(counts)])
    if step <= 0:
        raise BadBars(f"{symbol or 'the table'}: no interval can be inferred; give it")
    return step


def _published(funding: Floats, interval: int) -> Floats:
    """Return the hourly rate published before each close: the previous bar's funding, per hour."""
    rate = np.full(len(funding), np.nan)
    rate[1:] = funding[:-1] / (interval / HOUR_MS)
    return rate
