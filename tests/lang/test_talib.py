"""Indicators agree with TA-Lib wherever it defines them, on a real market and on a made one.

TA-Lib seeds its exponential means with a simple mean over the first window, we by normalised weights; so those are
compared where either seeding has decayed, and our finite memory leaves at most e^-16 of the weight outside.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import evaluate
from tests.lang.markets import expression, real, synthetic

talib = pytest.importorskip("talib")

type Columns = dict[str, Floats]
EXACT, DECAYED = 1e-9, 2e-6
W = 14


def over(name: str, *columns: str, **options: float) -> Callable[[Columns], Floats]:
    """Name a TA-Lib function, its columns and its options."""
    return lambda c: getattr(talib, name)(*(c[column] for column in columns), **options)


def part(place: int, name: str, *columns: str, **options: float) -> Callable[[Columns], Floats]:
    """Name one of several outputs."""
    return lambda c: getattr(talib, name)(*(c[column] for column in columns), **options)[place]


CASES: dict[str, tuple[Callable[[Columns], Floats], float]] = {
    "mean(close, 14)": (over("SMA", "close", timeperiod=W), EXACT),
    "ema(close, 14)": (over("EMA", "close", timeperiod=W), DECAYED),
    "wma(close, 14)": (over("WMA", "close", timeperiod=W), EXACT),
    "wma(close, 200)": (over("WMA", "close", timeperiod=200), EXACT),
    "rsi(close, 14)": (over("RSI", "close", timeperiod=W), DECAYED),
    "atr(14)": (over("ATR", "high", "low", "close", timeperiod=W), DECAYED),
    "mul(natr(14), 100)": (over("NATR", "high", "low", "close", timeperiod=W), DECAYED),
    "true_range": (over("TRANGE", "high", "low", "close"), EXACT),
    "bb_upper(close, 20, 2)": (part(0, "BBANDS", "close", timeperiod=20, nbdevup=2, nbdevdn=2), EXACT),
    "bb_lower(close, 20, 2)": (part(2, "BBANDS", "close", timeperiod=20, nbdevup=2, nbdevdn=2), EXACT),
    "highest(high, 20)": (over("MAX", "high", timeperiod=20), 0),
    "lowest(low, 20)": (over("MIN", "low", timeperiod=20), 0),
    "macd(close, 12, 26)": (part(0, "MACD", "close"), DECAYED),
    "macd_signal(close, 12, 26, 9)": (part(1, "MACD", "close"), DECAYED),
    "macd_hist(close, 12, 26, 9)": (part(2, "MACD", "close"), DECAYED),
    "adx(14)": (over("ADX", "high", "low", "close", timeperiod=W), 1e-5),
    "plus_di(14)": (over("PLUS_DI", "high", "low", "close", timeperiod=W), 1e-5),
    "minus_di(14)": (over("MINUS_DI", "high", "low", "close", timeperiod=W), 1e-5),
    "stoch_k(14)": (part(0, "STOCHF", "high", "low", "close", fastk_period=W, fastd_period=3), EXACT),
    "stoch_d(14, 3)": (part(1, "STOCHF", "high", "low", "close", fastk_period=W, fastd_period=3), EXACT),
    "williams_r(14)": (over("WILLR", "high", "low", "close", timeperiod=W), EXACT),
    "cci(14)": (over("CCI", "high", "low", "close", timeperiod=W), EXACT),
    "mfi(14)": (over("MFI", "high", "low", "close", "volume", timeperiod=W), EXACT),
    "change(close, 10)": (over("ROCP", "close", timeperiod=10), EXACT),
    "slope(close, 14)": (over("LINEARREG_SLOPE", "close", timeperiod=W), EXACT),
    "slope(close, 5)": (over("LINEARREG_SLOPE", "close", timeperiod=5), EXACT),
    "std(close, 20)": (over("STDDEV", "close", timeperiod=20), 1e-6),  # TA-Lib subtracts large squares
    "corr(change(close, 1), change(ref_open, 1), 30)": (
        lambda c: talib.CORREL(talib.ROCP(c["close"], 1), talib.ROCP(c["ref_open"], 1), 30),
        1e-7,
    ),
    "aroon_up(14)": (part(1, "AROON", "high", "low", timeperiod=W), 1e-9),
    "aroon_down(14)": (part(0, "AROON", "high", "low", timeperiod=W), 1e-9),
    "typical": (over("TYPPRICE", "high", "low", "close"), EXACT),
}
SETTLED = 700


def check(bars: Bars) -> None:
    columns = {name: np.array(bars[name]) for name in ("open", "high", "low", "close", "volume", "ref_open")}
    ours = evaluate([expression(text) for text in CASES], bars)
    wrong = {}
    for (text, (theirs, near)), row in zip(CASES.items(), ours, strict=True):
        wanted = theirs(columns)[SETTLED:]
        off = np.abs(row[SETTLED:] - wanted) / np.nanmax(np.abs(wanted))
        if np.isnan(off).any() or off.max() > near:
            wrong[text] = (int(np.isnan(off).sum()), float(np.nanmax(off)))
    assert not wrong, wrong


def test_on_a_real_market(market_data: Path) -> None:
    check(real(market_data, "ETHUSDT", 9_000))


def test_on_a_made_market() -> None:
    check(synthetic(5_000, seed=11))
