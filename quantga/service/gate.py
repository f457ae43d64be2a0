"""The gate before every route: the right host, the right origin, a token, its pace; and the headers of every answer.

It stands outside of the routes, so that a new route is shut until somebody shows a token. Only /health is open, and a visit
of the front page without a token is answered with 401 and the form that asks for one.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quantga.service.access import Token, Tokens
from quantga.service.audit import Audit
from quantga.service.door import LOGIN_STYLE, login_page, token_of
from quantga.service.limits import CALLS, GUESSES, Buckets
from quantga.service.logins import COOKIE, LIFE_S, Logins

OPEN = "/health"
BODY_BYTES = 65_536
_SAFE = ("GET", "HEAD", "OPTIONS")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{}; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY.format(""),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@dataclass
class Guard:
    """What the gate needs to judge a request. hosts: as the Host header may name us; secure: we are reached over TLS."""

    tokens: Tokens
    logins: Logins
    audit: Audit
    hosts: frozenset[str]
    secure: bool = False
    calls: Buckets = field(default_factory=lambda: Buckets(CALLS))
    guesses: Buckets = field(default_factory=lambda: Buckets(GUESSES))

    @property
    def origins(self) -> frozenset[str]:
        """The origins that pages of ours have."""
        scheme = "https" if self.secure else "http"
        return frozenset(f"{scheme}://{host}" for host in self.hosts)


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app, self.guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # there is none; a refusal closes it
                await send({"type": "websocket.close", "code": 1008})
                return
            await self.app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                self._record(scope, message["status"])
            await send(message)

        request = Request(scope, receive)
        answer = self._stranger(request) or await self._login(request) or self._admitted(request, scope)
        if answer is not None:
            await answer(scope, receive, told)
            return
        await self.app(scope, _bounded(receive), told)

    def _stranger(self, request: Request) -> Response | None:
        """Refuse who calls us by another name, sends another site's page, or too much."""
        headers = request.headers
        if headers.get("host", "").lower() not in self.guard.hosts:
            return refusal(421, "this service is not called by that name: quantga serve --allow-host NAME")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self.guard.origins:
            return refusal(403, "a page of another site may not call this service")
        if request.method not in _SAFE and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return refusal(403, "a page of another site may not call this service")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > BODY_BYTES:
            return refusal(413, f"a request has at most {BODY_BYTES} bytes")
        return None

    async def _login(self, request: Request) -> Response | None:
        """Answer /login and /logout, the only two that speak of cookies."""
        path, method, guard = request.url.path, request.method, self.guard
        if path == "/logout" and method == "POST":
            guard.logins.end(request.cookies.get(COOKIE, ""))
            gone = RedirectResponse("/", 303)
            gone.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=guard.secure)
            return gone
        if path != "/login" or method != "POST":
            return None
        waits = guard.guesses.wait(_address(request.scope))
        if waits:
            return refusal(429, "too many tokens were refused: wait", waits)
        token = guard.tokens.holder(await token_of(request, BODY_BYTES))
        if token is None:
            guard.guesses.take(_address(request.scope))
            return _form("That token is not valid here.")
        request.scope["quantga.caller"] = token
        cookie = guard.logins.begin(token)
        welcome = RedirectResponse("/", 303)
        welcome.set_cookie(COOKIE, cookie, LIFE_S, httponly=True, samesite="strict", secure=guard.secure)
        return welcome

    def _admitted(self, request: Request, scope: MutableMapping[str, Any]) -> Response | None:
        """Find out who asks; None where the request may pass."""
        if request.url.path == OPEN:
            return None
        guard, address = self.guard, _address(scope)
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        cookie = request.cookies.get(COOKIE, "")
        token: Token | None = None
        if kind:
            waits = guard.guesses.wait(address)
            if waits:
                return refusal(429, "too many tokens were refused: wait", waits)
            token = guard.tokens.holder(shown.strip()) if kind.lower() == "bearer" else None
            if token is None:
                guard.guesses.take(address)
        elif cookie:
            token = guard.logins.holder(cookie)
        if token is None:
            return _form() if request.url.path == "/" and request.method == "GET" else _unknown()
        waits = guard.calls.wait(token.id)
        if waits:
            return refusal(429, "this token asks too often: wait", waits)
        guard.calls.take(token.id)
        scope["quantga.caller"] = token
        return None

    def _record(self, scope: Scope, status: int) -> None:
        """Write down what was done and what was refused; reading is neither, nor is a page of a stranger who guesses nothing."""
        caller: Token | None = scope.get("quantga.caller")
        if scope["method"] in _SAFE and status not in (401, 403):
            return
        if status == 401 and not Headers(scope=scope).get("authorization") and scope["path"] != "/login":
            return
        who = {"token": caller.id, "name": caller.name} if caller else {}
        self.guard.audit.write(
            address=_address(scope), method=scope["method"], path=scope["path"][:200], status=status, **who
        )


def refusal(status: int, sentence: str, waits: int = 0) -> Response:
    """Return an answer that says why not."""
    headers = {"retry-after": str(waits)} if waits else {}
    return Response(orjson.dumps({"error": sentence}), status, headers, "application/json")


def _unknown() -> Response:
    answer = refusal(401, "a token is needed: `quantga token create` makes one")
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def _form(note: str = "") -> Response:
    headers = {"www-authenticate": "Bearer", "content-security-policy": _POLICY.format(f" '{LOGIN_STYLE}'")}
    return Response(login_page(note), 401, headers, "text/html")


def _address(scope: MutableMapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _bounded(receive: Receive) -> Receive:
    """Return a `receive` that gives at most BODY_BYTES: a body may come without its length."""
    left = BODY_BYTES

    async def some() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            return {"type": "http.disconnect"}
        return message

    return some


def hosts_of(host: str, port: int, more: Iterable[str] = ()) -> frozenset[str]:
    """Return the names by which the service may be called: loopback with its port, and those that were allowed as they are."""
    local = {"127.0.0.1", "localhost", "[::1]", *((host,) if host not in ("0.0.0.0", "::") else ())}  # noqa: S104
    return frozenset({f"{name}:{port}".lower() for name in local} | {name.lower() for name in more})
