"""A small venue over real sockets whose clock runs fast and whose faults are scripted; it knows the truth of every bar."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import orjson
from aiohttp import WSMsgType, web

from quantga.venue.market import Candle, Quote
from quantga.venue.stream import Trades
from tests.live.market import MINUTE, Market


def text(value: float) -> str:
    return format(value, ".10f").rstrip("0").rstrip(".")


def wire_candle(candle: Candle) -> dict:
    keys = {"o": candle.open, "h": candle.high, "l": candle.low, "c": candle.close, "v": candle.volume}
    shown = {key: text(value) for key, value in keys.items()}
    return {"t": candle.start, "T": candle.end, "s": candle.coin, "i": candle.interval, **shown, "n": candle.trades}


def wire_trade(trade) -> dict:
    side = "B" if trade.buy else "A"
    row = {"coin": trade.coin, "side": side, "px": text(trade.px), "sz": text(trade.size), "time": trade.time}
    return {**row, "hash": "0x0", "tid": trade.tid, "users": ["0xa", "0xb"]}


HOSTILE = [
    b"",
    b"[]",
    b"null",
    b'{"channel":"trades","data":{}}',
    b'{"channel":"candle","data":{"t":NaN}}',
    b'{"channel":"bbo","data":{"coin":"BTC","time":1,"bbo":[{"px":"NaN","sz":"1","n":1},null]}}',
    b'{"channel":"l2Book","data":null}',
    b'{"channel":"nobody","data":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"channel":"trades","data":"' + b"x" * 1_000_000 + b'"}',
    b'{"channel":7}',
]


SILENCE = 0.1
"""The shortest silence (s): longer than the feed's `hole`, shorter than its `stale`."""
STREAM = ("silent", "stale", "cut", "close", "restart", "twice", "swap", "lose", "hostile", "late_ack")
KINDS = (*STREAM, "too_many", "bad_gateway", "hang", "torn")


@dataclass
class Fault:
    """From `at` on (s of our time after the start): `kind`, for `seconds` or `count` times."""

    at: float
    kind: str
    seconds: float = 0.0
    count: int = 0


def script(seed: int, length: float) -> list[Fault]:
    """A few faults at random, none of them in the last quarter."""
    dice = random.Random(f"script {seed}")
    out = []
    for _ in range(dice.randint(1, 5)):
        kind = dice.choice(KINDS)
        out.append(Fault(dice.uniform(0, 0.7 * length), kind, dice.uniform(SILENCE, 0.4), dice.randint(1, 6)))
    return sorted(out, key=lambda one: one.at)


@dataclass
class Server:
    """Serves `/info` and `/ws` for one coin; `speed` venue seconds pass per second."""

    market: Market
    speed: float
    begin: int
    faults: list[Fault] = field(default_factory=list)
    interval: int = MINUTE

    def __post_init__(self):
        self.sockets: dict[web.WebSocketResponse, set[str]] = {}
        self.until = {}
        self.left = {}
        self.held = {}
        self.started = 0.0
        self.dice = random.Random(self.market.seed)
        self.frames = [
            row for row in self.market.frames(self.interval, beat=int(self.speed * 10)) if row[0] > self.begin
        ]
        self.sent = 0
        self.sockets_made = 0
        self.tasks = set()
        self.lost = False

    def later(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def now(self) -> int:
        return self.begin + int((time.monotonic() - self.started) * 1000 * self.speed)

    def on(self, kind: str) -> bool:
        return self.until.get(kind, 0.0) > time.monotonic()

    def hit(self, kind: str) -> bool:
        if self.left.get(kind, 0) <= 0:
            return False
        self.left[kind] -= 1
        return True

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/info", self.info)
        app.router.add_get("/ws", self.ws)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.started = time.monotonic()
        self.task = asyncio.ensure_future(self.play())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await self.drop()
        await self.runner.cleanup()

    async def drop(self):
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self.sockets.clear()

    async def play(self):
        pending, frames = list(self.faults), self.frames
        k = 0
        while True:
            await asyncio.sleep(0.004)
            at = time.monotonic() - self.started
            while pending and pending[0].at <= at:
                await self.strike(pending.pop(0))
            now = self.now()
            while k < len(frames) and frames[k][0] <= now:
                await self.send(frames[k][1])
                k += 1
            if k == len(frames):
                await self.send(Quote(self.market.coin, now, None, None))

    async def strike(self, fault: Fault):
        if fault.kind in {"silent", "stale", "restart", "hang", "late_ack"}:
            self.until[fault.kind] = time.monotonic() + fault.seconds
        else:
            self.left[fault.kind] = fault.count
        if fault.kind in {"cut", "restart"}:
            await self.drop()
        if fault.kind == "close":
            for socket in list(self.sockets):
                self.later(socket.close())
        if fault.kind == "hostile":
            for socket in list(self.sockets):
                for _ in range(fault.count):
                    await self.put(socket, self.dice.choice(HOSTILE))

    async def send(self, what):
        if isinstance(what, Quote):
            level = {"px": "1", "sz": "1", "n": 1}
            body, key = {"channel": "bbo", "data": {"coin": what.coin, "time": what.time, "bbo": [level, None]}}, "bbo"
        elif isinstance(what, Trades):
            body, key = {"channel": "trades", "data": [wire_trade(t) for t in what.trades]}, "trades"
        else:
            body, key = {"channel": "candle", "data": wire_candle(what)}, "candle"
        data = orjson.dumps(body)
        if key != "bbo" and not self.lost and self.hit("lose"):
            self.lost = True  # never two in a row: that a living socket loses a trade and its candle is not claimed
            return
        self.lost = self.lost and key == "bbo"
        twice, swap = self.hit("twice"), self.hit("swap")
        for socket, keys in list(self.sockets.items()):
            if key not in keys:
                continue
            if swap and socket not in self.held:
                self.held[socket] = data
                continue
            for _ in range(1 + twice):
                await self.put(socket, data)
            if socket in self.held:
                await self.put(socket, self.held.pop(socket))

    async def put(self, socket, data: bytes, pong: bool = False):
        if self.on("silent") or (self.on("stale") and not pong):
            return
        self.sent += 1
        try:
            await socket.send_str(data.decode())
        except (ConnectionError, RuntimeError):
            self.sockets.pop(socket, None)

    async def ws(self, request):
        if self.on("restart"):
            return web.Response(status=503)
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        self.sockets[socket] = set()
        self.sockets_made += 1
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            body = orjson.loads(message.data)
            if body["method"] == "ping":
                await self.put(socket, b'{"channel":"pong"}', pong=True)
                continue
            self.later(self.subscribe(socket, body["subscription"]))
        self.sockets.pop(socket, None)
        return socket

    async def subscribe(self, socket, sub):
        shown = {**sub, "fast": True, "nSigFigs": None} if sub["type"] == "l2Book" else sub
        ack = orjson.dumps({"channel": "subscriptionResponse", "data": {"method": "subscribe", "subscription": shown}})
        if self.on("late_ack"):
            await asyncio.sleep(0.02)
        await self.put(socket, ack)
        if socket in self.sockets:
            self.sockets[socket].add(sub["type"])
        now = self.now()
        if sub["type"] == "trades":
            rows = [wire_trade(t) for t in self.market.trades if t.time <= now][-5:]
            await self.put(socket, orjson.dumps({"channel": "trades", "data": rows}))
        elif sub["type"] == "candle":
            candle = self.market.candle(now // self.interval * self.interval, self.interval, now + 1)
            if candle is not None:
                await self.put(socket, orjson.dumps({"channel": "candle", "data": wire_candle(candle)}))

    async def info(self, request):
        body = await request.json()
        if body["type"] == "meta":
            row = {"szDecimals": 3, "name": self.market.coin, "maxLeverage": 3, "marginTableId": 3}
            return web.json_response({"universe": [row], "marginTables": [], "collateralToken": 0})
        if self.on("restart") or self.hit("bad_gateway"):
            return web.Response(status=502, text="<html>502</html>", content_type="text/html")
        if self.hit("too_many"):
            return web.Response(status=429, text="null", content_type="application/json")
        req = body["req"]
        rows = self.market.snapshot(self.interval, req["startTime"], req["endTime"], self.now() + 1)
        if self.on("hang"):
            await asyncio.sleep(0.8)
        if req["startTime"] >= self.market.start and self.hit("torn"):
            rows = rows[len(rows) // 2 :]
        return web.json_response([wire_candle(row) for row in rows])
