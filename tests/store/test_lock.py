"""The last 40 % of a span, a year at least of more than two; never later than it was."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.store.lock import YEAR, kept_lock, lock_start
from tests.store.made import DAY, HOUR, START, candles, rows, write


@pytest.mark.parametrize(
    ("days", "locked"),
    [(10, 4), (100, 40), (365, 146), (730, 292), (731, 365), (900, 365), (912.5, 365), (1000, 400), (2000, 800)],
)
def test_the_rule(days, locked):
    end = START + round(days * DAY)
    assert lock_start(START, end, HOUR) == end - locked * DAY


@given(st.integers(1, 10**6), st.sampled_from([60_000, HOUR, DAY]))
def test_the_lock_lies_on_the_grid_and_inside(bars, step):
    first = START // step * step
    lock = lock_start(first, first + bars * step, step)
    assert lock % step == 0
    assert first <= lock < first + bars * step
    assert first + bars * step - lock >= 0.4 * bars * step


def test_one_more_bar_resets_nothing(tmp_path, bring):
    columns = candles(1000)
    before = bring(write(tmp_path / "a" / "BTC.csv", rows(columns, slice(800)))).datasets[0].instruments[0]
    assert before.locked_from == START + 480 * HOUR
    after = bring(write(tmp_path / "b" / "BTC.csv", rows(columns, slice(700, 801)))).datasets[0].instruments[0]
    assert (after.rows, after.locked_from) == (801, before.locked_from)
    much = bring(write(tmp_path / "c" / "BTC.csv", columns))
    assert much.datasets[0].instruments[0].locked_from == before.locked_from
    assert any("keeps its lock: BTC" in note for note in much.notes)


def test_older_bars_may_move_the_lock_back_but_never_on(tmp_path, bring):
    columns = candles(1000)
    late = bring(write(tmp_path / "a" / "BTC.csv", rows(columns, slice(500, 1000)))).datasets[0].instruments[0]
    assert late.locked_from == START + 800 * HOUR
    whole = bring(write(tmp_path / "b" / "BTC.csv", columns)).datasets[0].instruments[0]
    assert whole.locked_from == START + 600 * HOUR


def test_each_venue_locks_its_own_history(tmp_path, bring):
    """A short history of one venue stays usable beside the long one of another."""
    columns = candles(1000)
    bring(write(tmp_path / "binance" / "BTCUSDT.csv", rows(columns, slice(900))))
    other = bring(write(tmp_path / "okx" / "BTC-USDT.csv", columns)).datasets[0]
    assert (other.venue, other.instruments[0].locked_from) == ("okx", START + 600 * HOUR)


def test_what_does_not_overlap_or_has_another_interval_is_apart(tmp_path, bring):
    bring(write(tmp_path / "binance" / "BTCUSDT.csv", candles(100)))
    later = candles(100, START + 100 * HOUR)
    apart = bring(write(tmp_path / "okx" / "BTC-USDT.csv", later)).datasets[0].instruments[0]
    assert apart.locked_from == START + 160 * HOUR
    four = (
        bring(write(tmp_path / "okx" / "4h" / "BTC-USDT.csv", candles(100, step=4 * HOUR))).datasets[0].instruments[0]
    )
    assert four.locked_from == START + 240 * HOUR


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(2, 600)), min_size=1, max_size=5))
def test_a_lock_never_moves_on(spans):
    """Whatever is imported in whatever order, once locked stays locked."""
    known: list = []
    locked_from = []
    for first, length in spans:
        whole = [one.first for one in known[-1:]] + [first], [one.end for one in known[-1:]] + [first + length]
        begins, ends = min(whole[0]), max(whole[1])
        lock = kept_lock(lock_start(begins, ends, 1), begins, ends, known)
        known.append(_Span(begins, ends, lock))
        locked_from.append(lock)
    assert all(later <= earlier for earlier, later in itertools.pairwise(locked_from))


class _Span:
    def __init__(self, first, end, locked_from):
        self.first, self.end, self.locked_from = first, end, locked_from


def test_a_year_is_365_days():
    assert np.isclose(YEAR / DAY, 365)
