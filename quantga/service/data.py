"""Routes of data: which bars there are, what is missing of them, what is locked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, TheService, missing, needs
from quantga.service.archive import Row
from quantga.service.shapes import Dataset, Datasets
from quantga.store.manifest import Instrument, read_manifest

router = APIRouter(prefix="/api/v1/datasets", tags=["data"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

DatasetId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="A dataset's id.")]
_DATASETS = """
    SELECT dataset, any_value(venue) AS venue, any_value("interval") AS "interval", bool_or(newest) AS newest,
           count(*) AS symbols, sum("rows")::BIGINT AS "rows", epoch_ms(min(first)) AS first, epoch_ms(max("end")) AS "end",
           sum(gaps)::BIGINT AS gaps, sum(missing)::BIGINT AS missing
    FROM datasets GROUP BY dataset ORDER BY newest DESC, venue, "interval", dataset
"""


@router.get("", response_model=Datasets)
def datasets(service: TheService) -> Response:
    """List the datasets."""
    edition = service.archive.edition
    return Json(edition.answer("datasets", lambda: {"datasets": edition.rows(_DATASETS)}))


@router.get("/{dataset}", response_model=Dataset, responses=MISSING)
def dataset_detail(service: TheService, dataset: DatasetId) -> Response:
    """Return what a dataset holds of each symbol, and what it lacks."""
    if not service.lake.exists(f"manifests/{dataset}.json"):
        raise missing(f"there is no dataset {dataset}: `quantga data list` shows what there is")
    edition = service.archive.edition

    def made() -> Row:
        manifest = read_manifest(service.lake, dataset)
        newest = edition.rows("SELECT bool_or(newest) AS newest FROM datasets WHERE dataset = ?", [dataset])
        return {
            "dataset": dataset,
            "venue": manifest.venue,
            "interval": manifest.interval,
            "interval_ms": manifest.interval_ms,
            "newest": bool(newest[0]["newest"]),
            "instruments": [_coverage(one) for one in manifest.instruments],
        }

    return Json(edition.answer(f"dataset {dataset}", made))


def _coverage(one: Instrument) -> Row:
    names = ("symbol", "base", "rows", "first", "end", "locked_from", "gaps", "missing")
    return {
        **{name: getattr(one, name) for name in names},
        "longest": [gap.model_dump() for gap in one.longest],
        "funding_stamps": one.funding.stamps if one.funding else None,
        "columns": list(one.columns),
    }
