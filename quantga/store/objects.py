"""What the lake asks of the place where its objects are: the same few verbs of a folder and of a bucket.

Every verb is whole: an object is there with all of its bytes or not at all, so nothing above has to think of halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from pyarrow import fs


class Held(Protocol):
    """The sole right to something, as long as the `with` lasts."""

    def require(self) -> None:
        """Raise Conflict if the right was lost to another process; ask before each step that others would see."""


class Objects(Protocol):
    """Write-once objects by relative path, with `/` between their parts."""

    @property
    def name(self) -> Path | str:
        """What messages call it: a folder's path, or s3://bucket/prefix."""

    @property
    def local(self) -> Path:
        """A folder on this machine for what is made from the objects, such as the catalog."""

    def create(self, path: str, data: bytes) -> None:
        """Write `data` at `path` once; Conflict if other bytes are there, nothing if the same ones are."""

    def create_all(self, items: Sequence[tuple[str, bytes]]) -> None:
        """Write several objects, each once, in no order."""

    def read(self, path: str) -> bytes:
        """Return the bytes at `path`; StoreError if there are none."""

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Return the bytes at each path, in the order of `paths`."""

    def exists(self, path: str) -> bool:
        """Return whether there is an object at `path`."""

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below the folder `prefix`, sorted; names that begin with a dot are not shown."""

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below `prefix`, sorted."""

    def require_writable(self) -> None:
        """Raise ConfigError, before any work, if nothing can be written."""

    def hold(self, what: str) -> AbstractContextManager[Held]:
        """Hold the sole right to `what` among all processes that use these objects; Conflict if another one has it."""

    def filesystem(self) -> fs.FileSystem:
        """Return Arrow's view of the objects, for reading many rows at once."""
