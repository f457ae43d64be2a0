"""The usual evidence, as diagnostics: each figure with its version and with how often pure noise shows the same.

None of it decides. Measured on searches in markets of pure noise, most of it passes nearly always or never; a figure
without its base rate invites belief that it does not deserve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quantga.errors import DataError
from quantga.lang.bars import Floats
from quantga.trust.overfitting import Panel, cpcv, cscv, effective_trials
from quantga.trust.sharpe import DAYS, Moments, dsr, min_track_record, moments, psr
from quantga.trust.snooping import superiority

SOURCE = (
    "prototype study: a plain typed genetic search (about 820 distinct trials) on hourly markets, 2 years to search and 2 "
    "to look at, 5 bp a side; 150 searches in geometric Brownian noise, 60 in GARCH-t noise, 54 per planted Sharpe ratio"
)
"""Where the base rates come from; `quantga bench honesty` measures those of this search."""


@dataclass(frozen=True, slots=True)
class BaseRate:
    """How often a search's champion passes `test`, in per cent: where there is nothing, and where a Sharpe ratio is.

    noise: over the 150 + 60 markets of noise; drift: noise with a market Sharpe ratio of 1; planted: at a true 1, 2, 3.
    """

    test: str
    noise: float
    drift: float
    planted: tuple[float, float, float]

    def __str__(self) -> str:
        low, middle, high = self.planted
        return (
            f"{self.noise:.0f} % of searches in pure noise pass {self.test} too "
            f"(with a true Sharpe ratio of 1, 2, 3: {low:.0f}, {middle:.0f}, {high:.0f} %)"
        )


def _pooled(gbm: float, garch: float) -> float:
    return (150 * gbm + 60 * garch) / 210


BASE_RATES: Mapping[str, BaseRate] = {
    "sharpe": BaseRate("Sharpe > 1 in sample", 100, 100, (100, 100, 100)),
    "pbo": BaseRate("PBO < 0.5", _pooled(96, 95), 93, (98, 96, 100)),
    "pbo_strict": BaseRate("PBO < 0.05", _pooled(4, 5), 2, (7, 26, 67)),
    "dsr": BaseRate("DSR > 0.95 with the variance of the trials", 0, 0, (0, 0, 0)),
    "dsr_effective": BaseRate("DSR > 0.95 with effective trials and variance 1/T", _pooled(17, 20), 35, (28, 52, 91)),
    "spa": BaseRate("SPA p < 0.05 on the days that were searched", _pooled(9, 2), 20, (17, 44, 91)),
    "holdout_profit": BaseRate("a profit in the year after", _pooled(41, 45), 55, (54, 80, 96)),
    "holdout_psr": BaseRate("PSR > 0.95 in one look at 2 years", _pooled(1, 5), 22, (7, 48, 81)),
    "mining": BaseRate("mining p <= 0.05", _pooled(5, 3), 15, (13, 44, 87)),
    "combined": BaseRate("the combined p < 0.05", _pooled(3, 3), 23, (13, 67, 91)),
}
"""Base rates by diagnostic; figures with noise that drifts are without detrended scoring."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One figure: `value` is None where it is undefined, and `reason` says why.

    version: of the formula. passes: the threshold that people use for it. base_rate: how often noise passes; None where
    nobody measured it.
    """

    key: str
    label: str
    value: float | None
    reason: str
    version: str
    passes: str
    base_rate: BaseRate | None


@dataclass(frozen=True)
class Searched:
    """What the diagnostics of one search are computed from.

    champion: daily detrended returns on the days that were searched, float64[days]. trials: all distinct trials on the
    same days. count: programs appraised. seed: of the run.
    """

    champion: Floats
    trials: Panel
    count: int
    seed: int


def search_diagnostics(searched: Searched) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a search's champion on the days that were searched: in sample, all of them."""
    trials = searched.trials

    def own() -> Moments:
        return moments(searched.champion)

    def spread() -> float:
        ratios = [moments(column).sharpe for column in trials.returns.T if column.std() > 1e-14]
        return float(np.std(ratios, ddof=1)) if len(ratios) > 1 else math.nan

    count = searched.count
    rows: list[tuple[str, str, str, str, Callable[[], float]]] = [
        ("sharpe", "Sharpe ratio, annual, in sample", "365 days", "> 1", lambda: own().annual),
        ("psr", "Probabilistic Sharpe ratio, in sample", "2012", "> 0.95", lambda: psr(own())),
        ("psr_2026", "Probabilistic Sharpe ratio, in sample", "2026", "> 0.95", lambda: psr(own(), version="2026")),
        (
            "dsr",
            "Deflated Sharpe ratio, all trials, their variance",
            "2012",
            "> 0.95",
            lambda: dsr(own(), count, spread()),
        ),
        (
            "dsr_effective",
            "Deflated Sharpe ratio, effective trials, variance 1/T",
            "2012",
            "> 0.95",
            lambda: dsr(own(), max(effective_trials(trials).participation, 1.0), len(trials.days) ** -0.5),
        ),
        (
            "pbo",
            "Probability of backtest overfitting",
            "CSCV 2015, 16 blocks",
            "< 0.5",
            lambda: cscv(trials).probability,
        ),
        (
            "spa",
            "Superiority over doing nothing, p",
            "Hansen 2005, consistent",
            "< 0.05",
            lambda: superiority(trials, searched.seed).consistent,
        ),
        ("min_track_record", "Minimum track record, days", "2012", "< days", lambda: min_track_record(own())),
        (
            "effective_trials",
            "Effective trials",
            "participation ratio",
            "",
            lambda: effective_trials(trials).participation,
        ),
        ("effective_rank", "Effective trials", "effective rank", "", lambda: effective_trials(trials).rank),
    ]
    return tuple(_computed(*row) for row in rows)


def shortlist_diagnostics(shortlist: Panel, groups: int = 8, embargo: int = 30) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of a fixed shortlist: the worst and the median annual Sharpe ratio of its CPCV paths."""

    def ratio(share: float) -> float:
        return float(np.quantile(cpcv(shortlist, groups, 2, embargo).sharpe, share)) * math.sqrt(DAYS)

    version = f"{groups} groups, 2 left out"
    return (
        _computed(
            "cpcv_worst", "Sharpe ratio, annual, worst path of the shortlist", version, "> 0", lambda: ratio(0.0)
        ),
        _computed(
            "cpcv_median", "Sharpe ratio, annual, median path of the shortlist", version, "> 0", lambda: ratio(0.5)
        ),
    )


def _computed(key: str, label: str, version: str, passes: str, figure: Callable[[], float]) -> Diagnostic:
    rate = BASE_RATES.get(key)
    try:
        value = figure()
    except DataError as error:
        return Diagnostic(key, label, None, str(error), version, passes, rate)
    if not math.isfinite(value):
        return Diagnostic(key, label, None, "no finite number: nothing was earned to measure", version, passes, rate)
    return Diagnostic(key, label, value, "", version, passes, rate)
