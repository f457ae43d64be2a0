"""The ledger: append-only, chained, one winner per number; and the one look at the locked bars."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from quantga.errors import ConfigError, Conflict, LockedBars, ManifestMismatch, MissingBars
from quantga.store.lake import open_lake
from quantga.store.market import Query, find_dataset
from quantga.store.trials import (
    Head,
    Ledger,
    Row,
    entry,
    fresh_since,
    holdout_spans,
    open_holdout,
    searched_spans,
    verify,
)
from quantga.trust.holdout import Span
from tests.store.made import DAY, START, candles, rows, write

BTC = Span("BTC", "1h", START, START + 100 * DAY)
ETH = Span("ETH", "1h", START, START + 100 * DAY)


def trials(number, run="r1", count=100, span=BTC):
    return entry("trials", f"{run}/gen={number:04d}", run, [span], trials=count)


@pytest.fixture
def ledger(lake):
    made = Ledger(lake)
    for number in range(5):
        made.append(trials(number))
    return made


def path(lake, number):
    return lake.root / f"ledger/{number:06d}.json"


def test_rows_follow_each_other(lake, ledger):
    rows = Ledger(lake).rows()
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0].previous == ""
    assert rows[1].previous == hashlib.sha256(path(lake, 1).read_bytes()).hexdigest()
    assert ledger.head() == Ledger(lake).head()
    assert verify(lake) == []


def test_an_entry_is_recorded_once(lake, ledger):
    again = Ledger(lake).append(trials(2))
    assert again == ledger.rows()[2]
    assert len(Ledger(lake).rows()) == 5
    with pytest.raises(Conflict, match=r"another entry r1/gen=0002 \(row 3\)"):
        ledger.append(trials(2, count=1))


def test_a_fresh_store_says_that_it_knows_nothing(lake):
    assert "no history" in Ledger(lake).history([BTC]).words
    assert Ledger(lake).head() == Head(0, "")
    assert verify(lake) == []


def test_trials_are_charged_to_what_overlaps(lake, ledger):
    ledger.append(trials(0, "r2", 7, ETH))
    ledger.append(entry("search", "r3/search", "r3", [BTC, ETH]))
    longer = Span("BTC", "1h", START + 50 * DAY, START + 900 * DAY)
    found = ledger.history([longer])
    assert (found.trials, found.searches, found.looks) == (500, 1, 0)  # r3 has appraised nothing yet
    assert found.words == "500 programs in 1 search and 0 looks at bars of these spans"
    assert ledger.history([ETH]).trials == 7
    later = Span("BTC", "1h", START + 100 * DAY, START + 101 * DAY)
    assert (ledger.history([later]).trials, ledger.history([later]).searches) == (0, 0)
    assert "no history" not in ledger.history([later]).words


def rewrite(lake, number, change):
    row = json.loads(path(lake, number).read_bytes())
    change(row)
    path(lake, number).write_bytes(Row.model_validate(row).to_bytes())


def test_a_changed_row_is_seen(lake, ledger):
    rewrite(lake, 3, lambda row: row["entry"].update(trials=1))
    assert verify(lake) == ["the ledger's chain is broken at row 4: row 3 is not the one that it was written after"]
    with pytest.raises(ManifestMismatch, match="broken at row 4"):
        Ledger(lake).append(trials(9))


def test_a_changed_last_row_is_seen_by_those_who_name_it(lake, ledger):
    head = ledger.head()
    rewrite(lake, 5, lambda row: row["entry"].update(trials=1))
    assert verify(lake) == []
    assert verify(lake, [head]) == ["a head that was kept names another row 5: the ledger was written anew"]


def test_a_removed_row_is_seen(lake, ledger):
    path(lake, 2).unlink()
    assert verify(lake) == ["the ledger's row 2 is missing: ledger/000003.json follows row 1"]


def test_rows_in_another_order_are_seen(lake, ledger):
    two, three = path(lake, 2).read_bytes(), path(lake, 3).read_bytes()
    path(lake, 2).write_bytes(three)
    path(lake, 3).write_bytes(two)
    assert verify(lake) == ["the ledger's ledger/000002.json holds row 3: rows were moved"]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b'{"number": 2}'])
def test_what_is_no_row_is_seen(lake, ledger, content):
    path(lake, 2).write_bytes(content)
    assert verify(lake) == ["the ledger's ledger/000002.json is no row: it was changed after it was written"]


def test_other_bytes_of_the_same_row_are_seen(lake, ledger):
    value = json.loads(path(lake, 5).read_bytes())
    path(lake, 5).write_bytes(json.dumps(value).encode())
    assert verify(lake) == ["the ledger's ledger/000005.json was changed after it was written"]


@pytest.mark.parametrize("where", ["runs/r1/run.json", "strategies/abc.json"])
def test_a_cut_tail_is_seen_by_what_names_it(lake, ledger, where):
    lake.put_json(where, {"ledger": ledger.head().record})
    assert verify(lake) == []
    path(lake, 5).unlink()
    assert verify(lake) == [f"{where} names row 5, and the ledger ends at 4: rows were removed"]
    for number in range(1, 5):
        path(lake, number).unlink()
    assert verify(lake) == [f"{where} names row 5, and the ledger ends at 0: rows were removed"]


def test_a_ledger_written_anew_is_seen_by_what_names_it(lake, ledger, tmp_path):
    lake.put_json("runs/r1/run.json", {"ledger": {"number": 5, "digest": ledger.head().digest}})
    other = open_lake(tmp_path / "other")
    for number in range(6):
        Ledger(other).append(trials(number, count=1))
    for number in range(1, 7):
        path(lake, number).unlink(missing_ok=True)
        lake.put(f"ledger/{number:06d}.json", path(other, number).read_bytes())
    assert verify(lake) == ["runs/r1/run.json names another row 5: the ledger was written anew"]


def write_rows(root, writer, count):
    ledger = Ledger(open_lake(root))
    return [ledger.append(trials(number, f"w{writer}")).number for number in range(count)]


def test_of_many_writers_one_wins_each_number(lake):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(write_rows, lake.root, writer, 15) for writer in range(4)]
        numbers = [number for future in futures for number in future.result()]
    assert sorted(numbers) == list(range(1, 61))
    assert verify(lake) == []
    assert len({row.entry.key for row in Ledger(lake).rows()}) == 60


def test_equal_entries_of_two_writers_become_one_row(lake):
    one, two = Ledger(lake), Ledger(lake)
    one.rows(), two.rows()
    assert one.append(trials(0)) == two.append(trials(0))
    assert len(Ledger(lake).rows()) == 1


def test_an_entry_that_says_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least one span"):
        entry("trials", "k", "r", [])
    with pytest.raises(ConfigError, match="no negative"):
        entry("trials", "k", "r", [BTC], trials=-1)
    with pytest.raises(ConfigError, match="no entry"):
        entry("gossip", "k", "r", [BTC])


@pytest.fixture
def dataset(lake, bring, tmp_path):
    bring(
        write(tmp_path / "binance/1h/BTCUSDT.parquet", rows(candles(24 * 401), slice(24 * 400))),
        venue="binance",
        interval="1h",
    )
    return find_dataset(lake, Query(("BTCUSDT",)))


def test_the_holdout_opens_once_and_the_look_comes_first(lake, dataset):
    ledger = Ledger(lake)
    row, permission, market = open_holdout(ledger, dataset, ["BTCUSDT"], "r1", warmup=10)
    lock = dataset.instrument("BTCUSDT").locked_from
    assert int(market["BTCUSDT"].time[10]) == lock
    assert (row.number, row.entry.kind, permission.level) == (1, "look", 0.05)
    assert row.entry.spans[0].start == lock
    with pytest.raises(LockedBars, match="opened by run r1: a holdout answers once"):
        open_holdout(ledger, dataset, ["BTCUSDT"], "r2")
    assert len(Ledger(lake).rows()) == 1
    second, granted, _ = open_holdout(ledger, dataset, ["BTCUSDT"], "r2", second_look=True)
    assert (second.number, granted.level) == (2, 0.025)


def test_after_a_crash_the_same_run_looks_the_same_look(lake, dataset):
    first = open_holdout(Ledger(lake), dataset, ["BTCUSDT"], "r1")
    Ledger(lake).append(trials(0, "r9"))
    again = open_holdout(Ledger(lake), dataset, ["BTCUSDT"], "r1")
    assert again[:2] == first[:2]
    assert np.array_equal(again[2]["BTCUSDT"]["close"], first[2]["BTCUSDT"]["close"])


def test_one_more_bar_resets_nothing(lake, bring, dataset, tmp_path):
    open_holdout(Ledger(lake), dataset, ["BTCUSDT"], "r1")
    bring(write(tmp_path / "more/BTCUSDT.parquet", candles(24 * 401)), venue="binance", interval="1h")
    newer = find_dataset(lake, Query(("BTCUSDT",)))
    assert newer.id != dataset.id
    with pytest.raises(LockedBars, match="answers once"):
        open_holdout(Ledger(lake), newer, ["BTCUSDT"], "r2")


def test_new_bars_behind_an_opened_holdout_are_fresh(lake, bring, dataset, tmp_path):
    ledger = Ledger(lake)
    assert fresh_since(ledger, dataset, ["BTC"]) == 0
    open_holdout(ledger, dataset, ["BTC"], "r1")
    end = dataset.instrument("BTCUSDT").end
    assert fresh_since(ledger, dataset, ["BTC"]) == end
    with pytest.raises(MissingBars, match="import newer ones"):
        open_holdout(ledger, dataset, ["BTC"], "r2", since=end)
    bring(write(tmp_path / "more/BTCUSDT.parquet", candles(24 * 401)), venue="binance", interval="1h")
    newer = find_dataset(lake, Query(("BTCUSDT",)))
    row, granted, market = open_holdout(ledger, newer, ["BTC"], "r2", since=end, warmup=5)
    assert (row.entry.spans[0].start, granted.number, granted.level) == (end, 1, 0.05)
    assert int(market["BTCUSDT"].time[5]) == end
    assert len(market["BTCUSDT"]) == 29


def test_a_holdout_that_was_searched_stays_shut(lake, dataset):
    ledger = Ledger(lake)
    ledger.append(entry("search", "r1/search", "r1", holdout_spans(dataset, ["BTCUSDT"])))
    with pytest.raises(LockedBars, match="run r1 has searched BTC 1h"):
        open_holdout(ledger, dataset, ["BTCUSDT"], "r1", second_look=True)
    assert len(ledger.rows()) == 1


def test_a_search_is_charged_what_it_may_read(lake, dataset):
    part = dataset.instrument("BTCUSDT")
    spans = searched_spans(dataset, ["BTC"], 0, part.locked_from)
    assert spans == (Span("BTC", "1h", part.first, part.locked_from),)
    assert searched_spans(dataset, ["BTC"], part.end, part.end + DAY) == ()
    ledger = Ledger(lake)
    ledger.append(entry("search", "r1/search", "r1", spans))
    assert open_holdout(ledger, dataset, ["BTC"], "r1")[1].number == 1
    unlocked = searched_spans(dataset, ["BTC"], 0, part.end)
    ledger.append(entry("search", "r2/search", "r2", unlocked))
    with pytest.raises(LockedBars, match="run r2 has searched"):
        open_holdout(ledger, dataset, ["BTC"], "r3", second_look=True)


def look(root, run):
    lake = open_lake(root)
    try:
        open_holdout(Ledger(lake), find_dataset(lake, Query(("BTCUSDT",))), ["BTCUSDT"], run)
    except LockedBars:
        return "refused"
    return "opened"


def test_of_many_who_look_at_once_one_sees(lake, dataset):
    with ThreadPoolExecutor(4) as pool:
        answers = [future.result() for future in [pool.submit(look, lake.root, f"r{n}") for n in range(8)]]
    assert answers.count("opened") == 1
    assert len(Ledger(lake).rows()) == 1


def test_the_promise_is_kept_by_the_files_alone(lake, ledger):
    """Anyone can check the chain with the standard library."""
    before = ""
    for number in range(1, 6):
        data = path(lake, number).read_bytes()
        assert json.loads(data)["previous"] == before
        before = hashlib.sha256(data).hexdigest()
    assert ledger.head() == Head(5, before)
