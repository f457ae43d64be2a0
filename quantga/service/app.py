"""The application: routes behind the gate, the page's files, one description of it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from quantga import __version__
from quantga.service import acts, belief, data, jobs, live, programs, runs
from quantga.service.access import Scope
from quantga.service.answers import PROBLEMS, Json, TheCaller, TheService, answer_errors, needs
from quantga.service.gate import Gate
from quantga.service.measure import Measured, metrics
from quantga.service.service import Service
from quantga.service.shapes import About, Health
from quantga.service.watch import watch
from quantga.telemetry.exporter import Exporter

PAGE = Path(str(files("quantga.service"))) / "page"
_ABOUT = APIRouter(tags=["service"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)


def create_app(service: Service) -> FastAPI:
    """Return the application of a service; whoever runs it runs its watch as well."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.archive.reopen)
        watching = asyncio.create_task(watch(service))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            service.workshop.close()

    app = FastAPI(
        title="quantga",
        version="1",
        description="What evolves, what is believed and what trades.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    answer_errors(app)
    exporter = Exporter(service)
    app.get("/health", response_model=Health, tags=["service"], name="health")(_health)
    for router in (
        _ABOUT,
        runs.router,
        programs.router,
        belief.router,
        data.router,
        live.router,
        jobs.router,
        acts.router,
        metrics(exporter),
    ):
        app.include_router(router)
    app.get("/", include_in_schema=False)(_front_page)
    app.mount("/page", StaticFiles(directory=PAGE))
    app.add_middleware(Gate, guard=service.guard)
    app.add_middleware(Measured, exporter=exporter)
    return app


async def _health() -> Response:
    """Say that the service answers; the only route without a token."""
    return Json({"status": "ok"})


async def _front_page() -> Response:
    return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})


@_ABOUT.get("/api/v1/about", response_model=About)
def about(service: TheService, caller: TheCaller) -> Response:
    """Return what this service is, and who asks."""
    edition = service.archive.edition
    who = {"token": caller.id, "name": caller.name, "scopes": list(caller.scopes), "expires": caller.expires}
    return Json(
        {
            "version": __version__,
            "store": str(service.lake.root).rstrip("/").rsplit("/", 1)[-1],
            "catalog": edition.stamp // 1_000_000,
            "runs": len(edition.runs),
            "caller": who,
        }
    )
