"""`quantga bench honesty`: the whole pipeline on markets of which the truth is known, and how often it is wrong.

One file per market and per surrogate search, so that a run that was stopped goes on, and runs of several machines merge by
having their folders named together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from quantga.bench.honesty_cases import FULL, QUICK, Budget, Case, Ground
from quantga.bench.honesty_market import library_score, validated
from quantga.bench.machine import describe
from quantga.cluster.each import Each, each
from quantga.errors import ConfigError
from quantga.settings import Cluster
from quantga.trust.honesty import Tried, Validated, summarised

type Say = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """What is asked for.

    quick: a small budget. data: hourly bars for the families of real data. folder: of checkpoints; merge: others that are read
    too. workers: 1 computes in this process, None takes every core. only_table: run nothing, count what is there.
    most: markets that are run at the most, in the fixed order of the budget; None runs all. own: every
    market gets its own surrogate searches instead of its mould's. families: only these, so that several machines can share a budget.
    library: surrogate searches of each mould, if not as many as the budget says.
    """

    quick: bool = False
    data: Path | None = None
    folder: Path = Path("honesty")
    merge: tuple[Path, ...] = ()
    workers: int | None = None
    only_table: bool = False
    most: int | None = None
    own: bool = False
    families: tuple[str, ...] = ()
    library: int | None = None


def measure(terms: Terms, say: Say) -> dict[str, Any]:
    """Run the quick or the full budget, as far as it is not there yet, and return the table with what it was made by.

    Raises:
        ConfigError: bad terms, or checkpoints that do not agree.
    """
    budget = QUICK if terms.quick else FULL
    return run(replace(budget, own=terms.own, library=terms.library or budget.library), terms, say)


def run(budget: Budget, terms: Terms, say: Say) -> dict[str, Any]:
    """Run a budget, as `measure`."""
    ground = Ground.of(terms.data, budget.years)
    digest = budget.digest(ground.digest)
    shelf = Shelf(terms.folder, terms.merge, digest)
    cases = _cases(budget, terms, real=ground.bars is not None)
    if not terms.only_table:
        with each(Cluster(workers=terms.workers)) as crew:
            _stock(shelf, cases, budget, ground, (crew, say))
            _validate(shelf, cases, budget, ground, (crew, say))
    runs = [run for case in cases if (run := shelf.validated(case))]
    search = budget.settings(0).search
    return {
        **summarised(runs).record(),
        "runs": len(runs),
        "planned": len(cases),
        "search": f"{search.islands} x {search.population} x {search.generations}",
        "trials": sum(run.trials for run in runs) / len(runs) if runs else None,
        "surrogates": "each market's own" if budget.own else f"{budget.library} of each mould, shared",
        "years": budget.years,
        "checkpoints": digest,
        "machine": describe(),
    }


def _cases(budget: Budget, terms: Terms, *, real: bool) -> list[Case]:
    cases = list(budget.cases(real=real))
    unknown = sorted(set(terms.families) - {case.kind for case in cases})
    if unknown:
        known = ", ".join(dict.fromkeys(case.kind for case in cases))
        raise ConfigError(f"no such family here: {', '.join(unknown)}. There are {known}; real ones need --data")
    return [case for case in cases if not terms.families or case.kind in terms.families][: terms.most]


@dataclass(frozen=True)
class Shelf:
    """Checkpoints of one budget and one code: `<folder>/<digest>/<name>.json`, written once."""

    folder: Path
    others: tuple[Path, ...]
    digest: str

    def validated(self, case: Case) -> Validated | None:
        """Return what was found on a market; None where nobody ran it. ConfigError where two folders differ."""
        found = [_validated(data) for data in self._read(f"case-{case.name}")]
        if any(one != found[0] for one in found):
            raise ConfigError(
                f"two folders have different answers for {case.name}: one of them was changed; leave it out"
            )
        return found[0] if found else None

    def score(self, mould: str, number: int) -> float | None:
        """Return a surrogate search's best score; None where nobody ran it."""
        found = [data["score"] for data in self._read(f"library-{_plain(mould)}-{number:04d}")]
        return None if not found else float("-inf") if found[0] is None else float(found[0])

    def keep(self, name: str, data: dict[str, Any]) -> None:
        """Write a checkpoint: first beside its place, so that a half-written one is never read."""
        place = self.folder / self.digest / f"{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(".part")
        beside.write_text(json.dumps(data, indent=1), encoding="utf-8")
        beside.replace(place)

    def _read(self, name: str) -> list[dict[str, Any]]:
        places = [folder / self.digest / f"{name}.json" for folder in (self.folder, *self.others)]
        return [json.loads(place.read_text(encoding="utf-8")) for place in places if place.is_file()]


def _stock(shelf: Shelf, cases: Sequence[Case], budget: Budget, ground: Ground, stage: tuple[Each, Say]) -> None:
    """Run the surrogate searches that are missing."""
    if budget.own:
        return
    crew, say = stage
    moulds = sorted({case.mould for case in cases})
    wanted = [(m, n) for m in moulds for n in budget.numbers if shelf.score(m, n) is None]
    if wanted:
        say(f"surrogate searches: {len(wanted)} of {budget.library * len(moulds)} are to be run …")
    for place, score in crew(library_score, [(mould, number, budget, ground) for mould, number in wanted]):
        mould, number = wanted[place]
        shelf.keep(f"library-{_plain(mould)}-{number:04d}", {"score": score if isfinite(score) else None})


def _validate(shelf: Shelf, cases: Sequence[Case], budget: Budget, ground: Ground, stage: tuple[Each, Say]) -> None:
    """Run the markets that are missing."""
    crew, say = stage
    wanted = [case for case in cases if shelf.validated(case) is None]
    say(f"markets: {len(wanted)} of {len(cases)} are to be run …")
    rows = [(case, _library(shelf, case, budget), budget, ground) for case in wanted]
    for count, (place, run) in enumerate(crew(validated, rows), 1):
        shelf.keep(f"case-{wanted[place].name}", asdict(run))
        verdict = "promoted" if run.promoted else "not promoted"
        say(f"{count}/{len(wanted)} {wanted[place].name}: {verdict}, p of the search {run.p_mine:.3f}")


def _library(shelf: Shelf, case: Case, budget: Budget) -> list[float] | None:
    if budget.own:
        return None
    scores = [shelf.score(case.mould, number) for number in budget.numbers]
    return [score for score in scores if score is not None]


def _validated(data: dict[str, Any]) -> Validated:
    tried = tuple(
        Tried(**{**one, **{name: tuple(one[name]) if one[name] else None for name in ("forecast", "seen")}})
        for one in data["tried"]
    )
    return Validated(**{**data, "tried": tried})


def _plain(name: str) -> str:
    return name.replace(" ", "-")
