"""Files as tables: CSV, Parquet, Feather and the venue's JSON, one reader each, nothing interpreted yet.

A reader only promises columns of one length; what they mean is decided once, for all formats, in `labels`.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from quantga.errors import BadBars, ConfigError

_KLINES = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
_CANDLE = {"t": "time", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}


@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns as one file holds them, and what the file itself says of its instrument (empty: nothing)."""

    path: Path
    columns: Mapping[str, pa.ChunkedArray]
    symbol: str = ""
    interval: str = ""
    venue: str = ""

    @property
    def file(self) -> str:
        """How the file is called in messages."""
        return str(self.path)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0


def data_files(paths: list[Path]) -> list[Path]:
    """Return the files that `paths` name: files as given, folders read whole, each file once, in sorted order.

    Raises:
        ConfigError: a path does not exist or cannot be read, or a folder holds no file of a known kind.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path} does not exist: give a file or a folder with bars")
        inside = [path]
        if path.is_dir():
            inside = sorted(
                file for file in path.rglob("*") if file.is_file() and _reader(file) and _visible(file, path)
            )
            if not inside:
                raise ConfigError(f"the folder {path} holds no file of the kinds {', '.join(READERS)}")
        elif _reader(path) is None:
            raise ConfigError(f"{path} is none of {', '.join(READERS)}: convert it first")
        for file in inside:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def read_tables(path: Path) -> list[RawTable]:
    """Return the tables in one file (a JSON file may hold several instruments).

    Raises:
        BadBars: the file is corrupt, cut short, empty or of another kind than its name says.
    """
    reader = _reader(path)
    if reader is None:
        raise ConfigError(f"{path} is none of {', '.join(READERS)}: convert it first")
    try:
        tables = reader(path)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadBars(f"{path}: cannot be read, it is corrupt or cut short: fetch it again ({reason})") from error
    if not any(table.rows for table in tables):
        raise BadBars(f"{path}: holds no rows")
    return [table for table in tables if table.rows]


def _visible(file: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(root).parts)


def _lowered(path: Path, table: pa.Table) -> list[RawTable]:
    names = [name.strip().lower().lstrip("\ufeff") for name in table.column_names]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BadBars(f"{path}: the column {min(twice)!r} occurs twice: rename or remove one")
    return [RawTable(path, dict(zip(names, table.columns, strict=True)))]


def _read_parquet(path: Path) -> list[RawTable]:
    return _lowered(path, pq.ParquetFile(path).read())


def _read_feather(path: Path) -> list[RawTable]:
    return _lowered(path, pyarrow.feather.read_table(path, memory_map=False))


def _read_csv(path: Path) -> list[RawTable]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    first = text.split(b"\n", 1)[0].decode("utf-8-sig").rstrip("\r")
    mark = max(",;\t", key=first.count)
    header = next(csv.reader([first], delimiter=mark), [])
    bare = bool(header) and header[0].strip().isdigit()  # an exchange's dump without a header
    names = list(_KLINES[: len(header)]) if bare else [name or f"unnamed: {i}" for i, name in enumerate(header)]
    if bare and len(header) < len(_KLINES[:6]):
        raise BadBars(f"{path}: has no header: name its columns, as in ts,open,high,low,close,volume")
    table = pyarrow.csv.read_csv(
        io.BytesIO(text),
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=0 if bare else 1),
        parse_options=pyarrow.csv.ParseOptions(delimiter=mark),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    return _lowered(path, table)


def _read_json(path: Path) -> list[RawTable]:
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BadBars(f"{path}: is not JSON, or cut short: fetch it again ({error})") from error
    records = _records(value)
    if not records:
        raise BadBars(f"{path}: holds neither candles (t, o, h, l, c, v) nor funding (time, fundingRate)")
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row, record in enumerate(records):
        if ("t" in record and not set(_CANDLE) <= set(record)) or ("fundingRate" in record and "time" not in record):
            raise BadBars(f"{path}: row {row + 1}: a field is missing: it has {', '.join(sorted(record))}")
        symbol, interval = record.get("s", record.get("coin", "")), record.get("i", "")
        groups.setdefault((str(symbol), str(interval)), []).append(record)
    return [_json_table(path, symbol, interval, group) for (symbol, interval), group in groups.items()]


def _records(value: object) -> list[dict[str, object]]:
    """Return the candle or funding records in a JSON value: a list of them, or recorded answers that hold such lists."""
    if isinstance(value, dict):
        return _records(value.get("response", value.get("data", [])))
    found: list[dict[str, object]] = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict):
            continue
        if "response" in item:
            found.extend(_records(item["response"]))
        elif "t" in item or "fundingRate" in item:
            found.append(item)
    return found


def _json_table(path: Path, symbol: str, interval: str, group: list[dict[str, object]]) -> RawTable:
    wanted = _CANDLE if "t" in group[0] else {"time": "time", "fundingRate": "funding_rate", "premium": "premium"}
    columns: dict[str, pa.ChunkedArray] = {}
    for field, name in wanted.items():
        values = [record.get(field) for record in group]
        if all(value is None for value in values):
            continue
        columns[name] = pa.chunked_array([pa.array([None if v is None else str(v) for v in values], pa.string())])
    return RawTable(path, columns, symbol, interval, "hyperliquid")


READERS: dict[str, Callable[[Path], list[RawTable]]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".feather": _read_feather,
    ".json": _read_json,
}
"""The reader of each kind of file, by the end of its name."""


def _reader(path: Path) -> Callable[[Path], list[RawTable]] | None:
    return next((reader for end, reader in READERS.items() if path.name.lower().endswith(end)), None)
