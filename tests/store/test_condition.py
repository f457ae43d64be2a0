"""What is stored is counted again from its bytes."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.errors import ManifestMismatch
from quantga.store.condition import conditions
from quantga.store.manifest import Manifest
from quantga.store.series import Place, Series, write_series
from tests.store.made import HOUR, START, candles, rows, write


def test_counts_agree_with_the_file(tmp_path, lake, bring):
    columns = rows(candles(1000), np.r_[0:100, 103:400, 410:1000])
    columns["volume"] = np.where(np.arange(987) % 100 == 5, 0.0, columns["volume"])
    manifest = bring(write(tmp_path / "BTC.csv", columns)).datasets[0]
    (one,) = conditions(lake, manifest)
    assert (one.rows, one.gaps, one.missing, one.longest, one.zero_volume) == (987, 2, 13, 10, 10)
    assert (one.first, one.end) == (START, START + 1000 * HOUR)
    assert (one.duplicates, one.violations, one.stamps, one.sound) == (0, 0, 0, True)


def test_against_the_makers_counts(lake, bring, market_data):
    import csv

    with (market_data / "manifest.csv").open() as file:
        known = {row["path"]: row for row in csv.DictReader(file)}
    for folder in ("ohlcv/binance_spot/1h", "ohlcv/binance_perp/1h", "ohlcv/binance_perp/5m"):
        for one in conditions(lake, bring(market_data / folder).datasets[0]):
            row = known[f"{folder}/{one.symbol}.parquet"]
            assert one.rows == int(row["rows"])
            assert (one.gaps, one.missing) == (float(row["gaps"]), float(row["missing_bars"]))
            assert one.longest == float(row["largest_gap_bars"])
            assert one.zero_volume == float(row["zero_volume"])
            assert one.sound


def test_wrong_bars_that_were_written_past_the_checks_are_seen(tmp_path, lake, bring):
    manifest = bring(write(tmp_path / "BTC.csv", candles(100))).datasets[0]
    columns = {name: values.copy() for name, values in candles(100).items() if name != "ts"}
    columns["high"][3] = 1.0
    columns["close"][7] = np.nan
    entries = write_series(lake, Place("bars", "local", "1h", "BTC", ""), Series(candles(100)["ts"], columns), [])
    forged = Manifest(**manifest.model_dump() | {"files": tuple(entries)})
    (one,) = conditions(lake, forged)
    assert (one.violations, one.sound) == (2, False)


def test_a_lost_or_changed_file_is_named(tmp_path, lake, bring):
    manifest = bring(write(tmp_path / "BTC.csv", candles(100))).datasets[0]
    path = lake.root / manifest.files[0].path
    path.write_bytes(b"x")
    with pytest.raises(ManifestMismatch, match="was changed after it was written"):
        conditions(lake, manifest)
