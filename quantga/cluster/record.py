"""What a run leaves in the lake, generation by generation, and how it is taken up again from there.

A generation is two objects, written once: the appraisals, then the state, whose presence is the commit mark. A driver
killed anywhere loses the generations that it had not committed and computes them again, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import quantga
from quantga.cluster.rounds import Round
from quantga.engine.metrics import KEYS
from quantga.errors import ConfigError, StoreError
from quantga.evolve.islands import Island, State
from quantga.evolve.select import Appraisal, Member
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.store.lake import Lake, sha256, to_parquet
from quantga.store.trials import Ledger

_SCIENCE = ("lang", "engine", "evolve")
_CASE = "slice_"


@dataclass(frozen=True)
class Champion:
    """A program that no other of the run beats in score, drawdown and complexity together.

    figures: `score` and the metrics, in-sample; None where undefined.
    """

    program: Program
    figures: dict[str, float | None]

    @property
    def id(self) -> str:
        """The program's id."""
        return self.program.id

    @property
    def text(self) -> str:
        """The program's text."""
        return self.program.text


@dataclass(frozen=True)
class RunFiles:
    """The objects of one run below runs/<id>/."""

    lake: Lake
    id: str

    @property
    def folder(self) -> str:
        """The run's folder in the lake."""
        return f"runs/{self.id}"

    def begin(self, made: dict[str, Any]) -> None:
        """Write run.json, what the run is made of, unless it is there."""
        if not self.lake.exists(f"{self.folder}/run.json"):
            self.lake.put_json(f"{self.folder}/run.json", {"run": self.id, **made})

    def commit(self, done: Round, trials: int, digest: str = "") -> None:
        """Write a generation: its appraisals, then the state that marks it as done."""
        folder = f"{self.folder}/gen={done.generation - 1:04d}"
        data = to_parquet(_appraised(done))
        self.lake.put(f"{folder}/appraisals.parquet", data)
        islands = [[[member.program.id, member.age] for member in island.members] for island in done.state.islands]
        state = {"generation": done.generation, "trials": trials, "appraisals": sha256(data), "islands": islands}
        self.lake.put_json(f"{folder}/state.json", {**state, **({"digest": digest} if digest else {})})

    def committed(self) -> int:
        """Return how many generations are committed, one after the other."""
        done = 0
        while self.lake.exists(f"{self.folder}/gen={done:04d}/state.json"):
            done += 1
        return done

    def last(self, islands: int) -> tuple[State, dict[Program, Appraisal], int]:
        """Return the last committed state, every appraisal until then, and how many distinct programs those are."""
        known: dict[Program, Appraisal] = {}
        seen: list[set[Program]] = [set() for _ in range(islands)]
        done, state = self.committed(), {}
        for generation in range(done):
            folder = f"{self.folder}/gen={generation:04d}"
            state = _mapping(self.lake.read_json(f"{folder}/state.json"))
            for number, appraisal in _read(
                self.lake.read_table(f"{folder}/appraisals.parquet", str(state["appraisals"]))
            ):
                known[appraisal.program] = appraisal
                seen[number].add(appraisal.program)
        if not state:
            return State(tuple(Island(number) for number in range(islands))), known, 0
        by_id = {appraisal.program.id: appraisal for appraisal in known.values()}
        members = [tuple(Member(by_id[name], age) for name, age in island) for island in state["islands"]]
        standing = (Island(n, done, members[n], (), frozenset(seen[n])) for n in range(islands))
        return State(tuple(standing)), known, int(state["trials"])

    def trials(self, generation: int) -> int:
        """Return how many distinct programs had been appraised by the end of a committed generation (from 1)."""
        return int(_mapping(self.lake.read_json(f"{self.folder}/gen={generation - 1:04d}/state.json"))["trials"])

    def tried(self, generation: int) -> list[tuple[float, int, str]]:
        """Return (score, behaviour, text) of every program asked for in a committed generation (from 0)."""
        table = self.lake.read_table(f"{self.folder}/gen={generation:04d}/appraisals.parquet")
        return list(zip(*(table[name].to_pylist() for name in ("score", "behaviour", "text")), strict=True))

    @property
    def finished(self) -> bool:
        """Whether the front was written, which is the last that a run does."""
        return self.lake.exists(f"{self.folder}/front.parquet")

    def finish(self, champions: Sequence[Champion]) -> None:
        """Write the front."""
        columns: dict[str, Any] = {
            "id": [one.id for one in champions],
            "text": [one.text for one in champions],
            "size": pa.array([one.program.size for one in champions], pa.int32()),
        }
        for name in ("score", *KEYS):
            columns[name] = pa.array([one.figures[name] for one in champions], pa.float64())
        self.lake.put_table(f"{self.folder}/front.parquet", pa.table(columns))

    def champions(self) -> list[Champion]:
        """Return the champions of a finished run, the best score first."""
        rows = self.lake.read_table(f"{self.folder}/front.parquet").to_pylist()
        return [Champion(parse(row["text"]), {name: row[name] for name in ("score", *KEYS)}) for row in rows]

    def made(self) -> dict[str, Any]:
        """Return run.json. ConfigError where there is no such run."""
        if not self.lake.exists(f"{self.folder}/run.json"):
            known = ", ".join(self.lake.folders("runs")) or "none"
            raise ConfigError(f"there is no run {self.id!r} in {self.lake.root} (it has {known})")
        return _mapping(self.lake.read_json(f"{self.folder}/run.json"))


def champion(member: Member) -> Champion:
    """Return a member with its figures by name."""
    named = zip(KEYS, member.appraisal.figures.tolist(), strict=True)
    figures = {name: None if np.isnan(value) else value for name, value in named}
    return Champion(member.program, {"score": member.appraisal.score, **figures})


def digest_of(champions: Iterable[Champion]) -> str:
    """Return the SHA-256, in hex, of the champions' texts and the bytes of their figures."""
    digest = hashlib.sha256()
    for one in champions:
        values = [one.figures[name] for name in ("score", *KEYS)]
        digest.update(one.text.encode() + b"\n")
        digest.update(np.array([np.nan if v is None else v for v in values], dtype="<f8").tobytes())
    return digest.hexdigest()


def run_named(lake: Lake, name: str, ledger: Ledger) -> str:
    """Return the run that `name` means: its id, the beginning of it, or "last", the one searched last that is finished.

    Raises:
        ConfigError: none, or several.
    """
    if name == "last":
        recent = (row.entry.run for row in reversed(ledger.rows()) if row.entry.kind in ("search", "trials"))
        found = next((run for run in recent if RunFiles(lake, run).finished), "")
        if not found:
            raise ConfigError(f"no run of {lake.root} is finished: give `quantga evolve` first")
        return found
    named = [run for run in lake.folders("runs") if run.startswith(name)]
    if len(named) > 1:
        raise ConfigError(f"{name!r} could be any of the runs {', '.join(named)}: give more of it")
    return named[0] if named else name


def run_id(science: str, dataset: str) -> str:
    """Return a run's id: the hash of its settings that change results, of its dataset, and of the code."""
    return sha256(f"{science}\n{dataset}\n{code_version()}".encode())[:12]


def code_version() -> str:
    """Return the version, and a digest of the sources that decide what a search finds."""
    package = Path(quantga.__file__).parent
    sources = [source for floor in _SCIENCE for source in sorted((package / floor).glob("*.py"))]
    return f"{quantga.__version__}+{_digest([*sources, package / 'streams.py'])}"


def grammar_version() -> str:
    """Return a digest of the sources that decide what a program's text means."""
    return _digest(sorted((Path(quantga.__file__).parent / "lang").glob("*.py")))


def _digest(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _appraised(done: Round) -> pa.Table:
    """Return a row for every program that an island asked for in a generation."""
    broods = enumerate(done.broods)
    rows = [(n, slot, child, done.worths[child.program]) for n, brood in broods for slot, child in enumerate(brood)]
    appraisals = [appraisal for *_, appraisal in rows]
    figures = np.array([a.figures for a in appraisals]).reshape(len(rows), -1)
    cases = np.array([a.cases for a in appraisals]).reshape(len(rows), -1)
    columns: dict[str, Any] = {
        "island": pa.array([n for n, *_ in rows], pa.int32()),
        "slot": pa.array([slot for _, slot, *_ in rows], pa.int32()),
        "age": pa.array([child.age for _, _, child, _ in rows], pa.int32()),
        "id": [a.program.id for a in appraisals],
        "text": [a.program.text for a in appraisals],
        "size": pa.array([a.program.size for a in appraisals], pa.int32()),
        "behaviour": pa.array([a.behaviour for a in appraisals], pa.uint64()),
        "failed": pa.array([a.failed for a in appraisals], pa.string()),
        "score": pa.array([a.score for a in appraisals], pa.float64()),
        "drawdown": pa.array([a.drawdown for a in appraisals], pa.float64()),
    }
    columns |= {f"{_CASE}{i}": pa.array(cases[:, i]) for i in range(cases.shape[1])}
    columns |= {name: pa.array(figures[:, i], from_pandas=True) for i, name in enumerate(KEYS[: figures.shape[1]])}
    return pa.table(columns)


def _read(table: pa.Table) -> list[tuple[int, Appraisal]]:
    """Return the appraisals of a generation with their islands; inverse of `_appraised`."""
    plain = ("island", "text", "score", "drawdown", "behaviour", "failed")
    islands, texts, *rest = (table[name].to_pylist() for name in plain)
    case_names = [name for name in table.column_names if name.startswith(_CASE)]
    cases = np.array([table[name].to_numpy() for name in case_names]).T.reshape(table.num_rows, -1)
    figures = np.array([table[name].to_numpy() for name in KEYS if name in table.column_names]).T
    found = []
    for i, (text, score, drawdown, behaviour, failed) in enumerate(zip(texts, *rest, strict=True)):
        case = tuple(float(value) for value in cases[i])
        found.append((islands[i], Appraisal(parse(text), score, drawdown, behaviour, failed, case, figures[i])))
    return found


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError("a file of the run is not what it was when it was written: restore it or delete the run")
    return value
