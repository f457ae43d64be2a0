"""Files of the venue's archive as columns: contexts by the minute, books by the minute, and bars made of all trades.

What a row says was known only after it was written: each carries `available_at`, and is joined to bars by that alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from quantga.errors import BadBars, VenueError
from quantga.store.ingest import envelope
from quantga.store.ingest.times import Floats, Ints
from quantga.venue.hyperliquid.market_answers import book
from quantga.venue.market import Book, Level

MINUTE = 60_000
HOUR = 3_600_000
CONTEXT = {"open_interest": "open_interest", "premium": "premium", "mark_px": "mark", "oracle_px": "oracle"}
"""Columns of the contexts that are kept, and what they are called in the store."""
_ABSENT = ["", "null", "NaN"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Own columns of one coin: when each row could be read (ms UTC, ascending) and its values; NaN where it has none."""

    available_at: Ints
    values: dict[str, Floats]


@dataclass(slots=True)
class _Bar:
    """One bar under way: prices and volume as the venue wrote them, so that sums are exact."""

    first: int
    last: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(slots=True)
class Tape:
    """Bars of one coin under way, made of trades in any order; trades of one millisecond in the order of the files."""

    step: int
    bars: dict[int, _Bar] = field(default_factory=dict)

    def add(self, time: int, px: Decimal, size: Decimal) -> None:
        """Take one trade."""
        start = time // self.step * self.step
        bar = self.bars.get(start)
        if bar is None:
            self.bars[start] = _Bar(time, time, px, px, px, px, size)
            return
        bar.high, bar.low = max(bar.high, px), min(bar.low, px)
        bar.volume += size
        if time < bar.first:
            bar.first, bar.open = time, px
        if time >= bar.last:
            bar.last, bar.close = time, px

    def rows(self) -> dict[int, list[float]]:
        """Return open, high, low, close and volume of each bar."""
        fields = ("open", "high", "low", "close", "volume")
        return {start: [float(getattr(bar, name)) for name in fields] for start, bar in sorted(self.bars.items())}


def read_contexts(path: Path, coins: Sequence[str]) -> dict[str, Columns]:
    """Return the contexts of some coins in one day's file. A row is taken to be known a minute after its time.

    Raises:
        BadBars: the file is corrupt, cut short, or lacks a column.
    """
    options = pyarrow.csv.ConvertOptions(
        column_types={"time": pa.string(), "coin": pa.string(), **dict.fromkeys(CONTEXT, pa.float64())},
        include_columns=["time", "coin", *CONTEXT],
        null_values=_ABSENT,
    )
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), envelope.CODEC) as stream:
            table = pyarrow.csv.read_csv(stream, convert_options=options)
        table = table.filter(pc.is_in(table["coin"], pa.array(coins)))
        times = pc.strptime(pc.utf8_slice_codeunits(table["time"], 0, 19), "%Y-%m-%dT%H:%M:%S", "ms")
    except (pa.ArrowException, OSError, KeyError) as error:
        raise BadBars(
            f"{path}: is no file of contexts, or cut short: delete it, and fetch it again ({error})"
        ) from error
    at = np.asarray(times.cast(pa.int64()).to_numpy(), dtype=np.int64) + MINUTE
    names = np.asarray(table["coin"].to_numpy(zero_copy_only=False))
    values = {name: np.asarray(table[raw].to_numpy(), dtype=np.float64) for raw, name in CONTEXT.items()}
    found = {}
    for coin in coins:
        rows = np.flatnonzero(names == coin)
        rows = rows[np.argsort(at[rows], kind="stable")]
        if rows.size:
            found[coin] = Columns(at[rows], {name: column[rows] for name, column in values.items()})
    return found


def read_books(path: Path, *, torn: bool = False) -> Columns:
    """Return spread and depth of the last book received in each minute: of the archive, or of our own recording.

    `spread` is (ask - bid) / mid, `depth` the USDC on both sides of all levels shown. Each is known when it was received.
    """
    last: dict[int, tuple[int, Book]] = {}
    for record in envelope.read(path, torn=torn):
        if record.channel != "l2Book":
            continue
        try:
            frame = book(record.frame["data"])
        except (VenueError, KeyError) as error:
            raise BadBars(
                f"{path}: a book received at {envelope.stamp(record.received)} does not read: {error}"
            ) from error
        known = -(-record.received // 1_000_000)
        if frame.bids and frame.asks:
            last[known // MINUTE] = (known, frame)
    rows = [(known, *_spread_and_depth(frame)) for known, frame in last.values()]
    rows.sort()
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
    return Columns(table[:, 0].astype(np.int64), {"spread": table[:, 1], "depth": table[:, 2]})


def _spread_and_depth(frame: Book) -> tuple[float, float]:
    bid, ask = frame.bids[0].px, frame.asks[0].px
    return 2 * (ask - bid) / (ask + bid), _worth(frame.bids) + _worth(frame.asks)


def _worth(levels: Iterable[Level]) -> float:
    return sum(level.px * level.size for level in levels)


def bars_of(files: Sequence[tuple[datetime, Path]], coins: Sequence[str], step: int) -> dict[str, Tape]:
    """Return bars of `step` milliseconds from hourly files of trades, without those that a missing file might be part of.

    A fill may lie in the file of the hour before or after its own, so a bar counts only where the files of its hours and
    their neighbours are all there.
    """
    tapes = {coin: Tape(step) for coin in coins}
    seen: set[tuple[str, int, int]] = set()
    for _, path in sorted(files):
        fresh: set[tuple[str, int, int]] = set()
        for coin, time, tid, px, size in read_trades(path):
            tape = tapes.get(coin)
            if tape is not None and (coin, time, tid) not in seen and (coin, time, tid) not in fresh:
                fresh.add((coin, time, tid))
                tape.add(time, px, size)
        seen = fresh  # only the file before can hold the same trade
    hours = {round(start.timestamp()) * 1000 for start, _ in files}
    for tape in tapes.values():
        for start in [start for start in tape.bars if not _covered(start, step, hours)]:
            del tape.bars[start]
    return tapes


def _covered(start: int, step: int, hours: set[int]) -> bool:
    first, last = start // HOUR * HOUR - HOUR, (start + step - 1) // HOUR * HOUR + HOUR
    return all(hour in hours for hour in range(first, last + 1, HOUR))


def read_trades(path: Path) -> Iterator[tuple[str, int, int, Decimal, Decimal]]:
    """Give (coin, time, tid, price, size) of every trade in a file of fills, of fills by block, or of trades.

    A trade makes two fills, of which the taker's is taken.

    Raises:
        BadBars: a line does not read; file and line are named.
    """
    for number, text in enumerate(envelope.lines(path), 1):
        try:
            yield from _trades(orjson.loads(text))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, InvalidOperation, IndexError) as error:
            raise BadBars(
                f"{path}: line {number} is no fill ({error!r}): delete the file, and fetch it again"
            ) from error


def _trades(line: Any) -> Iterator[tuple[str, int, int, Decimal, Decimal]]:
    if isinstance(line, dict) and "side_info" in line:
        time = round(np.datetime64(line["time"], "ms").astype(np.int64))
        oids = tuple(side["oid"] for side in line["side_info"])
        yield line["coin"], time, hash((line["hash"], oids)), _positive(line["px"]), _positive(line["sz"])
        return
    fills = [line] if isinstance(line, list) else line["events"]
    for _, fill in fills:
        if fill["crossed"]:
            yield fill["coin"], int(fill["time"]), int(fill["tid"]), _positive(fill["px"]), _positive(fill["sz"])


def _positive(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite() or value <= 0:
        raise ValueError(f"{text!r} is neither price nor size")
    return value
