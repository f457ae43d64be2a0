"""One champion's part of the page: the rule in words and as a tree, then what it did on the bars it was bred on."""

from __future__ import annotations

from html import escape

from quantga.report.figures import NBSP, equity_figure, growth, market_figure
from quantga.report.record import Champion, Costs, Result, RunReport
from quantga.report.search_figures import count, plain
from quantga.report.series import daily, luck_line, months, pooled
from quantga.report.tables import costs_table, figure_of, metrics_table, months_table, trades_table
from quantga.report.trades import price_figure
from quantga.report.tree import draw_tree
from quantga.report.words import Line, describe

_MARKS = 2000
"""Trades drawn on all price charts together, so that the page stays light."""
_ROWS = 12


def days_of(champion: Champion) -> float:
    """Return the number of daily returns behind a champion's figures."""
    days = champion.metrics.get("days")
    return (
        float(days)
        if days
        else float(max((len(r.time) and (r.time[-1] - r.time[0]) / 86_400_000) for r in champion.results))
    )


def skill_of(champion: Champion) -> float:
    """Return the champion's alpha Sharpe ratio, which owes nothing to the market's drift; NaN where undefined."""
    value = champion.metrics.get("alpha_sharpe")
    return float("nan") if value is None else float(value)


def in_sample(report: RunReport) -> str:
    """Return the mark that stands at every in-sample figure."""
    trials = "trial" if report.trials == 1 else "trials"
    return f'<span class="trials">in-sample · best of {count(report.trials)} {trials}</span>'


def panel(report: RunReport, rank: int, reference: str) -> str:
    """Return the part of champion `rank` (1 is the best)."""
    champion = report.champions[rank - 1]
    parts = (
        f'<h3>Champion {rank}<code title="program id">{champion.program.id}</code></h3>',
        _tiles(report, champion),
        _rule(champion, reference),
        _equity(report, champion),
        _months(report, champion),
        _trades(report, champion, rank),
        _money(report, champion),
        f"<h4>All figures {in_sample(report)}</h4>",
        metrics_table(champion.metrics, dict(champion.reasons)),
    )
    return (
        f'<section class="panel" role="tabpanel" id="champion-{rank}" aria-labelledby="tab-{rank}" tabindex="-1">'
        f"{''.join(parts)}</section>"
    )


def _tiles(report: RunReport, champion: Champion) -> str:
    metrics = champion.metrics
    luck = luck_line(report.trials, days_of(champion))
    rows = (
        ("Return", "total_return", "%", f"holding: {figure_of('market_return', metrics.get('market_return'), '%')}"),
        ("Alpha Sharpe", "alpha_sharpe", "", f"luck alone: {plain(luck)}"),
        ("Sharpe ratio", "sharpe", "", "with the market's drift"),
        (
            "Deepest drawdown",
            "max_drawdown",
            "%",
            f"{figure_of('', metrics.get('max_drawdown_days'), 'd')} under water",
        ),
        ("Trades", "trades", "n", f"{figure_of('', metrics.get('win_rate'), '%')} won"),
    )
    tiles = "".join(
        f"<div><dt>{name}</dt><dd data-tile='{key}'>{figure_of(key, metrics.get(key), unit)}<small>{escape(remark)}</small></dd></div>"
        for name, key, unit, remark in rows
    )
    return f'<dl class="tiles">{tiles}</dl><p class="stamp">{in_sample(report)}</p>'


def _rule(champion: Champion, reference: str) -> str:
    program = champion.program
    lines = describe(program, reference)
    return (
        "<h4>The rule</h4>"
        f'<div class="rule">{_list(lines)}</div>'
        '<p class="small-print">Decided at the close of each bar, traded at the open of the next.</p>'
        f'<div class="scroll tree-box" tabindex="0" role="region" aria-label="The rule as a tree">{draw_tree(program)}</div>'
        f"<details><summary>The rule as text</summary><pre><code>{escape(program.text)}</code></pre>"
        f'<p class="small-print">{program.size} words, {program.depth} levels; looks back {count(program.lookback)} bars.</p></details>'
    )


def _list(lines: tuple[Line, ...]) -> str:
    return "".join(f'<p style="--d:{line.depth}">{escape(line.text).replace(" %", f"{NBSP}%")}</p>' for line in lines)


def _equity(report: RunReport, champion: Champion) -> str:
    curve = pooled(champion, report.capital)
    several = len(champion.results) > 1
    pool = " Each day the mean of the daily returns on all markets, equally weighted." if several else ""
    caption = f"Equity of the champion after all costs, in USDC, against buying and holding without costs.{pool} {in_sample(report)}"
    parts = ["<h4>Equity and drawdown</h4>", equity_figure(curve, report.capital, report.span, caption)]
    if several:
        small = "".join(_market(report, result) for result in champion.results)
        parts.append(
            f'<h4>Market by market</h4><div class="markets">{small}</div>'
            f'<p class="small-print">Coloured: the champion; grey: holding; each to its own scale. {in_sample(report)}</p>'
        )
    return "".join(parts)


def _market(report: RunReport, result: Result) -> str:
    sharpe = figure_of("sharpe", result.metrics.get("sharpe"), "")
    gain = growth(float(result.equity[-1]) / report.capital)
    return market_figure(result.symbol, daily(result, report.capital), report.capital, f"{gain} · Sharpe{NBSP}{sharpe}")


def _months(report: RunReport, champion: Champion) -> str:
    table = months_table(months(pooled(champion, report.capital), report.capital))
    return f'<h4>Month by month</h4>{table}<p class="small-print">Returns in percent after all costs. {in_sample(report)}</p>'


def _trades(report: RunReport, champion: Champion, rank: int) -> str:
    quota = max(_MARKS // max(len(report.champions) * len(champion.results), 1), 30)
    views = [_traded(report, result, quota) for result in champion.results]
    if len(views) == 1:
        return f"<h4>Trades on {escape(champion.results[0].symbol)}</h4>{views[0]}"
    options = "".join(f'<option value="{i}">{escape(r.symbol)}</option>' for i, r in enumerate(champion.results))
    blocks = "".join(
        f'<div class="choice" data-choice="{i}"><h5>{escape(champion.results[i].symbol)}</h5>{view}</div>'
        for i, view in enumerate(views)
    )
    pick = f'<label class="pick">Market <select data-pick="trades-{rank}">{options}</select></label>'
    return f'<h4>Trades</h4>{pick}<div class="choices" id="trades-{rank}">{blocks}</div>'


def _traded(report: RunReport, result: Result, quota: int) -> str:
    total = len(result.trades)
    some = f"The latest {quota} of {count(total)} trades. " if total > quota else f"{count(total)} trades. "
    caption = (
        f"{some}Triangles up: long, down: short; crosses: out; the line between is coloured by what it gave after costs. "
        f"Move sideways to see all. {in_sample(report)}"
    )
    latest = result.trades[-_ROWS:]
    table = (
        f"<details><summary>The latest {len(latest)} trades as a table</summary>{trades_table(latest)}</details>"
        if latest
        else ""
    )
    return price_figure(result, quota, 5 * quota, caption) + table


def _money(report: RunReport, champion: Champion) -> str:
    results = champion.results
    gain = sum(float(r.equity[-1]) - report.capital for r in results)
    costs = Costs(*(sum(getattr(r.costs, name) for r in results) for name in ("fees", "slippage", "funding")))
    each = f" on {len(results)} markets, {count(round(report.capital))} USDC each" if len(results) > 1 else ""
    caption = f'<p class="small-print">Summed over the whole period{each}. {in_sample(report)}</p>'
    return f"<h4>Costs</h4>{costs_table(gain, costs)}{caption}"
