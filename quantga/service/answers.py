"""How routes answer: orjson's bytes, one sentence for what went wrong, and who may ask."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import APIKeyCookie, HTTPBearer, SecurityScopes
from starlette.exceptions import HTTPException as Refused

from quantga.errors import ClusterError, ConfigError, Conflict, DataError, StoreError
from quantga.service.access import Scope, Token
from quantga.service.archive import to_bytes
from quantga.service.gate import refusal
from quantga.service.logins import COOKIE
from quantga.service.service import Service
from quantga.service.shapes import Problem

_bearer = HTTPBearer(auto_error=False, description="A token of `quantga token create`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="What POST /login gives a browser for a token.")

RunId = Annotated[str, Path(pattern=r"^[0-9a-z][0-9a-z_-]{0,63}$", description="A run's id.")]
ProgramId = Annotated[str, Path(pattern=r"^[0-9a-f]{4,64}$", description="A program's id.")]


def problem(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of a refusal."""
    return {status: {"model": Problem, "description": description}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    **problem(400, "The request does not read."),
    **problem(401, "No token, or none that holds."),
    **problem(403, "The token does not permit this, or another site's page asks."),
    **problem(413, "The body is too long."),
    **problem(421, "The service is not called by this name."),
    **problem(422, "A parameter is not what it may be."),
    **problem(429, "Too often; Retry-After says how many seconds to wait."),
    **problem(503, "The store does not answer, or something in it was changed."),
}
MISSING = problem(404, "There is no such thing.")


class Json(Response):
    """An answer of plain values, or of bytes that were made before."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the bytes."""
        return content if isinstance(content, bytes) else to_bytes(content)


def service_of(request: Request) -> Service:
    """Return the service that a request is made to."""
    return cast("Service", request.app.state.service)


def _permitted(
    needed: SecurityScopes, request: Request, bearer: object = Depends(_bearer), cookie: object = Depends(_cookie)
) -> Token:
    """Return who asks; the gate has found that out, from the header or the cookie."""
    del bearer, cookie
    caller: Token | None = request.scope.get("quantga.caller")
    if caller is None:
        raise HTTPException(401, "a token is needed: `quantga token create` makes one", {"WWW-Authenticate": "Bearer"})
    for scope in needed.scopes:
        if not caller.permits(Scope(scope)):
            raise HTTPException(403, f"this token does not permit to {scope}: `quantga token create --scope {scope}`")
    return caller


def needs(scope: Scope) -> Any:
    """Return what a router asks of each call: a token with this scope."""
    return Security(_permitted, scopes=[scope.value])


TheService = Annotated[Service, Depends(service_of)]
TheCaller = Annotated[Token, Security(_permitted, scopes=[Scope.READ.value])]


def missing(sentence: str) -> HTTPException:
    """Return the error for what is not there."""
    return HTTPException(404, sentence)


def known_run(service: Service, run: str) -> None:
    """Raise 404 unless there is such a run."""
    if run not in service.archive.edition.runs and not service.lake.exists(f"runs/{run}/run.json"):
        raise missing(f"there is no run {run}")


def answer_errors(app: FastAPI) -> None:
    """Give every error the shape of a Problem."""

    @app.exception_handler(Refused)
    async def _refused(request: Request, error: Refused) -> Response:
        answer = refusal(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            answer.headers["allow"] = _allowed(app, request.url.path) or answer.headers["allow"]
        return answer

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return refusal(422, f"{where}: {first['msg']}"[:300])

    for kind, status in ((ConfigError, 422), (Conflict, 409), (StoreError, 503), (DataError, 503), (ClusterError, 503)):
        app.add_exception_handler(kind, _told(status))


def _allowed(app: FastAPI, path: str) -> str:
    """Return every method that a path has; a route of its own knows only its own."""
    found = {
        method.upper()
        for template, methods in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
        for method in methods
    }
    return ", ".join(sorted(found))


def _told(status: int) -> Any:
    async def handler(_: Request, error: Exception) -> Response:
        return refusal(status, str(error)[:500])

    return handler
