"""A run in this process: kept, resumed, refused, and reproducible without any cluster."""

from __future__ import annotations

import errno
import random
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from quantga.cluster import evolution
from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import science_of, survey, trial_of
from quantga.cluster.record import RunFiles, digest_of
from quantga.engine.appraise import appraise_market
from quantga.errors import ConfigError, DataError, StoreError
from quantga.settings import Settings
from quantga.store.lake import Lake, open_lake
from tests.cluster.searches import imported, settings


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return a store with bars and no runs, which nobody writes to."""
    return imported(tmp_path_factory.mktemp("market"))


@pytest.fixture
def store(clean, tmp_path):
    """Return a store of its own: runs are kept in it."""
    return shutil.copytree(clean, tmp_path / "store")


@pytest.fixture(scope="module")
def undisturbed(clean, tmp_path_factory):
    """Return the run that the settings make when nothing happens to it."""
    return run(settings(shutil.copytree(clean, tmp_path_factory.mktemp("undisturbed") / "store")))


def here(chosen: Settings, order: int = 0, stop_after: int = 10**9):
    """Return what appraises in this process, in shuffled order, and is interrupted after so many programs."""
    market, trial, seen = survey(chosen).market(), trial_of(chosen), []

    def appraise(programs):
        seen.extend(programs)
        if len(seen) > stop_after:
            raise KeyboardInterrupt
        found = appraisals(programs, appraise_market(programs, market, trial))
        random.Random(order).shuffle(found)
        return found

    return appraise


def run(chosen: Settings, resume: str = "", **more):
    return run_evolution(chosen, resume=resume, appraise=here(chosen, **more))


def test_a_run_is_kept_and_a_finished_one_is_read(store, capsys):
    chosen = settings(store)
    first = run(chosen)
    assert first.generations == 6
    assert first.trials > 200
    assert first.champions
    scores = [one.figures["score"] for one in first.champions]
    assert scores == sorted(scores, reverse=True)
    lake = open_lake(store)
    assert lake.folders(f"runs/{first.id}") == [f"gen={n:04d}" for n in range(6)]
    again = run_evolution(chosen, appraise=lambda programs: pytest.fail("a finished run appraises nothing"))
    assert (again.digest, again.trials, again.champions) == (first.digest, first.trials, first.champions)
    state = lake.read_json(f"runs/{first.id}/gen=0005/state.json")
    assert state["digest"] == first.digest == digest_of(first.champions)
    assert capsys.readouterr().out == ""


def test_the_order_of_completion_does_not_matter_and_the_seed_does(store, undisturbed):
    shuffled = run(settings(store), order=3)
    assert (shuffled.id, shuffled.digest, shuffled.trials) == (undisturbed.id, undisturbed.digest, undisturbed.trials)
    reseeded = run(settings(store, seed=6))
    assert reseeded.id != undisturbed.id
    assert reseeded.digest != undisturbed.digest


def test_an_interrupted_run_says_how_to_resume_and_ends_as_if_undisturbed(store, undisturbed, capsys):
    chosen = settings(store)
    for programs in (1, 80, 150):
        with pytest.raises(KeyboardInterrupt):
            run(chosen, stop_after=programs)
    (name,) = open_lake(store).folders("runs")
    assert f"quantga evolve --resume {name}" in capsys.readouterr().err
    done = RunFiles(open_lake(store), name).committed()
    assert 0 < done < 6
    resumed = run(chosen, resume=name)
    assert (resumed.digest, resumed.trials, resumed.champions) == (
        undisturbed.digest,
        undisturbed.trials,
        undisturbed.champions,
    )


def test_resuming_with_other_science_is_refused_and_says_what_changed(store):
    chosen = settings(store)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, stop_after=60)
    (name,) = open_lake(store).folders("runs")
    with pytest.raises(ConfigError, match=r"search\.population was 24 and is 30"):
        run(settings(store, population=30), resume=name)
    assert science_of(chosen, name) == chosen.science
    other_machine = chosen.model_copy(update={"cluster": chosen.cluster.model_copy(update={"batch_ms": 99})})
    assert run(other_machine, resume=name[:6]).id == name


def test_a_run_that_does_not_exist_is_refused_before_any_work(store):
    with pytest.raises(ConfigError, match=r"no run 'nosuch'"):
        run_evolution(settings(store), resume="nosuch", appraise=lambda _: pytest.fail("worked"))
    assert open_lake(store).folders("runs") == []


def test_a_full_disk_leaves_a_resumable_run(store, undisturbed, monkeypatch):
    chosen = settings(store)
    put, writes = Lake.put, []

    def full(self, path, data):
        writes.append(path)
        if len(writes) > 5:
            raise StoreError(f"the disk that holds {path} is full") from OSError(errno.ENOSPC, "full")
        return put(self, path, data)

    monkeypatch.setattr(Lake, "put", full)
    with pytest.raises(StoreError, match="full"):
        run(chosen)
    monkeypatch.undo()
    assert run(chosen).digest == undisturbed.digest


def test_too_few_bars_are_refused(tmp_path):
    imported(tmp_path, bars=250)
    with pytest.raises(DataError, match="only 150 bars"):
        run_evolution(settings(tmp_path / "store"), appraise=lambda _: pytest.fail("worked"))


def test_champions_are_what_the_engine_says_of_them(store):
    chosen = settings(store)
    found = run(chosen)
    programs = [one.program for one in found.champions]
    judged = appraise_market(programs, survey(chosen).market(), trial_of(chosen))
    assert [one.figures["score"] for one in found.champions] == [a.score for a in appraisals(programs, judged)]
    assert [one.figures["trades"] for one in found.champions] == judged.figure("trades").tolist()


@pytest.mark.parametrize("selection", ["tournament", "lexicase"])
def test_other_selections_run_and_resume(store, clean, tmp_path, selection):
    chosen = settings(store, selection=selection, generations=3)
    with pytest.raises(KeyboardInterrupt):
        run(chosen, stop_after=60)
    other = shutil.copytree(clean, tmp_path / "other")
    assert run(chosen).digest == run(settings(other, selection=selection, generations=3)).digest


def test_the_story_is_short():
    import inspect

    for story in (run_evolution, evolution._search):
        assert len(inspect.getsource(story).splitlines()) <= 35


def test_the_last_state_read_back_is_the_state(store):
    chosen = settings(store, generations=3)
    kept = []

    def watching(started):
        from contextlib import contextmanager

        @contextmanager
        def nothing():
            yield kept.append

        return nothing()

    done = run_evolution(chosen, report=watching, appraise=here(chosen))
    assert [standing.generation for standing in kept] == [1, 2, 3]
    assert kept[-1].trials == done.trials == sum(standing.new for standing in kept)
    state, known, trials = RunFiles(open_lake(store), done.id).last(2)
    assert state.generation == 3
    assert trials == len(known) == done.trials
    best = max(member.appraisal.score for island in state.islands for member in island.members)
    assert best == done.champions[0].figures["score"]
    assert np.isfinite(best)
    assert replace(state.islands[0], members=()).seen | state.islands[1].seen == frozenset(known)


def test_a_run_ends_at_its_budget_and_goes_on_with_another(store, undisturbed, monkeypatch):
    from quantga.cluster.budget import Budget

    clock = iter(range(0, 10**9, 36))  # the clock is read twice a generation
    fake = SimpleNamespace(time=lambda: float(next(clock)), time_ns=time.time_ns)
    monkeypatch.setattr("quantga.cluster.account.time", fake)
    chosen = settings(store)
    cluster = chosen.cluster.model_copy(update={"usd_per_hour": {"other": 50.0}})
    chosen = chosen.model_copy(update={"cluster": cluster})
    seen = []
    for budget in (2.5, 4.5, 100.0):
        done = run_evolution(chosen, appraise=here(chosen), budget=Budget(usd=budget))
        seen.append((done.generations, done.usd, bool(done.ended)))
        assert done.champions
        assert done.trials
    assert seen == [(2, 2.0, True), (4, 4.0, True), (6, 6.0, False)]
    assert (done.digest, done.trials, done.champions) == (
        undisturbed.digest,
        undisturbed.trials,
        undisturbed.champions,
    )
    with pytest.raises(ConfigError, match="usd_per_hour"):
        run_evolution(settings(store, seed=9), budget=Budget(usd=1), appraise=lambda _: pytest.fail("worked"))
