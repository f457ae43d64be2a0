"""The page: one HTML file that opens offline, with its style, its pictures and a little script inside.

Whatever is shown of the search part carries the number of trials behind it, and luck's own figure beside it.
"""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files

from quantga.report.champion import days_of, in_sample, panel, skill_of
from quantga.report.compare import comparison
from quantga.report.record import RunReport
from quantga.report.search_figures import convergence_figure, count, front_figure, luck_figure, plain
from quantga.report.series import luck_line
from quantga.report.svg import date
from quantga.report.tables import pairs
from quantga.report.trust import trust_lead, trust_section

_HATCH = (
    '<svg width="0" height="0" class="defs" aria-hidden="true"><defs><pattern id="hatch" width="7" height="7" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-back" width="7" height="7"/>'
    '<line class="hatch-line" x1="0" y1="0" x2="0" y2="7"/></pattern></defs></svg>'
)


def render(report: RunReport, twin: RunReport | None = None, reference: str = "the reference asset") -> str:
    """Return the page of a run as HTML; with `twin`, another run of the same search stands beside it.

    reference: what the rule in words calls the reference asset.
    """
    sections = [
        _head(report, beside=twin is not None),
        _verdict(report),
        comparison(report, twin) if twin else "",
        trust_section(report.trust, report.trials) if report.champions else "",
        _champions(report, reference),
        _search(report),
        _limits(report),
        _settings(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>quantga · {escape(report.title)}</title><style>{_asset('page.css')}</style></head><body>{_HATCH}"
        f'<main>{"".join(sections)}</main><div id="tip" role="status" aria-live="polite" hidden></div>'
        f"<script>{_asset('page.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (files("quantga.report") / name).read_text(encoding="utf-8")


def _head(report: RunReport, *, beside: bool) -> str:
    span = report.span
    facts = (
        ("Markets", ", ".join(report.symbols)),
        ("Bars", f"{report.interval}, {report.venue}" if report.venue else report.interval),
        ("Searched", f"{date(span.start)} to {date(span.end)}"),
        (
            "Locked",
            f"{date(span.locked_from)} to {date(span.locked_to)}" if span.locked_to > span.locked_from else "nothing",
        ),
        ("Trials", count(report.trials)),
    )
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    parts = [
        ("trust", "Belief"),
        ("champions", "Champions"),
        ("search", "Search"),
        ("limits", "What it proves"),
        ("settings", "Settings"),
    ]
    parts = [("comparison", "Side by side"), *parts] if beside else parts
    nav = "".join(
        f'<a href="#{name}">{label}</a>'
        for name, label in parts
        if name not in ("champions", "trust") or report.champions
    )
    return (
        f'<header><p class="brand">quantga <span>evolution report</span></p><h1>{escape(report.title)}</h1>'
        f'<dl class="facts">{rows}</dl><nav aria-label="Parts of the page">{nav}</nav></header>'
    )


def _verdict(report: RunReport) -> str:
    note = f"<p>{escape(report.note)}</p>" if report.note else ""
    if not report.champions:
        text = "No program of this run traded without failing, so there is nothing to show but the search."
        return f'<section class="verdict" id="verdict" aria-label="In short"><p class="lead">{text}</p>{note}</section>'
    best = report.champions[0]
    sharpe, luck = skill_of(best), luck_line(report.trials, days_of(best))
    if report.trust:
        return f'<section class="verdict" id="verdict" aria-label="In short">{trust_lead(report.trust)}{note}</section>'
    return (
        f'<section class="verdict" id="verdict" aria-label="In short"><p class="lead">The best of {count(report.trials)} programs '
        f"tried has an alpha Sharpe ratio of <b>{plain(sharpe)}</b> on the bars it was bred on. "
        f"Luck alone would be expected to reach <b>{plain(luck)}</b>.</p>"
        f"<p>{_judgement(sharpe, luck)} {_locked_words(report)}</p>{note}</section>"
    )


def _judgement(sharpe: float, luck: float) -> str:
    if not math.isfinite(sharpe):
        return "Its alpha Sharpe ratio is undefined, so nothing can be said for it."
    if sharpe <= luck:
        return "That is no more than luck gives: this run is no evidence of an edge."
    return (
        f"That is {plain(sharpe - luck)} above luck: worth a test on bars that the search has not read, and no proof."
    )


def _locked_words(report: RunReport) -> str:
    if report.unlocked:
        return "The run read all of history (<code>--unlocked</code>): no unseen bars are left to test it, and it cannot be promoted."
    if report.span.locked_to > report.span.locked_from:
        return "The locked holdout has not been read: it will answer once, to a validation."
    return "No bars were locked, so there are none left to test it on."


def _champions(report: RunReport, reference: str) -> str:
    if not report.champions:
        return ""
    ranks = range(1, len(report.champions) + 1)
    tabs = "".join(
        f'<a role="tab" id="tab-{rank}" href="#champion-{rank}" aria-controls="champion-{rank}" '
        f'aria-selected="{"true" if rank == 1 else "false"}"><b>{rank}</b> {_tab(report, rank)}</a>'
        for rank in ranks
    )
    panels = "".join(panel(report, rank, reference) for rank in ranks)
    return (
        '<section id="champions"><h2>Champions</h2>'
        f'<p class="intro">The {len(ranks)} best programs of the final front, by score. {in_sample(report)}</p>'
        f'<div role="tablist" aria-label="Champions">{tabs}</div>{panels}</section>'
    )


def _tab(report: RunReport, rank: int) -> str:
    champion = report.champions[rank - 1]
    return f"<span>score {plain(champion.score)}<small>{champion.program.size} words</small></span>"


def _search(report: RunReport) -> str:
    note = in_sample(report)
    names = tuple(champion.program.id for champion in report.champions)
    blocks = []
    if report.progress:
        text = "The score is the mean less half the standard deviation of the alpha Sharpe ratio over slices of time."
        blocks.append("<div><h3>Convergence</h3>" + convergence_figure(report.progress, f"{text} {note}") + "</div>")
    if report.front:
        text = "Up is better, left is better, small circles are short rules. Champions are numbered."
        blocks.append("<div><h3>Pareto front</h3>" + front_figure(report.front, names, f"{text} {note}") + "</div>")
    if report.champions:
        best = report.champions[0]
        days = days_of(best)
        text = (
            f"The alpha Sharpe ratio that the best of N programs without any skill reaches on {count(round(days))} daily returns, "
            f"as if the programs were independent. {note}"
        )
        blocks.append("<div><h3>Luck</h3>" + luck_figure(report, skill_of(best), days, text) + "</div>")
        blocks.append(_luck_words(report, days))
    return f'<section id="search"><h2>The search</h2><div class="pair">{"".join(blocks)}</div></section>'


def _luck_words(report: RunReport, days: float) -> str:
    return (
        '<div class="aside"><p>Try enough programs on one stretch of history and the best will look good. With '
        f"{count(report.trials)} trials on {plain(days / 365, 1)} years, the best is expected to show a Sharpe ratio of "
        f"{plain(luck_line(report.trials, days))} without any skill; with ten times as many, "
        f"{plain(luck_line(10 * report.trials, days))}.</p>"
        '<p class="small-print">E[max] = √(365 / days) · [(1 − γ) z(1 − 1/N) + γ z(1 − 1/(N·e))], γ = 0.5772, z the normal '
        "quantile (Bailey and López de Prado 2014). Programs of one search resemble each other, which lowers the line; the "
        "search also breeds from its best, which raises it. It is a yardstick, not a test.</p></div>"
    )


def _limits(report: RunReport) -> str:
    trials = count(report.trials)
    does = (
        (
            "How these programs would have traded the searched bars, decided at each close and filled at the next open, "
            "with the fees, slippage and funding listed below."
        ),
        "That the same settings, data and code give the same champions again, bit for bit.",
        "How good the best looks against what luck reaches with as many trials.",
    )
    does_not = (
        (
            f"That any of them has an edge. Every figure on this page is in-sample: {trials} programs competed on these very "
            "bars, and the winners are shown. On unseen bars expect less, often nothing."
        ),
        "How they do on the locked holdout: no figure outside of the part on belief has seen it."
        if not report.unlocked
        else "How they do on unseen bars: this run has read them all.",
        "What an order book would have filled: no market impact, no queue, one slippage for all sizes.",
        "That the future resembles this stretch of the past.",
    )
    lists = "".join(
        f"<div><h3>{title}</h3><ul>{''.join(f'<li>{text}</li>' for text in items)}</ul></div>"
        for title, items in (("It shows", does), ("It does not show", does_not))
    )
    return f'<section id="limits"><h2>What this proves, and what not</h2><div class="pair">{lists}</div></section>'


def _settings(report: RunReport) -> str:
    size = ("Search part", f"{date(report.span.start)} to {date(report.span.end)}")
    provenance = (("Run", report.run), size, *report.provenance)
    return (
        '<section id="settings"><h2>Settings and provenance</h2><div class="columns">'
        f"{pairs(provenance, 'Provenance')}{pairs(report.settings, 'Settings')}</div></section>"
    )
