"""Frames as they came, on disk in the envelope of the venue's own archive, so that one loader reads both.

One line per frame, `{"time": our clock, "ver_num": 1, "raw": the frame}`, compressed as an LZ4 frame, in
`market_data/YYYYMMDD/H/CHANNEL/COIN.lz4` by the hour (UTC) in which the frame came. A file that exists is never appended to:
what comes after a restart goes to `COIN.1.lz4`, `COIN.2.lz4`, …
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import lz4.frame

HOUR_NS = 3_600 * 10**9
BACKLOG = 64 << 20
"""Bytes that wait for the disk before frames are left out, which is counted."""


@dataclass(slots=True)
class _File:
    """An open part: its bytes so far are a readable prefix after every `write`."""

    out: BinaryIO
    press: lz4.frame.LZ4FrameCompressor

    def write(self, data: bytes) -> None:
        self.out.write(self.press.compress(data))
        self.out.flush()

    def close(self) -> None:
        self.out.write(self.press.flush())
        self.out.close()


@dataclass(slots=True)
class Written:
    """What was recorded, in numbers."""

    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    """Frames left out because the disk was too slow or refused."""
    failures: int = 0
    files: int = 0
    error: str = ""


@dataclass(slots=True)
class Recorder:
    """Takes frames at once and writes them when `flush` is called."""

    root: Path
    written: Written = field(default_factory=Written)
    _lines: dict[tuple[int, str, str], list[bytes]] = field(default_factory=dict)
    _files: dict[tuple[int, str, str], _File] = field(default_factory=dict)
    _waiting: int = 0
    _second: int = -1
    _stamp: bytes = b""

    def put(self, wall: int, channel: str, coin: str, raw: bytes) -> None:
        """Take a frame that came at `wall` (ns)."""
        if self._waiting > BACKLOG:
            self.written.dropped += 1
            return
        second, rest = divmod(wall, 10**9)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        line = b'{"time":"%b.%09d","ver_num":1,"raw":%b}\n' % (self._stamp, rest, raw)
        if line.find(b"\n", 0, -1) >= 0:  # JSON may hold line breaks between its tokens, never inside a text
            line = line.replace(b"\r", b" ").replace(b"\n", b" ")[:-1] + b"\n"
        self._waiting += len(line)
        key = (wall // HOUR_NS, channel, coin)
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = []
        lines.append(line)

    async def flush(self) -> None:
        """Write what waits, in a thread of its own; close the files of hours that are over."""
        taken, self._lines, self._waiting = self._lines, {}, 0
        if taken:
            await asyncio.to_thread(self._write, taken)

    def close(self) -> None:
        """Write what waits and end all files."""
        taken, self._lines, self._waiting = self._lines, {}, 0
        self._write(taken)
        self._end(2**63)

    def _write(self, taken: dict[tuple[int, str, str], list[bytes]]) -> None:
        for key, lines in sorted(taken.items()):
            data = b"".join(lines)
            try:
                file = self._files.get(key)
                if file is None:
                    file = self._files[key] = self._open(key)
                file.write(data)
            except OSError as error:
                self.written.failures += 1
                self.written.dropped += len(lines)
                self.written.error = str(error)
                broken = self._files.pop(key, None)
                if broken is not None:
                    broken.out.close()
                continue
            self.written.frames += len(lines)
            self.written.bytes += len(data)
        if taken:
            self._end(max(key[0] for key in taken))

    def _end(self, hour: int) -> None:
        """Close the files of hours before `hour`."""
        for key in [key for key in self._files if key[0] < hour]:
            self._files.pop(key).close()

    def _open(self, key: tuple[int, str, str]) -> _File:
        hour, channel, coin = key
        day = time.strftime("%Y%m%d", time.gmtime(hour * 3600))
        folder = self.root / "market_data" / day / str(hour % 24) / channel
        folder.mkdir(parents=True, exist_ok=True)
        name, number = coin.replace("/", "-"), 0
        while True:
            path = folder / (f"{name}.{number}.lz4" if number else f"{name}.lz4")
            try:
                out = path.open("xb", buffering=0)
            except FileExistsError:
                number += 1
                continue
            self.written.files += 1
            press = lz4.frame.LZ4FrameCompressor(auto_flush=True)
            out.write(press.begin())
            return _File(out, press)
