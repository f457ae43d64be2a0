"""The route that Prometheus scrapes, and the counting of answers."""

from __future__ import annotations

import logging
import time

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Asked

from quantga.service.access import Scope
from quantga.service.answers import PROBLEMS, needs
from quantga.telemetry.exporter import Exporter

_LOG = logging.getLogger(__name__)


class Measured:
    """ASGI middleware that counts and logs what is answered, outside of the gate, so that refusals are counted too."""

    def __init__(self, app: ASGIApp, exporter: Exporter) -> None:
        self.app, self.exporter = app, exporter

    async def __call__(self, scope: Asked, receive: Receive, send: Send) -> None:
        """Pass a request on, and count its answer when it begins."""
        began = time.perf_counter()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "")
                seconds, caller = time.perf_counter() - began, scope.get("quantga.caller")
                self.exporter.answered(scope["method"], route, message["status"], seconds)
                facts = {"method": scope["method"][:16], "route": route, "status": message["status"]}
                _LOG.info(
                    "answered", extra={**facts, "ms": round(1000 * seconds, 1), "who": caller.id if caller else ""}
                )
            await send(message)

        await self.app(scope, receive, told if scope["type"] == "http" else send)


def metrics(exporter: Exporter) -> APIRouter:
    """Return the router of /metrics."""
    router = APIRouter(tags=["service"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Metrics as text."}},
    )
    def scraped() -> Response:
        """Return the metrics of docs/metrics-exported.md in Prometheus' text form."""
        return Response(exporter.text(), media_type="text/plain; version=0.0.4")

    return router
