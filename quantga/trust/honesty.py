"""How honest the whole pipeline is: many validations on made markets, counted, each share with its exact interval.

Promoting nothing would never be wrong; so what is found where something is counts as much as what is found where nothing
is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from quantga.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tried:
    """One program of a shortlist: what was said of it, and what is true. Ratios are annual Sharpe ratios.

    p_mine: of the search. p_hold: of the holdout; None where it stayed shut. forecast: (ratio, low, high); seen: (ratio in
    the holdout, its error); None where there are none. true: its ratio on fresh years; None where nobody measured it.
    """

    text: str
    p_mine: float
    p_hold: float | None
    forecast: tuple[float, float, float] | None
    seen: tuple[float, float] | None
    promoted: bool
    true: float | None


@dataclass(frozen=True, slots=True)
class Validated:
    """One validation on one made market.

    family: its name. sharpe: what is planted there, 0 for nothing. seed: names the market. trials: programs appraised.
    p_mine: of the best of the shortlist, randomised at the stop; 1 where nothing was found. tried: the shortlist, the
    champion first. oracle: what one who knows the process has on the fresh years. naive: whether the naive pipeline (the
    best of the top 20 by one look at the next year, annual Sharpe ratio above 1) would have promoted.
    """

    family: str
    sharpe: float
    seed: int
    trials: int
    p_mine: float
    tried: tuple[Tried, ...]
    oracle: float
    naive: bool

    @property
    def promoted(self) -> tuple[Tried, ...]:
        """Those that passed."""
        return tuple(one for one in self.tried if one.promoted)

    @property
    def captured(self) -> float:
        """Return the champion's share of the oracle's ratio; 0 where there is no champion."""
        true = self.tried[0].true if self.tried else None
        return true / self.oracle if true is not None and self.oracle > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, and the 95 % interval of Clopper and Pearson for the share behind it."""

    count: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Honesty:
    """The table. Keys of families are their names, those of Sharpe ratios "1", "2", "3"; absent where nothing was run.

    null_promoted: null runs with any promotion, their share in null_share; by family in null_families, by the naive pipeline in
    null_naive. power: share of planted runs with a promotion, by planted Sharpe ratio, with its interval in power_shares. capture: median over all planted runs of the champion's
    share of the oracle's ratio, promoted or not. weak: promotions in planted markets whose true ratio is below 0.3. bias: mean
    of forecast less true over all promotions; coverage: intervals that hold the true ratio; width: their median. p_low: null
    runs with p_mine at most 0.05; p_uniform: p of Kolmogorov and Smirnov's test that p_mine is uniform on nulls.
    """

    null_runs: int
    null_promoted: int
    null_share: Share
    null_naive: Share
    null_families: dict[str, Share]
    power: dict[str, float]
    power_shares: dict[str, Share]
    power_families: dict[str, dict[str, Share]]
    naive_power: dict[str, Share]
    capture: dict[str, float]
    capture_families: dict[str, dict[str, float]]
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
    by_level = {
        f"{level:g}": [r for r in planted if r.sharpe == level] for level in sorted({r.sharpe for r in planted})
    }
    told = [(one.true, one.forecast) for run in known for one in run.promoted]
    judged = [(true, *forecast) for true, forecast in told if true is not None and forecast is not None]
    in_planted = [one for run in planted for one in run.promoted]
    return Honesty(
        null_runs=len(null),
        null_promoted=_promoted(null).count,
        null_share=_promoted(null),
        null_naive=_naive(null),
        null_families=_by_family(null, _promoted),
        power={level: _promoted(group).count / len(group) for level, group in by_level.items()},
        power_shares={level: _promoted(group) for level, group in by_level.items()},
        power_families={level: _by_family(group, _promoted) for level, group in by_level.items()},
        naive_power={level: _naive(group) for level, group in by_level.items()},
        capture={level: _captured(group) for level, group in by_level.items()},
        capture_families={level: _by_family(group, _captured) for level, group in by_level.items()},
        weak=share(sum(one.true is not None and one.true < 0.3 for one in in_planted), len(in_planted)),
        bias=float(np.mean([said - true for true, said, _, _ in judged])) if judged else None,
        coverage=share(sum(low <= true <= high for true, _, low, high in judged), len(judged)),
        width=float(np.median([high - low for _, _, low, high in judged])) if judged else None,
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


def _captured(runs: Sequence[Validated]) -> float:
    return float(np.median([run.captured for run in runs]))


def _by_family[T](runs: Sequence[Validated], figure: Callable[[Sequence[Validated]], T]) -> dict[str, T]:
    return {name: figure([run for run in runs if run.family == name]) for name in sorted({run.family for run in runs})}
