"""A process beside the service for what takes longer than a reader may wait: indexing the lake, trading a program again.

It runs at a lower priority, one thing after the other, and may be killed at any time: the next call starts another.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from quantga.errors import StoreError

_NICE = 10


class Workshop:
    """Runs functions of modules, with plain arguments, in a process of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def run[T](self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what the function returns, and raise what it raises; StoreError where its process died."""
        try:
            return self._started().submit(function, *arguments).result()
        except BrokenProcessPool as error:
            self.close()
            raise StoreError("the process that works for the service died (memory?): ask again") from error

    def close(self) -> None:
        """End the process."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_humble)
            return self._pool


def _humble() -> None:
    os.nice(_NICE)


def index(store: str) -> None:
    """Bring the catalog of a store up to date."""
    from quantga.store.catalog import refresh  # noqa: PLC0415 (only where it is called)
    from quantga.store.lake import open_lake  # noqa: PLC0415 (the same)

    refresh(open_lake(store))
