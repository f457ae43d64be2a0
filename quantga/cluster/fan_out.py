"""Appraisals fanned out as Ray tasks: bounded in flight, with deadlines of our own, and results by program.

Ray may take minutes to notice that a machine was cut off, so a batch that does not come back in time is sent out again;
appraisal is pure, so whichever copy answers first is right, and how programs were batched cannot change a figure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Any, Protocol

import numpy as np
import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError, WorkerCrashedError

from quantga.cluster.connect import lacks_package, workers_of
from quantga.cluster.task import Appraise, Market, Parcel, Verdicts, appraise_batch, largest_node, task_bytes
from quantga.engine.appraise import FAILURES, Appraisals, Trial, appraiser
from quantga.engine.metrics import ALPHA_SHARPE, KURTOSIS, MAX_DRAWDOWN, N_DAYS, SKEW
from quantga.errors import ClusterError, QuantgaError
from quantga.evolve.select import Appraisal, Record, complexity, merit
from quantga.lang.evaluate import TILE
from quantga.lang.program import Program
from quantga.settings import Cluster

_AHEAD = 2
"""Batches in flight per worker: one that runs and one that waits."""
_ISSUES = 6
_CRASHES = 4
"""How many workers a program may end, those that it ended in company counted as one."""
_FIRST_BATCH = 64
_LATE = 10.0
"""A batch is overdue after so many times the seconds that its programs and those before it should take ..."""
_LATE_AFTER_S = 10.0
"""... and not before so many seconds."""
_CENSUS_S = 5.0
"""How often a growing cluster is counted."""


class Crew(Protocol):
    """Whoever appraises programs: `submit` some, `collect` appraisals as they come, until none is outstanding."""

    def submit(self, programs: Sequence[Program]) -> None:
        """Take programs to be appraised, each new to the crew."""

    def collect(self) -> list[Appraisal]:
        """Wait for some of them and return what they are worth, in any order."""


@dataclass(eq=False)
class _Batch:
    programs: list[Program]
    issues: int = 0
    due: float = 0.0
    crashes: int = 0
    lost: Exception | None = None
    tasks: set[Any] = field(default_factory=set)


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
    """A crew of Ray tasks over a market that was made ready and put into the object store once."""

    def __init__(
        self, market: Market, trial: Trial, cluster: Cluster, workers: int, appraise: Appraise | None = None
    ) -> None:
        self._cluster, self._workers = cluster, workers
        self._counted = time.monotonic()
        self._held = [ray.put(appraise or appraiser(market, trial))]
        self._needs = {"name": "appraise", "memory": min(task_bytes(market), largest_node())}
        self._queue: deque[Program] = deque()
        self._again: deque[_Batch] = deque()
        self._batches: set[_Batch] = set()
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
        while self._batches:
            wait = max(0.0, min(batch.due for batch in self._batches) - time.monotonic())
            running = list(self._running)
            ready = ray.wait(running, num_returns=1, timeout=wait, fetch_local=True)[0] if running else []
            for task in ready:
                found = self._take(task)
                self._dispatch()
                if found:
                    return found
            self._reissue()
        return []

    def _dispatch(self) -> None:
        self._count()
        size = self._size()
        while len(self._batches) < _AHEAD * self._workers and (self._again or self._queue):
            batch = self._again.popleft() if self._again else _Batch(self._cut(size))
            self._batches.add(batch)
            self._issue(batch)

    def _count(self) -> None:
        """See how many may work now, where the settings do not say: waiting tasks make a cluster grow."""
        if not self._cluster.workers and time.monotonic() - self._counted > _CENSUS_S:
            self._workers, self._counted = workers_of(self._cluster), time.monotonic()

    def _size(self) -> float:
        """Return how many programs a batch should have now.

        Programs that are appraised together share work, so it is a fair part of all that is outstanding: one part for each
        worker where none works, two where they do, so that none waits while those that came back breed. But no more than
        is planned together anyway, nor than a tenth of the patience there is.
        """
        outstanding = len(self._queue) + sum(len(batch.programs) for batch in self._batches)
        fair = outstanding / ((_AHEAD if self._batches else 1) * self._workers)
        least, most = 1.0, float(_FIRST_BATCH)
        if self._paces:
            pace = median(self._paces)
            least, most = self._cluster.batch_ms / 1000 / pace, self._cluster.deadline_s / _LATE / pace
        return max(1.0, min(max(fair, least), most, TILE))

    def _cut(self, size: float) -> list[Program]:
        """Take the next batch from the queue, so that what is left is not a crumb."""
        waiting = len(self._queue)
        parts = max(1, round(waiting / size))
        return [self._queue.popleft() for _ in range(-(-waiting // parts))]

    def _issue(self, batch: _Batch) -> None:
        spread = {"scheduling_strategy": "SPREAD"} if batch.issues else {}  # elsewhere, if there is an elsewhere
        task = appraise_batch.options(**self._needs, **spread).remote(self._held, Parcel.pack(batch.programs))
        batch.due = time.monotonic() + self._patience(batch) * 2**batch.issues
        batch.issues += 1
        batch.tasks.add(task)
        self._running[task] = batch

    def _patience(self, batch: _Batch) -> float:
        most = self._cluster.deadline_s
        if not self._paces:
            return most
        return min(most, max(_LATE_AFTER_S, _LATE * _AHEAD * median(self._paces) * len(batch.programs)))

    def _reissue(self) -> None:
        """Send out again what is overdue; the earlier copies may still answer."""
        now = time.monotonic()
        for batch in [batch for batch in self._batches if batch.due <= now]:
            if batch.issues >= _ISSUES:
                raise ClusterError(
                    f"{len(batch.programs)} appraisals did not come back, though they were sent out {batch.issues} times: "
                    "is the cluster reachable? The run is kept and goes on with the same command"
                ) from batch.lost
            self._issue(batch)

    def _take(self, task: Any) -> list[Appraisal]:
        batch = self._running.pop(task)
        batch.tasks.discard(task)
        try:
            verdicts: Verdicts = ray.get(task)
        except TaskCancelledError:
            return []
        except RayTaskError as error:
            if not isinstance(getattr(error, "cause", None), MemoryError):
                raise lacks_package(error) or _cause(error, batch) from error
            self._retry(batch, error)
            return []
        except RayError as error:
            self._retry(batch, error)
            return []
        self._forget(batch)
        if not verdicts.first:
            self._paces.append(max(1e-6, verdicts.seconds / len(batch.programs)))
        return appraisals(batch.programs, verdicts)

    def _forget(self, batch: _Batch) -> None:
        """Call off the copies of a batch that is settled."""
        self._batches.discard(batch)
        for copy in batch.tasks:
            del self._running[copy]
            ray.cancel(copy, force=False)

    def _retry(self, batch: _Batch, error: Exception) -> None:
        """Send out again what was lost; what ended its worker for want of memory, or twice, in halves.

        Raises ClusterError that names the program which ends every worker that it meets.
        """
        batch.lost = error
        if batch.tasks:
            return  # another copy may fare better
        if not isinstance(error, (WorkerCrashedError, OutOfMemoryError, RayTaskError)):
            batch.due = 0.0  # its node is gone, or what was found there
            return
        self._forget(batch)
        crashes, programs = batch.crashes + 1, batch.programs
        if len(programs) == 1 and crashes >= _CRASHES:
            one = programs[0]
            raise ClusterError(f"program {one.id} ended its worker {crashes} times: {one.text}") from error
        whole = len(programs) == 1 or (crashes == 1 and isinstance(error, WorkerCrashedError))
        size, known = (len(programs), crashes) if whole else (-(-len(programs) // 2), 1)
        self._again.extend(_Batch(programs[at : at + size], crashes=known) for at in range(0, len(programs), size))


def appraisals(programs: Sequence[Program], verdicts: Verdicts | Appraisals) -> list[Appraisal]:
    """Return what programs are worth to a search, one by one, from the arrays of a batch.

    The score is the search's own (`evolve.select.merit`), not that of the slices; failures keep the worst.
    """
    columns = (
        verdicts.figures[:, (ALPHA_SHARPE, SKEW, KURTOSIS, N_DAYS)].tolist(),
        np.abs(verdicts.figures[:, MAX_DRAWDOWN]).tolist(),
        verdicts.behaviour.tolist(),
        verdicts.failure.tolist(),
        verdicts.cases.tolist(),
    )
    found = []
    for program, record, drawdown, behaviour, failure, cases, figures in zip(
        programs, *columns, verdicts.figures, strict=True
    ):
        score = float("-inf") if failure else merit(Record(*record), complexity(program))
        why = FAILURES[failure] or ("" if isfinite(score) else "its daily returns say nothing")
        found.append(Appraisal(program, score, drawdown, behaviour, why, tuple(cases), figures))
    return found


def _cause(error: RayTaskError, batch: _Batch) -> Exception:
    """Return what really happened in a worker: our own errors as they were, others with the programs' ids."""
    cause = error.cause if isinstance(getattr(error, "cause", None), Exception) else error
    if not isinstance(cause, QuantgaError):
        cause.add_note(f"while appraising {', '.join(program.id for program in batch.programs[:8])}")
    return cause
