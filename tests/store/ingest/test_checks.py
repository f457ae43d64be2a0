"""Every kind of wrong row is refused with file, row and reason, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.errors import BadBars, ConfigError
from quantga.store.ingest.checks import broken, trimmed
from quantga.store.ingest.labels import Piece
from tests.store.made import HOUR, START, candles, rows, tree, write

N = 50


def spoiled(name, row, value):
    columns = {key: np.array(values) for key, values in candles(N).items()}
    columns[name][row] = value
    return columns


@pytest.mark.parametrize(
    "wrong",
    [
        ("close", 7, np.nan, "row 8: 2024-01-01 07:00: close is missing"),
        ("volume", 0, np.nan, "row 1: 2024-01-01 00:00: volume is missing"),
        ("open", 7, np.inf, "row 8: 2024-01-01 07:00: open is infinite"),
        ("low", 7, 0.0, "row 8: 2024-01-01 07:00: low is not positive"),
        ("high", 7, -1.0, "row 8: 2024-01-01 07:00: high is not positive"),
        ("volume", 7, -1.0, "row 8: 2024-01-01 07:00: volume is negative"),
        ("high", 7, 1.0, "row 8: 2024-01-01 07:00: violates low <= open, close <= high"),
        ("low", 49, 1e6, "row 50: 2024-01-03 01:00: violates low <= open, close <= high"),
        ("ts", 7, START + 6 * HOUR, "row 8: the time 2024-01-01 06:00 occurs twice"),
        ("ts", 7, START + 3 * HOUR, "row 8: the time 2024-01-01 03:00 is earlier than the row before: sort the file"),
        ("ts", 7, START + 7 * HOUR + 60_000, "row 8: 2024-01-01 07:01: its time is not on the grid of 1h bars"),
    ],
)
@pytest.mark.parametrize("end", [".parquet", ".csv", ".feather"])
def test_a_wrong_row(tmp_path, lake, bring, wrong, end):
    name, row, value, said = wrong
    write(tmp_path / "in" / f"AAA{end}", candles(N))
    path = write(tmp_path / "in" / f"BTC{end}", spoiled(name, row, value))
    with pytest.raises(BadBars) as caught:
        bring(tmp_path / "in")
    assert str(caught.value).startswith(f"{path}: {said}")
    assert tree(lake.root) == {}


def test_a_word_where_a_number_should_be(tmp_path, bring):
    path = write(tmp_path / "BTC.csv", candles(N))
    lines = path.read_text().split("\n")
    lines[3] = lines[3].rsplit(",", 1)[0] + ",lots"
    path.write_text("\n".join(lines))
    with pytest.raises(BadBars, match="row 3: volume is 'lots', not a number"):
        bring(path)


def test_many_wrong_rows_are_counted(tmp_path, bring):
    columns = spoiled("close", slice(10, 20), np.nan)
    with pytest.raises(BadBars, match=r"row 11: .* \(and 9 more such rows\)"):
        bring(write(tmp_path / "BTC.parquet", columns))


@pytest.mark.parametrize(
    ("rate", "said"), [(np.nan, "funding_rate is missing"), (1.5, "over 100 %"), (np.inf, "is missing")]
)
def test_a_wrong_funding_rate(tmp_path, lake, bring, rate, said):
    write(tmp_path / "in" / "BTC.csv", candles(N))
    write(tmp_path / "in" / "funding" / "BTC.csv", {"ts": [START, START + HOUR], "funding_rate": [0.0001, rate]})
    with pytest.raises(BadBars, match=f"row 2: .*{said}"):
        bring(tmp_path / "in")
    assert tree(lake.root) == {}


def test_two_fundings_in_one_minute(tmp_path, bring):
    path = write(tmp_path / "BTC.csv", {"ts": [START, START + 20], "funding_rate": [0.0001, 0.0001]})
    with pytest.raises(BadBars, match=r"row 2: the time .* occurs twice"):
        bring(path)


def test_funding_in_the_bars_file_is_refused(tmp_path, bring):
    with pytest.raises(BadBars, match="put it into its own file"):
        bring(write(tmp_path / "BTC.csv", candles(N) | {"funding_rate": np.zeros(N)}))


def test_a_name_that_contradicts_the_bars(tmp_path, bring):
    path = write(tmp_path / "4h" / "BTC.csv", candles(N))
    with pytest.raises(BadBars, match="named 4h, but its bars are 1h apart"):
        bring(path)
    with pytest.raises(BadBars, match="named 15m, but its bars are 1h apart"):
        bring(path, interval="15m")
    assert bring(path, interval="1h").datasets[0].interval == "1h"


def test_an_interval_that_cannot_be_told(tmp_path, bring):
    with pytest.raises(ConfigError, match="cannot tell the interval"):
        bring(write(tmp_path / "BTC.csv", candles(1)))
    with pytest.raises(ConfigError, match="cannot tell the interval"):
        bring(write(tmp_path / "BTC.csv", candles(9, step=7 * 60_000)))


def piece(volume, venue="hyperliquid"):
    columns = {name: values for name, values in candles(len(volume)).items() if name != "ts"} | {"volume": volume}
    return Piece("bars", "f", venue, "BTC", "1h", "", candles(len(volume))["ts"], columns)


def test_a_bar_that_has_not_closed_is_left_out():
    bars = piece(np.ones(5))
    whole, notes = trimmed(bars, START + 5 * HOUR)
    assert (whole, notes) == (bars, [])
    cut, notes = trimmed(bars, START + 5 * HOUR - 1)
    assert cut.times.size == 4
    assert "2024-01-01 04:00, which has not closed yet" in notes[0]
    assert trimmed(bars, START)[0] is bars  # a clock that is far behind proves nothing


def test_bars_from_before_a_listing_are_left_out():
    volume = np.array([0.0, 0.0, 3.0, 0.0, 1.0])
    cut, notes = trimmed(piece(volume), START + 99 * HOUR)
    np.testing.assert_array_equal(cut.columns["volume"], volume[2:])
    np.testing.assert_array_equal(cut.times, START + HOUR * np.array([2, 3, 4]))
    assert "left out 2 bars" in notes[0]
    assert trimmed(piece(volume, "binance"), START + 99 * HOUR)[0].times.size == 5
    assert trimmed(piece(np.zeros(5)), START + 99 * HOUR)[0].times.size == 5


def test_broken_bars():
    columns = rows(candles(N), slice(0, 3))
    assert not broken(columns).any()
    columns["high"] = columns["high"].copy()
    columns["high"][1] = columns["close"][1] * 0.5
    np.testing.assert_array_equal(broken(columns), [False, True, False])
