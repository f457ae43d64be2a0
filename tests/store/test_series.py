"""Month files: what is read back is what was written, and merging keeps every row once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import BadBars
from quantga.store.series import Place, Series, merge, read_series, write_series
from tests.store.made import DAY, START

PLACE = Place("bars", "local", "1h", "BTC/USDC", "")


def series(times, values):
    return Series(np.array(times, np.int64), {"x": np.array(values, float)})


def test_a_round_trip_through_months(lake):
    written = series(START + DAY * np.arange(100), np.r_[np.nan, np.arange(99) / 3])
    entries = write_series(lake, PLACE, written, [])
    assert [entry.rows for entry in entries] == [31, 29, 31, 9]
    assert entries[0].path.startswith("bars/venue=local/interval=1h/symbol=BTC%2FUSDC/2024-01-")
    back = read_series(lake, entries)
    np.testing.assert_array_equal(back.times, written.times)
    np.testing.assert_array_equal(back.columns["x"], written.columns["x"])
    assert write_series(lake, PLACE, written, entries) == entries


keys = st.lists(st.integers(0, 40), unique=True, max_size=20).map(sorted)


@given(keys, keys, st.booleans())
def test_merging_is_a_union(old, new, replace):
    merged = merge(series(old, old), series(new, new), (np.array(old, int), np.array(new, int)), "f", replace=replace)
    assert merged.times.tolist() == sorted({*old, *new})
    np.testing.assert_array_equal(merged.columns["x"], merged.times)


@given(keys, keys)
def test_differing_rows_are_refused_or_replaced(old, new):
    before, after = series(old, np.zeros(len(old))), series(new, np.ones(len(new)))
    both = (before.times, after.times)
    if {*old} & {*new}:
        with pytest.raises(BadBars, match=r"x is 1\.0 but 0\.0 was imported before"):
            merge(before, after, both, "f", replace=False)
    merged = merge(before, after, both, "f", replace=True)
    np.testing.assert_array_equal(merged.columns["x"], np.isin(merged.times, new).astype(float))


def test_a_column_that_is_new_is_unknown_for_older_rows():
    new = Series(np.array([2, 3]), {"x": np.array([2.0, 3.0]), "y": np.array([8.0, 9.0])})
    merged = merge(series([1, 2], [1, 2]), new, (np.array([1, 2]), np.array([2, 3])), "f", replace=False)
    np.testing.assert_array_equal(merged.times, [1, 2, 3])
    np.testing.assert_array_equal(merged.columns["x"], [1, 2, 3])
    np.testing.assert_array_equal(merged.columns["y"], [np.nan, 8, 9])
