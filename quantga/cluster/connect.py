"""Which Ray the work runs on: one decision, for a laptop, a job and a workspace.

A bare `ray.init()` attaches to whatever cluster it finds on the machine, and "local" inside a workspace would ignore
that workspace's cluster; so the address is always said.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from quantga.cluster.budget import OTHER
from quantga.errors import ClusterError, ConfigError
from quantga.settings import Cluster, ray_address

_PATIENCE_S = 10.0
_STORE_BYTES = 512 * 1024 * 1024
_PLAIN = ("CPU", "GPU", "memory", "object_store_memory")


@contextmanager
def connect(cluster: Cluster) -> Iterator[int]:
    """Connect to Ray, yield how many tasks may run at once, and disconnect; a Ray already there is used and left as it is.

    Raises ClusterError where no Ray answers, ConfigError for an impossible number of workers and for another Ray or Python there.
    """
    if cluster.workers is not None and cluster.workers < 1:
        raise ConfigError(f"workers={cluster.workers}: at least one is needed")
    if ray.is_initialized():
        yield workers_of(cluster)
        return
    address = address_of(cluster)
    _require_listener(address)
    try:
        ray.init(**(_local(cluster) if address == "local" else {"address": address}), **_quiet())
    except Exception as error:  # a node that is too slow to start raises no narrower one
        if "Version mismatch" in str(error):
            raise ConfigError(_mismatch(address, str(error))) from error
        raise ClusterError(f"Ray at {address!r} does not answer ({_first_line(error)}): {_advice(address)}") from error
    try:
        yield workers_of(cluster)
    finally:
        ray.shutdown()


def _mismatch(address: str, said: str) -> str:
    there, python_there, here, python = re.findall(r"(?:Ray|Python): (\S+)", said)[:4]
    return (
        f"the cluster at {address} runs Ray {there} and Python {python_there}, and this is Ray {here} and Python {python}: use the "
        "same on both sides, as the cluster's image or a job does"
    )


def lacks_package(error: Exception) -> ClusterError | None:
    """Return what to say where a node could not load what a task needs; None where it failed for another reason."""
    found = re.search(r"No module named '([^']+)'", str(error))
    if found is None:
        return None
    return ClusterError(
        f"a node of the cluster has no {found[1]!r}: give all nodes the same image, or send the command as a job "
        "(`quantga job submit`), which takes the package along"
    )


def address_of(cluster: Cluster) -> str:
    """Return the address: the setting's (`--address`), else what the surroundings name, else "local"."""
    return cluster.address or ray_address() or "local"


def _require_listener(address: str) -> None:
    """Raise ClusterError where nobody listens at `host:port`: Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"no Ray listens at {address} ({_first_line(error)}): {_advice(address)}") from error


def workers_of(cluster: Cluster) -> int:
    """Return how many tasks may run at once on the Ray that we are connected to, as it is now."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return cluster.workers or max(1, int(resources.get("CPU", 1)))


def node_types() -> dict[str, int]:
    """Return how many nodes of each type there are; this machine, where there is no Ray, is one that says none.

    A node's type is its label `ray.io/node-group`, which autoscalers and KubeRay give, else the first resource of its own.
    """
    if not ray.is_initialized():
        return {OTHER: 1}
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return dict(sorted(Counter(_type_of(node) for node in nodes if node["Alive"]).items()))


def _type_of(node: Mapping[str, Any]) -> str:
    group = node.get("Labels", {}).get("ray.io/node-group")
    own = (name for name in sorted(node["Resources"]) if name not in _PLAIN and ":" not in name)
    return str(group or next(own, OTHER))


def _local(cluster: Cluster) -> dict[str, Any]:
    cpus = cluster.workers or len(os.sched_getaffinity(0))
    return {"address": "local", "num_cpus": cpus, "include_dashboard": False, "object_store_memory": _STORE_BYTES}


def _quiet() -> dict[str, Any]:
    """Say nothing unasked. Ray itself gives tasks of one CPU one thread (OMP_NUM_THREADS=1)."""
    return {"log_to_driver": False, "logging_level": logging.ERROR}


def _advice(address: str) -> str:
    if address == "local":
        return "is there memory left, and may this user write to its temporary folder?"
    return "give --address of one that runs, or --address local for one of your own"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
