"""What a replay is made of: a folder of SYMBOL.parquet, a dataset of the store, or recordings of a venue's frames.

Recordings become bars: of their candles where there are any, else of their trades, else of the middle of their books.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from quantga.errors import BadBars, ConfigError
from quantga.exchange.assets import Asset
from quantga.exchange.bars import Bars, bars_of, read_folder
from quantga.exchange.candles import INTERVALS

MINUTE = 60_000
CHANNELS = ("candle", "trades", "l2Book")
"""What bars are made of, the best first."""
_PART = re.compile(r"\.\d+$")
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which bars of a replay are wanted; empty: all. `start` and `end` are ms UTC, `end` is not included."""

    coins: tuple[str, ...] = ()
    interval: str = ""
    venue: str = ""
    start: int | None = None
    end: int | None = None
    unlocked: bool = False


def read_replay(path: Path, assets: Mapping[str, Asset], choice: Choice) -> list[Bars]:
    """Return the bars at `path` in the venue's asset order.

    Raises:
        ConfigError: nothing there can be replayed, or not what was chosen.
        BadBars: what is there is wrong.
    """
    if not path.is_dir():
        raise ConfigError(f"--replay {path} is no folder: give bars (SYMBOL.parquet), a store, or recordings")
    if any(path.glob("*.parquet")):
        found = [_cut(one, choice) for one in read_folder(path, dict(assets), set(choice.coins))]
    elif (path / "heads").is_dir():
        found = _of_store(path, assets, choice)
    elif _hours(path):
        found = [_cut(one, choice) for one in _of_recordings(path, assets, choice)]
    else:
        raise ConfigError(f"--replay {path} holds no SYMBOL.parquet, no dataset of a store, and no recordings")
    wrong = [one for one in found if choice.interval and one.interval != INTERVALS.get(choice.interval)]
    if wrong:
        raise ConfigError(f"{wrong[0].name} has bars of {wrong[0].interval // 1000} s, not of {choice.interval}")
    order = {name: k for k, name in enumerate(assets)}
    return sorted(found, key=lambda one: order[one.name])


def _cut(bars: Bars, choice: Choice) -> Bars:
    """The bars that open at or after the start and close by the end."""
    if choice.start is None and choice.end is None:
        return bars
    first = int(np.searchsorted(bars.ts, choice.start or 0))
    stop = len(bars.ts)
    if choice.end is not None:
        stop = int(np.searchsorted(bars.ts + bars.interval, choice.end, side="right"))
    if stop - first < 2:
        raise ConfigError(f"{bars.name} has {max(0, stop - first)} bars in that timerange: choose another")
    columns = {name: getattr(bars, name)[first:stop] for name in ("ts", *_PRICES)}
    return replace(bars, **columns, digest=f"{bars.digest}:{first}:{stop}")


def _of_store(path: Path, assets: Mapping[str, Asset], choice: Choice) -> list[Bars]:
    """Bars of a dataset; those of the locked holdout only if that is said."""
    from quantga.store.lake import open_lake  # noqa: PLC0415 -- only a replay of a store needs it
    from quantga.store.market import Query, dev_window, find_dataset, load, select  # noqa: PLC0415
    from quantga.store.symbols import name_of  # noqa: PLC0415

    lake = open_lake(path)
    dataset = find_dataset(lake, Query(choice.coins, choice.interval, choice.venue))
    symbols = select(dataset, choice.coins)
    window = dev_window(dataset, symbols, choice.start, choice.end, unlocked=choice.unlocked)
    out = []
    for symbol, bars in load(lake, dataset, symbols, window.start, window.end, unlocked=choice.unlocked).items():
        name = name_of(symbol)
        unit = {1: "", 1000: "k"}.get(name.unit, "?")
        coin = symbol if symbol in assets else unit + name.base
        if coin not in assets:
            raise ConfigError(
                f"no metadata for {symbol}: add a row [name, sz_decimals, max_leverage, table] to --assets"
            )
        there = bars.present
        columns = {key: bars[key][there] for key in _PRICES}
        out.append(bars_of(symbol, assets[coin], bars.time[there], columns, bars.interval))
    return out


def _hours(path: Path) -> list[Path]:
    """The hours of recordings below `path`, in the order of time."""
    root = path / "market_data" if (path / "market_data").is_dir() else path
    found = [hour for hour in root.glob("[0-9]*/[0-9]*") if hour.parent.name.isdigit() and hour.name.isdigit()]
    return sorted(found, key=lambda hour: (hour.parent.name, int(hour.name)))


def _of_recordings(path: Path, assets: Mapping[str, Asset], choice: Choice) -> list[Bars]:
    hours = _hours(path)
    files: dict[str, dict[str, list[Path]]] = {}
    for hour in hours:
        for channel in CHANNELS:
            for part in sorted((hour / channel).glob("*.lz4"), key=lambda one: (len(one.name), one.name)):
                files.setdefault(_PART.sub("", part.stem), {}).setdefault(channel, []).append(part)
    chosen = [coin for coin in assets if coin in files and (not choice.coins or coin in choice.coins)]
    lacking = sorted(set(choice.coins) - set(chosen)) or (not chosen and sorted(files))
    if lacking:
        raise ConfigError(f"no recordings of {lacking}, or no metadata for them; recorded are {sorted(files)}")
    out = []
    for coin in chosen:
        channel = next(one for one in CHANNELS if one in files[coin])
        made = Made(choice.interval)
        for part in files[coin][channel]:
            made.take(part, channel)
        ts, columns, interval = made.bars()
        if len(ts) < 2:
            raise ConfigError(f"the recordings of {coin} hold {len(ts)} whole bars: record for longer")
        out.append(bars_of(f"{coin} ({channel})", assets[coin], ts, columns, interval))
    return out


@dataclass(slots=True)
class Made:
    """Bars in the making: by interval and open time the row of open, high, low, close, volume, trades."""

    wanted: str = ""
    _rows: dict[int, dict[int, list[float]]] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def take(self, path: Path, channel: str) -> None:
        """Take the frames of one file, also of one that a crash cut short.

        Raises:
            BadBars: it is no recording, or a frame cannot be read.
        """
        from quantga.store.ingest.envelope import read  # noqa: PLC0415

        act = {"candle": self._candle, "trades": self._trades, "l2Book": self._book}[channel]
        for one in read(path, torn=True):
            if one.channel != channel:
                continue
            try:
                act(one.frame["data"])
            except (KeyError, ValueError, TypeError, IndexError) as error:
                raise BadBars(f"{path}: a frame of {channel} cannot be read ({error!r})") from error

    def bars(self) -> tuple[Any, dict[str, Any], int]:
        """Return open times, columns and interval; the last bar may be unfinished and is left out."""
        length = INTERVALS[self.wanted] if self.wanted in INTERVALS else min(self._rows, default=MINUTE)
        rows = self._rows.get(length, {})
        ts = np.array(sorted(rows)[:-1], dtype=np.int64)
        table = np.array([rows[time][:5] for time in ts.tolist()], dtype=np.float64).reshape(-1, 5)
        return ts, {name: table[:, k] for k, name in enumerate(_PRICES)}, length

    def _candle(self, data: Any) -> None:
        length, time = data["T"] + 1 - data["t"], data["t"]
        row = [float(data[key]) for key in "ohlcv"] + [data["n"]]
        known = self._rows.setdefault(length, {}).get(time)
        if known is None or (row[5], row[4]) >= (known[5], known[4]):
            self._rows[length][time] = row

    def _trades(self, rows: Any) -> None:
        for trade in rows:
            key = (trade["time"], trade["tid"])
            if key not in self._seen:
                self._seen.add(key)
                self._extend(trade["time"], float(trade["px"]), float(trade["sz"]))

    def _book(self, data: Any) -> None:
        bids, asks = data["levels"]
        if bids and asks:
            self._extend(data["time"], (float(bids[0]["px"]) + float(asks[0]["px"])) / 2, 0.0)

    def _extend(self, time: int, px: float, size: float) -> None:
        """Move bars of a minute, and of the interval wanted, by one price."""
        for length in {MINUTE, INTERVALS.get(self.wanted, MINUTE)}:
            row = self._rows.setdefault(length, {}).setdefault(time // length * length, [px, px, px, px, 0.0, 0])
            row[1], row[2], row[3] = max(row[1], px), min(row[2], px), px
            row[4], row[5] = row[4] + size, row[5] + 1
