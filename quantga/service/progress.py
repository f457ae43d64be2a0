"""How a run goes, generation by generation, read from what the run itself commits to the lake."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from quantga.store.lake import Lake

_RUNS = 64


@dataclass
class _Followed:
    """A run as far as it was read: its generations, and the score of every program so far."""

    generations: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Progress:
    """Follows runs; a generation is read once, since it never changes."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._runs: OrderedDict[str, _Followed] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: str) -> list[dict[str, Any]]:
        """Return the committed generations of a run, see `shapes.Generation`."""
        with self._lock:
            followed = self._runs.setdefault(run, _Followed())
            self._runs.move_to_end(run)
            if len(self._runs) > _RUNS:
                self._runs.popitem(last=False)
        with followed.lock:
            while self._lake.exists(_state(run, len(followed.generations))):
                followed.generations.append(self._next(run, followed))
            return list(followed.generations)

    def finished(self, run: str) -> bool:
        """Return whether the run has written its front."""
        return self._lake.exists(f"runs/{run}/front.parquet")

    def _next(self, run: str, followed: _Followed) -> dict[str, Any]:
        path = _state(run, len(followed.generations))
        state: Any = self._lake.read_json(path)
        table = self._lake.read_table(path.replace("state.json", "appraisals.parquet"))
        ids, scores = table["id"].to_pylist(), table["score"].to_pylist()
        followed.scores.update(zip(ids, scores, strict=True))
        living = [[followed.scores[member] for member, _ in island] for island in state["islands"]]
        before = followed.generations[-1] if followed.generations else None
        at = written_at(self._lake, path)
        trials = int(state["trials"])
        return {
            "generation": int(state["generation"]),
            "best": [_finite(max(one)) if one else None for one in living],
            "median": [_finite(median(one)) if one else None for one in living],
            "trials": trials,
            "new": trials - (before["trials"] if before else 0),
            "asked": table.num_rows,
            "distinct": len(set(table["behaviour"].to_pylist())),
            "at": at,
            "seconds": (at - before["at"]) / 1000 if at is not None and before and before["at"] is not None else None,
        }


def written_at(lake: Lake, path: str) -> int | None:
    """Return when an object was written, ms UTC; None where the lake is a bucket, which is not asked."""
    where = lake.where(path)
    return where.stat().st_mtime_ns // 1_000_000 if isinstance(where, Path) else None


def placebo(lake: Lake, run: str) -> list[float]:
    """Return the best score of each surrogate search that a validation compared the run with; empty before one."""
    if not lake.exists(f"runs/{run}/validation.json"):
        return []
    record = orjson.loads(lake.read(f"runs/{run}/validation.json"))
    return [score for score in record["search"]["maxima"] if score is not None]


def _state(run: str, generation: int) -> str:
    return f"runs/{run}/gen={generation:04d}/state.json"


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
