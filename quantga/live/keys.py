"""Trading keys: a file that only its owner reads, plain or encrypted as wallets do it; never on a command line, never shown."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import orjson
from eth_account import Account  # the wallet library of the venue's SDK

from quantga.errors import ConfigError

__all__ = ["new_key", "read_key"]


def read_key(path: Path, passphrase: str = "") -> str:
    """Return the private key in a file: 64 hex digits, or an encrypted keystore (version 3) with its passphrase.

    Raises:
        ConfigError: there is none, others may read it, or the passphrase is wrong. No message shows the key.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode & 0o077
    except OSError as error:
        raise ConfigError(f"the key file {path} cannot be read: {error.strerror}") from error
    if not text.startswith("{"):
        if mode:
            raise ConfigError(f"others may read the key file {path}: give `chmod 600 {path}` first")
        return text
    try:
        return "0x" + bytes(Account.decrypt(orjson.loads(text), passphrase)).hex()
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the keystore {path} does not open: set QUANTGA_KEY_PASSPHRASE to its passphrase") from error


def new_key(path: Path) -> str:
    """Return the key in a file that is made, readable by its owner alone, where there is none yet: for paper trading."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w") as out:
            out.write("0x" + secrets.token_hex(32) + "\n")
    return read_key(path)
