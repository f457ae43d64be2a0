"""The task that a worker runs: a module of its own, so that a worker imports what appraising needs and nothing more.

What all batches share, the market made ready, lies in the object store; a worker maps it once, and a batch brings programs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from quantga.engine.appraise import Appraisals
from quantga.lang.bars import DAY_MS, Bars
from quantga.lang.evaluate import TILE
from quantga.lang.genes import Genes
from quantga.lang.program import Program, Token

type Market = Mapping[str, Bars]
type Appraise = Callable[[Sequence[Program]], Appraisals]

_KEPT = 2  # markets that a worker has mapped: that of the run, and that of another run which shares the worker
_WORKER_BYTES = 260 << 20
_BAR_BYTES = 128


@dataclass(frozen=True)
class Parcel:
    """Programs as they are sent: genes, which many have in common, once; `of[i]` is the place of program i's in `genes`."""

    tokens: tuple[tuple[Token, ...], ...]
    genes: tuple[Genes, ...]
    of: tuple[int, ...]

    @classmethod
    def pack(cls, programs: Sequence[Program]) -> Parcel:
        """Return the parcel of some programs."""
        places: dict[Genes, int] = {}
        of = tuple(places.setdefault(program.genes, len(places)) for program in programs)
        return cls(tuple(program.tokens for program in programs), tuple(places), of)

    def unpack(self) -> list[Program]:
        """Return the programs."""
        return [Program(tokens, self.genes[place]) for tokens, place in zip(self.tokens, self.of, strict=True)]


@dataclass(frozen=True)
class Verdicts:
    """What a task sends back: the arrays of `Appraisals`, its seconds of work, and whether it was its worker's first here."""

    score: NDArray[np.float64]
    cases: NDArray[np.float64]
    behaviour: NDArray[np.uint64]
    figures: NDArray[np.float64]
    failure: NDArray[np.uint8]
    seconds: float
    first: bool


_mapped: dict[str, Appraise] = {}


def _judge(held: Sequence[Any], sent: Parcel) -> Verdicts:
    """Appraise one batch in a worker. held: the reference of an `Appraise`, in a list, so that Ray leaves it to us."""
    name = held[0].hex()
    first = name not in _mapped
    if first:
        for old in list(_mapped)[: len(_mapped) + 1 - _KEPT]:
            del _mapped[old]
        _mapped[name] = ray.get(held[0])
    started = time.perf_counter()
    found = _mapped[name](sent.unpack())
    seconds = time.perf_counter() - started
    return Verdicts(found.score, found.cases, found.behaviour, found.figures, found.failure, seconds, first)


def task_bytes(market: Market) -> int:
    """Return the memory that a task takes, in bytes, besides the market that all share.

    Measured: a warm worker has 190 to 210 MB of its own; then the columns that programs read, 56 to 112 bytes a bar, and
    the equity of a tile's programs by day.
    """
    days = sum(len(bars) * bars.interval // DAY_MS for bars in market.values())
    return _WORKER_BYTES + _BAR_BYTES * sum(map(len, market.values())) + 2 * 8 * TILE * days


# No retries of Ray's own: it would retry a task killed for memory for ever, as large as it was. The fan-out retries.
appraise_batch = ray.remote(num_cpus=1, max_retries=0)(_judge)


def largest_node() -> int:
    """Return the memory of the largest node there is: a task that asks for more would wait for ever."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return int(max((node["Resources"].get("memory", 0.0) for node in nodes if node["Alive"]), default=0.0))
