"""`quantga bench cluster`: what Ray costs, beside plain processes in the same minute, a pool and joblib."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from quantga.bench.scaling import first_batch_seconds, pack
from quantga.bench.search import BARS, plan_of_search
from quantga.bench.story import chance_market
from quantga.cluster.connect import connect
from quantga.cluster.fan_out import FanOut
from quantga.cluster.task import Appraise
from quantga.engine.appraise import Appraisals, Trial, appraise_market, appraiser
from quantga.engine.warm import warm
from quantga.evolve.islands import ask, begin
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.settings import Cluster

WORKERS = 2
_BATCHES = 8

type Market = Mapping[str, Bars]
type Work = tuple[Sequence[Program], Market, Trial]


@dataclass(frozen=True)
class Lap:
    """One appraisal of everything: wall seconds, and CPU seconds of those who appraised (0: not known)."""

    wall: float
    cpu: float = 0.0


def measure(*, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Appraise the same programs in every way by turns; return medians, work inflation and wall efficiency."""
    bars = chance_market(8_760 if quick else BARS)
    plan = plan_of_search(bars, 1)
    state = ask(plan, begin(plan))
    programs = [child.program for island in state.islands for child in island.brood]
    work: Work = (programs, {bars.symbol: bars}, Trial(min_trades=20))
    say("compiling, or loading what is compiled …")
    warm()
    with tempfile.TemporaryDirectory() as folder:
        laps, memory = _laps(work, Path(folder), 3 if quick else 7, say)
        first = first_batch_seconds(pack((programs[:24], *work[1:]), Path(folder) / "parcel"))
    wall = {name: median(lap.wall for lap in found) for name, found in laps.items()}
    cpu = {name: median(lap.cpu for lap in found) for name, found in laps.items()}
    return {
        "programs": len(programs),
        "bars": len(bars),
        "workers": WORKERS,
        "load": os.getloadavg()[0],
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "work_inflation": cpu["ray"] / cpu["one process"] - 1,
        "work_inflation_two_processes": cpu["two processes"] / cpu["one process"] - 1,
        "wall_efficiency": wall["two processes"] / wall["ray"],
        "speed_up": wall["one process"] / wall["ray"],
        "speed_up_of_two_processes": wall["one process"] / wall["two processes"],
        "worker_unique_mb": memory,
        "warm_first_batch_cpu_seconds": first,
    }


def _laps(work: Work, folder: Path, count: int, say: Callable[[str], None]) -> tuple[dict[str, list[Lap]], float]:
    """Time all ways by turns. The plain processes hold the market made ready, and their half: that is the ceiling."""
    programs, market, trial = work
    here = appraiser(market, trial)
    ways: dict[str, Callable[[], Lap]] = {"one process": lambda: _alone(here, programs)}
    spawn = multiprocessing.get_context("spawn")
    with connect(Cluster(address="local", workers=WORKERS)), Pair(work) as pair, spawn.Pool(WORKERS) as pool:
        weighed = partial(_weighed, folder, appraiser(market, trial))
        crew = FanOut(market, trial, Cluster(workers=WORKERS), WORKERS, weighed)
        ways["two processes"] = pair.run
        ways["ray"] = lambda: _by_ray(crew, programs, folder)
        ways["pool"] = lambda: _wall(lambda: pool.starmap(appraise_market, _batches(work)))
        ways["joblib"] = lambda: _wall(lambda: _by_joblib(work))
        found: dict[str, list[Lap]] = {name: [] for name in ways}
        for lap in range(count + 2):  # the first two lap teach the crew its pace and start the others' workers
            say(f"lap {lap + 1} of {count + 2} …")
            for name, run in ways.items():
                one = run()
                if lap > 1:
                    found[name].append(one)
    return found, max(note["unique_mb"] for note in _notes(folder))


def _wall(run: Callable[[], object]) -> Lap:
    began = time.perf_counter()
    run()
    return Lap(time.perf_counter() - began)


def _alone(appraise: Appraise, programs: Sequence[Program]) -> Lap:
    began, cpu = time.perf_counter(), time.process_time()
    appraise(programs)
    return Lap(time.perf_counter() - began, time.process_time() - cpu)


def _batches(work: Work) -> list[Work]:
    programs, market, trial = work
    size = -(-len(programs) // _BATCHES)
    return [(programs[at : at + size], market, trial) for at in range(0, len(programs), size)]


def _by_joblib(work: Work) -> object:
    import joblib  # type: ignore[import-untyped]  # noqa: PLC0415

    return joblib.Parallel(n_jobs=WORKERS)(joblib.delayed(appraise_market)(*one) for one in _batches(work))


def _by_ray(crew: FanOut, programs: Sequence[Program], folder: Path) -> Lap:
    before = len(_notes(folder))
    began = time.perf_counter()
    crew.submit(programs)
    done = 0
    while done < len(programs):
        done += len(crew.collect())
    wall = time.perf_counter() - began
    return Lap(wall, sum(note["cpu"] for note in _notes(folder)[before:]))


def _weighed(folder: Path, appraise: Appraise, programs: Sequence[Program]) -> Appraisals:
    """Appraise in a worker, and leave a note of what it cost."""
    cpu = time.process_time()
    found = appraise(programs)
    note = {"cpu": time.process_time() - cpu, "unique_mb": unique_mb()}
    name = f"{time.time_ns():020d}-{os.getpid()}.note"
    (folder / name).write_text(json.dumps(note), encoding="utf-8")
    return found


def _notes(folder: Path) -> list[dict[str, float]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.note"))]


def unique_mb() -> float:
    """Return the memory of this process that no other shares, in MB (Linux)."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    private = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(words[1]) for words in private) / 1024


class Pair(AbstractContextManager["Pair"]):
    """Two plain processes that hold the market and half the programs each, and start when they are told."""

    def __init__(self, work: Work) -> None:
        programs, market, trial = work
        spawn = multiprocessing.get_context("spawn")
        half = -(-len(programs) // WORKERS)
        self._ends: list[Connection] = []
        self._processes = []
        for at in range(0, len(programs), half):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(there, (programs[at : at + half], market, trial)))
            process.start()
            there.close()  # so that a process that ends early is an error here, not a wait
            self._ends.append(here)
            self._processes.append(process)

    def run(self) -> Lap:
        """Let both appraise their half."""
        began = time.perf_counter()
        for end in self._ends:
            end.send(True)
        cpu = sum(end.recv() for end in self._ends)
        return Lap(time.perf_counter() - began, cpu)

    def __exit__(self, *_: object) -> None:
        """Let both go."""
        for end, process in zip(self._ends, self._processes, strict=True):
            end.send(False)
            process.join()


def _serve(end: Connection, work: Work) -> None:
    programs, market, trial = work
    appraise = appraiser(market, trial)
    while end.recv():
        cpu = time.process_time()
        appraise(programs)
        end.send(time.process_time() - cpu)
