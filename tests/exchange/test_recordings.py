"""What the exchange emits has the fields and the spelling of what the venue was recorded to emit."""

import json
import re
import time

import pytest
from hyperliquid.exchange import Exchange
from websockets.sync.client import connect

from quantga.exchange.assets import load_assets

pytestmark = pytest.mark.market_data
NUMBER = re.compile(r"-?(0|[1-9]\d*)\.\d+")


@pytest.fixture(scope="module")
def recorded(market_data):
    def read(name: str, number: int = -1):
        found = json.loads((market_data / "hl_protocol" / "info_http" / f"{name}.json").read_text())
        return found[number]["response"] if isinstance(found, list) and "response" in found[number] else found

    return read


@pytest.fixture(scope="module")
def frames(market_data):
    out = {}
    for path in sorted((market_data / "hl_protocol" / "ws").glob("frames_*.jsonl")):
        for line in path.read_text().splitlines():
            frame = json.loads(line)
            if "channel" in frame:
                out.setdefault(frame["channel"], []).append(frame)
    return out


@pytest.fixture(scope="module")
def ann(venue, keys):
    one = Exchange(keys[0], venue.url, timeout=60)
    assert one.update_leverage(10, "ETH", is_cross=False)["status"] == "ok"
    for coin, size in (("BTC", 0.01), ("ETH", 0.5)):
        time.sleep(0.002)
        one.market_open(coin, is_buy=True, sz=size)
    low = float(f"{float(one.info.all_mids()['BTC']) * 0.9:.4g}")
    time.sleep(0.002)
    one.order("BTC", True, 0.01, low, {"limit": {"tif": "Gtc"}})
    time.sleep(0.002)
    stop = {"trigger": {"isMarket": True, "triggerPx": low, "tpsl": "sl"}}
    one.order("BTC", False, 0.01, low, stop, reduce_only=True)
    venue.step(3_600_000)
    return one


def same(ours, theirs, where="", *, optional=(), added=()):
    """Equal keys (but for those named), equal kinds, numbers spelled as decimal texts where the venue does."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), where
        missing = theirs.keys() - ours.keys() - set(optional)
        assert not missing, (where, missing)
        assert not ours.keys() - theirs.keys() - set(optional) - set(added), (where, ours.keys() - theirs.keys())
        for key in theirs.keys() & ours.keys():
            same(ours[key], theirs[key], f"{where}.{key}", optional=optional, added=added)
    elif isinstance(theirs, list):
        assert isinstance(ours, list), where
        if theirs and ours and theirs[0] is not None:
            same(ours[0], theirs[0], f"{where}[0]", optional=optional, added=added)
    elif theirs is None or ours is None:
        return
    else:
        assert type(ours) is type(theirs), (where, ours, theirs)
        if isinstance(theirs, str) and NUMBER.fullmatch(theirs):
            assert NUMBER.fullmatch(ours), (where, ours, theirs)


def test_clearinghouse_state(venue, keys, ann, recorded):
    ours = venue.info({"type": "clearinghouseState", "user": keys[0].address})
    same(ours, recorded("eugene2710_clearinghouse_small"))
    kinds = {p["position"]["leverage"]["type"]: set(p["position"]["leverage"]) for p in ours["assetPositions"]}
    assert kinds == {"cross": {"type", "value"}, "isolated": {"type", "value", "rawUsd"}}


def test_the_algebra_of_a_recorded_state_holds_in_ours(venue, keys, ann, recorded):
    """accountValue = totalRawUsd + sum of szi * mark, in both."""
    for state in (
        recorded("eugene2710_clearinghouse_small"),
        venue.info({"type": "clearinghouseState", "user": keys[0].address}),
    ):
        value = float(state["marginSummary"]["totalRawUsd"])
        for row in state["assetPositions"]:
            p = row["position"]
            value += float(p["positionValue"]) * (1 if float(p["szi"]) > 0 else -1)
            size, entry = float(p["szi"]), float(p["entryPx"])
            profit = float(p["positionValue"]) * (1 if size > 0 else -1) - size * entry
            assert float(p["unrealizedPnl"]) == pytest.approx(profit, rel=1e-3, abs=0.01 * abs(size) + 1e-3)
            roe = float(p["unrealizedPnl"]) * p["leverage"]["value"] / (entry * abs(size))
            assert float(p["returnOnEquity"]) == pytest.approx(roe, rel=1e-3, abs=1e-6)
        assert float(state["marginSummary"]["accountValue"]) == pytest.approx(value, abs=1e-3)


def test_our_margin_formulas_explain_a_recorded_account(recorded):
    """Maintenance margins sum to what the venue printed; all its liquidation prices imply one and the same margin.

    That margin is more than value - maintenance there: the account is a unified one, its spot balance counts too.
    """
    state, assets = recorded("eugene2710_clearinghouse_small"), load_assets()
    available, needed = [], 0
    for row in state["assetPositions"]:
        p = row["position"]
        size, asset = float(p["szi"]), assets[p["coin"]]
        notional = round(float(p["positionValue"]) * 10**6)
        needed += asset.maintenance(notional)
        side, rate = (1 if size > 0 else -1), 1 / (2 * asset.tier(notional).max_leverage)
        distance = notional / 1e6 / abs(size) - float(p["liquidationPx"])
        available.append(side * distance * abs(size) * (1 - rate * side))
    assert needed / 10**6 == pytest.approx(float(state["crossMaintenanceMarginUsed"]), abs=1e-5)
    assert available == pytest.approx([available[0]] * len(available), rel=1e-9)


def test_orders(venue, keys, ann, recorded):
    rows = venue.info({"type": "openOrders", "user": keys[0].address})
    same(rows, recorded("test_get_open_orders"), added=("origSz", "reduceOnly", "cloid"))
    full = venue.info({"type": "frontendOpenOrders", "user": keys[0].address})
    same(full, recorded("test_get_frontend_open_orders"), added=("cloid",))
    theirs = {r["orderType"] for r in recorded("test_get_frontend_open_orders")}
    assert {r["orderType"] for r in full} == {"Limit", "Stop Market"} <= theirs


def test_fills(venue, keys, ann, recorded):
    ours = venue.info({"type": "userFills", "user": keys[0].address})
    same(ours, recorded("nautilus_http_user_fills_dust_conversion"), optional=("cloid", "builderFee"))


def test_a_liquidation_fill(venue, keys, market_data):
    text = (market_data / "hl_protocol" / "ws" / "nautilus_ws_user_fill_liquidation.json").read_text()
    theirs = json.loads(text)["data"]["fills"][0]
    bob = Exchange(keys[1], venue.url, timeout=60)
    bob.market_open("BTC", is_buy=True, sz=0.01)
    venue.fault("liquidate", user=keys[1].address)
    ours = venue.info({"type": "userFills", "user": keys[1].address})[0]
    same(ours, theirs, optional=("cloid",))


@pytest.mark.parametrize(
    ("request_body", "name", "optional"),
    [
        ({"type": "allMids"}, "test_get_all_mids", "mids"),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5}, "eugene2710_l2book_btc_nsf5", ()),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 5}, "eugene2710_l2book_btc_nsf5_m5", ()),
        ({"type": "fundingHistory", "coin": "BTC", "startTime": 0}, "test_get_funding_history_None", ()),
        ({"type": "userFunding", "startTime": 0}, "test_user_funding_history_with_end_time", ()),
        ({"type": "userNonFundingLedgerUpdates"}, "test_user_non_funding_ledger_updates_without_end_time", ()),
        ({"type": "userRateLimit"}, "test_user_rate_limit", ("nRequestsSurplus",)),
        ({"type": "userTwapSliceFills"}, "test_user_twap_slice_fills", ()),
        ({"type": "userVaultEquities"}, "test_user_vault_equities", ()),
        ({"type": "delegatorHistory"}, "test_delegator_history", ()),
        ({"type": "userRole"}, "test_user_role", ()),
    ],
)
@pytest.mark.usefixtures("ann")
def test_answers(venue, keys, recorded, request_body, name, optional):
    ours = venue.info({**request_body, "user": keys[0].address})
    theirs = recorded(name)
    if optional == "mids":
        assert all(NUMBER.fullmatch(v) for v in {**ours, **theirs}.values())
        return
    same(ours, theirs, optional=optional)
    if name.startswith("eugene2710_l2book"):
        raw = venue.info({"type": "l2Book", "coin": "BTC"})
        assert "spread" not in raw
        step = 5.0 if name.endswith("m5") else 1.0
        assert all(float(level["px"]) % step == 0 for side in ours["levels"] for level in side)


def test_candles(venue, recorded):
    body = {"coin": "BTC", "interval": "15m", "startTime": 0, "endTime": 2**53}
    same(venue.info({"type": "candleSnapshot", "req": body}), recorded("test_get_candles_snapshot"))


def test_stream_frames(venue, keys, ann, frames):
    user = keys[0].address
    subs = [{"type": kind, "coin": "BTC"} for kind in ("bbo", "trades", "activeAssetCtx")]
    subs += [{"type": "candle", "coin": "BTC", "interval": "1m"}, {"type": "userFills", "user": user}]
    subs += [{"type": "l2Book", "coin": "BTC", "fast": True}]
    with connect(f"ws://127.0.0.1:{venue.port}/ws", max_size=1 << 24) as ws:
        for sub in subs:
            ws.send(json.dumps({"method": "subscribe", "subscription": sub}))
        ws.send('{"method":"ping"}')
        got = {}
        while "pong" not in got:
            frame = json.loads(ws.recv(timeout=60))
            got.setdefault(frame["channel"], frame)
    for channel in ("bbo", "trades", "activeAssetCtx", "candle", "userFills", "l2Book", "pong"):
        theirs = next(f for f in frames[channel] if channel != "l2Book" or f["data"].get("fast"))
        same(got[channel], theirs, channel, optional=("cloid", "builderFee"))
