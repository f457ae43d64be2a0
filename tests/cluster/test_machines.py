"""Clusters in namespaces of their own: one that grows and shrinks, and one of which a machine is cut off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.store.lake import open_lake
from tests.cluster.searches import SEARCH, imported, settings
from tests.conftest import ROOT

ALONE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount"]


def require_namespaces() -> None:
    """Skip where this user may make no namespaces."""
    if os.geteuid() or not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("namespaces need root, unshare (util-linux) and ip (iproute2)")
    tried = subprocess.run([*ALONE, "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this machine allows no namespaces: {tried.stderr.strip()}")


def undisturbed(store: Path, **search: object) -> str:
    """Return the digest of the search in this process."""
    chosen = settings(store, **search)
    market, trial = survey(chosen).market(), trial_of(chosen)
    return run_evolution(chosen, appraise=lambda p: appraisals(p, appraise_market(p, market, trial))).digest


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_cluster_grows_from_no_worker_and_shrinks_again(tmp_path, record_property):
    require_namespaces()
    size = {"population": 200, "generations": 20}
    expected = undisturbed(imported(tmp_path / "here"), **size)
    store = imported(tmp_path / "there")
    (tmp_path / "ray").mkdir()
    inside = f'mount --bind {tmp_path / "ray"} /tmp/ray; ip link set lo up; exec "$@"'
    Path("/tmp/ray").mkdir(exist_ok=True)
    command = [*ALONE, "--net", "bash", "-c", inside, "_", sys.executable, "tests/cluster/grown.py", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["digest"] == expected
    assert (found["first"], found["last"]) == (0, 0)
    assert found["most"] >= 2
    record_property("most_workers", found["most"])
    record_property("seconds_until_none", found["seconds_until_none"])


class Machines:
    """Three "machines" on one bridge, each with a network, processes, shared memory and a /tmp/ray of its own."""

    NAMES = ("h", "a", "b")

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, f"q{os.getpid() % 10_000}"
        self.net = f"10.{77 + os.getpid() % 100}.0"
        self.running: list[subprocess.Popen[bytes]] = []
        self._ip("link", "add", self.mark, "type", "bridge")
        self._ip("link", "set", self.mark, "up")
        for number, name in enumerate(self.NAMES, 1):
            space, cable = self.space(name), f"{self.mark}{name}"
            self._ip("netns", "add", space)
            self._ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            self._ip("link", "set", cable, "master", self.mark, "up")
            self._ip("-n", space, "addr", "add", f"{self.net}.{number}/24", "dev", "eth0")
            self._ip("-n", space, "link", "set", "eth0", "up")
            self._ip("-n", space, "link", "set", "lo", "up")

    def space(self, name: str) -> str:
        return f"{self.mark}-{name}"

    def address(self, name: str) -> str:
        return f"{self.net}.{self.NAMES.index(name) + 1}"

    def start(self, name: str, script: str, **environment: str) -> subprocess.Popen[bytes]:
        """Run a shell script on a machine; its output goes to a file."""
        (self.folder / f"ray-{name}").mkdir()
        own = f"mount --bind {self.folder / f'ray-{name}'} /tmp/ray; mount -t tmpfs -o size=1g tmpfs /dev/shm; {script}"
        command = ["ip", "netns", "exec", self.space(name), *ALONE, "bash", "-c", own]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self.folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path, "RAY_AUTH_MODE": "disabled", **environment},
            )
        self.running.append(process)
        return process

    def cut(self, name: str) -> None:
        """Pull a machine's cable."""
        self._ip("-n", self.space(name), "link", "set", "eth0", "down")

    def close(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()
        for name in self.NAMES:
            with suppress(subprocess.CalledProcessError):
                self._ip("netns", "del", self.space(name))
        with suppress(subprocess.CalledProcessError):
            self._ip("link", "del", self.mark)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def machines(tmp_path):
    require_namespaces()
    made = Machines(tmp_path)
    yield made
    made.close()


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_a_machine_that_is_cut_off_does_not_hold_the_search(machines, tmp_path, record_property):
    size = {"population": 48, "generations": 40}
    expected = undisturbed(imported(tmp_path / "here"), **size)
    store = imported(tmp_path / "there")
    lake, head = open_lake(store), machines.address("h")
    quiet = "--disable-usage-stats --object-store-memory=200000000"
    chosen = {f"QUANTGA_SEARCH__{name.upper()}": str(value) for name, value in {**SEARCH, **size}.items()}
    driver = machines.start(
        "h",
        f"until ray start --head --port=6379 --node-ip-address={head} --num-cpus=0 --include-dashboard=false {quiet}; do "
        f"ray stop --force; done; exec quantga evolve --store {store} --address {head}:6379",
        **{**chosen, "QUANTGA_CLUSTER__DEADLINE_S": "30", "QUANTGA_CLUSTER__BATCH_MS": "20"},
    )
    for name in ("a", "b"):
        joining = (
            f"ray start --block --address={head}:6379 --node-ip-address={machines.address(name)} --num-cpus=1 {quiet}"
        )
        machines.start(name, f"until {joining}; do sleep 1; done")

    def committed() -> int:
        return sum(path.endswith("/state.json") for path in lake.paths("runs"))

    while committed() < 5:
        assert driver.poll() is None, (tmp_path / "h.out").read_text()[-3000:]
        time.sleep(0.1)
    machines.cut("b")
    at, began = committed(), time.monotonic()
    assert driver.wait() == 0, (tmp_path / "h.out").read_text()[-3000:]
    assert at < size["generations"]
    record_property("generations_before", at)
    record_property("seconds_after", round(time.monotonic() - began))
    print(f"cut after generation {at}, done {time.monotonic() - began:.0f} s later")
    assert expected in (tmp_path / "h.out").read_text()
