"""Which dataset, which window, and that locked bars stay locked."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from quantga.errors import ConfigError, LockedBars, ManifestMismatch, MissingBars
from quantga.store.market import Query, dev_window, find_dataset, load, load_holdout, select
from tests.store.made import HOUR, START, candles, rows, write

N = 1000
LOCK = START + 600 * HOUR


@pytest.fixture
def market(tmp_path, bring):
    """BTC from the start, ETH 100 bars later (locked 40 bars later), and a pair of the same base."""
    folder = tmp_path / "in" / "binance" / "1h"
    write(folder / "BTCUSDT.csv", candles(N))
    write(folder / "ETHUSDT.csv", rows(candles(N, seed=2), slice(100, N)))
    write(folder / "ETHUSDC.csv", rows(candles(N, seed=3), slice(100, N)))
    return bring(folder).datasets[0]


def test_symbols_by_venue_symbol_or_base(lake, market):
    assert select(market, ("BTC", "ETHUSDT")) == ("BTCUSDT", "ETHUSDT")
    assert select(market, ("btc", "BTC/USDT:USDT")) == ("BTCUSDT",)
    assert select(market, ()) == ("BTCUSDT", "ETHUSDC", "ETHUSDT")
    with pytest.raises(ConfigError, match="ETH could be ETHUSDC or ETHUSDT"):
        select(market, ("ETH",))
    with pytest.raises(MissingBars, match="no bars of DOGE in binance 1h: it has BTCUSDT"):
        select(market, ("DOGE",))


def test_finding_a_dataset(tmp_path, lake, market, bring):
    assert find_dataset(lake, Query()) == market
    other = bring(write(tmp_path / "hyperliquid" / "4h" / "BTC.csv", candles(N, step=4 * HOUR))).datasets[0]
    assert find_dataset(lake, Query(("BTC",), interval="4h")) == other
    assert find_dataset(lake, Query(("BTCUSDT",))) == market
    assert find_dataset(lake, Query(("BTC",), venue="hyperliquid")) == other
    assert find_dataset(lake, Query(dataset=other.id)) == other
    with pytest.raises(ConfigError, match=r"binance 1h, hyperliquid 4h.*--venue and --interval"):
        find_dataset(lake, Query(("BTC",)))
    with pytest.raises(MissingBars, match="no bars of DOGE: the store has"):
        find_dataset(lake, Query(("BTC", "DOGE")))
    with pytest.raises(MissingBars, match="no dataset holds BTC 15m"):
        find_dataset(lake, Query(("BTC",), interval="15m"))
    with pytest.raises(ConfigError, match="'15' is not one of"):
        find_dataset(lake, Query(("BTC",), interval="15"))
    with pytest.raises(MissingBars, match="there is no dataset feed"):
        find_dataset(lake, Query(dataset="feed"))


def test_an_empty_store(lake):
    with pytest.raises(MissingBars, match="holds no bars: give `quantga data import"):
        find_dataset(lake, Query(("BTC",)))


def test_by_default_the_part_before_the_lock(lake, market):
    bars = load(lake, market, ("BTC",))["BTCUSDT"]
    assert (bars.origin, len(bars)) == (START // HOUR, 600)
    np.testing.assert_array_equal(bars["close"], candles(N)["close"][:600])


def test_one_lock_for_all_symbols_and_the_reference(lake, market):
    """ETH's own lock is 40 bars later, but BTC's columns would come with it."""
    assert market.instrument("ETHUSDT").locked_from == LOCK + 40 * HOUR
    bars = load(lake, market, ("ETHUSDT",))["ETHUSDT"]
    assert (bars.origin, len(bars)) == (START // HOUR + 100, 500)
    np.testing.assert_array_equal(bars["ref_close"], candles(N)["close"][100:600])


def test_a_window_is_cut_at_the_lock_and_says_so(market):
    window = dev_window(market, ("BTC",), START + 5 * HOUR, START + 900 * HOUR)
    assert (window.start, window.end, window.locked_from) == (START + 5 * HOUR, LOCK, LOCK)
    assert "bars from 2024-01-26 00:00 UTC on are the locked holdout" in window.note
    inside = dev_window(market, ("BTC",), START, LOCK)
    assert (inside.end, inside.note) == (LOCK, "")
    free = dev_window(market, ("BTC",), START, START + 900 * HOUR, unlocked=True)
    assert (free.end, free.note, free.unlocked) == (START + 900 * HOUR, "", True)
    assert dev_window(market, ("BTC",), None, START + 9999 * HOUR, unlocked=True).end == START + N * HOUR


def test_locked_bars_are_refused(lake, market):
    for start, end in ((None, LOCK + HOUR), (LOCK, LOCK + HOUR), (LOCK - 5 * HOUR, LOCK + 1)):
        with pytest.raises(LockedBars, match="begins 2024-01-26 00:00 UTC: end the timerange at 20240126 or before"):
            load(lake, market, ("BTC",), start, end)
    with pytest.raises(LockedBars):
        dev_window(market, ("BTC",), LOCK)
    assert len(load(lake, market, ("BTC",), None, LOCK + HOUR, unlocked=True)["BTCUSDT"]) == 601
    assert len(load(lake, market, ("BTC",), None, LOCK)["BTCUSDT"]) == 600


def test_no_way_of_asking_reads_a_locked_bar(lake, market):
    """Every bar that any locked load returns closes at or before the lock, in every column."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        start = None if rng.random() < 0.3 else START + int(rng.integers(-50, 1100)) * HOUR
        end = None if rng.random() < 0.3 else START + int(rng.integers(-50, 1100)) * HOUR
        try:
            found = load(lake, market, ("BTC", "ETHUSDC"), start, end)
        except (LockedBars, MissingBars):
            continue
        for bars in found.values():
            assert bars.time[-1] + HOUR <= LOCK
            assert np.isin(bars["ref_close"][~np.isnan(bars["ref_close"])], candles(N)["close"][:600]).all()


def test_a_late_listing_is_not_locked_by_the_reference(tmp_path, lake, market, bring):
    """BTC is locked from bar 600 on; what is listed at bar 550 keeps its own lock and goes without BTC's columns."""
    late = bring(write(tmp_path / "binance" / "1h" / "SUIUSDT.csv", rows(candles(N), slice(550, N)))).datasets[0]
    window = dev_window(late, ("SUI",))
    assert (window.start, window.end) == (START + 550 * HOUR, START + (550 + 270) * HOUR)
    bars = load(lake, late, ("SUI",))["SUIUSDT"]
    assert "ref_close" not in bars.columns
    with pytest.raises(MissingBars, match="SUIUSDT has 0 bars"):
        load(lake, late, ("BTC", "SUI"), START, START + 500 * HOUR)


def test_a_market_that_a_longer_history_locks_wholly(tmp_path, market, bring):
    """The same asset in another currency would show what is locked."""
    late = bring(write(tmp_path / "binance" / "1h" / "BTCUSDC.csv", rows(candles(N), slice(700, N)))).datasets[0]
    with pytest.raises(LockedBars, match="all of binance 1h is locked: another import of the same market"):
        dev_window(late, ("BTCUSDC",))
    assert dev_window(late, ("BTCUSDC",), unlocked=True).start == START + 700 * HOUR


def test_the_holdout_with_what_warms_it_up(lake, market):
    bars = load_holdout(lake, market, ("BTC", "ETHUSDT"), warmup=20)["BTCUSDT"]
    assert (bars.time[0], len(bars)) == (LOCK - 20 * HOUR, 420)


def test_a_timerange_without_data(lake, market):
    for start, end in ((START + 2000 * HOUR, None), (None, START - HOUR), (START - 9 * HOUR, START)):
        with pytest.raises(MissingBars, match="in that timerange: binance 1h has 2024-01-01 00:00"):
            load(lake, market, ("BTC",), start, end)
    with pytest.raises(MissingBars, match="ETHUSDT has 0 bars between"):
        load(lake, market, ("BTC", "ETHUSDT"), START, START + 50 * HOUR)


def test_the_reference_has_itself_as_reference(lake, market):
    bars = load(lake, market, ("BTC",))["BTCUSDT"]
    np.testing.assert_array_equal(bars["ref_close"], bars["close"])


def test_without_a_reference_there_are_no_such_columns(tmp_path, lake, bring):
    manifest = bring(write(tmp_path / "ETH.csv", candles(N))).datasets[0]
    assert not [name for name in load(lake, manifest, ())["ETH"].columns if name.startswith("ref_")]


def test_a_changed_file_is_noticed(lake, market):
    entry = market.entries("bars", "BTCUSDT")[0]
    path = lake.root / entry.path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ManifestMismatch, match="was changed after it was written"):
        load(lake, market, ("BTC",))


def test_real_markets(lake, bring, market_data):
    done = bring(market_data / "ohlcv" / "hyperliquid_perp" / "4h", market_data / "funding" / "hyperliquid")
    manifest = done.datasets[0]
    assert (manifest.venue, manifest.interval, len(manifest.symbols)) == ("hyperliquid", "4h", 12)
    found = load(lake, manifest, (), unlocked=True)
    whole = sum(len(bars) for bars in found.values())
    assert whole == sum(one.rows for one in manifest.instruments)
    btc = found["BTC"]
    paid = pq.read_table(market_data / "funding" / "hyperliquid" / "BTC.parquet")
    stamps, rates = paid["ts"].cast("int64").to_numpy(), paid["funding_rate"].to_numpy()
    for row in np.random.default_rng(3).integers(700, len(btc), 200):
        close = btc.time[row] + btc.interval
        charged = (stamps > btc.time[row] + 30_000) & (stamps <= close + 30_000)  # the venue is milliseconds late
        assert np.isclose(btc["funding"][row], rates[charged].sum(), rtol=1e-12, atol=0)
        published = np.flatnonzero(stamps < close - 30_000)[-1]
        hours = 1 if close > 1_686_268_800_000 else 8  # hourly since 2023-06-09
        assert np.isclose(btc["funding_rate"][row], rates[published] / hours, rtol=1e-12, atol=0)


def test_real_gaps(lake, bring, market_data):
    manifest = bring(market_data / "ohlcv" / "binance_spot").datasets[0]
    part = manifest.instruments[0]
    assert (manifest.venue, part.base, part.gaps, part.missing) == ("binance_spot", "SOL", 10, 20)
    bars = load(lake, manifest, (), unlocked=True)["SOLUSDT"]
    assert (len(bars), int(np.isnan(bars["close"]).sum())) == (part.rows + 20, 20)
