"""Selection: fronts as by their definition, one member per behaviour, no draw from anyone's generator but the caller's."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.evolve.select import (
    PARSIMONY,
    Appraisal,
    Member,
    Record,
    by_score,
    complexity,
    distinct,
    fronts,
    merit,
    picker,
    ranked,
    unbeaten,
)
from quantga.evolve.vary import random_programs
from quantga.lang.parse import parse
from quantga.streams import dice

PROGRAMS = random_programs(60, seed=4)


def member(place: int, score: float, drawdown: float = 0.1, **more) -> Member:
    given_ = {"behaviour": place, **more}
    return Member(Appraisal(PROGRAMS[place], score, drawdown, **given_), age=0)


def dominates(one: Member, other: Member) -> bool:
    if min(one.appraisal.score, other.appraisal.score) <= 0.0:
        return one.appraisal.score > other.appraisal.score
    a = (one.appraisal.score, -one.appraisal.drawdown, -one.complexity)
    b = (other.appraisal.score, -other.appraisal.drawdown, -other.complexity)
    return a != b and all(x >= y for x, y in zip(a, b, strict=True))


scores = st.sampled_from([-1e9, -1.0, 0.0, 0.5, 1.0, 2.0])
drawdowns = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])


@given(st.lists(st.tuples(scores, drawdowns), min_size=1, max_size=60))
def test_fronts_are_what_their_definition_says(points):
    members = [member(i, score, drawdown) for i, (score, drawdown) in enumerate(points)]
    left = members
    for front in fronts(members):
        expected = [m for m in left if not any(dominates(other, m) for other in left)]
        assert sorted(m.program.id for m in front) == sorted(m.program.id for m in expected)
        left = [m for m in left if m not in front]
    assert left == []
    assert unbeaten(members) == sorted(fronts(members)[0], key=by_score)


def test_next_to_no_position_is_no_merit():
    idle, worse, earns = member(0, -0.1, 0.001), member(1, -3.0, 0.0), member(2, 0.2, 0.9)
    assert fronts([worse, idle, earns]) == [[earns], [idle], [worse]]


@pytest.mark.parametrize("selection", ["nsga2", "tournament", "lexicase"])
def test_ranking_does_not_depend_on_the_order_of_arrival(selection):
    draw = np.random.default_rng(1)
    members = [member(i, float(draw.integers(0, 5)), float(draw.integers(0, 5))) for i in range(50)]
    shuffled = [members[i] for i in draw.permutation(50)]
    assert ranked(members, selection) == ranked(shuffled, selection)
    assert len(ranked(members, selection)) == 50


def test_equal_behaviour_keeps_the_simplest_and_failure_goes():
    small = min(range(60), key=lambda i: (PROGRAMS[i].size, PROGRAMS[i].id))
    members = [member(i, 1.0, behaviour=7) for i in range(20) if i != small] + [member(small, 0.5, behaviour=7)]
    assert distinct(members) == [members[-1]]
    assert distinct([member(1, 1.0, failed="ruined")]) == []
    stopped = Member(Appraisal(parse(f"{PROGRAMS[small]} with stop=0.05"), 1.0, 0.1, 7), age=0)
    assert distinct([members[-1], stopped]) == [members[-1], stopped]


def test_complexity_counts_what_is_said_once_and_genes():
    twice = "when(gt(zscore(ret, 48), 1), long, when(lt(zscore(ret, 48), -1), short, hold))"
    assert len(parse(twice).tokens) == 15
    assert complexity(parse(twice)) == 12
    assert complexity(parse("when(gt(close, open), long, short)")) == 6
    assert complexity(parse("when(gt(close, open), long, short) with stop=0.05, take=0.1")) == 10


def test_better_members_breed_more_often():
    members = sorted((member(i, float(i)) for i in range(40)), key=by_score)
    for selection in ("nsga2", "tournament"):
        pick = picker(members, selection)
        places = [members.index(pick(dice(1, "pick", i))) for i in range(400)]
        assert np.mean(places) < 15


def test_lexicase_finds_the_specialists():
    specialist = member(0, 0.1, cases=(9.0, 0.0, 0.0, 0.0))
    average = [member(i, 1.0, cases=(1.0 + i / 100, 1.0, 1.0, 1.0)) for i in range(1, 30)]
    pick = picker([*average, specialist], "lexicase")
    picked = [pick(dice(1, "pick", i)) for i in range(200)]
    assert 20 < picked.count(specialist) < 90


def test_nobody_draws_from_the_global_generators():
    members = [member(i, float(i % 7), float(i % 5), cases=(1.0, float(i))) for i in range(50)]
    before, numpy_before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
    for selection in ("nsga2", "tournament", "lexicase"):
        picker(ranked(members, selection), selection)(dice(1))
    assert random.getstate() == before
    assert str(np.random.get_state()) == numpy_before  # noqa: NPY002


def test_a_score_is_the_ratio_less_its_tails_and_the_price_of_complexity():
    assert merit(Record(2.0, 0.0, 1.0, 365.0), 0) == pytest.approx(2.0)
    assert merit(Record(2.0, 0.0, 1.0, 365.0), 10) == pytest.approx(2.0 - 10 * PARSIMONY)
    assert merit(Record(2.0, 0.0, 1.0, 4 * 365.0), 10) == pytest.approx(2.0 - 10 * PARSIMONY / 2)
    assert merit(Record(2.0, -5.0, 60.0, 365.0), 0) < 1.7
    assert merit(Record(2.0, 9.0, 3.0, 365.0), 0) == pytest.approx(2.0)
    for record in (
        Record(float("nan"), 0.0, 3.0, 365.0),
        Record(1.0, 0.0, float("nan"), 365.0),
        Record(1.0, 0.0, 3.0, 0.0),
    ):
        assert merit(record, 3) == float("-inf")
