"""Commands sent to a cluster as Ray jobs: a thin front on Ray's own client, with one sentence for each thing that can fail.

A job is a script of jobs/ and its words; what it does is kept in the lake, so that it can be stopped and submitted again at
any time, and goes on where it stopped.
"""

from __future__ import annotations

import logging
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import AuthenticationError

from quantga.errors import ClusterError, ConfigError
from quantga.settings import Settings, jobs_address

if TYPE_CHECKING:
    from ray.job_submission import JobDetails as JobDetails  # noqa: PLC0414 (the command line names it too)
    from ray.job_submission import JobSubmissionClient

EXCLUDES = ("/.git/", "/.venv/", "/.*_cache/", "/.hypothesis/", "/tests/", "/docs/", "/demo/", "/store/", "/lake/")
"""What a job does not need of the project's folder; what .gitignore names stays behind as well."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_LOCK = "requirements.lock"


@dataclass(frozen=True)
class Order:
    """What is to be run: a script of jobs/, its words, and the project's folder that both are taken from.

    locked: the machines install requirements.lock with its hashes first; else the packages are there already. installed: the
    machines' own quantga runs, with its compiled kernels; else the folder's, whose kernels each machine compiles anew.
    """

    job: str
    words: tuple[str, ...]
    folder: Path
    locked: bool = False
    installed: bool = False

    def scripts(self) -> list[str]:
        """Return the names of the jobs that the folder has."""
        return sorted(path.stem for path in (self.folder / "jobs").glob("*.py"))

    def runtime_env(self) -> dict[str, Any]:
        """Return what Ray brings to the machines: the folder, and the locked packages where they are asked for."""
        made: dict[str, Any] = {
            "working_dir": str(self.folder),
            "excludes": [*EXCLUDES, *(["/quantga/"] if self.installed else [])],
        }
        if self.locked:
            packages = str(self.folder / _LOCK)
            made["pip"] = {"packages": packages, "pip_install_options": ["--require-hashes", "--no-deps"]}
        return made


def submit(order: Order, address: str = "") -> str:
    """Send an order to the cluster at `address` (its dashboard); return the job's id.

    Raises:
        ConfigError: there is no such job, or its store could not be seen from the cluster.
        ClusterError: the cluster does not answer or refuses.
    """
    if order.job not in order.scripts():
        known = ", ".join(order.scripts()) or "none: give --folder"
        raise ConfigError(f"there is no job {order.job!r} in {order.folder / 'jobs'} (it has {known})")
    words = _with_store(order.words)
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    with _client(address) as client:
        return str(
            client.submit_job(
                entrypoint=shlex.join(["python", f"jobs/{order.job}.py", *words]),
                submission_id=f"{order.job}-{stamp}",
                runtime_env=order.runtime_env(),
                metadata={"quantga": order.job, "words": " ".join(words)},
            )
        )


def status(job: str, address: str = "") -> JobDetails:
    """Return what Ray knows of a job: its status, its message, its times."""
    with _client(address) as client:
        return _known(client, job)


def listed(address: str = "") -> list[JobDetails]:
    """Return the jobs that were submitted, the newest first."""
    with _client(address) as client:
        jobs = [one for one in client.list_jobs() if one.submission_id]
    return sorted(jobs, key=lambda one: one.start_time or 0, reverse=True)


def logs(job: str, address: str = "") -> str:
    """Return what a job has written so far."""
    with _client(address) as client:
        _known(client, job)
        return str(client.get_job_logs(job))


async def follow(job: str, address: str = "") -> str:
    """Print what a job writes until it ends; return its last status."""
    with _client(address) as client:
        _known(client, job)
        async for lines in client.tail_job_logs(job):
            print(lines, end="", flush=True)  # noqa: T201 (the job's own output)
        return str(client.get_job_status(job))


def stop(job: str, address: str = "") -> None:
    """Stop a job; what it has committed stays, and the same order goes on from there.

    Raises:
        ClusterError: it had ended already.
    """
    with _client(address) as client:
        known = _known(client, job)
        if str(known.status) in ENDED or not client.stop_job(job):
            raise ClusterError(f"job {job} is not running: it ended as {_known(client, job).status}")


@contextmanager
def _client(address: str) -> Iterator[JobSubmissionClient]:
    """Yield Ray's client; what it raises becomes one of our sentences."""
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415 (takes a second)

    logging.getLogger("ray").setLevel(logging.ERROR)  # what is packed and what not is nobody's concern
    where = address or jobs_address()
    if "://" not in where:
        where = f"http://{where}"
    try:
        client = JobSubmissionClient(where)
        there = getattr(client, "_server_ray_version", ray.__version__)  # get_version() is that of Ray's own protocol
        if there != ray.__version__:
            raise ConfigError(
                f"the cluster at {where} runs Ray {there}, and this is Ray {ray.__version__}: install the same on both sides"
            )
        yield client
    except AuthenticationError as error:
        raise ConfigError(
            f"the cluster at {where} does not accept the token, or none was given: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH to the file of the cluster's token"
        ) from error
    except (ConnectionError, OSError) as error:
        raise ClusterError(
            f"no Ray dashboard answers at {where}: give --cluster of one, as http://127.0.0.1:8265"
        ) from error
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
        raise ClusterError(f"the cluster at {where} refuses: {said[:300]}") from error


def _known(client: JobSubmissionClient, job: str) -> JobDetails:
    try:
        return client.get_job_info(job)
    except RuntimeError as error:
        if "404" in str(error) or "does not exist" in str(error):
            raise ConfigError(f"the cluster knows no job {job!r}: `quantga job status` lists them") from error
        raise


def _with_store(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words with a store that the cluster's machines can see: an address, or a folder by its full path."""
    given = next((word.partition("=")[2] for word in words if word.startswith("--store=")), "")
    if not given and "--store" in words[:-1]:
        given = words[words.index("--store") + 1]
    store = given or Settings.load().store.path
    if "://" not in store and not Path(store).is_absolute():
        raise ConfigError(
            f"the store {store!r} is a folder in the job's working folder, which is thrown away: "
            "give --store s3://bucket/prefix, or the full path of a folder that the cluster's machines mount"
        )
    return tuple(words) if given else (*words, "--store", store)
