"""A cluster that exists on paper: nodes that vanish, cores that take tasks, and one driver who does one thing at a time.

A discrete-event simulation. What a driver does with an answer is its own affair (`Driver`); the fleet only says when.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Protocol

import numpy as np

from quantga.streams import stream

_HOUR_S = 3600.0


@dataclass(frozen=True)
class Fleet:
    """The machines: cores in all and on a node, nodes lost an hour each, seconds until one is replaced, and its price.

    notice_s: seconds until a lost task is sent out again. fetch_s: seconds until a new node has the market.
    """

    cores: int
    node_cores: int = 16
    loss_per_hour: float = 0.05
    replace_s: float = 120.0
    notice_s: float = 10.0
    fetch_s: float = 1.0
    usd_per_hour: float = 0.30

    @property
    def nodes(self) -> list[int]:
        """How many cores each node has."""
        whole, rest = divmod(self.cores, self.node_cores)
        return [self.node_cores] * whole + ([rest] if rest else [])


@dataclass(eq=False)
class Task:
    """Work of `seconds` on one core, and what it is to its driver."""

    seconds: float
    what: int = 0


type Sent = tuple[float, Task]


class Driver(Protocol):
    """Who sends tasks out: at the start, and whenever one is back; `busy` seconds so far."""

    busy: float

    def begin(self) -> Sequence[Sent]:
        """Return the first tasks, each with the time at which it leaves."""

    def back(self, task: Task, now: float) -> Sequence[Sent]:
        """Take an answer; return further tasks, each with the time at which it leaves."""

    def end(self) -> float:
        """Return when the driver was done, once no task is out."""


@dataclass(frozen=True)
class Story:
    """What came of it: wall seconds, core seconds of work that was of use and of work that was lost, nodes lost, USD."""

    wall: float
    useful: float
    lost: float
    losses: int
    usd: float
    driver: float

    def utilisation(self, cores: int) -> float:
        """Share of all cores' time that was of use; a core that is being replaced counts as idle."""
        return self.useful / (cores * self.wall)


class Simulation:
    """One driver on one fleet. The seed names the losses."""

    def __init__(self, fleet: Fleet, driver: Driver, seed: int) -> None:
        self._fleet, self._driver = fleet, driver
        self._draw = stream(seed, "losses")
        self._events: list[tuple[float, int, str, tuple[int, int], Task | None]] = []
        self._count = 0
        self._queue: deque[Task] = deque()
        self._idle: deque[tuple[int, int]] = deque()  # (node, its incarnation)
        self._life = [0] * len(fleet.nodes)
        self._running: list[dict[Task, float]] = [{} for _ in fleet.nodes]
        self._out = 0
        self._useful = self._lost = 0.0
        self._losses = 0

    def run(self) -> Story:
        """Run to the end."""
        for node in range(len(self._fleet.nodes)):
            self._at(self._fleet.fetch_s, "joins", node)
        self._send(self._driver.begin())
        now = 0.0
        while self._out:
            now, _, what, (node, life), task = heapq.heappop(self._events)
            if what == "joins":
                self._join(node, now)
            elif what == "lost":
                self._lose(node, now)
            elif what == "leaves" and task is not None:
                self._queue.append(task)
            elif task is not None and life == self._life[node]:
                self._take(node, task, now)
            self._dispatch(now)
        wall = max(now, self._driver.end())
        hours = wall / _HOUR_S * len(self._fleet.nodes)
        usd = hours * self._fleet.usd_per_hour
        return Story(wall, self._useful, self._lost, self._losses, usd, self._driver.busy)

    def _at(self, when: float, what: str, node: int = 0, task: Task | None = None) -> None:
        self._count += 1
        life = self._life[node]
        heapq.heappush(self._events, (when, self._count, what, (node, life), task))

    def _send(self, sent: Sequence[Sent]) -> None:
        for when, task in sent:
            self._out += 1
            self._at(when, "leaves", task=task)

    def _join(self, node: int, now: float) -> None:
        self._idle.extend((node, self._life[node]) for _ in range(self._fleet.nodes[node]))
        if self._fleet.loss_per_hour > 0:
            rate = -log(1 - self._fleet.loss_per_hour) / _HOUR_S
            self._at(now + self._draw.exponential(1 / rate), "lost", node)

    def _lose(self, node: int, now: float) -> None:
        self._losses += 1
        self._life[node] += 1
        for task, since in self._running[node].items():
            self._lost += now - since
            self._at(now + self._fleet.notice_s, "leaves", task=task)
        self._running[node].clear()
        self._at(now + self._fleet.replace_s + self._fleet.fetch_s, "joins", node)

    def _take(self, node: int, task: Task, now: float) -> None:
        del self._running[node][task]
        self._out -= 1
        self._useful += task.seconds
        self._idle.append((node, self._life[node]))
        self._send(self._driver.back(task, now))

    def _dispatch(self, now: float) -> None:
        while self._queue and self._idle:
            node, life = self._idle.popleft()
            if life != self._life[node]:
                continue
            task = self._queue.popleft()
            self._running[node][task] = now
            self._at(now + task.seconds, "ends", node, task)


def lognormal(draw: np.random.Generator, mean: float, spread: float, size: int) -> list[float]:
    """Return times of a lognormal law with that mean; `spread` is the standard deviation over the mean."""
    sigma = sqrt(log(1 + spread * spread))
    return [float(value) for value in draw.lognormal(log(mean) - sigma * sigma / 2, sigma, size)]
