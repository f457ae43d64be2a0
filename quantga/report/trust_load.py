"""A validation, read from its run's files and from the ledger into the record that the page draws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from quantga.errors import ManifestMismatch
from quantga.report.record import LedgerLine, Trust
from quantga.store.lake import Lake
from quantga.store.manifest import Manifest
from quantga.store.trials import Ledger

LINES = 24
"""Rows of the ledger that are drawn: the last ones."""


def read_trust(lake: Lake, run: str, manifest: Manifest, symbols: Sequence[str]) -> Trust | None:
    """Return the validation of a run with the ledger of its assets; None where it was not validated."""
    folder = f"runs/{run}"
    if not lake.exists(f"{folder}/validation.json"):
        return None
    record = lake.read_json(f"{folder}/validation.json")
    if not isinstance(record, dict):
        raise ManifestMismatch(f"the validation of run {run} is not what it was when it was written: restore it")
    table = lake.read_table(f"{folder}/validation.parquet")
    names = np.array(table["program"].to_pylist(), dtype=object)
    day, alpha = table["day"].to_numpy().astype(np.float64), table["alpha"].to_numpy()
    days = {name: (day[names == name], alpha[names == name]) for name in dict.fromkeys(names.tolist())}
    return Trust(record, days, _lines(lake, {manifest.instrument(symbol).base for symbol in symbols}))


def _lines(lake: Lake, assets: set[str]) -> tuple[LedgerLine, ...]:
    """Return the searches and looks at these assets, each once per asset, in the order of their first rows."""
    found: dict[tuple[str, str, str], LedgerLine] = {}
    trials: dict[str, int] = {}
    for row in Ledger(lake).rows():
        one = row.entry
        kind = "search" if one.kind in ("search", "trials") else one.kind
        trials[one.run] = trials.get(one.run, 0) + one.trials
        for span in one.spans if kind != "answer" else ():
            if span.asset in assets:
                when = f"{datetime.fromtimestamp(row.at / 1000, UTC):%Y-%m-%d %H:%M}"
                words = f"look, level {one.level:g}"
                line = LedgerLine(row.number, when, kind, one.run, span.asset, span.start, span.end, words)
                found.setdefault((kind, one.run, span.asset), line)
    return tuple(_counted(line, trials) for line in list(found.values())[-LINES:])


def _counted(line: LedgerLine, trials: dict[str, int]) -> LedgerLine:
    words = f"{line.asset}: {trials[line.run]:,} programs" if line.kind == "search" else f"{line.asset}: {line.words}"
    return LedgerLine(line.row, line.when, line.kind, line.run, line.asset, line.start, line.end, words)
