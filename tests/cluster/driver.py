"""Drive a run as a process of its own, to be killed, starved of processor features and given other hash seeds."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from quantga.cluster.evolution import run_evolution
from quantga.cluster.progress import show_progress
from tests.cluster.searches import settings


def main(store: str, workers: str, generations: str, resume: str = "") -> None:
    chosen = settings(Path(store), generations=int(generations), population=48)
    cluster = chosen.cluster.model_copy(update={"workers": int(workers), "batch_ms": 1})
    run = run_evolution(chosen.model_copy(update={"cluster": cluster}), resume=resume, report=show_progress)
    print(run.digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
