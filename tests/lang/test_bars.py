"""Rows are put on the grid, or refused with the row and the reason."""

import numpy as np
import pandas as pd
import pytest

from quantga.errors import BadBars, ProgramError
from quantga.lang.bars import DAY_MS, HOUR_MS, Bars

NAMES = ("open", "high", "low", "close", "volume")


def rows(n=10, start=0):
    close = 100 + np.arange(n, dtype=float)
    return pd.DataFrame(
        {
            "time": start + HOUR_MS * np.arange(n, dtype=np.int64),
            "open": close - 0.5,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "volume": 1.0,
        }
    )


def test_absent_bars_stay_on_the_grid_as_missing():
    bars = Bars.from_pandas(rows().drop(index=[3, 4]))
    assert len(bars) == 10
    assert np.isnan(bars["close"][3:5]).all()
    assert list(np.flatnonzero(~bars.present)) == [3, 4]
    assert bars.interval == HOUR_MS


def test_columns_are_read_only_and_numbered_absolutely():
    bars = Bars.from_pandas(rows(start=50 * HOUR_MS))
    assert bars.origin == 50
    assert bars.time[0] == 50 * HOUR_MS
    with pytest.raises(ValueError, match="read-only"):
        bars["close"][0] = 1
    part = bars.slice(2, 5)
    assert (part.origin, len(part)) == (52, 3)
    assert part["close"][0] == bars["close"][2]


def test_hour_and_weekday_come_from_the_open():
    monday = 4 * DAY_MS  # 5 January 1970
    bars = Bars.from_pandas(rows(30, monday + 22 * HOUR_MS))
    assert list(bars["hour"][:4]) == [22, 23, 0, 1]
    assert list(bars["weekday"][:4]) == [0, 0, 1, 1]


def test_funding_is_a_charge_and_its_rate_is_known_a_bar_later():
    frame = rows()
    frame["funding"] = np.arange(10) * 1e-5
    bars = Bars.from_pandas(frame)
    assert bars["funding"][4] == 4e-5
    assert bars["funding_rate"][4] == pytest.approx(3e-5)
    assert np.isnan(bars["funding_rate"][0])


def test_a_user_column_gets_its_mark_and_an_unknown_one_is_refused():
    frame = rows()
    frame["mood"] = 1.0
    bars = Bars.from_pandas(frame)
    assert bars["$mood"][0] == 1
    with pytest.raises(ProgramError, match=r"no column 'premium'.*\$mood"):
        bars["premium"]


def test_the_reference_is_joined_by_bar_number():
    bars, other = Bars.from_pandas(rows(10)), Bars.from_pandas(rows(10, 5 * HOUR_MS))
    joined = bars.with_reference(other)
    assert np.isnan(joined["ref_close"][:5]).all()
    assert list(joined["ref_close"][5:]) == list(other["close"][:5])


def test_between_takes_bars_that_open_inside():
    bars = Bars.from_pandas(rows(10))
    part = bars.between(2 * HOUR_MS, 5 * HOUR_MS)
    assert list(part.time // HOUR_MS) == [2, 3, 4]


def spoilt(column, row, value):
    frame = rows()
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (rows().drop(columns="volume"), "lacks volume"),
        (rows(1), "at least two bars"),
        (spoilt("time", 4, 3 * HOUR_MS), "row 4 has the same time as row 3"),
        (spoilt("time", 4, 2 * HOUR_MS), "row 4 has an earlier time"),
        (spoilt("time", 4, 4 * HOUR_MS + 1), "row 4 opens at"),
        (spoilt("close", 6, np.nan), "row 6 has no number in open"),
        (spoilt("volume", 6, np.nan), "row 6 has no number in volume"),
        (spoilt("open", 6, np.inf), "row 6 has no number in open"),
        (spoilt("low", 2, 0.0), "row 2 has a low that is not positive"),
        (spoilt("high", 2, 90.0), "row 2 has a high or low inside"),
        (spoilt("volume", 2, -1.0), "volume below 0"),
    ],
)
def test_a_wrong_row_is_named(frame, said):
    with pytest.raises(BadBars, match=said):
        Bars.from_pandas(frame)


def test_arrow_and_back():
    bars = Bars.from_pandas(rows().drop(index=[3]))
    again = Bars.from_arrow(bars.to_arrow(), interval=HOUR_MS)
    assert all(np.array_equal(again[name], bars[name], equal_nan=True) for name in NAMES)
