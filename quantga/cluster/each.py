"""A function on each of many arguments, as Ray tasks or in this process: for work whose pieces need nothing of each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

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
    remote: Any = ray.remote(num_cpus=1, max_retries=3)(task)
    waiting = deque(enumerate(rows))
    running: dict[Any, int] = {}
    while waiting or running:
        while waiting and len(running) < workers + 1:
            place, row = waiting.popleft()
            running[remote.remote(*row)] = place
        done, _ = ray.wait(list(running), num_returns=1)
        yield running.pop(done[0]), ray.get(done[0])
