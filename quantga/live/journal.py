"""The journal: every bar, decision, intent, answer and fill of a session, on disk before anything depends on it.

A file of lines, each a checksum and a JSON object; the checksum covers the line before too, so that a line changed,
removed, put in or moved is seen. An entry is durable when `append` returns. Opening is recovering: the valid beginning
is read, what follows a damaged line is set aside in a file of its own and reported, never used and never deleted.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson

from quantga.errors import Conflict, StoreError

__all__ = ["Damage", "Entry", "Journal", "read"]

_DIGITS = 8
_TORN = "its last line is not complete"


@dataclass(frozen=True)
class Entry:
    """One thing that happened. number: 0, 1, …; time: ms, of the venue's clock; body: as JSON has it."""

    number: int
    time: int
    kind: str
    body: Mapping[str, object]


@dataclass(frozen=True)
class Damage:
    """What could not be read: from which entry on, how many bytes, why, and where they were set aside ("" if not)."""

    number: int
    size: int
    reason: str
    kept_in: str = ""

    @property
    def torn(self) -> bool:
        """Whether only a last line is cut short, as a crash leaves it: nothing depended on it yet."""
        return self.reason == _TORN


def read(path: Path) -> tuple[tuple[Entry, ...], Damage | None]:
    """Return the entries of a journal and what is damaged in it; changes nothing. No file is an empty journal."""
    entries, _, _, damage = _scan(path.read_bytes() if path.exists() else b"")
    return tuple(entries), damage


class Journal:
    """The one writer of a journal; `count` entries are in it, `damage` was set aside on opening.

    What it holds stays on disk: a session may go on for months.
    """

    def __init__(self, path: Path) -> None:
        """Open or create; raises Conflict if another process of this machine writes to it, StoreError if it cannot be."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: the journal cannot be opened ({error.strerror}); nothing was sent") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise Conflict(f"{path}: another process writes to this journal; end that one first") from error
        entries, self._end, self._last, self.damage = self._recover()
        self.count, self.time = len(entries), entries[-1].time if entries else 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return all that it holds, read from disk."""
        return tuple(_scan(self.path.read_bytes()[: self._end])[0])

    def append(self, time: int, *events: tuple[str, Mapping[str, object]]) -> Sequence[Entry]:
        """Write events (kind, body) that happened at `time`, all or none, and return when they are on disk.

        Raises StoreError if they could not be made durable: then they are not in the journal, and what depends on them must
        not be done.
        """
        first = self.count
        new = [Entry(first + i, time, kind, body) for i, (kind, body) in enumerate(events)]
        lines, last = [], self._last
        for entry in new:
            line, last = _line(entry, last)
            lines.append(line)
        data = b"".join(lines)
        try:
            _write(self._file, data, self._end)
            os.fdatasync(self._file)
        except OSError as error:
            self._undo()
            raise StoreError(
                f"{self.path}: not written ({error.strerror}); only orders that reduce may leave"
            ) from error
        self._end += len(data)
        self._last = last
        self.count, self.time = first + len(new), time
        return new

    def close(self) -> None:
        """Give the file back; nothing is lost by not calling it."""
        os.close(self._file)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _undo(self) -> None:
        """Take a half-written append back; if even that fails, its torn line is found and set aside on opening."""
        try:
            os.ftruncate(self._file, self._end)
        except OSError:
            return

    def _recover(self) -> tuple[list[Entry], int, int, Damage | None]:
        data = self.path.read_bytes()
        entries, end, last, damage = _scan(data)
        if damage is None:
            return entries, end, last, None
        aside = _free(self.path)
        with aside.open("xb") as out:
            out.write(data[end:])
            out.flush()
            os.fsync(out.fileno())
        os.ftruncate(self._file, end)
        os.fsync(self._file)
        return entries, end, last, Damage(damage.number, damage.size, damage.reason, str(aside))


def _write(file: int, data: bytes, at: int) -> None:
    while data:  # a write may be cut short; the next one then says why
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written


def _free(path: Path) -> Path:
    tried = 1
    while (aside := path.with_name(f"{path.name}.damaged-{tried}")).exists():
        tried += 1
    return aside


def _line(entry: Entry, last: int) -> tuple[bytes, int]:
    """Return an entry's line and its checksum, which begins where the line before ended."""
    told = {"n": entry.number, "t": entry.time, "kind": entry.kind, "body": entry.body}
    text = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
    check = zlib.crc32(text, last)
    return b"%08x %b\n" % (check, text), check


def _scan(data: bytes) -> tuple[list[Entry], int, int, Damage | None]:
    """Return the valid beginning: its entries, its length in bytes, its last checksum; and what is wrong after it."""
    entries: list[Entry] = []
    at, last = 0, 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            return entries, at, last, Damage(len(entries), len(data) - at, _TORN)
        text = data[at + _DIGITS + 1 : end]
        check = zlib.crc32(text, last)
        if data[at : at + _DIGITS + 1] != b"%08x " % check:
            return entries, at, last, Damage(len(entries), len(data) - at, "a line is not what was written")
        told = orjson.loads(text)
        entries.append(Entry(told["n"], told["t"], told["kind"], told["body"]))
        at, last = end + 1, check
    return entries, at, last, None
