"""Recordings: what came is there, byte for byte, for the loader of the venue's archive; also after a crash."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from quantga.live import recorder as module
from quantga.live.recorder import Recorder
from quantga.store.ingest.envelope import lines, read

HOUR = 3_600 * 10**9
T0 = 1_775_037_600_050_123_456  # 2026-04-01 10:00:00.050123456


def frame(k):
    return b'{"channel":"bbo","data":{"coin":"BTC","time":%d,"bbo":[null,null]}}' % k


def test_frames_lie_as_in_the_archive_and_byte_for_byte(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.put(T0, "bbo", "BTC", frame(1))
    recorder.put(T0 + HOUR, "bbo", "BTC", frame(2))
    recorder.put(T0 + HOUR, "trades", "xyz:TSLA", b'{"channel":"trades",\n "data":[]}')
    recorder.close()
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.lz4")}
    assert found == {
        "market_data/20260401/10/bbo/BTC.lz4",
        "market_data/20260401/11/bbo/BTC.lz4",
        "market_data/20260401/11/trades/xyz:TSLA.lz4",
    }
    path = tmp_path / "market_data/20260401/10/bbo/BTC.lz4"
    text = b'{"time":"2026-04-01T10:00:00.050123456","ver_num":1,"raw":' + frame(1) + b"}"
    assert list(lines(path)) == [text]
    (one,) = read(path)
    assert (one.received, one.frame) == (T0, orjson.loads(frame(1)))
    (other,) = read(tmp_path / "market_data/20260401/11/trades/xyz:TSLA.lz4")
    assert other.frame == {"channel": "trades", "data": []}
    assert recorder.written.frames == 3


async def test_hours_that_are_over_are_ended(tmp_path):
    recorder = Recorder(tmp_path)
    for hour in range(3):
        recorder.put(T0 + hour * HOUR, "bbo", "BTC", frame(hour))
        await recorder.flush()
        assert len(recorder._files) == 1
    assert len(list(read(tmp_path / "market_data/20260401/11/bbo/BTC.lz4"))) == 1
    recorder.close()


def test_a_restart_begins_another_part(tmp_path):
    for k in range(3):
        recorder = Recorder(tmp_path)
        recorder.put(T0, "bbo", "BTC", frame(k))
        recorder.close()
    folder = tmp_path / "market_data/20260401/10/bbo"
    assert sorted(path.name for path in folder.iterdir()) == ["BTC.1.lz4", "BTC.2.lz4", "BTC.lz4"]


def test_what_was_flushed_survives_a_kill(tmp_path):
    code = f"""
import asyncio, os
from pathlib import Path
from quantga.live.recorder import Recorder
from tests.live.test_recorder import T0, frame
recorder = Recorder(Path({str(tmp_path)!r}))
for k in range(500):
    recorder.put(T0 + k, "bbo", "BTC", frame(k))
asyncio.run(recorder.flush())
recorder.put(T0 + 500, "bbo", "BTC", frame(500))
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert done.returncode == -9
    path = tmp_path / "market_data/20260401/10/bbo/BTC.lz4"
    assert [one.frame["data"]["time"] for one in read(path, torn=True)] == list(range(500))


async def test_a_disk_that_refuses_costs_frames_not_the_feed(tmp_path, monkeypatch):
    (tmp_path / "market_data").write_text("in the way")
    recorder = Recorder(tmp_path)
    recorder.put(T0, "bbo", "BTC", frame(1))
    await recorder.flush()
    assert (recorder.written.dropped, recorder.written.frames) == (1, 0)
    assert recorder.written.error
    (tmp_path / "market_data").unlink()
    recorder.put(T0 + 1, "bbo", "BTC", frame(2))
    await recorder.flush()
    assert recorder.written.frames == 1
    monkeypatch.setattr(module, "BACKLOG", 100)
    for k in range(9):
        recorder.put(T0 + k, "bbo", "BTC", frame(k))
    assert recorder.written.dropped > 1
    recorder.close()


@pytest.mark.parametrize("count", [3])
async def test_frames_put_while_a_flush_runs_are_not_lost(tmp_path, count):
    recorder = Recorder(tmp_path)
    for k in range(count * 100):
        recorder.put(T0 + k, "bbo", "BTC", frame(k))
        if k % 100 == 50:
            task = asyncio.ensure_future(recorder.flush())
            await asyncio.sleep(0)
            recorder.put(T0 + k, "bbo", "BTC", frame(-1))
            await task
    recorder.close()
    path = tmp_path / "market_data/20260401/10/bbo/BTC.lz4"
    assert len(list(read(path))) == count * 100 + count


async def test_a_cancelled_flush_is_waited_for(tmp_path, monkeypatch):
    import time

    recorder = Recorder(tmp_path)
    write = Recorder._write

    def slowly(self, taken):
        time.sleep(0.2)
        write(self, taken)

    monkeypatch.setattr(Recorder, "_write", slowly)
    for k in range(100):
        recorder.put(T0 + k, "bbo", "BTC", frame(k))
    task = asyncio.ensure_future(recorder.flush())
    await asyncio.sleep(0.05)
    recorder.put(T0 + 100, "bbo", "BTC", frame(100))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await recorder.finish()
    path = tmp_path / "market_data/20260401/10/bbo/BTC.lz4"
    assert [one.frame["data"]["time"] for one in read(path)] == list(range(101))
    assert recorder.written.files == 1
