"""How cost grows with the population, and what a start costs."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

from quantga.bench.laps import interleave
from quantga.bench.populations import COSTS
from quantga.engine.appraise import appraise
from quantga.lang.bars import Bars
from quantga.lang.program import Program

_IMPORT = "import time; s = time.process_time(); import quantga; {}; print(time.process_time() - s)"
_WARM = """
import pickle, sys, time
s = time.process_time()
with open(sys.argv[1], 'rb') as file:
    head, *buffers = pickle.load(file)
programs, market, trial = pickle.loads(head, buffers=buffers)
from quantga.engine.appraise import appraise_market
appraise_market(programs, market, trial)
print(time.process_time() - s)
"""


def us_by_count(programs: Sequence[Program], bars: Bars, counts: Sequence[int], laps: int = 5) -> dict[str, float]:
    """Return CPU microseconds a program, by how many are appraised together; every lap appraises all of `programs`.

    Small populations are cut from all parts of the large one, so all counts judge the same programs.
    """

    def run(count: int, _: int) -> None:
        for at in range(0, len(programs), count):
            appraise(programs[at : at + count], bars, COSTS)

    found = interleave({str(count): (len(programs), partial(run, count)) for count in counts}, laps)
    return {name: one.typical * 1e6 for name, one in found.items()}


def import_seconds(use: str = "pass", laps: int = 3) -> float:
    """Return the median CPU seconds of `import quantga` and a first `use` of it, in a fresh interpreter."""
    return median(_seconds([_IMPORT.format(use)]) for _ in range(laps))


def _seconds(arguments: list[str]) -> float:
    answer = subprocess.run([sys.executable, "-c", *arguments], check=True, capture_output=True, text=True)  # noqa: S603
    return float(answer.stdout.split()[-1])


def pack(work: object, path: Path) -> Path:
    """Write what a batch needs to a file: arrays apart, as they travel to a Ray worker."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(work, protocol=5, buffer_callback=buffers.append)
    path.write_bytes(pickle.dumps([head, *(bytes(one.raw()) for one in buffers)]))
    return path


def first_batch_seconds(parcel: Path) -> float:
    """Return CPU seconds, imports included, of a new process's first batch; `parcel` names a file of `pack`.

    Its arrays arrive as Ray's do: without a copy, and not to be written to.
    """
    return _seconds([_WARM, str(parcel)])
