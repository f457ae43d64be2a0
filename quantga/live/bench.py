"""How many frames a second the feed takes through a real socket, bars and recording included, on one core."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import multiprocessing
import os
import resource
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import uvloop

from quantga.errors import VenueError
from quantga.live.connection import Timing
from quantga.live.rules import Rules
from quantga.live.stream import Plan, Stream
from quantga.venue.market import Asset, Candle, FundingRate, Meta
from quantga.venue.protocol import Priority

COINS = ("BTC", "ETH", "SOL", "BNB", "DOGE")
START = 1_735_689_600_000
MINUTE = 60_000
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frames(minutes: int) -> Iterator[bytes]:
    """Frames of a busy market in the venue's order and proportions: quotes, trades with candles, fast books, contexts."""
    candles: dict[str, list[Any]] = {}
    for step in range(minutes * 600):
        now = START + step * 100
        for k, coin in enumerate(COINS):
            px = 1000 + (step * 7 + k) % 50
            yield orjson.dumps(
                {
                    "channel": "bbo",
                    "data": {"coin": coin, "time": now, "bbo": [_level(px), _level(px + 1)]},
                }
            )
            if step % 3 == k % 3:
                yield from _trade(coin, now, px, candles)
            if step % 5 == 0:
                sides = [[_level(px - n) for n in range(5)], [_level(px + 1 + n) for n in range(5)]]
                data = {"coin": coin, "time": now, "levels": sides, "fast": True}
                yield orjson.dumps({"channel": "l2Book", "data": data})
            if step % 10 == 0:
                yield orjson.dumps({"channel": "activeAssetCtx", "data": {"coin": coin, "ctx": _context(px)}})


def _level(px: int) -> dict[str, Any]:
    return {"px": f"{px}.0", "sz": "13.74589", "n": 46}


def _context(px: int) -> dict[str, Any]:
    prices = dict.fromkeys(("prevDayPx", "oraclePx", "markPx", "midPx"), f"{px}.0")
    sums = {"openInterest": "36295.80812", "dayNtlVlm": "4490636699.3287", "dayBaseVlm": "56265.69068"}
    return {"funding": "0.0000052974", "premium": "-0.0005", "impactPxs": [f"{px}.0", f"{px}.0"], **prices, **sums}


def _trade(coin: str, now: int, px: int, candles: dict[str, list[Any]]) -> Iterator[bytes]:
    row = {"coin": coin, "side": "B", "px": f"{px}.0", "sz": "0.5", "time": now, "hash": "0x" + "0" * 64, "tid": now}
    yield orjson.dumps({"channel": "trades", "data": [{**row, "users": ["0x" + "a" * 40, "0x" + "b" * 40]}]})
    opened = now // MINUTE * MINUTE
    state = candles.get(coin)
    if state is None or state[0] != opened:
        state = candles[coin] = [opened, px, px, px, 0]
    state[2], state[3], state[4] = max(state[2], px), min(state[3], px), state[4] + 1
    prices = {"o": f"{state[1]}.0", "c": f"{px}.0", "h": f"{state[2]}.0", "l": f"{state[3]}.0"}
    ends = {"t": opened, "T": opened + MINUTE - 1, "s": coin, "i": "1m"}
    yield orjson.dumps({"channel": "candle", "data": {**ends, **prices, "v": str(state[4] / 2), "n": state[4]}})


def pour(minutes: int, ready: Any) -> None:
    """Serve one feed: shake hands, write all frames as fast as the socket takes them, wait until the other side leaves.

    `ready` is a pipe that gets the port. Frames are made beforehand, so that making them costs nothing while it is measured.
    """
    data = b"".join(_framed(text) for text in frames(minutes))
    with socket.create_server(("127.0.0.1", 0)) as server:
        ready.send(server.getsockname()[1])
        peer, _ = server.accept()
    with peer:
        head = b""
        while b"\r\n\r\n" not in head:
            head += peer.recv(4096)
        key = next(x.split(b": ")[1] for x in head.split(b"\r\n") if x.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 -- the protocol's own
        peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        peer.sendall(data)
        while peer.recv(65_536):
            pass


def _framed(text: bytes) -> bytes:
    size = len(text)
    return struct.pack("!BB", 0x81, size) + text if size < 126 else struct.pack("!BBH", 0x81, 126, size) + text


class _Nobody:
    """Answers what a feed asks at its start; nothing needs to be healed here."""

    async def meta(self, *, priority: Priority = Priority.DATA) -> Meta:
        """Return the coins."""
        del priority
        return Meta(tuple(Asset(coin, k, 3, 10, ()) for k, coin in enumerate(COINS)))

    async def candles(self, coin: str, interval: str, start: int, end: int) -> tuple[Candle, ...]:
        """Return nothing."""
        del coin, interval, start, end
        return ()

    async def fundings(self, coin: str, start: int, end: int | None = None) -> tuple[FundingRate, ...]:
        """Return nothing."""
        del coin, start, end
        return ()


async def _take(port: int, count: int, folder: Path) -> dict[str, Any]:
    timing = Timing(stale=120, ack=120, ping=120)
    plan = Plan(f"http://127.0.0.1:{port}", COINS, ("1m",), record=folder, timing=timing, rules=Rules(hole=60.0))
    stream = Stream(plan, _Nobody())
    task = asyncio.ensure_future(stream.run())
    began = cpu = 0.0
    while stream.status()["traffic"]["frames"] < count:
        await asyncio.sleep(0.005)
        if not began and stream.status()["traffic"]["frames"]:
            began, cpu = time.perf_counter(), _cpu()
        if task.done():
            task.result()
            raise VenueError("the feed that was to be measured ended")
    seconds, used = time.perf_counter() - began, _cpu() - cpu
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    status = stream.status()
    return {"seconds": seconds, "cpu_seconds": used, "bars": status["bars"], "recorded": status["recorded"]}


def _cpu() -> float:
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime


def measure(minutes: int = 12) -> dict[str, Any]:
    """Pour `minutes` of a busy market of five coins through a socket into a feed that has one core.

    The feed runs in this process, held to one core together with its recorder; what pours runs in a process of its own.

    Raises:
        VenueError: bars or frames are missing: then the figure would mean nothing.
    """
    texts = [len(text) for text in frames(minutes)]
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    venue = spawn.Process(target=pour, args=(minutes, there), daemon=True)
    venue.start()
    port = here.recv()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_take(port, len(texts), Path(folder)))
    finally:
        os.sched_setaffinity(0, cores)
        venue.join(5)
        venue.kill()
    whole = found["bars"]["stream"] + found["bars"]["rest"]
    if found["recorded"]["frames"] != len(texts) or found["recorded"]["dropped"] or whole < len(COINS) * (minutes - 2):
        raise VenueError(f"frames or bars are missing: {found}")
    return {
        "frames": len(texts),
        "megabytes": sum(texts) / 1e6,
        "frames_per_second": len(texts) / found["seconds"],
        "frames_per_cpu_second": len(texts) / found["cpu_seconds"],
        **found,
        "load": os.getloadavg()[0],
    }
