"""Columns of instants and of numbers, however a file writes them, as int64 milliseconds UTC and float64.

Files write times as seconds to nanoseconds, ISO texts or timestamps; what cannot be understood is refused with its row.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from quantga.errors import BadBars

type Ints = npt.NDArray[np.int64]
type Floats = npt.NDArray[np.float64]

_UNITS = ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (math.inf, 1e-6))


def bad_row(file: str, row: int, reason: str) -> BadBars:
    """Return the refusal of one row, counted from 1 below the header."""
    return BadBars(f"{file}: row {row + 1}: {reason}")


def iso(milliseconds: int) -> str:
    """Return an instant as `2024-01-31 16:00`, with seconds and fractions only where there are any."""
    text = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(" ", "milliseconds")[:23]
    return text.removesuffix(".000").removesuffix(":00") if text.endswith(":00.000") else text


def to_ms(column: pa.ChunkedArray, file: str, name: str) -> Ints:
    """Return instants as milliseconds since 1970 UTC; a time without a zone is taken as UTC.

    Whole numbers are seconds, milliseconds, microseconds or nanoseconds by their size.

    Raises:
        BadBars: a value is missing or is no instant; names the row.
    """
    _refuse_nulls(column, file, name)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        plain = pc.cast(column, pa.timestamp("ns") if pa.types.is_date(kind) else pa.timestamp(kind.unit))
        return np.asarray(plain.to_numpy().astype("datetime64[ms]"), dtype=np.int64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return _scaled(_as(column, pa.int64()), file, name)
        except pa.ArrowInvalid:
            return _texts_to_ms(column.to_pylist(), file, name)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _numbers_to_ms(column, file, name)
    raise BadBars(f"{file}: the column {name!r} holds {kind}, not times: give milliseconds or ISO 8601 texts")


def to_float(column: pa.ChunkedArray, file: str, name: str) -> Floats:
    """Return numbers as float64; a null or an empty text is NaN.

    Raises:
        BadBars: a text is no number; names the row.
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return _as(column, pa.float64())
        except pa.ArrowInvalid:
            return _texts_to_float(column.to_pylist(), file, name)
    try:
        return _as(column, pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadBars(f"{file}: the column {name!r} holds {kind}, not numbers") from None


def is_numeric(column: pa.ChunkedArray) -> bool:
    """Return whether a column holds numbers, or texts of which the first that is not empty reads as a number."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        first = next((text for text in column.to_pylist() if text), "")
        return _number(first) is not None
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any]:
    return np.asarray(pc.cast(column, kind, safe=False).to_numpy())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _refuse_nulls(column: pa.ChunkedArray, file: str, name: str) -> None:
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise bad_row(file, row, f"{name} is missing")


def _numbers_to_ms(column: pa.ChunkedArray, file: str, name: str) -> Ints:
    if pa.types.is_integer(column.type):
        whole = np.asarray(column.to_numpy(), dtype=np.int64)
        return _scaled(whole, file, name)
    numbers = to_float(column, file, name)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        raise bad_row(file, int(wrong[0]), f"{name} is missing")
    if numbers.size and np.abs(numbers).max() < _UNITS[0][0]:
        return np.asarray(np.rint(numbers * 1000), dtype=np.int64)
    return _scaled(np.asarray(numbers, dtype=np.int64), file, name)


def _scaled(whole: Ints, file: str, name: str) -> Ints:
    if not whole.size:
        return whole
    wrong = np.flatnonzero(whole <= 0)
    if wrong.size:
        raise bad_row(file, int(wrong[0]), f"{name} is {whole[wrong[0]]}: not a time after 1970")
    per_unit = next(factor for limit, factor in _UNITS if whole.max() < limit)
    per_least = next(factor for limit, factor in _UNITS if whole.min() < limit)
    if per_unit != per_least:
        raise bad_row(file, int(whole.argmin()), f"{name} is {whole.min()}, in another unit than other rows")
    return whole * 1000 if per_unit == 1000.0 else whole // round(1 / per_unit)


def _texts_to_ms(texts: list[str], file: str, name: str) -> Ints:
    numbers = [_number(text) for text in texts]
    if texts and all(number is not None for number in numbers):
        return _numbers_to_ms(pa.chunked_array([pa.array(numbers, pa.float64())]), file, name)
    found = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        try:
            instant = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        except ValueError:
            raise bad_row(
                file, row, f"{name} is {text!r}: give milliseconds or ISO 8601, as 2024-01-31T16:00Z"
            ) from None
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        found[row] = round(zoned.timestamp() * 1000)
    return found


def _texts_to_float(texts: list[str | None], file: str, name: str) -> Floats:
    found = np.empty(len(texts), dtype=np.float64)
    for row, text in enumerate(texts):
        number = _number(text) if text and text.strip() else math.nan
        if number is None:
            raise bad_row(file, row, f"{name} is {text!r}, not a number")
        found[row] = number
    return found
