"""Signatures, through the functions of the venue's own SDK: what is hashed is theirs to define.

Importing this module imports the SDK; those who only read the venue do not.
"""

from __future__ import annotations

from typing import Any

import orjson
from eth_account import Account
from hyperliquid.utils.signing import sign_l1_action

from quantga.errors import ConfigError
from quantga.venue.account import Stamp


class Signer:
    """Signs actions of one key, which is the account's own or an agent's."""

    def __init__(self, key: str, *, mainnet: bool) -> None:
        """`key` is the private key as 64 hex digits, with or without 0x.

        Raises:
            ConfigError: it is no key. The message does not show it.
        """
        try:
            self._wallet = Account.from_key(key)
        except (ValueError, TypeError):
            raise ConfigError("the trading key is no private key: 64 hex digits are wanted") from None
        self._mainnet = mainnet

    @property
    def address(self) -> str:
        """The address of the key, in lower case."""
        return str(self._wallet.address).lower()

    def envelope(self, action: dict[str, Any], stamp: Stamp) -> bytes:
        """Return the body of a request to `/exchange`; the same action and stamp give the same bytes."""
        signature = sign_l1_action(self._wallet, action, None, stamp.nonce, stamp.expires, self._mainnet)
        body = {
            "action": action,
            "nonce": stamp.nonce,
            "signature": signature,
            "vaultAddress": None,
            "expiresAfter": stamp.expires,
        }
        return orjson.dumps(body)
