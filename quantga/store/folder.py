"""A folder as the place of a lake's objects: a draft is written and flushed, then given its name by a hard link.

A link cannot overwrite, so of several writers one wins; a crash leaves a draft that nobody sees.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from quantga.errors import ConfigError, Conflict, StoreError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)
_HOLDS = ".holds"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on this machine, or one that several machines mount."""

    root: Path

    @property
    def name(self) -> Path:
        """The folder's path."""
        return self.root

    @property
    def local(self) -> Path:
        """The folder itself."""
        return self.root

    def create(self, path: str, data: bytes) -> None:
        """Write `data` at `path` once."""
        final = self.root / path
        if not _holds(final, data):
            _publish(final, data)

    def create_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write several objects, each once."""
        for path, data in items:
            self.create(path, data)

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`; a StoreError says that there are none."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{self.root}/{path} does not exist: was something deleted from the lake?") from None
        except OSError as error:
            raise StoreError(f"{self.root}/{path} cannot be read: {error.strerror}") from error

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes at each path."""
        return [self.read(path) for path in paths]

    def exists(self, path: str) -> bool:
        """Return whether there is an object at `path`."""
        return (self.root / path).is_file()

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below the folder `prefix`, sorted; drafts are not shown."""
        selector = fs.FileSelector(prefix, allow_not_found=True, recursive=True)
        found = (info for info in self.filesystem().get_file_info(selector) if info.type == fs.FileType.File)
        return sorted(info.path for info in found if not info.base_name.startswith("."))

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below `prefix`, sorted."""
        selector = fs.FileSelector(prefix, allow_not_found=True, recursive=False)
        infos = self.filesystem().get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

    def filesystem(self) -> fs.FileSystem:
        """Return Arrow's view of the folder."""
        return fs.SubTreeFileSystem(str(self.root), fs.LocalFileSystem())

    def require_writable(self) -> None:
        """Raise ConfigError, before any work, if nothing can be written below the root."""
        probe = self.root / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(self.root) from error
            raise ConfigError(
                f"the store {self.root} cannot be written ({error.strerror}): choose another with --store "
                "or change its permissions"
            ) from error

    @contextmanager
    def hold(self, what: str) -> Iterator[FileHeld]:
        """Hold the sole right to `what`; it ends with the process, however that ends."""
        path = self.root / _HOLDS / what.replace("/", "-").replace(" ", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                by = file.read().strip() or "another process"
                raise Conflict(f"{what} is being driven by {by}: wait until it is done, or stop it") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield FileHeld()


class FileHeld:
    """A lock of the operating system: it cannot be lost while the process lives."""

    def require(self) -> None:
        """Do nothing: the lock stands."""


def disk_full(path: Path) -> StoreError:
    """Return the error for a full disk; the command line counts it as the user's to mend (exit code 2)."""
    error = StoreError(
        f"the disk that holds {path} is full: free some space and give the same command again; "
        "nothing half-written was left behind"
    )
    error.exit_code = 2
    return error


def _holds(final: Path, data: bytes) -> bool:
    try:
        present = final.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"{final} cannot be read: {error.strerror}") from error
    if present != data:
        raise Conflict(f"{final} already holds other bytes: objects of the lake are written once")
    return True


def _publish(final: Path, data: bytes) -> None:
    draft = final.parent / f".{final.name}.{os.getpid()}-{secrets.token_hex(4)}"
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _give_name(draft, final, data)
        _sync_folder(final.parent)
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(final) from error
        raise StoreError(f"{final} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _give_name(draft: Path, final: Path, data: bytes) -> None:
    """Name the draft `final` unless that name is taken: a hard link cannot overwrite, a rename could."""
    try:
        os.link(draft, final)
    except FileExistsError:
        if final.read_bytes() != data:
            raise Conflict(f"{final} was written by another process with other bytes: it won") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        draft.rename(final)  # a file system without hard links: the best that it offers


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
