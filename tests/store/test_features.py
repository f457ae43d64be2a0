"""Funding and own columns on the bars' grid: charged once, never known early."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantga.store.features import as_of, charged, hourly_rate, last_before
from quantga.store.ingest.checks import minute
from tests.store.made import HOUR, START

stamps_and_rates = st.lists(
    st.tuples(st.integers(-300, 3000), st.integers(-29_000, 29_000), st.floats(-0.01, 0.01)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: row[0],
).map(sorted)


def closes(n, step=4 * HOUR):
    return START + step * np.arange(1, n + 1)


@given(stamps_and_rates)
def test_funding_is_summed_over_open_excluded_to_close_included(drawn):
    """Against the definition, stamp by stamp; stamps lie up to 29 s beside their minute."""
    stamps = np.array([START + 60_000 * at + off for at, off, _ in drawn])
    rates = np.array([rate for *_, rate in drawn])
    ends = closes(10)
    found = charged(stamps, rates, ends, 4 * HOUR)
    for close, sum_ in zip(ends, found, strict=True):
        inside = [r for (at, _, r) in drawn if close - 4 * HOUR < START + 60_000 * at <= close]
        assert np.isclose(sum_, sum(inside), rtol=0, atol=1e-15)


def test_a_late_stamp_belongs_to_the_hour_it_closes():
    late = np.array([START + 4 * HOUR + 48, START + 8 * HOUR - 30])
    np.testing.assert_array_equal(charged(late, np.array([1.0, 2.0]), closes(3), 4 * HOUR), [1.0, 2.0, 0.0])


def test_rates_per_hour_through_a_change_of_rhythm_and_an_absent_stamp():
    hours = np.array([0, 8, 16, 17, 18, 20, 21])  # 19 is absent
    rate = hourly_rate(START + hours * HOUR + 48, np.ones(7))
    np.testing.assert_allclose(rate, [np.nan, 1 / 8, 1 / 8, 1, 1, 1, 1])
    assert np.isnan(hourly_rate(np.array([START]), np.ones(1))).all()


def test_a_rate_is_known_only_after_the_bar_that_it_is_stamped_on_closed():
    stamps = START + np.array([1, 2, 3]) * HOUR
    known = last_before(stamps, np.array([1.0, 2.0, 3.0]), closes(4, HOUR))
    np.testing.assert_array_equal(known, [np.nan, 1.0, 2.0, 3.0])


@given(stamps_and_rates, st.integers(1, 9))
def test_the_future_changes_nothing(drawn, cut):
    stamps = np.array([START + 60_000 * at for at, *_ in drawn])
    rates = np.array([rate for *_, rate in drawn])
    ends = closes(10)
    past = stamps <= ends[cut - 1]
    for join, kept in ((last_before, stamps < ends[cut - 1]), (as_of, past)):
        whole = join(stamps, rates, ends)[:cut]
        if kept.any():
            np.testing.assert_array_equal(join(stamps[kept], rates[kept], ends)[:cut], whole)
        else:
            assert np.isnan(whole).all()
    np.testing.assert_array_equal(hourly_rate(stamps[past], rates[past]), hourly_rate(stamps, rates)[past])


def test_as_of_takes_what_was_available_at_the_close():
    available = closes(3)
    np.testing.assert_array_equal(as_of(available, np.array([1.0, np.nan, 3.0]), closes(3)), [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(as_of(available + 1, np.array([1.0, 2.0, 3.0]), closes(3)), [np.nan, 1.0, 2.0])


def test_minutes():
    np.testing.assert_array_equal(
        minute(np.array([START + 48, START - 29_999, START + 30_000])) - START, [0, 0, 60_000]
    )
