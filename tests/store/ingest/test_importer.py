"""Imports are whole or not at all, merge with what was imported before, and say what is not known."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from quantga.errors import BadBars, ConfigError
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import Lake, open_lake
from quantga.store.manifest import heads, read_manifest
from quantga.store.market import load
from tests.store.made import DAY, HOUR, START, candles, rows, tree, write

N = 2000


def test_the_same_files_again_change_nothing(tmp_path, lake, bring):
    write(tmp_path / "in" / "binance" / "BTCUSDT.parquet", candles(N))
    first = bring(tmp_path / "in").datasets[0]
    before = tree(lake.root)
    assert bring(tmp_path / "in").datasets[0] == first
    assert tree(lake.root) == before
    assert first.entries("bars", "BTCUSDT")[0].path.startswith("bars/venue=binance/interval=1h/symbol=BTCUSDT/2024-01-")
    assert [entry.rows for entry in first.entries("bars", "BTCUSDT")] == [744, 696, 560]


def test_the_dataset_is_its_content_not_its_history(tmp_path):
    columns = candles(N)
    write(tmp_path / "in" / "BTC.csv", columns)
    write(tmp_path / "in" / "ETH.csv", candles(N, seed=2))
    once = import_files(open_lake(tmp_path / "one"), [tmp_path / "in"], Told()).datasets[0]
    other = open_lake(tmp_path / "two")
    for name in ("ETH.csv", "BTC.csv"):
        last = import_files(other, [tmp_path / "in" / name], Told()).datasets[0]
    assert last.id == once.id
    assert len(once.id) == 16


def test_more_bars_of_a_month_make_a_new_file_and_keep_the_old_one(tmp_path, lake, bring):
    columns = candles(N)
    old = bring(write(tmp_path / "BTC.csv", rows(columns, slice(1000)))).datasets[0]
    before = tree(lake.root)
    bars = load(lake, old, (), unlocked=True)["BTC"]
    new = bring(write(tmp_path / "BTC.csv", rows(columns, slice(900, N)))).datasets[0]
    after = tree(lake.root)
    assert {path: after[path] for path in before} == before
    assert new.id != old.id
    np.testing.assert_array_equal(load(lake, new, (), unlocked=True)["BTC"]["close"], columns["close"])
    again = load(lake, read_manifest(lake, old.id), (), unlocked=True)["BTC"]
    np.testing.assert_array_equal(again["close"], bars["close"])
    paths = [[entry.path for entry in one.entries("bars", "BTC")] for one in (old, new)]
    assert paths[0][0] == paths[1][0]  # January was complete
    assert paths[0][1] != paths[1][1]


def test_a_hole_in_the_middle_can_be_filled_later(tmp_path, lake, bring):
    columns = candles(N)
    keep = np.r_[0:500, 507:900, 901:N]
    first = bring(write(tmp_path / "BTC.csv", rows(columns, keep))).datasets[0].instruments[0]
    assert (first.gaps, first.missing, first.rows) == (2, 8, N - 8)
    assert [(gap.first, gap.bars) for gap in first.longest] == [(START + 500 * HOUR, 7), (START + 900 * HOUR, 1)]
    gappy = load(lake, heads(lake)[0], (), unlocked=True)["BTC"]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(gappy["close"])), [*range(500, 507), 900])
    whole = bring(write(tmp_path / "BTC.csv", columns)).datasets[0].instruments[0]
    assert (whole.gaps, whole.missing, whole.rows) == (0, 0, N)


def test_a_changed_bar_is_refused_unless_it_shall_replace(tmp_path, lake, bring):
    columns = candles(N)
    old = bring(write(tmp_path / "BTC.csv", columns)).datasets[0]
    before = tree(lake.root)
    changed = columns | {"volume": np.where(np.arange(N) == 30, 9.0, columns["volume"])}
    path = write(tmp_path / "BTC.csv", changed)
    with pytest.raises(BadBars, match=r"BTC.csv at 2024-01-02 06:00: volume is 9.0 but 1\.\d+ was imported before"):
        bring(path)
    assert tree(lake.root) == before
    new = bring(path, overwrite=True).datasets[0]
    assert load(lake, new, (), unlocked=True)["BTC"]["volume"][30] == 9.0
    assert load(lake, old, (), unlocked=True)["BTC"]["volume"][30] == columns["volume"][30]


def test_a_file_per_month_is_one_series(tmp_path, lake, bring):
    columns = candles(N)
    for month, part in (("2024-01", slice(0, 744)), ("2024-02", slice(744, 1440)), ("2024-03", slice(1440, N))):
        write(tmp_path / "1h" / f"BTCUSDT_{month}.parquet", rows(columns, part))
    manifest = bring(tmp_path / "1h").datasets[0]
    assert manifest.symbols == ("BTCUSDT",)
    np.testing.assert_array_equal(load(lake, manifest, (), unlocked=True)["BTCUSDT"]["open"], columns["open"])


def test_two_files_that_contradict_each_other(tmp_path, lake, bring):
    write(tmp_path / "in" / "a" / "BTC.csv", candles(N))
    write(tmp_path / "in" / "b" / "BTC.csv", candles(N, seed=2))
    with pytest.raises(BadBars, match=r"b/BTC\.csv.* was imported before"):
        bring(tmp_path / "in")
    assert tree(lake.root) == {}


def test_one_symbol_told_for_several_is_refused(tmp_path, bring):
    write(tmp_path / "in" / "BTC.csv", candles(N))
    write(tmp_path / "in" / "ETH.csv", candles(N))
    with pytest.raises(ConfigError, match="the files hold BTC, ETH"):
        bring(tmp_path / "in", symbol="SOL")
    assert bring(tmp_path / "in" / "BTC.csv", symbol="SOL", venue="mine").datasets[0].symbols == ("SOL",)


def funding(n, start=START, step=8 * HOUR):
    return {"ts": start + step * np.arange(n), "funding_rate": np.full(n, 1e-4)}


def test_funding_beside_the_bars(tmp_path, lake, bring):
    write(tmp_path / "bars" / "binance" / "BTCUSDT.csv", candles(N))
    write(tmp_path / "funding" / "binance" / "BTCUSDT.parquet", funding(251))
    bare = bring(tmp_path / "bars")
    assert any("no funding was imported for BTCUSDT: the cost of holding is unknown" in note for note in bare.notes)
    assert "funding" not in load(lake, bare.datasets[0], ())["BTCUSDT"].columns
    both = bring(tmp_path / "bars", tmp_path / "funding")
    assert not both.notes
    found = load(lake, both.datasets[0], (), unlocked=True)["BTCUSDT"]["funding"]
    np.testing.assert_array_equal(np.flatnonzero(found), np.arange(7, N, 8))


def test_funding_alone_joins_every_dataset_of_its_venue(tmp_path, bring):
    write(tmp_path / "bars" / "binance" / "1h" / "BTCUSDT.csv", candles(N))
    write(tmp_path / "bars" / "binance" / "4h" / "BTCUSDT.csv", candles(N, step=4 * HOUR))
    write(tmp_path / "bars" / "okx" / "BTC-USDT.csv", candles(N))
    path = write(tmp_path / "funding" / "binance" / "BTCUSDT.csv", funding(250))
    with pytest.raises(ConfigError, match="import the bars first"):
        bring(path)
    bring(tmp_path / "bars")
    done = bring(path)
    assert [(one.venue, one.interval) for one in done.datasets] == [("binance", "1h"), ("binance", "4h")]
    assert all(one.instruments[0].funding.stamps == 250 for one in done.datasets)
    more = bring(write(tmp_path / "bars" / "binance" / "15m" / "BTCUSDT.csv", candles(N, step=HOUR // 4)))
    assert more.datasets[0].instruments[0].funding.stamps == 250  # known of the venue already


def test_what_is_not_known_of_funding_is_said(tmp_path, bring):
    write(tmp_path / "in" / "binance" / "BTCUSDT.csv", candles(N))
    write(tmp_path / "in" / "binance" / "funding" / "BTCUSDT.csv", funding(9, START + 10 * DAY))
    write(tmp_path / "in" / "binance" / "funding" / "XRPUSDT.csv", funding(9))
    notes = bring(tmp_path / "in").notes
    assert any("left out the funding of XRPUSDT" in note for note in notes)
    assert any("0 is charged before: BTCUSDT from 2024-01-11 00:00" in note for note in notes)


def test_own_columns(tmp_path, lake, bring):
    columns = candles(N)
    known = columns["ts"] + HOUR
    mood = np.sin(np.arange(N))
    bars = write(tmp_path / "a" / "BTC.parquet", columns | {"mood": mood, "available_at": known})
    manifest = bring(bars).datasets[0]
    assert manifest.instruments[0].columns == ("mood",)
    np.testing.assert_array_equal(load(lake, manifest, (), unlocked=True)["BTC"]["$mood"], mood)
    apart = write(tmp_path / "b" / "BTC.csv", {"available_at": known[::24] + 1, "flow": mood[::24]})
    found = load(lake, bring(apart).datasets[0], (), unlocked=True)["BTC"]
    assert np.isnan(found["$flow"][0])
    np.testing.assert_array_equal(found["$flow"][1:25], mood[0])
    assert found["$flow"][25] == mood[24]
    np.testing.assert_array_equal(found["$mood"], mood)


def test_own_columns_without_their_time_are_refused(tmp_path, lake, bring):
    with pytest.raises(BadBars, match="the column 'mood' does not say when it was known: add a column available_at"):
        bring(write(tmp_path / "BTC.csv", candles(N) | {"mood": np.ones(N)}))
    with pytest.raises(BadBars, match="the column 'my mood' cannot be named in a program"):
        bring(write(tmp_path / "BTC.csv", candles(N) | {"my mood": np.ones(N), "available_at": candles(N)["ts"]}))
    assert tree(lake.root) == {}
    bring(write(tmp_path / "BTC.csv", candles(N)))
    with pytest.raises(ConfigError, match="no bars of 'DOGE' on local that the column 'mood' belongs to"):
        bring(write(tmp_path / "DOGE.csv", {"available_at": [START], "mood": [1.0]}))


def test_known_columns_of_exchanges_are_no_own_columns(tmp_path, bring):
    extra = {
        "close_time": candles(N)["ts"] + HOUR - 1,
        "quote_volume": np.ones(N),
        "count": np.ones(N),
        "symbol": ["B"] * N,
    }
    assert bring(write(tmp_path / "BTC.csv", candles(N) | extra)).datasets[0].instruments[0].columns == ()


def test_what_the_language_knows_by_name_needs_no_dollar(tmp_path, lake, bring):
    extra = {"available_at": candles(N)["ts"], "open_interest": np.arange(N) * 1.0}
    manifest = bring(write(tmp_path / "BTC.csv", candles(N) | extra)).datasets[0]
    found = load(lake, manifest, (), unlocked=True)["BTC"]
    assert found["open_interest"][5] == 6.0  # the sixth row was known when the sixth bar closed


def test_a_file_of_several_symbols_is_refused(tmp_path, bring):
    with pytest.raises(BadBars, match=r"holds several instruments \(BTC, ETH\): split it"):
        bring(write(tmp_path / "all.csv", candles(N) | {"symbol": ["BTC", "ETH"] * (N // 2)}))


def test_a_folder_that_holds_the_store_does_not_import_the_store(tmp_path, bring):
    write(tmp_path / "BTC.csv", candles(N))
    first = bring(tmp_path)
    assert bring(tmp_path).datasets == first.datasets
    assert first.files == 1


def test_a_venue_that_nothing_names(tmp_path, bring):
    path = write(tmp_path / "BTC.csv", candles(N))
    done = bring(path)
    assert done.datasets[0].venue == "local"
    assert any("name it with --venue" in note for note in done.notes)
    assert bring(path, venue="mine").datasets[0].venue == "mine"


def _import(root, path):
    import_files(open_lake(root), [path], Told(venue="mine"))


def test_two_imports_at_once_both_count(tmp_path):
    """Each commits the head after the one that it saw; who was slower merges again."""
    context = multiprocessing.get_context("spawn")
    names = ["BTC", "ETH", "SOL", "LTC"]
    paths = [write(tmp_path / f"{name}.csv", candles(N, seed=i)) for i, name in enumerate(names)]
    workers = [context.Process(target=_import, args=(tmp_path / "lake", path)) for path in paths]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert heads(open_lake(tmp_path / "lake"))[0].symbols == ("BTC", "ETH", "LTC", "SOL")


def _import_slowly(root, path):
    put = Lake.put

    def slow(self, where, data):
        time.sleep(0.02)
        return put(self, where, data)

    Lake.put = slow
    _import(root, path)


def test_a_killed_import_leaves_the_lake_as_it_was(tmp_path):
    lake = open_lake(tmp_path / "lake")
    _import(lake.root, write(tmp_path / "BTC.csv", candles(N)))
    before = heads(lake)
    path = write(tmp_path / "ETH.csv", candles(30_000))
    worker = multiprocessing.get_context("spawn").Process(target=_import_slowly, args=(lake.root, path))
    worker.start()
    while len(lake.paths("bars")) < 10 and worker.is_alive():
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    assert heads(lake) == before
    _import(lake.root, path)
    assert heads(lake)[0].symbols == ("BTC", "ETH")
