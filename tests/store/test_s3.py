"""A lake in a bucket, on a real server: written once, whole or not at all, through everything that networks do."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from quantga.errors import ConfigError, Conflict, StoreError, Transient
from quantga.store import s3, s3_calls
from quantga.store.catalog import query
from quantga.store.lake import open_lake, sha256
from quantga.store.s3 import PART
from quantga.store.s3_address import parse_address
from quantga.store.s3_calls import client_of, refused
from quantga.store.trials import Ledger, SpanRow, entry, verify
from quantga.trust.holdout import Span
from tests.store.made import candles, write
from tests.store.weed import READER, Weed


@pytest.fixture
def lake(bucket):
    return open_lake(bucket)


@pytest.fixture
def through(bucket, faulty):
    """Return the same lake through the proxy."""
    return open_lake(bucket.partition("?")[0] + f"?endpoint={faulty.endpoint}")


def test_an_object_is_written_once(lake):
    digest = lake.put("a/b.bin", b"one")
    assert digest == sha256(b"one")
    assert lake.put("a/b.bin", b"one") == digest
    with pytest.raises(Conflict, match="already holds other bytes"):
        lake.put("a/b.bin", b"two")
    assert lake.read("a/b.bin") == b"one"


def test_reads_lists_and_says_what_is_absent(lake):
    lake.put_all([(f"runs/r{i}/run.json", b"{}") for i in range(3)])
    lake.put("runs/r1/.draft", b"x")
    assert lake.paths("runs") == ["runs/r0/run.json", "runs/r1/run.json", "runs/r2/run.json"]
    assert lake.folders("runs") == ["r0", "r1", "r2"]
    assert lake.paths("run") == []
    assert lake.folders("nowhere") == []
    assert lake.exists("runs/r1/run.json")
    assert not lake.exists("runs/r1")
    assert not lake.exists("runs/r1/run.jso")
    assert lake.read_all(["runs/r2/run.json", "runs/r0/run.json"]) == [b"{}", b"{}"]
    with pytest.raises(StoreError, match="does not exist"):
        lake.read("runs/r3/run.json")
    table = pa.table({"x": [1.0, None]})
    assert lake.read_table("t.parquet", lake.put_table("t.parquet", table)).equals(table)
    assert str(lake.root).startswith("s3://lake-")
    assert "?" not in str(lake.where("t.parquet"))


def test_a_long_listing_has_all_its_pages(lake, monkeypatch):
    monkeypatch.setattr(s3, "_PAGE", 10)
    lake.put_all([(f"many/{i:05d}/x.json", b"{}") for i in range(43)])
    assert len(lake.paths("many")) == len(lake.folders("many")) == 43


def test_of_many_writers_one_wins_and_the_others_are_told(lake):
    def write_(i):
        try:
            lake.put("head.json", bytes([i]) * 1000)
        except Conflict:
            return None
        return i

    with ThreadPoolExecutor(8) as pool:
        won = [i for i in pool.map(write_, range(1, 9)) if i is not None]
    assert len(won) == 1
    assert lake.read("head.json") == bytes(won) * 1000


def test_a_large_object_is_sent_in_parts_and_written_once(lake, bucket):
    data = os.urandom(PART) + b"and some more"
    lake.put("big.bin", data)
    lake.put("big.bin", data)
    with pytest.raises(Conflict):
        lake.put("big.bin", data + b"!")
    assert lake.read("big.bin") == data
    address = parse_address(bucket)
    assert "Uploads" not in client_of(address).list_multipart_uploads(Bucket=address.bucket)


def test_the_ledgers_chain_holds_under_writers_that_race(lake):
    spans = [Span("BTC", "1h", 0, 3_600_000)]

    def append(writer):
        ledger = Ledger(lake)
        for i in range(4):
            ledger.append(entry("trials", f"{writer}/{i}", f"r{writer}", spans, trials=1))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(append, range(3)))
    assert len(Ledger(lake).rows()) == 12
    assert verify(lake) == []
    assert isinstance(Ledger(lake).rows()[0].entry.spans[0], SpanRow)


@pytest.mark.parametrize("fault", ["busy", "reset", "cut", "slow", "lost"])
def test_what_a_network_does_is_waited_out(through, faulty, fault):
    through.put("a.bin", b"x" * 10_000)
    faulty.faults(fault, fault)
    assert through.read("a.bin") == b"x" * 10_000
    faulty.faults(fault, fault)
    through.put("b.bin", b"y" * 10_000)
    faulty.faults(fault, fault)
    assert through.paths("") == ["a.bin", "b.bin"]
    assert len(faulty.met) >= 3
    assert through.read("b.bin") == b"y" * 10_000


def test_what_was_half_sent_is_never_seen(through, lake, faulty):
    done = threading.Event()
    seen: list[list[str]] = []

    def watch():
        while not done.is_set():
            seen.append(lake.paths(""))

    faulty.faults("half", "half", "half", to=("PUT",))
    watcher = threading.Thread(target=watch)
    watcher.start()
    through.put("b.bin", b"y" * 500_000)
    done.set()
    watcher.join()
    assert faulty.met == ["half"] * 3
    assert lake.read("b.bin") == b"y" * 500_000
    assert all(paths in ([], ["b.bin"]) for paths in seen)


def test_a_large_upload_survives_lost_parts(through, faulty):
    data = os.urandom(2 * PART + 7)
    faulty.faults("lost", "half", "busy", to=("PUT",))
    through.put("big.bin", data)
    assert len(faulty.met) == 3
    assert through.read("big.bin") == data


def test_a_server_that_is_killed_and_comes_back_has_everything(tmp_path, keys):
    server = Weed(tmp_path / "weed")
    server.start()
    try:
        address = parse_address(f"s3://mine?endpoint={server.endpoint}")
        client_of(address).create_bucket(Bucket="mine")
        lake = open_lake(f"s3://mine?endpoint={server.endpoint}")
        lake.put("before", b"1")
        server.kill()
        threading.Timer(1.0, server.start).start()
        for i in range(5):
            lake.put(f"after/{i}", bytes([i]))  # the first waits until the server is back
        assert lake.read("before") == b"1"
        assert [lake.read(path) for path in lake.paths("after")] == [bytes([i]) for i in range(5)]
    finally:
        server.kill()


def test_a_server_that_stays_away_is_named_in_the_end(tmp_path, keys, caplog):
    server = Weed(tmp_path / "weed")
    server.start()
    keys.setattr(s3_calls, "_QUIET_S", 0.0)
    try:
        address = parse_address(f"s3://mine?endpoint={server.endpoint}")
        client_of(address).create_bucket(Bucket="mine")
        lake = open_lake(f"s3://mine?endpoint={server.endpoint}")
        lake.put("a", b"1")
    finally:
        server.kill()
    with caplog.at_level(logging.WARNING), pytest.raises(Transient, match="the same command goes on when it is back"):
        s3_calls.ask(address, "read a", lambda client: client.list_objects_v2(Bucket="mine"), 1.0)
    assert "waiting for it" in caplog.text


def test_nobody_there_is_said_within_seconds(keys):
    keys.setattr(s3_calls, "_FIRST_PATIENCE_S", 0.5)
    began = time.monotonic()
    with pytest.raises(Transient, match=r"http://127\.0\.0\.1:1 did not answer"):
        open_lake("s3://mine/p?endpoint=http://127.0.0.1:1").require_writable()
    assert time.monotonic() - began < 8


def test_wrong_keys_a_missing_bucket_and_a_wrong_clock_are_refused_in_one_sentence(bucket, keys, weed):
    with pytest.raises(ConfigError, match="there is no bucket 'no-such'"):
        open_lake(f"s3://no-such/p?endpoint={weed.endpoint}").paths("runs")
    with pytest.raises(ConfigError, match="there is no bucket 'no-such'"):
        open_lake(f"s3://no-such/p?endpoint={weed.endpoint}").require_writable()
    for pair, why in {
        ("testkey", "wrong"): "does not accept the keys",
        ("nobody", "x"): "does not accept the keys",
    }.items():
        with pytest.raises(ConfigError, match=why):
            _as(keys, pair, bucket).require_writable()
    reader = _as(keys, READER, bucket)
    assert reader.paths("") == []
    with pytest.raises(ConfigError, match=r"these keys may not write .* PutObject"):
        reader.require_writable()
    import botocore.auth

    now = botocore.auth.get_current_datetime
    keys.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: now(*a, **k).replace(year=2020))
    with pytest.raises(ConfigError, match="refuses this machine's clock"):
        _as(keys, ("testkey", "testsecret"), bucket).require_writable()


def _as(monkeypatch, pair, address):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair[1])
    client_of.cache_clear()
    return open_lake(address)


@pytest.fixture(autouse=True)
def _new_clients():
    yield
    client_of.cache_clear()


def test_a_server_that_ignores_the_condition_is_refused(lake, bucket):
    lake.require_writable()
    lake.require_writable()
    client = client_of(parse_address(bucket), os.getpid())
    ignore = lambda request, **_: request.headers.__delitem__("If-None-Match")  # noqa: E731
    client.meta.events.register("before-sign.s3.PutObject", ignore)
    with pytest.raises(ConfigError, match="ignores If-None-Match"):
        lake.require_writable()
    client.meta.events.unregister("before-sign.s3.PutObject", ignore)


def test_a_lake_of_a_newer_version_is_refused(lake):
    lake.put(".lake.json", b'{"format": 2}')
    with pytest.raises(ConfigError, match="written by a newer quantga"):
        lake.require_writable()


def test_the_catalog_reads_a_bucket(lake, tmp_path):
    for n in range(2):
        folder = f"runs/r1/gen={n:04d}"
        more = {"alpha": [0.5]} if n else {}
        lake.put_table(f"{folder}/appraisals.parquet", pa.table({"id": [f"{n}"], "text": ["long"], **more}))
        lake.put_json(f"{folder}/state.json", {})
    lake.put_json("runs/r1/run.json", {})
    rows = query(lake, "SELECT run, generation, id, alpha FROM appraisals ORDER BY 2").to_pylist()
    assert rows == [
        {"run": "r1", "generation": 0, "id": "0", "alpha": None},
        {"run": "r1", "generation": 1, "id": "1", "alpha": 0.5},
    ]
    assert query(lake, "SELECT count(*) AS n FROM generations")["n"].to_pylist() == [2]


@pytest.mark.parametrize(
    ("code", "status", "kind", "says"),
    [
        ("SlowDown", 503, None, ""),
        ("ConditionalRequestConflict", 409, None, ""),
        ("Whatever", 500, None, ""),
        ("ExpiredToken", 400, ConfigError, "does not accept the keys"),
        ("AccessDenied", 403, ConfigError, "may not write a"),
        ("PermanentRedirect", 301, ConfigError, "another region"),
        ("InvalidBucketName", 400, StoreError, "InvalidBucketName"),
    ],
)
def test_each_answer_of_a_store_has_its_sentence(code, status, kind, says):
    answer = {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    verdict = refused(parse_address("s3://bucket/p"), "write a", ClientError(answer, "PutObject"))
    assert (type(verdict) if verdict else None) is kind
    assert says in str(verdict)


def test_no_keys_is_the_users_to_mend_and_silence_is_not():
    address = parse_address("s3://bucket/p")
    assert "AWS_ACCESS_KEY_ID" in str(refused(address, "read a", NoCredentialsError()))
    assert refused(address, "read a", ConnectTimeoutError(endpoint_url="http://x")) is None


def test_an_import_is_the_same_dataset_in_a_bucket_and_in_a_folder(lake, bring, tmp_path, bucket):
    from quantga.store.ingest.importer import import_files
    from quantga.store.ingest.labels import Told
    from quantga.store.market import load

    path = write(tmp_path / "in" / "BTC.csv", candles(3000))
    here = open_lake(tmp_path / "lake2")
    near = import_files(here, [path], Told(venue="mine", interval="1h")).datasets[0]
    far = import_files(lake, [path], Told(venue="mine", interval="1h")).datasets[0]
    assert near.id == far.id
    for name, values in load(here, near, ["BTC"])["BTC"].columns.items():
        assert values.tobytes() == load(lake, far, ["BTC"])["BTC"].columns[name].tobytes()
