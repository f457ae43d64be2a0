"""The verbs as a user types them: what they print, and their exit codes."""

from __future__ import annotations

import json

import pytest

from quantga.cli import main
from quantga.cluster.evolution import run_evolution
from quantga.cluster.fan_out import appraisals
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.errors import ConfigError
from quantga.settings import Settings
from tests.store.made import candles, tree, write

SMALL = {"islands": 2, "population": 8, "generations": 2, "seed": 3, "tuned": 0}
N = 1_500


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two symbols and a finished run."""
    folder = tmp_path_factory.mktemp("verbs")
    for seed, symbol in enumerate(("BTCUSDT", "ETHUSDT"), 1):
        write(folder / "in" / "binance_perp" / "1h" / f"{symbol}.parquet", candles(N, seed=seed))
    code = leave(["data", "import", str(folder / "in"), "--store", str(folder / "store")])
    assert code == 0
    return folder / "store"


@pytest.fixture(scope="module")
def run(store):
    settings = Settings.load({"search": SMALL, "store": {"path": str(store)}, "data": {"symbols": "BTC,ETH"}})
    market, trial = survey(settings).market(), trial_of(settings)
    return run_evolution(settings, appraise=lambda them: appraisals(them, appraise_market(them, market, trial)))


def leave(words):
    with pytest.raises(SystemExit) as left:
        main(words)
    return left.value.code or 0


@pytest.fixture
def type_in(store, tmp_path, monkeypatch, capsys):
    """Give a command line; return its exit code and what it printed on both channels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUANTGA_STORE__PATH", str(store))

    def type_in(*words):
        code = leave([str(word) for word in words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return type_in


def last_json(out):
    return json.loads(out.strip().splitlines()[-1])


def test_a_finished_run_is_listed_shown_and_not_run_again(type_in, run):
    code, out, _ = type_in("runs", "--json")
    (listed,) = last_json(out)["runs"]
    assert (code, listed["run"], listed["state"], listed["generations"]) == (0, run.id, "finished", "2/2")
    assert run.digest.startswith(listed["digest"])
    code, out, err = type_in("evolve", "--resume", run.id[:6], "--json")
    assert code == 0, err
    assert (last_json(out)["digest"], last_json(out)["trials"]) == (run.digest, run.trials)


def test_show_a_run_and_a_program(type_in, run):
    code, out, _ = type_in("show", run.id[:6])
    assert code == 0
    assert f"the best of {run.trials:,} trials" in out
    assert run.champions[0].text in out
    code, out, _ = type_in("show", run.champions[0].id, "--json")
    shown = last_json(out)
    assert (code, shown["text"]) == (0, run.champions[0].text)
    assert shown["words"]
    assert {row["run"] for row in shown["appraisals"]} >= {run.id}


def test_sql_and_a_deleted_catalog(type_in, run, store):
    question = f"SELECT count(DISTINCT id) AS n FROM appraisals WHERE run = '{run.id}'"
    code, out, _ = type_in("sql", question, "--json")
    assert code == 0
    (row,) = last_json(out)["rows"]
    assert row["n"] == run.trials
    (store / "catalog.duckdb").unlink()
    assert type_in("catalog", "rebuild")[0] == 0
    assert last_json(type_in("sql", question, "--json")[1])["rows"] == [row]


def test_backtest_agrees_with_the_run(type_in, run, tmp_path):
    best = run.champions[0]
    code, out, _ = type_in("backtest", best.text, "--symbols", "BTC,ETH", "--trades", tmp_path / "t.csv", "--json")
    told = last_json(out)
    assert (code, told["id"]) == (0, best.id)
    assert sum(one["trades"] for one in told["metrics"].values()) == best.figures["trades"]
    assert (tmp_path / "t.csv").read_text().count("\n") > best.figures["trades"]


def test_ops_lists_every_operator(type_in):
    code, out, _ = type_in("ops", "--json")
    names = [one["name"] for one in last_json(out)["operators"]]
    assert code == 0
    assert len(names) == len(set(names)) >= 45


def test_report_is_written(type_in, run, tmp_path):
    code, out, err = type_in("report", run.id, "--out", tmp_path / "page.html", "--json")
    assert code == 0, err
    assert last_json(out)["report"] == str(tmp_path / "page.html")
    assert run.champions[0].text.split("(")[0] in (tmp_path / "page.html").read_text()


REFUSED = {
    "unknown symbol": (["evolve", "--symbols", "XYZ"], "XYZ"),
    "no data in the timerange": (["evolve", "--symbols", "BTC", "--timerange", "19990101-19990201"], "timerange"),
    "zero workers": (["evolve", "--symbols", "BTC", "--workers", "0"], "workers"),
    "no such selection": (["evolve", "--symbols", "BTC", "--selection", "best"], "search.selection"),
    "what VectorBT does not know": (["evolve", "--symbols", "BTC", "--engine", "vectorbt"], "VectorBT knows no"),
    "unknown run": (["evolve", "--resume", "feedbeef"], "no run 'feedbeef'"),
    "unknown run in show": (["show", "feedbeef"], "feedbeef"),
    "unknown run in report": (["report", "feedbeef"], "feedbeef"),
    "no program": (["backtest", "when(gt(close, volume), long, flat)", "--symbols", "BTC"], "character 6"),
    "too few bars": (["backtest", "when(gt(close, mean(close, 4000)), long, flat)", "--symbols", "BTC"], "3999"),
    "no such column": (["backtest", "when(gt(premium, 0), long, flat)", "--symbols", "BTC"], "premium"),
    "broken sql": (["sql", "SELEC 1"], "the query failed"),
    "a store that cannot be written": (["evolve", "--symbols", "BTC", "--store", "/proc/nowhere"], "/proc/nowhere"),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=list(REFUSED))
def test_bad_input_is_one_sentence_and_exit_code_2(type_in, run, words, said):
    code, out, err = type_in(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_nothing_is_left_behind_by_a_refusal(type_in, run, store):
    before = tree(store)
    for words, _ in REFUSED.values():
        type_in(*words)
    assert tree(store) == before


def test_resume_with_other_science_is_refused(type_in, run):
    code, _, err = type_in("evolve", "--resume", run.id, "--seed", 9)
    assert code == 2
    assert "search.seed was 3 and is 9" in err
    code, out, _ = type_in("evolve", "--resume", run.id, "--json")
    assert (code, last_json(out)["digest"]) == (0, run.digest)


def test_settings_come_from_the_file_too(type_in, run, tmp_path):
    (tmp_path / "quantga.toml").write_text("[search]\nsede = 1\n")
    code, _, err = type_in("evolve", "--symbols", "BTC")
    assert (code, "search.sede" in err) == (2, True)
    with pytest.raises(ConfigError):
        Settings.load()
