"""Fronts and crowding: DEAP's own functions are the referee, with many ties."""

from __future__ import annotations

from deap.base import Fitness
from deap.tools import sortLogNondominated
from deap.tools.emo import assignCrowdingDist
from hypothesis import given
from hypothesis import strategies as st

from quantga.evolve.fronts import crowding, fronts_of


class Goals(Fitness):
    weights = (1.0, -1.0, -1.0)


class Candidate:
    def __init__(self, place: int, point: tuple[float, float, float]) -> None:
        self.place, self.fitness = place, Goals(point)


rough = st.sampled_from([-2.5, -1.0, 0.0, 0.1, 0.3, 1.0])
fine = st.floats(-3, 3, allow_subnormal=False)
clouds = st.one_of(
    st.lists(st.tuples(rough, rough, rough), min_size=1, max_size=80),
    st.lists(st.tuples(fine, fine, st.integers(1, 9).map(float)), min_size=1, max_size=80),
)


@given(clouds)
def test_fronts_and_distances_are_those_of_deap(points):
    theirs = sortLogNondominated([Candidate(i, point) for i, point in enumerate(points)], len(points))
    ours = fronts_of(points)
    assert ours == [[one.place for one in front] for front in theirs]
    for places, front in zip(ours, theirs, strict=True):
        assignCrowdingDist(front)
        assert crowding([points[place] for place in places]) == [one.fitness.crowding_dist for one in front]


def test_no_points_have_no_fronts():
    assert (fronts_of([]), crowding([])) == ([], [])
