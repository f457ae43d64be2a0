"""How honest the whole pipeline is: many validations on made markets, counted, each share with its exact interval.

Promoting nothing would never be wrong; so what is found where something is counts as much as what is found where nothing
is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from quantga.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Measured:
    """A promoted program, judged on fresh years of the process that it was found in: annual Sharpe ratios.

    true: its own there. oracle: that of one who knows the process, on the same years. forecast, low, high: what was said.
    """

    true: float
    oracle: float
    forecast: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Validated:
    """One validation on one made market.

    family: its name. sharpe: what is planted there, 0 for nothing. seed: names the market. p_mine: of the best of the
    shortlist, randomised at the stop. promoted: those that passed. naive: whether the naive pipeline (the best of the top
    20 by one look at the next year, annual Sharpe ratio above 1) would have promoted.
    """

    family: str
    sharpe: float
    seed: int
    p_mine: float
    promoted: tuple[Measured, ...]
    naive: bool


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, and the 95 % interval of Clopper and Pearson for the share behind it."""

    count: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Honesty:
    """The table. Keys of families are their names, those of Sharpe ratios `str(sharpe)`; absent where nothing was run.

    null_promoted: null runs with any promotion; by family in null_families, by the naive pipeline in null_naive.
    power: planted runs with a promotion, by planted Sharpe ratio. capture: median share of the oracle's ratio among
    the best promoted of each run. weak: promotions whose true ratio is below 0.3. bias: mean of forecast less true;
    coverage: intervals that hold the true ratio; width: their median. p_low: null runs with p_mine at most 0.05;
    p_uniform: p of Kolmogorov and Smirnov's test that p_mine is uniform on nulls.
    """

    null_runs: int
    null_promoted: Share
    null_naive: Share
    null_families: dict[str, Share]
    power: dict[str, Share]
    power_families: dict[str, dict[str, Share]]
    naive_power: dict[str, Share]
    capture: dict[str, float]
    weak: Share
    bias: float | None
    coverage: Share
    width: float | None
    p_low: Share
    p_uniform: float | None

    def record(self) -> dict[str, object]:
        """Return the table as plain data."""
        return asdict(self)


def share(count: int, of: int) -> Share:
    """Return a share with its exact 95 % interval; of nothing, the interval is all of [0, 1].

    Raises:
        ConfigError: more were counted than there are.
    """
    if not 0 <= count <= of:
        raise ConfigError(f"{count} of {of} is no share")
    low = float(stats.beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return Share(count, of, low, high)


def summarised(runs: Iterable[Validated]) -> Honesty:
    """Return the table of some runs, in whatever order and from however many checkpoints they come.

    Raises:
        ConfigError: the same market twice with different answers: checkpoints of different settings were merged.
    """
    known = _merged(runs)
    null = [run for run in known if run.sharpe == 0]
    planted = [run for run in known if run.sharpe > 0]
    found = [one for run in planted for one in run.promoted]
    every = [*found, *(one for run in null for one in run.promoted)]
    levels = sorted({run.sharpe for run in planted})
    by_level = {str(level): [run for run in planted if run.sharpe == level] for level in levels}
    return Honesty(
        null_runs=len(null),
        null_promoted=_promoted(null),
        null_naive=_naive(null),
        null_families={name: _promoted(group) for name, group in _by_family(null).items()},
        power={level: _promoted(group) for level, group in by_level.items()},
        power_families={
            level: {name: _promoted(part) for name, part in _by_family(group).items()}
            for level, group in by_level.items()
        },
        naive_power={level: _naive(group) for level, group in by_level.items()},
        capture={level: _capture(group) for level, group in by_level.items() if any(run.promoted for run in group)},
        weak=share(sum(one.true < 0.3 for one in found), len(found)),
        bias=float(np.mean([one.forecast - one.true for one in every])) if every else None,
        coverage=share(sum(one.low <= one.true <= one.high for one in every), len(every)),
        width=float(np.median([one.high - one.low for one in every])) if every else None,
        p_low=share(sum(run.p_mine <= 0.05 for run in null), len(null)),
        p_uniform=float(stats.kstest([run.p_mine for run in null], "uniform").pvalue) if null else None,
    )


def _merged(runs: Iterable[Validated]) -> list[Validated]:
    known: dict[tuple[str, float, int], Validated] = {}
    for run in runs:
        key = (run.family, run.sharpe, run.seed)
        if known.setdefault(key, run) != run:
            raise ConfigError(
                f"{run.family} with a Sharpe ratio of {run.sharpe:g}, seed {run.seed}, was validated twice with different "
                "answers: merge checkpoints of one version and one budget only"
            )
    return [known[key] for key in sorted(known)]


def _promoted(runs: Sequence[Validated]) -> Share:
    return share(sum(bool(run.promoted) for run in runs), len(runs))


def _naive(runs: Sequence[Validated]) -> Share:
    return share(sum(run.naive for run in runs), len(runs))


def _by_family(runs: Sequence[Validated]) -> dict[str, list[Validated]]:
    return {name: [run for run in runs if run.family == name] for name in sorted({run.family for run in runs})}


def _capture(runs: Sequence[Validated]) -> float:
    best = [max(run.promoted, key=lambda one: one.forecast) for run in runs if run.promoted]
    return float(np.median([one.true / one.oracle for one in best]))
