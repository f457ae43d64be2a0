"""What the routes answer about a store in which everything was really found, judged and promoted."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
from pydantic import TypeAdapter

from quantga.cluster.record import RunFiles
from quantga.service import shapes
from quantga.store.lake import open_lake
from tests.service.conftest import UNFINISHED
from tests.service.serving import serving, until
from tests.store.made import tree


@pytest.fixture
def run(judged):
    return judged[1]


def test_every_answer_has_the_shape_that_it_promises(served, run, judged):
    program = served.read(f"/api/v1/runs/{run}/front")["front"][0]["id"]
    dataset = served.read("/api/v1/datasets")["datasets"][0]["dataset"]
    strategy = judged[2].strategies[0]
    answers = {
        "/health": shapes.Health,
        "/api/v1/about": shapes.About,
        "/api/v1/runs": shapes.Runs,
        f"/api/v1/runs/{run}": shapes.RunDetail,
        f"/api/v1/runs/{run}/generations": shapes.Generations,
        f"/api/v1/runs/{run}/front": shapes.Front,
        f"/api/v1/runs/{run}/programs": shapes.Programs,
        f"/api/v1/runs/{run}/programs/{program}/equity": shapes.Equity,
        f"/api/v1/runs/{run}/validation": shapes.ValidationDetail,
        f"/api/v1/programs/{program}": shapes.ProgramDetail,
        "/api/v1/validations": shapes.Validations,
        "/api/v1/ledger": shapes.LedgerRows,
        "/api/v1/datasets": shapes.Datasets,
        f"/api/v1/datasets/{dataset}": shapes.Dataset,
        "/api/v1/strategies": shapes.Strategies,
        f"/api/v1/strategies/{strategy}": shapes.StrategyDetail,
    }
    for path, shape in answers.items():
        TypeAdapter(shape).validate_json(served.get(path).content, strict=True)


def test_runs_are_listed_and_filtered(served, run):
    listed = served.read("/api/v1/runs")
    assert listed["total"] == 2
    assert {one["run"]: one["state"] for one in listed["runs"]} == {run: "finished", UNFINISHED: "unfinished"}
    assert [one["run"] for one in served.read("/api/v1/runs?state=finished")["runs"]] == [run]
    assert served.read("/api/v1/runs?symbol=NONE")["total"] == 0
    assert len(served.read("/api/v1/runs?limit=1&offset=1")["runs"]) == 1
    verdict = until(lambda: served.read("/api/v1/runs?state=finished")["runs"][0]["verdict"])
    assert verdict == "promoted"


def test_a_databank_is_filtered_sorted_and_paged(served, run):
    path = f"/api/v1/runs/{run}/programs"
    whole = served.read(f"{path}?limit=1000")
    scores = [one["score"] for one in whole["programs"]]
    assert len(scores) == whole["total"] == len({one["id"] for one in whole["programs"]})
    assert scores == sorted(scores, reverse=True)
    assert served.read(f"{path}?limit=3&offset=2")["programs"] == whole["programs"][2:5]
    assert served.read(f"{path}?offset=9999") == {**whole, "programs": []}
    small = served.read(f"{path}?max_size=8&sort=size&order=asc")["programs"]
    assert small
    assert all(one["size"] <= 8 for one in small)
    text = whole["programs"][0]["text"]
    assert whole["programs"][0] in served.read(f"{path}?q={text[:20].upper()}")["programs"]
    assert served.read(f"{path}?min_score={scores[0]}")["total"] == scores.count(scores[0])


def test_figures_are_those_of_the_run(served, run, judged):
    champions = RunFiles(open_lake(judged[0]), run).champions()
    front = served.read(f"/api/v1/runs/{run}/front")["front"]
    assert [(one["id"], one["text"], one["sharpe"]) for one in front] == [
        (one.id, one.text, one.figures["sharpe"]) for one in champions
    ]
    generations = served.read(f"/api/v1/runs/{run}/generations")
    assert generations["finished"]
    assert generations["generations"][-1]["trials"] == judged[2].record["trials"]


def test_equity_goes_through_all_phases_once_the_holdout_was_opened(served, run, judged):
    chosen = judged[2].record["shortlist"][0]
    told = served.read(f"/api/v1/runs/{run}/programs/{chosen['program']}/equity")
    assert [phase["phase"] for phase in told["phases"]] == ["searched", "embargo", "holdout"]
    assert told["time"] == sorted(set(told["time"]))
    opens = told["phases"][2]["start"]
    held = [worth for at, worth in zip(told["time"], told["equity"], strict=True) if at >= opens]
    if len(told["time"]) < 800:  # every day is told, so the holdout's return is that of the record
        assert held[-1] / held[0] - 1 == pytest.approx(chosen["holdout"]["total_return"], abs=0.05)
    others = served.read(f"/api/v1/runs/{run}/programs?limit=1000")["programs"]
    shortlist = {one["program"] for one in judged[2].record["shortlist"]}
    other = next(one["id"] for one in others if one["id"] not in shortlist)
    told = served.read(f"/api/v1/runs/{run}/programs/{other}/equity")
    assert [phase["phase"] for phase in told["phases"]] == ["searched"]
    assert max(told["time"]) <= told["phases"][0]["end"]


def test_a_program_is_told_in_words_and_as_a_tree(served, run):
    one = served.read(f"/api/v1/runs/{run}/front")["front"][0]
    told = served.read(f"/api/v1/programs/{one['id']}")
    assert told["text"] == one["text"]
    assert told["words"][0]["text"]
    assert told["tree"][0]["parent"] == -1
    assert run in {row["run"] for row in told["appraised"]}


def test_the_ledger_says_when_it_was_tampered_with(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    with serving(store, tmp_path / "state") as one:
        assert one.read("/api/v1/ledger")["sound"]
        row = store / "ledger" / "000002.json"
        row.write_bytes(row.read_bytes().replace(b'"trials": ', b'"trials": 1'))
        (store / "ledger" / "000099.json").write_bytes(b"{}")
        told = one.read("/api/v1/ledger")
        assert not told["sound"]
        assert "row 2" in told["faults"][0]


@pytest.mark.parametrize(
    "path",
    [
        "runs/nosuch", "runs/nosuch/generations", "runs/nosuch/events", "runs/nosuch/programs", "runs/nosuch/front",
        "runs/nosuch/validation", f"runs/{UNFINISHED}/validation", "programs/abcd", "datasets/0123456789abcdef",
        "strategies/0123456789ab", "runs/nosuch/programs/abcd/equity", "nothing",
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_sentence(served, path):
    answer = served.get(f"/api/v1/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]


def test_a_run_is_followed_while_it_goes_and_taken_up_where_one_left(served, judged, run):
    first, second = UNFINISHED, "fedcba987654"
    runs = judged[0] / "runs"
    shutil.copytree(runs / first, runs / second)
    found: list[bytes] = []
    follower = threading.Thread(
        target=lambda: found.extend(served.get(f"/api/v1/runs/{second}/events", stream=True).iter_lines())
    )
    follower.start()
    try:
        until(lambda: b"event: generation" in found)
        committed, to = runs / run / "gen=0001", runs / second / "gen=0001"
        to.mkdir()
        for name in ("appraisals.parquet", "state.json"):  # the commit mark comes last
            shutil.copy(committed / name, to)
        until(lambda: b"id: 2" in found)
        shutil.copy(runs / run / "front.parquet", runs / second)
        follower.join(120)
        assert not follower.is_alive()
        assert found[-3:-1] == [b"event: finished", b"data: {}"]
        told = [json.loads(line[6:]) for line in found if line.startswith(b'data: {"gen')]
        assert [one["generation"] for one in told] == [1, 2]
        again = served.get(f"/api/v1/runs/{second}/events", headers={"last-event-id": "1"}).text
        assert "id: 1\n" not in again
        assert "id: 2\n" in again
        until(lambda: second in {one["run"] for one in served.read("/api/v1/runs?state=finished")["runs"]})
    finally:
        shutil.rmtree(runs / second)
        served.service.workshop.close()


def test_the_service_writes_nothing_but_the_catalog(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    before = {name: data for name, data in tree(store).items() if "catalog" not in name}
    with serving(store, tmp_path / "state") as one:
        for path in ("runs", "ledger", "datasets", "validations", "strategies", f"runs/{judged[1]}/programs"):
            one.read(f"/api/v1/{path}")
    assert {name: data for name, data in tree(store).items() if "catalog" not in name} == before
