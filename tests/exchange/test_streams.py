"""Streams: acknowledgements, snapshots, cadence, errors and limits, over real sockets."""

import asyncio
import json
import socket
import time
from dataclasses import replace

import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from quantga.exchange.limits import NO_LIMITS
from quantga.exchange.server import serve
from quantga.exchange.service import Exchange as Exchange_
from quantga.exchange.service import Options

MINUTE = 60_000


@pytest.fixture
def wire(venue):
    """A raw socket: send objects, receive objects."""

    class Wire:
        def __init__(self):
            self.ws = connect(f"ws://127.0.0.1:{venue.port}/ws", max_size=1 << 24, legacy=True)

        def send(self, **body):
            self.ws.send(json.dumps(body))

        def get(self, timeout=60.0):
            return json.loads(self.ws.recv(timeout=timeout))

        def subscribe(self, **sub):
            self.send(method="subscribe", subscription=sub)
            return self.get()

        def drain(self):
            """What was sent so far: all of it comes before the answer to a ping."""
            self.send(method="ping")
            frames = []
            while (frame := self.get()) != {"channel": "pong"}:
                frames.append(frame)
            return frames

    sockets = []

    def make():
        sockets.append(Wire())
        return sockets[-1]

    yield make
    for one in sockets:
        one.ws.close()


@pytest.fixture
def ann(venue, keys):
    meta = venue.info({"type": "meta"})
    return Exchange(keys[0], venue.url, meta=meta, spot_meta={"tokens": [], "universe": []}, timeout=60)


def test_the_sdk_gets_every_type_it_knows(venue, keys, ann):
    address = keys[0].address
    live, seen = Info(venue.url, timeout=60), {}
    subs = [{"type": "allMids"}, {"type": "candle", "coin": "BTC", "interval": "1m"}]
    subs += [{"type": kind, "coin": "BTC"} for kind in ("l2Book", "trades", "bbo", "activeAssetCtx")]
    subs += [
        {"type": kind, "user": address}
        for kind in (
            "userEvents",
            "userFills",
            "orderUpdates",
            "userFundings",
            "userNonFundingLedgerUpdates",
            "webData2",
        )
    ]
    subs.append({"type": "activeAssetData", "user": address, "coin": "BTC"})
    numbers = [live.subscribe(sub, lambda m, k=sub["type"]: seen.setdefault(k, []).append(m)) for sub in subs]
    venue.wait(lambda: "activeAssetData" in seen)  # the last one: all are subscribed
    ann.market_open("BTC", is_buy=True, sz=0.01)
    venue.step(2 * MINUTE)
    venue.wait(lambda: set(seen) == {sub["type"] for sub in subs})
    assert seen["userEvents"][0]["channel"] == "user"
    assert isinstance(seen["candle"][0]["data"], dict)
    opens = [m["data"]["t"] for m in seen["candle"]]
    assert opens == sorted(opens)
    for sub, number in zip(subs, numbers, strict=True):
        assert live.unsubscribe(sub, number)
    live.disconnect_websocket()


def test_the_acknowledgement_comes_first_with_defaults(wire, keys):
    socket = wire()
    ack = socket.subscribe(type="l2Book", coin="BTC")
    assert ack == {
        "channel": "subscriptionResponse",
        "data": {
            "method": "subscribe",
            "subscription": {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": False},
        },
    }
    book = socket.get()
    assert set(book["data"]) == {"coin", "time", "levels"}
    ack = socket.subscribe(type="userFills", user=keys[0].address)
    assert ack["data"]["subscription"] == {
        "type": "userFills",
        "user": keys[0].address.lower(),
        "aggregateByTime": False,
    }
    assert socket.get()["data"]["isSnapshot"] is True
    fast = wire()
    fast.subscribe(type="l2Book", coin="BTC", fast=True)
    frame = fast.get()
    assert frame["data"]["fast"] is True
    assert [len(side) for side in frame["data"]["levels"]] == [5, 5]


def test_no_snapshot_of_order_updates_and_user_events(wire, keys, ann):
    socket = wire()
    for kind in ("orderUpdates", "userEvents"):
        socket.subscribe(type=kind, user=keys[0].address)
    assert socket.drain() == []
    ann.market_open("ETH", is_buy=True, sz=0.1)
    frames = {frame["channel"]: frame["data"] for frame in socket.drain()}
    assert [row["status"] for row in frames["orderUpdates"]] == ["open", "filled"]
    assert frames["orderUpdates"][1]["order"]["sz"] == "0.0"
    assert frames["user"]["fills"]


def test_updates_of_fills_have_no_snapshot_flag(wire, keys, ann):
    socket = wire()
    socket.subscribe(type="userFills", user=keys[0].address)
    socket.get()
    time.sleep(0.002)
    ann.market_open("ETH", is_buy=True, sz=0.1)
    assert set(socket.get()["data"]) == {"user", "fills"}


def test_errors_are_the_venues(wire):
    socket = wire()
    socket.subscribe(type="bbo", coin="BTC")
    socket.get()
    again = socket.subscribe(type="bbo", coin="BTC")
    assert again == {"channel": "error", "data": 'Already subscribed: {"type":"bbo","coin":"BTC"}'}
    socket.send(method="unsubscribe", subscription={"type": "trades", "coin": "ETH"})
    assert socket.get() == {"channel": "error", "data": 'Already unsubscribed: {"type":"trades","coin":"ETH"}'}
    text = '{"method": "subscribe", "subscription": {"type": "noSuchType", "coin": "BTC"}}'
    socket.ws.send(text)
    assert socket.get() == {"channel": "error", "data": f"Error parsing JSON into valid websocket request: {text}"}
    socket.send(method="ping")
    assert socket.get() == {"channel": "pong"}
    socket.send(method="unsubscribe", subscription={"type": "bbo", "coin": "BTC"})
    assert socket.get()["data"]["method"] == "unsubscribe"


def test_an_unknown_coin_closes_the_socket(wire):
    socket = wire()
    answer = socket.subscribe(type="bbo", coin="NOPE")
    assert answer["data"].startswith("Invalid subscription ")
    with pytest.raises(ConnectionClosed):
        socket.get()


def test_trades_begin_with_a_replay(wire, venue):
    socket = wire()
    socket.subscribe(type="trades", coin="BTC")
    replayed = socket.get()["data"]
    assert 1 <= len(replayed) <= 20
    venue.step(5_000)
    fresh = socket.get()["data"]
    assert {t["tid"] for t in fresh}.isdisjoint({t["tid"] for t in replayed})
    assert set(fresh[0]) == {"coin", "side", "px", "sz", "time", "hash", "tid", "users"}


def test_closed_candles_come_whole_and_in_order(wire, venue):
    socket = wire()
    socket.subscribe(type="candle", coin="ETH", interval="1m")
    first = socket.get()["data"]
    venue.step(5 * MINUTE)
    rows = [frame["data"] for frame in socket.drain()]
    final = {row["t"]: row for row in rows}
    opens = sorted(final)
    assert opens == list(range(first["t"], opens[-1] + 1, MINUTE))
    truth = venue.info(
        {
            "type": "candleSnapshot",
            "req": {"coin": "ETH", "interval": "1m", "startTime": opens[0], "endTime": opens[-1]},
        }
    )
    assert [final[t] for t in opens] == truth


def test_post_answers_like_http(wire, venue):
    socket = wire()
    body = {"type": "l2Book", "coin": "ETH"}
    socket.send(method="post", id=7, request={"type": "info", "payload": body})
    answer = socket.get()
    assert answer == {
        "channel": "post",
        "data": {"id": 7, "response": {"type": "info", "payload": {"type": "l2Book", "data": venue.info(body)}}},
    }
    socket.send(method="post", id=8, request={"type": "info", "payload": {"type": "nope"}})
    assert socket.get()["data"]["response"] == {"type": "error", "payload": "422 Unprocessable Entity"}
    unsigned = {"action": {"type": "noop"}, "nonce": 1, "signature": {"r": "0x0", "s": "0x0", "v": 27}}
    socket.send(method="post", id=9, request={"type": "action", "payload": unsigned})
    assert socket.get()["data"]["response"] == {
        "type": "action",
        "payload": {"status": "err", "response": "Unable to recover signer."},
    }


@pytest.mark.parametrize(
    "hostile", ["[" * 100_000, '{"method":NaN}', "null", "[]", '"x"', "{}", '{"method":[]}', "\x00"]
)
def test_hostile_frames_get_an_error_and_the_socket_lives(wire, hostile):
    socket = wire()
    socket.ws.send(hostile)
    assert socket.get()["channel"] == "error"
    socket.ws.send(b"\xff\xfe")
    assert socket.get()["channel"] == "error"
    socket.send(method="ping")
    assert socket.get() == {"channel": "pong"}


def test_a_frame_of_ten_megabytes_closes_only_its_socket(wire):
    socket, other = wire(), wire()

    def flood():
        for _ in range(3):
            socket.ws.send("x" * 10_000_000)
            socket.get()

    with pytest.raises(ConnectionClosed):
        flood()
    other.send(method="ping")
    assert other.get() == {"channel": "pong"}


def test_limits_per_address(venues, keys):
    venue = venues({keys[0].address: 1000}, "--step")
    url = f"ws://127.0.0.1:{venue.port}/ws"
    open_sockets = [connect(url, legacy=True) for _ in range(10)]
    with pytest.raises(Exception, match="429"):
        connect(url, legacy=True)
    socket = open_sockets[0]
    for k in range(16):
        socket.send(
            json.dumps({"method": "subscribe", "subscription": {"type": "orderUpdates", "user": f"0x{k:040x}"}})
        )
    last = [json.loads(socket.recv(timeout=60)) for _ in range(16)][-1]
    assert last == {"channel": "error", "data": "Cannot track more than 15 total users."}
    for one in open_sockets:
        one.close()
    answers = [venue.raw("/info", b'{"type":"meta"}') for _ in range(80)]
    assert answers[0][0] == 200
    assert answers[-1] == (429, "null")
    assert 55 <= sum(1 for status, _ in answers if status == 200) <= 60


@pytest.fixture
def running(replay, tmp_path):
    """An exchange in this process, for what needs its own limits: call with a story of (url, exchange)."""

    def run(story, **limits):
        async def whole():
            options = Options(state=tmp_path / "own", replay=replay, limits=replace(NO_LIMITS, **limits))
            exchange, ready = Exchange_(options), asyncio.Event()
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            server = asyncio.ensure_future(serve(exchange, "127.0.0.1", port, ready))
            await ready.wait()
            try:
                return await story(f"ws://127.0.0.1:{port}/ws", exchange)
            finally:
                server.cancel()
                await asyncio.wait([server])

        return asyncio.run(whole())

    return run


async def seen_until(ws, enough):
    """Frames up to the first that are `enough`."""
    frames = []
    async with asyncio.timeout(120):
        while not enough(frames):
            frames.append(json.loads(await ws.recv()))
    return frames


def ponged(frames):
    return frames[-1:] == [{"channel": "pong"}]


async def drained(ws):
    while True:
        await ws.recv()


def test_books_keep_their_cadence(running):
    async def story(url, _exchange):
        async with connect_async(url) as ws:
            for fast in (True, False):
                sub = {"type": "l2Book", "coin": "BTC", "fast": fast}
                await ws.send(json.dumps({"method": "subscribe", "subscription": sub}))
            return await seen_until(ws, lambda frames: len(fast_of(frames)) > 10)

    def fast_of(frames):
        return [frame["data"] for frame in frames if frame["channel"] == "l2Book" and frame["data"].get("fast")]

    frames = running(story)
    times = [book["time"] for book in fast_of(frames)]  # by the venue's clock, which moves each second
    assert len(times) <= 5 + (times[-1] - times[0]) // 500
    slow = [frame for frame in frames if frame["channel"] == "l2Book" and not frame["data"].get("fast")]
    assert 1 <= len(slow) <= 2 + (times[-1] - times[0]) // 5_000


def test_a_socket_that_hears_nothing_is_closed_a_pinging_one_is_not(running):
    async def story(url, _exchange):
        async with connect_async(url) as quiet, connect_async(url) as pinging:
            closed = asyncio.ensure_future(quiet.wait_closed())
            while not closed.done():
                await pinging.send('{"method":"ping"}')
                assert json.loads(await pinging.recv()) == {"channel": "pong"}
                await asyncio.wait([closed], timeout=0.2)
            with pytest.raises(ConnectionClosed):
                await quiet.recv()
            await pinging.send('{"method":"ping"}')
            return json.loads(await pinging.recv())

    assert running(story, idle=3.0) == {"channel": "pong"}


def test_messages_and_posts_have_limits(running):
    async def story(url, exchange):
        exchange.faults.switch("delay_request", count=1, seconds=600)
        async with connect_async(url) as ws:
            for k in range(3):
                await ws.send(json.dumps({"method": "post", "id": k, "request": {"type": "action", "payload": {}}}))
            first = await seen_until(ws, bool)
            for _ in range(30):
                await ws.send('{"method":"ping"}')
            with pytest.raises(ConnectionClosed):
                await drained(ws)
            return first

    frames = running(story, messages=20, posts=2)
    assert {"channel": "error", "data": "too many pending post requests id=2"} in frames


def test_a_slow_reader_is_cut_off_and_others_are_not(running, monkeypatch):
    monkeypatch.setattr("quantga.exchange.hub.BACKLOG", 200_000)

    async def story(url, exchange):
        async with connect_async(url, max_queue=1, close_timeout=0.2) as slow, connect_async(url) as other:
            await slow.send(
                json.dumps({"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC", "fast": False}})
            )
            async with asyncio.timeout(120):
                while not any(one.subs for one in exchange.hub.sockets):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                while len(exchange.hub.sockets) > 1 and not any(one.broken for one in exchange.hub.sockets):
                    for _ in range(500):
                        exchange.hub.books(fast=False)
                    await asyncio.sleep(0)
            await other.send('{"method":"ping"}')
            return await seen_until(other, ponged)

    assert running(story) == [{"channel": "pong"}]
