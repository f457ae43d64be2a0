"""Overlapped islands give exactly what the plain loop gives, whatever comes back first and wherever one resumes."""

from __future__ import annotations

import random

import pytest

from quantga.cluster.fan_out import Inline
from quantga.cluster.rounds import rounds
from quantga.errors import ClusterError
from quantga.evolve.islands import begin, search
from tests.evolve.fake import appraise, plan


class Scattered:
    """A crew that returns a few appraisals at a time, in an order of its own."""

    def __init__(self, seed: int) -> None:
        self.draw, self.waiting, self.asked = random.Random(seed), [], []

    def submit(self, programs):
        self.waiting += programs
        self.asked += programs

    def collect(self):
        self.draw.shuffle(self.waiting)
        count = self.draw.randint(1, 12)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return appraise(taken)


def fingerprint(state):
    return [[(m.program.id, m.age) for m in island.members] for island in state.islands]


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_completion_does_not_matter(seed):
    settings = plan(migrate_every=3, generations=7)
    crew = Scattered(seed)
    done = list(rounds(settings, begin(settings), {}, crew))
    assert [one.generation for one in done] == list(range(1, 8))
    whole = search(settings, appraise)
    assert fingerprint(done[-1].state) == fingerprint(whole)
    assert (
        sum(one.new for one in done) == whole.trials == len({program.id for program in crew.asked}) == len(crew.asked)
    )
    plain = list(rounds(settings, begin(settings), {}, Inline(appraise)))
    assert [(one.broods, one.new) for one in done] == [(one.broods, one.new) for one in plain]


def test_islands_run_ahead_between_epochs_only():
    settings = plan(migrate_every=3, generations=6, islands=2)

    class Partial(Scattered):
        """Island 1's programs do not come back as long as anything else does."""

        def collect(self):
            first = [p for p in self.waiting if p in ours] or self.waiting
            self.waiting = [p for p in self.waiting if p not in first]
            return appraise(first)

    alone = search(plan(migrate_every=3, generations=6, islands=1, migrants=0), appraise)
    ours = alone.islands[0].seen
    crew = Partial(1)
    (first, *_) = rounds(settings, begin(settings), {}, crew)
    assert first.generation == 1
    asked_before = len([p for p in crew.asked if p in ours])
    assert asked_before >= 3 * 14


def test_resuming_asks_for_nothing_that_is_known():
    settings = plan(generations=6)
    known = {}
    half = [one for one, _ in zip(rounds(settings, begin(settings), known, Inline(appraise)), range(3), strict=False)]
    kept = {p: a for one in half for p, a in one.worths.items()}
    crew = Scattered(3)
    rest = list(rounds(settings, half[-1].state, dict(kept), crew))
    assert not {program.id for program in crew.asked} & {program.id for program in kept}
    assert fingerprint(rest[-1].state) == fingerprint(search(settings, appraise))


def test_a_crew_that_loses_work_is_an_error():
    class Lossy(Scattered):
        def collect(self):
            self.waiting = []
            return []

    with pytest.raises(ClusterError, match="missing"):
        list(rounds(plan(), begin(plan()), {}, Lossy(1)))
