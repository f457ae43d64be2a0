"""Trades on the price chart, as wide as they need, to be moved sideways; the price axis stands still."""

from __future__ import annotations

from collections import Counter
from html import escape

import numpy as np

from quantga.report.figures import NBSP, Frame, readings
from quantga.report.record import Result, Trade
from quantga.report.svg import log_steps, path, place, steps, tag, thin, time_steps, words

_HEIGHT = 320.0
_AXIS = 58.0
REASONS = {
    "signal": "rule", "reverse": "rule", "stop": "stop", "take": "take profit", "ladder": "take ladder",
    "max_hold": "longest hold", "liquidation": "liquidation", "end": "end of data", "": "still open",
}  # fmt: skip


def named(reason: str) -> str:
    """Return a reason for leaving in words."""
    return REASONS.get(reason, reason.replace("_", " "))


def price_figure(result: Result, most: int, points: int, caption: str) -> str:
    """Return the price, of about `points` points, with the latest `most` trades: entries, exits, and what each gave."""
    shown = result.trades[-most:] if most else ()
    first = 0
    if len(shown) < len(result.trades):
        first = int(np.searchsorted(result.time, shown[0].opened)) - 20 if shown else 0
    time, close = result.time[max(first, 0) :], result.close[max(first, 0) :]
    width = float(min(max(940, 15 * len(shown)), 9000))
    time, (close,) = thin(time, [close], min(int(width / 1.5), max(points, 300)))
    known = close[~np.isnan(close)]
    prices = [float(known.min()), float(known.max()), *(t.entry for t in shown), *(t.exit for t in shown if t.closed)]
    low, high = min(prices), max(prices)
    log = high / low > 3
    frame = Frame(
        0,
        width,
        16,
        _HEIGHT - 28,
        float(time[0]),
        float(time[-1]),
        low / (high / low) ** 0.06,
        high * (high / low) ** 0.06,
        log=log,
    )
    ticks = log_steps(frame.y_low, frame.y_high, 6) if log else steps(frame.y_low, frame.y_high, 6)
    label = f"Price of {result.symbol} with {len(shown)} of {len(result.trades)} trades"
    plot = tag(
        "svg",
        *(tag("line", class_="grid level", x1=0, x2=width, y1=frame.y(t), y2=frame.y(t)) for t in ticks),
        *_dates(frame),
        tag("path", class_="price", d=path(frame.xs(time.astype(np.float64)), frame.ys(close))),
        *_marks(frame, shown),
        class_="prices", role="img", aria_label=label, width=width, height=_HEIGHT,
        data_plot=f"0 {place(width)} 16 {place(_HEIGHT - 28)}", data_scale=f"{frame.y_low:.9g} {frame.y_high:.9g} {int(log)}", viewBox=f"0 0 {place(width)} {place(_HEIGHT)}",
    )  # fmt: skip
    axis = tag(
        "svg", *(words(_AXIS - 6, frame.y(t) + 4, price(t), "tick", "end") for t in ticks),
        class_="axis", aria_hidden="true", width=_AXIS, height=_HEIGHT,
    )  # fmt: skip
    return (
        '<figure class="chart hover trades" tabindex="0" aria-roledescription="chart, arrow keys read its trades">'
        f'<div class="pane">{axis}<div class="scroll">{plot}</div></div><figcaption>{caption} {reasons(result)}</figcaption>'
        f"{readings(_rows(frame, shown))}</figure>"
    )


def _rows(frame: Frame, trades: tuple[Trade, ...]) -> dict[str, object]:
    """Return the trades as short rows: side, opened (min), entry, closed (min; 0 open), exit, reason, basis points."""
    ends = list(dict.fromkeys(named(trade.reason) for trade in trades))
    rows = [
        [
            t.side, t.opened // 60_000, price(t.entry), t.closed // 60_000, price(t.exit) if t.closed else "",
            ends.index(named(t.reason)), round(t.returned * 10_000),
        ]
        for t in trades
    ]  # fmt: skip
    where = [round(frame.x(t.opened) / frame.right, 5) for t in trades]
    return {"kind": "trades", "x": where, "ends": ends, "t": rows}


def reasons(result: Result) -> str:
    """Return how the trades ended, the commonest reason first."""
    counts = Counter(named(trade.reason if trade.closed else "") for trade in result.trades)
    ends = ", ".join(f"{escape(name)} {n}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return f"Left by: {ends}." if ends else "It never traded."


def _dates(frame: Frame) -> list[str]:
    found = []
    for at, label in time_steps(int(frame.x_low), int(frame.x_high), int(frame.right / 95)):
        x = frame.x(at)
        found.append(tag("line", class_="grid", x1=x, x2=x, y1=frame.top, y2=frame.bottom))
        if x < frame.right - 20:
            found.append(words(x + 3, frame.bottom + 17, label, "tick year" if label.isdigit() else "tick"))
    return found


def _marks(frame: Frame, trades: tuple[Trade, ...]) -> list[str]:
    """Return one path per sort of mark: lines of winners and losers, entries of either side, exits."""
    lines: dict[str, list[str]] = {"won": [], "lost": []}
    marks: dict[str, list[str]] = {"in-long": [], "in-short": [], "out": [], "out forced": []}
    for trade in trades:
        x, y = frame.x(trade.opened), frame.y(trade.entry)
        shape = "m0 2l-5 9h10z" if trade.side > 0 else "m0 -2l-5 -9h10z"
        marks["in-long" if trade.side > 0 else "in-short"].append(f"M{place(x)} {place(y)}{shape}")
        if trade.closed:
            end, level = frame.x(trade.closed), frame.y(trade.exit)
            lines["won" if trade.profit > 0 else "lost"].append(f"M{place(x)} {place(y)}L{place(end)} {place(level)}")
            forced = named(trade.reason) in ("stop", "liquidation")
            marks["out forced" if forced else "out"].append(f"M{place(end)} {place(level)}m-3 -3l6 6m0 -6l-6 6")
    drawn = [tag("path", class_=f"ride {name}", d="".join(parts)) for name, parts in lines.items() if parts]
    return drawn + [tag("path", class_=f"mark {name}", d="".join(parts)) for name, parts in marks.items() if parts]


def price(value: float) -> str:
    """Return a price with the places it needs."""
    places = 0 if value >= 1000 else 2 if value >= 1 else 4 if value >= 0.01 else 7
    return f"{value:,.{places}f}".replace(",", NBSP)
