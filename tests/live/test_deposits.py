"""Deposits are not profit: what each kind of ledger entry changed, and what is not known is said."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quantga.errors import Unknown
from quantga.live.deposits import flow
from quantga.venue.account import LedgerEntry

ME = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20


@pytest.mark.parametrize(
    ("kind", "fields", "usdc"),
    [
        ("deposit", {}, 5),
        ("withdraw", {"fee": "1.0"}, -6),
        ("accountClassTransfer", {"toPerp": True}, 5),
        ("accountClassTransfer", {"toPerp": False}, -5),
        ("internalTransfer", {"destination": ME.upper().replace("0X", "0x"), "user": OTHER, "fee": "1.0"}, 5),
        ("internalTransfer", {"destination": OTHER, "user": ME, "fee": "1.0"}, -6),
        ("spotTransfer", {}, 0),
    ],
)
def test_what_an_entry_changed(kind: str, fields: dict[str, object], usdc: int) -> None:
    assert flow(LedgerEntry(1, kind, "0x1", Decimal(5), tuple(fields.items())), ME) == usdc


def test_a_kind_that_is_not_known_is_no_deposit_and_no_profit() -> None:
    with pytest.raises(Unknown, match="airdrop"):
        flow(LedgerEntry(1, "airdrop", "0x1", Decimal(5), ()), ME)
