"""Where a trader keeps what it knows on its machine: one folder per account, in it sessions, requests and the heartbeat.

<root>/<network>-<address>/<session>/journal      the session's journal; the newest session is the one that trades
<root>/<network>-<address>/requests/<name>.json   what a person asks of the trader: halt, flatten, resume
<root>/<network>-<address>/heartbeat.json         written every second while the trader lives
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from quantga.errors import StoreError
from quantga.live.journal import Journal, read
from quantga.live.session import Session, fold
from quantga.store.lake import Lake

__all__ = ["Account", "accounts"]


@dataclass(frozen=True)
class Account:
    """The folder of one account on one network."""

    root: Path
    network: str
    address: str

    @classmethod
    def of(cls, lake: Lake, network: str, address: str) -> Account:
        """Return the account's folder beside the lake: in it, where the lake is a folder of this machine."""
        return cls(lake.local / "sessions", network, address.lower())

    @property
    def folder(self) -> Path:
        """The account's folder."""
        return self.root / f"{self.network}-{self.address}"

    @property
    def heartbeat(self) -> Path:
        """The file that a living trader writes every second."""
        return self.folder / "heartbeat.json"

    def sessions(self) -> list[str]:
        """Return the ids of all sessions, the oldest first."""
        return sorted(path.parent.name for path in self.folder.glob("*/journal"))

    def journal(self, session: str) -> Path:
        """Return the path of a session's journal."""
        return self.folder / session / "journal"

    def new_session(self) -> str:
        """Return the id of a session that never was, here or on another machine: orders are named after it."""
        return f"{len(self.sessions()) + 1:04d}-{secrets.token_hex(4)}"

    def last(self) -> Session | None:
        """Return what the newest session's journal says, as far as it reads; None without one. Changes nothing."""
        known = self.sessions()
        entries = read(self.journal(known[-1]))[0] if known else ()
        return fold(entries) if entries else None

    def open_last(self) -> Journal:
        """Open the newest session's journal to write. Conflict while a trader has it, StoreError if there is none."""
        known = self.sessions()
        if not known:
            raise StoreError(f"{self.folder} holds no session: nothing was traded from here")
        return Journal(self.journal(known[-1]))

    def ask(self, name: str, **what: object) -> Path:
        """Leave a request for the trader; it is gone from the returned path once the trader has taken it."""
        path = self.folder / "requests" / f"{time.time_ns()}-{name}.json"
        _write(path, {"ask": name, **what})
        return path

    def requests(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return what was asked, the oldest first."""
        found = []
        for path in sorted((self.folder / "requests").glob("*.json")):
            with contextlib.suppress(OSError, orjson.JSONDecodeError):
                found.append((path, orjson.loads(path.read_bytes())))
        return found

    def beat(self, sign: Mapping[str, object]) -> None:
        """Write a sign of life."""
        _write(self.heartbeat, sign)

    def beaten(self) -> dict[str, Any] | None:
        """Return the last sign of life; None if there is none that reads."""
        try:
            sign: dict[str, Any] = orjson.loads(self.heartbeat.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return sign


def accounts(lake: Lake) -> list[Account]:
    """Return all accounts that were traded from this machine."""
    root = lake.local / "sessions"
    pairs = (path.name.partition("-") for path in sorted(root.glob("*-0x*")) if path.is_dir())
    return [Account(root, network, address) for network, _, address in pairs]


def _write(path: Path, what: Mapping[str, object]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(orjson.dumps(what))
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
