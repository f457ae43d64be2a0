"""A function on each of many arguments, as Ray tasks or in this process: for work whose pieces need nothing of each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from quantga.cluster.attempts import Attempts
from quantga.cluster.connect import connect
from quantga.engine.warm import warm
from quantga.settings import Cluster

type Task = Callable[..., Any]
type Each = Callable[[Task, Sequence[tuple[Any, ...]]], Iterator[tuple[int, Any]]]
"""Runs a task on each of some arguments and yields (place, result) as they come, in whatever order."""


@contextmanager
def each(cluster: Cluster) -> Iterator[Each]:
    """Yield what runs tasks: with one worker in this process, in the order given; else on Ray, as `connect` finds it."""
    if cluster.workers == 1:
        warm()
        yield lambda task, rows: ((place, task(*row)) for place, row in enumerate(rows))
        return
    with connect(cluster) as workers:
        yield lambda task, rows: _on_ray(task, rows, workers)


def _on_ray(task: Task, rows: Sequence[tuple[Any, ...]], workers: int) -> Iterator[tuple[int, Any]]:
    running = Attempts(task, task.__name__)
    waiting = deque(enumerate(rows))
    try:
        while waiting or len(running):
            while waiting and len(running) < workers + 1:
                place, row = waiting.popleft()
                running.begin(place, *row)
            yield running.next()
    finally:
        running.cancel()
