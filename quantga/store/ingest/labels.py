"""What a table is: bars, funding or a user's column, of which venue, symbol and interval.

Names are taken from where people write them (the argument, the file's content, its name, its folders), in that order,
and nothing that is not understood is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quantga.errors import BadBars, ConfigError
from quantga.store.ingest.readers import RawTable
from quantga.store.ingest.times import Floats, Ints, is_numeric, to_float, to_ms
from quantga.store.symbols import INTERVALS, interval_label, interval_ms, venue_symbol

type Kind = Literal["bars", "funding", "features"]

PRICES = ("open", "high", "low", "close")
OHLCV = (*PRICES, "volume")
_TIMES = ("ts", "time", "timestamp", "date", "datetime", "open_time", "calc_time", "__index_level_0__")
_RATES = ("funding_rate", "fundingrate", "last_funding_rate")
_KNOWN = {
    *("close_time", "quote_volume", "quote_asset_volume", "count", "trades", "number_of_trades", "n", "ignore"),
    *("taker_buy_volume", "taker_buy_quote_volume", "taker_buy_base_asset_volume", "taker_buy_quote_asset_volume"),
    *("funding_interval_hours", "mark_price"),
}
_VENUES = ("hyperliquid", "binance", "bybit", "okx", "kraken", "coinbase", "bitget", "gate", "kucoin", "bitmex", "dydx")
_PAIR = re.compile(r"^(?P<pair>[^-]+)-(?P<interval>\d+[mhdwM])(?:-(?P<what>[A-Za-z_]+))?$")
_DUMP = re.compile(r"^(?P<symbol>[^-]+)-(?P<interval>\d+[mhd])-\d{4}(?:-\d{2}){1,2}$")
_DATED = re.compile(r"[-_]\d{4}(?:-\d{2}){0,2}$")
_OWNERS = ("symbol", "ticker", "coin", "pair", "instrument")
_COLUMN = re.compile(r"^[a-z][a-z0-9_]*$")
_MARKS = ("mark", "index", "premiumIndex")
_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Told:
    """What the user said of the files; an empty text says nothing."""

    venue: str = ""
    interval: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """One series of one file: its key in milliseconds and its columns, not yet checked.

    The key is the bar's open, the stamp of a funding, or when a value became available. `name` is the user's column,
    else empty; `interval` is empty but for bars.
    """

    kind: Kind
    file: str
    venue: str
    symbol: str
    interval: str
    name: str
    times: Ints
    columns: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class _Stem:
    symbol: str
    interval: str
    what: str
    spot: bool


def label(table: RawTable, told: Told) -> tuple[list[Piece], list[str]]:
    """Return the series in a table, and notes on what was left out.

    Raises:
        BadBars: it is neither bars nor funding nor features, or a column lacks what it needs; says what to add.
        ConfigError: the interval cannot be told from the file and was not given.
    """
    _refuse_several(table)
    stem = _read_stem(table)
    venue = told.venue or _venue(table, stem)
    symbol = venue_symbol(table.symbol or stem.symbol, venue)
    if stem.what == "funding_rate" and "open" in table.columns:  # freqtrade keeps the rate in `open`
        times = _times(table)
        rate = to_float(table.columns["open"], table.file, "open")
        return [Piece("funding", table.file, venue, symbol, "", "", times, {"funding_rate": rate})], []
    if stem.what in _MARKS or _is_mark(table):
        return [], [f"{table.file}: mark and index prices are not used: left out"]
    rate_name = next((name for name in _RATES if name in table.columns), "")
    if all(name in table.columns for name in PRICES):
        if rate_name or "funding" in table.columns:
            raise BadBars(
                f"{table.file}: funding beside bars does not say when it was charged: put it into its own file "
                "with the columns ts, funding_rate"
            )
        return _bars(table, told, stem, venue, symbol)
    if rate_name:
        return _funding(table, rate_name, venue, symbol), []
    if "available_at" in table.columns:
        return _features(table, venue, symbol, to_ms(table.columns["available_at"], table.file, "available_at"))
    raise BadBars(_unknown(table))


def _refuse_several(table: RawTable) -> None:
    for name in _OWNERS:
        if name in table.columns:
            symbols = sorted({str(value) for value in table.columns[name].unique().to_pylist()})
            if len(symbols) > 1:
                shown = ", ".join(symbols[:5])
                raise BadBars(f"{table.file}: holds several instruments ({shown}): split it into a file per symbol")


def _unknown(table: RawTable) -> str:
    have = ", ".join(table.columns)
    missing = [name for name in PRICES if name not in table.columns]
    if len(missing) < len(PRICES):
        return f"{table.file}: the column {missing[0]} is missing (found: {have})"
    return (
        f"{table.file}: holds neither bars (ts, open, high, low, close, volume) nor funding (ts, funding_rate) nor own "
        f"columns with available_at (found: {have}): mend it, or name only the files to import"
    )


def _bars(table: RawTable, told: Told, stem: _Stem, venue: str, symbol: str) -> tuple[list[Piece], list[str]]:
    if "volume" not in table.columns:
        raise BadBars(f"{table.file}: the column volume is missing: add it, in units of the base asset")
    times = _times(table)
    interval = told.interval or table.interval or stem.interval or _folder_interval(table)
    interval = _agreed(table.file, interval, times)
    columns = {name: to_float(table.columns[name], table.file, name) for name in OHLCV}
    pieces = [Piece("bars", table.file, venue, symbol, interval, "", times, columns)]
    own = _own_columns(table)
    if "available_at" in table.columns:
        available = to_ms(table.columns["available_at"], table.file, "available_at")
        more, notes = _features(table, venue, symbol, available) if own else ([], [])
        return pieces + more, notes
    if own:
        raise BadBars(
            f"{table.file}: the column {own[0]!r} does not say when it was known: add a column available_at "
            "(when each row's value could first be read, UTC), or remove it"
        )
    return pieces, []


def _funding(table: RawTable, rate_name: str, venue: str, symbol: str) -> list[Piece]:
    columns = {"funding_rate": to_float(table.columns[rate_name], table.file, rate_name)}
    if "premium" in table.columns:
        columns["premium"] = to_float(table.columns["premium"], table.file, "premium")
    return [Piece("funding", table.file, venue, symbol, "", "", _times(table), columns)]


def _features(table: RawTable, venue: str, symbol: str, available: Ints) -> tuple[list[Piece], list[str]]:
    own = _own_columns(table)
    if not own:
        raise BadBars(f"{table.file}: has available_at but no column of numbers of its own")
    order = np.argsort(available, kind="stable")
    pieces = []
    for name in own:
        if not _COLUMN.match(name):
            raise BadBars(f"{table.file}: the column {name!r} cannot be named in a program: use a-z, 0-9 and _")
        values = to_float(table.columns[name], table.file, name)
        known = available[order]
        last = np.append(known[1:] != known[:-1], True)  # of several known at once, the last row stands
        pieces.append(
            Piece("features", table.file, venue, symbol, "", name, known[last], {"value": values[order][last]})
        )
    return pieces, []


def _own_columns(table: RawTable) -> list[str]:
    taken = {*OHLCV, *_TIMES, *_KNOWN, "available_at"}
    free = [name for name in table.columns if name not in taken and not name.startswith("unnamed: ")]
    return [name for name in free if is_numeric(table.columns[name])]


def _times(table: RawTable) -> Ints:
    name = next((name for name in _TIMES if name in table.columns), "")
    if not name:
        have = ", ".join(table.columns)
        raise BadBars(f"{table.file}: has no column of times: name it ts, date, time or timestamp (found: {have})")
    return to_ms(table.columns[name], table.file, name)


def _agreed(file: str, named: str, times: Ints) -> str:
    """Return the interval that names and times agree on."""
    steps, counts = np.unique(np.diff(times), return_counts=True)
    seen = interval_label(int(steps[counts.argmax()])) if steps.size else ""
    if not named:
        if not seen:
            raise ConfigError(f"{file}: cannot tell the interval of the bars: give it, as in --interval 1h")
        return seen
    interval_ms(named)
    if seen and seen != named:
        raise BadBars(
            f"{file}: is named {named}, but its bars are {seen} apart: give --interval {seen} or the right file"
        )
    return named


def _read_stem(table: RawTable) -> _Stem:
    stem = table.path.name
    for end in (".gz", ".csv", ".parquet", ".feather", ".json"):
        stem = stem.removesuffix(end)
    dump, pair = _DUMP.match(stem), _PAIR.match(stem)
    if dump:
        return _Stem(dump["symbol"], dump["interval"], "", spot=False)
    if pair:
        what = pair["what"] or ""
        interval = pair["interval"] if pair["interval"] in INTERVALS else ""
        return _Stem(pair["pair"], interval, what, spot=pair["pair"].count("_") == 1 and what != "futures")
    return _Stem(_DATED.sub("", stem), "", "", spot=False)


def _words(table: RawTable) -> list[str]:
    """Return the words of the nearest folders, the nearest first."""
    folders = table.path.resolve().parent.parts[-_LEVELS:]
    return [word for folder in reversed(folders) for word in re.split(r"[^A-Za-z0-9]+", folder) if word]


def _folder_interval(table: RawTable) -> str:
    return next((word for word in _words(table) if word in INTERVALS), "")


def _venue(table: RawTable, stem: _Stem) -> str:
    """Return the venue that the folders name, `local` if none; spot markets are venues of their own."""
    if table.venue:
        return table.venue
    folders = [folder.lower() for folder in reversed(table.path.resolve().parent.parts[-_LEVELS:])]
    for level, folder in enumerate(folders):
        venue = next((word for word in re.split(r"[^a-z0-9]+", folder) if word in _VENUES), "")
        if venue:
            below = {word for inner in folders[: level + 1] for word in re.split(r"[^a-z0-9]+", inner)}
            spot = stem.spot or "spot" in below or folders[level + 1 : level + 2] == ["spot"]
            return f"{venue}_spot" if spot and stem.what != "futures" else venue
    return "local"


def _is_mark(table: RawTable) -> bool:
    prices = all(name in table.columns for name in PRICES) and "volume" not in table.columns
    return prices and "mark" in [word.lower() for word in _words(table)]
