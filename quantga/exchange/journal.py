"""Durability: every command is on disk before its answer leaves; a restart replays what the last snapshot lacks.

A record is its length, its CRC, how far the file was durable when it was written, and msgpack. A torn tail (the
machine stopped while writing) was never acknowledged and is cut off. Damage before what a later record knows to have
been durable stops the start, because acknowledged commands would be lost.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from quantga.errors import ConfigError, StoreError

_HEAD = struct.Struct("<IIQ")
_DURABLE = struct.Struct("<Q")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Journal:
    """The files of a state folder: `snapshot-N` and the commands after it, `journal-N`."""

    def __init__(self, folder: Path) -> None:
        """Open a folder for one process.

        Raises:
            ConfigError: another process has it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(f"{folder} is in use by another exchange: stop it or take another --state") from error
        self._file = -1
        self._written = self._durable = self._origin = 0
        self._flush: asyncio.Task[None] | None = None
        self.work = 0

    def _numbers(self) -> list[int]:
        found = [path.name.removeprefix("snapshot-") for path in self._folder.glob("snapshot-*")]
        return sorted(int(name) for name in found if name.isdigit())

    def recover(self) -> tuple[bytes | None, list[dict[str, Any]]]:
        """The newest snapshot (None in a new folder) and the commands after it; the journal is then open for more.

        Raises:
            StoreError: a record before the tail is damaged.
        """
        numbers = self._numbers()
        if not numbers:
            return None, []
        number = numbers[-1]
        path = self._folder / f"journal-{number}"
        commands, good = [], 0
        if path.exists():
            data = path.read_bytes()
            for command, good in _records(data):  # noqa: B007 -- `good` is read after the loop
                commands.append(command)
            if _was_durable(data, good):
                raise StoreError(f"{path} is damaged at byte {good}: restore it from a copy, or use a fresh --state")
        self._open(number, good)
        return (self._folder / f"snapshot-{number}").read_bytes(), commands

    def _open(self, number: int, size: int) -> None:
        self._file = os.open(self._folder / f"journal-{number}", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, size)
        os.fsync(self._file)
        _sync_folder(self._folder)
        self._durable = self._written
        self._origin = self._written - size
        self.work = 0

    def start(self, snapshot: bytes) -> None:
        """Write a snapshot and begin a new journal after it; older files go."""
        numbers = self._numbers()
        number = numbers[-1] + 1 if numbers else 1
        draft = self._folder / f"draft-{number}"
        with draft.open("wb") as file:
            file.write(snapshot)
            file.flush()
            os.fsync(file.fileno())
        old = self._file
        (self._folder / f"journal-{number}").unlink(missing_ok=True)
        self._open(number, 0)
        draft.rename(self._folder / f"snapshot-{number}")
        _sync_folder(self._folder)
        if old >= 0:
            os.close(old)
        for gone in numbers:
            for kind in ("snapshot", "journal"):
                (self._folder / f"{kind}-{gone}").unlink(missing_ok=True)

    def append(self, command: dict[str, Any], work: int = 1) -> int:
        """Write a command; the number to wait for with `durable`. `work` is what a replay of it costs, in orders."""
        body = msgpack.packb(command)
        durable = self._durable - self._origin
        crc = zlib.crc32(body, zlib.crc32(_DURABLE.pack(durable)))
        os.write(self._file, _HEAD.pack(len(body), crc, durable) + body)
        self._written += _HEAD.size + len(body)
        self.work += work
        return self._written

    def sync(self) -> None:
        """Make all that is written durable, now."""
        os.fsync(self._file)
        self._durable = self._written

    async def durable(self, upto: int) -> None:
        """Wait until the journal is on disk up to `upto`; waiters share one fsync."""
        while self._durable < upto:
            if self._flush is None or self._flush.done():
                self._flush = asyncio.ensure_future(self._sync_once())
            await asyncio.shield(self._flush)

    async def _sync_once(self) -> None:
        file, written = self._file, self._written
        await asyncio.get_running_loop().run_in_executor(None, os.fsync, file)
        if file == self._file:
            self._durable = max(self._durable, written)

    async def settle(self) -> None:
        """Wait for an fsync in flight."""
        if self._flush is not None:
            await asyncio.wait([self._flush])

    def close(self) -> None:
        """Release the folder."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1
        os.close(self._lock)


def _record(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Body and durable offset of the whole record at `at`; None where there is none."""
    if at + _HEAD.size > len(data):
        return None
    size, crc, durable = _HEAD.unpack_from(data, at)
    if at + _HEAD.size + size > len(data):
        return None
    body = data[at + _HEAD.size : at + _HEAD.size + size]
    if zlib.crc32(body, zlib.crc32(_DURABLE.pack(durable))) != crc:
        return None
    return body, durable


def _records(data: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """Whole records from the front, each with the offset after it."""
    at = 0
    while (found := _record(data, at)) is not None:
        at += _HEAD.size + len(found[0])
        yield msgpack.unpackb(found[0], strict_map_key=False), at


def _was_durable(data: bytes, at: int) -> bool:
    """Whether any whole record behind the damage at `at` was written when `at` was already durable."""
    later = (_record(data, offset) for offset in range(at + 1, len(data) - _HEAD.size))
    return any(found is not None and found[1] > at for found in later)
