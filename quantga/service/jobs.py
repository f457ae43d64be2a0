"""Routes of jobs: start and stop evolutions and validations on the Ray cluster that the service was told of.

An order is fields and not words, so that nobody names another store, another cluster or a file: what runs is the project's
own jobs/evolve.py and jobs/validate.py on the service's store.
"""

from __future__ import annotations

from pathlib import Path as Folder
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from quantga.errors import ConfigError
from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, TheService, missing, needs, problem
from quantga.service.archive import Row
from quantga.service.service import Service
from quantga.service.shapes_live import JobLine, Jobs

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], responses=PROBLEMS)

NO_CLUSTER = "this service knows no cluster: quantga serve --cluster http://127.0.0.1:8265"
_BESIDES = {**problem(409, "The service knows no cluster, or the job has ended.")}
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")

JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="A job's id.")]
Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:-]{0,39}$")]


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Evolve(_Order):
    """A search: as the options of `quantga evolve`; what is left out is as quantga.toml has it."""

    job: Literal["evolve"]
    symbols: Annotated[list[Symbol], Field(max_length=500)] = []
    venue: Annotated[str, Field(pattern=r"^[a-z0-9_]{0,40}$")] = ""
    interval: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,3}[mhdw])?$")] = ""
    islands: Annotated[int, Field(ge=1, le=256)] | None = None
    population: Annotated[int, Field(ge=4, le=100_000)] | None = None
    generations: Annotated[int, Field(ge=1, le=100_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None

    def words(self) -> list[str]:
        """Return the words of the command line."""
        given = {
            "symbols": ",".join(self.symbols),
            **self.model_dump(exclude={"job", "symbols"}),
        }
        return [f"--{name}={value}" for name, value in given.items() if value not in ("", None)]


class Validate(_Order):
    """A validation of a finished run: it looks at the locked holdout once, see docs/trust.md."""

    job: Literal["validate"]
    run: Annotated[str, Field(pattern=r"^[0-9a-z]{4,64}$")]
    nulls: Annotated[int, Field(ge=19, le=9_999)] | None = None

    def words(self) -> list[str]:
        """Return the words of the command line."""
        return [self.run, *([f"--nulls={self.nulls}"] if self.nulls else [])]


type Order = Annotated[Evolve | Validate, Field(discriminator="job")]


@router.get("", response_model=Jobs, dependencies=[needs(Scope.READ)])
def jobs(service: TheService) -> Response:
    """List the jobs that were sent to the cluster; none where the service knows no cluster."""
    if not service.cluster:
        return Json({"cluster": "", "jobs": []})
    from quantga.cluster.jobs import listed  # noqa: PLC0415 (Ray takes a second)

    return Json({"cluster": service.cluster, "jobs": [_line(one) for one in listed(service.cluster)[:200]]})


@router.post(
    "", response_model=JobLine, status_code=201, dependencies=[needs(Scope.RESEARCH)], responses={**MISSING, **_BESIDES}
)
def start(service: TheService, order: Order) -> Response:
    """Start an evolution or a validation on the cluster; the same order goes on where a stopped one was."""
    cluster = _cluster(service)
    if isinstance(order, Validate) and not service.lake.exists(f"runs/{order.run}/run.json"):
        raise missing(f"there is no run {order.run}")
    from quantga.cluster import jobs as cluster_jobs  # noqa: PLC0415 (Ray takes a second)

    root = service.lake.root
    store = str(root) if isinstance(root, Folder) else service.store
    words = (*order.words(), f"--store={store}")
    name = cluster_jobs.submit(cluster_jobs.Order(order.job, words, service.folder), cluster)
    return Json(_line(cluster_jobs.status(name, cluster)), 201)


@router.post(
    "/{job}/stop", response_model=JobLine, dependencies=[needs(Scope.RESEARCH)], responses={**MISSING, **_BESIDES}
)
def stop(service: TheService, job: JobId) -> Response:
    """Stop a job; what it has committed stays."""
    cluster = _cluster(service)
    from quantga.cluster import jobs as cluster_jobs  # noqa: PLC0415 (Ray takes a second)

    try:
        known = cluster_jobs.status(job, cluster)
    except ConfigError as error:
        raise missing(str(error)) from error
    if str(known.status) in _ENDED:
        raise HTTPException(409, f"job {job} has ended: {known.status}")
    cluster_jobs.stop(job, cluster)
    return Json(_line(cluster_jobs.status(job, cluster)))


def _cluster(service: Service) -> str:
    if not service.cluster:
        raise HTTPException(409, NO_CLUSTER)
    return service.cluster


def _line(one: Any) -> Row:
    """Return a job as the API tells it; its words are not told, only what kind it is."""
    return {
        "job": str(one.submission_id),
        "kind": str((one.metadata or {}).get("quantga", "")),
        "status": str(one.status),
        "message": str(one.message or "")[:500],
        "started": one.start_time,
        "ended": one.end_time,
    }
