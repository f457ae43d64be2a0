"""What can be replayed: folders, a store's dataset, recordings; and candles finer than the replayed bars."""

import base64
import json
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

from quantga.errors import ConfigError, LockedBars
from quantga.exchange.assets import load_assets
from quantga.exchange.candles import candles
from quantga.exchange.replay import Choice, read_replay
from quantga.live.recorder import Recorder
from tests.exchange.conftest import MINUTE, START, walk, write_bars

ASSETS = load_assets()
HOUR = 3_600_000


def test_a_folder_is_cut_to_coins_and_times(replay):
    assert [one.name for one in read_replay(replay, ASSETS, Choice())] == ["BTC", "ETH", "DOGE"]
    (eth,) = read_replay(replay, ASSETS, Choice(("ETH",), start=START + HOUR, end=START + 2 * HOUR))
    assert (eth.ts[0], eth.ts[-1], len(eth.ts)) == (START + HOUR, START + 2 * HOUR - MINUTE, 60)
    for choice, words in (
        (Choice(("SOL",)), "no bars of"),
        (Choice(interval="5m"), "not of 5m"),
        (Choice(start=START - HOUR, end=START), "0 bars in that timerange"),
    ):
        with pytest.raises(ConfigError, match=words):
            read_replay(replay, ASSETS, choice)
    with pytest.raises(ConfigError, match="is no folder"):
        read_replay(replay / "nothing", ASSETS, Choice())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with hourly bars of two symbols; the second lacks a bar."""
    from quantga.cli import app

    folder = tmp_path_factory.mktemp("lake")
    write_bars(folder / "binance_perp", "BTCUSDT", walk(1, 80_000, 1.0, 1000, 30.0), HOUR)
    write_bars(folder / "binance_perp", "1000PEPEUSDT", walk(4, 0.02, 0.000001, 1000, 9e6), HOUR)
    done = CliRunner().invoke(app, ["data", "import", str(folder), "--store", str(folder / "store"), "--json"])
    assert done.exit_code == 0, done.output
    return folder / "store"


def test_a_store_is_replayed_up_to_its_lock(store):
    btc, pepe = read_replay(store, ASSETS, Choice())
    assert (btc.name, pepe.name) == ("BTC", "kPEPE")
    assert btc.interval == HOUR
    assert len(btc.ts) == len(pepe.ts) == 600  # the last 40 % are locked
    (alone,) = read_replay(store, ASSETS, Choice(("BTC",), start=START + 10 * HOUR))
    assert alone.ts[0] == START + 10 * HOUR
    assert np.array_equal(alone.close, btc.close[10:])
    (whole,) = read_replay(store, ASSETS, Choice(("BTC",), unlocked=True))
    assert len(whole.ts) == 1000
    with pytest.raises(LockedBars):
        read_replay(store, ASSETS, Choice(("BTC",), start=START + 700 * HOUR))
    with pytest.raises(ConfigError, match="no metadata for 1000PEPEUSDT"):
        read_replay(store, {"BTC": ASSETS["BTC"]}, Choice())


def test_the_exchange_runs_on_a_store(store, tmp_path):
    from tests.exchange.conftest import Venue

    options = ("--step", "--no-limits", "--coins", "BTC", "--interval", "1h", "--timerange", "20250105-20250120")
    venue = Venue(store, tmp_path / "state", {}, *options)
    try:
        assert [row["name"] for row in venue.info({"type": "meta"})["universe"]] == ["BTC"]
        assert venue.control(do="status")["end"] == 1_737_331_200_000  # 2025-01-20
    finally:
        venue.stop()


def candle(time, close, count, interval=MINUTE):
    row = {"t": time, "T": time + interval - 1, "s": "BTC", "i": "1m", "o": "100.0", "c": f"{close}.0", "h": "120.0"}
    return {"channel": "candle", "data": {**row, "l": "90.0", "v": f"{count}.5", "n": count}}


def record(folder, frames):
    recorder = Recorder(folder)
    for k, frame in enumerate(frames):
        kind, data = frame["channel"], frame["data"]
        coin = data["s"] if kind == "candle" else (data[0] if isinstance(data, list) else data)["coin"]
        recorder.put((START + k) * 10**6, kind, coin, json.dumps(frame).encode())
    recorder.close()


def test_recorded_candles_become_bars(tmp_path):
    frames = [candle(START + k * MINUTE, 100 + n, n) for k in range(4) for n in (1, 3, 2)]
    record(tmp_path, frames)
    (bars,) = read_replay(tmp_path, ASSETS, Choice())
    assert bars.ts.tolist() == [START + k * MINUTE for k in range(3)]  # the last one may be unfinished
    assert bars.close.tolist() == [1030, 1030, 1030]  # the candle with the most trades stands
    assert bars.volume.tolist() == [350_000] * 3


def test_recorded_trades_and_books_become_bars_where_there_are_no_candles(tmp_path):
    def trade(time, px, tid):
        row = {"coin": "BTC", "side": "B", "px": f"{px}.0", "sz": "0.5", "time": time, "tid": tid, "hash": "0x0"}
        return {"channel": "trades", "data": [row]}

    rows = [trade(START + k * 30_000, 100 + k % 3, k) for k in range(12)]
    record(tmp_path / "t", rows + rows[:5])  # a replay after a new connection counts nothing twice
    (bars,) = read_replay(tmp_path / "t", ASSETS, Choice())
    assert bars.interval == MINUTE
    assert bars.volume.tolist() == [100_000] * 5
    assert bars.open[0] == 1000
    level = {"sz": "1.0", "n": 1}
    books = [
        {
            "channel": "l2Book",
            "data": {
                "coin": "BTC",
                "time": START + k * 30_000,
                "levels": [[{"px": "100.0", **level}], [{"px": "102.0", **level}]],
            },
        }
        for k in range(12)
    ]
    record(tmp_path / "b", books)
    (mids,) = read_replay(tmp_path / "b" / "market_data", ASSETS, Choice())
    assert mids.close.tolist() == [1010] * 5
    with pytest.raises(ConfigError, match=r"no recordings of \['ETH'\]"):
        read_replay(tmp_path / "b", ASSETS, Choice(("ETH",)))


def shown(desk, interval, start=0, end=2**62):
    return candles(desk.engine.desk, 0, interval, start, end)


def numbers(row):
    return [float(row[key]) for key in "ohlcv"] + [row["n"]]


def merged(rows):
    table = [numbers(row) for row in rows]
    opened, close = table[0][0], table[-1][3]
    high, low = max(r[1] for r in table), min(r[2] for r in table)
    return [opened, high, low, close, round(sum(r[4] for r in table), 8), sum(r[5] for r in table)]


def test_finer_candles_make_up_the_bars_and_the_tape(tmp_path):
    from quantga.exchange.engine import new_engine
    from tests.exchange.conftest import Desk

    write_bars(tmp_path, "BTC", walk(9, 80_000, 1.0, 30, 30.00007), 5 * MINUTE)
    bars = read_replay(tmp_path, ASSETS, Choice())
    desk = Desk(new_engine(bars, [ASSETS["BTC"]], seed=7, start=START))
    tape = []
    for _ in range(500):  # ends inside a bar
        desk.pass_time(7_000)
        tape += desk.last.events.trades.get("BTC", [])
    coarse, fine = shown(desk, "5m"), shown(desk, "1m")
    assert {row["i"] for row in fine} == {"1m"}
    assert len({row["t"] for row in fine}) == len(fine) >= 58
    for row in coarse:
        inside = [one for one in fine if row["t"] <= one["t"] <= row["T"]]
        assert merged(inside) == pytest.approx(numbers(row))
    for row in fine[1:]:
        trades = [t for t in tape if row["t"] <= t["time"] <= row["T"]]
        assert float(row["c"]) == float(trades[-1]["px"])
        assert float(row["o"]) == float(trades[0]["px"])
        assert float(row["v"]) == pytest.approx(sum(float(t["sz"]) for t in trades))
        assert row["n"] == len(trades)
    assert shown(desk, "1m", fine[3]["t"], fine[5]["t"]) == fine[3:6]


def test_thin_bars_have_minutes_without_a_candle(tmp_path):
    from quantga.exchange.engine import new_engine
    from tests.exchange.conftest import Desk

    write_bars(tmp_path, "BTC", [(100.0, 104.0, 98.0, 101.0, 0.00003)] * 4, 5 * MINUTE)
    bars = read_replay(tmp_path, ASSETS, Choice())
    desk = Desk(new_engine(bars, [ASSETS["BTC"]], seed=7, start=START))
    desk.pass_time(10 * MINUTE)
    assert [row["n"] for row in shown(desk, "5m")[:2]] == [3, 3]
    assert sum(row["n"] for row in shown(desk, "1m") if row["t"] < START + 10 * MINUTE) == 6
    assert len(shown(desk, "1m")) < 10


def unpacked(frame):
    return json.loads(zlib.decompress(base64.b64decode(frame["data"]), -15))


def test_fast_contexts_come_packed_first_all_then_what_changed(desk):
    from quantga.exchange.faults import Faults
    from quantga.exchange.hub import FAST_KEY, Hub, Socket
    from quantga.exchange.subscriptions import canonical, first_frames

    class Kept(Socket):
        def put(self, frame, *, pong=False):
            kept.append(frame)

    kept = []
    sub = canonical(desk.engine.desk, {"type": "fastAssetCtxs"})
    (first,) = first_frames(desk.engine.desk, sub)
    assert first["channel"] == "fastAssetCtxs"
    assert set(unpacked(first)) == {"BTC", "ETH", "DOGE"}
    assert set(unpacked(first)["BTC"]) == {"markPx", "midPx"}
    hub = Hub(lambda: desk.engine.desk)
    socket = Kept(None, "here", Faults())
    socket.subs[FAST_KEY] = sub
    hub.sockets.add(socket)
    desk.pass_time(5_000)
    hub.publish(desk.last.events)
    hub.publish(desk.last.events)
    assert len(kept) == 1  # nothing changed the second time
    desk.pass_time(5_000)
    hub.publish(desk.last.events)
    last = unpacked(kept[-1])
    market = desk.state.coins[0]
    assert float(last["BTC"]["markPx"]) == market.mark / 10
