"""Envelopes: what was recorded is read back, what was cut is told or tolerated, and the lz4 tool reads our files."""

from __future__ import annotations

import random
import shutil
import subprocess

import orjson
import pytest

from quantga.errors import BadBars, Conflict
from quantga.store.ingest import envelope
from quantga.store.ingest.envelope import EnvelopeWriter, read

NOON = 1_775_037_600_050_123_456


def frame(k: int) -> bytes:
    return orjson.dumps({"channel": "l2Book", "data": {"coin": "BTC", "time": k, "x": random.Random(k).random()}})


def record(path, count, *, close=True):
    writer = EnvelopeWriter(path)
    for k in range(count):
        writer.add(NOON + k, frame(k))
        if k % 10 == 9:
            writer.flush()
    if close:
        writer.close()
    return writer


def test_the_archives_own_line_and_folder():
    assert envelope.line(NOON, b'{"channel":"pong"}') == (
        b'{"time":"2026-04-01T10:00:00.050123456","ver_num":1,"raw":{"channel":"pong"}}\n'
    )
    assert envelope.folder(NOON) == "20260401/10"
    assert envelope.folder(NOON - 5 * 3_600 * 10**9) == "20260401/5"


def test_what_was_recorded_is_read(tmp_path):
    record(tmp_path / "a" / "BTC.lz4", 500)
    found = list(read(tmp_path / "a" / "BTC.lz4"))
    assert [one.received for one in found] == [NOON + k for k in range(500)]
    assert [one.frame for one in found] == [orjson.loads(frame(k)) for k in range(500)]
    assert {one.channel for one in found} == {"l2Book"}


def test_several_frames_in_one_file(tmp_path):
    record(tmp_path / "a.lz4", 30)
    both = tmp_path / "both.lz4"
    both.write_bytes((tmp_path / "a.lz4").read_bytes() * 2)
    assert len(list(read(both))) == 60


def test_after_a_crash_all_that_was_flushed_is_there(tmp_path):
    path = tmp_path / "crash.lz4"
    writer = record(path, 205, close=False)
    torn = tmp_path / "torn.lz4"
    torn.write_bytes(path.read_bytes())
    writer.close()
    assert len(list(read(torn, torn=True))) >= 200
    with pytest.raises(BadBars, match="cut short"):
        list(read(torn))


@pytest.mark.parametrize("cut", [1, 40, 300, 2000])
def test_a_torn_file_gives_a_whole_prefix(tmp_path, cut):
    record(tmp_path / "a.lz4", 400)
    torn = tmp_path / "torn.lz4"
    torn.write_bytes((tmp_path / "a.lz4").read_bytes()[:-cut])
    found = [one.received - NOON for one in read(torn, torn=True)]
    assert found == list(range(len(found)))
    assert len(found) >= 300


def test_a_recording_is_never_appended_to(tmp_path):
    record(tmp_path / "a.lz4", 1)
    with pytest.raises(Conflict, match="another part"):
        EnvelopeWriter(tmp_path / "a.lz4")


@pytest.mark.parametrize(
    "text",
    [
        b"x\n",
        b"{}\n",
        b'{"time":"x","ver_num":1,"raw":{}}\n',
        b'{"time":"2026-04-01","ver_num":2,"raw":{}}\n',
        b"[1]\n",
    ],
)
def test_a_line_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "bad.lz4"
    with EnvelopeWriter(path) as writer:
        writer.add(NOON, frame(0))
        writer._stream.write(text)
    with pytest.raises(BadBars, match=r"line 2 is"):
        list(read(path))


def test_what_is_not_lz4_is_refused(tmp_path):
    (tmp_path / "a.lz4").write_bytes(b"<Error>AccessDenied</Error>" * 10)
    with pytest.raises(BadBars, match="no LZ4"):
        list(read(tmp_path / "a.lz4"))


@pytest.mark.skipif(shutil.which("lz4") is None, reason="needs the lz4 tool (apt-get install lz4)")
def test_the_lz4_tool_and_we_read_each_other(tmp_path):
    record(tmp_path / "ours.lz4", 100)
    plain = subprocess.run(["lz4", "-dc", tmp_path / "ours.lz4"], capture_output=True, check=True).stdout
    assert plain.count(b"\n") == 100
    (tmp_path / "plain").write_bytes(plain)
    subprocess.run(["lz4", "-q", tmp_path / "plain", tmp_path / "theirs.lz4"], check=True)
    assert list(read(tmp_path / "theirs.lz4")) == list(read(tmp_path / "ours.lz4"))
