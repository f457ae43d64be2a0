"""Routes of runs: which there are, how they went and go, what they found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, RunId, TheService, known_run, missing, needs, problem
from quantga.service.archive import Row, to_bytes
from quantga.service.gate import refusal
from quantga.service.progress import placebo
from quantga.service.service import Service
from quantga.service.shapes import Front, Generations, RunDetail, Runs

router = APIRouter(prefix="/api/v1/runs", tags=["runs"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

FIGURES = ("score", "alpha_sharpe", "sharpe", "total_return", "max_drawdown", "trades")
STREAMS = 100
"""Browsers that may follow runs at once."""
_EVERY_S = 1.0
_ALIVE_S = 15.0


@router.get("", response_model=Runs)
def runs(
    service: TheService,
    state: Annotated[Literal["finished", "unfinished"] | None, Query()] = None,
    symbol: Annotated[str | None, Query(max_length=40, description="One that the run searched.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """List the runs, the one searched last first."""

    def made() -> Row:
        found = [row for row in edition.runs.values() if state in (None, row["state"])]
        found = [row for row in found if symbol is None or symbol in row["symbols"]]
        found.sort(key=lambda row: (-row["ledger"], row["run"]))
        return {"total": len(found), "runs": [_line(service, row) for row in found[offset : offset + limit]]}

    edition = service.archive.edition
    key = f"runs {state} {symbol} {limit} {offset} {len(service.archive.validated)}"
    return Json(edition.answer(key, made))


@router.get("/{run}", response_model=RunDetail, responses=MISSING)
def run_detail(service: TheService, run: RunId) -> Response:
    """Return what a run is made of."""
    row = service.archive.edition.runs.get(run)
    if row is None:
        raise missing(f"there is no run {run}, or it was not indexed yet")
    made: Any = service.lake.read_json(f"runs/{run}/run.json")
    return Json({"line": _line(service, row), "made": made, "placebo": placebo(service.lake, run)})


@router.get("/{run}/generations", response_model=Generations, responses=MISSING)
def generations(service: TheService, run: RunId) -> Response:
    """Return how a run went, as far as it has got by now."""
    known_run(service, run)
    finished = service.progress.finished(run)
    return Json({"run": run, "finished": finished, "generations": service.progress.of(run)})


@router.get("/{run}/front", response_model=Front, responses=MISSING)
def front(service: TheService, run: RunId) -> Response:
    """Return the champions of a run, the best score first."""
    edition = service.archive.edition
    row = edition.runs.get(run)
    if row is None:
        raise missing(f"there is no run {run}, or it was not indexed yet")
    sql = f"SELECT id, text, size, {', '.join(FIGURES)} FROM fronts WHERE run = ? ORDER BY score DESC NULLS LAST, id"
    made = {"run": run, "trials": row["trials"], "front": edition.rows(sql, [run])}
    return Json(made)


@router.get(
    "/{run}/events",
    response_class=StreamingResponse,
    responses={
        **MISSING,
        **problem(429, f"More than {STREAMS} follow runs already."),
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events."},
    },
)
async def events(
    service: TheService,
    run: RunId,
    last_event_id: Annotated[str, Header(max_length=20, pattern=r"^[0-9]{0,9}$")] = "0",
) -> Response:
    """Follow a run: an event `generation` for each that is committed (its id is its number), then one `finished`.

    Who comes back with Last-Event-ID is told what came after it.
    """
    await asyncio.to_thread(known_run, service, run)
    if service.streams >= STREAMS:
        return refusal(429, "too many follow runs at once: close some", 60)
    return StreamingResponse(_follow(service, run, int(last_event_id or 0)), media_type="text/event-stream")


async def _follow(service: Service, run: str, seen: int) -> AsyncIterator[bytes]:
    service.streams += 1
    try:
        told = time.monotonic()
        yield b"retry: 3000\n\n"
        while True:
            finished = await asyncio.to_thread(service.progress.finished, run)  # asked first: nothing comes after it
            known = await asyncio.to_thread(service.progress.of, run)
            for one in (one for one in known if one["generation"] > seen):
                seen, told = one["generation"], time.monotonic()
                yield b"id: %d\nevent: generation\ndata: %b\n\n" % (seen, to_bytes(one))
            if finished:
                yield b"event: finished\ndata: {}\n\n"
                return
            if time.monotonic() - told > _ALIVE_S:
                told = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(_EVERY_S)
    finally:
        service.streams -= 1


def _line(service: Service, row: Row) -> Row:
    return {**row, "verdict": service.archive.validated.get(row["run"], "")}
