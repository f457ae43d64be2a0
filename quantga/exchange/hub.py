"""The streams: what each socket subscribed to, and the frames that events and the clock send there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from quantga.exchange.desk import Desk, Events
from quantga.exchange.faults import Faults
from quantga.exchange.info_user import aggregate, funding_delta
from quantga.exchange.subscriptions import LATEST, candle_frames, fast_contexts, l2_frame, latest, packed
from quantga.exchange.twaps import slice_row

Json = Any
FAST, SLOW = 0.5, 5.0
BACKLOG = 64 << 20
"""Bytes that may wait for a slow socket before it is closed."""
PERSONAL = frozenset(
    {"clearinghouseState", "openOrders", "twapStates", "webData2", "webData3", "activeAssetData", "spotState"}
)


def key_of(sub: dict[str, Json]) -> str:
    """A subscription's identity."""
    return orjson.dumps(sub, option=orjson.OPT_SORT_KEYS).decode()


FAST_KEY = key_of({"type": "fastAssetCtxs"})


class Socket:
    """One connection: its subscriptions and a bounded queue of frames."""

    def __init__(self, ws: web.WebSocketResponse, address: str, faults: Faults) -> None:
        self.ws, self.address, self.faults = ws, address, faults
        self.subs: dict[str, dict[str, Json]] = {}
        self.seen: dict[str, bytes] = {}
        self.opened: dict[str, int] = {}
        self.sent = time.monotonic()
        self.posts = 0
        self.broken = False
        self._held: bytes | None = None
        self._waiting = 0
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, frame: Json, *, pong: bool = False) -> None:
        """Queue a frame; faults may swallow, double or swap it."""
        if self.faults.on("silent") or (not pong and self.faults.on("stale")):
            return
        data = orjson.dumps(frame)
        if self._waiting > BACKLOG:
            self.broken = True
            return
        if self.faults.disturbs_frames and not pong:
            if self._held is None and self.faults.hit("reorder"):
                self._held = data
                return
            if self.faults.hit("duplicate"):
                self._enqueue(data)
        self._enqueue(data)
        if self._held is not None:
            self._enqueue(self._held)
            self._held = None

    def _enqueue(self, data: bytes) -> None:
        self._waiting += len(data)
        self._queue.put_nowait(data)

    def changed(self, key: str, frame: Json) -> None:
        """Queue a frame if it says something new besides its time."""
        data = frame["data"]
        told = orjson.dumps({k: v for k, v in data.items() if k not in {"time", "serverTime"}})
        if self.seen.get(key) != told:
            self.seen[key] = told
            self.put(frame)

    def candle(self, key: str, frame: Json) -> None:
        """Queue a candle frame if it is new, and not of a bar before the last one told."""
        if frame["data"]["t"] >= self.opened.get(key, 0):
            self.opened[key] = frame["data"]["t"]
            self.changed(key, frame)

    def end(self) -> None:
        """Stop the writer after what is queued."""
        self._queue.put_nowait(None)

    async def write(self) -> None:
        """Send what is queued until `end` or until the peer is gone."""
        while (data := await self._queue.get()) is not None:
            self._waiting -= len(data)
            if self.ws.closed:
                return
            try:
                await self.ws.send_str(data.decode())
            except (ConnectionError, RuntimeError):
                return
            self.sent = time.monotonic()


class Hub:
    """All sockets, and the frames they get."""

    def __init__(self, desk: Callable[[], Desk], cadence: tuple[float, float] = (FAST, SLOW)) -> None:
        self._desk, self._cadence = desk, cadence
        self.sockets: set[Socket] = set()
        self._next = {True: 0.0, False: 0.0}
        self._fast: dict[str, Json] = {}

    def publish(self, events: Events) -> None:
        """Tell every socket what happened."""
        if not self.sockets:
            return
        desk, users = self._desk(), events.users()
        made: dict[str, list[Json]] = {FAST_KEY: self._changes(desk)}
        for socket in self.sockets:
            for key, sub in socket.subs.items():
                if key not in made:
                    made[key] = _frames(desk, sub, events, users)
                send = socket.put if sub["type"] in _AS_IT_COMES else partial(socket.changed, key)
                if sub["type"] == "candle":
                    send = partial(socket.candle, key)
                for frame in made[key]:
                    send(frame)

    def _changes(self, desk: Desk) -> list[Json]:
        """The frame of the marks and mids that changed since the last one."""
        if not any(FAST_KEY in socket.subs for socket in self.sockets):
            self._fast = {}
            return []
        now = fast_contexts(desk)
        changed = {coin: row for coin, row in now.items() if self._fast.get(coin) != row}
        self._fast = now
        return [packed(changed)] if changed else []

    def beat(self, now: float) -> None:
        """Send books by their cadence: by default fast ones every half second, the others every five."""
        for fast, pause in zip((True, False), self._cadence, strict=True):
            if now >= self._next[fast]:
                self._next[fast] = now + pause
                self.books(fast=fast)

    def books(self, *, fast: bool) -> None:
        """Send a frame of every fast or slow book now."""
        desk = self._desk()
        for socket in self.sockets:
            for sub in list(socket.subs.values()):
                if sub["type"] == "l2Book" and sub["fast"] == fast:
                    socket.put(l2_frame(desk, sub))

    def idle(self, now: float, limit: float) -> list[Socket]:
        """Sockets to close: nothing was sent for too long, or they read too slowly."""
        return [one for one in self.sockets if one.broken or (limit and now - one.sent > limit)]


def _frames(desk: Desk, sub: Json, events: Events, users: set[str]) -> list[Json]:
    """What events mean for a subscription."""
    kind = sub["type"]
    if kind in _PERSONAL_EVENTS:
        return _PERSONAL_EVENTS[kind](desk, sub, events) if sub["user"] in users else []
    if kind == "trades":
        rows = events.trades.get(sub["coin"])
        return [{"channel": "trades", "data": rows}] if rows else []
    if kind == "candle":
        return candle_frames(desk, sub, events.closed) if events.moved else []
    touched = events.moved or (sub["user"] in users if kind in PERSONAL else bool(events.trades))
    if kind == "bbo":
        touched = touched or bool(events.orders)
    return [latest(desk, sub)] if kind in LATEST and touched else []


def _order_updates(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = events.orders.get(sub["user"])
    return [{"channel": "orderUpdates", "data": rows}] if rows else []


def _user_events(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    user = sub["user"]
    data: list[Json] = []
    if events.fills.get(user):
        data.append({"fills": events.fills[user]})
    if events.slices.get(user):
        data.append({"twapSliceFills": [slice_row(fill) for fill in events.slices[user]]})
    if events.cancels.get(user):
        data.append({"nonUserCancel": events.cancels[user]})
    data.extend({"funding": {"time": row["time"], **funding_delta(row)}} for row in events.fundings.get(user, []))
    data.extend({"liquidation": row} for row in events.liquidations.get(user, []))
    return [{"channel": "user", "data": one} for one in data]


def _user_fills(desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = events.fills.get(sub["user"])
    if not rows:
        return []
    shown = aggregate(desk, rows) if sub["aggregateByTime"] else rows
    return [{"channel": "userFills", "data": {"user": sub["user"], "fills": shown}}]


def _user_fundings(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = [{"time": row["time"], **funding_delta(row)} for row in events.fundings.get(sub["user"], [])]
    return [{"channel": "userFundings", "data": {"user": sub["user"], "fundings": rows}}] if rows else []


def _ledger(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = events.ledger.get(sub["user"])
    data = {"user": sub["user"], "nonFundingLedgerUpdates": rows}
    return [{"channel": "userNonFundingLedgerUpdates", "data": data}] if rows else []


def _slices(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = [slice_row(fill) for fill in events.slices.get(sub["user"], [])]
    return [{"channel": "userTwapSliceFills", "data": {"user": sub["user"], "twapSliceFills": rows}}] if rows else []


def _twaps(_desk: Desk, sub: Json, events: Events) -> list[Json]:
    rows = events.twaps.get(sub["user"])
    return [{"channel": "userTwapHistory", "data": {"user": sub["user"], "history": rows}}] if rows else []


_PERSONAL_EVENTS: dict[str, Callable[[Desk, Json, Events], list[Json]]] = {
    "orderUpdates": _order_updates,
    "userEvents": _user_events,
    "userFills": _user_fills,
    "userFundings": _user_fundings,
    "userNonFundingLedgerUpdates": _ledger,
    "userTwapSliceFills": _slices,
    "userTwapHistory": _twaps,
}

_AS_IT_COMES = frozenset({*_PERSONAL_EVENTS, "trades", "fastAssetCtxs"})
"""Channels of which every frame is sent; the others send what changed."""
