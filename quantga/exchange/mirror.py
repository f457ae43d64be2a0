"""Paper trading at another venue's prices: its metadata and history at the first start, then its streams.

The other venue is Hyperliquid, its testnet, or another paper exchange. Nothing but public market data is read there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from quantga.errors import VenueError
from quantga.exchange.assets import Asset
from quantga.exchange.wire import WIRE_DECIMALS, scaled
from quantga.streams import dice

Json = Any
INTERVALS = (("1m", 60_000), ("5m", 300_000), ("15m", 900_000), ("1h", 3_600_000), ("4h", 14_400_000))
HISTORY = 5000
STALE = 30.0
"""Seconds without a frame after which trading halts."""
PING = 20.0
LONGEST_PAUSE = 15.0
FUNDINGS = 14 * 24
SEEN = 1000
"""Trades remembered per coin, so that a replay after a new connection counts nothing twice."""


def whole(text: str, decimals: int) -> int:
    """A decimal text in the asset's units, rounded down."""
    unit: int = 10 ** (WIRE_DECIMALS - decimals)
    return scaled(text) // unit


def _ask(url: str, body: Json) -> Json:
    request = urllib.request.Request(  # noqa: S310 -- the address the user names
        f"{url}/info", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())
    except (OSError, urllib.error.HTTPError, ValueError) as error:
        raise VenueError(f"{url} does not answer {body['type']}: {error}; is it up, and not limiting us?") from error


def fetch_start(url: str, coins: list[str], folder: Path) -> None:
    """Write metadata (`assets.json`), candles (`bars/SYMBOL.parquet`) and fundings of `coins` into `folder`.

    Raises:
        VenueError: the other venue does not answer, or lacks a coin or its candles.
    """
    meta = _ask(url, {"type": "meta"})
    rows = {row["name"]: row for row in meta["universe"]}
    missing = [coin for coin in coins if coin not in rows]
    if missing:
        raise VenueError(f"{url} does not trade {missing}: name other --coins")
    tables = {
        str(number): [t["description"], [[int(float(x["lowerBound"])), x["maxLeverage"]] for x in t["marginTiers"]]]
        for number, t in meta["marginTables"]
    }
    assets = [[c, rows[c]["szDecimals"], rows[c]["maxLeverage"], rows[c]["marginTableId"]] for c in coins]
    (folder / "bars").mkdir(parents=True, exist_ok=True)
    fundings = {}
    for coin in coins:
        candles = _candles(url, coin)
        columns: dict[str, Any] = {"ts": np.array([row["t"] for row in candles])}
        for name in ("open", "high", "low", "close", "volume"):
            columns[name] = np.array([float(row[name[0]]) for row in candles])
        pq.write_table(pa.table(columns), folder / "bars" / f"{coin}.parquet")
        since = candles[-1]["t"] - FUNDINGS * 3_600_000
        fundings[coin] = _ask(url, {"type": "fundingHistory", "coin": coin, "startTime": max(0, since)})
    (folder / "fundings.json").write_text(json.dumps(fundings), "utf-8")
    (folder / "assets.json").write_text(json.dumps({"marginTables": tables, "assets": assets}), "utf-8")


def _candles(url: str, coin: str) -> list[Json]:
    """The newest candles of the finest interval there is."""
    now = _ask(url, {"type": "l2Book", "coin": coin})["time"]
    for name, length in INTERVALS:
        req = {"coin": coin, "interval": name, "startTime": max(0, now - HISTORY * length), "endTime": now}
        rows: list[Json] = _ask(url, {"type": "candleSnapshot", "req": req})
        if len(rows) >= 2:
            return rows
    raise VenueError(f"the other venue has no candles of {coin}: name other --coins")


class Mirror:
    """Follows another venue's streams and hands every frame over as a command."""

    def __init__(
        self,
        url: str,
        assets: list[Asset],
        submit: Callable[[Json], Awaitable[Json]],
        follow: Callable[[int], None],
        newest: Callable[[int], int],
    ) -> None:
        """`submit` takes commands, `follow` the other venue's time; `newest` tells the open time of a coin's last bar."""
        self._url = url
        self._assets = assets
        self._coins = {asset.name: k for k, asset in enumerate(assets)}
        self._submit, self._follow, self._newest = submit, follow, newest
        self._books: dict[tuple[int, bool], list[list[list[int]]]] = {}
        self._seen: dict[int, deque[int]] = {k: deque(maxlen=SEEN) for k in range(len(assets))}
        self._heard = time.monotonic()
        self._halted = False
        self._interval = ""

    async def run(self, interval: int) -> None:
        """Follow for ever: connect again after every end, with a growing, jittered pause."""
        self._interval = next(name for name, length in INTERVALS if length == interval)
        watch = asyncio.ensure_future(self._watch())
        pause, chance = 0.5, dice(os.getpid(), "reconnect")
        try:
            while True:
                try:
                    async with aiohttp.ClientSession() as session:
                        await self._listen(session)
                    pause = 0.5
                except (aiohttp.ClientError, OSError, TimeoutError, VenueError):
                    pause = min(LONGEST_PAUSE, pause * 2)
                await asyncio.sleep(pause * chance.uniform(0.5, 1.0))
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        """Halt trading while nothing is heard."""
        while True:
            await asyncio.sleep(0.5)
            if not self._halted and time.monotonic() - self._heard > STALE:
                self._halted = True
                await self._submit({"k": "halt", "on": True})

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"ws{self._url[4:]}/ws", heartbeat=None, max_msg_size=1 << 24) as ws:
            for coin in self._coins:
                for sub in (
                    {"type": "l2Book", "coin": coin},
                    {"type": "l2Book", "coin": coin, "fast": True},
                    {"type": "trades", "coin": coin},
                    {"type": "activeAssetCtx", "coin": coin},
                    {"type": "candle", "coin": coin, "interval": self._interval},
                ):
                    await ws.send_str(json.dumps({"method": "subscribe", "subscription": sub}))
            await self._heal()
            while True:
                try:
                    message = await ws.receive(timeout=PING)
                except TimeoutError:
                    await ws.send_str('{"method":"ping"}')
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                await self._hear(orjson.loads(message.data))

    async def _heal(self) -> None:
        """Fetch the candles between the last known one and now."""
        loop = asyncio.get_running_loop()
        for name, coin in self._coins.items():
            req = {"coin": name, "interval": self._interval, "startTime": self._newest(coin), "endTime": 2**53}
            body = {"type": "candleSnapshot", "req": req}
            for row in await loop.run_in_executor(None, _ask, self._url, body):
                await self._submit(self._candle(row))

    async def _hear(self, frame: Json) -> None:
        make = {"l2Book": self._book, "trades": self._trades, "activeAssetCtx": self._context, "candle": self._candle}
        if frame["channel"] not in make:
            return
        try:
            command = make[frame["channel"]](frame["data"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            print(f"mirror: a frame of {frame['channel']} cannot be read: {error!r}", file=sys.stderr)  # noqa: T201
            return
        self._heard = time.monotonic()
        if self._halted:
            self._halted = False
            await self._submit({"k": "halt", "on": False})
        if command is not None:
            await self._submit(command)

    def _book(self, data: Json) -> Json:
        coin = self._coins[data["coin"]]
        asset = self._assets[coin]
        self._follow(data["time"])
        sides = [
            [[whole(x["px"], asset.px_decimals), whole(x["sz"], asset.sz_decimals), x["n"]] for x in side]
            for side in data["levels"]
        ]
        self._books[coin, bool(data.get("fast"))] = sides
        top = self._books.get((coin, True))
        if top is None or data.get("fast") is None:
            top = sides
        deep = self._books.get((coin, False), [[], []])
        merged = []
        for side, near, far in zip((1, -1), top, deep, strict=True):
            merged.append(near + [level for level in far if not near or side * level[0] < side * near[-1][0]])
        return {"k": "quote", "c": coin, "bids": merged[0], "asks": merged[1]}

    def _trades(self, rows: Json) -> Json | None:
        """New trades only: a subscription begins with a replay."""
        if not rows:
            return None
        coin = self._coins[rows[0]["coin"]]
        asset, seen = self._assets[coin], self._seen[coin]
        fresh = [row for row in rows if row["tid"] not in seen]
        begins = not seen
        seen.extend(row["tid"] for row in fresh)
        if not fresh or begins:
            return None
        self._follow(max(row["time"] for row in fresh))
        out = [
            [
                whole(row["px"], asset.px_decimals),
                whole(row["sz"], asset.sz_decimals),
                1 if row["side"] == "B" else -1,
                row["users"],
            ]
            for row in fresh
        ]
        return {"k": "trades", "c": coin, "rows": out}

    def _context(self, data: Json) -> Json:
        coin, ctx = self._coins[data["coin"]], data["ctx"]
        decimals = self._assets[coin].px_decimals
        mark, oracle = whole(ctx["markPx"], decimals), whole(ctx["oraclePx"], decimals)
        return {
            "k": "context",
            "c": coin,
            "mark": mark,
            "oracle": oracle,
            "funding": round(float(ctx["funding"]) * 10**10),
        }

    def _candle(self, data: Json) -> Json:
        coin = self._coins[data["s"]]
        asset = self._assets[coin]
        row = [data["t"], *(whole(data[key], asset.px_decimals) for key in "ohlc"), whole(data["v"], asset.sz_decimals)]
        return {"k": "candle", "c": coin, "row": row}
