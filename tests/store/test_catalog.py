"""The catalog is an index: made of the lake alone, whole at every moment, and read by anyone."""

from __future__ import annotations

import multiprocessing

import pyarrow as pa
import pytest

from quantga.errors import ConfigError, StoreError
from quantga.store.catalog import FILE, MIGRATIONS, query, rebuild, refresh, snapshot, to_records
from quantga.store.lake import open_lake
from tests.store.made import candles, rows, tree, write


def generation(lake, run, number, n=5, **more):
    """Write a generation as an evolution does: the appraisals, then the state, which is the commit mark."""
    columns = {
        "generation": [number] * n,
        "island": [0] * n,
        "slot": list(range(n)),
        "id": [f"{(number * n + i) % 7:016x}" for i in range(n)],
        "text": [f"scale(x{(number * n + i) % 7})" for i in range(n)],
        "size": [3] * n,
        "sharpe": [0.1 * number] * n,
    }
    folder = f"runs/{run}/gen={number:04d}"
    lake.put_table(f"{folder}/appraisals.parquet", pa.table(columns | {k: [v] * n for k, v in more.items()}))
    lake.put_json(f"{folder}/state.json", {"generation": number})


@pytest.fixture
def runs(lake):
    lake.put_json("runs/r1/run.json", {"seed": 1})
    generation(lake, "r1", 0)
    generation(lake, "r1", 1, alpha=2.5)
    return lake


def one(lake, sql):
    (row,) = query(lake, sql).to_pylist()
    return next(iter(row.values()))


def test_what_is_in_the_lake_is_in_the_catalog(runs):
    assert query(runs, "SELECT run, settings, finished FROM runs").to_pylist() == [
        {"run": "r1", "settings": '{\n  "seed": 1\n}', "finished": False}
    ]
    assert query(runs, "SELECT generation FROM generations ORDER BY 1")["generation"].to_pylist() == [0, 1]
    assert one(runs, "SELECT count(*) FROM appraisals") == 10
    assert one(runs, "SELECT count(*) FROM programs") == 7
    assert one(runs, "SELECT sum(alpha) FROM appraisals") == 12.5  # a column that only one generation has
    assert one(runs, "SELECT count(*) FROM appraisals WHERE alpha IS NULL AND run = 'r1'") == 5


def test_only_what_is_new_is_read(runs):
    refresh(runs)
    (runs.root / "runs/r1/gen=0000/appraisals.parquet").write_bytes(b"gone bad")
    generation(runs, "r1", 2)
    runs.put_json("runs/r2/run.json", {})
    assert one(runs, "SELECT count(*) FROM appraisals") == 15
    assert one(runs, "SELECT count(*) FROM runs") == 2


def test_a_generation_without_its_commit_mark_is_none(runs):
    runs.put_table("runs/r1/gen=0002/appraisals.parquet", pa.table({"id": ["x"]}))
    assert one(runs, "SELECT max(generation) FROM appraisals") == 1
    runs.put_json("runs/r1/gen=0002/state.json", {})
    assert one(runs, "SELECT max(generation) FROM appraisals") == 2


def test_a_finished_run_has_its_front(runs):
    runs.put_table("runs/r1/front.parquet", pa.table({"id": ["a"], "text": ["long"], "size": [1], "sharpe": [1.5]}))
    assert query(runs, "SELECT run, id, sharpe FROM fronts").to_pylist() == [{"run": "r1", "id": "a", "sharpe": 1.5}]
    assert one(runs, "SELECT finished FROM runs") is True
    assert one(runs, "SELECT count(*) FROM fronts") == 1


def test_datasets(tmp_path, lake, bring):
    for n in (100, 120):
        last = bring(write(tmp_path / "binance" / "BTCUSDT.csv", rows(candles(120), slice(n)))).datasets[0]
        refresh(lake)
    found = to_records(query(lake, "SELECT * FROM datasets ORDER BY rows"))
    assert [(row["rows"], row["newest"], row["base"]) for row in found] == [(100, False, "BTC"), (120, True, "BTC")]
    assert found[1]["dataset"] == last.id
    assert found[1]["first"] == "2024-01-01T00:00:00"


def test_deleting_or_damaging_it_loses_nothing(runs):
    sql = "SELECT * FROM appraisals ORDER BY generation, slot"
    before = query(runs, sql)
    kept = tree(runs.root / "runs")
    (runs.root / FILE).unlink()
    assert query(runs, sql).equals(before)
    (runs.root / FILE).write_bytes(b"this is no database" * 1000)
    assert query(runs, sql).equals(before)
    rebuild(runs)
    assert query(runs, sql).equals(before)
    assert tree(runs.root / "runs") == kept


def test_readers_keep_what_they_opened(runs):
    refresh(runs)
    with snapshot(runs) as reader:
        generation(runs, "r1", 2)
        assert one(runs, "SELECT count(*) FROM appraisals") == 15
        assert reader.execute("SELECT count(*) FROM appraisals").fetchall() == [(10,)]


def _ask(root, answers):
    answers.put(one(open_lake(root), "SELECT count(*) FROM appraisals"))


def test_many_processes_at_once(runs):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    askers = [context.Process(target=_ask, args=(runs.root, answers)) for _ in range(3)]
    for asker in askers:
        asker.start()
    assert [answers.get(timeout=60) for _ in askers] == [10, 10, 10]
    for asker in askers:
        asker.join(60)
    assert [asker.exitcode for asker in askers] == [0, 0, 0]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nothing", "nothing does not exist.*tables: datasets"),
        ("DROP TABLE runs", "read-only"),
        ("INSERT INTO runs VALUES ('x', 'y', true)", "read-only"),
    ],
)
def test_a_wrong_statement_is_refused(runs, sql, said):
    with pytest.raises(ConfigError, match=said) as caught:
        query(runs, sql)
    assert "\n" not in str(caught.value)


def test_a_statement_without_a_result(runs):
    assert query(runs, "SET threads = 1").num_rows == 0


def test_an_empty_lake_has_an_empty_catalog(lake):
    assert one(lake, "SELECT count(*) FROM runs") == 0


def test_a_catalog_of_a_newer_version_is_not_touched(runs):
    import duckdb

    refresh(runs)
    with duckdb.connect(str(runs.root / FILE)) as connection:
        connection.execute("INSERT INTO migrations VALUES (?, 'later')", [len(MIGRATIONS) + 1])
    with pytest.raises(StoreError, match="written by a newer quantga"):
        refresh(runs)
    rebuild(runs)
    assert one(runs, "SELECT count(*) FROM migrations") == len(MIGRATIONS)
