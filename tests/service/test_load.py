"""How long a reader waits: 1,000 runs with a million programs, 50 clients that ask once a second each."""

from __future__ import annotations

import threading
import time

import pyarrow as pa
import pytest
import requests

from quantga.store.catalog import refresh
from quantga.store.lake import open_lake
from quantga.streams import stream
from tests.service.serving import serving

RUNS, PROGRAMS, CLIENTS, SECONDS = 1_000, 1_000, 50, 60
FIGURES = ("score", "alpha_sharpe", "sharpe", "total_return", "max_drawdown")


def lake_of(root):
    lake = open_lake(root)
    draw = stream(1, "load")
    for run in range(RUNS):
        folder = f"runs/{run:012x}"
        columns = {
            "island": [0] * PROGRAMS,
            "id": [f"{run * PROGRAMS + i:016x}" for i in range(PROGRAMS)],
            "text": [f"when(gt(rsi(close, {i % 50 + 2}), level({i % 90})), short, hold)" for i in range(PROGRAMS)],
            "size": [8] * PROGRAMS,
            "behaviour": pa.array(range(PROGRAMS), pa.uint64()),
            **{name: draw.normal(size=PROGRAMS) for name in FIGURES},
            "trades": [100.0] * PROGRAMS,
        }  # fmt: skip
        data, search = (
            {"symbols": ["ONE"], "interval": "1h", "venue": "made"},
            {"seed": 1, "islands": 1, "generations": 1},
        )
        lake.put_json(f"{folder}/run.json", {"run": f"{run:012x}", "science": {"data": data, "search": search}})
        lake.put_table(f"{folder}/gen=0000/appraisals.parquet", pa.table(columns))
        state = {"generation": 1, "trials": PROGRAMS, "islands": [[[columns["id"][0], 0]]]}
        lake.put_json(f"{folder}/gen=0000/state.json", state)
        front = {name: columns[name][:20] for name in ("id", "text", "size", *FIGURES)}
        lake.put_table(f"{folder}/front.parquet", pa.table(front))
    refresh(lake)
    return root


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_how_long_readers_wait(tmp_path):
    with serving(lake_of(tmp_path / "store"), tmp_path / "state") as one:
        paths = [
            "runs?limit=100",
            "runs/{run}",
            "runs/{run}/front",
            "runs/{run}/generations",
            "runs/{run}/programs?limit=200",
        ]
        paths += ["runs/{run}/programs?sort=size&offset=200&limit=200", "ledger", "datasets", "validations", "about"]
        waits: list[tuple[float, str, int]] = []

        def client(number):
            with requests.Session() as session:
                session.headers["authorization"] = f"Bearer {one.tokens['read']}"
                end = time.monotonic() + SECONDS
                turn = number
                while time.monotonic() < end:
                    path = paths[turn % len(paths)].format(run=f"{(turn * 37) % RUNS:012x}")
                    began = time.perf_counter()
                    answer = session.get(f"{one.url}/api/v1/{path}", timeout=60)
                    waits.append((time.perf_counter() - began, path, answer.status_code))
                    turn += 1
                    time.sleep(max(0.0, 1 - (time.perf_counter() - began)))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {status for _, _, status in waits} == {200}
    sorted_waits = sorted(wait for wait, _, _ in waits)
    for share in (0.5, 0.95, 0.99):
        print(f"{share:.0%}: {1000 * sorted_waits[int(share * len(sorted_waits))]:.1f} ms of {len(waits)} answers")
