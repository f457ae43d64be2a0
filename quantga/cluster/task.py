"""The task that a worker runs: a module of its own, so that a worker imports what appraising needs and nothing more."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import ray
from numpy.typing import NDArray

from quantga.engine.appraise import Appraisals, Trial
from quantga.lang.bars import Bars
from quantga.lang.genes import Genes
from quantga.lang.program import Program, Token

type Market = Mapping[str, Bars]
type Judge = Callable[[Sequence[Program], Market, Trial], Appraisals]
type Sent = Sequence[tuple[tuple[Token, ...], Genes]]


@dataclass(frozen=True)
class Verdicts:
    """What a task sends back: the arrays of `Appraisals`, its seconds of work, and whether it was its process's first."""

    score: NDArray[np.float64]
    cases: NDArray[np.float64]
    behaviour: NDArray[np.uint64]
    figures: NDArray[np.float64]
    failure: NDArray[np.uint8]
    seconds: float
    first: bool


_batches_here = 0


def _judge(market: Market, trial: Trial, judge: Judge, sent: Sent) -> Verdicts:
    """Appraise one batch in a worker."""
    global _batches_here  # noqa: PLW0603 (a process's first batch loads compiled code: it says nothing about pace)
    started = time.perf_counter()
    found = judge([Program(tokens, genes) for tokens, genes in sent], market, trial)
    _batches_here += 1
    seconds = time.perf_counter() - started
    return Verdicts(
        found.score, found.cases, found.behaviour, found.figures, found.failure, seconds, _batches_here == 1
    )


appraise_batch = ray.remote(num_cpus=1, max_retries=3)(_judge)
