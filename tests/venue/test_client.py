"""The client against a running exchange: every coroutine, every kind of failure, and pages that share milliseconds."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from decimal import Decimal

import orjson
import pytest

from quantga.errors import ConfigError, RateLimited, Rejected, Unknown
from quantga.venue.account import (
    AddMargin,
    Cancel,
    Done,
    Filled,
    Modify,
    Noop,
    OrderRequest,
    Place,
    Refused,
    Resting,
    ScheduleCancel,
    SetLeverage,
    Stamp,
    Trigger,
    Waiting,
)
from quantga.venue.hyperliquid import rules
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network, Priority, Venue
from quantga.venue.wire import Reply

HOUR = 3_600_000
_cloids = iter(range(1, 1000))


def cloid() -> str:
    return f"0x{next(_cloids):032x}"


async def limit(client: Venue, share: float, *, coin="BTC", buy=True, size="0.01", **rest) -> OrderRequest:
    asset = (await client.meta()).asset(coin)
    px = rules.price(asset, (await client.mids())[coin] * share, up=not buy)
    return OrderRequest(coin, buy, px, rules.size(asset, Decimal(size)), **rest)


async def test_reading_markets(client):
    meta = await client.meta()
    assert [asset.coin for asset in meta.assets] == ["BTC", "ETH", "DOGE"]
    assert meta.asset("BTC").tiers[1].max_leverage == 20
    contexts = await client.contexts()
    book = await client.book("BTC")
    assert book.bids[0].px < contexts["BTC"].mid < book.asks[0].px
    assert len(book.bids) == 20
    assert (await client.mids())["BTC"] == contexts["BTC"].mid
    bars = await client.candles("BTC", "5m", book.time - 2 * HOUR, book.time)
    assert [b.start - a.start for a, b in itertools.pairwise(bars)] == [300_000] * (len(bars) - 1)
    assert bars[-1].start <= book.time <= bars[-1].end
    assert len(await client.fundings("BTC", book.time - 3 * HOUR, book.time)) == 3
    clock = await client.clock()
    assert clock.market == book.time
    assert abs(clock.admission - time.time() * 1000) < 5000
    assert clock.past(clock.admission - 1)
    assert not clock.past(clock.admission)


async def test_reading_an_account(client, keys):
    me = keys[0].address
    assert (await client.state(me)).value == 100_000
    assert (await client.role(me)).kind == "user"
    assert (await client.role(keys[4].address)).kind == "missing"
    assert await client.agents(me) == ()
    assert await client.abstraction(me) == "disabled"
    assert (await client.fees(me)).taker == Decimal("0.00045")
    assert (await client.address_budget(me)).cap == 10_000
    assert await client.ledger(me, 0)
    assert await client.funding_payments(me, 0) == ()


@pytest.mark.parametrize("call", ["book", "candles", "fundings"])
async def test_an_unknown_coin_is_refused_and_not_empty(client, call):
    more = {"candles": ("1h", 0, 10**13), "fundings": (0,)}.get(call, ())
    with pytest.raises(Rejected, match="no coin 'NOPE'"):
        await getattr(client, call)("NOPE", *more)


async def test_the_life_of_orders(client, keys, stamp):
    me, name = keys[0].address, cloid()
    low = await limit(client, 0.8, cloid=name)
    (resting,) = await client.submit(Place((low,)), stamp())
    assert isinstance(resting, Resting)
    assert resting.cloid == name
    report = await client.order(me, name)
    assert report.live
    assert (report.order.oid, report.order.px, report.order.size) == (resting.oid, low.px, low.size)
    assert [order.oid for order in await client.open_orders(me)] == [resting.oid]
    moved = await limit(client, 0.79, cloid=name, tif="Alo")
    (modified,) = await client.submit(Modify(((resting.oid, moved),)), stamp())
    assert isinstance(modified, Resting)
    assert modified.oid != resting.oid
    cancel = Cancel((("BTC", name), ("BTC", cloid())))
    done, refused = await client.submit(cancel, stamp(), priority=Priority.RISK)
    assert done == Done()
    assert isinstance(refused, Refused)
    assert (await client.order(me, name)).status == "canceled"
    assert not (await client.order(me, cloid())).known


async def test_a_position_with_its_stop(client, keys, stamp):
    me = keys[0].address
    assert await client.submit(SetLeverage("ETH", 5, isolated=True), stamp()) == (Done(),)
    entry = await limit(client, 1.02, coin="ETH", size="1", tif="Ioc")
    stop = await limit(client, 0.85, coin="ETH", size="1", buy=False, reduce_only=True)
    at = rules.price((await client.meta()).asset("ETH"), float(stop.px) * 1.05, up=True)
    stop = OrderRequest(**{**{f: getattr(stop, f) for f in stop.__slots__}, "trigger": Trigger(at, take=False)})
    filled, waiting = await client.submit(Place((entry, stop), "normalTpsl"), stamp())
    assert isinstance(filled, Filled)
    assert filled.size == 1
    assert isinstance(waiting, Waiting | Resting)
    (position,) = (await client.state(me)).positions
    assert (position.coin, position.size, position.leverage, position.isolated) == ("ETH", 1, 5, True)
    (order,) = await client.triggers(me)
    assert (order.trigger, order.reduce_only, order.kind) == (at, True, "Stop Market")
    assert await client.submit(AddMargin("ETH", Decimal(25)), stamp()) == (Done(),)
    assert await client.submit(Noop(), stamp()) == (Done(),)
    fills = await client.fills(me, 0)
    assert sum(fill.size for fill in fills) == 1
    close = await limit(client, 0.98, coin="ETH", size="1", buy=False, tif="Ioc", reduce_only=True)
    (closed,) = await client.submit(Place((close,)), stamp(), priority=Priority.RISK)
    assert isinstance(closed, Filled)
    assert (await client.state(me)).positions == ()


async def test_refusals(client, stamp):
    (tiny,) = await client.submit(Place((await limit(client, 0.8, size="0.00002"),)), stamp())
    assert isinstance(tiny, Refused)
    assert tiny.reason.startswith("Order must have minimum value of $10.")
    with pytest.raises(Rejected, match="traded"):
        await client.submit(ScheduleCancel(int(time.time() * 1000) + 60_000), stamp())
    with pytest.raises(Rejected, match="expired"):
        await client.submit(Noop(), stamp(-1000))
    once = stamp()
    await client.submit(Noop(), once)
    with pytest.raises(Unknown, match="admitted before"):
        await client.submit(Noop(), once)


async def test_an_unknown_signer_is_refused(venue, stamp):
    async with Rest(venue.url) as wire:
        stranger = Hyperliquid(wire, Network.PAPER, Signer("0x" + "77" * 32, mainnet=False))
        with pytest.raises(Rejected):
            await stranger.submit(Place((await limit(stranger, 0.8),)), stamp())
        blind = Hyperliquid(wire, Network.PAPER)
        with pytest.raises(ConfigError, match="without a key"):
            await blind.submit(Noop(), stamp())


async def test_a_lost_reply_is_unknown_and_the_order_lives(client, venue, keys, stamp):
    name = cloid()
    order = await limit(client, 0.8, cloid=name)
    venue.fault("lose_reply", count=1)
    with pytest.raises(Unknown):
        await client.submit(Place((order,)), stamp())
    assert (await client.order(keys[0].address, name)).live
    venue.fault("unknown_oid", seconds=2.0)
    assert not (await client.order(keys[0].address, name)).known
    async with asyncio.timeout(60):
        while not (await client.order(keys[0].address, name)).known:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (await client.order(keys[0].address, name)).live
    await client.submit(Cancel((("BTC", name),)), stamp())


@pytest.mark.parametrize(("fault", "kind"), [("too_many", RateLimited), ("bad_gateway", Unknown)])
async def test_gateways_failures(client, venue, stamp, fault, kind):
    venue.fault(fault, count=2)
    with pytest.raises(kind):
        await client.mids()
    with pytest.raises(kind):
        await client.submit(Noop(), stamp())
    assert await client.mids()


async def test_one_error_for_a_batch_counts_for_each(client, venue, stamp):
    orders = (await limit(client, 0.8), await limit(client, 0.81))
    venue.fault("batch_error", count=1)
    found = await client.submit(Place(orders), stamp())
    assert len(found) == 2
    assert all(isinstance(one, Refused) for one in found)


async def test_a_slow_answer_is_unknown(venue, keys):
    venue.fault("delay_reply", seconds=15)
    try:
        async with Rest(venue.url, timeout=3.0) as wire:
            client = Hyperliquid(wire, Network.PAPER, Signer(keys[1].key.hex(), mainnet=False))
            await client.meta()
            with pytest.raises(Unknown, match="in time"):
                await client.submit(Noop(), Stamp(int(time.time() * 1000), None))
    finally:
        venue.fault("clear")


async def test_nobody_listens():
    async with Rest("http://127.0.0.1:9") as wire:
        with pytest.raises(Unknown, match="did not answer"):
            await Hyperliquid(wire, Network.PAPER).meta()
    with pytest.raises(ConfigError, match="address"):
        Rest("127.0.0.1:8100")


class Paged:
    """A wire that answers `userFillsByTime` from a list as the venue does: bounds inclusive, so many rows at most."""

    def __init__(self, rows, most):
        self.rows, self.most, self.asked = rows, most, 0

    async def send(self, ask):
        body = orjson.loads(ask.body)
        self.asked += 1
        found = [row for row in self.rows if body["startTime"] <= row["time"] <= body.get("endTime", 2**60)]
        page = sorted(found, key=lambda row: row["time"])[: self.most]
        random.Random(self.asked).shuffle(page)
        return Reply(200, orjson.dumps(page), 0)


@pytest.fixture(scope="session")
def recorded(market_data):
    path = market_data / "hl_protocol" / "info_http" / "test_get_user_fills.json"
    return json.loads(path.read_text())[0]["response"]


@pytest.mark.parametrize("most", [20, 33, 100, 499])
async def test_pages_lose_and_double_no_fill(recorded, monkeypatch, most):
    monkeypatch.setattr("quantga.venue.hyperliquid.client.PAGE", most)
    wire = Paged(recorded, most)
    fills = await Hyperliquid(wire, Network.PAPER).fills("0x" + "ab" * 20, 0)
    assert len(fills) == len(recorded)
    assert sum(fill.size for fill in fills) == sum(Decimal(row["sz"]) for row in recorded)
    assert wire.asked >= len(recorded) // most


async def test_a_page_of_one_millisecond_is_an_error(recorded, monkeypatch):
    monkeypatch.setattr("quantga.venue.hyperliquid.client.PAGE", 4)
    same = [{**recorded[0], "tid": k, "oid": k} for k in range(6)]
    with pytest.raises(Unknown, match="share the millisecond"):
        await Hyperliquid(Paged(same, 4), Network.PAPER).fills("0x" + "ab" * 20, 0)
