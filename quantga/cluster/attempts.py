"""Ray tasks that are begun again where their worker was lost: whole searches and markets, each a function of its arguments.

Ray's own retries are off, since it would repeat a task that was killed for memory for ever, as large as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from quantga.cluster.connect import lacks_package
from quantga.cluster.task import largest_node
from quantga.errors import ClusterError, QuantgaError

TRIES = 4
"""How often a task is begun at the most."""
_LEAST_BYTES = 1 << 30


@dataclass(frozen=True)
class _Attempt:
    place: int
    arguments: tuple[Any, ...]
    memory: int
    tries: int = 1


class Attempts:
    """Runs of one task: `begin` some, then `next` answers one after the other.

    what: the task's name in messages. memory: what one run needs, in bytes, so that Ray begins no more than there is room for; what
    was lost for want of memory asks for twice as much.
    """

    def __init__(self, task: Callable[..., Any], what: str, memory: int = 0) -> None:
        self._task: Any = ray.remote(num_cpus=1, max_retries=0)(task)
        self._what, self._memory = what, memory
        self._running: dict[Any, _Attempt] = {}

    def __len__(self) -> int:
        """How many run or wait for room."""
        return len(self._running)

    def begin(self, place: int, *arguments: Any) -> None:
        """Begin the run that is known as `place`."""
        self._issue(_Attempt(place, arguments, self._memory))

    def next(self) -> tuple[int, Any]:
        """Wait for a run and return its place and result.

        Raises what the task raised, or ClusterError where TRIES workers were lost with the same run.
        """
        while True:
            (task,), _ = ray.wait(list(self._running), num_returns=1)
            attempt = self._running.pop(task)
            try:
                return attempt.place, ray.get(task)
            except RayTaskError as error:
                cause = getattr(error, "cause", None)
                if not isinstance(cause, MemoryError):
                    raise lacks_package(error) or (cause if isinstance(cause, QuantgaError) else error) from error
                self._again(attempt, error, starved=True)
            except RayError as error:
                self._again(attempt, error, starved=isinstance(error, OutOfMemoryError))

    def cancel(self) -> None:
        """Call off what runs."""
        for task in self._running:
            ray.cancel(task, force=False)
        self._running.clear()

    def _again(self, lost: _Attempt, error: Exception, *, starved: bool) -> None:
        if lost.tries >= TRIES:
            raise ClusterError(
                f"{self._what} {lost.place} was lost {lost.tries} times ({_first_line(error)}): give the same command again, with fewer "
                "--workers if memory is short"
            ) from error
        memory = max(2 * lost.memory, _LEAST_BYTES) if starved else lost.memory
        self._issue(replace(lost, memory=memory, tries=lost.tries + 1))

    def _issue(self, attempt: _Attempt) -> None:
        memory = min(attempt.memory, largest_node())
        self._running[self._task.options(name=self._what, memory=memory).remote(*attempt.arguments)] = attempt


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
