"""The ledger as the service shows it: its rows, and whether the chain holds, looked at again only when it may have changed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from quantga.errors import ManifestMismatch
from quantga.store.lake import Lake
from quantga.store.trials import FOLDER, Ledger, Row, verify

_VERIFY_S = 300.0


@dataclass(frozen=True)
class Book:
    """Rows, the last one's ROW:SHA256, and what is wrong with the chain."""

    rows: tuple[Row, ...] = ()
    head: str = ""
    faults: tuple[str, ...] = ()


class LedgerBook:
    """Reads the ledger as it grows; holds the whole chain against runs and strategies when rows were added, and every five minutes."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._ledger = Ledger(lake)
        self._book = Book()
        self._count = -1
        self._checked = 0.0
        self._lock = threading.Lock()

    def now(self) -> Book:
        """Return the ledger as it is."""
        with self._lock:
            count = len(self._lake.paths(FOLDER))
            if count != self._count or time.monotonic() - self._checked > _VERIFY_S:
                self._book = self._read()
                self._count, self._checked = count, time.monotonic()
            return self._book

    def _read(self) -> Book:
        faults = tuple(verify(self._lake))
        try:
            rows, head = self._ledger.rows(), self._ledger.head()
        except ManifestMismatch:
            return Book(self._book.rows, self._book.head, faults)  # `faults` says where the chain broke
        return Book(rows, f"{head.number}:{head.digest}" if head.number else "", faults)
