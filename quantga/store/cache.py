"""What was read from far away, kept on this machine: Arrow files named by the hash of what they were made from.

They are mapped into memory, so that all processes of a node share one copy; whoever comes while a file is being fetched
waits for it, and when the files outgrow their bound those that were used longest ago go first.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from quantga.settings import cache_folder, cache_limit

_log = logging.getLogger("quantga.store")


@dataclass(frozen=True, slots=True)
class NodeCache:
    """A folder of Arrow files that may hold `limit` bytes."""

    folder: Path
    limit: int

    @classmethod
    def default(cls) -> NodeCache:
        """Return this machine's cache, as QUANTGA_CACHE and QUANTGA_CACHE_GB say."""
        return cls(cache_folder() / "tables", cache_limit())

    def table(self, key: str, make: Callable[[], pa.Table]) -> pa.Table:
        """Return the table `key` as a view of a file, made and written first where it is absent or damaged.

        Args:
            key: a hash of all that decides the table's content.
            make: returns the table; what it raises is passed on.
        """
        try:
            with self._alone(key):
                found = self._mapped(key)
                if found is None:
                    made = make()
                    found = self._keep(key, made)
        except _Unusable as error:
            _log.warning("nothing is kept in %s: %s", self.folder, error)
            return make()
        return found

    def _mapped(self, key: str) -> pa.Table | None:
        for path in self.folder.glob(f"{key}-*.arrow"):
            try:
                source = pa.memory_map(str(path))
                if hashlib.sha256(memoryview(source.read_buffer())).hexdigest()[:16] == path.stem.rpartition("-")[2]:
                    os.utime(path)
                    source.seek(0)
                    return pa.ipc.open_file(source).read_all()
            except (pa.ArrowInvalid, OSError) as error:
                _log.warning("%s is fetched again: %s", path.name, error)
            path.unlink(missing_ok=True)
        return None

    def _keep(self, key: str, made: pa.Table) -> pa.Table:
        draft = self.folder / f".{key}.{os.getpid()}-{secrets.token_hex(4)}"
        table = made.combine_chunks()
        try:
            with pa.OSFile(str(draft), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
            size = draft.stat().st_size
            if size > self.limit:
                return table
            self._make_room(size)
            digest = hashlib.sha256(memoryview(pa.memory_map(str(draft)).read_buffer())).hexdigest()[:16]
            final = self.folder / f"{key}-{digest}.arrow"
            draft.rename(final)
            return pa.ipc.open_file(pa.memory_map(str(final))).read_all()
        except OSError as error:
            _log.warning("%s is not kept on this machine: %s", key, error)
            return table
        finally:
            draft.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove what was used longest ago; who has it mapped keeps it until done."""
        there = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in self.folder.glob("*.arrow"))
        over = sum(bytes_ for _, bytes_, _ in there) + size - self.limit
        for _, bytes_, path in there:
            if over <= 0:
                return
            path.unlink(missing_ok=True)
            over -= bytes_

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Let one process at a time make a table; the lock ends with the process."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / f".{key[:2]}.lock").open("w")
        except OSError as error:
            raise _Unusable(str(error)) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class _Unusable(Exception):
    """The folder cannot be used."""
