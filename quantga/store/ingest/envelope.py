"""Frames in the venue's archive envelope: one line per frame, when it was received and the frame as it came, LZ4.

The official archive and our own recordings are read by one loader, so what is true of one can be checked on the other.

    {"time":"2026-04-01T10:00:00.050123456","ver_num":1,"raw":{"channel":"l2Book","data":{…}}}

`time` is the receiver's clock (UTC, nanoseconds), and files are cut by it: an hour's file may open with a frame that the
venue stamped in the hour before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa

from quantga.errors import BadBars, Conflict

CODEC = "lz4"
"""The LZ4 frame format; a file may hold several frames, one after another."""
VERSION = 1
_CHUNK = 1 << 20
_LONGEST = 64 << 20
_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Recorded:
    """A frame and when it was received: nanoseconds UTC by the receiver's clock."""

    received: int
    frame: dict[str, Any]

    @property
    def channel(self) -> str:
        """The frame's channel."""
        return str(self.frame.get("channel", ""))


def line(received: int, raw: bytes) -> bytes:
    """Return the line of a frame, which is kept byte for byte; it must be JSON without a line break."""
    return b'{"time":"%s","ver_num":1,"raw":%s}\n' % (stamp(received).encode(), raw)


def stamp(received: int) -> str:
    """Return nanoseconds UTC as the archive writes them."""
    return str(np.datetime64(received, "ns"))


def folder(received: int) -> str:
    """Return the archive's day and hour of a moment: `20260401/7`; the hour has no leading zero."""
    day, rest = divmod(received, _DAY)
    return f"{str(np.datetime64(day, 'D')).replace('-', '')}/{rest // (3_600 * 10**9)}"


class EnvelopeWriter:
    """Writes one file; it must be new, because some readers stop at the end of the first LZ4 frame."""

    def __init__(self, path: Path) -> None:
        """Open `path`, whose folder is made.

        Raises:
            Conflict: there is a file already: begin another part.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = path.open("xb")
        except FileExistsError:
            raise Conflict(f"{path} exists: a recording is never appended to, begin another part") from None
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._file, mode="w"), CODEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, received: int, raw: bytes) -> None:
        """Append a frame; it is in the file after the next `flush`."""
        self._stream.write(line(received, raw))

    def flush(self) -> None:
        """Hand all frames so far to the operating system: they survive the end of this process."""
        self._stream.flush()
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        if not self._file.closed:
            self._stream.close()
            self._file.close()


def read(path: Path, *, torn: bool = False) -> Iterator[Recorded]:
    """Give the frames of a file in the order they were received.

    Args:
        path: an LZ4 file of envelope lines.
        torn: whether the end may be missing, as after a crash of the recorder; what is whole is given then.

    Raises:
        BadBars: the file is corrupt, cut short (unless `torn`), or a line is no envelope; file and line are named.
    """
    for number, text in enumerate(lines(path, torn=torn), 1):
        try:
            record = orjson.loads(text)
            version, frame = record["ver_num"], {**record["raw"]}
            received = int(np.datetime64(record["time"], "ns").astype(np.int64))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise BadBars(f"{path}: line {number} is no envelope ({error}): fetch the file again") from error
        if version != VERSION:
            raise BadBars(f"{path}: line {number} is version {version!r}; this reader knows {VERSION}")
        yield Recorded(received, frame)


def lines(path: Path, *, torn: bool = False) -> Iterator[bytes]:
    """Give the whole lines of an LZ4 file, without their line breaks."""
    rest = b""
    for chunk in _chunks(path, torn=torn):
        *found, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST:
            raise BadBars(f"{path}: a line is longer than {_LONGEST} bytes: this is no recording")
        yield from filter(None, found)
    if rest.strip() and not torn:
        yield rest


def _chunks(path: Path, *, torn: bool) -> Iterator[bytes]:
    done = 0
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), CODEC) as stream:
            while chunk := stream.read(_CHUNK):
                done += len(chunk)
                yield chunk
    except OSError as error:
        if not torn:
            raise BadBars(f"{path}: is no LZ4 file, or cut short: fetch it again ({error})") from error
        yield from _tail(path, done)


def _tail(path: Path, done: int) -> Iterator[bytes]:
    """Give what can be decompressed after the first `done` bytes, where a full read failed."""
    for size in (1 << 17, 1 << 12, 1 << 6, 1):  # a read that fails gives nothing of what it had
        try:
            with pa.CompressedInputStream(pa.OSFile(str(path)), CODEC) as stream:
                _skip(stream, done)
                while chunk := stream.read(size):
                    done += len(chunk)
                    yield chunk
        except OSError:
            continue
        return


def _skip(stream: pa.NativeFile, count: int) -> None:
    while count:
        count -= len(stream.read(min(count, _CHUNK)))
