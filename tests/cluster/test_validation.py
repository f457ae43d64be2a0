"""Whole validations: what is promoted, what is refused, and that a stopped one ends as if it had not been stopped."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext

import numpy as np
import pytest

from quantga.cluster import case as case_module
from quantga.cluster import validation
from quantga.cluster.case import Terms
from quantga.cluster.null_searches import null_search
from quantga.cluster.record import RunFiles, code_version
from quantga.cluster.validation import read_validation, run_validation
from quantga.errors import ConfigError, Conflict, DataError, LockedBars, ManifestMismatch
from quantga.lang.bars import DAY_MS
from quantga.store.lake import Lake, open_lake
from quantga.store.market import Query, find_dataset
from quantga.store.strategies import read_strategy, strategies
from quantga.store.trials import Ledger, open_holdout, record_look, verify
from quantga.trust.holdout import Span
from tests.cluster.judged import TERMS, evolved, settings, store_of, validated

VOLATILE = {"ledger", "strategies"}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A store with a market that has an edge, and a finished run."""
    store = store_of(tmp_path_factory.mktemp("planted"), 0.15)
    return store, evolved(store)


@pytest.fixture(scope="module")
def null(tmp_path_factory):
    """The same chance without the edge."""
    store = store_of(tmp_path_factory.mktemp("null"), 0.0)
    return store, evolved(store)


@pytest.fixture(scope="module")
def judged(planted, tmp_path_factory):
    """The planted store after a validation that nothing disturbed."""
    store = shutil.copytree(planted[0], tmp_path_factory.mktemp("judged") / "store")
    return store, validated(store)


@pytest.fixture
def fresh(planted, tmp_path):
    """A planted store of one's own, not validated yet."""
    return shutil.copytree(planted[0], tmp_path / "store")


def never(*_):
    pytest.fail("a surrogate was searched")


def plain(record):
    return {key: value for key, value in record.items() if key not in VOLATILE}


def test_an_edge_is_promoted_with_everything_that_it_rests_on(planted, judged):
    store, done = judged
    lake, run = open_lake(store), planted[1]
    assert done.decision == "promoted"
    assert done.record["p"] < 0.001
    assert done.record["search"]["null_searches"] == 19
    kinds = [(row.entry.kind, row.entry.run) for row in Ledger(lake).rows()]
    assert kinds[-2:] == [("look", run.id), ("answer", run.id)]
    promoted = [one for one in done.record["shortlist"] if one["promoted"]]
    assert len(done.strategies) == len(promoted) >= 1
    assert strategies(lake) == tuple(sorted(done.strategies))
    for name, one in zip(done.strategies, promoted, strict=True):
        strategy = read_strategy(lake, name[:8])
        assert strategy.id == name
        assert (strategy.program, strategy.parsed().text) == (one["program"], one["text"])
        assert (strategy.run, strategy.code, strategy.dataset) == (run.id, code_version(), run.dataset)
        assert strategy.market == strategy.evolved_on
        assert (strategy.market.venue, strategy.market.bases, strategy.market.interval) == ("made", ("ONE",), "12h")
        assert strategy.costs["fee"] == 0.00045
        assert strategy.forecast.low < strategy.forecast.sharpe < strategy.forecast.high
        assert strategy.evidence.holdout[0] > strategy.evidence.searched[1]
    assert verify(lake) == []


def test_the_record_has_evidence_diagnostics_and_power(planted, judged):
    record = judged[1].record
    assert record == read_validation(open_lake(judged[0]), planted[1].id)
    assert record["funnel"][0]["step"] == "programs appraised"
    assert record["funnel"][0]["count"] == record["trials"] == planted[1].trials
    shown = {one["key"]: one for one in record["diagnostics"]}
    assert {"psr", "psr_2026", "dsr", "pbo", "spa", "min_track_record", "walk_forward"} <= shown.keys()
    assert "96 % of searches in pure noise pass" in shown["pbo"]["base_rate"]
    assert record["power"]["words"]
    assert len(record["search"]["maxima"]) == 19
    best = record["shortlist"][0]
    assert best["tradability"]["costs"]["sharpe"][0] > best["tradability"]["costs"]["sharpe"][-1]
    assert len(record["sample"]["searched"]) == len(record["sample"]["holdout"]) > 5
    table = open_lake(judged[0]).read_table(f"runs/{planted[1].id}/validation.parquet")
    days = table["day"].to_numpy()
    assert days.max() - days.min() > 2.9 * 365
    assert set(table["program"].to_pylist()) == {one["program"] for one in record["shortlist"]}


def test_its_twin_without_the_edge_is_not_and_its_holdout_stays_shut(null, tmp_path):
    store = shutil.copytree(null[0], tmp_path / "store")
    done = validated(store)
    assert done.decision == "unopened"
    assert done.record["search"]["null_searches"] < 19
    assert not done.record["holdout_opened"]
    assert done.record["shortlist"][0]["holdout"] is None
    lake = open_lake(store)
    assert strategies(lake) == ()
    assert {row.entry.kind for row in Ledger(lake).rows()} == {"search", "trials"}
    _, permission, _ = open_holdout(Ledger(lake), find_dataset(lake, Query()), ("ONE",), "somebody")
    assert permission.number == 1


def test_a_validation_that_is_done_is_read(judged):
    store, done = judged
    again = validated(store, here=never)
    assert (again.record, again.new) == (done.record, False)
    with pytest.raises(ConfigError, match="was validated before, with nulls=19"):
        validated(store, terms=Terms(nulls=20), here=never)


def test_a_stopped_validation_goes_on_and_ends_the_same(judged, fresh, capsys):
    asked = []

    def stopping(market, chosen, kind, number):
        if len(asked) in (7, 12):
            asked.append(None)
            raise KeyboardInterrupt
        asked.append(number)
        return null_search(market, chosen, kind, number)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            validated(fresh, here=stopping)
    assert "`quantga validate" in capsys.readouterr().err
    done = validated(fresh, here=stopping)
    assert [number for number in asked if number is not None] == list(range(19))
    assert plain(done.record) == plain(judged[1].record)


@pytest.mark.parametrize("where", ["findings", "keep_strategy"])
def test_a_validation_killed_after_its_look_answers_once_and_the_same(judged, fresh, monkeypatch, where):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(validation, where, killed)
        with pytest.raises(KeyboardInterrupt):
            validated(fresh)
    evolved(fresh, seed=9)  # another search meanwhile changes nothing
    run = judged[1].run
    done = validated(fresh, run, here=never)
    assert plain(done.record) == plain(judged[1].record)
    looks = [row for row in Ledger(open_lake(fresh)).rows() if row.entry.kind == "look"]
    assert len(looks) == 1


def test_ray_gives_the_same_on_any_number_of_workers(judged, fresh, ray_local):
    done = run_validation(settings(fresh), "last", TERMS)
    assert plain(done.record) == plain(judged[1].record)


def test_another_run_of_the_same_bars_pays_with_its_level_and_not_with_searches(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    other = evolved(store, seed=4)
    with pytest.raises(LockedBars, match="a holdout answers once"):
        validated(store, other.id, here=never)
    done = validated(store, other.id, Terms(nulls=19, second_look=True), here=never)
    record = done.record
    assert record["level"] == 0.025
    assert record["searches"] == 2
    assert record["search"]["p_charged"] == pytest.approx(1 - (1 - record["search"]["p"]) ** 2)
    assert record["permission"].startswith("look number 2")


def test_bars_after_a_look_are_a_holdout_of_their_own(fresh, planted):
    lake = open_lake(fresh)
    locked = find_dataset(lake, Query()).instrument("ONE").locked_from
    seen = Span("ONE", "12h", locked, locked + 120 * DAY_MS)
    record_look(Ledger(lake), [seen], "somebody")
    with pytest.raises(LockedBars, match="a holdout answers once"):
        validated(fresh, planted[1].id, here=never)
    done = validated(fresh, planted[1].id, Terms(nulls=19, fresh=True))
    assert done.record["split"]["holdout"][0] >= seen.end
    assert done.decision == "not provable"  # what is left is less than a year
    assert done.record["looks_before"] == {"count": 1, "expected_false": 0.05}


def test_a_run_of_other_settings_has_another_library(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    other = evolved(store, population=14)
    with pytest.raises(pytest.fail.Exception):
        validated(store, other.id, Terms(nulls=19, second_look=True), here=never)


def test_what_was_found_elsewhere_is_confirmed_or_not(tmp_path):
    store = store_of(tmp_path, 0.15)
    store_of(tmp_path, 0.15, venue="theirs", shift=0.001)
    evolved(store, {"venue": "made"})
    done = validated(store, terms=Terms(nulls=19, confirm_on="theirs"))
    assert done.decision == "promoted"
    one = next(one for one in done.record["shortlist"] if one["promoted"])
    assert one["confirmed"]["venue"] == "theirs"
    assert one["confirmed"]["sharpe"] > 0
    strategy = read_strategy(open_lake(store), done.strategies[0])
    assert (strategy.market.venue, strategy.evolved_on.venue) == ("theirs", "made")
    assert strategy.evidence.confirmed["days"] > 300


def test_what_does_not_hold_elsewhere_is_not_promoted(tmp_path):
    store = store_of(tmp_path, 0.15)
    store_of(tmp_path, 0.0, venue="theirs")
    evolved(store, {"venue": "made"})
    done = validated(store, terms=Terms(nulls=19, confirm_on="theirs"))
    lost = [one for one in done.record["shortlist"] if one["confirmed"]["sharpe"] <= 0]
    assert all(any("it loses on theirs" in why for why in one["reasons"]) for one in lost)
    assert lost


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"nulls": 5}, "give at least 19"),
        ({"alpha": 0.9}, "a level within"),
        ({"surrogate": "block"}, "no surrogate market"),
    ],
)
def test_terms_that_are_none_are_refused(terms, said):
    with pytest.raises(ConfigError, match=said):
        Terms(**terms)


def test_what_cannot_be_judged_is_refused_before_any_search(fresh, planted, monkeypatch):
    run = planted[1].id
    for terms, error, said in (
        (Terms(embargo_days=1), ConfigError, "is shorter than what these programs remember"),
        (Terms(confirm_on="nowhere"), DataError, "no dataset holds"),
        (Terms(confirm_on="made"), ConfigError, "evolved on made itself"),
    ):
        with pytest.raises(error, match=said):
            validated(fresh, run, terms, here=never)
    with pytest.raises(ConfigError, match="no run 'nosuch'"):
        validated(fresh, "nosuch", here=never)
    monkeypatch.setattr(case_module, "code_version", lambda: "0.9+abc")
    with pytest.raises(ConfigError, match="other code is another search"):
        validated(fresh, run, here=never)


def test_an_unlocked_run_is_refused(tmp_path):
    store = store_of(tmp_path, 0.15)
    run = evolved(store, {"unlocked": True})
    with pytest.raises(ConfigError, match="read the locked holdout"):
        validated(store, run.id, here=never)
    locked = evolved(store)
    with pytest.raises(LockedBars, match="has searched"):
        validated(store, locked.id, here=never)


def test_an_unfinished_run_is_refused(fresh, planted):
    (fresh / "runs" / planted[1].id / "front.parquet").unlink()
    with pytest.raises(ConfigError, match="is not finished"):
        validated(fresh, planted[1].id, here=never)
    with pytest.raises(ConfigError, match=r"no run of .* is finished"):
        validated(fresh, "last", here=never)


def test_a_history_without_room_for_a_holdout_is_refused(tmp_path):
    store = store_of(tmp_path, 0.15, years=0.6)
    evolved(store)
    with pytest.raises(DataError, match="left for a holdout after the embargo"):
        validated(store, here=never)


def test_a_short_holdout_proves_nothing_and_stays_shut(tmp_path):
    store = store_of(tmp_path, 0.15, years=2.2)
    evolved(store)
    done = validated(store)
    assert done.decision == "not provable"
    assert "keeps its worth" in done.record["words"]
    assert done.record["power"]["words"]
    assert all(row.entry.kind != "look" for row in Ledger(open_lake(store)).rows())


def change(path, old, new):
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "bytes_", "error", "said"),
    [
        ("ledger/000002.json", (b'"trials": 1', b'"trials": 2'), ManifestMismatch, "cannot be trusted"),
        ("runs/{run}/run.json", (b'"fee": 0.00045', b'"fee": 0.00001'), ConfigError, "were changed after it was"),
        ("runs/{run}/run.json", (b'"end": 1', b'"end": 2'), ManifestMismatch, "other bars than its dataset gives"),
        ("manifests/{dataset}.json", (b'"rows"', b'"rowz"'), ManifestMismatch, "no manifest"),
    ],
)
def test_what_was_changed_is_seen(fresh, planted, file, bytes_, error, said):
    run = planted[1]
    change(fresh / file.format(run=run.id, dataset=run.dataset), *bytes_)
    with pytest.raises(error, match=said):
        validated(fresh, run.id, here=never)


def test_champions_and_bars_that_were_changed_are_seen(fresh, planted):
    lake, run = open_lake(fresh), planted[1].id
    path = fresh / "runs" / run / "front.parquet"
    kept = path.read_bytes()
    path.unlink()
    RunFiles(lake, run).finish(planted[1].champions[1:])
    with pytest.raises(ManifestMismatch, match="not those that its search ended with"):
        validated(fresh, run, here=never)
    path.write_bytes(kept)
    bars = next(path for path in fresh.glob("bars/**/*.parquet"))
    bars.write_bytes(bars.read_bytes()[:-1] + b"x")
    with pytest.raises(ManifestMismatch, match="changed after it was written"):
        validated(fresh, run, here=never)


def test_a_run_that_the_ledger_does_not_know_is_refused(fresh, planted):
    shutil.rmtree(fresh / "ledger")
    run_json = fresh / "runs" / planted[1].id / "run.json"
    made = json.loads(run_json.read_bytes())
    run_json.write_text(json.dumps({key: value for key, value in made.items() if key != "ledger"}))
    with pytest.raises(ConfigError, match="the ledger counts 0 of them"):
        validated(fresh, planted[1].id, here=never)


def test_a_strategy_that_was_changed_is_none(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    lake, name = open_lake(store), judged[1].strategies[0]
    change(store / "strategies" / f"{name}.json", b'"fee": 0.00045', b'"fee": 0.00001')
    with pytest.raises(ManifestMismatch, match="changed after it was promoted"):
        read_strategy(lake, name)
    with pytest.raises(ConfigError, match="names 0 strategies"):
        read_strategy(lake, "zzz")


def test_bars_replaced_by_a_later_import_end_a_runs_standing(tmp_path):
    store = store_of(tmp_path, 0.15)
    run = evolved(store)
    import pyarrow.parquet as pq

    from quantga.store.ingest.importer import import_files
    from quantga.store.ingest.labels import Told

    path = tmp_path / "files" / "made" / "ONE.parquet"
    table = pq.read_table(path)
    volume = np.array(table["volume"])
    more = table.set_column(5, "volume", [volume * 2])
    pq.write_table(more, path)
    import_files(open_lake(store), [path], Told(venue="made", interval="12h"), overwrite=True)
    assert validated(store, run.id).decision == "promoted"  # the prices are the same
    close = np.array(table["close"])
    lower = table.set_column(4, "close", [np.minimum(close, table["open"])])
    pq.write_table(lower, path)
    import_files(open_lake(store), [path], Told(venue="made", interval="12h"), overwrite=True)
    other = evolved(shutil.copytree(store, tmp_path / "other"), seed=4)
    assert other.dataset != run.dataset
    shutil.rmtree(store / "runs" / run.id / "validation.json", ignore_errors=True)
    (store / "runs" / run.id / "validation.json").unlink(missing_ok=True)
    with pytest.raises(ManifestMismatch, match="were replaced by a later import"):
        validated(store, run.id, here=never)


class Lost:
    """A right that another process took over."""

    def require(self):
        raise Conflict("another one goes on with it")


def test_who_lost_the_right_to_a_run_opens_nothing(fresh, monkeypatch):
    monkeypatch.setattr(Lake, "hold", lambda self, what: nullcontext(Lost()))
    with pytest.raises(Conflict, match="another one"):
        validated(fresh)
    assert {row.entry.kind for row in Ledger(open_lake(fresh)).rows()} == {"search", "trials"}


def test_two_that_validate_a_run_do_so_one_after_the_other(fresh, planted):
    with open_lake(fresh).hold(f"validation {planted[1].id}"), pytest.raises(Conflict):
        validated(fresh)
    assert validated(fresh).new
    assert not validated(fresh).new
