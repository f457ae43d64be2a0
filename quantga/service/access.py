"""Tokens: who may do what, kept as hashes in one private file that every request is held against.

A token is 256 random bits, so its plain SHA-256 says nothing about it; the file is read again when it changes, so that a
revoked token is refused at once, in a service that has been running for weeks too.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quantga.errors import ConfigError, StoreError
from quantga.store.lake import to_json

_FORM = re.compile(r"qga_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[\w .@-]{1,40}")
_NOBODY = hashlib.sha256(b"").hexdigest()
_PRIVATE = 0o600


class Scope(StrEnum):
    """What a token permits. Research and trade each permit to read as well, and not each other."""

    READ = "read"
    RESEARCH = "research"
    TRADE = "trade"


class Token(BaseModel):
    """A token as it is kept: never itself, only the SHA-256 of it. Times are ms UTC; expires, revoked: None is never."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    digest: str
    scopes: tuple[Scope, ...]
    created: int
    expires: int | None = None
    revoked: int | None = None

    def permits(self, scope: Scope) -> bool:
        """Return whether it permits `scope`."""
        return scope in self.scopes

    def state(self, now: int) -> str:
        """Return active, expired or revoked."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and now >= self.expires else "active"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    tokens: tuple[Token, ...] = ()


class Tokens:
    """The file of tokens. `clock` gives ms UTC."""

    def __init__(self, path: Path, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.path = path
        self.clock = clock
        self._seen: tuple[int, int, int] = (0, 0, 0)
        self._tokens: dict[str, Token] = {}

    def all(self) -> tuple[Token, ...]:
        """Return every token that was ever made, the oldest first.

        Raises:
            ConfigError: others may read the file, or it is not one of ours.
        """
        return tuple(self._read().values())

    def create(self, name: str, scopes: Sequence[Scope], days: float | None) -> str:
        """Make a token and return it: the one time that it can be seen. days: until it expires, None for never."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"a token's name is 1 to 40 letters, digits, spaces and . @ _ -, not {name!r}")
        now = self.clock()
        with self._only_writer():
            known = self._read()
            number = secrets.token_hex(4)
            text = f"qga_{number}_{secrets.token_urlsafe(32)}"
            held = tuple(scope for scope in Scope if scope in {Scope.READ, *scopes})
            expires = None if days is None else now + round(days * 86_400_000)
            made = Token(id=number, name=name, digest=_digest(text), scopes=held, created=now, expires=expires)
            self._write((*known.values(), made))
        return text

    def revoke(self, number: str) -> Token:
        """Revoke the token with this id, for good. ConfigError where there is none."""
        with self._only_writer():
            known = self._read()
            if number not in known:
                raise ConfigError(f"there is no token {number!r}: `quantga token list` shows them")
            revoked = known[number].model_copy(update={"revoked": self.clock()})
            self._write(tuple(revoked if one.id == number else one for one in known.values()))
        return revoked

    def holder(self, text: str) -> Token | None:
        """Return whose token `text` is, None if it is nobody's, or was revoked, or has expired."""
        found = _FORM.fullmatch(text)
        token = self._read().get(found.group(1)) if found else None
        fits = hmac.compare_digest(_digest(text), token.digest if token else _NOBODY)
        return token if token and fits and token.state(self.clock()) == "active" else None

    def active(self, number: str) -> Token | None:
        """Return the token with this id while it is neither revoked nor expired."""
        token = self._read().get(number)
        return token if token and token.state(self.clock()) == "active" else None

    def _read(self) -> dict[str, Token]:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return {}
        if there.st_mode & 0o077:
            raise ConfigError(f"{self.path} can be read by others: chmod 600 {self.path}")
        seen = (there.st_ino, there.st_mtime_ns, there.st_size)
        if seen != self._seen:
            try:
                kept = _Kept.model_validate_json(self.path.read_bytes())
            except ValidationError as error:
                raise ConfigError(f"{self.path} is no file of tokens: {error.errors()[0]['msg']}") from error
            self._tokens, self._seen = {token.id: token for token in kept.tokens}, seen
        return self._tokens

    def _write(self, tokens: tuple[Token, ...]) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        try:
            os.write(file, to_json(_Kept(tokens=tokens).model_dump(mode="json")))
            os.fsync(file)
        finally:
            os.close(file)
        draft.replace(self.path)

    @contextmanager
    def _only_writer(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, _PRIVATE)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}): set QUANTGA_STATE") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
