"""Tests of a whole set of trials against doing nothing: Hansen's SPA and StepM, through `arch`.

They hold for a set that was fixed before these days were seen. A search adapts its trials to the days it scores them on:
on those the test is mildly too generous, on fresh days it is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantga.errors import ConfigError, DataError
from quantga.streams import stream
from quantga.trust.overfitting import Panel


@dataclass(frozen=True, slots=True)
class Superiority:
    """p-values of "no trial earns more than nothing": with studentised maxima, recentred in Hansen's three ways.

    consistent is the one to quote; the others bound it. better: the trials that StepM finds above nothing, by column.
    """

    lower: float
    consistent: float
    upper: float
    better: tuple[int, ...]


def superiority(
    panel: Panel, seed: int, *, level: float = 0.05, block: int = 0, repetitions: int = 1000
) -> Superiority:
    """Return Hansen's test (2005) and StepM (Romano and Wolf 2005) of `panel` by the stationary bootstrap.

    Args:
        panel: daily returns; trials that never moved are not tested.
        seed: of the run; the draws are the streams (seed, "spa") and (seed, "stepm").
        level: of StepM, family-wise.
        block: mean block length in days; 0 takes sqrt(days), as `arch` does.
        repetitions: of the bootstrap.

    Raises:
        DataError: no trial moved, or there are fewer than 20 days.
        ConfigError: a level or a number of repetitions that makes no test.
    """
    from arch.bootstrap import SPA, StepM  # noqa: PLC0415 (takes seconds to import)

    if not 0 < level < 1 or repetitions < 100:
        raise ConfigError(f"level {level} with {repetitions} repetitions: take a level within (0, 1) and at least 100")
    moving = np.flatnonzero(panel.returns.std(axis=0) > 1e-14)
    if not len(moving) or len(panel.days) < 20:
        raise DataError("superiority needs at least 20 days and a trial that moved")
    losses, nothing = -panel.returns[:, moving], np.zeros(len(panel.days))
    size = block or max(int(np.sqrt(len(panel.days))), 1)
    spa = SPA(nothing, losses, block_size=size, reps=repetitions, seed=stream(seed, "spa"))
    spa.compute()
    step = StepM(nothing, losses, size=level, block_size=size, reps=repetitions, seed=stream(seed, "stepm"))
    step.compute()
    better = tuple(int(moving[column]) for column in sorted(int(str(name)) for name in step.superior_models))
    return Superiority(
        float(spa.pvalues["lower"]), float(spa.pvalues["consistent"]), float(spa.pvalues["upper"]), better
    )
