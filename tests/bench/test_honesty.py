"""The benchmark of honesty: every market once, the same on a second run, and folders that merge or are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from quantga.bench.honesty import Terms, run
from quantga.bench.honesty_cases import (
    FULL,
    QUICK,
    REAL,
    Budget,
    Case,
    Ground,
    fresh_markets,
    market,
    null_market,
    searched,
    searched_window,
)
from quantga.errors import ConfigError
from quantga.lang.bars import DAY_MS

TINY = Budget(
    nulls=1,
    planted=1,
    library=9,
    levels=(3.0,),
    families=("gbm", "drift", "regime"),
    fresh_years=5.0,
    search={"islands": 1, "population": 24, "generations": 2},
)


def counted(table):
    return {key: value for key, value in table.items() if key != "machine"}


def silent(message: str) -> None:
    assert message


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honesty")
    return folder, counted(run(TINY, Terms(folder=folder, workers=1), silent))


def test_every_market_is_validated_and_counted(ran):
    _, table = ran
    assert (table["runs"], table["planned"], table["null_runs"]) == (3, 3, 2)
    assert set(table["null_families"]) == {"gbm", "drift"}
    assert table["power_shares"]["3"]["of"] == 1
    assert table["power"]["3"] in (0.0, 1.0)
    assert 0 <= table["null_promoted"] <= 2
    assert table["search"] == "1 x 24 x 2"
    assert 24 < table["trials"] <= 48
    assert json.loads(json.dumps(table))["years"] == 4.0


def test_what_is_there_is_not_run_again_and_a_part_lost_is(ran):
    folder, table = ran
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert len(files) == 9 + 3
    assert counted(run(TINY, Terms(folder=folder, workers=1), silent)) == table
    lost = next(path for path in files if path.name.startswith("case-regime"))
    before = lost.read_bytes()
    lost.unlink()
    assert counted(run(TINY, Terms(folder=folder, workers=1), silent)) == table
    assert lost.read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in files if path != lost} == {
        path: when for path, when in files.items() if path != lost
    }


def test_folders_of_two_machines_merge(ran, tmp_path: Path):
    folder, table = ran
    one, other = tmp_path / "one", tmp_path / "other"
    for place, path in enumerate(sorted(folder.rglob("*.json"))):
        copy = (one if place % 2 else other) / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert counted(run(TINY, Terms(folder=one, merge=(other,), only_table=True), silent)) == table
    assert run(TINY, Terms(folder=one, only_table=True), silent)["runs"] < 3
    changed = next((one).rglob("case-*.json"))
    data = json.loads(changed.read_text())
    changed.write_text(json.dumps({**data, "p_mine": 0.123}))
    with pytest.raises(ConfigError, match="different answers for"):
        run(TINY, Terms(folder=folder, merge=(one,), only_table=True), silent)


def test_checkpoints_of_another_budget_are_not_counted(ran):
    folder, _ = ran
    larger = replace(TINY, search={**TINY.search, "generations": 3})
    table = run(larger, Terms(folder=folder, only_table=True), silent)
    assert (table["runs"], table["null_runs"], table["power"]) == (0, 0, {})


def test_the_order_is_fixed_and_a_part_is_a_fair_sample():
    cases = list(FULL.cases(real=True))
    assert len(cases) == len(set(cases)) == 5 * 40 + 6 * 3 * 12
    assert {case.kind for case in cases[:5]} == {"gbm", "garch_t", "drift", *REAL}
    half = cases[: len(cases) // 2]
    assert abs(sum(case.sharpe == 0 for case in half) - 100) < 10
    assert len({(case.kind, case.sharpe) for case in half}) == 23
    assert [case for case in FULL.cases(real=False) if case.kind in REAL] == []
    assert {case.sharpe for case in QUICK.cases(real=False)} == {0.0, 3.0}


def test_surrogates_are_of_other_markets_than_the_cases_and_of_the_part_searched():
    dev = searched(market(Case("gbm", 0.0, 0), FULL, Ground()))["BTC"]
    null = null_market("gbm", 0, FULL, Ground())["BTC"]
    assert len(dev) == len(null) == int(0.6 * 4 * 365) * 24
    assert not np.array_equal(dev["volume"], null["volume"])
    other = null_market("gbm", 1, FULL, Ground())["BTC"]
    assert not np.array_equal(other["close"], null["close"])
    start, end = searched_window({"BTC": dev})
    assert (end - start) % DAY_MS == 0


def test_real_bars_make_families_without_an_edge(market_data: Path):
    path = market_data / "ohlcv" / "binance_perp" / "1h" / "BTCUSDT.parquet"
    ground = Ground.of(path, 4.0)
    assert ground.bars is not None
    assert len(ground.bars) == 4 * 365 * 24
    own = ground.bars["close"]
    for kind in REAL:
        case = Case(kind, 0.0, 3)
        made = market(case, FULL, ground)["BTC"]
        assert len(made) == len(own)
        assert not np.array_equal(made["close"], own)
        assert len(fresh_markets(case, FULL, ground)) == 5
        assert Ground.of(path, 4.0).digest == ground.digest
    with pytest.raises(ConfigError, match="less than 40 years"):
        Ground.of(path, 40.0)
    with pytest.raises(ConfigError, match="need --data"):
        market(Case(REAL[0], 0.0, 1), FULL, Ground())
    with pytest.raises(ConfigError, match="is not a file"):
        Ground.of(market_data, 4.0)
