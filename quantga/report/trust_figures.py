"""Pictures of a validation: luck's histogram, the years searched and locked, what was tried, power, costs, slices, the ledger.

Each shows the run beside what luck or other terms would have given; none of them has a figure that validation.json has not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quantga.report.figures import (
    HALF,
    HALF_NARROW,
    NARROW,
    WIDE,
    Frame,
    Size,
    canvas,
    figure,
    grid,
    percent,
    time_axis,
)
from quantga.report.record import Floats, LedgerLine, Trust
from quantga.report.search_figures import count, plain
from quantga.report.svg import DAY, date, path, steps, tag, words

type Record = Mapping[str, Any]

_BINS = 24
_VOLATILITY = 0.2


def number(value: float) -> str:
    """Return a tick's number with a true minus sign."""
    return f"{value:g}".replace("-", "−")


def luck_histogram(search: Record, caption: str) -> str:
    """Return how the champions of surrogate searches scored, with the run's own champion among them."""
    maxima = [one for one in search["maxima"] if one is not None]
    score = float(search["score"])
    label = (
        f"{count(len(maxima))} champions of searches on markets without an edge; {search['exceedances']} score {plain(score)} "
        "or more, as the run's champion does"
    )
    return figure([_histogram(size, maxima, score, label) for size in (HALF, HALF_NARROW)], caption)


def _histogram(size: Size, maxima: Sequence[float], score: float, label: str) -> str:
    low, high = min([*maxima, score]), max([*maxima, score])
    pad = (high - low) * 0.06 or 0.5
    bins = np.linspace(low - pad, high + pad, _BINS + 1)
    counts, _ = np.histogram(maxima, bins)
    frame = Frame(
        40, size.width - 12, 34, size.height - 42, float(bins[0]), float(bins[-1]), 0, max(float(counts.max()), 1) * 1.1
    )
    bars = [
        tag(
            "rect", class_="null-bar", x=frame.x(float(a)) + 0.5, width=max(frame.x(float(b)) - frame.x(float(a)) - 1, 0.5),
            y=frame.y(float(n)), height=frame.bottom - frame.y(float(n)),
        )
        for a, b, n in zip(bins[:-1], bins[1:], counts, strict=True) if n
    ]  # fmt: skip
    x = frame.x(score)
    side = x > (frame.left + frame.right) / 2
    parts = [
        grid(frame, [t for t in steps(0, frame.y_high, 4) if t == int(t)], number),
        *bars,
        tag("line", class_="champion", x1=x, x2=x, y1=frame.bottom, y2=24),
        words(
            x - 6 if side else x + 6, 22, f"this run {plain(score)}", "name champion-name", "end" if side else "start"
        ),
        *(
            words(frame.x(t), frame.bottom + 17, number(t), "tick", "middle")
            for t in steps(frame.x_low, frame.x_high, 6)
        ),
        words((frame.left + frame.right) / 2, size.height - 6, "score of the champion", "note", "middle"),
    ]
    return canvas(size, frame, label, *parts)


def years_figure(trust: Trust, caption: str) -> str:
    """Return what the best of the shortlist earned beyond the market, before and in the holdout, with luck's fan behind."""
    program = trust.record["shortlist"][0]["program"]
    days, alpha = trust.days[program]
    searched = days * DAY < trust.record["split"]["searched"][1]
    total = _scaled(np.cumsum(alpha), np.cumsum(alpha[searched]), 1.0)
    label = f"Detrended returns of {program}, summed up: {percent(float(total[-1]))} at the end"
    return figure([_years(size, trust.record, days, total, label) for size in (WIDE, NARROW)], caption)


def _years(size: Size, record: Record, days: Floats, total: Floats, label: str) -> str:
    part = record["split"]
    (start, end), (opens, closes) = part["searched"], part["holdout"]
    apart = (end - start) / DAY / max(len(record["search"]["curves"][0]) - 1, 1) if record["search"]["curves"] else 1.0
    fan = [_scaled(np.array(one), np.array(one), apart) for one in record["search"]["curves"]]
    known = np.concatenate([total, [0.0], *fan])
    low, high = float(known.min()), float(known.max())
    pad = (high - low) * 0.05 or 0.01
    frame = Frame(52, size.width - 12, 30, size.height - 26, start, closes, low - pad, high + pad)
    null_at = [np.linspace(start, end, len(one)) for one in fan]
    opened = record["holdout_opened"]
    parts = [
        _band(frame, end, opens, "embargo-band", "embargo" if size is WIDE else ""),
        _band(
            frame, opens, closes, "holdout-band" if opened else "locked", "holdout" + ("" if opened else ", unopened")
        ),
        words(frame.left + 4, 22, "searched", "note"),
        grid(frame, steps(frame.y_low, frame.y_high, 6), lambda v: percent(v, 0)),
        *(
            tag("path", class_="null-curve", d=path(frame.xs(x), frame.ys(y)))
            for x, y in zip(null_at, fan, strict=True)
        ),
        tag("line", class_="zero", x1=frame.left, x2=frame.right, y1=frame.y(0), y2=frame.y(0)),
        *_line(frame, days, total, size),
        time_axis(frame, 4 if size is NARROW else 9),
    ]
    return canvas(size, frame, label, *parts)


def _scaled(total: Floats, measured: Floats, apart: float) -> Floats:
    """Return a sum of returns scaled so that `measured`, whose points are `apart` days apart, varies by 20 % a year."""
    spread = float(np.std(np.diff(measured))) / math.sqrt(apart) * math.sqrt(365)
    return total * (_VOLATILITY / spread) if spread > 0 else total


def _line(frame: Frame, days: Floats, total: Floats, size: Size) -> list[str]:
    every = max(1, len(days) // (220 if size is NARROW else 560))
    x, y = frame.xs(days[::every] * float(DAY)), frame.ys(total[::every])
    return [
        tag("path", class_="champion", d=path(x, y)),
        words(
            min(float(x[-1]), frame.right) - 6, float(y[-1]) - 8, "best of the shortlist", "name champion-name", "end"
        ),
    ]


def _band(frame: Frame, start: float, end: float, kind: str, name: str) -> str:
    x, width = frame.x(start), frame.x(end) - frame.x(start)
    box = tag("rect", class_=kind, x=x, y=frame.top, width=max(width, 0), height=frame.bottom - frame.top)
    return box + (words(x + width / 2, 22, name, "note", "middle") if name else "")


def trials_figure(record: Record, caption: str) -> str:
    """Return in-sample against out-of-sample Sharpe ratios of a sample of all trials, with the diagonal."""
    pairs = [
        (a, b) for a, b in zip(record["sample"]["searched"], record["sample"]["holdout"], strict=True)
        if a is not None and b is not None
    ]  # fmt: skip
    chosen = [
        (one["sharpe_searched"], one["holdout"]["sharpe"]) for one in record["shortlist"]
        if one["holdout"] and one["holdout"]["sharpe"] is not None and one["sharpe_searched"] is not None
    ]  # fmt: skip
    label = f"{len(pairs)} programs: Sharpe ratio where they were searched against the holdout's"
    return figure([_trials(size, pairs, chosen, label) for size in (HALF, HALF_NARROW)], caption)


def _trials(size: Size, pairs: Sequence[tuple[float, float]], chosen: Sequence[tuple[float, float]], label: str) -> str:
    every = [*pairs, *chosen]
    low_x, high_x = min(0.0, *(a for a, _ in every)), max(1.0, *(a for a, _ in every))
    low_y, high_y = min(0.0, *(b for _, b in every)), max(1.0, *(b for _, b in every))
    frame = Frame(46, size.width - 12, 14, size.height - 42, low_x - 0.2, high_x * 1.05, low_y - 0.2, high_y * 1.08)
    ends = max(frame.x_low, frame.y_low), min(frame.x_high, frame.y_high)
    parts = [
        grid(frame, steps(frame.y_low, frame.y_high, 6), number),
        tag("line", class_="zero", x1=frame.left, x2=frame.right, y1=frame.y(0), y2=frame.y(0)),
        tag(
            "line",
            class_="diagonal",
            x1=frame.x(ends[0]),
            y1=frame.y(ends[0]),
            x2=frame.x(ends[1]),
            y2=frame.y(ends[1]),
        ),
        *(tag("circle", class_="null-dot", cx=frame.x(a), cy=frame.y(b), r=2.6) for a, b in pairs),
        *(tag("circle", class_="dot best", cx=frame.x(a), cy=frame.y(b), r=5) for a, b in chosen),
        *(
            words(frame.x(t), frame.bottom + 17, number(t), "tick", "middle")
            for t in steps(frame.x_low, frame.x_high, 6)
        ),
        words((frame.left + frame.right) / 2, size.height - 6, "Sharpe ratio where it was searched", "note", "middle"),
        words(frame.left + 4, frame.top + 8, "in the holdout ↑", "note"),
    ]
    return canvas(size, frame, label, *parts)


def funnel_figure(funnel: Sequence[Record], caption: str) -> str:
    """Return how many were left at each step, from every program appraised to those promoted."""
    label = ", ".join(f"{row['step']} {count(row['count'])}" for row in funnel)
    return figure([_funnel(size, funnel, label) for size in (HALF, HALF_NARROW)], caption)


def _funnel(size: Size, funnel: Sequence[Record], label: str) -> str:
    most = math.log10(max(row["count"] for row in funnel) + 1) or 1.0
    frame = Frame(150, size.width - 60, 10, size.height - 20, 0, most, 0, len(funnel))
    step = (frame.bottom - frame.top) / len(funnel)
    parts = []
    for place, row in enumerate(funnel):
        top = frame.top + place * step
        width = max(frame.x(math.log10(row["count"] + 1)) - frame.left, 0.0)
        parts += [
            tag("rect", class_="funnel-bar", x=frame.left, y=top + step * 0.18, width=width, height=step * 0.64),
            words(frame.left - 8, top + step / 2 + 4, row["step"], "tick", "end"),
            words(frame.left + width + 7, top + step / 2 + 4, count(row["count"]), "name"),
        ]
    return canvas(size, frame, label, *parts)


def power_figure(power: Record, caption: str) -> str:
    """Return how often a true edge would be promoted, by length of history, for Sharpe ratios of 1, 2 and 3."""
    own = sum(power["years"])
    label = "; ".join(power["words"])
    return figure([_power(size, power["lengths"], own, label) for size in (HALF, HALF_NARROW)], caption)


def _power(size: Size, lengths: Sequence[Record], own: float, label: str) -> str:
    years = np.array([row["years"] for row in lengths], dtype=np.float64)
    frame = Frame(46, size.width - 62, 14, size.height - 42, 0, float(years[-1]), 0, 1)
    parts = [
        grid(frame, [0, 0.25, 0.5, 0.75, 1], lambda v: percent(v, 0, sign=False)),
        tag("line", class_="zero", x1=frame.x(own), x2=frame.x(own), y1=frame.bottom, y2=frame.top),
        words(frame.x(own) + 4, frame.bottom - 6, "this history", "note"),
    ]
    for place, sharpe in enumerate((1, 2, 3)):
        share = np.array([row["power"][place] for row in lengths])
        parts.append(tag("path", class_=f"power p{place}", d=path(frame.xs(years), frame.ys(share))))
        parts.append(
            words(
                frame.right + 5,
                frame.y(float(share[-1])) + 4 + 13 * (1 - place) * (share[-1] > 0.9),
                f"Sharpe {sharpe}",
                "tick",
            )
        )
    parts += [words(frame.x(t), frame.bottom + 17, number(t), "tick", "middle") for t in steps(0, float(years[-1]), 5)]
    parts.append(
        words(
            (frame.left + frame.right) / 2, size.height - 6, "years of history, searched and locked", "note", "middle"
        )
    )
    return canvas(size, frame, label, *parts)


def curve_figure(shortlist: Sequence[Record], key: str, axis: str, caption: str) -> str:
    """Return the shortlist's Sharpe ratios along `key` ("costs" or "delay"): the best in front."""
    label = f"Sharpe ratio of {len(shortlist)} programs by {axis}"
    return figure(
        [_curves(size, [one["tradability"][key] for one in shortlist], axis, label) for size in (HALF, HALF_NARROW)],
        caption,
    )


def _curves(size: Size, curves: Sequence[Record], axis: str, label: str) -> str:
    values = [[math.nan if v is None else float(v) for v in one["sharpe"]] for one in curves]
    known = [v for row in values for v in row if math.isfinite(v)] or [0.0]
    low, high = min(0.0, *known), max(0.5, *known)
    at = np.array(curves[0]["at"], dtype=np.float64)
    frame = Frame(46, size.width - 12, 14, size.height - 42, float(at[0]), float(at[-1]), low - 0.1, high * 1.08)
    lines = [
        tag("path", class_="champion" if place == 0 else "island", d=path(frame.xs(at), frame.ys(np.array(row))))
        for place, row in reversed(list(enumerate(values)))
    ]
    parts = [
        grid(frame, steps(frame.y_low, frame.y_high, 5), number),
        tag("line", class_="zero", x1=frame.left, x2=frame.right, y1=frame.y(0), y2=frame.y(0)),
        *lines,
        *(
            words(frame.x(t), frame.bottom + 17, number(t), "tick", "middle")
            for t in steps(float(at[0]), float(at[-1]), 6)
        ),
        words((frame.left + frame.right) / 2, size.height - 6, axis, "note", "middle"),
    ]
    return canvas(size, frame, label, *parts)


def slices_figure(shortlist: Sequence[Record], caption: str) -> str:
    """Return the Sharpe ratio of each slice of time, by program: those searched, then those of the holdout."""
    rows = [[*one["slices"], *((one["holdout"] or {}).get("slices") or [])] for one in shortlist]
    label = f"Sharpe ratio of {len(rows)} programs in {len(rows[0])} slices of time"
    searched = len(shortlist[0]["slices"])
    names = [one["program"][:6] for one in shortlist]
    return figure([_slices(size, rows, names, searched, label) for size in (HALF, HALF_NARROW)], caption)


def _slices(size: Size, rows: Sequence[Sequence[float | None]], names: Sequence[str], searched: int, label: str) -> str:
    columns, gap = len(rows[0]), 10 if len(rows[0]) > searched else 0
    left, top = 62.0, 26.0
    width, height = (size.width - left - 12 - gap) / columns, min(42.0, (size.height - top - 20) / len(rows))
    parts = [words(left, 16, "searched", "note")]
    if gap:
        parts.append(words(left + searched * width + gap, 16, "holdout", "note"))
    for r, row in enumerate(rows):
        y = top + r * height
        parts.append(words(left - 8, y + height / 2 + 4, names[r], "tick", "end"))
        for c, value in enumerate(row):
            x = left + c * width + (gap if c >= searched else 0)
            parts.append(_cell(x, y, width - 2, height - 2, value))
    tall = Size(size.name, size.width, top + len(rows) * height + 8)
    return canvas(tall, Frame(left, size.width - 12, top, tall.height - 8, 0, 1, 0, 1), label, *parts)


def _cell(x: float, y: float, width: float, height: float, value: float | None) -> str:
    if value is None:
        return tag("rect", class_="cell none", x=x, y=y, width=width, height=height)
    depth = min(abs(value) / 4, 1.0)
    kind = "cell gain-cell" if value >= 0 else "cell loss-cell"
    box = tag("rect", class_=kind, x=x, y=y, width=width, height=height, fill_opacity=f"{0.08 + 0.72 * depth:.2f}")
    shown = words(x + width / 2, y + height / 2 + 4, plain(value, 1), "cell-text", "middle") if width > 24 else ""
    return box + shown


def ledger_figure(lines: Sequence[LedgerLine], run: str, caption: str) -> str:
    """Return which bars were searched and which were looked at, in the order in which it happened."""
    label = (
        f"{len(lines)} searches and looks; the last is {lines[-1].kind} of run {lines[-1].run}" if lines else "no rows"
    )
    return figure([_ledger(size, lines, run, label) for size in (WIDE, NARROW)], caption)


def _ledger(size: Size, lines: Sequence[LedgerLine], run: str, label: str) -> str:
    row = 24.0
    low, high = float(min(one.start for one in lines)), float(max(one.end for one in lines))
    name = 232.0 if size is WIDE else 118.0
    frame = Frame(name, size.width - 12, 10, 10 + row * len(lines), low, high, 0, 1)
    parts = []
    for place, one in enumerate(lines):
        y = frame.top + place * row
        kind = f"span {one.kind}" + (" own" if one.run == run else "")
        x = frame.x(one.start)
        about = f"row {one.row}, {one.when}: {one.kind} of {one.run}, {one.words}; {one.asset} {date(one.start)} to {date(one.end)}"
        parts.append(words(name - 10, y + 16, one.words if size is WIDE else one.kind, "tick", "end"))
        bar = tag("rect", class_=kind, x=x, y=y + 4, width=max(frame.x(one.end) - x, 2), height=row - 8)
        parts.append(tag("g", bar, tabindex="0", role="img", data_tip=about, aria_label=about))
    parts.append(time_axis(frame, 4 if size is NARROW else 9))
    return canvas(Size(size.name, size.width, frame.bottom + 26), frame, label, *parts)
