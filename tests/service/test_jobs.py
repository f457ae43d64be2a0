"""Jobs: who may start them, what an order may say, and what is told where no cluster answers. With Ray itself: marker proof."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from quantga.service.jobs import NO_CLUSTER, Evolve, Validate
from tests.conftest import ROOT
from tests.service.serving import serving, until


def test_without_a_cluster_there_is_no_job(served, judged):
    assert served.read("/api/v1/jobs") == {"cluster": "", "jobs": []}
    answer = served.call("POST", "/api/v1/jobs", "research", json={"job": "evolve"})
    assert (answer.status_code, answer.json()["error"]) == (409, NO_CLUSTER)
    assert served.call("POST", "/api/v1/jobs/some-job/stop", "research").status_code == 409


def test_only_research_starts_and_stops(served):
    for scope in ("read", "trade"):
        assert served.call("POST", "/api/v1/jobs", scope, json={"job": "evolve"}).status_code == 403
        assert served.call("POST", "/api/v1/jobs/some-job/stop", scope).status_code == 403


def test_an_order_becomes_words():
    order = Evolve(job="evolve", symbols=["BTC", "ETH"], interval="4h", seed=3)
    assert order.words() == ["--symbols=BTC,ETH", "--interval=4h", "--seed=3"]
    assert Evolve(job="evolve").words() == []
    assert Validate(job="validate", run="45507abcb2fe", nulls=19).words() == ["45507abcb2fe", "--nulls=19"]


@pytest.mark.parametrize(
    "body",
    [
        {"job": "archive"}, {"job": "evolve", "store": "/etc"}, {"job": "evolve", "address": "ray://evil"},
        {"job": "evolve", "symbols": ["--store=/etc"]}, {"job": "evolve", "symbols": ["BTC,--store"]},
        {"job": "evolve", "venue": "x --store=y"}, {"job": "evolve", "seed": -1}, {"job": "evolve", "seed": "1; rm"},
        {"job": "validate", "run": "--second-look"}, {"job": "validate"}, {}, [],
    ],
)  # fmt: skip
def test_no_word_can_be_smuggled_in(served, body):
    assert served.call("POST", "/api/v1/jobs", "research", json=body).status_code == 422


def test_a_cluster_that_does_not_answer_is_a_sentence(judged, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with serving(judged[0], tmp_path / "state", cluster=f"http://127.0.0.1:{port}") as one:
        answer = one.get("/api/v1/jobs")
        assert answer.status_code == 503
        assert "no Ray dashboard answers" in answer.json()["error"]
        missing = one.call("POST", "/api/v1/jobs", "research", json={"job": "validate", "run": "nosuch"})
        assert missing.status_code == 404


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_a_job_is_started_followed_and_stopped_on_ray(judged, tmp_path, monkeypatch):
    """A head node of our own, with its dashboard; the job is an evolution of this very store."""
    monkeypatch.chdir(ROOT)
    short = tempfile.mkdtemp(prefix="qg-")  # Ray's sockets have paths of at most 107 bytes
    with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as other:
        port, dashboard = free.getsockname()[1], other.getsockname()[1]
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
    command += [f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1", f"--temp-dir={short}"]
    command += ["--min-worker-port=21000", "--max-worker-port=21999", "--include-dashboard=true"]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as head:
        try:
            with serving(judged[0], tmp_path / "state", cluster=f"http://127.0.0.1:{dashboard}") as one:
                until(lambda: one.get("/api/v1/jobs").status_code == 200)
                order = {"job": "evolve", "symbols": ["ONE"], "generations": 100_000, "population": 100, "seed": 9}
                made = one.call("POST", "/api/v1/jobs", "research", json=order)
                assert made.status_code == 201, made.text
                name = made.json()["job"]

                def state():
                    return next(x for x in one.read("/api/v1/jobs")["jobs"] if x["job"] == name)

                until(lambda: state()["status"] == "RUNNING", 300)
                stopped = one.call("POST", f"/api/v1/jobs/{name}/stop", "research")
                assert stopped.status_code == 200, stopped.text
                until(lambda: state()["status"] == "STOPPED", 120)
                assert one.call("POST", f"/api/v1/jobs/{name}/stop", "research").status_code == 409
                assert one.call("POST", "/api/v1/jobs/nosuch/stop", "research").status_code == 404
        finally:
            head.terminate()
            head.wait(120)
            shutil.rmtree(short, ignore_errors=True)
