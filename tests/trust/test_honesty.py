"""Counting honesty: exact intervals, merged checkpoints, and a table that hides nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from quantga.errors import ConfigError
from quantga.trust.honesty import Tried, Validated, share, summarised

FOUND = Tried("found", 0.01, 0.02, (1.7, 0.6, 2.8), (1.9, 0.8), promoted=True, true=1.6)
WEAK = Tried("weak", 0.02, 0.05, (1.2, 0.2, 2.2), (1.4, 0.8), promoted=True, true=0.1)
MISSED = Tried("missed", 0.4, 0.3, (0.7, -0.3, 1.7), (0.6, 0.8), promoted=False, true=1.0)


def run(seed, sharpe=0.0, tried=(), family="gbm", p=0.5, naive=False):
    return Validated(family, sharpe, seed, 1000, p, tuple(tried), 2.0 if sharpe else 0.0, naive)


@pytest.mark.parametrize(("count", "of"), [(0, 200), (2, 200), (4, 200), (6, 210), (40, 40), (7, 9)])
def test_intervals_are_those_of_clopper_and_pearson(count, of):
    exact = stats.binomtest(count, of).proportion_ci(method="exact")
    found = share(count, of)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert share(0, 0) == share(0, 0)
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ConfigError, match="no share"):
        share(3, 2)


def test_the_table_counts_what_was_run():
    nulls = [run(seed, p=(seed + 0.5) / 40, naive=seed < 28) for seed in range(40)]
    nulls[3] = run(3, tried=[WEAK], p=3.5 / 40, naive=True)
    planted = [run(seed, 2.0, [FOUND] if seed < 7 else [MISSED], family="ar1", naive=True) for seed in range(10)]
    planted += [run(99, 3.0, [WEAK, FOUND], family="tod")]
    table = summarised([*nulls, *planted])
    assert (table.null_runs, table.null_promoted, table.null_naive.count) == (40, 1, 28)
    assert (table.power["2"], table.power_shares["2"].of, table.power_shares["3"].count) == (0.7, 10, 1)
    assert table.power_families["2"]["ar1"].count == 7
    assert table.null_families["gbm"].of == 40
    assert table.capture == {"2": pytest.approx(0.8), "3": pytest.approx(0.05)}
    assert table.capture_families["2"] == {"ar1": pytest.approx(0.8)}
    assert (table.weak.count, table.weak.of) == (1, 9)
    assert table.bias == pytest.approx((8 * 0.1 + 2 * 1.1) / 10)
    assert (table.coverage.count, table.coverage.of) == (8, 10)
    assert table.width == pytest.approx(2.2)
    assert table.p_low.count == 2
    assert table.p_uniform > 0.9
    assert json.loads(json.dumps(table.record()))["null_share"]["count"] == 1


def test_checkpoints_merge_in_any_order_and_refuse_what_differs():
    runs = [run(seed, p=float(p)) for seed, p in enumerate(np.random.default_rng(1).random(20))]
    assert summarised([*runs[10:], *runs[:15]]) == summarised(runs)
    with pytest.raises(ConfigError, match="seed 3, was validated twice with different answers"):
        summarised([*runs, run(3, tried=[FOUND])])


def test_nothing_promoted_is_not_hidden():
    table = summarised([run(1, 3.0), run(2)])
    assert (table.power["3"], table.capture, table.bias, table.width) == (0.0, {"3": 0.0}, None, None)
    assert summarised([]).p_uniform is None
