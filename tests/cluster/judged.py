"""Small runs to be judged: a market with a planted edge, its twin without, and searches that take a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quantga.cluster.case import Terms
from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.cluster.null_searches import null_search
from quantga.cluster.validation import run_validation
from quantga.engine.appraise import appraise_market
from quantga.settings import Settings
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake
from quantga.trust.markets import Regime

START = 1_577_836_800_000
SEARCH = {"population": 12, "islands": 1, "generations": 3, "seed": 1, "slices": 4, "genes": False, "max_size": 20}
TERMS = Terms(nulls=19)
HOURS = 12


def store_of(folder: Path, drift: float, years: float = 3.0, venue: str = "made", shift: float = 0.0) -> Path:
    """Import bars of twelve hours of one asset whose hidden regimes drift; return the store."""
    family = Regime(drift=drift, stay=720, years=years)
    bars = family.market(1, {"ONE": "ONE"}, START)["ONE"]
    rows = len(bars) // HOURS * HOURS
    parts = {name: bars[name][:rows].reshape(-1, HOURS) for name in ("open", "high", "low", "close", "volume")}
    noise = 1 + shift * np.random.default_rng(3).normal(size=len(parts["open"]))
    table = pa.table(
        {
            "ts": bars.time[:rows:HOURS],
            "open": parts["open"][:, 0] * noise,
            "high": parts["high"].max(axis=1) * np.maximum(noise, 1) * (1 + abs(shift) * 5),
            "low": parts["low"].min(axis=1) * np.minimum(noise, 1) * (1 - abs(shift) * 5),
            "close": parts["close"][:, -1] * noise,
            "volume": parts["volume"].sum(axis=1),
        }
    )
    path = folder / "files" / venue / "ONE.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    import_files(open_lake(folder / "store"), [path], Told(venue=venue, interval="12h"))
    return folder / "store"


def settings(store: Path, data: dict | None = None, **search: object) -> Settings:
    return Settings.load({"store": {"path": str(store)}, "data": data or {}, "search": {**SEARCH, **search}})


def evolved(store: Path, data: dict | None = None, **search: object):
    """Evolve in this process."""
    chosen = settings(store, data, **search)
    market, trial = survey(chosen).market("judged"), trial_of(chosen)
    return run_evolution(chosen, appraise=lambda them: appraisals(them, appraise_market(them, market, trial)))


def validated(store: Path, run: str = "last", terms: Terms = TERMS, here=null_search, **more):
    """Validate in this process."""
    return run_validation(settings(store), run, terms, here=here, **more)
