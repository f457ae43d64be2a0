"""What the service reads: the catalog as it was at one moment, and beside it what is newer in the lake.

An edition is a snapshot that never changes, so whatever was answered from it once is kept as bytes. Readers never hold a
lock; a newer edition takes the place of the old one, which ends with its last reader.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson

from quantga.cluster.record import RunFiles
from quantga.store.catalog import FILE, Connection, snapshot
from quantga.store.lake import Lake

_KEPT = 512
_KEPT_BYTES = 64_000_000

type Row = dict[str, Any]


class Edition:
    """One snapshot of the catalog, and the answers that were made from it."""

    def __init__(self, lake: Lake, stamp: int) -> None:
        self.stamp = stamp
        stack = ExitStack()
        self._connection: Connection = stack.enter_context(snapshot(lake))
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        weakref.finalize(self, stack.close)
        self.runs: Mapping[str, Row] = {row["run"]: row for row in map(_run, self.rows(_RUNS))}

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query as plain values. Threads may ask at once."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, list(values))
            names = [one[0] for one in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            cursor.close()

    def answer(self, key: str, made: Callable[[], object]) -> bytes:
        """Return the JSON of what `made` returns, made once for each key."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        data = to_bytes(made())
        with self._lock:
            if key not in self._answers:
                self._answers[key] = data
                self._size += len(data)
            while self._answers and (len(self._answers) > _KEPT or self._size > _KEPT_BYTES):
                self._size -= len(self._answers.popitem(last=False)[1])
        return data


@dataclass
class Archive:
    """The lake and the newest edition of its catalog."""

    lake: Lake
    validated: dict[str, str] = field(default_factory=dict)
    _edition: Edition | None = None

    @property
    def edition(self) -> Edition:
        """The newest edition that was opened."""
        if self._edition is None:
            self.reopen()
        assert self._edition is not None
        return self._edition

    def reopen(self) -> bool:
        """Open the catalog if it is another than before; return whether it is. The old edition ends with its last reader."""
        there = (self.lake.local / FILE).stat()
        stamp = there.st_mtime_ns
        if self._edition is not None and self._edition.stamp == stamp:
            return False
        self._edition = Edition(self.lake, stamp)
        return True

    def behind(self) -> bool:
        """Return whether the lake has runs, generations or datasets that the edition has not."""
        edition = self.edition
        names = set(self.lake.folders("runs"))
        if any(self.lake.exists(f"runs/{run}/run.json") for run in names - set(edition.runs)):
            return True
        for run, row in edition.runs.items():
            if row["state"] != "finished" and run in names:
                files = RunFiles(self.lake, run)
                if files.finished or self.lake.exists(f"{files.folder}/gen={row['generation']:04d}/state.json"):
                    return True
        there = {path.rsplit("/", 1)[1].removesuffix(".json") for path in self.lake.paths("manifests")}
        return bool(there - {row["dataset"] for row in edition.rows("SELECT DISTINCT dataset FROM datasets")})

    def look_for_validations(self) -> None:
        """Note the decision of each validation that was not there before."""
        for run in self.edition.runs:
            if run not in self.validated and self.lake.exists(f"runs/{run}/validation.json"):
                record = self.lake.read_json(f"runs/{run}/validation.json")
                self.validated[run] = str(record.get("decision", "")) if isinstance(record, dict) else ""


def to_bytes(value: object) -> bytes:
    """Return JSON; what is no number becomes null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


_RUNS = """
    SELECT r.run, r.settings, r.finished, max(g.generation) AS generation, max_by(g.state, g.generation) AS state, any_value(b.best) AS best
    FROM runs r LEFT JOIN generations g USING (run)
    LEFT JOIN (SELECT run, max(score) AS best FROM appraisals WHERE isfinite(score) GROUP BY run) b USING (run)
    GROUP BY r.run, r.settings, r.finished
"""


def _run(row: Row) -> Row:
    """Return a run as the API lists it; `generation` counts those that are committed."""
    made = orjson.loads(row["settings"])
    state = orjson.loads(row["state"]) if row["state"] else {}
    science = made.get("science", {})
    data, search = science.get("data", {}), science.get("search", {})
    return {
        "run": row["run"],
        "venue": str(made.get("venue", data.get("venue", ""))),
        "symbols": list(made.get("symbols", data.get("symbols", []))),
        "interval": str(made.get("interval", data.get("interval", ""))),
        "seed": search.get("seed"),
        "islands": search.get("islands"),
        "generation": 0 if row["generation"] is None else int(row["generation"]) + 1,
        "generations": search.get("generations"),
        "trials": state.get("trials"),
        "state": "finished" if row["finished"] else "unfinished",
        "best": row["best"],
        "digest": str(state.get("digest", "")),
        "unlocked": bool(made.get("unlocked", data.get("unlocked", False))),
        "ledger": (made.get("ledger") or {}).get("number", 0),
    }
