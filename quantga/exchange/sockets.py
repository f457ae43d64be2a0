"""`/ws`: subscribe, unsubscribe, ping and post, with the venue's acknowledgements, errors and limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from quantga.exchange.hub import Socket, key_of
from quantga.exchange.limits import Window
from quantga.exchange.service import Exchange
from quantga.exchange.subscriptions import Invalid, canonical, first_frames
from quantga.exchange.wire import U64, Malformed

Json = Any
LARGEST = 1 << 20
GOODBYE = 1.0
"""Seconds to wait for a peer's close frame."""
GREETING = "Websocket connection established."
Post = Callable[[str, Json, str], Awaitable[Json]]


class Conversation:
    """One client's socket from greeting to goodbye."""

    def __init__(self, exchange: Exchange, socket: Socket, post: Post) -> None:
        self._exchange, self._socket, self._post = exchange, socket, post
        self._messages = Window()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Answer messages until the client leaves, breaks a limit or names an unknown coin."""
        limits = self._exchange.meter.limits
        async for message in self._socket.ws:
            if message.type is not WSMsgType.TEXT:
                if message.type is WSMsgType.BINARY:
                    self._error("Error parsing JSON into valid websocket request: binary")
                    continue
                break
            self._messages.add(time.monotonic(), 1)
            if limits.messages and self._messages.at(time.monotonic()) > limits.messages:
                break
            if not self._answer(str(message.data)):
                break
        for task in self._tasks:
            task.cancel()

    def _error(self, text: str) -> None:
        self._socket.put({"channel": "error", "data": text})

    def _answer(self, text: str) -> bool:
        """Handle a message; False ends the conversation."""
        try:
            self._obey(orjson.loads(text))
        except (orjson.JSONDecodeError, Malformed):
            self._error(f"Error parsing JSON into valid websocket request: {text[:2000]}")
        except Invalid as invalid:
            self._error(f"Invalid subscription {invalid}")
            return False
        return True

    def _obey(self, body: Json) -> None:
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            raise Malformed
        method = body["method"]
        if method == "ping":
            self._socket.put({"channel": "pong"}, pong=True)
        elif method in {"subscribe", "unsubscribe"}:
            self._subscription(method, body.get("subscription"))
        elif method == "post":
            self._begin_post(body)
        else:
            raise Malformed

    def _subscription(self, method: str, wish: Json) -> None:
        desk, socket = self._exchange.desk, self._socket
        sub = canonical(desk, wish)
        key, shown = key_of(sub), orjson.dumps(wish).decode()
        if method == "unsubscribe":
            if socket.subs.pop(key, None) is None:
                self._error(f"Already unsubscribed: {shown}")
                return
            socket.seen.pop(key, None)
            socket.opened.pop(key, None)
        elif key in socket.subs:
            self._error(f"Already subscribed: {shown}")
            return
        elif not self._within_limits(sub):
            return
        else:
            socket.subs[key] = sub
        ack = {"channel": "subscriptionResponse", "data": {"method": method, "subscription": sub}}
        socket.put(ack)
        if method == "subscribe":
            for frame in first_frames(desk, sub):
                socket.put(frame)

    def _within_limits(self, sub: Json) -> bool:
        limits, address = self._exchange.meter.limits, self._socket.address
        mine = [one for one in self._exchange.hub.sockets if one.address == address]
        if limits.subscriptions and sum(len(one.subs) for one in mine) >= limits.subscriptions:
            self._error(f"Cannot track more than {limits.subscriptions} subscriptions.")
            return False
        users = {s["user"] for one in mine for s in one.subs.values() if "user" in s} | {sub.get("user")} - {None}
        if limits.users and len(users) > limits.users:
            self._error(f"Cannot track more than {limits.users} total users.")
            return False
        return True

    def _begin_post(self, body: Json) -> None:
        number, request = U64(body.get("id")), body.get("request")
        if not isinstance(request, dict) or request.get("type") not in ("info", "action"):
            raise Malformed
        limits = self._exchange.meter.limits
        if limits.posts and self._socket.posts >= limits.posts:
            self._error(f"too many pending post requests id={number}")
            return
        self._socket.posts += 1
        task = asyncio.ensure_future(self._finish_post(number, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish_post(self, number: int, request: Json) -> None:
        try:
            answer = await self._post(request["type"], request.get("payload"), self._socket.address)
        finally:
            self._socket.posts -= 1
        self._socket.put({"channel": "post", "data": {"id": number, "response": answer}})


async def serve_socket(exchange: Exchange, request: web.Request, post: Post) -> web.StreamResponse:
    """Handle one connection."""
    address = request.remote or ""
    mine = sum(1 for one in exchange.hub.sockets if one.address == address)
    if not exchange.meter.may_open(address, time.monotonic(), mine):
        return web.Response(status=429, text="null", content_type="application/json")
    ws = web.WebSocketResponse(max_msg_size=LARGEST, timeout=GOODBYE)
    if not ws.can_prepare(request).ok:
        return web.Response(status=400, text="Connection header did not include 'upgrade'")
    await ws.prepare(request)
    if exchange.greeting:
        await ws.send_str(GREETING)
    socket = Socket(ws, address, exchange.faults)
    exchange.hub.sockets.add(socket)
    writer = asyncio.ensure_future(socket.write())
    try:
        await Conversation(exchange, socket, post).listen()
    finally:
        exchange.hub.sockets.discard(socket)
        socket.end()
        await asyncio.wait([writer], timeout=1.0)
        writer.cancel()
        await ws.close()
    return ws
