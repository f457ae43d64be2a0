"""The one `njit`: compiled code is cached per digest of all sources that it may have been compiled from.

Numba refreshes a cached function when its own file changes, not when a function that it calls in another file does;
so a floor's cache folder carries the digest of its sources and of those below, and a stale kernel cannot survive. It
does not carry the package's path: a copy of the package, as Ray makes one for a job, finds what was compiled before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import UserProvidedCacheLocator

_PACKAGE = Path(__file__).resolve().parent.parent
_FLOORS = ("lang", "engine", "trust")  # each may call compiled code of itself and of those before it
_STALE_DAYS = 14
_DAY_SECONDS = 86_400.0


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


class DigestLocator(UserProvidedCacheLocator):
    """Tells Numba to keep a function's code in its floor's folder, wherever its source lies."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        super().__init__(function, source)  # type: ignore[no-untyped-call]
        self._cache_path = str(cache_directory(function.__module__))


@contextlib.contextmanager
def _own_folder() -> Iterator[None]:
    """Let functions that are decorated meanwhile be cached in our folders; other packages' stay where they are."""
    config: Any = numba.config
    before = config.CACHE_LOCATOR_CLASSES, config.CACHE_DIR
    config.CACHE_LOCATOR_CLASSES, config.CACHE_DIR = f"{__name__}.DigestLocator", str(cache_directory())
    try:
        yield
    finally:
        config.CACHE_LOCATOR_CLASSES, config.CACHE_DIR = before


def njit[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` lazily: strict IEEE arithmetic, no threads, cached on disk, the GIL released."""
    with _own_folder():
        compiled: Callable[P, R] = numba.njit(cache=True, fastmath=False, nogil=True, error_model="numpy")(function)
    return compiled


def inlined[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled code take in `function` where it is called: no code of its own, so nothing is compiled twice."""
    taken_in: Callable[P, R] = numba.njit(
        fastmath=False, error_model="numpy", no_cfunc_wrapper=True
    )(function)
    return taken_in


def entry(function: Callable[..., None], signature: Any) -> int:
    """Compile `function` now, or load it, and return its address: whoever calls that does not compile it again."""
    with _own_folder():
        compiled: Any = numba.cfunc(signature, cache=True, fastmath=False, error_model="numpy")(function)
    address: int = compiled.address
    return address
