"""A command as a Ray job: what is sent, and one sentence for everything that can be wrong before anything runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import ray.job_submission
from ray.exceptions import AuthenticationError

from quantga.cluster import jobs
from quantga.cluster.jobs import Order, submit
from quantga.errors import ClusterError, ConfigError
from quantga.settings import jobs_address
from tests.conftest import ROOT


class Client:
    """Stands in for Ray's client where no dashboard is to be had: keeps what it is given."""

    def __init__(self, where):
        self.where, self._server_ray_version, self.given = where, ray.__version__, {}
        Client.last = self

    def submit_job(self, **given):
        self.given = given
        return given["submission_id"]

    def get_job_info(self, job):
        raise RuntimeError(f"Request failed with status code 404: Job {job} does not exist")


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", Client)
    return Client


def order(*words, **more):
    return Order("evolve", words, ROOT, **more)


def test_what_is_sent(client):
    name = submit(order("--symbols", "BTC", "--store", "s3://b/lab?endpoint=http://h:1"), "head:8265")
    given = client.last.given
    assert client.last.where == "http://head:8265"
    assert name == given["submission_id"]
    assert name.startswith("evolve-")
    assert given["entrypoint"] == "python jobs/evolve.py --symbols BTC --store 's3://b/lab?endpoint=http://h:1'"
    assert given["runtime_env"]["working_dir"] == str(ROOT)
    assert "/quantga/" not in given["runtime_env"]["excludes"]
    submit(order("--store", "s3://b", installed=True, locked=True))
    sent = client.last.given["runtime_env"]
    assert "/quantga/" in sent["excludes"]
    assert sent["pip"]["packages"] == str(ROOT / "requirements.lock")
    assert "--require-hashes" in sent["pip"]["pip_install_options"]


def test_what_is_sent_is_the_package_and_not_what_lies_beside_it():
    import pathspec

    spec = pathspec.PathSpec.from_lines("gitignore", jobs.EXCLUDES)
    for path in ("quantga/store/lake.py", "jobs/evolve.py", "quantga.toml", "requirements.lock"):
        assert not spec.match_file(path), path
    for path in ("tests/conftest.py", ".git/HEAD", ".venv/bin/python", "store/x.parquet", ".ruff_cache/x"):
        assert spec.match_file(path), path


def test_a_store_that_the_cluster_cannot_see_is_refused(client, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="thrown away"):
        submit(order("--symbols", "BTC"))
    with pytest.raises(ConfigError, match="thrown away"):
        submit(order("--store=here"))
    monkeypatch.setenv("QUANTGA_STORE__PATH", "s3://bucket/lab")
    submit(order("--symbols", "BTC"))
    assert client.last.given["entrypoint"].endswith("--store s3://bucket/lab")
    submit(order("--store", "/mnt/lake"))
    assert client.last.given["entrypoint"].endswith("--store /mnt/lake")


def test_an_unknown_job_another_ray_no_token_and_nobody_there(client, monkeypatch):
    with pytest.raises(ConfigError, match=r"there is no job 'dance' .*evolve"):
        submit(Order("dance", ("--store", "s3://b"), ROOT))
    with pytest.raises(ConfigError, match="give --folder"):
        submit(Order("evolve", ("--store", "s3://b"), Path("/")))
    with pytest.raises(ConfigError, match="knows no job 'x'"):
        jobs.stop("x")

    def fail(error):
        def raising(_):
            raise error

        monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", raising)

    fail(AuthenticationError("no"))
    with pytest.raises(ConfigError, match="RAY_AUTH_TOKEN_PATH"):
        jobs.status("x")
    fail(ConnectionError("no"))
    with pytest.raises(ClusterError, match=r"no Ray dashboard answers at http://127\.0\.0\.1:8265"):
        jobs.status("x")
    fail(RuntimeError("Request failed\nand so on"))
    with pytest.raises(ClusterError, match=r"refuses: Request failed$"):
        jobs.status("x")

    class Older(Client):
        def __init__(self, where):
            super().__init__(where)
            self._server_ray_version = "2.50.0"

    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", Older)
    with pytest.raises(ConfigError, match=r"runs Ray 2\.50\.0, and this is Ray"):
        jobs.logs("x")


def test_a_job_that_is_stopped_twice_says_how_it_ended(monkeypatch):
    class Stopping(Client):
        ended: ClassVar[list[str]] = []

        def get_job_info(self, job):
            return SimpleNamespace(status="STOPPED" if job in self.ended else "RUNNING")

        def stop_job(self, job):
            self.ended.append(job)
            return True

    monkeypatch.setattr(ray.job_submission, "JobSubmissionClient", Stopping)
    jobs.stop("evolve-1")
    with pytest.raises(ClusterError, match="job evolve-1 is not running: it ended as STOPPED"):
        jobs.stop("evolve-1")
    assert Stopping.ended == ["evolve-1"]


def test_where_jobs_go(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert jobs_address() == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert jobs_address() == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    assert jobs_address() == "http://head:8265"
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://other:8265")
    assert jobs_address() == "http://other:8265"
