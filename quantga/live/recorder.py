"""Frames as they came, on disk in the envelope of the venue's own archive, so that one loader reads both.

Files lie as in the archive, `market_data/YYYYMMDD/H/CHANNEL/COIN.lz4`, by the hour (UTC) in which frames came. A file that
exists is never appended to: what comes after a restart goes to `COIN.1.lz4`, `COIN.2.lz4`, …
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from quantga.errors import Conflict
from quantga.store.ingest.envelope import EnvelopeWriter, folder

HOUR_NS = 3_600 * 10**9
BACKLOG = 64 << 20
"""Bytes that wait for the disk before frames are left out, which is counted."""

type _Key = tuple[int, str, str]
"""Hours since 1970, channel, coin."""


@dataclass(slots=True)
class Written:
    """What was recorded, in numbers."""

    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    """Frames left out because the disk was too slow, or refused."""
    files: int = 0
    error: str = ""
    """What the disk last refused."""


@dataclass(slots=True)
class Recorder:
    """Takes frames at once; they are on disk after the next `flush`."""

    root: Path
    written: Written = field(default_factory=Written)
    _frames: dict[_Key, list[tuple[int, bytes]]] = field(default_factory=dict)
    _files: dict[_Key, EnvelopeWriter] = field(default_factory=dict)
    _waiting: int = 0
    _writing: asyncio.Future[None] | None = None

    def put(self, wall: int, channel: str, coin: str, raw: bytes) -> None:
        """Take a frame that came at `wall` (ns)."""
        if self._waiting > BACKLOG:
            self.written.dropped += 1
            return
        if b"\n" in raw or b"\r" in raw:  # JSON may hold line breaks between its tokens, never inside a text
            raw = raw.replace(b"\r", b" ").replace(b"\n", b" ")
        self._waiting += len(raw)
        key = (wall // HOUR_NS, channel, coin)
        frames = self._frames.get(key)
        if frames is None:
            self._frames[key] = [(wall, raw)]
        else:
            frames.append((wall, raw))

    async def flush(self) -> None:
        """Write what waits, in a thread of its own; end the files of hours that are over."""
        taken, self._frames, self._waiting = self._frames, {}, 0
        if taken:
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, taken))
            await asyncio.shield(self._writing)

    async def finish(self) -> None:
        """Wait for a write under way, then close; a write cannot be cancelled."""
        if self._writing is not None:
            await self._writing
        self.close()

    def close(self) -> None:
        """Write what waits, and end all files; `finish` does so where a flush may be under way."""
        taken, self._frames, self._waiting = self._frames, {}, 0
        self._write(taken)
        for key in list(self._files):
            self._end(key)

    def _write(self, taken: dict[_Key, list[tuple[int, bytes]]]) -> None:
        for key, frames in sorted(taken.items()):
            try:
                file = self._files.get(key)
                if file is None:
                    file = self._files[key] = self._open(key)
                for wall, raw in frames:
                    file.add(wall, raw)
                file.flush()
            except OSError as error:
                self.written.dropped += len(frames)
                self.written.error = str(error)
                self._end(key)
                continue
            self.written.frames += len(frames)
            self.written.bytes += sum(len(raw) for _, raw in frames)
        newest = max((key[0] for key in taken), default=0)
        for key in [key for key in self._files if key[0] < newest]:
            self._end(key)

    def _end(self, key: _Key) -> None:
        file = self._files.pop(key, None)
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            self.written.error = str(error)

    def _open(self, key: _Key) -> EnvelopeWriter:
        hour, channel, coin = key
        place = self.root / "market_data" / folder(hour * HOUR_NS) / channel
        name, number = coin.replace("/", "-"), 0
        while True:
            try:
                file = EnvelopeWriter(place / (f"{name}.{number}.lz4" if number else f"{name}.lz4"))
            except Conflict:
                number += 1
                continue
            self.written.files += 1
            return file
