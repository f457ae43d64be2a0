"""Drive a run as a process of its own, to be killed, starved of processor features and given other hash seeds.

It stops at a generation and waits there for its end if it is told to: whoever kills it is then never too late.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from quantga.cluster.evolution import run_evolution
from quantga.cluster.progress import show_progress
from tests.cluster.searches import settings


def waiting_at(generation: int):
    """Show progress, and go no further than a generation (0: to the end)."""

    @contextmanager
    def report(started):
        with show_progress(started) as show:

            def told(standing):
                show(standing)
                while 0 < generation <= standing.generation:
                    time.sleep(0.1)

            yield told

    return report


def main(store: str, workers: str, generations: str, resume: str = "", hold: str = "0") -> None:
    chosen = settings(Path(store), generations=int(generations), population=48)
    cluster = chosen.cluster.model_copy(update={"workers": int(workers), "batch_ms": 1})
    run = run_evolution(chosen.model_copy(update={"cluster": cluster}), resume=resume, report=waiting_at(int(hold)))
    print(run.digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
