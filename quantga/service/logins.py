"""The browser's cookie: a random name for a token that was shown once, since an EventSource sends no headers.

Kept in memory alone: a service that starts again asks for the token again, and nothing on disk can log anyone in.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from quantga.service.access import Token, Tokens

COOKIE = "quantga"
LIFE_S = 12 * 3600
_MOST = 1000


@dataclass(frozen=True, slots=True)
class _Login:
    token: str
    until: int


class Logins:
    """Who is logged in with a cookie. A login ends with its token, and after twelve hours."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._logins: dict[str, _Login] = {}

    def begin(self, token: Token) -> str:
        """Return the cookie's value for a token."""
        now = self._tokens.clock()
        standing = [(key, one) for key, one in self._logins.items() if one.until > now]
        self._logins = dict(standing[-_MOST + 1 :])
        value = secrets.token_urlsafe(32)
        self._logins[_key(value)] = _Login(token.id, now + LIFE_S * 1000)
        return value

    def holder(self, value: str) -> Token | None:
        """Return whose cookie this is, None if it is nobody's or its token does not hold any more."""
        login = self._logins.get(_key(value))
        if login is None or login.until <= self._tokens.clock():
            return None
        return self._tokens.active(login.token)

    def end(self, value: str) -> None:
        """Log out."""
        self._logins.pop(_key(value), None)


def _key(value: str) -> str:
    """Return what a value is kept under: looking up a hash takes a time that says nothing about the value."""
    return hashlib.sha256(value.encode()).hexdigest()
