"""The judge: it reads the exchange's own log, and nothing that the trader says, and tells what went wrong.

The exchange is a deterministic machine over a log of commands on disk, so that every moment of a session can be seen again:
after each command, what was held, what protected it, what rested, and what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantga.exchange import snapshot
from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_folder
from quantga.exchange.engine import Engine, resumed_engine
from quantga.exchange.info_user import USER_INFO
from quantga.exchange.journal import _records


@dataclass(frozen=True)
class Bound:
    """What an account may never exceed at the venue: gross notional over equity, and notional of one coin in USDC."""

    leverage: float = 3.0
    notional: float = 75_000.0


@dataclass
class Verdict:
    """naked: the longest that a position was without its stop, wall ms, by coin; when: at which wall time it began.

    doubled: cloids that two orders have. breaches: what exceeded a bound. immortal: orders without an expiry. late: actions
    executed after their expiry. fills: tids, in order. held, resting: at the end.
    """

    commands: int = 0
    orders: int = 0
    naked: dict[str, int] = field(default_factory=dict)
    when: dict[str, int] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    immortal: int = 0
    late: int = 0
    fills: list[int] = field(default_factory=list)
    held: dict[str, float] = field(default_factory=dict)
    resting: list[dict[str, Any]] = field(default_factory=list)

    @property
    def worst(self) -> int:
        """The longest time without a stop, ms."""
        return max(self.naked.values(), default=0)


@dataclass
class Checker:
    """Judges one account. Give it the exchange's state folder each time before the exchange starts again, and at the end."""

    bars: Path
    account: str
    bound: Bound = Bound()
    verdict: Verdict = field(default_factory=Verdict)

    def __post_init__(self) -> None:
        self._bare: dict[str, int] = {}
        self._cloids: dict[str, int] = {}
        self._wall = 0

    def read(self, folder: Path) -> Verdict:
        """Go through the commands since the folder's snapshot."""
        assets = load_assets()
        number = max(int(path.name.removeprefix("snapshot-")) for path in folder.glob("snapshot-*"))
        state = snapshot.load((folder / f"snapshot-{number}").read_bytes())
        engine = resumed_engine(state, assets, read_folder(self.bars, assets))
        for command, _ in _records((folder / f"journal-{number}").read_bytes()):
            self._asked(engine, command)
            engine.apply(command)
            self._wall = max(self._wall, command["w"])
            self._look(engine)
        self._end(engine)
        return self.verdict

    def _asked(self, engine: Engine, command: dict[str, Any]) -> None:
        self.verdict.commands += 1
        action = command.get("a") or {}
        if command["k"] != "act" or action.get("type") != "order":
            return
        self.verdict.orders += len(action["orders"])
        self.verdict.immortal += command["x"] is None
        del engine

    def _look(self, engine: Engine) -> None:
        """Note what is held without a stop, what exceeds a bound, and which names are used twice."""
        account = engine.state.accounts.get(self.account)
        if account is None:
            return
        covered: dict[int, int] = {}
        for order in self._open(engine):
            if order.cloid is not None and self._cloids.setdefault(order.cloid, order.oid) != order.oid:
                self.verdict.doubled.append(order.cloid)
            held = account.positions.get(order.coin)
            if held is not None and order.reduce_only and order.trigger_px and order.side * held.szi < 0:
                covered[order.coin] = covered.get(order.coin, 0) + order.size
        for coin, market in enumerate(engine.state.coins):
            position = account.positions.get(coin)
            self._cover(market.name, position is not None and covered.get(coin, 0) < abs(position.szi))
        self._bounds(engine)

    def _open(self, engine: Engine) -> Iterator[Any]:
        account = engine.state.accounts[self.account]
        for oid in account.orders:
            order = engine.state.orders.get(oid)
            if order is not None and order.status == "open":
                yield order

    def _cover(self, coin: str, bare: bool) -> None:
        if coin in self._bare:
            length = self._wall - self._bare[coin]
            if length > self.verdict.naked.get(coin, 0):
                self.verdict.naked[coin], self.verdict.when[coin] = length, self._bare[coin]
        if not bare:
            self._bare.pop(coin, None)
        else:
            self._bare.setdefault(coin, self._wall)

    def _bounds(self, engine: Engine) -> None:
        state = self._told(engine, "clearinghouseState")
        value = float(state["marginSummary"]["accountValue"])
        worth = {row["position"]["coin"]: float(row["position"]["positionValue"]) for row in state["assetPositions"]}
        if sum(worth.values()) > self.bound.leverage * value:
            self.verdict.breaches.append(f"leverage {sum(worth.values()) / value:.2f} at {self._wall}")
        self.verdict.breaches += [
            f"{coin} {usd:.0f} USDC at {self._wall}" for coin, usd in worth.items() if usd > self.bound.notional
        ]

    def _told(self, engine: Engine, kind: str) -> Any:
        return USER_INFO[kind](engine.desk, {"type": kind, "user": self.account})

    def _end(self, engine: Engine) -> None:
        self.verdict.fills = [fill["tid"] for fill in engine.state.accounts[self.account].fills]
        rows = self._told(engine, "clearinghouseState")["assetPositions"]
        self.verdict.held = {row["position"]["coin"]: float(row["position"]["szi"]) for row in rows}
        self.verdict.resting = self._told(engine, "frontendOpenOrders")
        names: dict[str, int] = {}
        for one in self._told(engine, "historicalOrders"):
            cloid, oid = one["order"]["cloid"], one["order"]["oid"]
            if cloid is not None and names.setdefault(cloid, oid) != oid and cloid not in self.verdict.doubled:
                self.verdict.doubled.append(cloid)
