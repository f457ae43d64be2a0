"""Sharpe ratios: the published numbers of both versions, an independent implementation, and simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from quantga.engine.metrics import probabilistic_sharpe
from quantga.errors import ConfigError, DataError
from quantga.trust.sharpe import (
    Moments,
    dsr,
    expected_maximum,
    luck_line,
    min_track_record,
    moments,
    p_value,
    power_of_a_look,
    psr,
    sharpe_variance,
    variance_of_maximum,
    years_needed,
)

PAPER = Moments(sharpe=0.036 / 0.079, skew=-2.448, kurtosis=10.164, periods=24)


def test_the_two_versions_give_their_published_numbers():
    assert psr(PAPER) == pytest.approx(0.913, abs=5e-4)
    assert psr(PAPER, version="2026") == pytest.approx(0.987, abs=5e-4)
    assert psr(PAPER, 0.1, "2026") == pytest.approx(0.939, abs=5e-4)
    assert math.sqrt(sharpe_variance(PAPER, PAPER.sharpe, "2026")) == pytest.approx(0.329, abs=5e-4)
    gaussian = Moments(PAPER.sharpe, 0.0, 3.0, 24)
    assert math.sqrt(sharpe_variance(gaussian, PAPER.sharpe, "2026")) == pytest.approx(0.214, abs=6e-4)
    assert min_track_record(PAPER, version="2026") == pytest.approx(13.029, abs=5e-4)
    assert expected_maximum(10, math.sqrt(0.1)) == pytest.approx(0.498, abs=5e-4)
    assert dsr(PAPER, 10, math.sqrt(0.1), "2026") == pytest.approx(0.416, abs=5e-4)
    benchmark = expected_maximum(10, math.sqrt(0.1))
    assert psr(PAPER, benchmark, "2026") == pytest.approx(0.451, abs=5e-4)


def test_the_expected_maximum_of_a_thousand():
    assert expected_maximum(1000, 0.05) == pytest.approx(0.1627561, abs=5e-8)
    assert expected_maximum(1) == 0
    with pytest.raises(ConfigError, match="at least the one"):
        expected_maximum(0)


@pytest.mark.parametrize(
    ("trials", "years", "said"), [(1e3, 2, 2.30), (1e4, 2, 2.73), (1e6, 2, 3.44), (1e3, 5, 1.46), (1e6, 5, 2.18)]
)
def test_the_luck_line(trials, years, said):
    assert luck_line(trials, years) == pytest.approx(said, abs=0.006)


@pytest.mark.parametrize(("annual", "years"), [(0.5, 24.7), (1, 6.2), (1.5, 2.75), (2, 1.55), (3, 0.69)])
def test_the_years_that_a_ratio_needs(annual, years):
    assert years_needed(annual) == pytest.approx(years, rel=0.01)
    assert power_of_a_look(annual, years_needed(annual)) == pytest.approx(0.8)
    assert years_needed(0) == math.inf


@pytest.mark.parametrize("trials", [1, 2, 5, 10, 100, 1000])
def test_the_variance_of_a_maximum_is_that_of_simulated_maxima(trials):
    draws = np.random.default_rng(0).normal(size=(20_000, trials)).max(axis=1)
    assert variance_of_maximum(trials) == pytest.approx(draws.var(), rel=0.05)


def test_of_two_the_variance_of_the_maximum_is_known():
    assert variance_of_maximum(1) == pytest.approx(1.0, abs=1e-12)
    assert variance_of_maximum(2) == pytest.approx(1 - 1 / math.pi, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_an_independent_implementation_agrees(seed):
    purgedcv = pytest.importorskip("purgedcv")
    draw = np.random.default_rng(seed)
    returns = draw.standard_t(4, 400) * 0.01 + 0.001 * draw.normal()
    ours = moments(returns)
    expected = stats.skew(returns, bias=False), stats.kurtosis(returns, bias=False, fisher=False)
    assert (ours.skew, ours.kurtosis) == pytest.approx(expected, rel=1e-12)
    m = replace(ours, sharpe=ours.sharpe * math.sqrt(400 / 399))  # theirs divides by n, not n - 1
    assert psr(m, 0.02) == pytest.approx(purgedcv.probabilistic_sharpe_ratio(returns, 0.02), abs=1e-9)
    deflated = purgedcv.deflated_sharpe_ratio(returns, 50, 0.002)
    assert dsr(m, 50, math.sqrt(0.002)) == pytest.approx(deflated, abs=1e-6)
    if m.sharpe > 0:
        length = purgedcv.min_track_record_length(m.sharpe, 0.0, 0.05, m.skew, m.kurtosis)
        assert math.ceil(min_track_record(m) - 1e-9) == length


def test_the_metrics_show_the_same_number():
    returns = np.random.default_rng(6).standard_t(4, 300) * 0.01
    m = moments(returns)
    assert psr(m) == pytest.approx(probabilistic_sharpe(m.sharpe, 300, m.skew, m.kurtosis - 3), abs=1e-9)


def test_p_values_of_noise_are_uniform():
    draw = np.random.default_rng(3)
    values = np.array([p_value(moments(draw.standard_t(5, 365))) for _ in range(4000)])
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (values <= level).mean() == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 4000))
    assert p_value(PAPER) == pytest.approx(1 - psr(PAPER))
    assert p_value(PAPER, "2026") == pytest.approx(1 - psr(PAPER, version="2026"))


def test_autocorrelation_widens_the_error_of_the_later_version():
    draw = np.random.default_rng(4)
    spread = []
    for _ in range(2000):
        x = draw.normal(size=300)
        for t in range(1, 300):
            x[t] += 0.3 * x[t - 1]
        spread.append(moments(x).sharpe)
    m = Moments(0.0, 0.0, 3.0, 300, 0.3)
    assert math.sqrt(sharpe_variance(m, 0.0, "2026")) == pytest.approx(np.std(spread), rel=0.06)
    assert math.sqrt(sharpe_variance(m, 0.0, "2012")) < 0.8 * np.std(spread)


def test_the_annual_ratio_and_its_error():
    m = moments(np.random.default_rng(5).normal(0.001, 0.01, 730))
    assert m.annual == pytest.approx(m.sharpe * math.sqrt(365))
    assert m.annual_error == pytest.approx(1 / math.sqrt(2), rel=0.05)


def test_a_longer_record_is_needed_than_none_can_give():
    assert min_track_record(Moments(-0.1, 0, 3, 100)) == math.inf


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ([0.1, 0.2], "at least four"),
        ([0.01] * 10, "do not vary"),
        ([0.0] * 10, "do not vary"),
        ([0, 1, 2, math.nan], "NaN"),
    ],
)
def test_where_there_is_no_ratio_it_says_so(returns, said):
    with pytest.raises(DataError, match=said):
        moments(np.array(returns, dtype=float))


def test_a_skew_that_the_formula_cannot_take_is_refused():
    with pytest.raises(DataError, match="too skewed"):
        psr(Moments(1.0, 9.0, 3.0, 100))
