"""Objects appear whole or not at all, and never change."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from quantga.errors import ConfigError, Conflict, ManifestMismatch, StoreError
from quantga.store.lake import open_lake, sha256, to_json


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_an_object_is_written_once(tmp_path):
    lake = open_lake(tmp_path / "new" / "store")
    digest = lake.put("a/b.bin", b"one")
    assert digest == sha256(b"one")
    assert lake.put("a/b.bin", b"one") == digest
    with pytest.raises(Conflict):
        lake.put("a/b.bin", b"two")
    assert lake.read("a/b.bin") == b"one"
    assert files(lake.root) == ["a/b.bin"]


def test_reads_lists_and_says_what_is_absent(tmp_path):
    lake = open_lake(tmp_path)
    lake.put_json("runs/r2/run.json", {"b": 1, "a": [1.5, None]})
    lake.put_json("runs/r1/run.json", {})
    assert lake.paths("runs") == ["runs/r1/run.json", "runs/r2/run.json"]
    assert lake.folders("runs") == ["r1", "r2"]
    assert lake.paths("nowhere") == []
    assert lake.folders("nowhere") == []
    assert lake.exists("runs/r1/run.json")
    assert not lake.exists("runs/r1")
    assert lake.read_json("runs/r2/run.json") == {"a": [1.5, None], "b": 1}
    with pytest.raises(StoreError, match="does not exist"):
        lake.read("runs/r3/run.json")


def test_json_is_canonical():
    assert to_json({"b": 1, "a": 2}) == to_json({"a": 2, "b": 1})


def test_a_table_is_checked_against_its_digest(tmp_path):
    lake = open_lake(tmp_path)
    table = pa.table({"x": [1.0, 2.0]})
    digest = lake.put_table("t.parquet", table)
    assert lake.read_table("t.parquet", digest).equals(table)
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ManifestMismatch, match="was changed"):
        lake.read_table("t.parquet", digest)
    with pytest.raises(ManifestMismatch, match="not a readable Parquet"):
        lake.read_table("t.parquet")


def test_of_many_writers_one_wins_and_the_others_are_told(tmp_path):
    lake = open_lake(tmp_path)

    def write(i):
        try:
            lake.put("head.json", bytes([i]) * 100_000)
        except Conflict:
            return None
        return i

    with ThreadPoolExecutor(8) as pool:
        won = [i for i in pool.map(write, range(1, 17)) if i is not None]
    assert len(won) == 1
    assert lake.read("head.json") == bytes(won) * 100_000
    assert files(tmp_path) == ["head.json"]


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_full_disk_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch, step):
    lake = open_lake(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(StoreError, match="is full: free some space"):
        lake.put("a.bin", b"x" * 1000)
    monkeypatch.undo()
    assert files(tmp_path) == []
    lake.put("a.bin", b"x" * 1000)


def test_without_hard_links_it_still_writes_once(tmp_path, monkeypatch):
    lake = open_lake(tmp_path)

    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    lake.put("a.bin", b"x")
    with pytest.raises(Conflict):
        lake.put("a.bin", b"y")
    assert files(tmp_path) == ["a.bin"]


def test_an_unfinished_draft_is_not_shown(tmp_path):
    lake = open_lake(tmp_path)
    lake.put("a/b.bin", b"x")
    (tmp_path / "a" / ".c.bin.1-ff").write_bytes(b"cut sh")
    assert lake.paths("a") == ["a/b.bin"]


def test_a_store_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        open_lake(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot be written"):
        open_lake(tmp_path / "file" / "below").require_writable()
    with pytest.raises(ConfigError, match="cannot be written"):
        open_lake("/proc/no/such").require_writable()
    with pytest.raises(ConfigError, match="not supported"):
        open_lake("ftp://host/lake")
    for text, why in {
        "s3://b": "names no bucket",
        "s3:///prefix": "names no bucket",
        "s3://key:secret@bucket/p": "keys do not belong",
        "s3://bucket/p?endpont=http://x": "unknown option 'endpont'",
        "s3://bucket/p?endpoint=localhost:1": "reads like http",
        "s3://bucket/p?requester=me": "requester=pays",
    }.items():
        with pytest.raises(ConfigError, match=why):
            open_lake(text)
    open_lake(tmp_path / "fine").require_writable()
    assert files(tmp_path / "fine") == []
