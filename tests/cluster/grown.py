"""A search on a cluster that has no worker until work waits: run in namespaces of its own, says how many there were.

The nodes are processes here, by Ray's own provider for tests; the autoscaler and what it decides are real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

MOST = 3
CONFIG = {
    "cluster_name": "grown",
    "max_workers": MOST,
    "idle_timeout_minutes": 0.1,
    "upscaling_speed": 10,
    "provider": {
        "type": "external",
        "module": "tests.cluster.grown_nodes.Nodes",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "auth": {"ssh_user": "nobody"},
    "docker": {},
    "file_mounts": {},
    **{
        name: []
        for name in (
            *("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands"),
            *("head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands"),
        )
    },
    "file_mounts_sync_continuously": False,
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "spot": {
            "resources": {"CPU": 1, "memory": 4_000_000_000, "object_store_memory": 100_000_000, "spot": 1},
            "node_config": {},
            "min_workers": 0,
            "max_workers": MOST,
        },
    },
}


def main(store: str) -> None:
    folder = Path(store).parent
    (folder / "grown.yaml").write_text(json.dumps(CONFIG))
    environment = {
        **os.environ,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_AUTH_MODE": "disabled",
    }
    ray_start = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--num-cpus=0", "--port=6379"]
    more = ["--include-dashboard=false", "--disable-usage-stats", f"--autoscaling-config={folder / 'grown.yaml'}"]
    subprocess.run([*ray_start, *more], env=environment, check=True, stdout=subprocess.DEVNULL)
    os.environ.update(environment)

    import ray

    from quantga.cluster.connect import node_types
    from quantga.cluster.evolution import run_evolution
    from tests.cluster.searches import settings

    ray.init(address="127.0.0.1:6379", log_to_driver=False, logging_level="error")
    counts = [node_types().get("spot", 0)]
    over = threading.Event()

    def count() -> None:
        while not over.wait(0.2):
            counts.append(node_types().get("spot", 0))

    watching = threading.Thread(target=count)
    watching.start()
    run = run_evolution(settings(Path(store), population=200, generations=20))
    ended = time.monotonic()
    while counts[-1] and time.monotonic() - ended < 600:
        time.sleep(0.2)
    over.set()
    watching.join()
    answer = {"digest": run.digest, "first": counts[0], "most": max(counts), "last": counts[-1]}
    print(json.dumps({**answer, "seconds_until_none": round(time.monotonic() - ended)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
