"""Well-known rules, written in the language: they seed a population, and show how rules read.

Those that read the funding rate or the reference asset need a market that has them; the others need bars alone.
"""

from __future__ import annotations

from quantga.lang.parse import parse
from quantga.lang.program import Program

CLASSICS: dict[str, str] = {
    "rsi reversal": "when(lt(rsi(close, 14), 30), long, when(gt(rsi(close, 14), 70), short, hold))",
    "rsi(2) pullback": (
        "when(and(gt(close, mean(close, 200)), lt(rsi(close, 2), 10)), long, when(gt(rsi(close, 2), 65), flat, hold))"
    ),
    "moving average cross": "when(gt(mean(close, 50), mean(close, 200)), long, short)",
    "exponential cross": (
        "when(cross_over(ema(close, 12), ema(close, 26)), long,"
        " when(cross_under(ema(close, 12), ema(close, 26)), short, hold))"
    ),
    "macd": ("when(gt(macd(close, 12, 26), macd_signal(close, 12, 26, 9)), long, short) with stop_atr=3.0"),
    "turtle": (
        "when(gt(close, lag(donchian_high(20), 1)), long, when(lt(close, lag(donchian_low(20), 1)), short, hold))"
        " with stop_atr=2.0"
    ),
    "bollinger reversion": (
        "when(lt(close, bb_lower(close, 20, 2)), long, when(gt(close, bb_upper(close, 20, 2)), short,"
        " when(cross_over(close, mean(close, 20)), flat, when(cross_under(close, mean(close, 20)), flat, hold))))"
    ),
    "bollinger breakout": (
        "when(gt(close, bb_upper(close, 20, 2)), long, when(lt(close, bb_lower(close, 20, 2)), short, hold))"
    ),
    "keltner breakout": (
        "when(gt(close, keltner_upper(20, 2)), long, when(lt(close, keltner_lower(20, 2)), short, hold))"
    ),
    "adx trend": ("when(gt(adx(14), 25), when(gt(plus_di(14), minus_di(14)), long, short), flat)"),
    "stochastic": (
        "when(and(lt(stoch_k(14), 20), cross_over(stoch_k(14), stoch_d(14, 3))), long,"
        " when(and(gt(stoch_k(14), 80), cross_under(stoch_k(14), stoch_d(14, 3))), short, hold))"
    ),
    "aroon": "when(gt(aroon_up(24), aroon_down(24)), long, short)",
    "commodity channel": "when(gt(cci(20), 100), long, when(lt(cci(20), -100), short, hold))",
    "money flow": "when(lt(mfi(14), 20), long, when(gt(mfi(14), 80), short, hold))",
    "williams": "when(lt(williams_r(14), -80), long, when(gt(williams_r(14), -20), flat, hold))",
    "momentum": "when(gt(change(close, 168), 0), long, short)",
    "higher momentum": "when(and(gt(higher_change(close, 24, 5), 0), gt(change(close, 24), 0)), long, flat)",
    "vol-target trend": "when(gt(close, ema(close, 200)), long, short) with vol_target=0.4, leverage=2.0, band=0.1",
    "regression trend": "scale(mul(trend(close, 72), 10))",
    "reversion to the mean": "scale(neg(squash(zscore(close, 48))))",
    "volume breakout": (
        "when(and(gt(volume_ratio(24), 2), gt(close, lag(highest(high, 24), 1))), long,"
        " when(lt(close, lag(lowest(low, 24), 1)), flat, hold)) with stop=0.05, latch"
    ),
    "efficient trend": (
        "when(gt(efficiency(close, 48), 0.3), long, when(lt(efficiency(close, 48), -0.3), short, flat))"
    ),
    "time of day": "when(within(hour, 21, 23), long, flat)",
    "weekend": "when(within(weekday, 5, 6), flat, when(gt(change(close, 24), 0), long, short))",
    "funding carry": "when(gt(funding_mean(24), funding_mean(168)), short, long)",
    "funding extreme": "when(gt(funding_z(168), 2), short, when(lt(funding_z(168), -2), long, hold))",
    "lead-lag": "when(gt(ref_ret, 0.01), long, when(lt(ref_ret, -0.01), short, hold)) with max_hold=6",
    "relative value": "scale(neg(squash(zscore(sub(change(close, 24), change(ref_close, 24)), 168))))",
}
"""Name -> text."""


def classics() -> dict[str, Program]:
    """Return all of them, parsed."""
    return {name: parse(text) for name, text in CLASSICS.items()}
