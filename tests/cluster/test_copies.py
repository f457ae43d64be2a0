"""A worker maps the market where it lies: what it copies of it is next to nothing, however large it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantga.cluster.task import Market
from quantga.lang.bars import Bars


def market(megabytes: int) -> Market:
    """Return bars of which the columns are together so large."""
    n = megabytes * 2**20 // 40
    price = np.linspace(100, 200, n)
    columns = {"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5, "volume": price}
    return {"BTC": Bars.from_columns(np.arange(n, dtype=np.int64) * 60_000, columns, interval=60_000, symbol="BTC")}


def copied_by_workers(ray, megabytes: int) -> tuple[int, int]:
    """Return the bytes of a market, and the most that a worker's own memory grew when it read all of them."""

    @ray.remote(num_cpus=1)
    def read(held) -> int:
        def own() -> int:
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

        ray.get(held[0])
        before = own()
        arrays = [array for bars in ray.get(held[1]).values() for array in bars.columns.values()]
        for array in arrays:
            for start in range(0, len(array), 65536):
                array[start : start + 65536].max()
        return own() - before

    made = market(megabytes)
    size = sum(array.nbytes for bars in made.values() for array in bars.columns.values())
    held = [ray.put({"warm": np.zeros(10)}), ray.put(made)]
    del made
    return size, max(ray.get([read.remote(held) for _ in range(4)]))


def test_a_worker_holds_no_copy(ray_local):
    size, grown = copied_by_workers(ray_local, 128)
    assert size > 120 * 2**20
    assert grown < size / 20


@pytest.mark.proof
def test_of_a_gigabyte_a_worker_copies_less_than_a_hundredth(ray_local):
    size, grown = copied_by_workers(ray_local, 1024)
    print(f"{size:,} bytes, a worker's own memory grew by {grown:,} ({grown / size:.3%})")
    assert grown <= size / 100
