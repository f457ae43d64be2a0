"""A run's key figures as Ray's own metrics, so that they stand on the cluster's dashboard and in its Prometheus.

Ray puts `ray_` before their names. Each has the tag `run`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import nan

from ray.util.metrics import Gauge

from quantga.cluster.progress import Report, Standing, Started, Watch

GAUGES = {
    "quantga_generation": "generations that are committed",
    "quantga_best_score": "best score of all islands",
    "quantga_trials": "distinct programs appraised so far",
    "quantga_appraisals_per_second": "programs appraised for the first time, a second, in the last generation",
    "quantga_unlike_share": "distinct behaviours among the programs of the last generation",
    "quantga_spent_usd": "what the run's nodes have cost, where they have prices",
}


def on_dashboard(report: Report) -> Report:
    """Return a report that sets the gauges besides; for where Ray is connected."""

    @contextmanager
    def both(started: Started) -> Iterator[Watch]:
        with report(started) as watch:
            gauges = _Gauges(started.run)

            def tell(standing: Standing) -> None:
                watch(standing)
                gauges.set(standing)

            yield tell

    return both


class _Gauges:
    def __init__(self, run: str) -> None:
        self._gauges = {name: Gauge(name, what, tag_keys=("run",)) for name, what in GAUGES.items()}
        for gauge in self._gauges.values():
            gauge.set_default_tags({"run": run})
        self._since = time.monotonic()

    def set(self, standing: Standing) -> None:
        now = time.monotonic()
        found = {
            "quantga_generation": standing.generation,
            "quantga_best_score": max((one for one in standing.best if one == one), default=nan),  # noqa: PLR0124 (NaN)
            "quantga_trials": standing.trials,
            "quantga_appraisals_per_second": standing.new / max(1e-9, now - self._since),
            "quantga_unlike_share": standing.unlike / max(1, standing.asked),
        }
        if standing.spent is not None:
            found["quantga_spent_usd"] = standing.spent.usd
        for name, value in found.items():
            self._gauges[name].set(float(value))
        self._since = now
