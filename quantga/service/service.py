"""The service's parts, made once when it starts."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from quantga.service.archive import Archive
from quantga.service.book import LedgerBook
from quantga.service.gate import Guard
from quantga.service.progress import Progress
from quantga.service.sessions import Sessions
from quantga.service.workshop import Workshop
from quantga.store.lake import Lake

_EQUITIES = 200


@dataclass
class Service:
    """What routes work with.

    store: the lake's address, for the workshop. cluster: Ray's dashboard for jobs, empty where there is none. folder: the
    project's folder, which jobs are sent from.
    """

    lake: Lake
    store: str
    guard: Guard
    archive: Archive
    progress: Progress
    workshop: Workshop
    ledger: LedgerBook
    sessions: Sessions
    cluster: str = ""
    folder: Path = field(default_factory=Path)
    equities: OrderedDict[tuple[str, str, str], bytes] = field(default_factory=OrderedDict)
    streams: int = 0

    def keep_equity(self, key: tuple[str, str, str], data: bytes) -> None:
        """Keep an equity that was computed, the newest 200."""
        self.equities[key] = data
        while len(self.equities) > _EQUITIES:
            self.equities.popitem(last=False)
