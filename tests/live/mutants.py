"""Traders with one mistake each, and the ring in which each of them has to be found out.

Every mistake is a class that does one thing as it should not be done. The judge is the exchange: what it holds, what it was
asked for, what it filled.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantga.engine.costs import Costs
from quantga.errors import Conflict, Denied, QuantgaError, Rejected, Unknown, VenueError
from quantga.exchange.assets import load_assets
from quantga.lang.parse import parse
from quantga.live.dealer import Dealer, _fact, _reported
from quantga.live.guard import Guard
from quantga.live.journal import Entry
from quantga.live.lease import lease
from quantga.live.orders import Evidence, Fact, Lookup, Order, Phase, Purpose, cloid_of, settle
from quantga.live.reconcile import Result
from quantga.live.session import Asked, Began, event_of, fold
from quantga.live.trading import Strategy, Trader
from quantga.store.lake import open_lake
from quantga.venue.account import Fill, Place, Position, Stamp
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.protocol import Network, Priority
from quantga.venue.wire import Ask, Reply
from tests.exchange.conftest import MINUTE, START
from tests.live.ring import (
    ACCOUNT,
    BEFORE,
    COVARIANCE,
    ROOMY,
    RULES,
    SYMBOLS,
    TIMEOUT,
    Crash,
    Fate,
    Frail,
    Line,
    Unsigned,
    World,
    closed,
)

MOST_REQUESTS = 4_000


class Stuck(Exception):
    """It asks and asks, and nothing comes of it."""


MOST_USDC = 1_000.0
"""In one symbol: the rules want 0.5 and 0.3 times 1,000 USDC each, so that what is done twice is seen."""


@dataclass
class Watched(World):
    """An exchange of which is noted how much was held at the most."""

    most: float = 0.0

    def _look(self) -> None:
        super()._look()
        rows = self.told("clearinghouseState")["assetPositions"]
        self.most = max([self.most, *(float(row["position"]["positionValue"]) for row in rows)])


@dataclass
class Disk:
    """How many bytes of the journal would survive if the power failed now."""

    safe: int = 0


class Kept(Frail):
    """The journal as it is: what `append` returned for is on the disk."""

    disk: Disk
    dice: random.Random

    def append(self, time: int, *events: tuple[str, Mapping[str, object]]) -> list[Entry]:
        entries = super().append(time, *events)
        self._synced()
        return entries

    def _synced(self) -> None:
        self.disk.safe = self.path.stat().st_size


class Counted(Line):
    """A line that ends what never ends, and on which what is late may be very late."""

    sent = 0

    def _act(self, body: bytes) -> Reply:
        if self.fate.falls(self.fate.late / 2):
            self.world.under_way.append((self.world.wall + self.fate.dice.choice((8_000, 12_000, 20_000)), body))
            self.world.pass_wall(TIMEOUT)
            raise Unknown("no answer in time")
        return super()._act(body)

    async def send(self, ask: Ask) -> Reply:
        self.sent += 1
        if self.sent > MOST_REQUESTS:
            raise Stuck
        return await super().send(ask)


@dataclass(frozen=True)
class Parts:
    """What a trader is made of."""

    journal: type[Kept] = Kept
    dealer: type[Dealer] = Dealer
    guard: type[Guard] = Guard
    trader: type[Trader] = Trader
    right: Callable[[Path], AbstractContextManager[object]] = field(
        default=lambda folder: lease(open_lake(str(folder)), "one")
    )


@dataclass(frozen=True)
class Machine:
    """Where a trader runs: its folder and disk, and by how many ms its clock is off."""

    folder: Path
    disk: Disk
    skew: int


async def trade(world: World, machine: Machine, fate: Fate, bars: int, parts: Parts) -> Trader:
    """Open the session of a machine's folder, or go on with it, and trade so many bars."""
    client = Hyperliquid(Counted(world, fate), Network.PAPER, Unsigned())

    async def sleep(seconds: float) -> None:
        world.pass_wall(round(seconds * 1_000))

    with parts.journal(machine.folder / "journal") as journal:
        journal.fate, journal.disk, journal.dice = fate, machine.disk, fate.dice
        if not journal.entries:
            assets = load_assets()
            lot = {symbol: Decimal(1).scaleb(-assets[symbol].sz_decimals) for symbol in SYMBOLS}
            began = Began(ACCOUNT, "s", dict.fromkeys(RULES, Decimal(2_000)), lot, {}, Decimal(10_000))
            journal.append(world.engine.state.market, event_of(began))
        dealer = parts.dealer(
            client, journal, fold(journal.entries), local=lambda: world.wall + machine.skew, sleep=sleep
        )
        costs = Costs(funding=False, capital=2_000.0)
        strategies = [Strategy(n, parse(text), SYMBOLS, costs, START // MINUTE + BEFORE) for n, text in RULES.items()]
        meta = await Hyperliquid(Line(world, Fate(fate.dice)), Network.PAPER).meta()
        trader = parts.trader(dealer, strategies, ROOMY, meta, COVARIANCE)
        trader.guard = parts.guard(dealer, meta, trader.execution)
        await trader.resume()
        for _ in range(bars):
            world.apply({"k": "tick"}, world.engine.state.market + MINUTE)
            await trader.act({symbol: closed(world, symbol) for symbol in SYMBOLS})
        return trader


def fate_of(seed: int) -> tuple[Fate, int]:
    """Return what befalls a scenario, and by how many ms the machine's clock is off."""
    dice = random.Random(seed)
    skew = dice.choice((0, 0, -20_000, 20_000))
    if seed % 4 == 0:
        return Fate(dice, dies_in=dice.choice((-1, dice.randint(1, 120)))), skew
    if seed % 4 == 1:  # a network that hangs: what is sent arrives late or never, and so does what should undo it
        return Fate(dice, lost=0.3, late=0.5), skew
    if seed % 4 == 2:  # a venue that executes, and answers hardly any question
        return Fate(dice, unanswered=0.6, unread=0.35), skew
    chance = dice.choice((0.05, 0.15, 0.3))
    kinds = [chance if dice.random() < 0.7 else 0.0 for _ in range(5)]
    return Fate(dice, *kinds, dies_in=dice.choice((-1, dice.randint(1, 150)))), skew


async def complaints(world: Watched, folder: Path, seed: int, parts: Parts) -> list[str]:
    """Play a scenario; return what the exchange has to complain of afterwards."""
    fate, skew = fate_of(seed)
    calm = not (fate.lost or fate.late or fate.unanswered or fate.unread or fate.refused) and fate.dies_in < 0
    machine = Machine(folder, Disk(), skew)
    try:
        with parts.right(folder / "store"):
            try:
                await trade(world, machine, fate, 4, parts)
            except Crash:
                _power_fails(machine, fate.dice)
                world.pass_wall(fate.dice.choice((0, 1_000, 20_000)))
            else:
                world.pass_wall(20_000)  # whatever is under way arrives
                await _another(world, folder, parts, fate.dice)
            trader = await trade(world, machine, Fate(fate.dice), 2, parts)
    except (QuantgaError, Stuck, AssertionError, KeyError) as error:
        return [f"{type(error).__name__}: {error}"]
    found = _judged(world, trader)
    if calm and world.naked > 1_000:
        found.append(f"{world.naked} ms without a stop")
    if world.most > MOST_USDC:
        found.append(f"{world.most:.0f} USDC were held in one symbol")
    return found


def _power_fails(machine: Machine, dice: random.Random) -> None:
    if dice.random() < 0.5:
        with (machine.folder / "journal").open("r+b") as file:
            file.truncate(machine.disk.safe)


async def _another(world: World, folder: Path, parts: Parts, dice: random.Random) -> None:
    """On another machine somebody starts the trader a second time, while the first one lives."""
    if dice.random() < 0.5:
        return
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(Conflict), parts.right(folder / "store"):
        await trade(world, Machine(elsewhere, Disk(), 0), Fate(dice), 1, parts)


def _judged(world: World, trader: Trader) -> list[str]:
    session, found = trader.dealer.session, []
    book = session.book
    held = {symbol: book.net(symbol) * book.lot[symbol] for symbol in SYMBOLS if book.net(symbol)}
    if held != world.positions:
        found.append(f"it believes {held}, and there is {world.positions}")
    if session.halts:
        found.append(f"halted: {session.halts}")
    rows = [one["order"] for one in world.told("historicalOrders")]
    if len({row["cloid"] for row in rows}) != len({row["oid"] for row in rows}):
        found.append("two orders have one name")
    own = {fill.tid for order in session.orders.values() for fill in order.fills}
    if {fill["tid"] for fill in world.told("userFills")} != own:
        found.append("fills were lost")
    stops = {one["coin"]: Decimal(one["sz"]) for one in world.told("frontendOpenOrders") if one["reduceOnly"]}
    if stops != {symbol: abs(units) for symbol, units in world.positions.items()}:
        found.append(f"stops {stops} stand behind {world.positions}")
    return found


# The mistakes.


class NoFsync(Kept):
    """What was appended may still be in memory alone."""

    def _synced(self) -> None:
        if self.dice.random() < 0.3:
            super()._synced()


class TimeoutIsRefusal(Dealer):
    """No answer is taken for a no."""

    async def place(self, asked: Sequence[Asked], priority: Priority) -> list[Order]:
        orders = await super().place(asked, priority)
        for order in orders:
            if order.phase == Phase.UNKNOWN:
                self.tell(Fact(order.intent.cloid, Phase.REJECTED, reason="no answer"))
        return [self.session.orders[order.intent.cloid] for order in orders]


class NoLookup(Dealer):
    """What got no answer is taken to be nowhere, without asking."""

    async def await_outcome(self, cloid: str, meanwhile: Any = None) -> None:
        await self.doubt(cloid)
        if self.session.orders[cloid].phase == Phase.UNKNOWN:
            self.tell(Fact(cloid, Phase.ABSENT))


class TooEarly(Dealer):
    """The first time that the venue does not know an order decides, before it has expired."""

    async def _settled(self, cloid: str, lookups: list[Lookup]) -> Fact | None:
        try:
            await self.sync()
            found = _reported(cloid, await self.venue.order(self.account, cloid))
        except VenueError:
            return None
        return found or Fact(cloid, Phase.ABSENT)


class LocalClock(Dealer):
    """Expiries are made, and held to have passed, by the machine's own clock."""

    async def sync(self) -> int:
        now = await super().sync()
        self._skew = 0
        return self._local() if now else 0


class Immortal(Dealer):
    """Orders live for a minute, and are held to be dead after five seconds."""

    async def place(self, asked: Sequence[Asked], priority: Priority) -> list[Order]:
        self.tell(*asked)
        stamp = asked[0].intent.stamp
        longer = Stamp(stamp.nonce, stamp.nonce + 60_000)
        return await _sent(self, asked, longer, priority)


class SendsFirst(Dealer):
    """An order is sent, and then written down."""

    async def place(self, asked: Sequence[Asked], priority: Priority) -> list[Order]:
        outcomes: Any
        try:
            outcomes = await self.venue.submit(
                Place(tuple(one.intent.request for one in asked)), asked[0].intent.stamp, priority=priority
            )
        except VenueError as error:
            self.tell(
                *asked,
                *(
                    Fact(one.intent.cloid, Phase.REJECTED if isinstance(error, Rejected | Denied) else Phase.UNKNOWN)
                    for one in asked
                ),
            )
        else:
            self.tell(*asked, *(_fact(one.intent.request, found) for one, found in zip(asked, outcomes, strict=True)))
        return [self.session.orders[one.intent.cloid] for one in asked]


async def _sent(dealer: Dealer, asked: Sequence[Asked], stamp: Stamp, priority: Priority) -> list[Order]:
    try:
        outcomes = await dealer.venue.submit(
            Place(tuple(one.intent.request for one in asked)), stamp, priority=priority
        )
        facts = [_fact(one.intent.request, found) for one, found in zip(asked, outcomes, strict=True)]
    except (Rejected, Denied) as error:
        facts = [Fact(one.intent.cloid, Phase.REJECTED, reason=str(error)) for one in asked]
    except VenueError as error:
        facts = [Fact(one.intent.cloid, Phase.UNKNOWN, reason=str(error)) for one in asked]
    dealer.tell(*facts)
    return [dealer.session.orders[one.intent.cloid] for one in asked]


class FillsOnce(Dealer):
    """Fills are asked for after the last one known: those that share its moment are never seen."""

    async def take_fills(self) -> list[Fill]:
        fills = await self.venue.fills(self.account, self.session.last_fill + 1)
        new = [fill for fill in fills if fill.cloid in self.session.orders]
        if new:
            self.tell(*new)
        return list(fills)


class FailedIsEmpty(Dealer):
    """A question that failed is taken for an empty answer."""

    async def _settled(self, cloid: str, lookups: list[Lookup]) -> Fact | None:
        now = await self._asked(self.sync(), 0)
        found = await self._asked(self.venue.order(self.account, cloid), None)
        lookups.append(Lookup(now or self._local(), None if found is None else _reported(cloid, found)))
        fills = await self._asked(self.take_fills(), [])
        resting = await self._asked(self.venue.open_orders(self.account), ())
        at = lookups[-1].asked
        names = frozenset(f.cloid for f in fills if f.cloid), frozenset(o.cloid for o in resting if o.cloid)
        return settle(self.session.orders[cloid], Evidence(lookups, names[0], at, names[1], at))

    async def _asked(self, question: Any, empty: Any) -> Any:
        try:
            return await question
        except VenueError:
            return empty


class NoRecovery(Trader):
    """It starts as if nothing had been before."""

    async def recover(self) -> Result:
        await self.dealer.sync()
        return Result({}, (), ())


class NoStops(Guard):
    """Nobody looks after stops."""

    async def protect(self, symbols: Any) -> None:
        return


class OneName(Guard):
    """All tries of a decision have the same name."""

    def name(self, symbol: str, purpose: Purpose, bar: int, attempt: int) -> str:
        began = self.dealer.session.began
        return cloid_of(began.account, began.session, symbol, bar, purpose, 0)


class OldStopFirst(Guard):
    """The old stop goes before the new one comes."""

    async def protect(self, symbols: Any) -> None:
        stops = [
            order.intent.cloid for symbol in SYMBOLS for order in self._stops(symbol) if order.phase == Phase.RESTING
        ]
        await self.dealer.cancel(stops)
        self.dealer.venue._wire.world.pass_wall(1_500)
        await super().protect(symbols)


class AnyStopWillDo(Guard):
    """A stop is a stop, whatever its size."""

    async def _guard(self, symbol: str, position: Position | None) -> None:
        if position is not None and any(order.phase == Phase.RESTING for order in self._stops(symbol)):
            return
        await super()._guard(symbol, position)


class CancelsBlindly(Dealer):
    """A cancel without an answer is taken to have worked."""

    async def cancel(self, cloids: Collection[str], priority: Priority = Priority.RISK) -> None:
        open_ones = [cloid for cloid in cloids if not self.session.orders[cloid].phase.final]
        with contextlib.suppress(VenueError):
            await super().cancel(open_ones, priority)
        for cloid in open_ones:
            if not self.session.orders[cloid].phase.final:
                self.tell(Fact(cloid, Phase.CANCELED))


@contextlib.contextmanager
def nobody_asks(_folder: Path) -> Any:
    """There is no lease."""
    yield


MUTANTS = {
    "no fsync": Parts(journal=NoFsync),
    "no answer is a no": Parts(dealer=TimeoutIsRefusal),
    "no lookup after a timeout": Parts(dealer=NoLookup),
    "absence decides before expiry": Parts(dealer=TooEarly),
    "the local clock for expiry": Parts(dealer=LocalClock),
    "orders outlive their expiry": Parts(dealer=Immortal),
    "sent before it is written down": Parts(dealer=SendsFirst),
    "fills are asked for once": Parts(dealer=FillsOnce),
    "a failed read is empty": Parts(dealer=FailedIsEmpty),
    "a cancel without an answer worked": Parts(dealer=CancelsBlindly),
    "no recovery at the start": Parts(trader=NoRecovery),
    "no stops": Parts(guard=NoStops),
    "one name for all tries": Parts(guard=OneName),
    "the old stop goes first": Parts(guard=OldStopFirst),
    "any stop will do": Parts(guard=AnyStopWillDo),
    "no lease": Parts(right=nobody_asks),
}
