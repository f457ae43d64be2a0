"""A small search on an imported market, for tests of whole runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quantga.settings import Settings
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake

SEARCH = {"population": 24, "islands": 2, "generations": 6, "seed": 5, "migrate_every": 2, "slices": 4, "min_trades": 1}


def imported(folder: Path, bars: int = 3000) -> Path:
    """Import two walks of hourly bars; return the store."""
    for number, symbol in enumerate(("BTC", "ETH")):
        draw = np.random.default_rng(number)
        close = 100 * np.cumprod(1 + draw.standard_t(5, bars) * 0.006)
        opened = np.append(100, close[:-1])
        table = pa.table(
            {
                "ts": (np.arange(bars, dtype=np.int64) + 480_000) * 3_600_000,
                "open": opened,
                "high": np.maximum(opened, close) * (1 + np.abs(draw.normal(0, 0.002, bars))),
                "low": np.minimum(opened, close) * (1 - np.abs(draw.normal(0, 0.002, bars))),
                "close": close,
                "volume": draw.lognormal(5, 1, bars),
            }
        )
        path = folder / "files" / f"{symbol}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    import_files(open_lake(folder / "store"), [folder / "files"], Told(venue="walk", interval="1h"))
    return folder / "store"


def settings(store: Path, **search: object) -> Settings:
    return Settings.load({"store": {"path": str(store)}, "search": {**SEARCH, **search}, "cluster": {"batch_ms": 20}})
