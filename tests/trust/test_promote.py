"""The gate: what it asks, what it says, how rarely it errs, and what its forecasts are worth."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from quantga.errors import ConfigError
from quantga.trust.promote import (
    Candidate,
    Evidence,
    Gate,
    forecast,
    holm,
    in_sequence,
    judge,
    power,
    power_card,
    stouffer,
    tapered,
    unopened,
    weighted_holm,
    worth_opening,
)
from quantga.trust.sharpe import moments, p_value

GATE = Gate()
YEARS = math.sqrt(365)


def days(sharpe, n=730, seed=1, exact=True):
    """Return daily returns with this annual Sharpe ratio: exactly, or as that of the process they are drawn from."""
    x = np.random.default_rng(seed).normal(size=n)
    if exact:
        x = (x - x.mean()) / x.std(ddof=1)
    return 0.01 * (x + sharpe / YEARS)


def candidate(p_mine=0.005, sharpe=2.0, trades=100, program="a", n=730, **more):
    return Candidate(program, p_mine, days(sharpe, n), trades, **more)


def test_stouffer_weighs_by_the_roots_of_the_lengths():
    z = (math.sqrt(2) * stats.norm.isf(0.03) + math.sqrt(1) * stats.norm.isf(0.2)) / math.sqrt(3)
    assert stouffer(0.03, 0.2, 730, 365) == pytest.approx(stats.norm.sf(z))
    theirs = stats.combine_pvalues([0.03, 0.2], method="stouffer", weights=[math.sqrt(730), math.sqrt(365)])
    assert stouffer(0.03, 0.2, 730, 365) == pytest.approx(theirs.pvalue)
    assert stouffer(0.5, 0.01, 100, 100) > 0.01


def slow_holm(p_values, level):
    """Return which hypotheses Holm rejects at a level: step down from the smallest p, until one stays."""
    rejected = set()
    for k in sorted(range(len(p_values)), key=lambda k: p_values[k]):
        if p_values[k] > level / (len(p_values) - len(rejected)):
            break
        rejected.add(k)
    return rejected


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.floats(0.001, 0.9))
def test_holm_is_holm(p_values, level):
    adjusted = holm(p_values)
    assume(all(abs(p - level) > 1e-9 for p in adjusted))
    assert {k for k, p in enumerate(adjusted) if p <= level} == slow_holm(p_values, level)
    assert in_sequence(p_values) == list(np.maximum.accumulate(p_values))


def closed_testing(p_values, weights):
    """Return adjusted p-values by testing every intersection with the weighted Bonferroni test."""
    found = []
    for k in range(len(p_values)):
        worst = 0.0
        for size in range(1, len(p_values) + 1):
            for members in itertools.combinations(range(len(p_values)), size):
                if k in members:
                    total = sum(weights[j] for j in members)
                    worst = max(worst, min(min(1.0, p_values[j] * total / weights[j]) for j in members))
        found.append(worst)
    return found


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=5))
def test_weighted_holm_is_closed_testing(p_values):
    weights = tapered(len(p_values))
    assert math.fsum(weights) == pytest.approx(1)
    assert weighted_holm(p_values, weights) == pytest.approx(closed_testing(p_values, weights))
    same = [0.25] * len(p_values)
    assert weighted_holm(p_values, same) == pytest.approx(holm(p_values))


def test_good_evidence_is_promoted_with_a_forecast_below_what_was_seen():
    verdict = judge([candidate()], 730, GATE)
    one = verdict.outcomes[0]
    assert verdict.decision == "promoted"
    assert verdict.promoted == (one,)
    assert one.p_hold == pytest.approx(p_value(moments(days(2.0))))
    assert one.p_combined == pytest.approx(stouffer(0.005, one.p_hold, 730, 730))
    assert verdict.p == one.p_adjusted == one.p_combined
    assert one.forecast.seen == pytest.approx(2.0)
    assert 1.6 < one.forecast.sharpe < 1.95
    assert one.forecast.low < one.forecast.sharpe < one.forecast.high
    assert verdict.words == f"1 of 1 promoted: the run's p is {verdict.p:.3g} at a level of 0.05"


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (candidate(trades=19), "19 trades in the holdout, and 20 are needed"),
        (candidate(p_mine=0.4, sharpe=0.8), "search and holdout together give p = "),
        (candidate(p_mine=0.005, sharpe=0.3), "the holdout alone gives p = "),
        (candidate(refusals=("it reads ahead",)), "it reads ahead"),
        (Candidate("a", 0.005, np.zeros(730), 0), "the holdout says nothing: the returns do not vary"),
    ],
)
def test_what_is_lacking_is_said(case, said):
    verdict = judge([case], 730, GATE)
    assert verdict.decision == "not promoted"
    assert any(said in reason for reason in verdict.outcomes[0].reasons)
    assert verdict.promoted == ()


def test_labels_decide_nothing():
    verdict = judge([candidate(labels=("loses at twice the costs",))], 730, GATE)
    assert verdict.outcomes[0].promoted
    assert verdict.outcomes[0].labels == ("loses at twice the costs",)


def test_a_short_holdout_proves_nothing():
    verdict = judge([candidate(sharpe=6, n=300)], 730, GATE)
    assert verdict.decision == "not provable"
    assert "300 days" in verdict.words
    assert not verdict.promoted


def test_a_shortlist_pays_for_its_length_by_holm_and_not_in_sequence():
    shortlist = [candidate(0.1, 1.0, program="a"), *(candidate(0.9, 0.1, program=f"b{k}") for k in range(4))]
    by_holm, alone = judge(shortlist, 730, replace(GATE, procedure="holm")), judge(shortlist[:1], 730, GATE)
    assert by_holm.p == pytest.approx(5 * alone.p)
    by_taper = judge(shortlist, 730, GATE)
    assert by_taper.p == pytest.approx(alone.p * (1 + 0.2 + 0.04 + 0.008 + 0.0016))
    in_order = judge(shortlist, 730, replace(GATE, procedure="sequence"))
    assert in_order.p == alone.p
    assert [one.promoted for one in in_order.outcomes] == [True, False, False, False, False]
    assert not by_holm.promoted


@pytest.mark.parametrize(
    ("shortlist", "said"),
    [
        ([], "at least one"),
        ([candidate(), candidate()], "each once"),
        ([candidate(), candidate(program="b", n=731)], "one holdout"),
        ([candidate(p_mine=0.0)], "within"),
        ([candidate(0.5), candidate(0.1, program="b")], "order of its scores"),
    ],
)
def test_what_is_no_shortlist_is_refused(shortlist, said):
    with pytest.raises(ConfigError, match=said):
        judge(shortlist, 730, GATE)


def test_luck_keeps_the_holdout_shut():
    assert worth_opening([0.9, 0.5], GATE)
    assert not worth_opening([0.51], GATE)
    verdict = unopened([0.62], GATE)
    assert verdict.decision == "unopened"
    assert verdict.words.startswith("nothing found: 62 % of the same searches")


def test_a_gate_that_is_none_is_refused():
    for wrong in ({"level": 0.0}, {"held": 1.0}, {"prior": 0.0}):
        with pytest.raises(ConfigError, match="lie within"):
            Gate(**wrong)


@pytest.mark.parametrize("procedure", ["tapered", "holm", "sequence"])
def test_noise_is_promoted_no_more_often_than_the_level_says(procedure):
    draw = np.random.default_rng(7)
    runs, wrong, p = 1500, 0, []
    gate = replace(GATE, procedure=procedure)
    for _ in range(runs):
        mined = np.sort(np.concatenate([draw.random(1), 0.3 + 0.7 * draw.random(2)]))
        shortlist = [Candidate(str(k), m, draw.standard_t(5, 500) * 0.01, 50) for k, m in enumerate(mined)]
        verdict = judge(shortlist, 730, gate)
        wrong += bool(verdict.promoted)
        p.append(verdict.p)
    bound = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert wrong / runs <= 0.05 + bound
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + bound


def test_forecasts_of_the_promoted_are_right_on_average_and_cover():
    """Champions of true ratios 0 to 3, seen over 1.6 years of holdout: selection and all."""
    draw = np.random.default_rng(8)
    errors, covered, widths, raw = [], 0, [], []
    while len(errors) < 500:
        true = float(draw.choice([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]))
        dev = true + draw.normal() / math.sqrt(2.2)
        p_mine = float(np.clip(stats.norm.sf(dev, 0.8, 0.45), 0.005, 1))
        returns = 0.01 * (draw.standard_t(6, 584) / math.sqrt(1.5) + true / YEARS)
        one = judge([Candidate("a", p_mine, returns, 50)], 800, GATE).outcomes[0]
        if one.promoted:
            errors.append(one.forecast.sharpe - true)
            raw.append(one.forecast.seen - true)
            covered += one.forecast.low <= true <= one.forecast.high
            widths.append(one.forecast.high - one.forecast.low)
    assert abs(np.mean(errors)) < 0.2
    assert np.mean(raw) > 0.1  # what was seen is too good: that is why it is shrunk
    assert covered / 500 >= 0.85
    assert np.median(widths) <= 2.5


def test_the_forecast_is_a_normal_posterior():
    found = forecast(days(2.0), GATE)
    weights = np.exp(-((np.linspace(-8, 8, 4001) - 2.0) ** 2) / (2 * found.error**2))
    grid = np.linspace(-8, 8, 4001)
    posterior = weights * np.exp(-((grid - GATE.center) ** 2) / (2 * GATE.prior**2))
    cumulative = np.cumsum(posterior) / posterior.sum()
    assert found.sharpe == pytest.approx((grid * posterior).sum() / posterior.sum(), abs=1e-3)
    assert found.low == pytest.approx(np.interp(0.05, cumulative, grid), abs=0.01)
    assert found.high == pytest.approx(np.interp(0.95, cumulative, grid), abs=0.01)


def surrogates(n=199):
    return list(np.random.default_rng(9).normal(1.75, 0.42, n))


def test_power_is_that_of_simulated_runs():
    evidence = Evidence(surrogates(), 0.0, (2.0, 2.0))
    draw = np.random.default_rng(10)
    maxima = np.array(evidence.maxima)
    for sharpe in (1.0, 2.0, 3.0):
        found = 0
        for _ in range(2500):
            score, rival = sharpe + draw.normal() / math.sqrt(2), draw.choice(maxima)
            p_mine = ((maxima >= score).sum() + 1) / 200
            p_hold = stats.norm.sf(draw.normal() + sharpe * math.sqrt(2))
            good = p_mine <= GATE.mined and p_hold <= GATE.held
            found += score >= rival and good and stouffer(p_mine, p_hold, 730, 730) <= 0.05
        assert power(evidence, sharpe, GATE) == pytest.approx(found / 2500, abs=0.03)


def test_power_grows_with_the_ratio_and_the_years():
    evidence = Evidence(surrogates(), 0.0, (2.0, 2.0))
    shares = [power(evidence, s, GATE) for s in (0.0, 1.0, 2.0, 3.0, 5.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] > 0.99
    assert power(evidence.with_years(8.0), 2.0, GATE) > power(evidence, 2.0, GATE) + 0.2
    assert power(replace(evidence, shortlist=5), 2.0, GATE) < power(evidence, 2.0, GATE)
    assert power(replace(evidence, years=(2.0, 0.9)), 5.0, GATE) == 0


def test_the_power_card_speaks():
    lines = power_card(Evidence(surrogates(), 0.0, (2.0, 2.0)), GATE)
    assert lines[0].startswith("with these 4.0 years a true Sharpe ratio of 1 is found with 5 %; 80 % would take ")
    assert "would take" not in lines[-1]
    with pytest.raises(ConfigError, match="surrogate searches"):
        power_card(Evidence([], 0.0, (2.0, 2.0)), GATE)
