"""A finished run, read from the lake into the record that the page draws.

Everything is taken from the run's own files and from the dataset that they name, so that a page can be made again years
later; the locked part of the dataset is never read, only its dates are. What a look at it showed is in the validation's files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from quantga.engine.costs import Costs as Terms
from quantga.errors import ConfigError, StoreError
from quantga.lang.bars import Bars
from quantga.lang.parse import parse
from quantga.report.page import render
from quantga.report.record import Champion, FrontPoint, Progress, RunReport, Span
from quantga.report.results import champion
from quantga.report.series import pooled
from quantga.report.trust_load import read_trust
from quantga.store.lake import Lake, sha256
from quantga.store.manifest import Manifest, read_manifest
from quantga.store.market import load
from quantga.store.symbols import REFERENCE

CHAMPIONS = 6
"""Programs of the front that are drawn in full."""
_NOT_FIGURES = frozenset({"id", "text", "size", "score"})
_NAMED = 4


def write_report(lake: Lake, run: str, out: Path | None = None) -> Path | str:
    """Draw a finished run as one HTML file; return where it is: `out`, or report.html in the run's folder.

    Raises:
        ConfigError: there is no such run, or it is not finished.
    """
    return _write(lake, run, render(read_run(lake, run), reference=REFERENCE), out)


def write_comparison(lake: Lake, runs: Sequence[str], out: Path | None = None, notes: Sequence[str] = ()) -> Path | str:
    """Draw two finished runs of the same search side by side, then the first in full; `notes` say what each market is.

    Raises:
        ConfigError: there are not two, or one of them is not finished.
    """
    if len(runs) != 2:
        raise ConfigError(f"a comparison needs two runs, not {len(runs)}")
    told = [*notes, "", ""]
    left, right = (read_run(lake, run, note) for run, note in zip(runs, told, strict=False))
    return _write(lake, runs[0], render(left, right, reference=REFERENCE), out)


def _write(lake: Lake, run: str, page: str, out: Path | None) -> Path | str:
    data = page.encode()
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(data)
        except OSError as error:
            raise ConfigError(f"{out} cannot be written ({error.strerror}): choose another with --out") from error
        return out
    path = f"runs/{run}/report.html"
    if lake.exists(path) and lake.read(path) != data:  # drawn before by another version: objects are written once
        path = f"runs/{run}/report-{sha256(data)[:8]}.html"
    lake.put(path, data)
    return lake.where(path)


def read_run(lake: Lake, run: str, note: str = "") -> RunReport:
    """Return a finished run as the page draws it; `note` is shown as it is."""
    made = _made(lake, run)
    terms = Terms(**made["science"]["costs"])
    manifest, symbols = read_manifest(lake, made["dataset"]), tuple(made["symbols"])
    market = load(lake, manifest, symbols, made["start"], made["end"], unlocked=made["unlocked"])
    rows = lake.read_table(f"runs/{run}/front.parquet").to_pylist()
    progress, state = _progress(lake, run)
    champions = _champions(rows, market, terms)
    provenance = (
        ("Dataset", f"{manifest.id} ({manifest.venue}, {manifest.interval})"),
        ("Code", str(made.get("code", ""))),
        ("Digest of the champions", str(state.get("digest", ""))),
        ("Generations", str(state.get("generation", len(progress)))),
    )
    return RunReport(
        run=run,
        title=_title(symbols, manifest),
        venue=manifest.venue,
        interval=manifest.interval,
        symbols=symbols,
        span=_span(manifest, made),
        capital=terms.capital,
        trials=int(state["trials"]),
        progress=progress,
        front=tuple(_point(row) for row in rows),
        champions=champions,
        settings=tuple(_flat(made["science"])),
        provenance=tuple(row for row in provenance if row[1]),
        unlocked=made["unlocked"],
        note=" ".join(filter(None, (note, _differs(champions, terms.capital)))),
        trust=read_trust(lake, run, manifest, symbols),
    )


def _made(lake: Lake, run: str) -> dict[str, Any]:
    if not lake.exists(f"runs/{run}/run.json"):
        known = ", ".join(lake.folders("runs")) or "none"
        raise ConfigError(f"there is no run {run!r} in {lake.root} (it has {known})")
    if not lake.exists(f"runs/{run}/front.parquet"):
        raise ConfigError(f"run {run} is not finished: `quantga evolve --resume {run}` goes on with it")
    return _mapping(lake.read_json(f"runs/{run}/run.json"))


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError("a file of the run is not what it was when it was written: restore it")
    return value


def _champions(rows: Sequence[Mapping[str, Any]], market: Mapping[str, Bars], terms: Terms) -> tuple[Champion, ...]:
    found = []
    for row in rows[:CHAMPIONS]:
        pool = {key: value for key, value in row.items() if key not in _NOT_FIGURES}
        pool["liquidated"] = bool(pool.get("liquidated"))
        found.append(champion(parse(row["text"]), float(row["score"]), market, terms, pool))
    return tuple(found)


def _differs(champions: Sequence[Champion], capital: float) -> str:
    """Return a warning if the champions, traded again, do not earn what the run recorded: another version of the code did."""
    for rank, one in enumerate(champions, 1):
        then, now = one.metrics["total_return"], float(pooled(one, capital).equity[-1]) / capital - 1
        if then is None or not math.isclose(then, now, rel_tol=1e-6, abs_tol=1e-9):
            return (
                f"The pictures are drawn by another version of the code than the run's: champion {rank} now returns "
                f"{now:.4f}, and {then or 0.0:.4f} was recorded. The figures are those of the run."
            )
    return ""


def _point(row: Mapping[str, Any]) -> FrontPoint:
    return FrontPoint(row["id"], row["text"], float(row["score"]), -float(row["max_drawdown"]), int(row["size"]))


def _progress(lake: Lake, run: str) -> tuple[tuple[Progress, ...], dict[str, Any]]:
    """Return every island after every generation, and the last state."""
    scores: dict[str, float] = {}
    found: list[Progress] = []
    state: dict[str, Any] = {}
    for name in lake.folders(f"runs/{run}"):
        folder = f"runs/{run}/{name}"
        if not name.startswith("gen=") or not lake.exists(f"{folder}/state.json"):
            continue
        state = _mapping(lake.read_json(f"{folder}/state.json"))
        table = lake.read_table(f"{folder}/appraisals.parquet")
        scores.update(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True))
        for island, members in enumerate(state["islands"]):
            those = [scores[member] for member, _ in members]
            best, middle = (max(those), median(those)) if those else (float("nan"), float("nan"))
            found.append(Progress(island + 1, int(state["generation"]), best, middle, int(state["trials"])))
    return tuple(found), state


def _span(manifest: Manifest, made: Mapping[str, Any]) -> Span:
    """Return what was searched and what is locked: dates only."""
    if made["unlocked"]:
        return Span(made["start"], made["end"])
    last = max(manifest.instrument(symbol).end for symbol in made["symbols"])
    return Span(made["start"], made["end"], made["locked_from"], max(last, made["locked_from"]))


def _title(symbols: Sequence[str], manifest: Manifest) -> str:
    named = ", ".join(symbols) if len(symbols) <= _NAMED else f"{len(symbols)} perpetuals"
    return f"{named} · {manifest.interval} · {manifest.venue}"


def _flat(science: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return nested settings as rows `section.name`, value."""
    rows = []
    for section, fields in science.items():
        for name, value in fields.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((f"{section}.{name}", shown or "–"))
    return rows
