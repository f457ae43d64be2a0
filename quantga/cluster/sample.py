"""A sample of everything that a run tried, traded again: what diagnostics and pictures of a search are made of.

A run appraises thousands of programs; of those that behaved differently the best and a fair draw of the rest are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from quantga.cluster.record import RunFiles
from quantga.engine.costs import Costs
from quantga.lang.bars import Bars
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.streams import stream
from quantga.trust.overfitting import Panel
from quantga.trust.track import panel, track

BEST = 40
DRAWN = 160


@dataclass(frozen=True)
class Sample:
    """Programs of a run, the best score first. distinct: how many behaved differently in all of the run."""

    programs: tuple[Program, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    distinct: int

    def panel(self, market: Mapping[str, Bars], costs: Costs, window: tuple[int, int]) -> Panel:
        """Return their daily detrended returns over [start, end) (ms)."""
        return panel([track(program, market, costs, *window) for program in self.programs])


def sample_of(files: RunFiles, seed: int) -> Sample:
    """Return the sample of a finished run: the stream (seed, "sample") draws."""
    best: dict[int, tuple[float, str]] = {}
    for generation in range(files.committed()):
        for score, behaviour, text in files.tried(generation):
            if np.isfinite(score) and best.get(behaviour, (-np.inf, ""))[0] < score:
                best[behaviour] = (score, text)
    ordered = sorted(best.values(), key=lambda one: (-one[0], one[1]))
    rest = ordered[BEST:]
    places = stream(seed, "sample").permutation(len(rest))[:DRAWN]
    taken = [*ordered[:BEST], *(rest[place] for place in sorted(places.tolist()))]
    return Sample(tuple(parse(text) for _, text in taken), tuple(score for score, _ in taken), len(ordered))
