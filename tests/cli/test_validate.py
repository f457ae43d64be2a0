"""`quantga validate` and `quantga ledger` as a user types them: what they print, and their exit codes."""

from __future__ import annotations

import json
import shutil

import pytest

from quantga.cli import main
from quantga.store.lake import open_lake
from quantga.store.trials import Ledger
from tests.cluster.judged import evolved, store_of, validated


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    store = store_of(tmp_path_factory.mktemp("judged"), 0.15)
    evolved(store)
    return store, validated(store)


@pytest.fixture
def store(judged, tmp_path):
    return shutil.copytree(judged[0], tmp_path / "store")


@pytest.fixture
def type_in(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def type_in(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        seen = capsys.readouterr()
        return left.value.code or 0, seen.out, seen.err

    return type_in


def last_json(out):
    return json.loads(out.strip().splitlines()[-1])


def test_a_verdict_is_told_in_words_and_as_json(judged, store, type_in):
    code, out, err = type_in("validate", "last", "--nulls", 19, "--store", store)
    assert code == 0, err
    assert out.startswith("PROMOTED: ")
    assert "36 trials" in out
    assert "labels decide nothing" in out
    assert f"promoted: strategies/{judged[1].strategies[0]}.json" in out
    assert "was validated before" in err
    code, out, _ = type_in("validate", judged[1].run[:6], "--nulls", 19, "--store", store, "--json")
    found = last_json(out)
    assert (code, found["decision"], found["promoted"]) == (0, "promoted", list(judged[1].strategies))
    assert found["null_searches"] == 19
    assert 0 < found["p_hold"] < 0.05


def test_ray_searches_and_shows_how_far_it_is(judged, store, type_in, ray_local):
    (store / "runs" / judged[1].run / "validation.json").unlink()
    shutil.rmtree(store / "nulls")
    code, out, err = type_in("validate", "--nulls", 19, "--workers", 2, "--store", store, "--json")
    assert code == 0, err
    assert last_json(out)["p"] == judged[1].record["p"]
    assert "19 surrogate searches, 0 did as well" in err
    assert "holdout: first look" in err


def test_what_cannot_be_judged_ends_with_two_and_a_sentence(judged, store, type_in):
    other = evolved(store, seed=3)
    for words, said in (
        (("nosuch",), "there is no run 'nosuch'"),
        ((other.id,), "--second-look spends more of its level"),
        ((other.id, "--second-look", "--embargo", "0.5"), "is shorter than what these programs remember"),
        ((other.id, "--surrogate", "block"), "no surrogate market"),
        ((other.id, "--fresh"), "days are left for a holdout"),
    ):
        code, _, err = type_in("validate", *words, "--store", store)
        assert (code, said in err) == (2, True), err


def test_the_ledger_is_shown_and_verified(judged, store, type_in):
    code, out, err = type_in("ledger", "show", "--store", store)
    assert code == 0
    assert [word in out for word in ("search", "look", "answer", "first look at ONE 12h")] == [True] * 4
    head = Ledger(open_lake(store)).head()
    assert head.digest in err
    code, out, _ = type_in("ledger", "show", "--store", store, "--json")
    shown = last_json(out)
    assert [row["kind"] for row in shown["rows"]] == ["search", "look", "answer"]
    assert shown["rows"][0]["programs"] == 36
    code, _, err = type_in("ledger", "verify", "--store", store, "--head", f"{head.number}:{head.digest}")
    assert (code, "rows are whole" in err) == (0, True)
    code, _, err = type_in("ledger", "verify", "--store", store, "--head", "what")
    assert (code, "a head reads like" in err) == (2, True)


def test_tampering_ends_with_one_and_says_where(judged, store, type_in):
    rows = sorted((store / "ledger").iterdir())
    kept = rows[-1].read_bytes()
    rows[-1].unlink()
    code, out, err = type_in("ledger", "verify", "--store", store)
    assert (code, "rows were removed" in err) == (1, True)
    code, out, _ = type_in("ledger", "verify", "--store", store, "--json")
    assert (code, last_json(out)["sound"]) == (1, False)
    rows[-1].write_bytes(kept.replace(b'"p": ', b'"p": 0', 1))
    code, _, err = type_in("ledger", "verify", "--store", store)
    assert (code, "was changed after it was written" in err) == (1, True)
    code, _, err = type_in("validate", "--nulls", 19, "--store", store)
    assert (code, "cannot be trusted" in err) == (2, True)


def test_a_store_without_rows_has_no_history(tmp_path, type_in):
    for words in (("show",), ("verify",)):
        code, _, err = type_in("ledger", *words, "--store", tmp_path / "empty")
        assert (code, "no history" in err) == (0, True)
    code, out, _ = type_in("ledger", "verify", "--store", tmp_path / "empty", "--json")
    assert last_json(out) == {"sound": True, "rows": 0, "faults": [], "history": False}
    code, _, err = type_in("validate", "--store", tmp_path / "empty")
    assert (code, "give `quantga evolve` first" in err) == (2, True)
