"""The lake: write-once objects under one root, a folder today and an object store by the same interface.

An object appears whole or not at all and never changes afterwards, so a crash leaves nothing to repair, a reader needs
no lock, and the name of a file can stand for its content.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from quantga.errors import ConfigError, Conflict, ManifestMismatch, StoreError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Lake:
    """A root with write-once objects; paths are relative, with `/` between their parts.

    Args:
        root: the folder.
        filesystem: pyarrow's view of that folder; reads and listings go through it.
    """

    root: Path
    filesystem: fs.FileSystem

    def put(self, path: str, data: bytes) -> str:
        """Write `data` at `path` once; return its SHA-256.

        Nothing happens if the same bytes are there already.

        Raises:
            Conflict: other bytes are there.
            StoreError: the disk is full or failed; nothing half-written remains.
        """
        final = self.root / path
        if not self._holds(final, data):
            _publish(final, data)
        return sha256(data)

    def put_json(self, path: str, value: object) -> str:
        """Write `value` as canonical JSON (sorted keys) at `path` once; return its SHA-256."""
        return self.put(path, to_json(value))

    def put_table(self, path: str, table: pa.Table) -> str:
        """Write `table` as Parquet at `path` once; return its SHA-256."""
        return self.put(path, to_parquet(table))

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`; a StoreError says that there are none."""
        try:
            with self.filesystem.open_input_file(path) as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise StoreError(f"{self.root}/{path} does not exist: was something deleted from the lake?") from None
        except OSError as error:
            raise StoreError(f"{self.root}/{path} cannot be read: {error}") from error

    def read_json(self, path: str) -> object:
        """Return the JSON value at `path`."""
        try:
            value: object = orjson.loads(self.read(path))
        except orjson.JSONDecodeError as error:
            raise ManifestMismatch(f"{self.root}/{path} is not JSON ({error}): restore it or delete it") from error
        return value

    def read_table(self, path: str, digest: str = "") -> pa.Table:
        """Return the Parquet table at `path`, after checking its bytes against `digest` where one is given."""
        data = self.read(path)
        if digest and sha256(data) != digest:
            raise ManifestMismatch(f"{self.root}/{path} was changed after it was written: restore it, or import again")
        try:
            return pq.read_table(io.BytesIO(data))
        except (pa.ArrowInvalid, OSError) as error:
            raise ManifestMismatch(f"{self.root}/{path} is not a readable Parquet file: {error}") from error

    def exists(self, path: str) -> bool:
        """Return whether there is an object at `path`."""
        return bool(self.filesystem.get_file_info(path).type == fs.FileType.File)

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below the folder `prefix`, sorted; unfinished ones are not shown."""
        selector = fs.FileSelector(prefix, allow_not_found=True, recursive=True)
        found = (info for info in self.filesystem.get_file_info(selector) if info.type == fs.FileType.File)
        return sorted(info.path for info in found if not info.base_name.startswith("."))

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below `prefix`, sorted."""
        selector = fs.FileSelector(prefix, allow_not_found=True, recursive=False)
        infos = self.filesystem.get_file_info(selector)
        return sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)

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

    @staticmethod
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


def open_lake(store: str | Path) -> Lake:
    """Return the lake at `store`, a folder that need not exist yet.

    Raises:
        ConfigError: `store` is no folder, or an address of a kind that is not supported.
    """
    text = str(store)
    if "://" in text:
        raise ConfigError(f"the store {text} is not supported: give a folder, as in --store market")
    root = Path(text).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise ConfigError(f"the store {root} is a file: give a folder with --store")
    return Lake(root, fs.SubTreeFileSystem(str(root), fs.LocalFileSystem()))


def to_json(value: object) -> bytes:
    """Return `value` as JSON with sorted keys: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)


def to_parquet(table: pa.Table) -> bytes:
    """Return `table` as Parquet bytes (zstd); equal tables give equal bytes under one version of Arrow."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def disk_full(path: Path) -> StoreError:
    """Return the error for a full disk; the command line counts it as the user's to mend (exit code 2)."""
    error = StoreError(
        f"the disk that holds {path} is full: free some space and give the same command again; "
        "nothing half-written was left behind"
    )
    error.exit_code = 2
    return error


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
