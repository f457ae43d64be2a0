"""A run's account: what its nodes have cost over all calls, kept in the lake, and whether another generation may begin.

What a generation cost is written before its commit, so a driver that is killed loses the account of one generation at most.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import inf

from quantga.cluster.budget import Budget, Meter, Spent, usd_per_hour
from quantga.cluster.connect import node_types
from quantga.cluster.record import RunFiles
from quantga.errors import ConfigError, ManifestMismatch

_COST = "/cost-"


class Account:
    """Counts a run's cost from when it is made; where no prices are set, its time alone."""

    def __init__(self, files: RunFiles, prices: Mapping[str, float], budget: Budget) -> None:
        self._files, self._prices, self._budget = files, prices, budget
        costs = costs_of(files) if prices else []
        self._before, self._lap = sum(costs), (costs[-1] if costs else 0.0, 0.0)
        self._meter = Meter(time.time(), self._rate())
        self._require_more()

    def settle(self, generation: int, champions: int) -> Spent | None:
        """Write down what a generation cost, before it is committed; return what the run has cost, if that is known."""
        meter = self._meter
        spent = self._before + meter.read(time.time(), self._rate())
        self._lap = meter.lap_usd, meter.lap_seconds
        if not self._prices:
            return None
        cost = {"usd": meter.lap_usd, "seconds": meter.lap_seconds, "usd_per_hour": meter.rate, "nodes": node_types()}
        name = f"{self._files.folder}/gen={generation - 1:04d}{_COST}{time.time_ns()}.json"
        self._files.lake.put_json(name, cost)
        return Spent(spent, meter.rate, spent / champions if champions else inf)

    def reached(self) -> str:
        """Return why no further generation is begun, or "" if one may be."""
        return self._budget.reached(self._before + self._meter.usd, time.time(), *self._lap)

    def _rate(self) -> float:
        return usd_per_hour(node_types(), self._prices) if self._prices else 0.0

    def _require_more(self) -> None:
        why = self.reached()
        if why:
            raise ConfigError(f"run {self._files.id} cannot go on: {why}; raise the budget and give the command again")


def costs_of(files: RunFiles) -> list[float]:
    """Return what each generation that was paid for has cost, in order; one that was computed twice was paid for twice."""
    return [_usd(files, path) for path in files.lake.paths(files.folder) if _COST in path]


def _usd(files: RunFiles, path: str) -> float:
    value = files.lake.read_json(path)
    if not isinstance(value, dict) or not isinstance(value.get("usd"), float):
        raise ManifestMismatch(f"{files.lake.where(path)} names no cost: restore it, or delete it to forget that cost")
    return float(value["usd"])
