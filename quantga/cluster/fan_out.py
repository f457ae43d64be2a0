"""Appraisals fanned out as Ray tasks: bounded in flight, with deadlines of our own, and results by program.

Ray may take minutes to notice that a machine was cut off, so a batch that does not come back in time is sent out again;
appraisal is pure, so whichever copy answers first is right, and how programs were batched cannot change a figure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import numpy as np
import ray
from ray.exceptions import OutOfMemoryError, RayTaskError, TaskCancelledError, WorkerCrashedError

from quantga.cluster.task import Judge, Market, Verdicts, appraise_batch
from quantga.engine.appraise import FAILURES, Appraisals, Trial, appraise_market
from quantga.engine.metrics import MAX_DRAWDOWN
from quantga.errors import ClusterError, QuantgaError
from quantga.evolve.select import Appraisal
from quantga.lang.program import Program
from quantga.settings import Cluster

SHORTEST_MS = 20
"""Work per task below which Ray's own cost of about a millisecond would show."""
_AHEAD = 2
"""Batches in flight per worker: one that runs and one that waits."""
_ISSUES = 6
_FIRST_BATCH = 24


class Crew(Protocol):
    """Whoever appraises programs: `submit` some, `collect` appraisals as they come, until none is outstanding."""

    def submit(self, programs: Sequence[Program]) -> None:
        """Take programs to be appraised, each new to the crew."""

    def collect(self) -> list[Appraisal]:
        """Wait for some of them and return what they are worth, in any order."""


@dataclass
class _Batch:
    programs: list[Program]
    issues: int = 0
    due: float = 0.0
    crashes: int = 0
    tasks: list[Any] = field(default_factory=list)


class Inline:
    """A crew of one, in this process: for a search that is itself a task, and for tests."""

    def __init__(self, appraise: Callable[[Sequence[Program]], Iterable[Appraisal]]) -> None:
        self._appraise = appraise
        self._waiting: list[Program] = []

    def submit(self, programs: Sequence[Program]) -> None:
        """Take programs to be appraised."""
        self._waiting += programs

    def collect(self) -> list[Appraisal]:
        """Appraise them all."""
        programs, self._waiting = self._waiting, []
        return list(self._appraise(programs))


class FanOut:
    """A crew of Ray tasks over a market that was put into the object store once."""

    def __init__(
        self, market: Market, trial: Trial, cluster: Cluster, workers: int, judge: Judge | None = None
    ) -> None:
        self._cluster, self._workers = cluster, workers
        held: Market = dict(market)
        self._terms = (ray.put(held), ray.put(trial), ray.put(judge or appraise_market))
        self._queue: deque[Program] = deque()
        self._again: deque[_Batch] = deque()
        self._running: dict[Any, _Batch] = {}
        self._paces: deque[float] = deque(maxlen=16)

    def submit(self, programs: Sequence[Program]) -> None:
        """Take programs to be appraised and start what has room."""
        self._queue += programs
        self._dispatch()

    def collect(self) -> list[Appraisal]:
        """Wait for a batch and return what its programs are worth.

        Raises ClusterError where a batch never comes back or a program ends every worker that it meets.
        """
        while self._running:
            wait = max(0.0, min(batch.due for batch in self._running.values()) - time.monotonic())
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=wait, fetch_local=True)
            for task in ready:
                found = self._take(task)
                self._dispatch()
                if found:
                    return found
            self._reissue()
        return []

    def _dispatch(self) -> None:
        while len(self._running) < _AHEAD * self._workers and (self._again or self._queue):
            batch = self._again.popleft() if self._again else _Batch(self._cut())
            self._issue(batch)

    def _cut(self) -> list[Program]:
        """Take the next batch from the queue: long enough to be worth a task, short enough to keep every worker busy."""
        size = _FIRST_BATCH
        if self._paces:
            pace = median(self._paces)
            fair = -(-len(self._queue) // self._workers)
            longest, shortest = self._cluster.batch_ms / 1000 / pace, SHORTEST_MS / 1000 / pace
            size = max(1, int(max(shortest, min(longest, fair))))
        return [self._queue.popleft() for _ in range(min(size, len(self._queue)))]

    def _issue(self, batch: _Batch) -> None:
        task = appraise_batch.options(name="appraise").remote(
            *self._terms, [(program.tokens, program.genes) for program in batch.programs]
        )
        batch.issues += 1
        batch.due = time.monotonic() + self._cluster.deadline_s * 2 ** (batch.issues - 1)
        batch.tasks.append(task)
        self._running[task] = batch

    def _reissue(self) -> None:
        """Send out again what is overdue; the earlier copies may still answer."""
        now = time.monotonic()
        for batch in {id(batch): batch for batch in self._running.values() if batch.due <= now}.values():
            if batch.issues >= _ISSUES:
                raise ClusterError(
                    f"{len(batch.programs)} appraisals did not come back, though they were sent out {batch.issues} times: "
                    "is the cluster reachable? The run is kept and goes on with the same command"
                )
            self._issue(batch)

    def _take(self, task: Any) -> list[Appraisal]:
        batch = self._running.pop(task)
        try:
            verdicts: Verdicts = ray.get(task)
        except (WorkerCrashedError, OutOfMemoryError) as error:
            self._split(batch, task, error)
            return []
        except TaskCancelledError:
            return []
        except RayTaskError as error:
            raise _cause(error, batch) from error
        for copy in batch.tasks:
            if copy in self._running:
                del self._running[copy]
                ray.cancel(copy, force=False)
        if not verdicts.first:
            self._paces.append(max(1e-6, verdicts.seconds / len(batch.programs)))
        return appraisals(batch.programs, verdicts)

    def _split(self, batch: _Batch, task: Any, error: Exception) -> None:
        """Try the halves of a batch that ended its worker; name the program that does so alone."""
        batch.tasks.remove(task)
        if batch.tasks:
            return
        crashes = batch.crashes + 1
        if len(batch.programs) == 1 and crashes > 2:
            program = batch.programs[0]
            raise ClusterError(f"program {program.id} ended its worker {crashes} times: {program.text}") from error
        half = -(-len(batch.programs) // 2)
        for part in (batch.programs[:half], batch.programs[half:]):
            if part:
                self._again.append(_Batch(part, crashes=crashes if len(part) == 1 else 0))


def appraisals(programs: Sequence[Program], verdicts: Verdicts | Appraisals) -> list[Appraisal]:
    """Return what programs are worth, one by one, from the arrays of a batch."""
    drawdowns = np.abs(verdicts.figures[:, MAX_DRAWDOWN]).tolist()
    columns = (
        verdicts.score.tolist(),
        drawdowns,
        verdicts.behaviour.tolist(),
        verdicts.failure.tolist(),
        verdicts.cases.tolist(),
    )
    return [
        Appraisal(program, score, drawdown, behaviour, FAILURES[failure], tuple(cases), figures)
        for program, score, drawdown, behaviour, failure, cases, figures in zip(
            programs, *columns, verdicts.figures, strict=True
        )
    ]


def _cause(error: RayTaskError, batch: _Batch) -> Exception:
    """Return what really happened in a worker: our own errors as they were, others with the programs' ids."""
    cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
    if not isinstance(cause, QuantgaError):
        cause.add_note(f"while appraising {', '.join(program.id for program in batch.programs[:8])}")
    return cause
