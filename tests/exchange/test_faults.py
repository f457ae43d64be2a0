"""Each fault does what its name says, and ends."""

import json
import time
from pathlib import Path

import pytest
import requests
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError, ServerError
from hyperliquid.utils.signing import get_timestamp_ms
from hyperliquid.utils.types import Cloid
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from quantga.errors import ConfigError
from quantga.exchange.faults import COUNTED, IMMEDIATE, TIMED, Faults, read_script


@pytest.fixture
def ann(venue, keys):
    meta = venue.info({"type": "meta"})
    time.sleep(0.002)
    yield Exchange(keys[0], venue.url, meta=meta, spot_meta={"tokens": [], "universe": []}, timeout=60)
    venue.fault("clear")


def bid(ann, n, share=0.9, tif="Gtc"):
    price = float(f"{float(ann.info.all_mids()['BTC']) * share:.4g}")
    return ann.order("BTC", True, 0.01, price, {"limit": {"tif": tif}}, cloid=Cloid.from_int(n))


def found(venue, keys, n):
    return venue.info({"type": "orderStatus", "user": keys[0].address, "oid": Cloid.from_int(n).to_raw()})


def test_a_lost_reply_has_been_executed(venue, keys, ann):
    venue.fault("lose_reply")
    with pytest.raises(requests.exceptions.ConnectionError):
        bid(ann, 100)
    assert found(venue, keys, 100)["order"]["status"] == "open"


def test_a_request_delayed_past_its_expiry_is_not_executed(venue, keys, ann):
    venue.fault("delay_request", seconds=0.4)
    ann.set_expires_after(get_timestamp_ms() + 150)
    assert bid(ann, 101)["response"] == "Action already expired"
    assert found(venue, keys, 101) == {"status": "unknownOid"}


def test_a_reply_delayed_past_the_expiry_was_executed_in_time(venue, keys, ann):
    venue.fault("delay_reply", seconds=4.0)
    expiry = get_timestamp_ms() + 3_500
    ann.set_expires_after(expiry)
    assert "resting" in bid(ann, 102)["response"]["data"]["statuses"][0]
    assert get_timestamp_ms() > expiry


def test_too_many_and_bad_gateway(venue, ann):
    info = Info(venue.url, skip_ws=True, meta={"universe": []}, spot_meta={"tokens": [], "universe": []}, timeout=60)
    venue.fault("too_many")
    with pytest.raises(ClientError) as limited:
        info.all_mids()
    assert (limited.value.args[0], limited.value.args[2]) == (429, "null")
    venue.fault("bad_gateway")
    with pytest.raises(ServerError, match="502 Bad Gateway"):
        info.all_mids()
    assert info.all_mids()


def test_one_error_for_a_whole_batch(venue, keys, ann):
    venue.fault("batch_error")
    row = {"coin": "BTC", "is_buy": True, "sz": 0.01, "limit_px": 60_000, "order_type": {"limit": {"tif": "Gtc"}}}
    rows = [{**row, "reduce_only": False, "cloid": Cloid.from_int(103 + k)} for k in range(3)]
    assert ann.bulk_orders(rows)["response"]["data"]["statuses"] == [{"error": "Order has invalid size."}]
    assert found(venue, keys, 103) == {"status": "unknownOid"}


def test_a_known_cloid_is_unknown_for_a_while(venue, keys, ann):
    bid(ann, 110)
    venue.fault("unknown_oid", seconds=2.0)
    assert found(venue, keys, 110) == {"status": "unknownOid"}
    end = time.monotonic() + 60
    while found(venue, keys, 110)["status"] != "order":
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_partial_fill_is_cancelled(venue, keys, ann):
    venue.fault("partial_fill")
    status = bid(ann, 111, share=1.03)["response"]["data"]["statuses"][0]
    assert status["filled"]["totalSz"] == "0.005"
    assert found(venue, keys, 111)["order"]["status"] == "canceled"


def test_metadata_with_a_dangling_token_breaks_the_constructor_once(venue, ann):
    venue.fault("dangling_token")
    with pytest.raises(KeyError):
        Info(venue.url, skip_ws=True, timeout=60)
    assert Info(venue.url, skip_ws=True, timeout=60).coin_to_asset["BTC"] == 0


def test_a_used_up_quota(venue, keys, ann):
    other = Exchange(keys[3], venue.url, meta=venue.info({"type": "meta"}), spot_meta={"tokens": [], "universe": []})
    venue.fault("quota", user=keys[3].address)
    assert other.noop(get_timestamp_ms())["status"] == "ok"
    time.sleep(0.002)
    assert other.noop(get_timestamp_ms())["response"].startswith("Too many cumulative requests sent (")


def test_a_forced_liquidation(venue, keys):
    eve = Exchange(keys[2], venue.url, timeout=60)
    eve.market_open("ETH", is_buy=True, sz=1.0)
    venue.fault("liquidate", user=keys[2].address)
    assert eve.info.user_state(keys[2].address)["assetPositions"] == []
    assert eve.info.user_fills(keys[2].address)[0]["liquidation"]["method"] == "market"


def test_a_skewed_clock_refuses_honest_nonces(venue, ann):
    try:
        venue.fault("skew", ms=-3 * 86_400_000)
        assert ann.noop(get_timestamp_ms())["response"].startswith("Invalid nonce: nonce too high")
        venue.fault("skew", ms=3 * 86_400_000)
        assert ann.noop(get_timestamp_ms())["response"].startswith("Invalid nonce: nonce too low")
    finally:
        venue.fault("skew", ms=0)


PONG = {"channel": "pong"}


def frames(ws):
    """What was sent so far: frames come in order, so that all of it is before the answer to a ping."""
    ws.send('{"method":"ping"}')
    out = []
    while (frame := json.loads(ws.recv(timeout=60))) != PONG:
        out.append(frame)
    return out


@pytest.fixture
def socket(venue):
    ws = connect(f"ws://127.0.0.1:{venue.port}/ws", legacy=True)
    for sub in ({"type": "trades", "coin": "BTC"}, {"type": "bbo", "coin": "BTC"}):
        ws.send(json.dumps({"method": "subscribe", "subscription": sub}))
    frames(ws)
    yield ws
    ws.close()


def test_silence_and_staleness(venue, socket, ann):
    venue.fault("stale", seconds=600)
    venue.step(5000)
    assert frames(socket) == []  # but the pong
    venue.fault("clear")
    venue.fault("silent", seconds=600)
    venue.step(5000)
    socket.send('{"method":"ping"}')
    with pytest.raises(TimeoutError):
        socket.recv(timeout=0.4)
    venue.fault("clear")
    assert frames(socket) == []  # what was not sent does not come later
    venue.step(5000)
    assert frames(socket)


def test_duplicates_and_disorder(venue, socket, ann):
    venue.fault("duplicate", count=1)
    venue.step(1000)
    got = frames(socket)
    assert any(got.count(frame) == 2 for frame in got)
    venue.fault("reorder", count=1)
    venue.step(1000)
    venue.step(1000)
    assert [frame["channel"] for frame in frames(socket)] == ["bbo", "trades", "trades", "bbo"]


def test_sockets_are_cut(venue, socket):
    venue.fault("drop_sockets")
    with pytest.raises(ConnectionClosed):
        frames(socket)


def test_a_restart_in_place_keeps_the_state(venue, socket, keys, ann):
    bid(ann, 120)
    before = venue.control(do="status")["digest"]
    venue.fault("restart")
    with pytest.raises(ConnectionClosed):
        frames(socket)
    assert venue.control(do="status")["digest"] == before
    assert found(venue, keys, 120)["order"]["status"] == "open"


def test_a_script_runs_by_itself_and_the_process_can_die(venues, keys, tmp_path):
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"after": 6.0, "fault": "die"}, {"after": 0.0, "fault": "skew", "ms": 5000}]))
    venue = venues({keys[0].address: 100}, "--faults", str(script))
    assert venue.process.wait(120) == 9
    venue.options = ()
    venue.start()
    assert venue.info({"type": "clearinghouseState", "user": keys[0].address})["withdrawable"] == "100.0"


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"after": 1}]', '[{"after": 1, "fault": "nope"}]', "x"])
def test_a_bad_script_is_refused(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_text(text)
    if text == "{}":
        assert read_script(path) == []
        return
    with pytest.raises(ConfigError):
        read_script(path)


def test_every_fault_is_tested_here():
    text = Path(__file__).read_text()
    assert [name for name in {*COUNTED, *TIMED, *IMMEDIATE} if f'"{name}"' not in text] == []
    with pytest.raises(ConfigError):
        Faults().switch("nope")
