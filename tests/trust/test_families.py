"""Families of made markets: where there is nothing there is nothing, and an edge has the strength that it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantga.engine.appraise import appraise
from quantga.errors import ConfigError
from quantga.lang.parse import parse
from quantga.trust.families import (
    AMPLITUDES,
    LEVELS,
    NULLS,
    PLANTED,
    Policy,
    best_policy,
    family,
    realised,
)
from quantga.trust.surrogates import net_returns

COST = 5e-4
START = 1_577_836_800_000


def autocorrelation(x):
    x = x - x.mean()
    return float((x[1:] * x[:-1]).mean() / x.var())


@pytest.mark.parametrize("kind", [*NULLS, *PLANTED])
def test_a_null_has_no_mean_but_beta_and_no_memory(kind):
    path = family(kind, years=100.0).path(1, "A")
    error = path.returns.std() / np.sqrt(len(path.returns))
    mean = 0.6 / 8760 if kind == "drift" else 0.0
    assert abs(path.returns.mean() - mean) < 4 * error
    assert abs(autocorrelation(path.returns)) < 4 / np.sqrt(len(path.returns))
    assert path.returns.std() * np.sqrt(8760) == pytest.approx(0.6, rel=0.06)
    assert not path.expected.any()
    assert realised(path, Policy(0.0, 0.0), COST) == 0


def test_every_planted_family_is_calibrated_and_stronger_for_a_higher_ratio():
    assert set(AMPLITUDES) == set(PLANTED)
    for row in AMPLITUDES.values():
        assert len(row) == len(LEVELS)
        assert list(row) == sorted(row)


def test_drift_is_a_market_sharpe_ratio_of_one():
    returns = family("drift", years=400.0).path(2, "A").returns
    assert returns.mean() / returns.std() * np.sqrt(8760) == pytest.approx(1.0, abs=0.2)


def test_only_garch_clusters():
    for kind in ("gbm", "garch_t"):
        clustering = autocorrelation(np.abs(family(kind, years=20.0).path(3, "A").returns))
        assert (clustering > 0.05) == (kind == "garch_t")


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_expected_is_what_comes_on_average(kind):
    path = family(kind, 2.0, years=200.0).path(4, "A")
    slope = (path.returns * path.expected).mean() / (path.expected**2).mean()
    error = path.returns.std() / np.sqrt((path.expected**2).sum())
    assert slope == pytest.approx(1.0, abs=4 * error)


@pytest.mark.parametrize("kind", PLANTED)
def test_amplitudes_are_calibrated_on_other_paths(kind):
    for level in (1.0, 3.0):
        _, ratio = best_policy(replace(family(kind, level), years=60.0).path(77, "A"), COST)
        assert ratio == pytest.approx(level, abs=4 / np.sqrt(60))


@pytest.mark.parametrize("kind", PLANTED)
def test_a_policy_that_knows_less_earns_less(kind):
    path = family(kind, 3.0, years=60.0).path(5, "A")
    _, best = best_policy(path, COST)
    blind = np.random.default_rng(1).permutation(path.expected)
    found = best_policy(type(path)(path.returns, blind, path.leader, path.bustle, path.funding), COST)[1]
    assert found < best - 1.5


RULES = {
    "ar1": "when(gt(change(close, 1), level(0.004)), long, when(lt(change(close, 1), level(-0.004)), short, hold))",
    "leadlag": "when(gt(div(ref_close, lag(ref_close, 1)), level(1.005)), long, "
    "when(lt(div(ref_close, lag(ref_close, 1)), level(0.995)), short, hold))",
    "funding": "when(gt(funding_z(500), level(0.5)), short, when(lt(funding_z(500), level(-0.5)), long, hold))",
}


@pytest.mark.parametrize("kind", RULES)
def test_the_edge_can_be_said_in_the_language_and_is_there_in_the_bars(kind):
    rule = parse(RULES[kind])
    there = family(kind, 3.0, years=12.0).market(6, {"A": "A"}, START)["A"]
    gone = family(kind, 0.0, years=12.0).market(6, {"A": "A"}, START)["A"]
    ratio = [appraise([rule], bars)["sharpe"][0].as_py() for bars in (there, gone)]
    assert ratio[0] > ratio[1] + 1.0


def test_a_burst_of_volume_can_be_seen_and_points_the_way():
    made = family("volume", 3.0, years=20.0)
    path, bars = made.path(7, "A"), made.market(7, {"A": "A"}, START)["A"]
    burst = path.bustle > 1
    usual = np.median(bars["volume"] * bars["close"])
    loud = bars["volume"] * bars["close"] > 4 * usual
    assert (loud & burst).sum() / burst.sum() > 0.8
    assert (loud & burst).sum() / loud.sum() > 0.5
    day = np.convolve(path.returns, np.ones(24), "full")[24 : len(path.returns)]
    rows = np.flatnonzero(burst[: len(day)])
    move = np.sign(path.returns[rows]) * day[rows]
    assert move.mean() > 4 * move.std() / np.sqrt(len(rows))


def test_the_hours_of_a_seed_are_those_of_the_clock():
    one = family("tod", 2.0, years=1.0)
    first, later = one.path(8, "A", START), one.path(8, "A", START + 5 * 3_600_000)
    assert np.array_equal(first.expected[5:], later.expected[:-5])
    assert not np.array_equal(first.expected, one.path(9, "A", START).expected)


@pytest.mark.parametrize("kind", [*NULLS, *PLANTED])
def test_bars_have_the_returns_of_their_path_and_the_same_columns_everywhere(kind):
    made = family(kind, 2.0 if kind in PLANTED else 0.0, years=0.1)
    bars = made.market(10, {"A": "A", "B": "B"}, START)
    path = made.path(10, "A", START)
    assert np.allclose(net_returns(bars["A"])[1:], (path.returns - path.funding)[1:], atol=1e-12)
    assert not np.array_equal(bars["A"]["close"], bars["B"]["close"])
    assert set(bars["A"].columns) == set(family("gbm", years=0.1).market(1, {"A": "A"}, START)["A"].columns)
    again = made.market(10, {"A": "A"}, START)["A"]
    assert all(np.array_equal(again[name], bars["A"][name], equal_nan=True) for name in again.columns)


def test_what_is_no_family_is_refused():
    with pytest.raises(ConfigError, match="no family of markets: there are gbm"):
        family("astrology")
    with pytest.raises(ConfigError, match="not calibrated for gbm"):
        family("gbm", 2.0)
    with pytest.raises(ConfigError, match="not calibrated for ar1"):
        family("ar1", 2.5)
