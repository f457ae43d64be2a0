"""The HTTP side: `/info`, `/exchange`, `/ws` as the venue answers them, and `/control` for whoever runs the exchange."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
import traceback
from typing import Any, cast

import orjson
from aiohttp import web

from quantga.errors import QuantgaError
from quantga.exchange.actions import exchange_answer
from quantga.exchange.info import MARKET_INFO, SPOT_META, ServerFault
from quantga.exchange.info_user import USER_INFO
from quantga.exchange.limits import action_weight, info_weight, rows_weight
from quantga.exchange.service import Exchange
from quantga.exchange.sockets import serve_socket
from quantga.exchange.wire import ADDRESS, U64, Malformed

Json = Any
BODY = 2 << 20
LOCAL = frozenset({"127.0.0.1", "::1"})
NOT_JSON = "Failed to parse the request body as JSON"
NOT_TYPED = "Failed to deserialize the JSON body into the target type"
NOT_TYPE = "Expected request with `Content-Type: application/json`"
TOO_LONG = "Failed to buffer the request body: length limit exceeded"
HTML = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
DANGLING = {**SPOT_META, "universe": [{"name": "@999", "tokens": [999, 0], "index": 999, "isCanonical": False}]}


class Reply(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, text: str, kind: str = "text/plain") -> None:
        super().__init__(status, text, kind)
        self.status, self.text, self.kind = status, text, kind


def _json(answer: Json) -> web.Response:
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


class Server:
    """Request handlers around one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=BODY)
        app.router.add_post("/info", self._guarded(self._info))
        app.router.add_post("/exchange", self._guarded(self._act))
        app.router.add_post("/control", self._guarded(self._control))
        app.router.add_get("/ws", self._ws)
        return app

    def _guarded(self, handler: Any) -> Any:
        """Turn every refusal into the venue's own answer; a traceback goes to stderr, never to a client."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                return cast("web.StreamResponse", await handler(request))
            except Reply as reply:
                return web.Response(status=reply.status, text=reply.text, content_type=reply.kind)
            except Malformed:
                return web.Response(status=422, text=NOT_TYPED)
            except ServerFault:
                return web.Response(status=500, text="null", content_type="application/json")
            except QuantgaError as error:
                return web.json_response({"error": str(error)}, status=400)
            except (ConnectionError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 -- the last line of defence of a server
                traceback.print_exception(error, file=sys.stderr)
                return web.Response(status=500, text="null", content_type="application/json")

        return guarded

    async def _body(self, request: web.Request) -> Json:
        if request.content_type != "application/json":
            raise Reply(415, NOT_TYPE)
        try:
            return orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise Reply(400, NOT_JSON) from error
        except web.HTTPRequestEntityTooLarge as error:
            raise Reply(413, TOO_LONG) from error

    def _gate(self, address: str, weight: int) -> None:
        """Faults and the address's weight limit."""
        if self._exchange.faults.hit("bad_gateway"):
            raise Reply(502, HTML, "text/html")
        limited = not self._exchange.meter.admits(address, time.monotonic(), weight)
        if limited or self._exchange.faults.hit("too_many"):
            raise Reply(429, "null", "application/json")

    async def _info(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        return _json(self.info_answer(body, request.remote or ""))

    def info_answer(self, body: Json, address: str) -> Json:
        """The answer to a body of `/info`.

        Raises:
            Malformed: unknown type or bad field (422).
            Reply: limited, or a fault.
        """
        if not isinstance(body, dict) or not isinstance(body.get("type"), str):
            raise Malformed
        kind, faults = body["type"], self._exchange.faults
        handler = MARKET_INFO.get(kind) or USER_INFO.get(kind)
        if handler is None:
            raise Malformed
        self._gate(address, info_weight(kind))
        if kind == "orderStatus" and isinstance(body.get("oid"), str) and faults.on("unknown_oid"):
            return {"status": "unknownOid"}
        if kind == "spotMeta" and faults.hit("dangling_token"):
            return DANGLING
        answer = handler(self._exchange.desk, body)
        self._exchange.meter.charge(address, time.monotonic(), rows_weight(kind, answer))
        return answer

    async def _act(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        answer = await self.action_answer(body, request.remote or "")
        if self._exchange.faults.hit("lose_reply"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # to nobody
        return _json(answer)

    async def action_answer(self, body: Json, address: str) -> Json:
        """The answer to a body of `/exchange`.

        Raises:
            Malformed: it does not decode (422).
            Reply: limited, or a fault.
        """
        action = body.get("action") if isinstance(body, dict) else None
        self._gate(address, action_weight(action))
        faults = self._exchange.faults
        if faults.delay("delay_request"):
            await asyncio.sleep(faults.delay("delay_request"))
        answer = await exchange_answer(self._exchange, body)
        if faults.delay("delay_reply"):
            await asyncio.sleep(faults.delay("delay_reply"))
        return answer

    async def _post(self, kind: str, payload: Json, address: str) -> Json:
        """A request over the socket: the same answers, wrapped."""
        try:
            if kind == "action":
                return {"type": "action", "payload": await self.action_answer(payload, address)}
            answer = self.info_answer(payload, address)
            return {"type": "info", "payload": {"type": payload["type"], "data": answer}}
        except Malformed:
            return {"type": "error", "payload": "422 Unprocessable Entity"}
        except Reply as reply:
            names = {429: "429 Too Many Requests", 502: "502 Bad Gateway"}
            return {"type": "error", "payload": names.get(reply.status, str(reply.status))}
        except Exception as error:  # noqa: BLE001 -- the last line of defence of a server
            traceback.print_exception(error, file=sys.stderr)
            return {"type": "error", "payload": "500 Internal Server Error"}

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        return await serve_socket(self._exchange, request, self._post)

    async def _control(self, request: web.Request) -> web.StreamResponse:
        """Commands of whoever runs the exchange: status, step, fund, fault."""
        if request.remote not in LOCAL:
            raise Reply(404, "")
        body = await self._body(request)
        if not isinstance(body, dict):
            raise Malformed
        exchange, act = self._exchange, body.get("do")
        if act == "step":
            await exchange.step(U64(body.get("ms")))
        elif act == "fund":
            await exchange.fund(ADDRESS(body.get("user")), U64(body.get("usd")))
        elif act == "fault":
            await exchange.fault(body)
        elif act != "status":
            raise Malformed
        return _json(self._status())

    def _status(self) -> Json:
        exchange = self._exchange
        state = exchange.engine.state
        return {
            "market": state.market,
            "wall": exchange.clock.wall(),
            "end": exchange.engine.clockwork.end(),
            "stepped": exchange.clock.stepped,
            "accounts": len(state.accounts),
            "orders": sum(len(a.orders) for a in state.accounts.values()),
            "sockets": len(exchange.hub.sockets),
            "digest": exchange.engine.digest(),
        }


async def serve(exchange: Exchange, host: str, port: int, ready: asyncio.Event | None = None) -> None:
    """Answer on host:port until SIGTERM or SIGINT; then end cleanly."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(Server(exchange).application(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    clock = asyncio.ensure_future(exchange.run())
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await exchange.opened()
        await web.TCPSite(runner, host, port).start()
        if ready is not None:
            ready.set()
        await asyncio.wait([clock, waiting], return_when=asyncio.FIRST_COMPLETED)
        if clock.done():
            clock.result()
    finally:
        clock.cancel()
        waiting.cancel()
        for socket in list(exchange.hub.sockets):
            socket.end()
        await runner.cleanup()
        await exchange.close()
