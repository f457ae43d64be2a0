"""A trader's life against a running exchange, whose market moves by hand: it begins, trades, stops, goes on, and obeys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from eth_account import Account as Key

from quantga.errors import ConfigError, Conflict
from quantga.live.beginning import Wanted
from quantga.live.journal import read
from quantga.live.lease import Lease, lease
from quantga.live.leaving import leave, lift
from quantga.live.life import Life, Timing, own_wire
from quantga.live.places import Account
from quantga.live.plan import Traded
from quantga.live.records import Aimed, Decided, record_of
from quantga.live.risk import Bound, Limits
from quantga.live.rules import Rules
from quantga.live.session import Session
from quantga.live.standing import fill_rows, standing
from quantga.live.stream import Stream
from quantga.store.lake import open_lake
from quantga.venue import budget
from quantga.venue.protocol import Network
from tests.exchange.conftest import Venue, walk, write_bars
from tests.live.hands import act
from tests.live.test_trading import guarded, held

MINUTE = 60_000
TEXT = "when(gt(close, mean(close, 3)), long, short) with leverage=0.5"
TRADED = Traded("one", "", TEXT, ("BTC", "ETH"), {"funding": True, "capital": 1.0}, 0)
ROOMY = Limits(daily_loss=Bound(0.5, 0.9), drawdown=Bound(0.5, 0.9), volatility=Bound(50.0, 90.0))
UNLIMITED = budget.Limits(weight=10**6, actions=10**6)
TIMING = Timing(beat=0.2, wake=0.02, check=0.5, straggler=20.0, fresh=60.0, patience=1.0)
RULES = Rules(hole=30.0, least=0.05, retry=0.05, longest=0.5)
CAP_S = 120
NUMBERS = count(1)


@pytest.fixture(scope="module")
def replay(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    write_bars(folder, "BTC", walk(1, 80_000, 1.0, 2_000, 30.0))
    write_bars(folder, "ETH", walk(2, 3_000, 0.1, 2_000, 400.0))
    return folder


class Desk:
    """A venue, its account, and the store of whoever trades it."""

    def __init__(self, venue, key, folder: Path) -> None:
        self.venue, self.key, self.folder = venue, key, folder
        self.address = key.address.lower()
        self.place = Account.of(open_lake(folder), "paper", self.address)
        self.said: list[str] = []

    def wanted(self, *traded: Traded, **rest) -> Wanted:
        found = traded or (TRADED,)
        return Wanted(
            Network.PAPER, self.venue.url, str(self.folder), MINUTE, found, limits=ROOMY, volatility=50.0, **rest
        )

    def life(self, wanted: Wanted | None = None, key: str = "") -> Life:
        def market(plan, venue, hear):
            return Stream(replace(plan, rules=RULES, tick=0.02), venue, hear)

        return Life(
            wanted or self.wanted(),
            key or self.key.key.hex(),
            self.said.append,
            TIMING,
            partial(own_wire, limits=UNLIMITED),
            market,
        )

    @asynccontextmanager
    async def living(self, wanted: Wanted | None = None) -> AsyncIterator[Life]:
        """A life that has recovered; it is stopped in the end."""
        life, said = self.life(wanted), len(self.said)
        task = asyncio.create_task(life.run())
        try:
            await self.until(lambda: task.done() or any("recovered" in line for line in self.said[said:]))
            if task.done():
                task.result()
            yield life
        finally:
            life.stop()
            await task

    async def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + CAP_S
        while not await asyncio.to_thread(true):
            assert time.monotonic() < end, self.said
            await asyncio.sleep(0.02)

    async def bars(self, wanted: int) -> None:
        """Let the market go on, until so many closes more were acted on."""
        before = len(self.records(Aimed))
        for _ in range(wanted * 10):
            if len(self.records(Aimed)) > before + wanted - 1:
                break
            acted = len(self.records(Aimed))
            for _ in range(12):
                await asyncio.to_thread(self.venue.step, 5_000)
            await self.until(lambda acted=acted: len(self.records(Aimed)) > acted)
        await asyncio.sleep(0.1)

    def records(self, kind: type) -> list:
        known = self.place.sessions()
        entries = read(self.place.journal(known[-1]))[0] if known else ()
        return [one for one in map(record_of, entries) if isinstance(one, kind)]

    @property
    def session(self) -> Session:
        return self.place.last()

    @property
    def positions(self) -> dict[str, Decimal]:
        return held(self.venue, self.address)

    def agrees(self) -> None:
        book = self.session.book
        own = {symbol: book.net(symbol) * book.lot[symbol] for symbol in book.lot if book.net(symbol)}
        assert own == self.positions
        guarded(self.venue, self.address)


@pytest.fixture(scope="module")
def market(replay, tmp_path_factory):
    """One exchange for all: each test has an account of its own."""
    accounts = {Key.from_key(f"0x{number:064x}").address: 10_000 for number in range(1, 20)}
    one = Venue(replay, tmp_path_factory.mktemp("venue") / "state", accounts, "--step", "--no-limits")
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


@pytest.fixture
def desk(market, tmp_path) -> Desk:
    return Desk(market, Key.from_key(f"0x{next(NUMBERS):064x}"), tmp_path / "store")


async def test_it_trades_stops_and_goes_on_where_it_was(desk) -> None:
    async with desk.living():
        await desk.bars(3)
        await desk.until(lambda: bool(desk.positions))
        await desk.until(lambda: desk.place.beaten() is not None)
        assert standing(desk.place)["trader"].endswith("lives")
    desk.agrees()
    first = desk.session
    assert standing(desk.place)["positions"][0]["stops"]
    async with desk.living():
        await desk.bars(2)
    desk.agrees()
    assert len(desk.place.sessions()) == 1
    assert desk.session.nonce > first.nonce
    decided = desk.records(Decided)
    assert {one.symbol for one in decided} == {"BTC", "ETH"}
    assert not [one for one in decided if one.reason]
    assert len({(one.symbol, one.bar) for one in decided}) == len(decided)
    rows = fill_rows(desk.place)
    told = desk.venue.info({"type": "userFills", "user": desk.address})
    assert {row[-1] for row in rows} == {fill["tid"] for fill in told}


async def test_halt_flatten_and_resume_with_a_trader_and_without(desk) -> None:
    async with desk.living():
        await desk.bars(2)
        desk.place.ask("halt", reason="enough")
        await desk.until(lambda: desk.session.halts == {"": "enough"})
        told = await leave(desk.place, desk.key.key.hex(), desk.venue.url, "out", CAP_S, desk.said.append)
        assert "flat by the trader" in told
        assert desk.positions == {}
        await desk.bars(1)
        assert desk.positions == {}
        desk.place.ask("resume")
        await desk.until(lambda: not desk.session.halts)
        await desk.bars(2)
        await desk.until(lambda: bool(desk.positions))
    told = await leave(desk.place, desk.key.key.hex(), desk.venue.url, "out again", CAP_S, desk.said.append)
    assert "flat from here" in told
    assert desk.positions == {}
    assert desk.venue.info({"type": "openOrders", "user": desk.address}) == []
    assert desk.session.halts == {"": "out again"}
    await lift(desk.place, desk.venue.url, "")
    assert desk.session.halts == {}
    assert not any(desk.session.book.net(symbol) for symbol in ("BTC", "ETH"))
    async with desk.living():
        await desk.bars(2)
        await desk.until(lambda: bool(desk.positions))
    assert desk.session.halts == {}
    desk.agrees()


async def test_a_foreign_fill_halts_and_resuming_needs_what_the_venue_holds_to_be_ours(desk) -> None:
    async with desk.living():
        await desk.bars(1)
        px = str(int(float(desk.venue.info({"type": "allMids"})["BTC"]) * 1.01))
        order = {"a": 0, "b": True, "p": px, "s": "0.01", "r": False, "t": {"limit": {"tif": "Ioc"}}}
        await asyncio.to_thread(act, desk.venue, desk.key, {"type": "order", "orders": [order], "grouping": "na"})
        await desk.until(lambda: "" in desk.session.halts)
        assert "not ours" in desk.session.halts[""]
        desk.place.ask("resume")
        await desk.until(lambda: any("not resumed: BTC" in line for line in desk.said))
        assert desk.session.halts
    guarded(desk.venue, desk.address)


async def test_deposits_are_no_profit(desk) -> None:
    async with desk.living():
        await desk.bars(1)
        before = desk.session
        await asyncio.to_thread(desk.venue.control, do="fund", user=desk.address, usd=5_000 * 10**6)
        await desk.until(lambda: desk.session.equity > before.equity + 4_000)
    after = desk.session
    assert abs(after.peak - before.peak - 5_000) < 500
    assert len(after.moves) == 1


async def test_what_cannot_be_traded_is_refused_with_one_sentence(desk) -> None:
    cases = [
        (desk.wanted(Traded("x", "", TEXT, ("NOPE",), {}, 0)), desk.key.key.hex(), "no perpetual 'NOPE'"),
        (desk.wanted(account=Key.from_key("0x" + "77" * 32).address), desk.key.key.hex(), "not approved as an agent"),
        (desk.wanted(), "77" * 32, "quantga exchange fund"),
        (desk.wanted(), "0x12", "no private key"),
        (desk.wanted(Traded("x", "", TEXT, ("BTC",), {}, 0, "0.0.1+old")), desk.key.key.hex(), "made by 0.0.1"),
        (desk.wanted(Traded("x", "beef", TEXT, ("BTC",), {}, 0)), desk.key.key.hex(), "reads strategy x as"),
    ]
    for wanted, key, reason in cases:
        with pytest.raises(ConfigError, match=reason):
            await desk.life(wanted, key).run()
    assert desk.place.sessions() == []
    assert desk.venue.info({"type": "historicalOrders", "user": desk.address}) == []


async def test_a_trader_whose_account_was_taken_over_stops_and_leaves_its_stops(desk) -> None:
    class Right:
        def require(self) -> None:
            """It stands."""

    life = desk.life()
    task = asyncio.create_task(life.run())
    await desk.until(lambda: task.done() or any("recovered" in line for line in desk.said))
    await desk.bars(2)
    await desk.until(lambda: bool(desk.positions))
    Lease(open_lake(desk.folder), Right(), desk.place.folder.name)
    with pytest.raises(Conflict, match="took this account over"):
        await asyncio.wait_for(task, CAP_S)
    guarded(desk.venue, desk.address)


async def test_one_trader_per_account_and_one_set_of_strategies_per_session(desk) -> None:
    with lease(open_lake(desk.folder), desk.place.folder.name), pytest.raises(Conflict, match="is being driven"):
        await desk.life().run()
    async with desk.living():
        await desk.bars(2)
        await desk.until(lambda: bool(desk.positions))
    other = desk.wanted(Traded("two", "", "long with leverage=0.1", ("BTC",), {"capital": 1.0}, 0))
    with pytest.raises(ConfigError, match="an earlier session of other strategies"):
        await desk.life(other).run()
    await leave(desk.place, desk.key.key.hex(), desk.venue.url, "other strategies", CAP_S, desk.said.append)
    old = desk.session
    async with desk.living(other):
        pass
    assert len(desk.place.sessions()) == 2
    assert (desk.session.halts, desk.session.peak) == ({"": "other strategies"}, old.peak)
    assert desk.session.nonce > old.nonce
