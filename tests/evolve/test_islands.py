"""The search as a state: reproducible, resumable, honest in counting, and islands meet only at epochs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from quantga.evolve.islands import ask, begin, breed, champions, search, settle, tell, upstream
from quantga.evolve.select import by_score
from quantga.lang.parse import parse
from tests.evolve.fake import appraise, plan, worth


def fingerprint(state):
    return [(island.number, [(m.program.id, m.age) for m in island.members]) for island in state.islands]


@pytest.mark.parametrize("selection", ["nsga2", "tournament", "lexicase"])
def test_a_search_repeats_and_another_seed_changes_it(selection):
    first = fingerprint(search(plan(selection=selection), appraise))
    assert fingerprint(search(plan(selection=selection), appraise)) == first
    assert fingerprint(search(plan(selection=selection, seed=4), appraise)) != first


def test_the_order_in_which_appraisals_come_back_does_not_matter():
    def shuffled(programs):
        found = appraise(programs)
        random.Random(len(found)).shuffle(found)
        return found

    assert fingerprint(search(plan(), shuffled)) == fingerprint(search(plan(), appraise))


def test_a_search_can_be_taken_up_again_from_any_generation():
    whole = search(plan(), appraise)
    for stop in (1, 2, 4):
        half = search(plan(generations=stop), appraise)
        assert half.generation == stop
        assert fingerprint(search(plan(), appraise, half)) == fingerprint(whole)


def test_the_search_finds_what_is_worth_more():
    state = search(plan(generations=1), appraise)
    start = max(m.appraisal.score for island in state.islands for m in island.members)
    end = max(m.appraisal.score for m in champions(search(plan(generations=12), appraise), 50))
    assert end > start + 1


def test_every_distinct_program_is_one_trial():
    asked: list[str] = []

    def counting(programs):
        asked.extend(program.id for program in programs)
        return appraise(programs)

    state = search(plan(), counting)
    assert len(asked) == len(set(asked)) == state.trials
    assert state.trials > 0.9 * 3 * 16 * 6


def test_a_population_has_no_two_alike_and_no_failure():
    for island in search(plan(), appraise).islands:
        likes = [member.likeness for member in island.members]
        assert len(likes) == len(set(likes)) <= 16
        assert not any(member.appraisal.failed for member in island.members)


def test_islands_meet_only_at_epochs_and_take_their_neighbours_best_of_that_epoch():
    settings = plan(migrate_every=2)
    state, arrived = begin(settings), 0
    for generation in range(5):
        asked = ask(settings, state)
        for island in state.islands:
            neighbour = upstream(settings, state.islands, island)
            assert (neighbour is not None) == (generation in (2, 4))
            before, after = set(island.members), set(asked.islands[island.number].members)
            if neighbour is None:
                assert after == before
                continue
            assert (neighbour.number, neighbour.generation) == ((island.number - 1) % 3, generation)
            best = sorted(neighbour.members, key=by_score)[: settings.migrants]
            assert after - before <= set(best)
            arrived += len(after - before)
        worths = {child.program: worth(child.program) for island in asked.islands for child in island.brood}
        state = tell(settings, asked, worths)
    assert arrived > 3


def test_one_island_changes_nothing_on_another_before_an_epoch():
    settings = plan(migrate_every=100)
    full = search(settings, appraise)
    alone = begin(settings).islands[1]
    for _ in range(settings.generations):
        bred = breed(settings, alone, None)
        alone = settle(settings, bred, {child.program: worth(child.program) for child in bred.brood})
    assert [m.program.id for m in alone.members] == [m.program.id for m in full.islands[1].members]


def test_fresh_programs_come_every_generation_and_the_young_keep_a_share():
    settings = plan(population=40, fresh=0.1, generations=8)
    state = search(settings, appraise)
    assert all(any(child.age == 0 for child in island.brood) for island in ask(settings, state).islands)
    for island in state.islands:
        assert sum(member.age <= 5 for member in island.members) >= 3


def test_classics_are_among_the_first_programs():
    classics = tuple(parse(f"when(gt(close, mean(close, {n})), long, short)") for n in (20, 50, 100, 200))
    state = ask(plan(classics=classics), begin(plan(classics=classics)))
    asked = [child.program for island in state.islands for child in island.brood]
    assert set(classics) <= set(asked)


def test_constants_of_the_best_are_tuned_as_trials():
    settings = plan(tuned=2, crossover=0.0, mutation=0.0, fresh=0.0)
    state = search(replace(settings, generations=2), appraise)
    for island in state.islands:
        bred = breed(settings, island, None)
        best = max(bred.members, key=lambda m: m.appraisal.score).program
        near = [
            child.program
            for child in bred.brood
            if len(child.program.tokens) == len(best.tokens)
            and sum(a != b for a, b in zip(child.program.tokens, best.tokens, strict=True)) == 1
        ]
        assert near


def test_champions_are_the_common_front():
    state = search(plan(), appraise)
    found = champions(state, 50)
    scores = [member.appraisal.score for member in found]
    assert scores == sorted(scores, reverse=True)
    assert len({member.program.id for member in found}) == len(found)
    everyone = [m.appraisal.score for island in state.islands for m in island.members]
    assert scores[0] == max(everyone)
