"""Starting: options and files that do not fit are named, not guessed around."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quantga.cli.exchange import parse_account
from quantga.errors import BadBars, ConfigError
from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_bars, read_folder
from quantga.exchange.clock import Clock
from quantga.exchange.engine import new_engine

GOOD = {"ts": [0, 60_000, 120_000], "open": [1.0] * 3, "high": [1.0] * 3, "low": [1.0] * 3, "close": [1.0] * 3}
GOOD["volume"] = [1.0] * 3


def test_an_account_is_an_address_and_dollars():
    assert parse_account("0x" + "AB" * 20 + "=10.5") == ("0x" + "ab" * 20, 10_500_000)


@pytest.mark.parametrize(
    "text", ["", "x=1", "0x12=1", "0x" + "ab" * 20, *(f"0x{'ab' * 20}={v}" for v in ("-1", "0", "nan", "1e-7", "x"))]
)
def test_other_accounts_are_refused(text):
    with pytest.raises(ConfigError):
        parse_account(text)


@pytest.mark.parametrize(
    "change",
    [
        {"open": [1.0, float("nan"), 1.0]},
        {"low": [1.0, 1.5, 1.0]},
        {"low": [1.0, 0.0, 1.0]},
        {"ts": [0, 0, 60_000]},
        {"ts": [0, 60_000, 150_000]},
        {"high": [1.0, 0.5, 1.0]},
    ],
)
def test_impossible_bars_are_refused(tmp_path, change):
    pq.write_table(pa.table({**GOOD, **change}), tmp_path / "BTC.parquet")
    with pytest.raises(BadBars, match=r"BTC\.parquet"):
        read_bars(tmp_path / "BTC.parquet", load_assets()["BTC"])


def test_files_that_are_missing_or_foreign(tmp_path):
    with pytest.raises(ConfigError, match=r"no SYMBOL\.parquet"):
        read_folder(tmp_path, load_assets())
    (tmp_path / "BTC.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadBars, match="no readable Parquet"):
        read_folder(tmp_path, load_assets())
    pq.write_table(pa.table({"ts": [0, 1000]}), tmp_path / "BTC.parquet")
    with pytest.raises(BadBars, match="missing columns"):
        read_folder(tmp_path, load_assets())
    pq.write_table(pa.table(GOOD), tmp_path / "NOPE.parquet")
    with pytest.raises(ConfigError, match="no metadata for"):
        read_folder(tmp_path, load_assets())


def test_further_assets_come_from_a_file(tmp_path):
    path = tmp_path / "assets.json"
    path.write_text('{"marginTables": {"90": ["mine", [[0, 8], [1000, 4]]]}, "assets": [["NEW", 2, 8, 90]]}')
    asset = load_assets(path)["NEW"]
    assert (asset.px_decimals, asset.tiers[1].deduction) == (4, 1000 * 10**6 // 8 - 1000 * 10**6 // 16)
    path.write_text('{"assets": [["NEW", 9, 8, 90]]}')
    with pytest.raises(ConfigError, match="sz_decimals"):
        load_assets(path)


def test_a_start_outside_the_bars_is_refused(replay):
    assets = load_assets()
    bars = read_folder(replay, assets)
    with pytest.raises(ConfigError, match="--start"):
        new_engine(bars, [assets[one.name] for one in bars], seed=1, start=5)


def test_maintenance_is_continuous_across_tiers():
    asset = load_assets()["BTC"]
    bound = asset.tiers[1].lower
    assert abs(asset.maintenance(bound) - asset.maintenance(bound - 1)) <= 1
    assert asset.maintenance(10**6 * 1000) == 12_500_000


@pytest.mark.parametrize(("px", "tick"), [(800_000, 10), (99_999, 1), (1_000_000, 10), (12_345_678, 10), (5, 1)])
def test_ticks_have_five_figures_or_are_whole(px, tick):
    assert load_assets()["BTC"].tick(px) == tick


def test_ticks_agree_with_decimal_arithmetic():
    for name in ("BTC", "ETH", "DOGE", "kPEPE"):
        asset = load_assets()[name]
        for px in np.random.default_rng(1).integers(1, 10**8, 500).tolist():
            text = f"{px / 10**asset.px_decimals:.{asset.px_decimals}f}"
            figures = len(text.replace(".", "").lstrip("0").rstrip("0" if "." in text else ""))
            whole = px % 10**asset.px_decimals == 0
            assert asset.is_tick(px) == (whole or figures <= 5 or (asset.px_decimals == 0)), (name, text)


def test_a_stepped_clock_waits_and_a_running_one_does_not():
    still, fast = Clock(1000, None), Clock(1000, 1e6)
    assert still.market() == 1000
    assert still.step(5) == 1005
    assert fast.market() > 1000


def test_cadence_and_greeting_can_be_chosen(venues):
    import asyncio

    import orjson
    from websockets.asyncio.client import connect

    venue = venues({}, "--cadence", "0.1,0.2", "--greeting", "--no-limits")

    async def listen():
        async with connect(f"ws{venue.url[4:]}/ws", origin="http://here") as socket:
            assert await socket.recv() == "Websocket connection established."
            for fast in (True, False):
                sub = {"type": "l2Book", "coin": "BTC", "fast": fast}
                await socket.send(orjson.dumps({"method": "subscribe", "subscription": sub}).decode())
            counts = {True: 0, False: 0}
            async with asyncio.timeout(200):
                while min(counts.values()) < 4:
                    frame = orjson.loads(await socket.recv())
                    if frame["channel"] == "l2Book":
                        counts[frame["data"].get("fast", False)] += 1
            return counts

    assert asyncio.run(listen())[False] >= 4  # twenty seconds by the venue's cadence

    from quantga.cli.exchange import _cadence
    from quantga.errors import ConfigError

    for text in ("1", "a,b", "0,5", "1,2,3"):
        with pytest.raises(ConfigError, match="--cadence"):
            _cadence(text)
