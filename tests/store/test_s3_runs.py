"""A whole run in a bucket, as a user gives it on the command line, while the server is killed and other drivers come."""

from __future__ import annotations

import os
import time

import pytest

from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.store.lake import open_lake
from quantga.store.s3_address import parse_address
from quantga.store.s3_calls import client_of
from quantga.store.trials import verify
from tests.cluster.searches import imported, settings
from tests.store.driven import quantga
from tests.store.weed import Weed

SIZE = {"population": 32, "generations": 12}
WORDS = ["--workers", "1", "--json"]


@pytest.fixture
def server(tmp_path, keys):
    server = Weed(tmp_path / "weed")
    server.start()
    client_of(parse_address(f"s3://mine?endpoint={server.endpoint}")).create_bucket(Bucket="mine")
    yield server
    server.kill()


def test_import_evolve_report_on_a_bucket_with_the_server_killed_in_mid_run(server, tmp_path):
    folder = imported(tmp_path / "here")
    chosen = settings(folder, **SIZE)
    market, trial = survey(chosen).market(), trial_of(chosen)
    expected = run_evolution(chosen, appraise=lambda p: appraisals(p, appraise_market(p, market, trial)))

    store = f"s3://mine/lab?endpoint={server.endpoint}"
    files = str(tmp_path / "here" / "files")
    done = quantga("data", "import", files, "--venue", "walk", "--interval", "1h", "--store", store, "--json").answer()
    assert done["dataset"] == expected.dataset

    lake = open_lake(store)
    with lake.hold(f"run {expected.id}"):
        refusal = quantga("evolve", "--store", store, *WORDS, **SIZE).answer(code=1)
    assert f"run {expected.id} is being driven by process {os.getpid()} on " in refusal

    run = quantga("evolve", "--store", store, *WORDS, **SIZE)
    while not lake.exists(f"runs/{expected.id}/gen=0001/state.json"):
        assert run.alive, run.said()
        time.sleep(0.05)
    server.kill()
    time.sleep(1.0)
    server.start()
    found = run.answer()
    assert (found["run"], found["digest"], found["trials"]) == (expected.id, expected.digest, expected.trials)
    assert verify(lake) == []

    report = quantga("report", found["run"], "--store", store, "--json").answer()
    assert report["report"] == f"s3://mine/lab/runs/{found['run']}/report.html"
    assert lake.read(f"runs/{found['run']}/report.html").startswith(b"<!")
    rows = quantga("sql", "SELECT count(DISTINCT id) AS n FROM appraisals", "--store", store, "--json").answer()["rows"]
    assert rows[0]["n"] == found["trials"]
