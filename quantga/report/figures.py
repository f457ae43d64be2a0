"""Pictures of a champion: equity and drawdown against buy-and-hold, one small picture per market."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from quantga.report.record import Floats, Span
from quantga.report.series import Curve, drawdown
from quantga.report.svg import DAY, area, date, log_steps, path, place, steps, tag, thin, time_steps, words

NBSP = "\u00a0"


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot: its box in pixels, and what its edges stand for. `y` grows upwards."""

    left: float
    right: float
    top: float
    bottom: float
    x_low: float
    x_high: float
    y_low: float
    y_high: float
    log: bool = False

    def x(self, value: float) -> float:
        """Return the pixel of a value on the horizontal axis."""
        return self.left + (value - self.x_low) / ((self.x_high - self.x_low) or 1) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the pixel of a value on the vertical axis."""
        scale: Callable[[float], float] = (lambda v: float(np.log(v))) if self.log else (lambda v: v)
        low, high = scale(self.y_low), scale(self.y_high)
        return self.bottom - (scale(value) - low) / ((high - low) or 1) * (self.bottom - self.top)

    def xs(self, values: Floats) -> Floats:
        """Return pixels on the horizontal axis."""
        return self.left + (values - self.x_low) / ((self.x_high - self.x_low) or 1) * (self.right - self.left)

    def ys(self, values: Floats) -> Floats:
        """Return pixels on the vertical axis."""
        scale = np.log if self.log else np.asarray
        low, high = float(scale(self.y_low)), float(scale(self.y_high))
        found: Floats = self.bottom - (scale(values) - low) / ((high - low) or 1) * (self.bottom - self.top)
        return found


@dataclass(frozen=True, slots=True)
class Size:
    """One drawing of a picture: `name` is the class that shows it on wide or narrow screens."""

    name: str
    width: float
    height: float


WIDE, NARROW = Size("wide", 1000, 430), Size("narrow", 380, 400)
HALF, HALF_NARROW = Size("wide", 500, 340), Size("narrow", 380, 320)


def canvas(size: Size, frame: Frame, label: str, *parts: str) -> str:
    """Return the `<svg>` of one size; the plot's place is written down for the crosshair."""
    box = " ".join(place(v) for v in (frame.left, frame.right, frame.top, frame.bottom))
    return tag(
        "svg", *parts, class_=f"plot {size.name}", role="img", aria_label=label, data_plot=box,
        viewBox=f"0 0 {place(size.width)} {place(size.height)}",
    )  # fmt: skip


def figure(drawings: Sequence[str], caption: str, hover: Mapping[str, object] | None = None) -> str:
    """Return drawings of one picture with its caption.

    hover: what the crosshair reads: "x", places from 0 to 1 along the plot, ascending, and what page.js tells of them.
    """
    if hover is None:
        return f'<figure class="chart">{"".join(drawings)}<figcaption>{caption}</figcaption></figure>'
    return (
        '<figure class="chart hover" tabindex="0" aria-roledescription="chart, arrow keys read its values">'
        f"{''.join(drawings)}<figcaption>{caption}</figcaption>"
        f"{readings(hover)}</figure>"
    )


def readings(data: Mapping[str, object]) -> str:
    """Return data for the script, which no text in them can end."""
    script = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json">{script}</script>'


def percent(value: float, places: int = 1, *, sign: bool = True) -> str:
    """Return a fraction as percent with a true minus sign."""
    return f"{value * 100:{'+' if sign else ''},.{places}f} %".replace("-", "−").replace(",", NBSP).replace(" ", NBSP)


def money(value: float) -> str:
    """Return USDC without decimals, thousands apart."""
    return f"{value:,.0f}".replace("-", "−").replace(",", NBSP)


def growth(factor: float) -> str:
    """Return what became of one unit: as a change in percent, as a multiple where that is large."""
    if factor >= 100:
        return f"×{NBSP}{money(factor)}"
    return percent(factor - 1, 1 if factor < 11 else 0)


def short_money(value: float) -> str:
    """Return USDC in few characters: 20 000, 500k, 3M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if value >= size:
            return f"{value / (1e3 if unit == 'k' else size):g}{unit}"
    return money(value)


def grid(frame: Frame, ticks: Sequence[float], shown: Callable[[float], str]) -> str:
    """Return horizontal lines with their values left of the plot."""
    lines = [tag("line", class_="grid", x1=frame.left, x2=frame.right, y1=frame.y(t), y2=frame.y(t)) for t in ticks]
    return "".join(lines + [words(frame.left - 6, frame.y(t) + 4, shown(t), "tick", "end") for t in ticks])


def time_axis(frame: Frame, wanted: int) -> str:
    """Return dates below the plot."""
    found = []
    for at, label in time_steps(int(frame.x_low), int(frame.x_high), wanted):
        x = frame.x(at)
        found.append(tag("line", class_="tickmark", x1=x, x2=x, y1=frame.bottom, y2=frame.bottom + 4))
        if x < frame.right - 8:
            found.append(words(x, frame.bottom + 17, label, "tick year" if label.isdigit() else "tick", "middle"))
    return "".join(found)


def equity_figure(curve: Curve, capital: float, span: Span, caption: str, *, half: bool = False) -> str:
    """Return equity above drawdown, with the locked part hatched and not drawn to scale; `half` is half the page wide."""
    low = drawdown(curve.equity, capital)
    hold = drawdown(curve.market, capital)
    label = (
        f"Equity from {money(capital)} to {money(float(curve.equity[-1]))} USDC, buy and hold to "
        f"{money(float(curve.market[-1]))}; deepest drawdown {percent(float(low.min()), sign=False)}"
    )
    drawings = [
        _equity(size, curve, (low, hold), capital, span, label) for size in ((HALF, NARROW) if half else (WIDE, NARROW))
    ]
    time, (equity, market, depth) = thin(curve.time, [curve.equity, curve.market, low], 400)
    start, end = int(curve.time[0]), int(curve.time[-1])
    hover = {
        "kind": "equity", "from": capital, "start": start, "end": end,
        "x": np.round((time - start) / max(end - start, 1), 4).tolist(),
        "e": np.round(equity).astype(int).tolist(), "m": np.round(market).astype(int).tolist(),
        "d": np.round(depth * 1000).astype(int).tolist(),
    }  # fmt: skip
    return figure(drawings, caption, hover)


def _equity(size: Size, curve: Curve, depths: tuple[Floats, Floats], capital: float, span: Span, label: str) -> str:
    narrow = size.width < WIDE.width
    strip = (34 if narrow else 132) if span.locked_to > span.locked_from else 0
    left, right, split = 52, size.width - strip - (84 if narrow else 96), size.height - (126 if narrow else 134)
    points = 220 if narrow else 560
    time, (equity, market) = thin(curve.time, [curve.equity, curve.market], points)
    _, (low, hold) = thin(curve.time, list(depths), points, "lowest")
    floor, top = float(min(equity.min(), market.min(), capital)), float(max(equity.max(), market.max(), capital))
    log = floor > 0 and top / floor > 4
    pad = (top / floor) ** 0.05 if log else (top - floor) * 0.06 or 1.0
    bounds = (floor / pad, top * pad) if log else (floor - pad, top + pad)
    start, end = float(curve.time[0]), float(curve.time[-1])
    up = Frame(left, right, 14, split, start, end, *bounds, log=log)
    deep = min(float(low.min()), float(hold.min()), -0.01)
    down = Frame(left, right, split + 26, size.height - 24, start, end, deep * 1.05, 0)
    x = up.xs(time.astype(np.float64))
    ticks = log_steps(*bounds, 5) if log else steps(*bounds, 5)
    parts = [
        grid(up, ticks, short_money),
        tag("line", class_="zero", x1=left, x2=right, y1=up.y(capital), y2=up.y(capital)),
        tag("path", class_="market", d=path(x, up.ys(market))),
        tag("path", class_="champion", d=path(x, up.ys(np.maximum(equity, bounds[0])))),
        _ends(up, (float(equity[-1]), float(market[-1])), capital),
        grid(down, steps(deep, 0, 3), lambda v: percent(v, 0, sign=False)),
        words(left, split + 20, "drawdown", "note"),
        tag("path", class_="market thin", d=path(x, down.ys(hold))),
        tag("path", class_="under", d=area(x, down.ys(low), down.top)),
        time_axis(down, 4 if narrow else 9),
        _locked(up, down, (size.width - strip, strip - 2), span) if strip else "",
    ]
    return canvas(size, Frame(left, right, 14, size.height - 24, start, end, 0, 1), label, *parts)


def _ends(frame: Frame, last: tuple[float, float], capital: float) -> str:
    """Return the names of the two lines at their ends, kept apart."""
    ours, theirs = (frame.y(max(value, frame.y_low)) for value in last)
    middle, apart = (ours + theirs) / 2, 33.0
    if abs(ours - theirs) < apart:
        ours, theirs = (
            (middle - apart / 2, middle + apart / 2) if ours <= theirs else (middle + apart / 2, middle - apart / 2)
        )
    shift = max(0.0, frame.top + 8 - min(ours, theirs)) + min(0.0, frame.bottom - 14 - max(ours, theirs))
    found = []
    for name, kind, y, value in (("champion", "champion", ours, last[0]), ("holding", "market", theirs, last[1])):
        for row, text in enumerate((name, growth(value / capital))):
            found.append(words(frame.right + 7, y + shift + 2 + 15 * row, text, f"name {kind}-name"))
    return "".join(found)


def _locked(up: Frame, down: Frame, place_of: tuple[float, float], span: Span) -> str:
    x, width = place_of
    height = down.bottom - up.top
    middle, centre = x + width / 2, up.top + height / 2
    box = tag("rect", class_="locked", x=x, y=up.top, width=width, height=height)
    years = (span.locked_to - span.locked_from) / DAY / 365
    if width < 100:
        text = tag(
            "text", f"locked holdout, {years:.1f} years, unseen", x=middle + 4, y=centre, class_="name locked-name",
            text_anchor="middle", transform=f"rotate(-90 {place(middle)} {place(centre)})",
        )  # fmt: skip
        return box + text
    lines = ("locked holdout", date(span.locked_from), f"to {date(span.locked_to)}", "never read by", "the search")
    kinds = ("name locked-name", *("note",) * 4)
    return box + "".join(
        words(middle, centre - 22 + 18 * i, line, kind, "middle")
        for i, (line, kind) in enumerate(zip(lines, kinds, strict=True))
    )


def market_figure(symbol: str, curve: Curve, capital: float, note: str) -> str:
    """Return one market's equity against holding it, small; the vertical axis is logarithmic where much happened."""
    time, (equity, market) = thin(curve.time, [curve.equity, curve.market], 100)
    low, high = float(min(equity.min(), market.min())), float(max(equity.max(), market.max()))
    start, end = float(curve.time[0]), float(curve.time[-1])
    frame = Frame(2, 238, 6, 92, start, end, low, high if high > low else low + 1, log=low > 0 and high / low > 4)
    x = frame.xs(time.astype(np.float64))
    base = frame.y(min(max(capital, low), frame.y_high))
    label = f"{symbol}: equity {growth(float(equity[-1]) / capital)}, holding {growth(float(market[-1]) / capital)}"
    drawing = tag(
        "svg",
        tag("line", class_="zero", x1=2, x2=238, y1=base, y2=base),
        tag("path", class_="market thin", d=path(x, frame.ys(market))),
        tag("path", class_="champion", d=path(x, frame.ys(equity))),
        class_="small", role="img", aria_label=label, viewBox="0 0 240 98",
    )  # fmt: skip
    return f'<figure class="market"><figcaption><b>{escape(symbol)}</b> {escape(note)}</figcaption>{drawing}</figure>'
