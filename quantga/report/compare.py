"""Two runs of the same search side by side: one on a market with an edge, one on its twin without any."""

from __future__ import annotations

from html import escape

from quantga.report.champion import days_of, in_sample, skill_of
from quantga.report.figures import equity_figure, growth, percent
from quantga.report.record import RunReport
from quantga.report.search_figures import convergence_figure, count, plain
from quantga.report.series import drawdown, luck_line, pooled
from quantga.report.words import sentences


def comparison(left: RunReport, right: RunReport) -> str:
    """Return the section that sets the two best programs, and what luck reaches, beside each other."""
    cards = "".join(_card(report) for report in (left, right))
    return (
        '<section id="comparison"><h2>Side by side</h2><p class="intro">The same search, settings and number of programs on two '
        f"markets. {escape(left.title)} is the first, {escape(right.title)} the second.</p>"
        f'<div class="pair twins">{cards}</div>{_table(left, right)}<p class="lesson">{_lesson(left, right)}</p>'
        f'<p class="small-print">The rest of the page shows {escape(left.title)} in full.</p></section>'
    )


def _card(report: RunReport) -> str:
    head = f"<h3>{escape(report.title)}</h3>" + (f"<p>{escape(report.note)}</p>")
    if not report.champions:
        return f"<div>{head}<p>No program traded.</p></div>"
    best = report.champions[0]
    curve = pooled(best, report.capital)
    caption = in_sample(report)
    words = f'<p class="rule-line">{escape(sentences(best.program))}</p>'
    equity = equity_figure(curve, report.capital, report.span, caption, half=True)
    search = convergence_figure(report.progress, f"Score by generation. {caption}") if report.progress else ""
    return f"<div>{head}{equity}{words}{search}</div>"


def _table(left: RunReport, right: RunReport) -> str:
    names = (
        "Alpha Sharpe ratio of the best",
        "What luck reaches",
        "Above luck",
        "Return",
        "Deepest drawdown",
        "Programs tried",
    )
    columns = [_column(report) for report in (left, right)]
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{column[row]}</td>" for column in columns)}</tr>'
        for row, name in enumerate(names)
    )
    head = "".join(f'<th scope="col">{escape(report.title)}</th>' for report in (left, right))
    return f'<table class="versus"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'


def _column(report: RunReport) -> tuple[str, ...]:
    if not report.champions:
        return ("—",) * 5 + (count(report.trials),)
    best = report.champions[0]
    sharpe, luck = skill_of(best), luck_line(report.trials, days_of(best))
    equity = pooled(best, report.capital).equity
    return (
        plain(sharpe), plain(luck), plain(sharpe - luck), growth(float(equity[-1]) / report.capital),
        percent(float(drawdown(equity, report.capital).min()), sign=False), count(report.trials),
    )  # fmt: skip


def _lesson(left: RunReport, right: RunReport) -> str:
    if not (left.champions and right.champions):
        return "On one of the two no program traded, so they cannot be compared."
    gaps = [skill_of(r.champions[0]) - luck_line(r.trials, days_of(r.champions[0])) for r in (left, right)]
    rising = skill_of(right.champions[0]) > 0
    seen = (
        "The search found a program that looks profitable on the second market too: a good curve alone means nothing. "
        if rising
        else ""
    )
    apart = gaps[0] > 0 >= gaps[1]
    told = (
        "Set against luck the two come apart: only the first stands above it."
        if apart
        else "Set against luck the two do not come apart on bars that were searched: only unseen bars can tell."
    )
    return seen + told
