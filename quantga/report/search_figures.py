"""Pictures of a search: convergence of each island, the Pareto front, and what luck alone would have reached."""

from __future__ import annotations

import math

import numpy as np

from quantga.report.figures import HALF, HALF_NARROW, NBSP, Frame, Size, canvas, figure, grid, percent
from quantga.report.record import FrontPoint, Progress, RunReport
from quantga.report.series import luck_line
from quantga.report.svg import path, steps, tag, words


def count(value: int) -> str:
    """Return a whole number, thousands apart."""
    return f"{value:,}".replace(",", NBSP)


def plain(value: float, places: int = 2) -> str:
    """Return a number with a true minus sign, or a dash where there is none."""
    return f"{value:.{places}f}".replace("-", "−") if math.isfinite(value) else "–"


def convergence_figure(progress: tuple[Progress, ...], caption: str) -> str:
    """Return best and median score of each island by generation."""
    islands = sorted({point.island for point in progress})
    generations = sorted({point.generation for point in progress})
    best = _matrix(progress, islands, generations, "best")
    median = _matrix(progress, islands, generations, "median")
    label = f"Score by generation on {len(islands)} islands; the best of all ends at {plain(_top(best)[-1])}"
    drawings = [_convergence(size, generations, best, median, label) for size in (HALF, HALF_NARROW)]
    reach = max(generations[-1] - generations[0], 1)
    trials = [max(p.trials for p in progress if p.generation == g) for g in generations]
    texts = []
    for column, generation in enumerate(generations):
        rows = [
            f"island {island}: {plain(best[row, column])} / {plain(median[row, column])}"
            for row, island in enumerate(islands[:8])
        ]
        more = [f"… and {len(islands) - 8} more islands"] if len(islands) > 8 else []
        head = f"generation {generation} · {count(trials[column])} trials\nbest / median"
        texts.append("\n".join([head, *rows, *more]))
    return figure(drawings, caption, {"x": [round((g - generations[0]) / reach, 4) for g in generations], "t": texts})


def _matrix(progress: tuple[Progress, ...], islands: list[int], generations: list[int], name: str) -> np.ndarray:
    found = np.full((len(islands), len(generations)), np.nan)
    for point in progress:
        value = getattr(point, name)
        if math.isfinite(value):
            found[islands.index(point.island), generations.index(point.generation)] = value
    return found


def _top(best: np.ndarray) -> np.ndarray:
    return np.array([np.nanmax(column) if np.isfinite(column).any() else np.nan for column in best.T])


def _convergence(size: Size, generations: list[int], best: np.ndarray, median: np.ndarray, label: str) -> str:
    known = np.concatenate([best[np.isfinite(best)], median[np.isfinite(median)]])
    high = float(known.max()) if len(known) else 1.0
    low = float(np.quantile(known, 0.05)) if len(known) else 0.0
    pad = (high - low) * 0.1 or 0.5
    right = size.width - 8
    frame = Frame(
        46, right, 14, size.height - 42, generations[0], max(generations[-1], generations[0] + 1), low - pad, high + pad
    )
    x = frame.xs(np.array(generations, dtype=np.float64))
    inside = np.where(median < frame.y_low, np.nan, median)
    top = _top(best)
    marks = [int(g) for g in steps(frame.x_low, frame.x_high, 6) if g == int(g)]
    parts = [
        grid(frame, steps(frame.y_low, frame.y_high, 5), lambda v: f"{v:g}".replace("-", "−")),
        *(tag("path", class_="median", d=path(x, frame.ys(row))) for row in inside),
        *(tag("path", class_="island", d=path(x, frame.ys(row))) for row in np.where(best < frame.y_low, np.nan, best)),
        tag("path", class_="champion", d=path(x, frame.ys(np.where(top < frame.y_low, np.nan, top)))),
        *(words(frame.x(g), frame.bottom + 17, str(g), "tick", "middle") for g in marks),
        words((frame.left + frame.right) / 2, size.height - 6, "generation", "note", "middle"),
        _line_name(frame, top, "best of all islands", "champion-name", -9),
        _line_name(frame, _floor(inside), "median of each island", "market-name", 18),
    ]
    return canvas(size, frame, label, *parts)


def _floor(rows: np.ndarray) -> np.ndarray:
    """Return the lowest value of the last third of the generations."""
    late = rows[:, -max(rows.shape[1] // 3, 1) :]
    return np.array([np.nanmin(late) if np.isfinite(late).any() else np.nan])


def _line_name(frame: Frame, values: np.ndarray, text: str, kind: str, shift: float) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    y = min(max(frame.y(float(known[-1])) + shift, frame.top + 10), frame.bottom - 6)
    return words(frame.right - 4, y, text, f"name {kind}", "end")


def front_figure(front: tuple[FrontPoint, ...], champions: tuple[str, ...], caption: str) -> str:
    """Return score against drawdown; a longer rule has a larger circle, champions are numbered and lead to their part."""
    label = f"{len(front)} programs that no other beats in score, drawdown and size together"
    drawings = [_front(size, front, champions, label) for size in (HALF, HALF_NARROW)]
    return figure(drawings, caption)


def _front(size: Size, front: tuple[FrontPoint, ...], champions: tuple[str, ...], label: str) -> str:
    depths, scores = [abs(p.drawdown) for p in front], [p.score for p in front]
    wide, tall = (max(depths) - min(depths)) * 0.12 or 0.02, (max(scores) - min(scores)) * 0.14 or 0.2
    frame = Frame(
        46, size.width - 10, 14, size.height - 42, max(0.0, min(depths) - wide), max(depths) + wide,
        min(scores) - tall, max(scores) + tall,
    )  # fmt: skip
    marks = steps(frame.x_low, frame.x_high, 5)
    longest = max(p.size for p in front)
    points = [
        _point(frame, point, longest, champions.index(point.program) + 1 if point.program in champions else 0)
        for point in sorted(front, key=lambda p: (-p.size, p.program))
    ]
    parts = [
        grid(frame, steps(frame.y_low, frame.y_high, 5), lambda v: f"{v:g}".replace("-", "−")),
        *(
            words(frame.x(m), frame.bottom + 17, percent(m, 1 if marks[-1] < 0.1 else 0, sign=False), "tick", "middle")
            for m in marks
        ),
        words((frame.left + frame.right) / 2, size.height - 6, "drawdown", "note", "middle"),
        words(frame.left + 4, frame.top + 6, "score ↑", "note"),
        *points,
    ]
    return canvas(size, frame, label, *parts)


def _point(frame: Frame, point: FrontPoint, longest: int, rank: int) -> str:
    x, y = frame.x(abs(point.drawdown)), frame.y(point.score)
    about = (
        f"{f'Champion {rank}: ' if rank else ''}score {plain(point.score)}, drawdown "
        f"{percent(abs(point.drawdown), sign=False)}, {point.size} words\n{point.text}"
    )
    radius = 4 + 7 * math.sqrt(point.size / longest)
    circle = tag("circle", class_="dot best" if rank else "dot", cx=x, cy=y, r=radius)
    number = words(x, y + 4, str(rank), "dot-name", "middle") if rank else ""
    inner = f"{circle}{number}"
    if rank:
        return tag("a", inner, href=f"#champion-{rank}", data_tip=about, aria_label=about.split("\n", maxsplit=1)[0])
    return tag("g", inner, tabindex="0", role="img", data_tip=about, aria_label=about)


def luck_figure(report: RunReport, sharpe: float, days: float, caption: str) -> str:
    """Return the Sharpe ratio that luck alone reaches by number of trials, with this run in it."""
    luck = luck_line(report.trials, days)
    label = f"With {count(report.trials)} trials luck alone reaches an alpha Sharpe ratio of {plain(luck)}; the champion has {plain(sharpe)}"
    return figure([_luck(size, report.trials, sharpe, days, label) for size in (HALF, HALF_NARROW)], caption)


def _luck(size: Size, trials: int, sharpe: float, days: float, label: str) -> str:
    most = max(6.0, math.ceil(math.log10(max(trials, 10))) + 1)
    exponents = np.array([0.0, *np.linspace(math.log10(2), most, 100)])
    line = np.array([luck_line(10**e, days) for e in exponents])
    known = [*line, *([sharpe] if math.isfinite(sharpe) else [])]
    frame = Frame(
        46,
        size.width - 12,
        14,
        size.height - 42,
        0,
        most,
        min(0.0, sharpe if math.isfinite(sharpe) else 0) * 1.2,
        max(known) * 1.14,
    )
    x, here = frame.xs(exponents), frame.x(math.log10(max(trials, 1)))
    luck = luck_line(trials, days)
    parts = [
        grid(frame, steps(frame.y_low, frame.y_high, 5), lambda v: f"{v:g}".replace("-", "−")),
        tag(
            "path",
            class_="luck-area",
            d=f"{path(x, frame.ys(line))}L{frame.right} {frame.bottom}L{frame.left} {frame.bottom}Z",
        ),
        tag("path", class_="luck", d=path(x, frame.ys(line))),
        *(words(frame.x(e), frame.bottom + 17, _power(e), "tick", "middle") for e in range(int(most) + 1)),
        words((frame.left + frame.right) / 2, size.height - 6, "trials", "note", "middle"),
        words(frame.right - 4, frame.bottom - 10, "luck alone", "name market-name", "end"),
        tag("line", class_="zero", x1=here, x2=here, y1=frame.bottom, y2=frame.y(luck)),
        tag("circle", class_="luck-dot", cx=here, cy=frame.y(luck), r=4.5),
        _note(frame, here, luck, f"luck {plain(luck)}", sharpe, above=True),
    ]
    if math.isfinite(sharpe):
        parts.append(tag("circle", class_="dot best", cx=here, cy=frame.y(sharpe), r=6))
        parts.append(_note(frame, here, sharpe, f"champion {plain(sharpe)}", luck, above=sharpe > luck))
    return canvas(size, frame, label, *parts)


def _power(exponent: int) -> str:
    """Return a power of ten, short: 100, 1k, 10M."""
    return f"{10 ** (exponent % 3)}{('', 'k', 'M', 'G', 'T', 'P')[exponent // 3]}"


def _note(frame: Frame, x: float, value: float, text: str, other: float, *, above: bool) -> str:
    """Return a point's name: left of the rising line where it lies on or above it, right of it below."""
    y = frame.y(value) + 4
    if math.isfinite(other) and abs(frame.y(value) - frame.y(other)) < 16:
        y += 9 if value < other else -9
    kind = "name champion-name" if text.startswith("champion") else "name market-name"
    left = (above and x > frame.left + 110) or x > frame.right - 110
    return words(x - 12 if left else x + 12, y, text, kind, "end" if left else "start")
