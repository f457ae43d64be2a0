"""What may be spent, what was spent, and when a run stops because of it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from math import inf
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.cluster.account import Account
from quantga.cluster.budget import Budget, Meter, Spent, usd_per_hour
from quantga.cluster.progress import _money
from quantga.cluster.record import RunFiles
from quantga.errors import ConfigError
from quantga.settings import Settings
from quantga.store.lake import open_lake

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("until", "minutes", "end"),
    [
        ("", None, inf),
        ("12:30", None, NOON + 1800),
        ("07:00", None, NOON + 19 * 3600),
        ("12:00", None, NOON + 24 * 3600),
        ("2026-02-01T12:00", None, NOON + 24 * 3600),
        ("2026-02-01T12:00+02:00", None, NOON + 22 * 3600),
        ("", 10.0, NOON + 600),
        ("12:05", 10.0, NOON + 300),
    ],
)
def test_when_the_time_is_up(until, minutes, end):
    assert Budget.of(None, until, minutes, NOON) == Budget(inf, end)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((0.0, "", None), "--budget-usd 0"),
        ((float("nan"), "", None), "--budget-usd nan"),
        ((inf, "", None), "--budget-usd inf"),
        ((None, "", -1.0), "--max-minutes -1"),
        ((None, "7 o'clock", None), "no time"),
        ((None, "25:00", None), "no time"),
        ((None, "2026-01-31T11:59", None), "is past"),
    ],
)
def test_what_is_no_budget_is_refused(given, says):
    with pytest.raises(ConfigError, match=says):
        Budget.of(*given, NOON)


def test_a_budget_without_prices_is_refused():
    with pytest.raises(ConfigError, match="usd_per_hour"):
        Budget(usd=1).require_prices({})
    Budget(until=NOON).require_prices({})
    with pytest.raises(ConfigError, match="usd_per_hour"):
        Settings.load({"cluster": {"usd_per_hour": {"spot": -1}}})


def test_nodes_are_priced_by_type_and_none_is_free_by_oversight():
    assert usd_per_hour({"head": 1, "spot": 4}, {"head": 0.12, "spot": 0.25}) == pytest.approx(1.12)
    assert usd_per_hour({"head": 1, "spot": 4}, {"other": 0.5}) == pytest.approx(2.5)
    assert usd_per_hour({}, {"spot": 1}) == 0
    with pytest.raises(ConfigError, match=r"type 'spot' has no price.*spot = 0\.25"):
        usd_per_hour({"head": 1, "spot": 4}, {"head": 0.12})


def test_a_generation_is_begun_only_if_one_like_the_last_still_fits():
    budget = Budget(usd=1.0, until=NOON)
    assert budget.reached(0.5, NOON - 100, 0.4, 60) == ""
    assert "0.50 of 1 USD are spent, and a generation takes 0.60" in budget.reached(0.5, NOON - 100, 0.6, 60)
    assert "the time is up at 12:00:00 UTC" in budget.reached(0.5, NOON - 100, 0.4, 101)
    assert Budget().reached(1e9, NOON, 1e9, 1e9) == ""


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3)), max_size=20), st.floats(0, 1e3))
def test_the_meter_is_the_integral_of_the_rate(laps, first):
    meter = Meter(0.0, first)
    now, before, total = 0.0, first, 0.0
    for seconds, rate in laps:
        total += seconds / 3600 * (before + rate) / 2
        now, before = now + seconds, rate
        meter.read(now, rate)
    assert meter.usd == pytest.approx(total)


def test_a_clock_that_is_set_back_costs_nothing():
    meter = Meter(100.0, 3600.0)
    assert meter.read(50.0, 3600.0) == 0
    assert meter.read(60.0, 3600.0) == pytest.approx(10)


def test_the_progress_line_tells_the_cost():
    assert _money(None) == ""
    assert _money(Spent(1.234, 0.5, 0.0123)) == ", 1.23 USD at 0.50/h, 0.0123 USD a champion"
    assert _money(Spent(1.234, 0.5, inf)) == ", 1.23 USD at 0.50/h"


def test_an_account_adds_up_all_calls(tmp_path, monkeypatch):
    monkeypatch.setattr("quantga.cluster.account.node_types", lambda: {"spot": 2})
    clock = [NOON]
    fake = SimpleNamespace(time=lambda: clock[0], time_ns=time.time_ns)
    monkeypatch.setattr("quantga.cluster.account.time", fake)
    files = RunFiles(open_lake(tmp_path), "run")
    prices = {"spot": 1.8}
    for call in range(2):
        account = Account(files, prices, Budget(usd=10.0))
        for lap in range(2):
            clock[0] += 1000
            spent = account.settle(lap + 1, 4)
            assert spent.usd == pytest.approx(1 + lap + 2 * call)
            assert spent.each == pytest.approx(spent.usd / 4)
            assert spent.rate == pytest.approx(3.6)
        assert account.reached() == ""
    assert len(files.lake.paths("runs/run")) == 4
    with pytest.raises(ConfigError, match=r"run run cannot go on: 4\.00 of 4\.5 USD are spent.* raise the budget"):
        Account(files, prices, Budget(usd=4.5))
    assert Account(files, prices, Budget(usd=5.0)).reached() == ""


def test_without_prices_only_time_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("quantga.cluster.account.node_types", lambda: pytest.fail("asked for nodes"))
    account = Account(RunFiles(open_lake(tmp_path), "run"), {}, Budget())
    assert account.settle(1, 3) is None
    assert account.reached() == ""
    assert open_lake(tmp_path).paths("runs") == []
