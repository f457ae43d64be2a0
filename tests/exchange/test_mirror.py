"""Mirroring: another exchange's market, our own accounts and fills."""

import asyncio
import time

import pytest
from hyperliquid.exchange import Exchange

from quantga.exchange.assets import load_assets
from quantga.exchange.mirror import Mirror

MINUTE = 60_000


def wait(until, seconds=120.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = until()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def status(answer):
    return answer["response"]["data"]["statuses"][0]


def test_a_mirror_shows_the_market_and_fills_at_its_prices(venues, keys):
    source = venues({keys[0].address: 100_000}, "--step", "--no-limits", name="source")
    options = ("--no-limits", "--mirror", source.url, "--coins", "BTC,ETH")
    mirror = venues({keys[1].address: 50_000}, *options, name="mirror", mirror=True)
    assert [row["name"] for row in mirror.info({"type": "meta"})["universe"]] == ["BTC", "ETH"]
    tables = [dict(one.info({"type": "meta"})["marginTables"]) for one in (mirror, source)]
    assert tables[0] == {number: tables[1][number] for number in (55, 56)}

    def same(kind, **rest):
        body = {"type": kind, "coin": "BTC", **rest}
        return wait(lambda: mirror.info(body) == source.info(body) and source.info(body))

    same("l2Book")
    for _ in range(3):
        source.step(7_000)
        same("l2Book")
    ctx = {"type": "metaAndAssetCtxs"}
    wait(lambda: mirror.info(ctx)[1][0]["markPx"] == source.info(ctx)[1][0]["markPx"])

    ann = Exchange(keys[1], mirror.url, timeout=60)
    book = mirror.info({"type": "l2Book", "coin": "BTC"})["levels"]
    bought = status(ann.market_open("BTC", is_buy=True, sz=0.001))
    assert float(bought["filled"]["avgPx"]) == float(book[1][0]["px"])
    assert source.info({"type": "userFills", "user": keys[1].address}) == []

    bid = float(book[0][0]["px"]) - 30
    time.sleep(0.002)
    oid = status(ann.order("BTC", True, 0.001, bid, {"limit": {"tif": "Gtc"}}))["resting"]["oid"]
    filled = False
    for _ in range(60):
        source.step(MINUTE)
        filled = (
            mirror.info({"type": "orderStatus", "user": keys[1].address, "oid": oid})["order"]["status"] == "filled"
        )
        if filled:
            break
    assert filled
    fill = mirror.info({"type": "userFills", "user": keys[1].address})[0]
    assert (float(fill["px"]), fill["crossed"]) == (bid, False)

    end = source.control(do="status")["market"]
    req = {"coin": "BTC", "interval": "1m", "startTime": end - 20 * MINUTE, "endTime": end}
    body = {"type": "candleSnapshot", "req": req}
    wait(lambda: mirror.info(body)[:-1] == source.info(body)[:-1])

    before = mirror.control(do="status")
    state = mirror.info({"type": "clearinghouseState", "user": keys[1].address})["assetPositions"]
    mirror.kill()
    source.step(10 * MINUTE)
    mirror.start()
    assert mirror.control(do="status")["market"] >= before["market"]
    again = mirror.info({"type": "clearinghouseState", "user": keys[1].address})["assetPositions"]
    assert [p["position"]["szi"] for p in again] == [p["position"]["szi"] for p in state]
    source.step(30_000)
    same("l2Book")
    req["endTime"] = source.control(do="status")["market"]
    wait(lambda: mirror.info(body)[:-1] == source.info(body)[:-1])


def test_a_mirror_needs_a_venue_that_answers(tmp_path):
    from quantga.errors import ConfigError, VenueError
    from quantga.exchange.service import Exchange as Service
    from quantga.exchange.service import Options

    with pytest.raises(VenueError, match="does not answer meta"):
        Service(Options(state=tmp_path / "a", mirror="http://127.0.0.1:9", coins=("BTC",)))
    with pytest.raises(ConfigError, match="either"):
        Service(Options(state=tmp_path / "b"))


async def test_silence_halts_and_news_resume(monkeypatch):
    monkeypatch.setattr("quantga.exchange.mirror.STALE", 0.2)
    told, asset = [], load_assets()["BTC"]

    async def submit(command):
        told.append(command)
        return {}

    mirror = Mirror("http://127.0.0.1:9", [asset], submit, lambda _: None, lambda _: 0)
    watch = asyncio.ensure_future(mirror._watch())
    async with asyncio.timeout(60):
        while not told:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert told == [{"k": "halt", "on": True}]
    frame = {
        "coin": "BTC",
        "time": 5,
        "levels": [[{"px": "100.0", "sz": "1.5", "n": 1}], [{"px": "101.0", "sz": "2.0", "n": 2}]],
    }
    await mirror._hear({"channel": "l2Book", "data": frame})
    assert told[1:] == [
        {"k": "halt", "on": False},
        {"k": "quote", "c": 0, "bids": [[1000, 150_000, 1]], "asks": [[1010, 200_000, 2]]},
    ]
    watch.cancel()


async def test_replayed_trades_count_once_and_bad_frames_are_named(capsys):
    told = []

    async def submit(command):
        told.append(command)
        return {}

    mirror = Mirror("http://127.0.0.1:9", [load_assets()["BTC"]], submit, lambda _: None, lambda _: 0)

    def trade(tid):
        return {"coin": "BTC", "side": "B", "px": "100.0", "sz": "1.0", "time": 5, "tid": tid, "users": ["0xa", "0xb"]}

    for rows in ([trade(1), trade(2)], [trade(3), trade(4)], [trade(2), trade(4), trade(5)]):
        await mirror._hear({"channel": "trades", "data": rows})
    assert [len(command["rows"]) for command in told] == [2, 1]
    for data in (None, {}, [{}], {"coin": "NOPE"}):
        await mirror._hear({"channel": "trades", "data": data})
        await mirror._hear({"channel": "l2Book", "data": data})
    assert "cannot be read" in capsys.readouterr().err
    assert len(told) == 2
