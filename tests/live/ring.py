"""The exchange inside the test's process, on a virtual clock: a wire that loses, delays and cuts, the same for a seed.

A scenario is a number: it decides what happens to every request, and at which one, or at which line of the journal, the
trader's process dies. What is judged is read from the exchange alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from quantga.engine.costs import Costs
from quantga.errors import Unknown
from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_folder
from quantga.exchange.engine import Engine, new_engine
from quantga.exchange.info import MARKET_INFO
from quantga.exchange.info_user import USER_INFO
from quantga.lang.bars import Bars
from quantga.lang.parse import parse
from quantga.live.dealer import Dealer
from quantga.live.journal import Entry, Journal
from quantga.live.risk import Bound, Limits
from quantga.live.session import Began, event_of, fold
from quantga.live.trading import Strategy, Trader
from quantga.venue.account import Stamp
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.protocol import Network
from quantga.venue.wire import Ask, Reply
from tests.exchange.conftest import MICRO, MINUTE, START, WALL, walk, write_bars

ACCOUNT = "0x" + "ab" * 20
SYMBOLS = ("BTC", "ETH")
BEFORE = 700
TIMEOUT = 1_500
COVARIANCE = {("BTC", "BTC"): 0.25, ("ETH", "ETH"): 0.36, ("BTC", "ETH"): 0.2}
ROOMY = Limits(daily_loss=Bound(0.5, 0.9), drawdown=Bound(0.5, 0.9))
RULES = {
    "turner": "when(gt(close, mean(close, 5)), long, short) with leverage=0.5",
    "holder": "when(gt(close, lag(close, 1)), long, flat) with leverage=0.3",
}


def market(folder: Path) -> Path:
    """Write the bars that the exchange replays."""
    write_bars(folder, "BTC", walk(1, 80_000, 1.0, 2 * BEFORE, 30.0))
    write_bars(folder, "ETH", walk(2, 3_000, 0.1, 2 * BEFORE, 400.0))
    return folder


class Crash(BaseException):
    """The trader's process ends here."""


@dataclass
class World:
    """The exchange, its two clocks, and the requests that are still on their way to it."""

    engine: Engine
    wall: int = WALL
    under_way: list[tuple[int, bytes]] = field(default_factory=list)
    naked_since: dict[str, int] = field(default_factory=dict)
    naked: int = 0

    @classmethod
    def of(cls, folder: Path) -> World:
        """Return a fresh exchange over a folder of bars, with one funded account."""
        assets = load_assets()
        bars = read_folder(folder, assets)
        world = cls(new_engine(bars, [assets[one.name] for one in bars], seed=7, start=START + BEFORE * MINUTE))
        world.apply({"k": "fund", "u": ACCOUNT, "usd": 10_000 * MICRO})
        return world

    def apply(self, command: dict[str, Any], market: int = 0) -> Any:
        """Let the exchange do one thing now."""
        answer = self.engine.apply(command | {"w": self.wall, "m": max(market, self.engine.state.market)}).answer
        self._look()
        return answer

    def pass_wall(self, ms: int) -> None:
        """Let time pass; what was under way arrives when it is due."""
        until = self.wall + ms
        for due, body in sorted(self.under_way):
            if due <= until:
                self.under_way.remove((due, body))
                self.wall = max(self.wall, due)
                self.act(body)
        self.wall = until

    def act(self, body: bytes) -> Any:
        """Execute an action."""
        sent = orjson.loads(body)
        return self.apply(
            {"k": "act", "s": ACCOUNT, "a": sent["action"], "n": sent["nonce"], "v": None, "x": sent["x"]}
        )

    def info(self, body: bytes) -> Any:
        """Answer a question."""
        asked = orjson.loads(body)
        return (MARKET_INFO.get(asked["type"]) or USER_INFO[asked["type"]])(self.engine.desk, asked)

    def told(self, kind: str) -> Any:
        """Return what the exchange tells of the account."""
        return self.info(orjson.dumps({"type": kind, "user": ACCOUNT}))

    @property
    def positions(self) -> dict[str, Decimal]:
        """Signed units by symbol."""
        rows = self.told("clearinghouseState")["assetPositions"]
        return {row["position"]["coin"]: Decimal(row["position"]["szi"]) for row in rows}

    def _look(self) -> None:
        """Note for how long (wall ms) a position has been without a reduce-only stop of its size at least."""
        positions = self.positions
        covered = dict.fromkeys(positions, Decimal(0))
        for row in self.told("frontendOpenOrders"):
            if row["reduceOnly"] and row["isTrigger"] and row["coin"] in covered:
                right = row["side"] == ("A" if positions[row["coin"]] > 0 else "B")
                covered[row["coin"]] += Decimal(row["sz"]) if right else 0
        for symbol in SYMBOLS:
            if symbol in self.naked_since:
                self.naked = max(self.naked, self.wall - self.naked_since[symbol])
            if symbol in positions and covered[symbol] < abs(positions[symbol]):
                self.naked_since.setdefault(symbol, self.wall)
            else:
                self.naked_since.pop(symbol, None)


@dataclass
class Fate:
    """What befalls requests: chances of an action lost before or after execution, or late; of a read lost; and a death."""

    dice: random.Random
    lost: float = 0.0
    unanswered: float = 0.0
    late: float = 0.0
    unread: float = 0.0
    refused: float = 0.0
    dies_in: int = -1

    def live_on(self) -> None:
        """Die if it is time."""
        self.dies_in -= 1
        if self.dies_in == 0:
            raise Crash

    def falls(self, chance: float) -> bool:
        """Tell whether something of this chance happens now."""
        return self.dice.random() < chance


@dataclass
class Line:
    """A wire from the trader to the world, under a fate."""

    world: World
    fate: Fate

    async def send(self, ask: Ask) -> Reply:
        """Send a request; each takes a tenth of a second."""
        self.fate.live_on()
        self.world.pass_wall(50)
        answer = self._act(ask.body) if ask.endpoint == "exchange" else self._read(ask.body)
        self.world.pass_wall(50)
        self.fate.live_on()
        return answer

    def _act(self, body: bytes) -> Reply:
        world, fate = self.world, self.fate
        if fate.falls(fate.lost):
            world.pass_wall(TIMEOUT)
            raise Unknown("the request was lost")
        if fate.falls(fate.late):
            world.under_way.append((world.wall + fate.dice.choice((500, 4_000, 4_990, 5_050, 9_000)), body))
            world.pass_wall(TIMEOUT)
            raise Unknown("no answer in time")
        if fate.falls(fate.refused):
            return Reply(*fate.dice.choice(((429, b"null"), (502, b"<html>"))), self._date)
        answer = world.act(body)
        if fate.falls(fate.unanswered):
            world.pass_wall(TIMEOUT)
            raise Unknown("the answer was lost")
        return Reply(200, orjson.dumps(answer), self._date)

    def _read(self, body: bytes) -> Reply:
        if self.fate.falls(self.fate.unread):
            raise Unknown("nobody answered")
        if orjson.loads(body)["type"] == "orderStatus" and self.fate.falls(self.fate.unread):
            return Reply(200, orjson.dumps({"status": "unknownOid"}), self._date)
        return Reply(200, orjson.dumps(self.world.info(body)), self._date)

    @property
    def _date(self) -> int:
        return self.world.wall // 1_000 * 1_000


class Unsigned:
    """Signs nothing: the world takes the account's word."""

    def envelope(self, action: dict[str, Any], stamp: Stamp) -> bytes:
        """Return what the world reads."""
        return orjson.dumps({"action": action, "nonce": stamp.nonce, "x": stamp.expires})


class Frail(Journal):
    """A journal whose process may die before or after a line."""

    fate: Fate

    def append(self, time: int, *events: tuple[str, Mapping[str, object]]) -> list[Entry]:
        """Append, and die if it is time."""
        self.fate.live_on()
        entries = super().append(time, *events)
        self.fate.live_on()
        return list(entries)


async def session(world: World, folder: Path, fate: Fate, bars: int) -> Trader:
    """Open the session of a folder, or go on with it, and trade so many bars."""
    client = Hyperliquid(Line(world, fate), Network.PAPER, Unsigned())

    async def sleep(seconds: float) -> None:
        world.pass_wall(round(seconds * 1_000))

    with Frail(folder / "journal") as journal:
        journal.fate = fate
        if not journal.entries:
            assets = load_assets()
            lot = {symbol: Decimal(1).scaleb(-assets[symbol].sz_decimals) for symbol in SYMBOLS}
            began = Began(ACCOUNT, "s", dict.fromkeys(RULES, Decimal(2_000)), lot, {}, Decimal(10_000))
            journal.append(world.engine.state.market, event_of(began))
        dealer = Dealer(client, journal, fold(journal.entries), local=lambda: world.wall, sleep=sleep)
        costs = Costs(funding=False, capital=2_000.0)
        strategies = [
            Strategy(name, parse(text), SYMBOLS, costs, START // MINUTE + BEFORE) for name, text in RULES.items()
        ]
        meta = await Hyperliquid(Line(world, Fate(fate.dice)), Network.PAPER).meta()
        trader = Trader(dealer, strategies, ROOMY, meta, COVARIANCE)
        await trader.resume()
        for _ in range(bars):
            world.apply({"k": "tick"}, world.engine.state.market + MINUTE)
            await trader.act({symbol: closed(world, symbol) for symbol in SYMBOLS})
        return trader


def closed(world: World, symbol: str) -> Bars:
    """Return the bars that have closed."""
    coin = [market.name for market in world.engine.desk.bars].index(symbol)
    own = world.engine.desk.bars[coin]
    count = int(np.searchsorted(own.ts, world.engine.state.market - MINUTE, side="right"))
    scale = 10.0 ** -world.engine.desk.assets[coin].px_decimals
    columns = {name: np.asarray(getattr(own, name)[:count]) * scale for name in ("open", "high", "low", "close")}
    columns |= {"volume": np.ones(count), "funding": np.zeros(count)}
    return Bars.from_columns(np.asarray(own.ts[:count]), columns, interval=MINUTE, symbol=symbol, base=symbol)
