"""A run made up for the page: random markets, positions from a moving mean, a plain account."""

from __future__ import annotations

import math

import numpy as np

from quantga.lang.parse import parse
from quantga.report.record import Champion, Costs, FrontPoint, Progress, Result, RunReport, Span, Trade
from quantga.streams import stream

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_672_531_200_000
CAPITAL = 10_000.0
TEXTS = (
    "when(gt(rsi(close, 14), level(70)), short, when(lt(rsi(close, 14), level(30)), long, hold)) with stop=0.05, take=0.1, latch",
    (
        "when(and(or(gt(close, mean(close, 50)), rising(volume, 12)), not(within(hour, 8, 16))), "
        "when(gt(abs(change(close, 24)), 0.02), long, flat), scale(neg(zscore(sub(close, ema(close, 20)), 50))))"
    ),
    (
        "when(cross_over(ema(close, 12), ema(close, 26)), long, when(cross_under(ema(close, 12), ema(close, 26)), short, hold)) "
        "with vol_target=0.4, leverage=2, ladder=0:0.05/12:0.02/48:0, max_hold=96"
    ),
    "when(gt(funding_z(168), level(1.5)), short, flat)",
)


def made_result(symbol: str, seed: int, *, days: int = 700, window: int = 40, hours: int = 4) -> Result:
    """Return one market's result: long above the mean of `window` bars, short below it, from the next open on."""
    n, step = days * 24 // hours, hours * HOUR
    dice = stream(seed, "report", symbol)
    moves = np.exp(dice.standard_t(4, n) * 0.009 + 0.0002)
    close = 20_000 * np.cumprod(moves)
    opens = np.concatenate([[20_000.0], close[:-1]])
    mean = np.convolve(close, np.ones(window) / window)[:n]
    wanted = np.where(close > mean, 1.0, -1.0)
    wanted[:window] = 0
    time = START + np.arange(1, n + 1) * step
    equity, trades, fees = _account(wanted, opens, close, time)
    return _result(symbol, time, close, equity, trades, fees)


def _account(wanted, opens, close, time):
    cash, units, side, fees = CAPITAL, 0.0, 0.0, 0.0
    equity, trades, entry = np.empty(len(close)), [], (0, 0.0, 0.0)
    for t in range(len(close)):
        target = wanted[t - 1] if t else 0.0
        if target != side:
            worth = cash + units * opens[t]
            if side:
                gain = worth - entry[2]
                reason = ("signal", "stop", "take")[len(trades) % 7 % 3]
                trades.append(
                    Trade(
                        int(side), entry[0], entry[1], int(time[t]) - 4 * HOUR, opens[t], reason, gain, gain / entry[2]
                    )
                )
            fee = 0.0005 * worth * abs(target - side)
            fees, worth = fees + fee, worth - fee
            units, side = target * worth / opens[t], target
            cash = worth - units * opens[t]
            entry = (int(time[t]) - 4 * HOUR, opens[t], worth)
        equity[t] = cash + units * close[t]
    if side:
        trades.append(Trade(int(side), entry[0], entry[1], 0, math.nan, "", 0.0, 0.0))
    return equity, trades, fees


def _result(symbol, time, close, equity, trades, fees):
    first = 20_000.0
    last = np.flatnonzero(np.append(np.diff((time - 1) // DAY), 1))
    daily = equity[last]
    days = daily / np.concatenate([[CAPITAL], daily[:-1]]) - 1
    closed = [t for t in trades if t.closed]
    won, lost = sum(max(t.profit, 0) for t in closed), sum(max(-t.profit, 0) for t in closed)
    sharpe = float(days.mean() / days.std(ddof=1) * math.sqrt(365)) if days.any() else None
    metrics = {
        "total_return": float(daily[-1] / CAPITAL - 1), "cagr": float((daily[-1] / CAPITAL) ** (365 / len(days)) - 1),
        "sharpe": sharpe, "alpha_sharpe": None if sharpe is None else sharpe - 0.2, "volatility": float(days.std(ddof=1) * math.sqrt(365)),
        "max_drawdown": float((daily / np.maximum(np.maximum.accumulate(daily), CAPITAL) - 1).min()), "max_drawdown_days": 231,
        "market_return": float(close[-1] / first - 1), "trades": len(closed), "win_rate": sum(t.profit > 0 for t in closed) / max(len(closed), 1),
        "profit_factor": won / lost if lost else None, "fees": fees, "funding": -fees * 0.2, "skew": 0.31, "kurtosis": 2.8,
        "best_day": float(days.max()), "worst_day": float(days.min()), "final_equity": float(daily[-1]), "exposure": 0.93,
        "liquidated": False, "turnover": 214.2, "psr": 0.981, "days": len(days), "mean_position": -0.031, "beta": 0.08,
        "mean_holding_bars": 9.4, "expectancy": 12.21, "ulcer": 0.0812, "var_95": -0.0312, "cvar_95": -0.0455,
    }  # fmt: skip
    reasons = {} if metrics["profit_factor"] is not None else {"profit_factor": "no closed trade lost"}
    return Result(
        symbol, time, close, equity, tuple(trades), Costs(fees, fees * 0.4, -fees * 0.2), metrics, reasons, first
    )


def made_report(
    assets: int = 1, champions: int = 3, *, seed: int = 1, title: str = "made", days: int = 700
) -> RunReport:
    """Return a whole report."""
    symbols = ("BTC", "ETH", "SOL", "DOGE", "XRP", "LTC", "AVAX", "LINK")[:assets]
    found = []
    for rank in range(champions):
        results = tuple(made_result(s, seed, window=30 + 35 * rank, days=days) for s in symbols)
        found.append(
            Champion(parse(TEXTS[rank % len(TEXTS)]), 1.6 - 0.3 * rank, results, results[0].metrics, results[0].reasons)
        )
    dice = stream(seed, "report", "progress")
    progress = [
        Progress(
            i,
            g,
            1.5 - 1.3 * math.exp(-g / (5 + i)) + 0.05 * i,
            -0.2 - math.exp(-g / 4) + 0.03 * dice.standard_normal(),
            512 * (g + 1),
        )
        for g in range(25)
        for i in range(4)
    ]
    points = [
        FrontPoint(c.program.id, c.program.text, c.score, 0.28 - 0.06 * i, c.program.size) for i, c in enumerate(found)
    ]
    points += [
        FrontPoint(f"{i:016x}", f"scale({i / 10})", 0.7 - 0.16 * i, 0.09 - 0.015 * i, 9 - i) for i in range(1, 6)
    ]
    end = START + days * DAY
    return RunReport(
        run=f"{seed:016x}", title=title, venue="hyperliquid", interval="4h", symbols=symbols,
        span=Span(START, end, end, end + days * DAY * 2 // 3), capital=CAPITAL, trials=12_345, progress=tuple(progress),
        front=tuple(points), champions=tuple(found),
        settings=(("search.seed", str(seed)), ("search.population", "128"), ("costs.fee", "0.00045")),
        provenance=(("Dataset", "0f3a77c1d2e4b586"), ("Code", "0.1.0")),
    )  # fmt: skip
