"""The measured populations are what they are said to be."""

from __future__ import annotations

from quantga.bench.baselines import is_comparable
from quantga.bench.populations import describe, evolved_population, random_population, summary
from quantga.bench.story import chance_market


def test_populations_are_functions_of_their_seed_and_can_be_compared() -> None:
    bars = chance_market(3_000)
    random = random_population(bars, 40, 1)
    evolved = evolved_population(bars, 40, 1, generations=2)
    assert random == random_population(bars, 40, 1)
    assert evolved == evolved_population(bars, 40, 1, generations=2)
    for population in (random, evolved):
        assert len(set(population)) == len(population) == 40
        assert all(is_comparable(program) for program in population)


def test_a_description_counts_what_is_there() -> None:
    bars = chance_market(3_000)
    programs = random_population(bars, 30, 2)
    found = describe([*programs, programs[0]], bars)
    assert (found.programs, found.distinct_texts) == (31, 30)
    assert found.distinct_signals <= 30
    assert found.nodes_shared < found.nodes_written
    assert sum(found.operators.values()) > 31
    assert sum(found.kernels.values()) == found.nodes_shared
    assert summary(found)["operators_used"] == len(found.operators)
