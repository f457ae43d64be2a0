"""What is far away is fetched once per machine, shared by its processes, bounded, and never believed when damaged."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from quantga.errors import ConfigError, StoreError
from quantga.settings import cache_folder, cache_limit
from quantga.store.cache import NodeCache
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake
from quantga.store.market import load
from tests.store.made import candles, write


def table(n=1000, start=0):
    return pa.table({"time": np.arange(start, start + n), "x": np.linspace(0, 1, n)})


class Maker:
    def __init__(self, **given):
        self.given, self.made = given, 0

    def __call__(self):
        self.made += 1
        return table(**self.given)


def test_a_table_is_made_once_and_mapped_afterwards(tmp_path):
    cache, make = NodeCache(tmp_path, 10**9), Maker()
    for _ in range(3):
        assert cache.table("key", make).equals(table())
    assert make.made == 1
    before = pa.total_allocated_bytes()
    found = NodeCache(tmp_path, 10**9).table("key", make)
    assert pa.total_allocated_bytes() - before < 2000  # of 16,000: a view of the file
    assert np.shares_memory(found["x"].to_numpy(), found["x"].to_numpy())


def test_who_comes_meanwhile_waits(tmp_path):
    cache, make = NodeCache(tmp_path, 10**9), Maker(n=100_000)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: cache.table("key", make), range(6)))
    assert make.made == 1
    assert all(one.equals(found[0]) for one in found)


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None])
def test_a_damaged_file_is_fetched_again(tmp_path, damage, caplog):
    cache, make = NodeCache(tmp_path, 10**9), Maker()
    cache.table("key", make)
    (path,) = tmp_path.glob("*.arrow")
    if damage is None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(damage)
    assert cache.table("key", make).equals(table())
    assert make.made == 2


def test_the_longest_unused_goes_first_and_stays_readable_for_who_has_it(tmp_path):
    size = 17_000  # a thousand rows, a little more than their 16,000 bytes
    cache = NodeCache(tmp_path, 3 * size)
    first = cache.table("a", Maker())
    for n, key in enumerate("bc"):
        cache.table(key, Maker(start=n))
    for n, key in enumerate("bca"):  # used in another order than made
        (path,) = tmp_path.glob(f"{key}-*.arrow")
        os.utime(path, (n, n))
    cache.table("d", Maker(start=9))
    assert sorted(path.name[0] for path in tmp_path.glob("*.arrow")) == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.arrow")) <= 3 * size
    assert first.equals(table())


def test_what_is_larger_than_the_bound_and_what_fails_leave_nothing(tmp_path):
    cache, make = NodeCache(tmp_path, 1000), Maker()
    assert cache.table("key", make).equals(table())
    assert list(tmp_path.glob("*.arrow")) == []

    def fail():
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        cache.table("other", fail)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_without_a_folder_it_still_works(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    make = Maker()
    assert NodeCache(tmp_path / "file" / "below", 10**9).table("key", make).equals(table())
    assert "nothing is kept" in caplog.text


def test_where_and_how_large(monkeypatch, tmp_path):
    monkeypatch.setenv("QUANTGA_CACHE", str(tmp_path))
    monkeypatch.setenv("QUANTGA_CACHE_GB", "0.5")
    assert (cache_folder(), cache_limit()) == (tmp_path, 500_000_000)
    monkeypatch.setenv("QUANTGA_CACHE_GB", "much")
    with pytest.raises(ConfigError, match="no number of gigabytes"):
        cache_limit()
    monkeypatch.delenv("QUANTGA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "quantga"


def test_a_market_is_fetched_from_a_bucket_once(bucket, faulty, tmp_path):
    path = write(tmp_path / "in" / "BTC.csv", candles(3000))
    lake = open_lake(bucket.partition("?")[0] + f"?endpoint={faulty.endpoint}")
    manifest = import_files(lake, [path], Told(venue="mine", interval="1h")).datasets[0]
    faulty.seen.clear()
    once = load(lake, manifest, ["BTC"])["BTC"]
    fetched = faulty.seen["GET"]
    assert fetched >= len([e for e in manifest.files if e.first < once.time[-1]])
    again = load(lake, manifest, ["BTC"])["BTC"]
    assert faulty.seen["GET"] == fetched
    assert all(np.array_equal(once.columns[name], again.columns[name], equal_nan=True) for name in once.columns)
