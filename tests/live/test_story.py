"""A session of `quantga trade` under two faults: the exchange has no complaint, the journal replays, each order is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quantga.cli import app
from quantga.live.explain import explain, find_session
from quantga.live.journal import read
from quantga.live.parity import parity
from quantga.live.session import Asked, told
from quantga.store.lake import open_lake
from tests.live.chaos.test_chaos import judged
from tests.live.chaos.yard import Yard

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A yard in which a few bars were traded, an answer was lost, and the trader was killed; then it was stopped."""
    one = Yard(tmp_path_factory.mktemp("story"), 5)
    try:
        one.start()
        assert one.trades_on(3), (one.folder / "trader.log").read_text()
        for name in ("the reply is lost after execution", "kill -9 of the trader"):
            assert one.episode(name), (name, (one.folder / "trader.log").read_text())
        one.end()
    finally:
        one.close()
    return one


def given(session, *words: str):
    done = CliRunner().invoke(app, [*words, "--store", str(session.store), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def test_every_order_of_it_is_decided_again(session):
    found = given(session, "replay", "last")
    assert found["mismatches"] == []
    assert found["orders"] >= 6
    assert found["decisions"] >= 4


def test_a_changed_bar_is_told_and_the_command_fails(session, tmp_path):
    entries = read(session.journal)[0]
    from quantga.live.journal import Journal

    place = tmp_path / "sessions" / session.place.name / "0001-changed"
    place.mkdir(parents=True)
    first = next(i for i, entry in enumerate(entries) if entry.kind == "decided")
    last = max(i for i, entry in enumerate(entries[:first]) if entry.kind == "bar")
    with Journal(place / "journal") as journal:
        for i, entry in enumerate(entries):
            body = {**entry.body, "close": entry.body["close"] * 1.0001} if i == last else entry.body
            journal.append(entry.time, (entry.kind, body))
    done = CliRunner().invoke(app, ["replay", "0001", "--store", str(tmp_path)])
    assert done.exit_code != 0
    assert "mismatch" in str(done.exception)


def test_its_signals_are_the_backtests_and_its_costs_are_measured(session):
    found = given(session, "parity", "last")
    assert found["mismatches"] == []
    assert found["signals"] >= 4
    costs = {row["cost"]: row for row in found["errors"]}
    assert costs["fee"]["cases"] >= 2
    assert abs(costs["fee"]["error_bp"]) < 0.01  # the exchange charges what the backtest assumes
    assert set(found["costs"]) == {"fee", "slippage"}


def test_a_changed_decision_is_a_mismatch_of_signals(session):
    from dataclasses import replace

    entries = list(read(session.journal)[0])
    at = next(i for i, entry in enumerate(entries) if entry.kind == "decided" and entry.body["wanted"] == 1.0)
    entries[at] = replace(entries[at], body={**entries[at].body, "wanted": -1.0})
    ((_, _, _, live, tested),) = parity(entries).mismatches
    assert (live, tested) == (-1.0, 1.0)


def test_an_order_is_explained_by_any_of_its_names(session):
    lake = open_lake(str(session.store))
    _, name, entries = find_session(lake, "last")
    asked = next(
        event for entry in entries if isinstance(event := told(entry), Asked) and event.intent.purpose == "target"
    )
    cloid = asked.intent.cloid
    story = explain(lake, cloid[:14])
    assert (story["session"], story["order"]["cloid"]) == (name, cloid)
    assert story["order"]["size"] == str(asked.intent.request.size)
    assert [one["bar"] for one in story["decisions"]] == [asked.intent.bar]
    (strategy,) = story["strategies"]
    assert strategy["text"].startswith("when(gt(close")
    assert strategy["lots"] == sum(asked.left.values())
    assert strategy["promotion"] is None
    fill = story["fills"][0]
    assert explain(lake, str(fill["tid"]))["order"]["cloid"] == cloid
    assert explain(lake, str(fill["oid"]))["order"]["cloid"] == cloid
    from quantga.errors import ConfigError

    with pytest.raises(ConfigError, match="none"):
        explain(lake, "0xffffffff")
    with pytest.raises(ConfigError, match="too short"):
        explain(lake, "0x")
    with pytest.raises(ConfigError, match="names 0 sessions"):
        find_session(lake, "9999")


def test_the_exchange_has_no_complaint(session):
    judged(session, session.checker.verdict)
    assert session.checker.verdict.orders >= 6


def test_a_session_that_is_damaged_still_reads_to_the_damage(session, tmp_path: Path):
    place = tmp_path / "sessions" / session.place.name / "0001-torn"
    place.mkdir(parents=True)
    data = session.journal.read_bytes()
    (place / "journal").write_bytes(data[: len(data) // 2])
    found = CliRunner().invoke(app, ["replay", "last", "--store", str(tmp_path), "--json"])
    assert found.exit_code == 0, found.output
