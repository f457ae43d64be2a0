"""What trades, as a journal tells it."""

from __future__ import annotations

import shutil

import pytest
from pydantic import TypeAdapter

from quantga.live.journal import Journal
from quantga.service import shapes_live as shapes
from quantga.store.lake import open_lake
from tests.service.serving import serving
from tests.service.traded import SESSION, START


def test_a_session_is_the_fold_of_its_journal(served):
    (line,) = served.read("/api/v1/sessions")["sessions"]
    assert line == served.read(f"/api/v1/sessions/{SESSION}")
    assert (line["halted"], line["positions"], line["open_orders"], line["equity"]) == (True, 1, 2, 9870.0)
    assert line["strategies"] == ["one", "two"]
    assert line["last"] == START + 80_000
    (held,) = served.read(f"/api/v1/sessions/{SESSION}/positions")["positions"]
    assert held["symbol"] == "BTC"
    assert held["size"] == pytest.approx(0.05)
    assert held["strategies"] == pytest.approx({"one": 0.03, "two": 0.02})


def test_orders_tell_what_is_known_and_what_it_cost(served):
    orders = served.read(f"/api/v1/sessions/{SESSION}/orders")["orders"]
    assert [(one["symbol"], one["phase"], one["open"]) for one in orders] == [
        ("ETH", "rejected", False),
        ("ETH", "unknown", True),
        ("BTC", "resting", True),
        ("BTC", "filled", False),
    ]
    assert orders[3]["average"] == 60_003
    assert orders[3]["slippage"] == pytest.approx(60_003 / 60_010 - 1)
    assert orders[1]["average"] is None


def test_risk_tells_loss_drawdown_and_halts(served):
    told = served.read(f"/api/v1/sessions/{SESSION}/risk")
    assert told["daily_loss"] == told["drawdown"] == pytest.approx(0.013)
    assert told["unknown"] == 1
    assert told["halts"] == [{"symbol": "ETH", "reason": "a position that fills do not explain"}]


def test_the_answers_have_their_shapes(served):
    path = f"/api/v1/sessions/{SESSION}"
    shaped = {"": shapes.SessionLine, "/positions": shapes.Positions, "/orders": shapes.Orders, "/risk": shapes.Risk}
    for part, shape in shaped.items():
        TypeAdapter(shape).validate_json(served.get(path + part).content, strict=True)
    TypeAdapter(shapes.Sessions).validate_json(served.get("/api/v1/sessions").content, strict=True)
    for part in shaped:
        assert served.get(f"/api/v1/sessions/nosuch{part}").status_code == 404


def test_a_store_that_never_traded_has_no_session(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store", ignore=shutil.ignore_patterns("sessions"))
    with serving(store, tmp_path / "state") as one:
        assert one.read("/api/v1/sessions") == {"sessions": []}


def test_a_torn_last_line_is_told_and_left_as_it_is(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    journal = next((open_lake(store).local / "sessions").glob("*/*/journal"))
    journal.write_bytes(journal.read_bytes()[:-5])
    before = journal.read_bytes()
    with serving(store, tmp_path / "state") as one:
        (line,) = one.read("/api/v1/sessions")["sessions"]
        assert line["damage"] == "its last line is not complete"
        assert not line["halted"]
    assert journal.read_bytes() == before


def test_a_journal_that_makes_no_sense_hides_no_other(judged, tmp_path):
    store = shutil.copytree(judged[0], tmp_path / "store")
    place = next((store / "sessions").iterdir())
    with Journal(place / "0002-00000000" / "journal") as journal:
        journal.append(START, ("fill", {"coin": 1}))
    with serving(store, tmp_path / "state") as one:
        assert [line["session"] for line in one.read("/api/v1/sessions")["sessions"]] == [SESSION]
        answer = one.get("/api/v1/sessions/0002-00000000")
        assert (answer.status_code, "makes no sense" in answer.json()["error"]) == (503, True)
        assert SESSION in one.get("/metrics").text
