"""Fair timing on a machine that others use too: CPU time, candidates by turns in one process, medians of laps."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median


@dataclass(frozen=True)
class Laps:
    """CPU seconds of each lap, of one candidate; `work` is what a lap does, in whatever unit was promised."""

    seconds: tuple[float, ...]
    work: float

    @property
    def typical(self) -> float:
        """Median seconds per unit of work."""
        return median(self.seconds) / self.work

    @property
    def least(self) -> float:
        """Least seconds per unit of work."""
        return min(self.seconds) / self.work


def interleave(candidates: Mapping[str, tuple[float, Callable[[int], object]]], laps: int) -> dict[str, Laps]:
    """Time candidates by turns, `laps` times each. A candidate is (work per lap, function of the lap's number)."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    gc.collect()
    for lap in range(laps):
        for name, (_, run) in candidates.items():
            seconds[name].append(cpu_seconds(partial(run, lap)))
    return {name: Laps(tuple(found), candidates[name][0]) for name, found in seconds.items()}


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the process's CPU seconds of one call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def typical_seconds(run: Callable[[], object], laps: int = 5) -> float:
    """Return the median CPU seconds of a call, after one that does not count."""
    run()
    return median(cpu_seconds(run) for _ in range(laps))


def shares(parts: Mapping[str, float]) -> dict[str, float]:
    """Return the parts as shares of their sum."""
    total = sum(parts.values())
    return {name: value / total for name, value in parts.items()}


def spread_evenly[T](items: Sequence[T], lap: int, parts: int) -> list[T]:
    """Return every `parts`-th item from number `lap` on: over `parts` laps each item comes once."""
    return list(items[lap % parts :: parts])
