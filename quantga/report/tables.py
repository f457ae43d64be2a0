"""Tables of the page: metrics with the reasons of undefined ones, months, what trading cost, plain rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from quantga.report.figures import NBSP, money, percent
from quantga.report.record import Costs, Metrics, Trade
from quantga.report.search_figures import count, plain
from quantga.report.series import Month, year_total
from quantga.report.svg import date
from quantga.report.trades import named, price

GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    ("Return", (
        ("total_return", "Total return", "%", "after fees, slippage and funding"),
        ("cagr", "Growth per year (CAGR)", "%", "365 days"),
        ("market_return", "Market change", "%", "buy and hold, without costs"),
        ("final_equity", "Final equity", "$", "USDC"),
        ("best_day", "Best day", "%", ""),
        ("worst_day", "Worst day", "%", ""),
    )),
    ("Risk", (
        ("max_drawdown", "Deepest drawdown", "%", "of daily closes, starting capital included"),
        ("max_drawdown_days", "Longest time under water", "d", ""),
        ("volatility", "Volatility per year", "%", ""),
        ("ulcer", "Ulcer index", "%", "root mean square drawdown"),
        ("var_95", "Value at risk, 95 %", "%", "a day this bad or worse comes once in twenty"),
        ("cvar_95", "Expected loss beyond it", "%", "mean of the worst days"),
        ("skew", "Skewness of days", "", ""),
        ("kurtosis", "Excess kurtosis of days", "", ""),
        ("tail_ratio", "Tail ratio", "", "95th over 5th percentile"),
        ("liquidated", "Liquidated", "b", ""),
    )),
    ("Return for risk", (
        ("sharpe", "Sharpe ratio", "", "daily returns, per year, no interest deducted"),
        ("alpha_sharpe", "Alpha Sharpe ratio", "", "after removing mean position × market drift"),
        ("sortino", "Sortino ratio", "", ""),
        ("calmar", "Calmar ratio", "", "growth per year over deepest drawdown"),
        ("psr", "P(Sharpe > 0), one trial", "%", "blind to the number of trials: not evidence here"),
        ("beta", "Beta on the market", "", ""),
        ("correlation", "Correlation with the market", "", ""),
    )),
    ("Trading", (
        ("trades", "Closed trades", "n", ""),
        ("win_rate", "Winning trades", "%", ""),
        ("profit_factor", "Profit factor", "", "won over lost"),
        ("expectancy", "Mean profit of a trade", "$", "USDC"),
        ("mean_holding_bars", "Mean holding time", "bars", ""),
        ("exposure", "Time in the market", "%", ""),
        ("long_share", "of which long", "%", ""),
        ("mean_position", "Mean position", "%", "signed share of equity"),
        ("turnover", "Turnover per year", "x", "traded value over equity"),
        ("fees", "Fees paid", "$", "USDC"),
        ("funding", "Funding paid", "$", "USDC; negative: received"),
    )),
)  # fmt: skip
"""Group -> (key, label, unit, remark)."""
_KNOWN = {key for _, rows in GROUPS for key, *_ in rows}
_SIGNED = frozenset({"total_return", "cagr", "market_return", "best_day", "worst_day", "mean_position"})
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def figure_of(key: str, value: float | None, unit: str) -> str:
    """Return one metric as the page shows it; an em dash where it is undefined."""
    return "—" if value is None else _SHOWN[unit](key, float(value))


_SHOWN: dict[str, Callable[[str, float], str]] = {
    "%": lambda key, v: percent(v, 1 if abs(v) >= 0.0005 or v == 0 else 3, sign=key in _SIGNED),
    "$": lambda _, v: money(v) if abs(v) >= 100 else plain(v),
    "n": lambda _, v: count(int(v)),
    "d": lambda _, v: f"{count(int(v))} days",
    "b": lambda _, v: "yes" if v else "no",
    "bars": lambda _, v: f"{plain(v, 1)} bars",
    "x": lambda _, v: f"{plain(v, 1)} ×",
    "": lambda _, v: plain(v),
}


def metrics_table(metrics: Metrics, reasons: dict[str, str]) -> str:
    """Return every metric with its remark, or with the reason why it is undefined."""
    groups = [(title, [row for row in rows if row[0] in metrics]) for title, rows in GROUPS]
    extra = [(key, key.replace("_", " "), "", "") for key in metrics if key not in _KNOWN and key != "days"]
    groups.append(("Further", extra))
    parts = []
    for title, rows in groups:
        if rows:
            body = "".join(_metric(row, metrics, reasons) for row in rows)
            parts.append(f'<table class="metrics"><caption>{title}</caption><tbody>{body}</tbody></table>')
    return f'<div class="columns">{"".join(parts)}</div>'


def _metric(row: tuple[str, str, str, str], metrics: Metrics, reasons: dict[str, str]) -> str:
    key, label, unit, remark = row
    value = metrics[key]
    text = reasons.get(key, "undefined") if value is None else remark
    small = f'<small class="{"reason" if value is None else "remark"}">{escape(text)}</small>' if text else ""
    shown = figure_of(key, value, unit)
    return f'<tr data-metric="{escape(key)}"><th scope="row">{escape(label)}{small}</th><td>{shown}</td></tr>'


def months_table(parts: Sequence[Month]) -> str:
    """Return the returns of calendar months, warmer and colder by size, with the years' totals."""
    scale = max((abs(p.value) for p in parts), default=0) or 1
    head = "".join(f'<th scope="col">{name}</th>' for name in _MONTHS)
    rows = []
    for year in sorted({p.year for p in parts}):
        inside = {p.month: p for p in parts if p.year == year}
        cells = "".join(_month(inside.get(month), scale) for month in range(1, 13))
        total = year_total(list(inside.values()))
        rows.append(
            f'<tr><th scope="row">{year}</th>{cells}<td class="total">{percent(total).removesuffix(f"{NBSP}%")}</td></tr>'
        )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Monthly returns"><table class="months">'
        f'<thead><tr><th scope="col">%</th>{head}<th scope="col">Year</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _month(part: Month | None, scale: float) -> str:
    if part is None:
        return "<td></td>"
    depth = min(abs(part.value) / scale, 1.0) ** 0.7
    kind = "gain" if part.value >= 0 else "loss"
    return f'<td class="{kind}" style="--v:{round(depth * 62)}%">{percent(part.value).removesuffix(f"{NBSP}%")}</td>'


def costs_table(gain: float, costs: Costs) -> str:
    """Return how the gain before costs became the gain after them, as bars; `gain` is after all costs (USDC)."""
    gross = gain + costs.fees + costs.slippage + costs.funding
    funding = "Funding received" if costs.funding < 0 else "Funding paid"
    rows = (
        ("Price moves", gross), ("Fees", -costs.fees), ("Slippage", -costs.slippage), (funding, -costs.funding),
        ("Left after costs", gain),
    )  # fmt: skip
    most = max(abs(value) for _, value in rows) or 1
    body = "".join(_bar(name, value, most, last=name == rows[-1][0]) for name, value in rows)
    return f'<table class="bars"><caption>Where the money went, USDC</caption><tbody>{body}</tbody></table>'


def _bar(name: str, value: float, most: float, *, last: bool) -> str:
    kind = "gain" if value >= 0 else "loss"
    left = 50 if value >= 0 else 50 - 50 * abs(value) / most
    style = f"left:{left:.1f}%;width:{50 * abs(value) / most:.1f}%"
    total = ' class="sum"' if last else ""
    shown = ("+" if value > 0 else "") + money(value)
    bar = f'<td class="bar"><i class="{kind}" style="{style}"></i></td>'
    return f'<tr{total}><th scope="row">{escape(name)}</th>{bar}<td>{shown}</td></tr>'


def trades_table(trades: Sequence[Trade]) -> str:
    """Return trades row by row, the latest first."""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Side", "In", "at", "Out", "at", "Left by", "Gave"))
    body = "".join(_trade(trade) for trade in reversed(trades))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Trades"><table class="trades">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _trade(trade: Trade) -> str:
    out = (date(trade.closed, hour=True), price(trade.exit)) if trade.closed else ("–", "–")
    cells = (
        "long" if trade.side > 0 else "short", date(trade.opened, hour=True), price(trade.entry), *out,
        named(trade.reason) if trade.closed else "still open",
    )  # fmt: skip
    kind = "won" if trade.profit > 0 else "lost"
    result = percent(trade.returned, 2) if trade.closed else "–"
    return f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in cells)}<td class='{kind}'>{result}</td></tr>"


def pairs(rows: Sequence[tuple[str, str]], title: str) -> str:
    """Return names and values, row by row."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f'<table class="pairs"><caption>{escape(title)}</caption><tbody>{body}</tbody></table>'
