"""The search as a state: islands that breed apart, trade their best round a ring, and keep drawing fresh programs.

Everything is a function of the state, the plan and named dice: island i at epoch e takes its neighbour's migrants of
epoch e, children are appraised in any order by anyone, and results are taken by program, never by arrival. So the same
search gives the same champions on one worker or a hundred, and can be taken up again from any generation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from quantga.evolve.select import Appraisal, Member, Selection, by_score, distinct, picker, ranked, unbeaten
from quantga.evolve.sketches import sketch
from quantga.evolve.vary import Vocabulary, cross, fresh, mutate, tune
from quantga.lang.program import Program
from quantga.streams import dice

type Worths = Mapping[Program, Appraisal]
type Appraise = Callable[[Sequence[Program]], Iterable[Appraisal]]

YOUNG = 5
"""Generations during which a line of descent competes only with its own age for a share of the places (ALPS)."""
VARIANTS = 4
"""Variants of a program whose constants are tuned, per generation."""
_TRIES = 5


@dataclass(frozen=True)
class Plan:
    """What the search is: nothing here says where it runs.

    population: per island, and children per generation. fresh: share of the children that are drawn anew; three times that
    share of the places is kept for the young. tuned: how many of the best have their constants tuned each generation.
    sketches: share of the newcomers that are sketches; the others are random trees. classics: well-known rules among the
    first programs.
    """

    vocabulary: Vocabulary
    seed: int
    islands: int
    population: int
    generations: int
    selection: Selection = "nsga2"
    crossover: float = 0.6
    mutation: float = 0.35
    fresh: float = 0.05
    migrate_every: int = 5
    migrants: int = 5
    tuned: int = 2
    sketches: float = 0.7
    classics: tuple[Program, ...] = ()


@dataclass(frozen=True)
class Child:
    """A program to be appraised, and the age of its line."""

    program: Program
    age: int


@dataclass(frozen=True)
class Island:
    """One population: `members` ranked best first; `brood` awaits appraisal; `seen` was asked for here before."""

    number: int
    generation: int = 0
    members: tuple[Member, ...] = ()
    brood: tuple[Child, ...] = ()
    seen: frozenset[Program] = frozenset()


@dataclass(frozen=True)
class State:
    """All islands; generation 0 is before the first programs were asked for."""

    islands: tuple[Island, ...]

    @property
    def generation(self) -> int:
        """Generations that every island has been told about."""
        return min(island.generation for island in self.islands)

    @property
    def trials(self) -> int:
        """Distinct programs that were ever appraised."""
        return len(frozenset().union(*(island.seen for island in self.islands)))


def begin(plan: Plan) -> State:
    """Return the state before the first generation."""
    return State(tuple(Island(number) for number in range(plan.islands)))


def ask(plan: Plan, state: State) -> State:
    """Return the state with the broods that are to be appraised."""
    return State(tuple(breed(plan, island, upstream(plan, state.islands, island)) for island in state.islands))


def tell(plan: Plan, state: State, worths: Worths) -> State:
    """Return the state a generation later, given what the broods are worth."""
    return State(tuple(settle(plan, island, worths) for island in state.islands))


def search(plan: Plan, appraise: Appraise, state: State | None = None) -> State:
    """Run a whole search in this process: for searches that are themselves the unit of work, and for tests."""
    state = state or begin(plan)
    known: dict[Program, Appraisal] = {}
    while state.generation < plan.generations:
        state = ask(plan, state)
        wanted = dict.fromkeys(child.program for island in state.islands for child in island.brood)
        found = appraise([program for program in wanted if program not in known])
        known.update({appraisal.program: appraisal for appraisal in found})
        state = tell(plan, state, known)
    return state


def is_epoch(plan: Plan, generation: int) -> bool:
    """Tell whether migrants arrive before generation `generation + 1` is bred."""
    return plan.islands > 1 and plan.migrants > 0 and generation > 0 and generation % plan.migrate_every == 0


def upstream(plan: Plan, islands: Sequence[Island], island: Island) -> Island | None:
    """Return the island whose migrants arrive now, in the state that it had in that generation; None between epochs."""
    return islands[island.number - 1] if is_epoch(plan, island.generation) else None


def breed(plan: Plan, island: Island, neighbour: Island | None) -> Island:
    """Return the island with its next brood; where `neighbour` is given, its best arrive first.

    The children of a generation are distinct and new to the island, as long as `_TRIES` mutations can make them so.
    """
    members = _settled(plan, [*island.members, *_best(neighbour, plan.migrants)]) if neighbour else list(island.members)
    brood: dict[Program, Child] = {}
    for child in _children(plan, island, members):
        brood.setdefault(child.program, child)
    children = tuple(brood.values())
    return replace(island, members=tuple(members), brood=children)


def _best(island: Island, most: int) -> list[Member]:
    return sorted(island.members, key=by_score)[:most]


def _children(plan: Plan, island: Island, members: list[Member]) -> Iterable[Child]:
    """Yield a brood: classics and fresh programs at first; later tuned variants, fresh programs and offspring."""
    born: set[Program] = set()
    slots = plan.population

    def new(child: Child) -> Child:
        born.add(child.program)
        return child

    first = _first(plan, island) if island.generation == 0 else _tuned(plan, island, members)
    for program, age in first[:slots]:
        if program not in island.seen and program not in born:
            yield new(Child(program, age))
    pick = picker(members, plan.selection) if members else None
    newcomers = slots if pick is None else max(1, round(plan.fresh * slots)) if plan.fresh else 0
    for slot in range(len(born), slots):
        chance = dice(plan.seed, "breed", island.number, island.generation, slot)
        if pick is None or slot >= slots - newcomers:
            yield new(Child(_newcomer(plan, chance), 0))
            continue
        first_parent, second_parent = pick(chance), pick(chance)
        child = _offspring(plan, first_parent, second_parent, chance)
        for _ in range(_TRIES):
            if child.program not in born and child.program not in island.seen:
                break
            child = replace(child, program=mutate(plan.vocabulary, child.program, chance))
        yield new(child)


def _newcomer(plan: Plan, chance: random.Random) -> Program:
    draw = sketch if chance.random() < plan.sketches else fresh
    return draw(plan.vocabulary, chance)


def _first(plan: Plan, island: Island) -> list[tuple[Program, int]]:
    """Return the classics that begin on this island: they are dealt round, at most a quarter of a population."""
    dealt = plan.classics[island.number :: plan.islands][: plan.population // 4]
    return [(program, 0) for program in dealt]


def _tuned(plan: Plan, island: Island, members: list[Member]) -> list[tuple[Program, int]]:
    """Return variants of the best members' constants: each is a trial like any other."""
    found = []
    for place, member in enumerate(sorted(members, key=by_score)[: plan.tuned]):
        chance = dice(plan.seed, "tune", island.number, island.generation, place)
        found += [(program, member.age) for program in tune(plan.vocabulary, member.program, VARIANTS, chance)]
    return found


def _offspring(plan: Plan, one: Member, other: Member, chance: random.Random) -> Child:
    program, age = one.program, one.age
    if chance.random() < plan.crossover:
        program, age = cross(plan.vocabulary, program, other.program, chance), max(age, other.age)
    if program == one.program or chance.random() < plan.mutation:
        program = mutate(plan.vocabulary, program, chance)
    return Child(program, age)


def settle(plan: Plan, island: Island, worths: Worths) -> Island:
    """Return the island a generation later: the brood joins, equal behaviour keeps the simplest, the best stay."""
    older = [Member(member.appraisal, member.age + 1) for member in island.members]
    born = [Member(worths[child.program], child.age + 1) for child in island.brood]
    if plan.selection == "nsga2":
        members = _settled(plan, [*older, *born])
    else:
        elite = sorted(older, key=by_score)[: max(1, plan.population // 10)]
        members = _settled(plan, [*elite, *born])
    seen = island.seen | frozenset(child.program for child in island.brood)
    return Island(island.number, island.generation + 1, tuple(members), (), seen)


def _settled(plan: Plan, members: Sequence[Member]) -> list[Member]:
    """Return who stays, ranked: most places for the best of all ages, the rest for the best of the young."""
    order = ranked(distinct(members), plan.selection)
    kept_for_young = min(plan.population // 2, round(3 * plan.fresh * plan.population))
    open_places = plan.population - kept_for_young
    best, others = order[:open_places], order[open_places:]
    young = [member for member in others if member.age <= YOUNG]
    old = [member for member in others if member.age > YOUNG]
    return [*best, *[*young, *old][:kept_for_young]]


def champions(state: State, most: int) -> list[Member]:
    """Return the first Pareto front of all islands together, the best score first: at most `most`, no two alike."""
    members = distinct([member for island in state.islands for member in island.members])
    return unbeaten(members)[:most]
