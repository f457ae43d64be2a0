"""The checks for look-ahead themselves; the traps that they close are in test_traps.py."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.lang.bars import HOUR_MS, Bars
from quantga.trust.lookahead import CUTS, Fault, foreknowing_columns, lookahead_faults, mislabelled, survivors, too_good
from quantga.trust.markets import Regime

START = 1_577_836_800_000


def market(symbols="A", years=0.2, seed=1):
    return Regime(years=years).market(seed, {symbol: symbol for symbol in symbols}, START)


def test_faults_name_the_signal_the_row_and_the_time():
    bars = market()["A"]

    def signals(part):
        close = part["close"]
        peek = np.append(np.sign(np.diff(close)), 0.0)
        return np.stack([np.sign(close - 100), peek])

    faults = lookahead_faults(signals, bars, 1)
    assert {fault.signal for fault in faults} == {1}
    assert all(fault.row == fault.cut - 1 for fault in faults)
    assert len(faults) > CUTS / 2  # each cut, but where the shown 0 or the other next bar happens to agree
    assert (
        str(Fault(1, 12, 10, START))
        == "reads ahead: what it wants at 2020-01-01 00:00 changes with bars that come 2 later"
    )
    assert faults == lookahead_faults(signals, bars, 1)


def test_a_signal_that_only_waits_has_no_fault():
    bars = market()["A"]
    assert lookahead_faults(lambda part: np.full(len(part), np.nan), bars, 1) == []
    assert lookahead_faults(lambda part: np.sign(np.cumsum(part["volume"]) - 1e9), bars, 1) == []


def test_a_negative_zero_is_another_bit():
    bars = market()["A"]

    def signal(part):
        return np.full(len(part), 0.0 if len(part) == len(bars) else -0.0)

    assert len(lookahead_faults(signal, bars, 1)) == CUTS


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_an_edge_of_one_bar_is_not_taken_for_a_leak(strength):
    bars = market(years=3)["A"]
    ahead = np.append(np.diff(bars["close"]) / bars["close"][:-1], 0.0)
    noise = np.random.default_rng(1).normal(size=len(bars)) * ahead.std()
    edge = strength * ahead + np.sqrt(1 - strength**2) * noise
    assert foreknowing_columns(bars.with_columns({"$edge": edge})) == []
    assert len(foreknowing_columns(bars.with_columns({"$edge": 0.4 * ahead + 0.9 * noise}))) == 1


def test_a_running_sum_of_the_future_is_found_by_its_changes():
    bars = market(years=1)["A"]
    ahead = np.append(np.diff(bars["close"]) / bars["close"][:-1], 0.0)
    assert len(foreknowing_columns(bars.with_columns({"$sum": np.cumsum(ahead)}))) == 1
    still = bars.with_columns({"$still": np.ones(len(bars)), "$none": np.full(len(bars), np.nan)})
    assert foreknowing_columns(still) == []


def test_what_is_too_good_says_whether_a_delay_ends_it():
    assert too_good(5.9, 0.0) == ""
    assert "and falls to 0.2 when orders come one bar later" in too_good(14.0, 0.2)
    assert "and is still 13.0" in too_good(14.0, 13.0)


def test_labels_cannot_be_judged_without_common_bars():
    one = market()["A"]
    four = Bars(4 * HOUR_MS, 10, {name: one[name][:50] for name in ("open", "high", "low", "close", "volume")}, "A")
    assert mislabelled(four, one) == ""


def test_survivors_need_several_assets():
    assert survivors(market("AB")) == ""
    assert survivors(market("ABC")) != ""
