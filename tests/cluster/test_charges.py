"""What a search is charged for, and what it cannot read."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest

import quantga
from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import require_unknowing, survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.errors import DataError, LockedBars
from quantga.store.lake import open_lake
from quantga.store.market import Query, dev_window, find_dataset, load
from quantga.store.trials import Head, Ledger, open_holdout, verify
from tests.cluster.searches import imported, settings

PACKAGE = Path(quantga.__file__).parent
OPENERS = {"load_holdout", "open_holdout", "record_look"}
MAY_OPEN = {"store/market.py", "store/trials.py", "cluster/look.py"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return imported(tmp_path_factory.mktemp("market"))


@pytest.fixture
def store(clean, tmp_path):
    return shutil.copytree(clean, tmp_path / "store")


def run(chosen, stop_after=10**9):
    market, trial, seen = survey(chosen).market(), trial_of(chosen), []

    def appraise(programs):
        seen.extend(programs)
        if len(seen) > stop_after:
            raise KeyboardInterrupt
        return appraisals(programs, appraise_market(programs, market, trial))

    return run_evolution(chosen, appraise=appraise)


def charged(store):
    return [(row.entry.kind, row.entry.key, row.entry.trials) for row in Ledger(open_lake(store)).rows()]


def test_every_program_is_charged_once_and_the_run_names_its_row(store):
    done = run(settings(store))
    rows = charged(store)
    assert rows[0] == ("search", f"{done.id}/search", 0)
    assert [key for _, key, _ in rows[1:]] == [f"{done.id}/gen={n:04d}" for n in range(6)]
    assert sum(trials for *_, trials in rows) == done.trials
    lake = open_lake(store)
    ledger = Ledger(lake)
    assert Head(**lake.read_json(f"runs/{done.id}/run.json")["ledger"]) == ledger.rows()[0].head
    assert {span.asset for span in ledger.searches()[0].spans} == {"BTC", "ETH"}
    assert ledger.searches()[0].spans[0].end == survey(settings(store)).window.locked_from
    assert verify(lake) == []


def test_a_stopped_run_is_charged_for_what_it_did_and_not_twice(store, clean, tmp_path):
    whole = run(settings(shutil.copytree(clean, tmp_path / "whole")))
    for programs in (40, 100, 170):
        with pytest.raises(KeyboardInterrupt):
            run(settings(store), stop_after=programs)
    before = sum(trials for *_, trials in charged(store))
    assert 0 < before < whole.trials
    run(settings(store))
    assert charged(store) == charged(tmp_path / "whole")
    run(settings(store))
    assert len(charged(store)) == 7


def test_a_row_removed_or_changed_is_seen(store):
    run(settings(store))
    lake = open_lake(store)
    rows = lake.paths("ledger")
    path = lake.root / rows[3]
    path.write_bytes(path.read_bytes().replace(b'"trials": ', b'"trials": 1', 1))
    assert "000004.json was changed" in verify(lake)[0] or "chain is broken" in verify(lake)[0]
    for name in rows:
        (lake.root / name).unlink()
    assert "rows were removed" in verify(lake)[0]


def test_the_next_search_of_the_same_bars_hears_of_the_first(store):
    said = []

    def watching(started):
        from contextlib import nullcontext

        said.append(started.note)
        return nullcontext(lambda _: None)

    for seed in (1, 2):
        chosen = settings(store, seed=seed, generations=1)
        market, trial = survey(chosen).market(), trial_of(chosen)
        run_evolution(
            chosen, report=watching, appraise=lambda p, m=market, t=trial: appraisals(p, appraise_market(p, m, t))
        )
    assert "no history" in said[0]
    assert "programs in 1 search and 0 looks" in said[1]


def test_locked_bars_cannot_be_read_by_a_search(store):
    lake = open_lake(store)
    dataset = find_dataset(lake, Query())
    lock = dev_window(dataset, ()).locked_from
    assert max(int(bars.time[-1]) for bars in survey(settings(store)).market().values()) < lock
    with pytest.raises(LockedBars, match="locked holdout"):
        load(lake, dataset, ("BTC",), None, lock + dataset.interval_ms)


def test_who_reads_locked_bars_has_spent_them(store):
    chosen = settings(store, generations=1)
    open_bars = chosen.model_copy(update={"data": chosen.data.model_copy(update={"unlocked": True})})
    survey(open_bars).market()
    survey(open_bars).market()
    assert [kind for kind, *_ in charged(store)] == ["search"]
    lake = open_lake(store)
    with pytest.raises(LockedBars, match="has searched"):
        open_holdout(Ledger(lake), find_dataset(lake, Query()), ("BTC",), "later", second_look=True)


def test_only_a_validation_knows_the_door_to_the_holdout():
    """Whatever breeds and appraises does not even name what opens it."""
    knowing = set()
    for source in sorted(PACKAGE.rglob("*.py")):
        names = {
            getattr(node, field)
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            for field in ("id", "attr", "name")
            if isinstance(getattr(node, field, None), str)
        }
        if names & OPENERS:
            knowing.add(str(source.relative_to(PACKAGE)))
    assert knowing <= MAY_OPEN


def test_a_column_that_knows_the_next_bar_stops_the_search(store):
    (bars,) = list(survey(settings(store)).market().values())[:1]
    ahead = np.append(bars["close"][1:] / bars["close"][:-1] - 1, 0.0)
    require_unknowing({"BTC": bars.with_columns({"$mood": np.random.default_rng(1).normal(size=len(bars))})})
    with pytest.raises(DataError, match="NEXT bar's return"):
        require_unknowing({"BTC": bars.with_columns({"$mood": ahead})})
