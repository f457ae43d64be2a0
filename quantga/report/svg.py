"""SVG as text: elements, numbers, paths, round ticks; colours are classes, so that the page's style decides them.

Drawn here rather than by a charting library, so that the page is small, opens offline and prints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

import numpy as np

from quantga.report.record import Floats, Ints

DAY = 86_400_000


def tag(name: str, *children: str, **attributes: str | float | None) -> str:
    """Return an element; `_` in attribute names is `-` (a trailing one is dropped), None leaves an attribute out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{shown}>{inner}</{name}>" if inner or name not in _EMPTY else f"<{name}{shown}/>"


_EMPTY = frozenset({"path", "line", "rect", "circle", "use", "polyline", "polygon"})


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else place(value)


def place(value: float) -> str:
    """Return a coordinate with one decimal, without needless zeros."""
    return (
        f"{value:.1f}".removesuffix(".0").replace("-0", "0") if abs(value) < 0.05 else f"{value:.1f}".removesuffix(".0")
    )


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Return a text element; `anchor` is start, middle or end."""
    return tag("text", escape(text), x=x, y=y, class_=kind or None, text_anchor=None if anchor == "start" else anchor)


def path(x: Sequence[float] | Floats, y: Sequence[float] | Floats) -> str:
    """Return path data through the points; a NaN breaks the line."""
    parts: list[str] = []
    pen = "M"
    for a, b in zip(x, y, strict=True):
        if math.isnan(a) or math.isnan(b):
            pen = "M"
            continue
        parts.append(f"{pen}{place(a)} {place(b)}")
        pen = "L"
    return "".join(parts)


def area(x: Floats, y: Floats, base: float) -> str:
    """Return path data of the area between the points and the height `base`."""
    if not len(x):
        return ""
    return f"M{place(float(x[0]))} {place(base)}{path(x, y).replace('M', 'L')}L{place(float(x[-1]))} {place(base)}Z"


def steps(low: float, high: float, wanted: int) -> list[float]:
    """Return round numbers within [low, high], about `wanted` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_steps(low: float, high: float, wanted: int) -> list[float]:
    """Return round numbers within [low, high] for a logarithmic axis."""
    for ladder in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [m * 10.0**d for d in decades for m in ladder if low <= m * 10.0**d <= high]
        if len(found) >= max(3, wanted - 2):
            return found
    return steps(low, high, wanted)


def time_steps(start: int, end: int, wanted: int) -> list[tuple[int, str]]:
    """Return (ms, label) at starts of days, months, quarters or years within [start, end]."""
    days = (end - start) / DAY
    months = next((m for m in (1, 2, 3, 6, 12, 24, 60) if days / (30.44 * m) <= wanted), 120)
    if days / 30.44 < wanted / 2:
        every = next((n for n in (1, 2, 3, 5, 7, 10, 14, 20, 30) if days / n <= wanted), 60)
        return _day_steps(start, end, every)
    first = datetime.fromtimestamp(start / 1000, UTC)
    count = first.year * 12 + first.month - 1
    found = []
    for month in range(count - count % months, count + int(days / 28) + 2 * months, months):
        year, number = divmod(month, 12)
        at = int(datetime(year, number + 1, 1, tzinfo=UTC).timestamp() * 1000)
        if start <= at <= end:
            label = f"{year}" if number == 0 else f"{datetime(year, number + 1, 1, tzinfo=UTC):%b}"
            found.append((at, label))
    return found


def _day_steps(start: int, end: int, every: int) -> list[tuple[int, str]]:
    first = -(-start // DAY)
    return [
        (day * DAY, f"{datetime.fromtimestamp(day * DAY / 1000, UTC):%-d %b}")
        for day in range(first, end // DAY + 1, every)
    ]


def thin(time: Ints, values: Iterable[Floats], most: int, keep: str = "last") -> tuple[Ints, list[Floats]]:
    """Return at most `most` points of each series: the last, or the lowest, of each of equal runs of rows."""
    n = len(time)
    series = list(values)
    if n <= most:
        return time, series
    edges = np.unique(np.linspace(0, n, most + 1).astype(np.int64))
    last = edges[1:] - 1
    if keep == "last":
        return time[last], [column[last] for column in series]
    return time[last], [np.minimum.reduceat(column, edges[:-1]) for column in series]


def date(ms: int, *, hour: bool = False) -> str:
    """Return `2024-03-01`, or `2024-03-01 14:00`, in UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):{'%Y-%m-%d %H:%M' if hour else '%Y-%m-%d'}}"
