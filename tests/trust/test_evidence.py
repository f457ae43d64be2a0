"""Diagnostics: never without their version, and with the base rate where one was measured."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.trust.evidence import BASE_RATES, Searched, search_diagnostics, shortlist_diagnostics
from quantga.trust.overfitting import Panel, cscv
from quantga.trust.sharpe import moments, psr


def searched(trials=12, days=400, edge=0.0, seed=1):
    returns = np.random.default_rng(seed).normal(0, 0.01, (days, trials))
    returns[:, 0] += edge
    best = int(np.argmax(returns.mean(axis=0)))
    return Searched(returns[:, best], Panel(np.arange(days), returns), trials, seed)


def test_every_figure_has_a_version_and_is_the_one_of_its_function():
    search = searched()
    found = {one.key: one for one in search_diagnostics(search)}
    assert all(one.version for one in found.values())
    assert found["pbo"].value == cscv(search.trials).probability
    assert found["psr"].value == psr(moments(search.champion))
    assert found["psr_2026"].value == psr(moments(search.champion), version="2026")
    assert found["psr"].version != found["psr_2026"].version
    assert found["effective_trials"].value == pytest.approx(12, rel=0.1)
    assert found["dsr_effective"].value is not None
    assert found["sharpe"].base_rate is BASE_RATES["sharpe"]


def test_an_undefined_figure_says_why():
    days = np.arange(100)
    still = Searched(np.zeros(100), Panel(days, np.zeros((100, 3))), 3, 1)
    for one in search_diagnostics(still):
        if one.key != "pbo":
            assert one.value is None, one.key
            assert one.reason
    falling = Searched(-np.abs(searched().champion[:100]), Panel(days, searched().trials.returns[:100]), 12, 1)
    found = {one.key: one for one in search_diagnostics(falling)}
    assert found["min_track_record"].value is None


def test_the_base_rates_are_those_of_the_study():
    assert round(BASE_RATES["pbo"].noise) == 96
    assert BASE_RATES["combined"].planted == (13, 67, 91)
    assert "96 % of searches in pure noise pass PBO < 0.5 too" in str(BASE_RATES["pbo"])
    assert all(0 <= rate.noise <= 100 for rate in BASE_RATES.values())


def test_the_paths_of_a_shortlist():
    worst, median = shortlist_diagnostics(searched(trials=4, days=800, edge=0.004).trials)
    assert worst.value is not None
    assert median.value is not None
    assert worst.value <= median.value
    assert median.value > 3
    alone = shortlist_diagnostics(searched(trials=1).trials)[0]
    assert (alone.value, "two programs" in alone.reason) == (None, True)
