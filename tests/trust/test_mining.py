"""The mining p-value: the rule by hand, exact on nulls, never too small, and one order for a shortlist."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from quantga.errors import ConfigError
from quantga.trust.mining import Stop, library_key, mining_p, repeated, settled

STOP = Stop()


def one(score, maxima, stop=STOP, seed=1):
    return mining_p([score], maxima, stop, seed)[0]


def test_it_stops_at_the_fifth_exceedance():
    read = []

    def maxima():
        for value in [0, 3, 3, 0, 3, 3, 0, 3, 9, 9]:
            read.append(value)
            yield value

    found = one(2.5, maxima())
    assert (found.p, found.searches, found.exceedances) == (5 / 8, 8, 5)
    assert len(read) == 8
    assert 5 / 9 < found.uniform <= 5 / 8
    assert found.skill == pytest.approx(2.5 - 15 / 8)


def test_without_exceedances_it_asks_them_all():
    found = one(10.0, [0.0] * 300)
    assert (found.p, found.searches, found.exceedances) == (1 / 200, 199, 0)
    assert 0 < found.uniform <= 1 / 200
    assert one(10.0, [0.0] * 100 + [11.0] * 2 + [0.0] * 97).p == 3 / 200


def test_a_tie_counts_against_the_champion():
    assert one(1.0, [1.0] * 5).p == 1
    spread = [one(1.0, [1.0] * 199, seed=seed).uniform for seed in range(400)]
    assert stats.kstest(spread, "uniform").pvalue > 0.01


def exact_law(stop):
    """Return P(p <= x) at the values that p can take on a null, from the ranks of exchangeable scores."""
    h, b = stop.exceedances, stop.most
    law = {Fraction(g + 1, b + 1): Fraction(g + 1, b + 1) for g in range(h)}
    law |= {Fraction(h, length): Fraction(h, length) for length in range(h, b + 1)}
    return law


@pytest.mark.parametrize("stop", [STOP, Stop(1, 19), Stop(19, 19)])
def test_p_on_nulls_is_valid_and_randomised_exactly_uniform(stop):
    draw = np.random.default_rng(2)
    found = [one(draw.normal(), draw.normal(size=stop.most), stop, seed) for seed in range(3000)]
    p, uniform = np.array([x.p for x in found]), np.array([x.uniform for x in found])
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert (uniform <= p).all()
    for value, said in exact_law(stop).items():
        share = (p <= float(value) + 1e-12).mean()
        assert share == pytest.approx(float(said), abs=4.5 * math.sqrt(0.25 / 3000))
        assert float(said) <= float(value)
    if stop == STOP:
        assert np.mean([x.searches for x in found]) < 30


def test_a_shortlist_keeps_its_order():
    maxima = list(np.random.default_rng(3).normal(1.75, 0.4, 199))
    scores = [1.8, 3.0, 2.2, 2.2, -math.inf]
    found = mining_p(scores, maxima, STOP, 1)
    assert found[1] == mining_p([3.0], maxima, STOP, 1)[0]
    order = sorted(range(5), key=lambda k: -scores[k])
    assert [found[k].p for k in order] == sorted(x.p for x in found)
    assert found[2] == found[3]
    assert found[4].p == 1
    assert math.isnan(found[4].skill)


@given(
    scores=st.lists(st.floats(-3, 3), min_size=1, max_size=5),
    maxima=st.lists(st.floats(-3, 3), min_size=40, max_size=40),
)
def test_a_higher_score_never_has_a_larger_p(scores, maxima):
    found = mining_p(scores, maxima, Stop(3, 40), 1)
    for a, x in zip(scores, found, strict=True):
        assert 0 < x.p <= 1
        assert 0 < x.uniform <= 1
        for b, y in zip(scores, found, strict=True):
            assert a <= b or x.p <= y.p


def test_the_family_wise_error_of_a_shortlist_is_that_of_its_best():
    draw = np.random.default_rng(4)
    wrong = 0
    for seed in range(1500):
        searches = np.sort(draw.normal(size=(200, 6)), axis=1)[:, ::-1]
        shortlist = list(searches[0, :3])
        wrong += any(x.p <= 0.05 for x in mining_p(shortlist, searches[1:, 0], STOP, seed))
    assert wrong / 1500 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1500)


def test_more_are_needed_until_it_is_settled():
    assert not settled(2.0, [3.0] * 4, STOP)
    assert settled(2.0, [3.0] * 5, STOP)
    assert settled(5.0, [3.0] * 199, STOP)
    with pytest.raises(ConfigError, match="do not settle it"):
        one(5.0, [3.0] * 50)


@pytest.mark.parametrize(("scores", "maxima"), [([], [1.0]), ([math.nan], [1.0]), ([1.0], [math.nan])])
def test_a_search_without_a_score_is_refused(scores, maxima):
    with pytest.raises(ConfigError, match="score"):
        mining_p(scores, maxima, STOP, 1)


def test_a_rule_that_cannot_end_is_refused():
    with pytest.raises(ConfigError, match="1 <= h <= B"):
        Stop(5, 4)


def test_the_best_of_many_searches():
    assert repeated(0.01, 1) == pytest.approx(0.01)
    assert repeated(0.01, 10) == pytest.approx(1 - 0.99**10)
    assert repeated(1.0, 3) == 1
    with pytest.raises(ConfigError):
        repeated(0.1, 0)


PARTS = {
    "dataset": "d",
    "symbols": ["BTC"],
    "span": [0, 1],
    "grammar": "g",
    "search": {"islands": 4},
    "costs": {"fee": 0.00045},
    "surrogate": "sign",
}


def test_a_key_is_of_one_kind_of_search():
    keys = {library_key(PARTS), library_key(dict(reversed(PARTS.items())))}
    assert len(keys) == 1
    assert len(keys | {library_key(PARTS | {name: ["other"]}) for name in PARTS}) == 1 + len(PARTS)


def test_a_key_that_says_too_little_or_too_much_is_refused():
    with pytest.raises(ConfigError, match="lacks costs, search"):
        library_key({name: value for name, value in PARTS.items() if name not in {"costs", "search"}})
    with pytest.raises(ConfigError, match="every seed"):
        library_key(PARTS | {"search": {"seed": 3}})
