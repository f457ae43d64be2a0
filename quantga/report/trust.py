"""The page's part about belief: the verdict of a validation, what it rests on, and what it does and does not prove."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from quantga.report.figures import percent
from quantga.report.record import Trust
from quantga.report.search_figures import count, plain
from quantga.report.svg import date
from quantga.report.trust_figures import (
    curve_figure,
    funnel_figure,
    ledger_figure,
    luck_histogram,
    power_figure,
    slices_figure,
    trials_figure,
    years_figure,
)

type Record = Mapping[str, Any]

_HEADS = {
    "promoted": "Promoted",
    "not promoted": "Not promoted",
    "not provable": "Not provable with this history",
    "unopened": "Nothing found that luck would not find",
}


def trust_lead(trust: Trust) -> str:
    """Return the verdict in two sentences."""
    record = trust.record
    head = _HEADS.get(record["decision"], record["decision"])
    return f'<p class="lead"><b>{escape(head)}.</b> {escape(_upper(record["words"]))}.</p><p>{escape(_luck_words(record))}</p>'


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _luck_words(record: Record) -> str:
    search = record["search"]
    return (
        f"The same search was run on {count(search['null_searches'])} markets made of these bars in which nothing can be found; "
        f"{count(search['exceedances'])} of them ended with a champion as good (p = {search['p']:.3g})."
        + (
            f" Charged with {record['searches']} searches of these bars: {search['p_charged']:.3g}."
            if record["searches"] > 1
            else ""
        )
    )


def trust_section(trust: Trust | None, trials: int) -> str:
    """Return the section; before a validation, the sentence that says how to get one."""
    if trust is None:
        text = "This run was not validated: nothing here says whether luck explains it. <code>quantga validate last</code> asks."
        return f'<section id="trust"><h2>Can it be believed?</h2><p class="intro">{text}</p></section>'
    record = trust.record
    blocks = [
        *_evidence(record),
        _years(trust),
        _pictures(trust, trials),
        _shortlist(record),
        _diagnostics(record),
        _ledger(trust),
        _proof(record),
    ]
    return f'<section id="trust"><h2>Can it be believed?</h2>{"".join(blocks)}</section>'


def _evidence(record: Record) -> list[str]:
    part, where = record["split"], record["where"]
    rows = [
        ("Verdict", _HEADS.get(record["decision"], record["decision"])),
        ("p of the run, level needed", f"{record['p']:.3g}, {record['level']:g}"),
        ("Searched", f"{date(part['searched'][0])} to {date(part['searched'][1])}, {count(record['trials'])} programs"),
        ("Embargo", f"{part['embargo_days']:.0f} days: what the shortlist remembers and holds"),
        (
            "Holdout",
            f"{date(part['holdout'][0])} to {date(part['holdout'][1])}, {count(part['holdout_days'])} days, "
            + ("opened once" if record["holdout_opened"] else "not opened"),
        ),
        (
            "Evidence is from",
            f"{where['venue']} {where['interval']} {', '.join(where['symbols'])}" + _elsewhere(record),
        ),
        ("Tried before on these bars", record["history"]["words"]),
        (
            "Looks of this store before",
            f"{record['looks_before']['count']}; luck alone grants them {record['looks_before']['expected_false']:.2g} false promotions",
        ),
        ("Strategies", ", ".join(record["strategies"]) or "none"),
    ]
    body = "".join(f'<tr><th scope="row">{escape(a)}</th><td>{escape(str(b))}</td></tr>' for a, b in rows)
    return [f'<table class="pairs">{body}</table>']


def _elsewhere(record: Record) -> str:
    one = next((entrant["confirmed"] for entrant in record["shortlist"] if entrant["confirmed"]), None)
    if one is None:
        return ""
    return f"; confirmation from {one['venue']} {', '.join(one['symbols'])}, {date(one['start'])} to {date(one['end'])}"


def _years(trust: Trust) -> str:
    if not trust.record["shortlist"]:
        return ""
    text = (
        "Daily returns less what its mean position earned with the market, summed up and scaled to a volatility of 20 % a year. "
        "Grey: champions of the same search on markets without an edge, on their own bars. "
        + (
            "The hatched holdout was not opened."
            if not trust.record["holdout_opened"]
            else "The search never read what lies right of the first shade."
        )
    )
    return f"<h3>Before and after</h3>{years_figure(trust, text)}"


def _pictures(trust: Trust, trials: int) -> str:
    record = trust.record
    if not record["shortlist"]:
        return ""
    seen = f"In-sample, the best of {count(trials)} trials."
    blocks = []
    if record["search"]["maxima"]:
        text = f"The best score of each surrogate search, and this run's. {seen}"
        blocks.append(("Luck", luck_histogram(record["search"], text)))
    text = "From every program appraised to those promoted; logarithmic."
    blocks.append(("The funnel", funnel_figure(record["funnel"], text)))
    if any(one is not None for one in record["sample"]["holdout"]):
        text = (
            f"Each point is one of a sample of the {count(record['sample']['of'])} behaviours tried, the large ones are the shortlist. On the "
            "diagonal a program keeps what it showed; what falls below was luck. Nothing was chosen by this picture."
        )
        blocks.append(("What was tried, then and later", trials_figure(record, text)))
    if record["power"]["lengths"]:
        text = "How often a real edge would pass all this, if the search has it. " + " ".join(
            f"{_upper(line)}." for line in record["power"]["words"][:4]
        )
        blocks.append(("What this history can show", power_figure(record["power"], escape(text))))
    blocks += _terms(record, seen)
    inner = "".join(f"<div><h3>{title}</h3>{picture}</div>" for title, picture in blocks)
    return f'<div class="pair">{inner}</div>'


def _terms(record: Record, seen: str) -> list[tuple[str, str]]:
    shortlist = record["shortlist"]
    return [
        (
            "Dearer",
            curve_figure(
                shortlist, "costs", "times fees and slippage", f"Sharpe ratio of alpha under other costs. {seen}"
            ),
        ),
        (
            "Later",
            curve_figure(
                shortlist, "delay", "bars of delay", f"Sharpe ratio of alpha when every order comes late. {seen}"
            ),
        ),
        (
            "Slice by slice",
            slices_figure(
                shortlist, f"Sharpe ratio of alpha in equal parts of the time; the holdout's stand apart. {seen}"
            ),
        ),
    ]


def _shortlist(record: Record) -> str:
    if not record["shortlist"]:
        return ""
    heads = ("Program", "Score", "p search", "Sharpe, holdout", "p holdout", "p, both", "Expected Sharpe", "")
    body = "".join(_entrant(one) for one in record["shortlist"])
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        '<h3>The shortlist</h3><div class="scroll" tabindex="0" role="region" aria-label="The shortlist"><table class="trust">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="small-print">Expected: the ratio in the holdout, shrunk, with its 90 % interval. {_upper(record["tradability_base_rate"])}: '
        "labels decide nothing.</p>"
    )


def _entrant(one: Record) -> str:
    forecast, held = one["forecast"], one["holdout"]
    cells = (
        plain(one["score"]),
        f"{one['p_mine']:.3g}",
        plain(held["sharpe"]) if held and held["sharpe"] is not None else "–",
        "–" if one["p_hold"] is None else f"{one['p_hold']:.3g}",
        "–" if one["p"] is None else f"{one['p']:.3g}",
        f"{plain(forecast['sharpe'])} ({plain(forecast['low'])} to {plain(forecast['high'])})"
        if forecast and one["promoted"]
        else "–",
        "promoted" if one["promoted"] else "not promoted",
    )
    notes = [*one["reasons"], *one["tradability"]["labels"]]
    if one["tradability"]["capacity"] is not None and not any("too large" in note for note in notes):
        notes.append(f"capacity about {one['tradability']['capacity']:,.0f} USDC")
    small = f"<small>{escape(one['text'])}</small>" + "".join(f"<small>{escape(note)}</small>" for note in notes)
    return (
        f'<tr><th scope="row"><code>{one["program"][:8]}</code>{small}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _diagnostics(record: Record) -> str:
    if not record["diagnostics"]:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(one["label"])}<small>{escape(one["version"])}; {escape(one["base_rate"] or "no threshold")}</small></th>'
        f"<td>{plain(one['value']) if one['value'] is not None else '–'}</td><td>{escape(one['passes'])}</td></tr>"
        for one in record["diagnostics"]
    )
    return (
        '<details><summary>Diagnostics that decide nothing, with how often pure noise passes them</summary><table class="metrics">'
        f'{rows}</table><p class="small-print">{escape(_upper(record["base_rates_from"]))}.</p></details>'
    )


def _ledger(trust: Trust) -> str:
    if not trust.ledger:
        return ""
    text = (
        "Every search and every look at these assets' history that this store knows, in the order in which they happened: what they read "
        "(filled), what was opened (outlined). Bars that a search has read can never be a holdout; each further look at a holdout halves its level."
    )
    return f"<h3>The ledger</h3>{ledger_figure(trust.ledger, trust.record['run'], text)}"


def _proof(record: Record) -> str:
    opened, promoted = record["holdout_opened"], record["decision"] == "promoted"
    does = [
        "How often the very same search, with its budget and its tuning, finds as much in markets made of these bars in which nothing can be found."
    ]
    does_not = [
        "That the future resembles these years. Edges decay, and nothing here measures how fast.",
        "That no other search was made: the ledger knows this store alone, and says so.",
        "What an order book would have filled.",
    ]
    if opened:
        does.append(
            "What the frozen shortlist earned beyond the market, after costs, in bars that nothing in this store had read."
        )
    else:
        does_not.insert(0, "Anything about the holdout: it was not opened, and can still answer another search.")
    if promoted:
        expected = f"at a level of {percent(record['level'], 1, sign=False)} that share of runs without any edge passes, at the most"
        does_not.insert(0, f"That a promoted strategy is real: {expected}.")
    elif opened:
        does_not.insert(0, "That there is no edge: see what this history can show.")
    lists = "".join(
        f"<div><h3>{title}</h3><ul>{''.join(f'<li>{text}</li>' for text in items)}</ul></div>"
        for title, items in (("The validation shows", does), ("It does not show", does_not))
    )
    return f'<div class="pair">{lists}</div>'
