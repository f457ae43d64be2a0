"""The one `njit`: compiled code is cached per digest of all sources that it may have been compiled from.

Numba refreshes a cached function when its own file changes, not when a function that it calls in another file does;
so the cache folder carries the digest of every module with compiled code, and a stale kernel cannot survive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numba

_PACKAGE = Path(__file__).resolve().parent.parent


def _digest() -> str:
    digest = hashlib.sha256(f"{numba.__version__}".encode())
    for floor in ("lang", "engine", "trust"):
        for source in sorted((_PACKAGE / floor).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def cache_directory() -> Path:
    """Return where compiled code lies: `$QUANTGA_JIT_CACHE`, else `$XDG_CACHE_HOME/quantga`, else `~/.cache/quantga`."""
    base = os.environ.get("QUANTGA_JIT_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quantga" / f"jit-{_digest()}"


numba.config.CACHE_DIR = str(cache_directory())  # type: ignore[attr-defined]


def njit[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` lazily: strict IEEE arithmetic, no threads, cached on disk, the GIL released."""
    compiled: Callable[P, R] = numba.njit(cache=True, fastmath=False, nogil=True, error_model="numpy")(function)
    return compiled
