"""TWAP orders: suborders by the market's clock, what users see of them, and how they end."""

from datetime import UTC, datetime

import pytest

from quantga.exchange import snapshot
from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_folder
from quantga.exchange.candles import candles
from quantga.exchange.engine import new_engine
from quantga.exchange.hub import Hub, Socket
from quantga.exchange.info_user import USER_INFO
from quantga.exchange.subscriptions import canonical, first_frames
from tests.exchange.conftest import START, Desk, write_bars

MINUTE = 60_000


def twap(desk, user, size, minutes=5, coin=0, *, reduce=False, random=False):
    wish = {"a": coin, "b": size > 0, "s": f"{abs(size):.8f}", "r": reduce, "m": minutes, "t": random}
    answer = desk.act(user, {"type": "twapOrder", "twap": wish})
    assert answer["response"]["type"] == "twapOrder", answer
    return answer["response"]["data"]["status"]


def cancel(desk, user, number, coin=0):
    answer = desk.act(user, {"type": "twapCancel", "a": coin, "t": number})
    return answer["response"]["data"]["status"]


def told(desk, kind, user, **rest):
    return USER_INFO[kind](desk.engine.desk, {"user": user, **rest})


def test_a_twap_order_follows_the_clock(desk):
    ann = desk.fund("ann", 100_000)
    number = twap(desk, ann, 0.11)["running"]["twapId"]
    assert desk.szi(ann, 0) == 1000  # 11 parts: now, and every 30 s
    for part in range(2, 12):
        desk.pass_time(30_000)
        assert desk.szi(ann, 0) == 1000 * part
    ended, begun = told(desk, "twapHistory", ann)
    assert (ended["status"], begun["status"]) == ({"status": "finished"}, {"status": "activated"})
    assert ended["twapId"] == begun["twapId"] == number
    state = ended["state"]
    assert (state["coin"], state["side"], state["sz"], state["executedSz"]) == ("BTC", "B", "0.11", "0.11")
    assert begun["state"]["executedSz"] == "0.0"
    rows = told(desk, "userTwapSliceFills", ann)
    assert sum(float(row["fill"]["sz"]) for row in rows) == pytest.approx(0.11)
    assert {row["twapId"] for row in rows} == {number}
    assert sum(float(row["fill"]["sz"]) * float(row["fill"]["px"]) for row in rows) == pytest.approx(
        float(state["executedNtl"])
    )
    fills = told(desk, "userFills", ann)
    assert {fill["twapId"] for fill in fills} == {number}
    assert {fill["hash"] for fill in fills} == {"0x" + "0" * 64}
    assert told(desk, "userTwapSliceFillsByTime", ann, startTime=fills[0]["time"])[0]["fill"]["oid"] == fills[0]["oid"]
    assert told(desk, "openOrders", ann) == []
    assert desk.money() == desk.state.deposits
    assert desk.sizes()[0] == 0


def test_a_jump_of_the_clock_sends_every_part_at_its_time(desk):
    ann = desk.fund("ann", 100_000)
    twap(desk, ann, 0.11)
    desk.pass_time(10 * MINUTE)
    begun = told(desk, "userFills", ann)[-1]["time"]
    times = sorted({fill["time"] - begun for fill in told(desk, "userFills", ann)})
    assert times == [30_000 * k for k in range(11)]


def test_a_small_order_of_a_long_time_has_fewer_parts(desk):
    ann = desk.fund("ann", 100_000)
    size = 600 / desk.price(1)
    twap(desk, ann, float(f"{size:.4f}"), minutes=60, coin=1)
    (running,) = desk.state.twaps.values()
    assert running.parts in (59, 60)
    desk.pass_time(61 * MINUTE)
    assert told(desk, "twapHistory", ann)[0]["status"] == {"status": "finished"}


def test_randomised_parts_differ_and_sum_up(desk):
    ann = desk.fund("ann", 100_000)
    twap(desk, ann, 0.11, random=True)
    desk.pass_time(6 * MINUTE)
    sizes = {}
    for fill in told(desk, "userFills", ann):
        sizes[fill["oid"]] = sizes.get(fill["oid"], 0) + float(fill["sz"])
    assert len(set(sizes.values())) > 5
    assert sum(sizes.values()) == pytest.approx(0.11)


def test_what_falls_behind_is_caught_up_by_three_parts_at_a_time(desk):
    ann = desk.fund("ann", 10_000_000)
    twap(desk, ann, 1.1)
    market = desk.state.coins[0]
    market.mirrored = market.halted = True  # another venue that is not heard: nothing trades for a while
    for _ in range(4):
        desk.pass_time(30_000)
    assert desk.szi(ann, 0) == 10_000
    market.halted = False
    desk.pass_time(30_000)
    assert desk.szi(ann, 0) == 40_000


def test_a_cancelled_one_keeps_what_it_has(desk):
    ann, bob = desk.fund("ann", 100_000), desk.fund("bob", 100_000)
    number = twap(desk, ann, 0.11)["running"]["twapId"]
    assert [row[0] for row in desk_states(desk, ann)] == [number]
    missing = {"error": "TWAP was never placed, already canceled, or filled."}
    assert cancel(desk, bob, number) == missing
    assert cancel(desk, ann, number, coin=1) == missing
    assert cancel(desk, ann, number) == "success"
    assert cancel(desk, ann, number) == missing
    desk.pass_time(MINUTE)
    assert desk.szi(ann, 0) == 1000
    assert told(desk, "twapHistory", ann)[0]["status"] == {"status": "terminated"}
    assert desk_states(desk, ann) == []


def desk_states(desk, user):
    (frame,) = first_frames(desk.engine.desk, canonical(desk.engine.desk, {"type": "twapStates", "user": user}))
    return frame["data"]["states"]


@pytest.mark.parametrize(
    ("size", "more", "words"),
    [
        (0.11, {"minutes": 1}, "Invalid TWAP duration: 1 min(s)"),
        (0.11, {"minutes": 7 * 24 * 60 + 1}, "Invalid TWAP duration: 10081 min(s)"),
        (0.001, {}, "TWAP order value too small. Min is $100."),
        (0.11, {"reduce": True}, "Reduce-only TWAP order would increase position."),
        (0.1234567, {}, "Order has invalid size."),
        (0.11, {"coin": 77}, "Order has invalid asset."),
    ],
)
def test_what_is_refused(desk, size, more, words):
    ann = desk.fund("ann", 100_000)
    assert twap(desk, ann, size, **more) == {"error": words}
    assert not desk.state.twaps


def test_reduce_only_closes_and_then_has_nothing_to_do(desk):
    ann = desk.fund("ann", 100_000)
    desk.order(ann, 0, 0.05, desk.near(0, 1.02), "Ioc")
    twap(desk, ann, -0.11, reduce=True)
    desk.pass_time(10 * MINUTE)
    assert desk.szi(ann, 0) == 0
    last = told(desk, "twapHistory", ann)[0]["status"]
    assert last == {"status": "error", "description": "Reduce-only TWAP order would increase position."}


def test_without_margin_it_ends_with_an_error(desk):
    ann = desk.fund("ann", 100)
    twap(desk, ann, 1.0)
    assert told(desk, "twapHistory", ann)[0]["status"] == {
        "status": "error",
        "description": "Insufficient margin to place order.",
    }


def test_liquidation_and_the_end_of_the_bars_end_it(desk):
    ann, bob = desk.fund("ann", 100_000), desk.fund("bob", 100_000)
    twap(desk, ann, 0.11)
    twap(desk, bob, 1.1, minutes=7 * 24 * 60)
    desk.apply("liquidate", u=ann)
    assert told(desk, "twapHistory", ann)[0]["status"]["status"] == "terminated"
    desk.pass_time(600 * MINUTE)
    assert told(desk, "twapHistory", bob)[0]["status"] == {"status": "error", "description": "Trading is halted."}
    assert not desk.state.running


def test_it_goes_on_after_a_restart(desk):
    ann = desk.fund("ann", 100_000)
    twap(desk, ann, 0.11, random=True)
    desk.pass_time(70_000)
    again = desk.reloaded()
    assert snapshot.dump(again.state) == snapshot.dump(desk.state)
    for one in (desk, again):
        one.pass_time(10 * MINUTE)
    assert again.engine.digest() == desk.engine.digest()
    assert again.szi(ann, 0) == 11_000


def test_streams_tell_of_it(desk):
    class Kept(Socket):
        def put(self, frame, *, pong=False):
            kept.append(frame)

    kept = []
    ann = desk.fund("ann", 100_000)
    hub = Hub(lambda: desk.engine.desk)
    socket = Kept(None, "here", None)
    for kind in ("userTwapSliceFills", "userTwapHistory", "userEvents", "userFills", "twapStates"):
        sub = canonical(desk.engine.desk, {"type": kind, "user": ann})
        socket.subs[kind] = sub
        for frame in first_frames(desk.engine.desk, sub):
            assert frame["data"].get("isSnapshot", True)
    hub.sockets.add(socket)
    number = twap(desk, ann, 0.11)["running"]["twapId"]
    hub.publish(desk.last.events)
    found = {frame["channel"]: frame["data"] for frame in kept}
    assert set(found) == {"userTwapSliceFills", "userTwapHistory", "user", "twapStates"}  # userFills leaves them out
    assert found["userTwapSliceFills"]["twapSliceFills"][0]["twapId"] == number
    assert found["user"]["twapSliceFills"][0]["fill"]["coin"] == "BTC"
    assert found["userTwapHistory"]["history"][0]["status"] == {"status": "activated"}
    assert found["twapStates"]["states"][0][1]["executedSz"] == "0.01"


def test_months_are_those_of_the_calendar(tmp_path):
    day = 86_400_000
    write_bars(tmp_path, "BTC", [(100.0 + k, 110.0 + k, 90.0 + k, 101.0 + k, 2.0) for k in range(100)], day)
    bars = read_folder(tmp_path, load_assets())
    start = START + 70 * day
    desk = Desk(new_engine(bars, [load_assets()["BTC"]], seed=7, start=start))
    rows = candles(desk.engine.desk, 0, "1M", 0, 2**62)
    opened = [datetime.fromtimestamp(row["t"] / 1000, UTC).strftime("%m-%d") for row in rows]
    assert opened == ["01-01", "02-01", "03-01"]
    assert [row["T"] + 1 for row in rows[:-1]] == [row["t"] for row in rows[1:]]
    assert (rows[0]["o"], rows[0]["c"], rows[0]["h"], rows[0]["l"]) == ("100.0", "131.0", "140.0", "90.0")
    assert (rows[0]["v"], rows[1]["v"]) == ("62.0", "56.0")
    assert candles(desk.engine.desk, 0, "1M", rows[0]["t"] + 1, rows[2]["t"] - 1) == rows[1:2]
    assert candles(desk.engine.desk, 0, "1M", 2**61, 2**62) == []
