"""A run's figures at Ray's own metrics endpoint."""

from __future__ import annotations

import time
import urllib.request

import pytest

from quantga.cluster.budget import Spent
from quantga.cluster.gauges import GAUGES, on_dashboard
from quantga.cluster.progress import Standing, Started, silent


def exposed(port: int) -> dict[str, float]:
    """Return what the endpoint says of our gauges: {name: value} of the run "told"."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    ours = [line for line in lines if line.startswith("ray_quantga_") and 'run="told"' in line]
    return {line.partition("{")[0]: float(line.rsplit(" ", 1)[1]) for line in ours}


@pytest.mark.timeout(240)
def test_the_figures_of_a_run_are_at_rays_metrics_endpoint(ray_local):
    seen = []
    started = Started("told", "BTC", 10, 0)
    with on_dashboard(silent)(started) as watch:
        watch(Standing(2, (1.5, float("nan"), 2.5), (0.1, 0.2, 0.3), 300, 50, 40, 25, Spent(1.25, 0.5, 0.1)))
        (node,) = [node for node in ray_local.nodes() if node["Alive"]]
        deadline = time.monotonic() + 200
        while len(seen) < len(GAUGES):
            assert time.monotonic() < deadline, f"only {seen} came"
            time.sleep(0.5)
            found = exposed(node["MetricsExportPort"])
            seen = sorted(found)
    speed = found.pop("ray_quantga_appraisals_per_second")
    assert speed > 0
    assert found == {
        "ray_quantga_generation": 2,
        "ray_quantga_best_score": 2.5,
        "ray_quantga_trials": 300,
        "ray_quantga_unlike_share": 0.5,
        "ray_quantga_spent_usd": 1.25,
    }
