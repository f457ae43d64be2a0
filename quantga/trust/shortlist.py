"""The shortlist: the few best programs of a search that are not the same in other words, chosen by the search's own score.

Chosen before the holdout is opened and by nothing that has seen it; a second program that moves with the first would only
be a second ticket for the same draw.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantga.errors import ConfigError
from quantga.trust.overfitting import Panel

MOST = 5
ALIKE = 0.7
"""Programs whose daily returns are correlated by this or more (or by minus this) count as one."""


def shortlist(scores: Sequence[float], trials: Panel, most: int = MOST, alike: float = ALIKE) -> list[int]:
    """Return the columns of `trials` that are put on the shortlist, the best score first.

    Taken in the order of their scores (ties: the earlier column), each unless it is alike one already taken. A program
    that never moved, or whose score is not finite, is not taken.

    Args:
        scores: by column, the search's own fitness.
        trials: daily returns on the days that were searched.
        most: how many at the most.
        alike: the correlation from which on two count as one.

    Raises:
        ConfigError: scores and columns differ in number, or a limit that allows nothing.
    """
    if len(scores) != trials.trials or most < 1 or not 0 < alike <= 1:
        raise ConfigError(f"{len(scores)} scores for {trials.trials} programs, {most} at most, alike from {alike}")
    taken: list[int] = []
    about = trials.returns - trials.returns.mean(axis=0)
    sizes = np.sqrt((about * about).sum(axis=0))
    for one in sorted(range(len(scores)), key=lambda k: (-scores[k], k)):
        if not np.isfinite(scores[one]) or sizes[one] <= 1e-14 or len(taken) == most:
            continue
        ties = (abs(float((about[:, one] * about[:, k]).sum() / (sizes[one] * sizes[k]))) for k in taken)
        if all(tie < alike for tie in ties):
            taken.append(one)
    return taken
