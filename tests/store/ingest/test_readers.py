"""The same bars, whatever the format, the unit of time or the name of its column."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from quantga.errors import BadBars, ConfigError
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told, label
from quantga.store.ingest.readers import read_tables
from quantga.store.ingest.times import to_ms
from quantga.store.lake import open_lake
from quantga.store.market import load
from tests.store.made import HOUR, START, candles, rows, tree, write

N = 100


def imported(tmp_path, path, **told):
    lake = open_lake(tmp_path / "lake")
    done = import_files(lake, [path], Told(**told))
    manifest = done.datasets[0]
    return manifest, load(lake, manifest, (), unlocked=True)


def same(bars, columns):
    assert bars.origin == START // HOUR
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(bars[name], columns[name])


def times(kind, ts):
    moments = [datetime.fromtimestamp(t / 1000, UTC) for t in ts]
    return {
        "s": ts // 1000,
        "ms": ts,
        "us": ts * 1000,
        "ns": ts * 1_000_000,
        "float s": ts / 1000,
        "iso z": [m.strftime("%Y-%m-%dT%H:%M:%SZ") for m in moments],
        "iso naive": [m.strftime("%Y-%m-%d %H:%M:%S") for m in moments],
        "iso +02": [(m + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S+02:00") for m in moments],
        "datetime": pa.array(moments, pa.timestamp("us", tz="UTC")),
        "datetime naive": pa.array([m.replace(tzinfo=None) for m in moments], pa.timestamp("ns")),
        "datetime elsewhere": pa.array(moments, pa.timestamp("ms", tz="America/New_York")),
    }[kind]


@pytest.mark.parametrize("name", ["ts", "date", "time", "timestamp", "Date"])
@pytest.mark.parametrize("end", [".parquet", ".csv", ".feather"])
def test_formats_and_names_of_the_time_column(tmp_path, name, end):
    columns = candles(N)
    given = {name: columns["ts"]} | {k: v for k, v in columns.items() if k != "ts"}
    manifest, bars = imported(tmp_path, write(tmp_path / "binance" / f"BTCUSDT{end}", given))
    assert (manifest.venue, manifest.interval, manifest.symbols) == ("binance", "1h", ("BTCUSDT",))
    assert manifest.instruments[0].base == "BTC"
    same(bars["BTCUSDT"], columns)


KINDS = ["s", "ms", "us", "ns", "float s", "iso z", "iso naive", "iso +02", "datetime", "datetime naive"]


@pytest.mark.parametrize(
    ("kind", "end"),
    [(kind, end) for kind in KINDS for end in (".parquet", ".csv")] + [("datetime elsewhere", ".parquet")],
)
def test_units_of_time(tmp_path, kind, end):
    columns = candles(N)
    _, bars = imported(tmp_path, write(tmp_path / f"BTC{end}", columns | {"ts": times(kind, columns["ts"])}))
    same(bars["BTC"], columns)


def test_csv_dialects(tmp_path):
    columns = candles(N)
    plain = write(tmp_path / "a" / "BTC.csv", columns).read_text()
    (tmp_path / "BTC.csv").write_text("\ufeff" + plain.replace(",", ";").replace("\n", "\r\n"))
    (tmp_path / "ETH.csv.gz").write_bytes(gzip.compress(plain.encode()))
    (tmp_path / "LTCUSDT-1h-2024-01.csv").write_text(plain.split("\n", 1)[1])
    for path, symbol in (("BTC.csv", "BTC"), ("ETH.csv.gz", "ETH"), ("LTCUSDT-1h-2024-01.csv", "LTCUSDT")):
        _, bars = imported(tmp_path / symbol, tmp_path / path)
        same(bars[symbol], columns)


def test_freqtrade_folder(tmp_path):
    columns = candles(N)
    dated = {"date": pa.array(columns["ts"], pa.timestamp("ms", tz="UTC"))} | {
        k: v for k, v in columns.items() if k != "ts"
    }
    folder = tmp_path / "binance" / "futures"
    write(folder / "BTC_USDT_USDT-1h-futures.feather", dated)
    write(folder / "BTC_USDT_USDT-1h-mark.feather", dated | {"volume": np.zeros(N)})
    eight = rows(candles(N), np.arange(0, N, 8))
    rate = {"date": eight["ts"], "open": np.full(13, 1e-4)} | {
        name: np.zeros(13) for name in ("high", "low", "close", "volume")
    }
    write(folder / "BTC_USDT_USDT-8h-funding_rate.feather", rate)
    manifest, bars = imported(tmp_path, folder)
    assert (manifest.venue, manifest.interval, manifest.symbols) == ("binance", "1h", ("BTCUSDT",))
    same(bars["BTCUSDT"], columns)
    assert np.isclose(bars["BTCUSDT"]["funding"].sum(), 12e-4, rtol=1e-12)  # the stamp at the first open is before all
    assert manifest.instruments[0].funding.stamps == 13


def test_freqtrade_spot_and_hyperliquid_names(tmp_path):
    write(tmp_path / "binance" / "BTC_USDT-1h.feather", candles(N))
    write(tmp_path / "hyperliquid" / "BTC_USDC_USDC-1h-futures.feather", candles(N))
    lake = open_lake(tmp_path / "lake")
    done = import_files(lake, [tmp_path / "binance", tmp_path / "hyperliquid"], Told())
    assert [(m.venue, m.symbols) for m in done.datasets] == [("binance_spot", ("BTCUSDT",)), ("hyperliquid", ("BTC",))]


def test_venue_json(tmp_path):
    columns = candles(N)
    step = HOUR - 1
    listed = [
        {"t": int(t), "T": int(t) + step, "s": "kPEPE", "i": "1h", "n": 3}
        | {
            key: str(columns[name][i])
            for key, name in zip("ohlcv", ("open", "high", "low", "close", "volume"), strict=True)
        }
        for i, t in enumerate(columns["ts"])
    ]
    (tmp_path / "anything.json").write_text(json.dumps(listed))
    paid = [
        {"coin": "kPEPE", "time": int(t) + 48, "fundingRate": "0.0000125", "premium": "-0.001"} for t in columns["ts"]
    ]
    (tmp_path / "funding.json").write_text(json.dumps([{"request": {}, "response": paid}]))
    lake = open_lake(tmp_path / "lake")
    done = import_files(lake, [tmp_path / "anything.json", tmp_path / "funding.json"], Told())
    manifest = done.datasets[0]
    assert (manifest.venue, manifest.interval, manifest.instruments[0].base) == ("hyperliquid", "1h", "PEPE")
    assert manifest.instruments[0].unit == 1000
    bars = load(lake, manifest, ("kPEPE",), unlocked=True)["kPEPE"]
    same(bars, columns)
    np.testing.assert_array_equal(bars["funding"][:-1], 0.0000125)
    np.testing.assert_array_equal(bars["premium"], -0.001)


def test_recorded_answers_of_the_venue(tmp_path, market_data):
    folder = market_data / "hl_protocol" / "info_http"
    manifest, bars = imported(tmp_path, folder / "test_get_candles_snapshot.json")
    assert (manifest.venue, manifest.interval, manifest.symbols) == ("hyperliquid", "1h", ("kPEPE",))
    assert len(bars["kPEPE"]) == 24
    (funding,), _ = label(read_tables(folder / "test_get_funding_history_None.json")[0], Told())
    assert (funding.kind, funding.symbol, funding.times.size) == ("funding", "BTC", 1038)
    assert funding.columns["funding_rate"][0] == -0.00061334


def test_a_mixed_unit_and_a_missing_time_are_named():
    with pytest.raises(BadBars, match="row 1: ts is 1704067200, in another unit"):
        to_ms(pa.chunked_array([[START // 1000, START]]), "f", "ts")
    with pytest.raises(BadBars, match="row 2: ts is missing"):
        to_ms(pa.chunked_array([[START, None]]), "f", "ts")
    with pytest.raises(BadBars, match="row 2: ts is 'soon'"):
        to_ms(pa.chunked_array([["2024-01-01", "soon"]]), "f", "ts")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("BTC.parquet", b"PAR1 this is not a table", "corrupt or cut short"),
        ("BTC.parquet", b"", "corrupt or cut short"),
        ("BTC.feather", b"ARROW1\0\0 cut", "corrupt or cut short"),
        ("BTC.csv", b"", "corrupt or cut short|holds no rows"),
        ("BTC.csv", b"ts,open,high,low,close,volume\n", "holds no rows"),
        ("BTC.csv", b"ts,open,high,low,close,volume\n1704067200000,1,1\n", "corrupt or cut short.*Expected 6 columns"),
        ("BTC.csv", b"ts,open,high,low,clos,volume\n1704067200000,1,1,1,1,1\n", "column close is missing"),
        ("BTC.csv", b"ts,open,high,low,close\n1704067200000,1,1,1,1\n", "column volume is missing"),
        ("BTC.csv", b"open,high,low,close,volume\n1,1,1,1,1\n", "no column of times"),
        ("BTC.csv", b"name,place\na,b\n", "neither bars .* nor funding"),
        ("BTC.csv", b"ts,ts,open,high,low,close,volume\n1,1,1,1,1,1,1\n", "'ts' occurs twice"),
        ("BTC.json", b'[{"t": 1', "not JSON, or cut short"),
        ("BTC.json", b'{"levels": []}', "neither candles"),
        ("BTC.json", b'[{"t": 1704067200000, "o": "1"}]', "row 1: a field is missing"),
        ("BTC.csv.gz", b"\x1f\x8b cut", "corrupt or cut short"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, name, content, said):
    lake = open_lake(tmp_path / "lake")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadBars, match=said) as caught:
        import_files(lake, [path], Told())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(lake.root) == {}


def test_a_parquet_cut_anywhere_is_refused(tmp_path):
    whole = write(tmp_path / "BTC.parquet", candles(N)).read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "ETH.parquet").write_bytes(whole[:cut])
        with pytest.raises(BadBars, match="corrupt or cut short"):
            read_tables(tmp_path / "ETH.parquet")


def test_paths_that_are_not_there(tmp_path):
    lake = open_lake(tmp_path / "lake")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for path, said in (("nowhere", "does not exist"), ("empty", "holds no file"), ("notes.txt", "convert it first")):
        with pytest.raises(ConfigError, match=said):
            import_files(lake, [tmp_path / path], Told())
