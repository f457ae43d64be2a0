"""Durability: nothing acknowledged is lost to kill -9, to a torn tail or to a restart; damage is not hidden."""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time

import pytest
import requests
from hyperliquid.exchange import Exchange
from hyperliquid.utils.types import Cloid

from quantga.errors import ConfigError, StoreError
from quantga.exchange.engine import resumed_engine
from quantga.exchange.journal import Journal
from quantga.exchange.service import Exchange as Exchange_
from quantga.exchange.service import Options
from quantga.exchange.snapshot import dump, load


def trader(venue, key):
    meta = venue.info({"type": "meta"})
    return Exchange(key, venue.url, meta=meta, spot_meta={"tokens": [], "universe": []}, timeout=60)


def test_the_state_survives_bytes(desk):
    ann = desk.fund("ann", 1000)
    desk.order(ann, 0, 0.001, desk.near(0, 1.04), "Ioc")
    desk.order(ann, 0, 0.001, desk.near(0, 0.9), cloid="0x" + "3" * 32)
    desk.pass_time(100_000)
    other = desk.reloaded()
    assert other.engine.digest() == desk.engine.digest()
    for one in (desk, other):
        one.order(ann, 1, 0.1, one.near(1, 1.04), "Ioc")
        one.pass_time(200_000)
    assert other.engine.digest() == desk.engine.digest()


def test_a_snapshot_of_something_else_is_refused(desk):
    data = dump(desk.state)
    for broken in (b"", b"\x01\x02", data[: len(data) // 2]):
        with pytest.raises(StoreError):
            load(broken)


def test_other_bars_are_refused(desk):
    state = load(dump(desk.state))
    state.coins[0].digest = "other"
    with pytest.raises(ConfigError, match="use another folder"):
        resumed_engine(state, {a.name: a for a in desk.engine.desk.assets}, desk.engine.desk.bars)


@pytest.fixture
def folder(tmp_path):
    journal = Journal(tmp_path / "state")
    assert journal.recover() == (None, [])
    journal.start(b"first")
    for k in range(20):
        journal.append({"k": "act", "n": k})
        if k == 14:
            journal.sync()
    journal.close()
    return tmp_path / "state"


def recovered(folder):
    journal = Journal(folder)
    try:
        return journal.recover()
    finally:
        journal.close()


def test_commands_come_back_in_order(folder):
    snapshot, commands = recovered(folder)
    assert snapshot == b"first"
    assert [c["n"] for c in commands] == list(range(20))


def test_every_torn_tail_is_cut_and_writing_goes_on(folder):
    path = folder / "journal-1"
    whole = path.read_bytes()
    record = len(whole) // 20
    for cut in range(record * 18 + 1, len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(folder)
        _, commands = journal.recover()
        assert [c["n"] for c in commands] == list(range(cut // record))
        journal.append({"k": "act", "n": 99})
        journal.close()
        assert [c["n"] for c in recovered(folder)[1]] == [*range(cut // record), 99]


def test_damage_before_the_tail_stops_the_start(folder):
    path = folder / "journal-1"
    whole = path.read_bytes()
    for at in range(0, len(whole) * 14 // 20, 7):
        data = bytearray(whole)
        data[at] ^= 0xFF
        path.write_bytes(bytes(data))
        with pytest.raises(StoreError, match="damaged"):
            recovered(folder)


def test_damage_in_what_was_never_durable_is_cut(folder):
    path = folder / "journal-1"
    data = bytearray(path.read_bytes())
    data[len(data) * 17 // 20] ^= 0xFF
    path.write_bytes(bytes(data))
    assert [c["n"] for c in recovered(folder)[1]] == list(range(17))


def test_a_snapshot_replaces_what_came_before(folder):
    journal = Journal(folder)
    journal.recover()
    journal.start(b"second")
    journal.append({"k": "act", "n": 1})
    journal.close()
    assert recovered(folder) == (b"second", [{"k": "act", "n": 1}])
    assert sorted(path.name for path in folder.iterdir()) == ["journal-2", "lock", "snapshot-2"]


def test_one_folder_one_exchange(folder):
    journal = Journal(folder)
    with pytest.raises(ConfigError, match="in use"):
        Journal(folder)
    journal.close()


def test_an_answer_waits_for_the_disk_and_waiters_share_it(folder, monkeypatch):
    calls = []
    real = os.fsync

    def slow(handle):
        calls.append(time.monotonic())
        time.sleep(0.02)
        real(handle)

    async def story():
        journal = Journal(folder)
        journal.recover()
        monkeypatch.setattr(os, "fsync", slow)
        marks = [journal.append({"k": k}) for k in range(50)]
        began = time.monotonic()
        await asyncio.gather(*(journal.durable(mark) for mark in marks))
        waited = time.monotonic() - began
        monkeypatch.setattr(os, "fsync", real)
        journal.close()
        return waited

    waited = asyncio.run(story())
    assert waited >= 0.02
    assert 1 <= len(calls) <= 2


def test_kill_loses_no_acknowledged_order(venues, keys):
    venue = venues({key.address: 1_000_000 for key in keys[:2]}, "--step", "--no-limits")
    stream = random.Random(5)
    acknowledged: list[tuple[int, str, int]] = []
    enough = threading.Event()

    def pour(k: int) -> None:
        ex, n = trader(venue, keys[k]), 0
        while True:
            n += 1
            cloid = Cloid.from_int(k * 10**6 + n)
            try:
                answer = ex.order("BTC", True, 0.001, 60_000 + n, {"limit": {"tif": "Gtc"}}, cloid=cloid)
            except requests.exceptions.RequestException:
                return
            if answer["status"] == "ok" and "resting" in answer["response"]["data"]["statuses"][0]:
                acknowledged.append((k, cloid.to_raw(), answer["response"]["data"]["statuses"][0]["resting"]["oid"]))
                if len(acknowledged) >= many:
                    enough.set()

    for _ in range(2):
        many = stream.randrange(10, 60)
        enough.clear()
        threads = [threading.Thread(target=pour, args=(k,)) for k in range(2)]
        for thread in threads:
            thread.start()
        assert enough.wait(120)
        venue.kill()
        for thread in threads:
            thread.join()
        venue.start()
        assert acknowledged
        for k in range(2):
            rows = {row["cloid"]: row["oid"] for row in venue.info({"type": "openOrders", "user": keys[k].address})}
            mine = [(cloid, oid) for who, cloid, oid in acknowledged if who == k]
            assert all(rows[cloid] == oid for cloid, oid in mine)
        acknowledged.clear()
        for k in range(2):
            ex = trader(venue, keys[k])
            open_rows = venue.info({"type": "openOrders", "user": keys[k].address})
            for at in range(0, len(open_rows), 200):
                ex.bulk_cancel([{"coin": "BTC", "oid": row["oid"]} for row in open_rows[at : at + 200]])
                time.sleep(0.002)


def test_a_restart_keeps_positions_nonces_and_the_clock(venues, keys):
    venue = venues({keys[0].address: 10_000}, "--step", "--no-limits")
    ex = trader(venue, keys[0])
    ex.market_open("BTC", is_buy=True, sz=0.05)
    venue.step(90_000)
    nonce = int(time.time() * 1000) + 5
    assert ex.noop(nonce)["status"] == "ok"
    before = venue.control(do="status")
    state = venue.info({"type": "clearinghouseState", "user": keys[0].address})
    venue.kill()
    venue.start()
    after = venue.control(do="status")
    assert (after["digest"], after["market"]) == (before["digest"], before["market"])
    assert venue.info({"type": "clearinghouseState", "user": keys[0].address}) == state
    assert "duplicate nonce" in trader(venue, keys[0]).noop(nonce)["response"]
    assert venue.stop() == 0
    venue.start()
    assert venue.control(do="status")["digest"] == before["digest"]
    command = [
        sys.executable,
        "-c",
        "from quantga.cli import main; main()",
        "exchange",
        "fund",
        "--port",
        str(venue.port),
    ]
    subprocess.run([*command, f"{keys[0].address}=250.5"], check=True, capture_output=True)
    credited = venue.info({"type": "clearinghouseState", "user": keys[0].address})["marginSummary"]["accountValue"]
    assert float(credited) == pytest.approx(float(state["marginSummary"]["accountValue"]) + 250.5)


def test_the_exchange_answers_nothing_before_the_disk_has_it(replay, tmp_path, monkeypatch):
    gate, real = threading.Event(), os.fsync

    def held(handle):
        gate.wait(60)
        real(handle)

    async def story():
        options = Options(state=tmp_path / "state", replay=replay, accounts={"0x" + "1" * 40: 10**9}, speed=None)
        exchange = Exchange_(options)
        monkeypatch.setattr(os, "fsync", held)
        seen = []
        monkeypatch.setattr(exchange.hub, "publish", seen.append)
        asked = asyncio.ensure_future(exchange.submit({"k": "fund", "u": "0x" + "1" * 40, "usd": 5}))
        await asyncio.sleep(0.1)
        early = asked.done() or bool(seen)
        gate.set()
        await asked
        monkeypatch.setattr(os, "fsync", real)
        await exchange.close()
        return early, len(seen)

    assert asyncio.run(story()) == (False, 1)


def test_a_failure_inside_leaves_nothing_half_done(replay, tmp_path, monkeypatch, capsys):
    async def story():
        options = Options(state=tmp_path / "state", replay=replay, accounts={"0x" + "1" * 40: 10**9}, speed=None)
        exchange = Exchange_(options)
        before = exchange.engine.digest()
        monkeypatch.setattr(exchange.engine.clockwork, "advance", lambda _to: 1 / 0)
        exchange.engine.state.accounts["0x" + "1" * 40].raw = 7
        with pytest.raises(ZeroDivisionError):
            await exchange.submit({"k": "tick"})
        after = exchange.engine.digest()
        await exchange.close()
        return before == after

    assert asyncio.run(story())
    assert "ZeroDivisionError" in capsys.readouterr().err
