"""Halt and flatten: confirmed, by whoever may trade, done by the trader that holds the journal, or told why not."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from quantga.live.journal import Journal, read
from quantga.live.places import Account
from quantga.live.session import fold
from quantga.service import acts
from quantga.store.lake import open_lake
from tests.service.serving import serving
from tests.service.traded import ACCOUNT, SESSION

PATH = f"/api/v1/sessions/{SESSION}"


@pytest.fixture
def store(judged, tmp_path):
    return shutil.copytree(judged[0], tmp_path / "store")


@pytest.fixture
def one(store, tmp_path):
    with serving(store, tmp_path / "state") as found:
        yield found


def journal_of(store):
    return next((open_lake(store).local / "sessions").glob("*/*/journal"))


def test_only_trade_and_only_confirmed(one, store):
    before = journal_of(store).read_bytes()
    for act in ("halt", "flatten"):
        for scope in ("read", "research"):
            assert one.call("POST", f"{PATH}/{act}", scope, json={"confirm": SESSION}).status_code == 403
        for confirm in ("", "yes", "0001"):
            answer = one.call("POST", f"{PATH}/{act}", "trade", json={"confirm": confirm})
            assert (answer.status_code, SESSION in answer.json()["error"]) == (409, True)
        assert one.call("POST", f"{PATH}/{act}", "trade", json={}).status_code == 422
        assert (
            one.call("POST", f"/api/v1/sessions/nosuch/{act}", "trade", json={"confirm": "nosuch"}).status_code == 404
        )
    assert journal_of(store).read_bytes() == before


def test_without_a_trader_a_halt_is_written_and_a_flattening_refused(one, store):
    answer = one.call("POST", f"{PATH}/halt", "trade", json={"confirm": SESSION, "reason": "storm"})
    assert answer.json() == {"session": SESSION, "act": "halt", "by": "journal"}
    session = fold(read(journal_of(store))[0])
    assert session.halts[""] == "halt by trade: storm"
    assert {"symbol": "", "reason": "halt by trade: storm"} in one.read(f"{PATH}/risk")["halts"]
    refused = one.call("POST", f"{PATH}/flatten", "trade", json={"confirm": SESSION})
    assert (refused.status_code, "quantga flatten" in refused.json()["error"]) == (409, True)


def test_a_living_trader_is_asked_and_takes_it(one, store):
    place = Account.of(open_lake(store), "paper", ACCOUNT)
    taken = []

    def trader():
        """Takes requests as `quantga.live.life` does."""
        while len(taken) < 2:
            for path, asked in place.requests():
                taken.append(asked)
                path.unlink()

    with Journal(journal_of(store)):
        thread = threading.Thread(target=trader)
        thread.start()
        halted = one.call("POST", f"{PATH}/halt", "trade", json={"confirm": SESSION, "symbol": "BTC"})
        flat = one.call("POST", f"{PATH}/flatten", "trade", json={"confirm": SESSION})
        thread.join(120)
    assert [x.json()["by"] for x in (halted, flat)] == ["trader", "trader"]
    assert taken == [
        {"ask": "halt", "symbol": "BTC", "reason": "halt by trade"},
        {"ask": "flatten", "reason": "flatten by trade"},
    ]


def test_a_request_that_nobody_takes_is_taken_back(one, store, monkeypatch):
    monkeypatch.setattr(acts, "PATIENCE_S", 0.2)
    with Journal(journal_of(store)):
        answer = one.call("POST", f"{PATH}/flatten", "trade", json={"confirm": SESSION})
    assert (answer.status_code, "does not answer" in answer.json()["error"]) == (409, True)
    assert Account.of(open_lake(store), "paper", ACCOUNT).requests() == []


def test_an_ended_session_is_not_halted(one, store):
    shutil.copytree(journal_of(store).parent, journal_of(store).parent.parent / "0002-ffffffff")
    answer = one.call("POST", f"{PATH}/halt", "trade", json={"confirm": SESSION})
    assert (answer.status_code, "has ended" in answer.json()["error"]) == (409, True)


def test_who_halted_is_in_the_audit_log(one, tmp_path):
    one.call("POST", f"{PATH}/halt", "trade", json={"confirm": SESSION})
    lines = (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
    told = json.loads(lines[-1])
    assert (told["path"], told["status"], told["name"]) == (f"{PATH}/halt", 200, "trade")
