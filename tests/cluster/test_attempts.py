"""What a lost worker costs: the run is begun again, up to a limit, and asks for more room where room was lacking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantga.cluster.attempts import TRIES, Attempts
from quantga.errors import ClusterError, DataError


def dies(folder: str, number: int, times: int) -> int:
    """End the worker the first `times` times."""
    marks = len(list(Path(folder).glob(f"{number}-*")))
    if marks < times:
        (Path(folder) / f"{number}-{marks}").touch()
        os._exit(1)
    return number * number


def starves(folder: str, times: int) -> str:
    marks = len(list(Path(folder).glob("starved-*")))
    if marks < times:
        (Path(folder) / f"starved-{marks}").touch()
        raise MemoryError("no room")
    return "fed"


def refuses() -> None:
    raise DataError("not like this")


def test_a_run_whose_worker_died_is_begun_again_and_the_others_are_not(ray_local, tmp_path):
    running = Attempts(dies, "run")
    for number, times in ((3, 0), (4, 2)):
        running.begin(number, str(tmp_path), number, times)
    assert len(running) == 2
    assert sorted(running.next() for _ in range(2)) == [(3, 9), (4, 16)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4-0", "4-1"]
    assert len(running) == 0


def test_a_run_that_ends_every_worker_is_named(ray_local, tmp_path):
    running = Attempts(dies, "surrogate search")
    running.begin(7, str(tmp_path), 7, 99)
    with pytest.raises(ClusterError, match=f"surrogate search 7 was lost {TRIES} times"):
        running.next()
    assert len(list(tmp_path.iterdir())) == TRIES


def test_who_lacked_memory_asks_for_twice_as_much(ray_local, tmp_path, monkeypatch):
    asked = []
    running = Attempts(starves, "run", memory=10 << 20)
    issue = Attempts._issue
    monkeypatch.setattr(Attempts, "_issue", lambda self, one: (asked.append(one.memory), issue(self, one)))
    running.begin(0, str(tmp_path), 2)
    assert running.next() == (0, "fed")
    assert asked == [10 << 20, 1 << 30, 2 << 30]


def test_what_a_task_raises_is_raised_and_what_runs_is_called_off(ray_local, tmp_path):
    running = Attempts(refuses, "run")
    running.begin(0)
    with pytest.raises(DataError, match="not like this"):
        running.next()
    running.begin(1)
    running.cancel()
    assert len(running) == 0
