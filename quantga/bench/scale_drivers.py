"""What the drivers of a campaign and of a search do, and how long it takes them: for `bench.fleet`.

The same rules as `cluster.null_searches` and `cluster.rounds` with `cluster.fan_out`; only the time is on paper.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from quantga.bench.fleet import Sent, Task, lognormal
from quantga.settings import Cluster
from quantga.streams import stream


@dataclass(frozen=True)
class Facts:
    """Measured seconds, of one core.

    search: a whole search in a task; search_spread, batch_spread: standard deviation over mean of a task's time. appraise: of a
    program; breed: the driver's for a program, from being bred to being settled. task, program: the driver's for a batch, and
    for each program in it. null: the driver's for a search in a task. put: until an object is written; commit: the driver's for
    a generation's objects. index: the catalog's for a generation.
    """

    search: float
    search_spread: float
    appraise: float
    batch_spread: float
    breed: float
    task: float
    program: float
    null: float
    put: float
    commit: float
    index: float
    market_bytes: float


class Campaign:
    """One driver of many whole searches, in the order of their numbers, at most three times the cores ahead."""

    AHEAD = 3

    def __init__(self, facts: Facts, searches: int, cores: int, seed: int) -> None:
        self.busy = self._clock = self._last = 0.0
        self._facts, self._cores = facts, cores
        times = lognormal(stream(seed, "searches"), facts.search, facts.search_spread, searches)
        self._waiting = deque(Task(seconds, number) for number, seconds in enumerate(times))
        self._next, self._back, self._running = 0, set[int](), 0

    def begin(self) -> Sequence[Sent]:
        """Send out one for each core."""
        return self._send(0.0)

    def back(self, task: Task, now: float) -> Sequence[Sent]:
        """Take an answer, which is kept by another thread, and send out what has room."""
        self._last = now
        self._running -= 1
        self._back.add(task.what)
        while self._next in self._back:
            self._back.remove(self._next)
            self._next += 1
        return self._send(now)

    def end(self) -> float:
        """Return when the last answer was kept."""
        return max(self._clock, self._last) + self._facts.put

    def _send(self, now: float) -> list[Sent]:
        sent = []
        while (
            self._waiting and self._running < self._cores and self._running + len(self._back) < self.AHEAD * self._cores
        ):
            self._clock = max(self._clock, now) + self._facts.null
            self.busy += self._facts.null
            self._running += 1
            sent.append((self._clock, self._waiting.popleft()))
        return sent


@dataclass(frozen=True)
class Size:
    """How large a search is; migrate_every: generations after which islands wait for each other."""

    islands: int
    population: int
    generations: int
    assets: int = 1
    migrate_every: int = 5


class Evolution:
    """The driver of one search: islands breed when their brood is back; whole generations are written in order."""

    def __init__(self, facts: Facts, size: Size, cores: int, seed: int) -> None:
        self.busy = self._clock = 0.0
        self._facts, self._size, self._cores = facts, size, cores
        self._draw = stream(seed, "batches")
        self._appraise = facts.appraise * size.assets
        self._least = Cluster().batch_ms / 1000 / self._appraise
        self._generation = [0] * size.islands
        self._missing = [0] * size.islands
        self._outstanding = 0
        self._idle = set(range(size.islands))
        self._written = 0

    def begin(self) -> Sequence[Sent]:
        """Breed every island's first brood."""
        return self._breed()

    def back(self, task: Task, now: float) -> Sequence[Sent]:
        """Take a batch; the island whose brood is whole settles, and breeds if it may."""
        island, count = divmod(task.what, 1_000_000)
        self._work(now, self._facts.task / 2)
        self._missing[island] -= count
        self._outstanding -= count
        if self._missing[island]:
            return []
        self._generation[island] += 1
        self._idle.add(island)
        while self._written < min(self._generation):
            self._written += 1
            self._work(now, self._facts.commit)
        return self._breed()

    def end(self) -> float:
        """Return when the last generation was written."""
        return self._clock

    def _breed(self) -> list[Sent]:
        sent: list[Sent] = []
        for island in sorted(self._idle):
            done = self._generation[island]
            epoch = done > 0 and done % self._size.migrate_every == 0
            if done < self._size.generations and (not epoch or self._generation[island - 1] >= done):
                self._idle.discard(island)
                sent += self._brood(island)
        return sent

    def _brood(self, island: int) -> list[Sent]:
        facts, count = self._facts, self._size.population
        self._work(self._clock, facts.breed * count)
        parts = 1 if not self._outstanding else 2
        self._missing[island] = count
        self._outstanding += count
        size = max(self._least, self._outstanding / (parts * self._cores), 1.0)
        batches = max(1, round(count / size))
        seconds = lognormal(self._draw, self._appraise, facts.batch_spread, batches)
        sent = []
        for number, each in enumerate(seconds):
            programs = count * (number + 1) // batches - count * number // batches
            self._work(self._clock, facts.task / 2 + facts.program * programs)
            sent.append((self._clock, Task(each * programs, island * 1_000_000 + programs)))
        return sent

    def _work(self, now: float, seconds: float) -> None:
        self._clock = max(self._clock, now) + seconds
        self.busy += seconds
