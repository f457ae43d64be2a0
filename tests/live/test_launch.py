"""The door to a market: paper stays on this machine, real money needs a second act, keys are nobody else's."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from eth_account import Account as Wallet

from quantga.errors import ConfigError
from quantga.live.beginning import Wanted
from quantga.live.keys import new_key, read_key
from quantga.live.launch import Money, address_of, guarded, phrase, sentences
from quantga.live.plan import Traded
from quantga.venue.protocol import Network

WANTED = Wanted(Network.PAPER, "http://127.0.0.1:8100", "store", 3_600_000, (Traded("a", "", "long", ("BTC",), {}, 0),))
MONEY = Money(Decimal(500), Decimal(50))


def test_paper_is_on_this_machine_and_the_others_are_where_they_are() -> None:
    assert address_of(Network.PAPER, "") == "http://127.0.0.1:8100"
    assert address_of(Network.PAPER, "http://localhost:9/") == "http://localhost:9"
    for url in ("https://api.hyperliquid.xyz", "http://10.0.0.1:8100", "http://127.0.0.1.example:8100"):
        with pytest.raises(ConfigError, match="not on this machine"):
            address_of(Network.PAPER, url)
    with pytest.raises(ConfigError, match="belongs to --paper"):
        address_of(Network.MAINNET, "http://127.0.0.1:8100")


def test_real_money_needs_a_cap_a_canary_and_the_phrase_that_names_the_cap() -> None:
    real = replace(WANTED, network=Network.MAINNET, url="https://example")
    for money, typed in ((Money(), ""), (Money(Decimal(500)), "x"), (MONEY, ""), (MONEY, phrase(Money(Decimal(5))))):
        with pytest.raises(ConfigError, match="real money"):
            guarded(real, money, typed)
    allowed = guarded(real, MONEY, phrase(MONEY))
    assert (allowed.cap, allowed.limits.notional.soft) == (500, 50)
    told = "\n".join(sentences(allowed))
    assert "mainnet" in told
    assert "at most 500 USDC" in told
    assert guarded(WANTED, Money(), "") == WANTED


def test_a_key_file_is_its_owners_alone_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "paper.key"
    key = new_key(path)
    assert new_key(path) == key == read_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as refused:
        read_key(path)
    assert key.strip("0x") not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none")


def test_a_wallets_keystore_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    key = "0x" + os.urandom(32).hex()
    path = tmp_path / "keystore.json"
    path.write_bytes(orjson.dumps(Wallet.encrypt(key, "open", kdf="pbkdf2", iterations=2)))
    assert read_key(path, "open") == key
    with pytest.raises(ConfigError, match="QUANTGA_KEY_PASSPHRASE"):
        read_key(path, "shut")
