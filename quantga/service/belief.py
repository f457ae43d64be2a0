"""Routes of what may be believed: validations, the ledger of trials, promoted strategies."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, RunId, TheService, known_run, missing, needs
from quantga.service.archive import Row
from quantga.service.service import Service
from quantga.service.shapes import LedgerRows, Strategies, StrategyDetail, ValidationDetail, Validations
from quantga.store.lake import Lake
from quantga.store.strategies import FOLDER, read_strategy, strategies
from quantga.store.trials import Row as Written

router = APIRouter(prefix="/api/v1", tags=["belief"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

StrategyId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="A strategy's id.")]


@router.get("/validations", response_model=Validations)
def validations(service: TheService) -> Response:
    """List the validations of the store."""
    rows = service.archive.edition.runs
    found = sorted(
        (run for run in service.archive.validated if run in rows), key=lambda run: (-rows[run]["ledger"], run)
    )
    key = f"validations {len(found)}"
    return Json(
        service.archive.edition.answer(key, lambda: {"validations": [_validation(service, run) for run in found]})
    )


@router.get("/runs/{run}/validation", response_model=ValidationDetail, responses=MISSING)
def validation(service: TheService, run: RunId) -> Response:
    """Return what a validation of this run found."""
    known_run(service, run)
    path = f"runs/{run}/validation.json"
    if not service.lake.exists(path):
        raise missing(f"run {run} was not validated: `quantga validate {run}` asks")
    return Json({"run": run, "record": service.lake.read_json(path)})


@router.get("/ledger", response_model=LedgerRows)
def ledger(
    service: TheService,
    run: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """List the rows of the ledger, the newest first, and say whether its chain is whole."""
    book = service.ledger.now()
    found = [row for row in reversed(book.rows) if run is None or row.entry.run == run]
    return Json(
        {
            "total": len(found),
            "head": book.head,
            "sound": not book.faults,
            "faults": list(book.faults),
            "rows": [_row(row) for row in found[offset : offset + limit]],
        }
    )


@router.get("/strategies", response_model=Strategies)
def all_strategies(service: TheService) -> Response:
    """List the promoted strategies."""
    return Json({"strategies": [_strategy(service.lake, name) for name in strategies(service.lake)]})


@router.get("/strategies/{strategy}", response_model=StrategyDetail, responses=MISSING)
def one_strategy(service: TheService, strategy: StrategyId) -> Response:
    """Return a promoted strategy with the evidence for it."""
    if not service.lake.exists(f"{FOLDER}/{strategy}.json"):
        raise missing(f"there is no strategy {strategy}: `quantga validate` promotes")
    return Json({"id": strategy, "strategy": read_strategy(service.lake, strategy).model_dump(mode="json")})


def _validation(service: Service, run: str) -> Row:
    record: Any = service.lake.read_json(f"runs/{run}/validation.json")
    names = ("decision", "words", "p", "level", "holdout_opened")
    return {"run": run, **{name: record[name] for name in names}, "strategies": list(record.get("strategies", ()))}


def _row(row: Written) -> Row:
    one = row.entry
    return {
        "number": row.number,
        "at": row.at,
        **{name: getattr(one, name) for name in ("kind", "run", "trials", "level", "p", "note")},
        "spans": [span.model_dump() for span in one.spans],
    }


def _strategy(lake: Lake, name: str) -> Row:
    one = read_strategy(lake, name)
    return {
        "id": name,
        "program": one.program,
        "text": one.text,
        "venue": one.market.venue,
        "symbols": list(one.market.symbols),
        "interval": one.market.interval,
        "forecast": one.forecast.sharpe,
        "low": one.forecast.low,
        "high": one.forecast.high,
        "p": one.evidence.p,
        "run": one.run,
    }
