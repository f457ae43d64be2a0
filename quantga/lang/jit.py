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
_DAY_SECONDS = 86_400.0
_KEPT_DAYS = 30  # a folder that no process has opened for so long is removed
_KEPT_SPARE = 6  # and, after a day, one that is not among so many opened last of its floor


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


@cache
def _opened(folder: Path) -> Path:
    """Make sure that the folder is there and marked as used now; a new one first makes room for itself."""
    if not folder.is_dir():
        remove_stale(folder.parent, time.time())
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # another user's, or read-only: what is in it can still be loaded
        os.utime(folder)
    return folder


def remove_stale(base: Path, now: float) -> list[Path]:
    """Remove folders of compiled code that no process has opened lately; return them.

    A process that runs on one of them compiles anew what it has not loaded yet.
    """
    kinds: dict[str, list[tuple[float, Path]]] = {}
    for folder in base.glob("jit-*"):
        with contextlib.suppress(FileNotFoundError):  # another process removes them too
            kinds.setdefault(folder.name.rpartition("-")[0], []).append((now - folder.stat().st_mtime, folder))
    gone: list[Path] = []
    for aged in kinds.values():
        for place, (age, folder) in enumerate(sorted(aged)):
            if age > _KEPT_DAYS * _DAY_SECONDS or (place >= _KEPT_SPARE and age > _DAY_SECONDS):
                shutil.rmtree(folder, ignore_errors=True)
                gone.append(folder)
    return gone


class DigestLocator(UserProvidedCacheLocator):
    """Tells Numba to keep a function's code in its floor's folder, wherever its source lies."""

    def __init__(self, function: Callable[..., Any], source: str) -> None:
        super().__init__(function, source)  # type: ignore[no-untyped-call]
        self._folder = cache_directory(function.__module__)

    def ensure_cache_path(self) -> None:
        """Make the folder, once per process."""
        _opened(self._folder)

    def get_cache_path(self) -> str:
        """Return the folder."""
        return str(self._folder)


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


def merged[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile like `njit`, and let LLVM always take the code in where it is called: for the small steps of a hot loop."""
    numba.config.CACHE_DIR = str(cache_directory(function.__module__))  # type: ignore[attr-defined]
    compiled: Callable[P, R] = numba.njit(
        cache=True, fastmath=False, nogil=True, error_model="numpy", forceinline=True
    )(function)
    return compiled


def inlined[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as a part of what calls it; it has no place in the cache of its own."""
    options: dict[str, Any] = {"fastmath": False, "error_model": "numpy", "no_cfunc_wrapper": True}
    taken_in: Callable[P, R] = numba.njit(**options)(function)
    return taken_in


def entry(function: Callable[..., None], signature: Any) -> int:
    """Compile `function` now, or load it, and return its address: whoever calls that does not compile it again."""
    with _own_folder():
        compiled: Any = numba.cfunc(signature, cache=True, fastmath=False, error_model="numpy")(function)
    address: int = compiled.address
    return address
