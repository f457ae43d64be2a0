"""What a Sharpe ratio says: its error, the probability that it is real, and what the best of many trials reaches by luck.

Every ratio here is per period (a day), not per year; every kurtosis is the plain one, 3 for the normal distribution.
Two versions of the formulas are in use and differ (0.913 against 0.987 on one example), so each result names its own:

    2012  Bailey and López de Prado, "The Sharpe ratio efficient frontier": the error at the observed ratio, over T - 1
    2026  López de Prado, Lipton and Zoonekynd (SSRN 5520741): the error under the hypothesis, over T, with first-order
          autocorrelation; the deflated ratio also uses the variance of the maximum
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from quantga.errors import ConfigError, DataError
from quantga.lang.bars import Floats

type Version = Literal["2012", "2026"]

DAYS = 365.0
"""Days in a year."""

_GAMMA = 0.5772156649015329  # Euler's constant
_NODES = 200


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a series of returns: Sharpe ratio per period, skewness, kurtosis (normal: 3), periods, lag-1 autocorrelation."""

    sharpe: float
    skew: float
    kurtosis: float
    periods: int
    autocorrelation: float = 0.0

    @property
    def annual(self) -> float:
        """The Sharpe ratio of a year of 365 periods."""
        return self.sharpe * math.sqrt(DAYS)

    @property
    def annual_error(self) -> float:
        """Standard error of `annual` (version 2012)."""
        return math.sqrt(sharpe_variance(self, self.sharpe) * DAYS)


def moments(returns: Floats) -> Moments:
    """Return the moments of `returns`, float64[n] without NaN.

    As in `engine.metrics`: the sample standard deviation (n - 1), skewness and kurtosis corrected for their bias. Sums are exact,
    so that the same returns give the same bits in every process, whatever the alignment of their arrays.

    Raises:
        DataError: fewer than four returns, a NaN among them, or no variation: there is no ratio.
    """
    if len(returns) < 4:
        raise DataError(f"a Sharpe ratio with its error needs at least four returns, there are {len(returns)}")
    if not np.isfinite(returns).all():
        raise DataError("the returns hold a NaN or an infinity: leave absent days out")
    mean = exact_mean(returns)
    about = returns - mean
    squares = about * about
    variance = exact_mean(squares)
    if variance <= (1e-14 * max(abs(mean), 1e-300)) ** 2:
        raise DataError("the returns do not vary: there is no Sharpe ratio")
    n = len(returns)
    skew = exact_mean(squares * about) / variance**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    excess = exact_mean(squares * squares) / variance**2 - 3
    return Moments(
        sharpe=mean / math.sqrt(variance * n / (n - 1)),
        skew=skew,
        kurtosis=(n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6) + 3,
        periods=n,
        autocorrelation=math.fsum((about[1:] * about[:-1]).tolist()) / (variance * n),
    )


def exact_mean(values: Floats) -> float:
    """Return the mean of `values`, float64[n], n > 0, from their exact sum."""
    return math.fsum(values.tolist()) / len(values)


def sharpe_variance(m: Moments, at: float, version: Version = "2012") -> float:
    """Return the variance of the estimated ratio (per period) if the true one is `at`.

    Version 2012 takes `at` for the observed ratio. DataError where the formula gives nothing positive.
    """
    a = b = c = 1.0
    count = m.periods - 1
    if version == "2026":
        rho, count = m.autocorrelation, m.periods
        a = 1 + 2 * rho / (1 - rho)
        b = 1 + rho / (1 - rho) + rho**2 / (1 - rho**2)
        c = 1 + 2 * rho**2 / (1 - rho**2)
    variance = (a - b * m.skew * at + c * (m.kurtosis - 1) / 4 * at * at) / count
    if variance <= 0:
        raise DataError("the returns are too skewed: the ratio's variance is not positive")
    return variance


def psr(m: Moments, benchmark: float = 0.0, version: Version = "2012") -> float:
    """Return the probabilistic Sharpe ratio: how sure one is that the true ratio per period exceeds `benchmark`."""
    at = m.sharpe if version == "2012" else benchmark
    return float(ndtr((m.sharpe - benchmark) / math.sqrt(sharpe_variance(m, at, version))))


def p_value(m: Moments, version: Version = "2012") -> float:
    """Return 1 - PSR(0): the one-sided p-value of "the true ratio is not above zero"."""
    at = m.sharpe if version == "2012" else 0.0
    return float(ndtr(-m.sharpe / math.sqrt(sharpe_variance(m, at, version))))


def expected_maximum(trials: float, deviation: float = 1.0) -> float:
    """Return the expected largest of `trials` independent ratios of mean zero and standard deviation `deviation`.

    The False Strategy Theorem; 0 for one trial. ConfigError for fewer.
    """
    if trials < 1:
        raise ConfigError(f"{trials} trials: there is at least the one that was made")
    if trials == 1:
        return 0.0
    normal = (1 - _GAMMA) * ndtri(1 - 1 / trials) + _GAMMA * ndtri(1 - 1 / (trials * math.e))
    return deviation * float(normal)


def variance_of_maximum(trials: float) -> float:
    """Return the variance of the largest of `trials` independent standard normal numbers, by quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    x = nodes * 9.0
    density = trials * np.exp(-x * x / 2) / math.sqrt(2 * math.pi) * ndtr(x) ** (trials - 1) * weights * 9.0
    first = float(np.sum(density * x))
    return float(np.sum(density * x * x)) - first * first


def dsr(m: Moments, trials: float, deviation: float, version: Version = "2012") -> float:
    """Return the deflated Sharpe ratio: PSR against the best that `trials` trials without skill are expected to show.

    Args:
        m: of the chosen trial.
        trials: how many were made, or how many independent ones they amount to.
        deviation: standard deviation of the trials' ratios per period; 1 / sqrt(T) if all are without skill.
        version: of the formulas.
    """
    benchmark = expected_maximum(trials, deviation)
    if version == "2012":
        return psr(m, benchmark)
    spread = sharpe_variance(m, benchmark, version) * variance_of_maximum(trials)
    return float(ndtr((m.sharpe - benchmark) / math.sqrt(spread)))


def min_track_record(m: Moments, benchmark: float = 0.0, level: float = 0.05, version: Version = "2012") -> float:
    """Return how many periods it takes until PSR(`benchmark`) reaches 1 - `level`, if the ratio stays what it is.

    Infinite where the ratio does not exceed the benchmark.
    """
    if m.sharpe <= benchmark:
        return math.inf
    reach = (float(ndtri(1 - level)) / (m.sharpe - benchmark)) ** 2
    if version == "2012":
        return 1 + sharpe_variance(m, m.sharpe) * (m.periods - 1) * reach
    return sharpe_variance(m, benchmark, version) * m.periods * reach


def luck_line(trials: float, years: float) -> float:
    """Return the annual ratio that the best of `trials` independent trials without skill is expected to show."""
    return expected_maximum(trials, 1 / math.sqrt(years))


def power_of_a_look(annual: float, years: float, level: float = 0.05) -> float:
    """Return how often one look at `years` years finds a true annual ratio, at a one-sided level (normal returns)."""
    return float(ndtr(annual * math.sqrt(years) - ndtri(1 - level)))


def years_needed(annual: float, level: float = 0.05, power: float = 0.8) -> float:
    """Return how many years one look needs to find a true annual ratio with probability `power`; infinite for <= 0."""
    if annual <= 0:
        return math.inf
    return float((ndtri(1 - level) + ndtri(power)) / annual) ** 2
