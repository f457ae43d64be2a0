"""Routes of programs: the databank of a run with its filters, one program in words and as a tree, its equity by phase."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from quantga.errors import ProgramError
from quantga.lang.parse import parse
from quantga.report.tree import arrange
from quantga.report.words import describe
from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, ProgramId, RunId, TheService, missing, needs
from quantga.service.archive import Edition, Row, to_bytes
from quantga.service.equity import equity_of
from quantga.service.runs import FIGURES
from quantga.service.shapes import Equity, ProgramDetail, Programs
from quantga.store.symbols import REFERENCE

router = APIRouter(prefix="/api/v1", tags=["programs"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

type Sort = Literal[
    "score", "alpha_sharpe", "sharpe", "total_return", "max_drawdown", "trades", "size", "generation", "id"
]
_DISTINCT = (
    "SELECT id, any_value(text) AS text, any_value(size) AS size, min(generation) AS generation, "
    + ", ".join(f"any_value({name}) AS {name}" for name in FIGURES)
    + " FROM appraisals WHERE run = ? GROUP BY id"
)


@router.get("/runs/{run}/programs", response_model=Programs, responses=MISSING)
def programs(  # noqa: PLR0913, PLR0917 (filters)
    service: TheService,
    run: RunId,
    q: Annotated[str | None, Query(max_length=200, description="What the text or the id contains.")] = None,
    min_score: Annotated[float | None, Query(ge=-1e9, le=1e9)] = None,
    min_trades: Annotated[int | None, Query(ge=0, le=1_000_000_000)] = None,
    max_size: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
    sort: Annotated[Sort, Query()] = "score",
    order: Annotated[Literal["desc", "asc"], Query()] = "desc",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """List the distinct programs that a run appraised and that did not fail, with their in-sample figures."""
    edition = service.archive.edition
    row = edition.runs.get(run)
    if row is None:
        raise missing(f"there is no run {run}, or it was not indexed yet")
    tests: list[str] = ["isfinite(score)"]
    values: list[object] = []
    for test, value in (
        ("(contains(lower(text), ?) OR contains(id, ?))", q.lower() if q else None),
        ("score >= ?", min_score), ("trades >= ?", min_trades), ("size <= ?", max_size),
    ):  # fmt: skip
        if value is not None:
            tests.append(test)
            values += [value] * test.count("?")
    where = " AND ".join(tests)

    def made() -> Row:
        rows = edition.rows(
            f"WITH found AS (SELECT * FROM ({_DISTINCT}) WHERE {where}) "
            f"SELECT *, (SELECT count(*) FROM found) AS total FROM found "
            f"ORDER BY {sort} {order} NULLS LAST, id LIMIT {limit} OFFSET {offset}",
            [run, *values],
        )
        total = rows[0]["total"] if rows else _count(edition, run, where, values)
        lines = [{name: value for name, value in one.items() if name != "total"} for one in rows]
        return {"run": run, "total": total, "trials": row["trials"], "programs": lines}

    return Json(edition.answer(f"programs {run} {where} {values} {sort} {order} {limit} {offset}", made))


@router.get("/programs/{program}", response_model=ProgramDetail, responses=MISSING)
def program_detail(service: TheService, program: ProgramId) -> Response:
    """Return a program: its text, in words, as a tree, and where it was appraised."""
    edition = service.archive.edition
    rows = edition.rows(
        f"SELECT run, generation, text, {', '.join(FIGURES)} FROM appraisals WHERE id = ? ORDER BY run, generation LIMIT 200",
        [program],
    )
    if not rows:
        raise missing(f"no run of this store appraised a program {program}")
    text = rows[0]["text"]
    seen: dict[tuple[str, int], Row] = {}
    for row in rows:
        seen.setdefault((row["run"], row["generation"]), {key: row[key] for key in row if key != "text"})
    try:
        one = parse(text)
    except ProgramError as error:
        raise missing(f"this version does not read program {program}: {error}") from error
    return Json(
        {
            "id": program,
            "text": text,
            "size": one.size,
            "lookback": one.lookback,
            "reach": one.reach,
            "words": [asdict(line) for line in describe(one, REFERENCE)],
            "tree": [asdict(box) for box in arrange(one)],
            "appraised": list(seen.values()),
        }
    )


@router.get("/runs/{run}/programs/{program}/equity", response_model=Equity, responses=MISSING)
def equity(service: TheService, run: RunId, program: ProgramId) -> Response:
    """Return what a program earned on the run's markets: searched, embargo, and holdout once it was opened for it."""
    key = (run, program, service.archive.validated.get(run, ""))
    data = service.equities.get(key)
    if data is None:
        found = service.archive.edition.rows(
            "SELECT text FROM appraisals WHERE run = ? AND id = ? LIMIT 1", [run, program]
        )
        if not found:
            raise missing(f"run {run} appraised no program {program}")
        data = to_bytes(service.workshop.run(equity_of, service.store, run, found[0]["text"]))
        service.keep_equity(key, data)
    return Json(data)


def _count(edition: Edition, run: str, where: str, values: list[object]) -> int:
    return int(edition.rows(f"SELECT count(*) AS n FROM ({_DISTINCT}) WHERE {where}", [run, *values])[0]["n"])
