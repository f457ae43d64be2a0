"""One socket for ever: limits kept, silence seen, refusals told, and nothing that is sent can stop it."""

import asyncio
import random
import time

import pytest

from quantga.errors import ConfigError, Denied, VenueError
from quantga.live.connection import Connection, Timing
from quantga.live.stream import Plan, Stream, wanted
from quantga.venue.hyperliquid.streams import address, read, request
from quantga.venue.market import Asset, Meta
from quantga.venue.sockets import SocketLimits
from quantga.venue.stream import Ack, Subscription, Unread
from tests.live.frameserver import HOSTILE, Fault, Server
from tests.live.market import MINUTE, Market

T0 = 1_735_689_600_000
FREE = SocketLimits(new_a_minute=10**6, messages=10**6)
CALM = Timing(pause=0.01, longest=0.05, limits=FREE)
TIMING = Timing(stale=0.15, ack=0.4, ping=0.05, pong=0.2, pause=0.01, longest=0.05, limits=FREE)


class Ear:
    def __init__(self):
        self.frames, self.breaks, self.times = [], 0, []

    def heard(self, raw, frame, now, wall):
        self.frames.append(frame)
        self.times.append(now)

    def broken(self):
        self.breaks += 1


async def listen(server, ear, seconds, timing=TIMING, until=None):
    plan = Plan(server.url, ("BTC",), ("1m",))
    link = Connection(server.url, wanted(plan), ear.heard, ear.broken, timing, random.Random(1))
    task = asyncio.ensure_future(link.run())
    end = time.monotonic() + seconds
    while time.monotonic() < end and not task.done() and not (until and until(link)):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return link


def server(*faults):
    return Server(Market("BTC", T0, 30, 5), 200, T0 + MINUTE, list(faults))


async def test_it_subscribes_hears_and_is_up():
    ear = Ear()
    async with server() as venue:
        link = await listen(venue, ear, 120, CALM, until=lambda link: link.up and len(ear.frames) > 20)
    assert link.traffic.connects == 1
    assert len(ear.frames) > 20
    assert ear.breaks == 0


@pytest.mark.parametrize(
    ("kind", "count"), [("silent", "stale"), ("stale", "stale"), ("cut", "failures"), ("close", "failures")]
)
async def test_a_socket_that_brings_no_data_is_replaced(kind, count):
    ear = Ear()
    async with server(Fault(0.1, kind, seconds=0.5)) as venue:
        link = await listen(venue, ear, 120, until=lambda link: link.traffic.connects > 1 and link.up)
    assert getattr(link.traffic, count) >= 1
    assert link.traffic.connects >= 2
    assert ear.breaks >= 1
    assert link.up


async def test_pongs_are_waited_for():
    class Deaf(Server):
        async def put(self, socket, data, pong=False):
            if not pong:
                await super().put(socket, data)

    async with Deaf(Market("BTC", T0, 30, 5), 200, T0 + MINUTE) as venue:
        link = await listen(venue, Ear(), 120, until=lambda link: link.traffic.lost_pongs > 0)
    assert link.traffic.lost_pongs >= 1


async def test_acknowledgements_are_waited_for():
    class Mute(Server):
        async def subscribe(self, socket, sub):
            self.sockets[socket].add(sub["type"])

    async with Mute(Market("BTC", T0, 30, 5), 200, T0 + MINUTE) as venue:
        link = await listen(venue, Ear(), 120, until=lambda link: link.traffic.unacked > 0)
    assert link.traffic.unacked >= 1
    assert not link.up


async def test_a_refusal_repeated_is_an_error():
    class Strict(Server):
        async def subscribe(self, socket, sub):
            await self.put(socket, b'{"channel":"error","data":"Invalid subscription {\\"type\\":\\"bbo\\"}"}')
            await socket.close()

    async with Strict(Market("BTC", T0, 30, 5), 200, T0 + MINUTE) as venue:
        with pytest.raises(VenueError, match="refuses what is subscribed to: Invalid"):
            await listen(venue, Ear(), 120)


async def test_hostile_frames_are_counted_and_change_nothing():
    ear = Ear()
    async with server(*(Fault(0.05 * k, "hostile", count=5) for k in range(5))) as venue:
        link = await listen(venue, ear, 120, CALM, until=lambda link: link.traffic.bad > 8 and len(ear.frames) > 20)
    assert link.traffic.bad + link.traffic.unread > 8
    assert link.traffic.connects == 1


@pytest.mark.parametrize("raw", HOSTILE)
def test_a_hostile_text_is_one_error_or_unread(raw):
    try:
        assert isinstance(read(raw), Unread)
    except VenueError as error:
        assert len(str(error)) < 2_000  # noqa: PT017 -- both ends are right


async def test_no_more_sockets_than_the_venue_allows():
    closed = Server(Market("BTC", T0, 30, 5), 200, T0 + MINUTE, [Fault(0, "restart", seconds=30)])
    timing = Timing(pause=0.001, longest=0.002, limits=SocketLimits(new_a_minute=4))
    async with closed as venue:
        await asyncio.sleep(0.05)
        full = []

        def and_a_while_longer(link):
            if link.traffic.failures >= 4:
                full.append(time.monotonic())
            return bool(full) and time.monotonic() > full[0] + 0.4

        link = await listen(venue, Ear(), 120, timing, until=and_a_while_longer)
    assert link.traffic.failures == 4
    many = [Subscription("bbo", f"C{k}") for k in range(1001)]
    with pytest.raises(Denied):
        Connection("http://x", many, Ear().heard, Ear().broken, timing, random.Random(1))


def test_a_plan_names_what_there_is():
    for plan in (Plan("http://x", ()), Plan("http://x", ("BTC",), ("7m",)), Plan("http://x", ("BTC",), ("1w",))):
        with pytest.raises(ConfigError, match="intervals out of"):
            Stream(plan, None)
    subs = wanted(Plan("http://x", ("BTC", "ETH"), ("1m", "1h")))
    assert len(subs) == len(set(subs)) == 12
    assert address("https://api.hyperliquid.xyz") == "wss://api.hyperliquid.xyz/ws"
    assert request(subs[2]) == ('{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC","fast":true}}')


def test_recorded_frames_are_read(market_data):
    folder, seen = market_data / "hl_protocol" / "ws", set()
    for path in sorted(folder.glob("frames_*.jsonl")):
        for line in path.read_bytes().splitlines():
            if line.startswith(b'{"channel"'):
                frame = read(line)
                seen.add(type(frame).__name__)
                if isinstance(frame, Ack):
                    assert frame.subscription.channel in {"bbo", "userFills"}
    assert seen >= {"Quote", "Book", "Trades", "Candle", "Context", "Ack", "Pong", "Refusal", "Fills"}


async def test_a_mistake_of_our_own_ends_the_feed_loudly():
    class Broken:
        async def meta(self):
            return Meta((Asset("BTC", 0, 3, 10, ()),))

        async def candles(self, coin, interval, start, end):
            raise AttributeError("a mistake")

    async with server() as venue:
        stream = Stream(Plan(venue.url, ("BTC",), history=3, timing=TIMING, tick=0.01), Broken())
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(stream.run(), 120)
    assert caught.group_contains(AttributeError, match="a mistake")
