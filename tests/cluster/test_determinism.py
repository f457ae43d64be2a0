"""The same champions, bit for bit: however many workers, whatever is killed, on whatever hash seed and processor."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.store.lake import open_lake
from tests.cluster.searches import imported, settings

GENERATIONS = 10
DRIVER = Path(__file__).with_name("driver.py")
OLDER_PROCESSOR = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """Return a store with bars and no runs."""
    return imported(tmp_path_factory.mktemp("market"))


@pytest.fixture
def store(clean, tmp_path) -> Path:
    return shutil.copytree(clean, tmp_path / "store")


@pytest.fixture(scope="module")
def expected(clean, tmp_path_factory) -> str:
    """Return the digest that the search has in this process, without any Ray."""
    chosen = chosen_at(shutil.copytree(clean, tmp_path_factory.mktemp("here") / "store"))
    market, trial = survey(chosen).market(), trial_of(chosen)
    return run_evolution(chosen, appraise=lambda p: appraisals(p, appraise_market(p, market, trial))).digest


def chosen_at(store: Path, **search):
    return settings(store, generations=GENERATIONS, population=48, **search)


def driver(store: Path, workers: int, resume: str = "", hold: int = 0, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVER), str(store), str(workers), str(GENERATIONS), resume, str(hold)]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def digest_from(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-6000:]
    return out.split()[-1]


def wait_for_generation(store: Path, generation: int, process: subprocess.Popen[str]) -> str:
    """Wait until a run has committed a generation; return its id."""
    while process.poll() is None:
        for state in (store / "runs").glob(f"*/gen={generation - 1:04d}/state.json"):
            return state.parts[-3]
        time.sleep(0.01)
    raise AssertionError(process.communicate()[1][-2000:])


def test_one_worker_an_older_processor_and_a_hash_seed(store, expected):
    assert digest_from(driver(store, 1, PYTHONHASHSEED="0", **OLDER_PROCESSOR)) == expected


def test_a_driver_interrupted_then_killed_goes_on_with_two_workers_and_another_hash_seed(store, expected):
    process = driver(store, 1, hold=2, PYTHONHASHSEED="1")
    run = wait_for_generation(store, 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode != 0
    assert f"quantga evolve --resume {run}" in err

    process = driver(store, 2, run, hold=5, PYTHONHASHSEED="99")
    wait_for_generation(store, 5, process)
    process.kill()
    process.communicate(timeout=60)
    assert not open_lake(store).exists(f"runs/{run}/front.parquet")

    assert digest_from(driver(store, 2, run, PYTHONHASHSEED="99")) == expected


@pytest.mark.usefixtures("ray_local")
def test_two_workers_of_which_one_is_killed(store, expected):
    killed: list[int] = []

    def watching(started):
        from contextlib import contextmanager

        @contextmanager
        def killing():
            def kill(standing):
                if standing.generation == 3:
                    killed.append(a_worker())
                    os.kill(killed[0], signal.SIGKILL)

            yield kill

        return killing()

    assert run_evolution(chosen_at(store), report=watching).digest == expected
    assert killed


def a_worker() -> int:
    """Return the process of a Ray worker of this session that appraises."""
    import ray

    @ray.remote(num_cpus=1)
    def process() -> int:
        return os.getpid()

    return ray.get(process.remote())


@pytest.mark.usefixtures("ray_local")
def test_another_seed_gives_other_champions(store, expected):
    assert run_evolution(chosen_at(store, seed=6)).digest != expected


@pytest.mark.proof
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("hash_seed", ["0", "99"])
@pytest.mark.parametrize("processor", [{}, OLDER_PROCESSOR])
def test_the_whole_matrix(store, expected, workers, hash_seed, processor):
    assert digest_from(driver(store, workers, PYTHONHASHSEED=hash_seed, **processor)) == expected
