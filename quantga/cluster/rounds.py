"""The islands' clocks: each breeds as soon as its own brood is appraised, so the workers are not kept waiting.

Between epochs islands need nothing of each other, so one may be generations ahead; what is yielded, and so what is
written, is whole generations in order, and it is the same whatever came back first.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from quantga.cluster.fan_out import Crew
from quantga.errors import ClusterError
from quantga.evolve.islands import Child, Island, Plan, State, breed, is_epoch, settle
from quantga.evolve.select import Appraisal
from quantga.lang.program import Program


@dataclass(frozen=True)
class Round:
    """One generation of all islands: its number (from 1), the state after it, what each island asked for, and its worth.

    new: how many of those programs no island had asked for in an earlier generation.
    """

    generation: int
    state: State
    broods: tuple[tuple[Child, ...], ...]
    worths: Mapping[Program, Appraisal]
    new: int


def rounds(plan: Plan, state: State, known: dict[Program, Appraisal], crew: Crew) -> Iterator[Round]:
    """Yield the generations after `state` in order; `known` gains every appraisal, and nothing in it is appraised again."""
    clocks = Clocks(plan, state, known)
    crew.submit(clocks.advance())
    while clocks.done < plan.generations:
        while clocks.complete:
            yield clocks.pop()
        if clocks.done < plan.generations:
            found = crew.collect()
            if not found:
                raise ClusterError("every batch came back, and appraisals are missing: give the same command again")
            clocks.told(found)
            crew.submit(clocks.advance())


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Keep the collector of reference cycles still: breeding makes many small objects and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Clocks:
    """Where every island is: what it waits for, and which generations are complete."""

    def __init__(self, plan: Plan, state: State, known: dict[Program, Appraisal]) -> None:
        self._plan, self._known = plan, known
        self._asked = set(known)
        self.done = state.generation
        self._told: dict[int, dict[int, Island]] = {self.done: {island.number: island for island in state.islands}}
        self._broods: dict[int, dict[int, tuple[Child, ...]]] = {}
        self._bred: dict[int, Island] = {}  # by number: waits for its brood
        self._idle: dict[int, Island] = {island.number: island for island in state.islands}  # may breed
        self._missing: dict[int, int] = {}
        self._awaited: dict[Program, list[int]] = {}

    @property
    def complete(self) -> bool:
        """Whether every island has been told about the generation after the last one popped."""
        return len(self._told.get(self.done + 1, ())) == self._plan.islands

    def pop(self) -> Round:
        """Return the next complete generation."""
        del self._told[self.done]
        self.done += 1
        told, bred = self._told[self.done], self._broods.pop(self.done)
        numbers = range(self._plan.islands)
        broods = tuple(bred[n] for n in numbers)
        worths = {child.program: self._known[child.program] for brood in broods for child in brood}
        new = [program for program in worths if program not in self._asked]
        self._asked.update(new)
        return Round(self.done, State(tuple(told[n] for n in numbers)), broods, worths, len(new))

    def told(self, found: list[Appraisal]) -> None:
        """Take appraisals; islands whose brood is whole settle."""
        with _no_collecting():
            for appraisal in found:
                self._known[appraisal.program] = appraisal
                for number in self._awaited.pop(appraisal.program, ()):
                    self._missing[number] -= 1
            self._settle()

    def advance(self) -> list[Program]:
        """Let every island breed that can; return the programs that nobody has asked for yet."""
        wanted: list[Program] = []
        with _no_collecting():
            while ready := [island for island in self._idle.values() if self._may_breed(island)]:
                for island in ready:
                    wanted += self._breed(island)
                self._settle()
        return wanted

    def _may_breed(self, island: Island) -> bool:
        if island.generation >= self._plan.generations:
            return False
        return not is_epoch(self._plan, island.generation) or self._upstream(island) is not None

    def _upstream(self, island: Island) -> Island | None:
        number = (island.number - 1) % self._plan.islands
        return self._told.get(island.generation, {}).get(number)

    def _breed(self, island: Island) -> list[Program]:
        del self._idle[island.number]
        neighbour = self._upstream(island) if is_epoch(self._plan, island.generation) else None
        bred = breed(self._plan, island, neighbour)
        self._bred[island.number] = bred
        self._broods.setdefault(island.generation + 1, {})[island.number] = bred.brood
        lacking = [child.program for child in bred.brood if child.program not in self._known]
        self._missing[island.number] = len(lacking)
        new = [program for program in lacking if program not in self._awaited]
        for program in lacking:
            self._awaited.setdefault(program, []).append(island.number)
        return new

    def _settle(self) -> None:
        for number in [n for n, missing in self._missing.items() if missing == 0]:
            del self._missing[number]
            island = settle(self._plan, self._bred.pop(number), self._known)
            self._told.setdefault(island.generation, {})[number] = island
            self._idle[number] = island
