"""The one `njit`: compiled code is cached per digest of all sources that it may have been compiled from.

Numba refreshes a cached function when its own file changes, not when a function that it calls in another file does;
so a floor's cache folder carries the digest of its sources and of those below, and a stale kernel cannot survive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
from numba.extending import register_jitable

_PACKAGE = Path(__file__).resolve().parent.parent
_FLOORS = ("lang", "engine", "trust")  # each may call compiled code of itself and of those before it


@cache
def _digest(floors: tuple[str, ...]) -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for floor in floors:
        for source in sorted((_PACKAGE / floor).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def cache_directory(module: str = "quantga.trust") -> Path:
    """Return where a module's compiled code lies.

    It is below `$QUANTGA_JIT_CACHE`, else `$XDG_CACHE_HOME`, else `~/.cache`.
    """
    base = os.environ.get("QUANTGA_JIT_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    floor = next((floor for floor in _FLOORS if module.startswith(f"quantga.{floor}")), _FLOORS[-1])
    floors = _FLOORS[: _FLOORS.index(floor) + 1]
    return Path(base) / "quantga" / f"jit-{floor}-{_digest(floors)}"


def njit[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` lazily: strict IEEE arithmetic, no threads, cached on disk, the GIL released."""
    numba.config.CACHE_DIR = str(cache_directory(function.__module__))  # type: ignore[attr-defined]
    compiled: Callable[P, R] = numba.njit(cache=True, fastmath=False, nogil=True, error_model="numpy")(function)
    return compiled


def inlined[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled code take in `function` where it is called: no code of its own, so nothing is compiled twice."""
    taken_in: Callable[P, R] = register_jitable(inline="always")(function)
    return taken_in
