"""What machine it is, and what it could do at best: loops that do nothing but load, add, divide and store."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from quantga.lang.bars import Floats
from quantga.lang.jit import njit
from quantga.lang.ops import BLOCK
from quantga.streams import stream

_LIBRARIES = ("quantga", "numba", "numpy", "pandas", "vectorbt", "vectorbt-rust", "deap", "pyoperon", "ray")
_ROUNDS = 20_000
_STREAM = 16_000_000  # 128 MB: larger than the caches


@dataclass(frozen=True)
class Floor:
    """Nanoseconds that the machine needs at least.

    pass_: per bar, to read two blocks that lie in the first-level cache, add and store. fill: per order, two divisions
    after each other and the sums around them. stream: per byte, to read memory.
    """

    pass_: float
    fill: float
    stream: float


def describe() -> dict[str, object]:
    """Return processor, libraries, load and time."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "libraries": {name: found for name in _LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    facts: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    flags = facts.get("flags", "").split()
    vector = next((name for name in ("avx512f", "avx2", "avx", "sse2") if name in flags), "no vectors")
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', platform.machine())}, {family}, {vector}, {facts.get('cache size', '?')} L2"


def floor() -> Floor:
    """Measure the machine's floor: the least of several runs of bare loops."""
    a, b, out = (stream(0, "floor", name).random(BLOCK) for name in ("a", "b", "out"))
    wide = np.ones(_STREAM)
    return Floor(
        _least(lambda: _add(a, b, out, _ROUNDS)) / (_ROUNDS * BLOCK) * 1e9,
        _least(lambda: _chain(1.1, _ROUNDS * 10)) / (_ROUNDS * 10) * 1e9,
        _least(lambda: _read(wide)) / (_STREAM * 8) * 1e9,
    )


def _least(run: Callable[[], object]) -> float:
    run()
    found = []
    for _ in range(7):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return min(found)


@njit
def _add(a: Floats, b: Floats, out: Floats, rounds: int) -> None:
    for r in range(rounds):
        for i in range(BLOCK):
            out[i] = a[i] + b[i]
        a[r % BLOCK] += 1e-9  # else one round would do


@njit
def _chain(value: float, rounds: int) -> float:
    cash, units = 1.0, 0.0
    for _ in range(rounds):
        price = value + cash * 1e-9
        equity = cash + units * price
        units = equity / (price * 1.00045)
        cash = equity - units * price * 1.0002
        value = 1.0 + 1.0 / (1.0 + cash * cash)
    return cash


@njit
def _read(wide: Floats) -> float:
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(0, len(wide), 32):  # a load per other cache line is enough to move them all
        a += wide[i]
        b += wide[i + 8]
        c += wide[i + 16]
        d += wide[i + 24]
    return a + b + c + d
