from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.lang.parse import parse
from quantga.report.record import Champion, Costs, Result
from quantga.report.series import Curve, daily, drawdown, expected_best, luck_line, months, pooled, year_total
from tests.report.made import CAPITAL, DAY, HOUR, START, made_report


def result(symbol: str, equity: list[float], close: list[float], first: int = START) -> Result:
    time = first + np.arange(1, len(equity) + 1) * 12 * HOUR
    return Result(symbol, time, np.array(close), np.array(equity), (), Costs(0, 0, 0), {}, {}, 100.0)


def test_the_luck_line_is_the_published_one():
    assert expected_best(1000, 0.05) == pytest.approx(0.1627561, abs=5e-8)
    assert expected_best(10, math.sqrt(0.1)) == pytest.approx(0.498, abs=5e-4)
    assert [round(luck_line(n, 730), 2) for n in (10**3, 10**4, 10**6)] == [2.30, 2.73, 3.44]
    assert [round(luck_line(n, 1825), 2) for n in (10**3, 10**4, 10**6)] == [1.46, 1.73, 2.18]
    assert expected_best(1) == 0


@given(st.integers(2, 10**9), st.integers(2, 10**9))
def test_more_trials_reach_further(few: int, many: int):
    assert (expected_best(few) <= expected_best(many)) == (few <= many)


def test_luck_reaches_what_the_best_of_many_draws_does():
    draws = np.random.Generator(np.random.Philox(7)).standard_normal((4000, 500))
    assert expected_best(500) == pytest.approx(draws.max(axis=1).mean(), abs=0.03)


def test_days_end_at_midnight_and_the_market_carries_its_last_close():
    curve = daily(result("A", [101.0, 102, 103, 104, 105], [110.0, 120, np.nan, np.nan, 90]), 100.0)
    assert ((curve.time - START) // DAY).tolist() == [1, 2, 3]
    assert curve.equity.tolist() == [102, 104, 105]
    assert curve.market.tolist() == [120, 120, 90]


def test_a_pool_earns_the_mean_of_the_days_returns():
    a = result("A", [110.0, 110, 121, 121], [100.0] * 4)
    b = result("B", [100.0, 130, 130, 130], [100.0, 100, 100, 150], START + DAY)
    champion = Champion(parse("long"), 1.0, (a, b), {}, {})
    curve = pooled(champion, 100.0)
    assert curve.equity == pytest.approx([110, 110 * (1 + (0.1 + 0.3) / 2), 110 * 1.2])
    assert curve.market == pytest.approx([100, 100, 150])


def test_drawdown_counts_from_the_capital_and_ruin_is_all():
    assert drawdown(np.array([90.0, 110, 55, 0]), 100.0).tolist() == pytest.approx([-0.1, 0, -0.5, -1])


def test_months_compound_to_the_whole():
    curve = pooled(made_report(1, 1).champions[0], CAPITAL)
    parts = months(curve, CAPITAL)
    assert [(part.year, part.month) for part in parts[:13]] == [*((2023, m) for m in range(1, 13)), (2024, 1)]
    assert len(parts) == 23
    assert year_total(parts) == pytest.approx(float(curve.equity[-1]) / CAPITAL - 1)
    last = months(Curve(np.array([START + 31 * DAY]), np.array([120.0]), np.array([1.0])), 100.0)
    assert (last[0].month, last[0].value) == (1, pytest.approx(0.2))
