"""Deposits and withdrawals: what the venue's ledger says came to the account or left it; neither is profit nor loss. Pure."""

from __future__ import annotations

from decimal import Decimal

from quantga.errors import Unknown
from quantga.venue.account import LedgerEntry

__all__ = ["flow"]

_IN = {"deposit", "vaultWithdraw", "rewardsClaim"}
_OUT = {"withdraw", "vaultDeposit", "vaultCreate"}
_EITHER = {"internalTransfer", "send", "subAccountTransfer"}


def flow(entry: LedgerEntry, account: str) -> Decimal:
    """Return the signed USDC by which an entry changed the perpetual account of a master's address.

    Raises Unknown for a kind that is not known: what it changed cannot be told from a profit.
    """
    fields = dict(entry.fields)
    amount = entry.usdc or Decimal(0)
    fee = Decimal(str(fields.get("fee") or 0))
    if entry.kind in _IN:
        return amount
    if entry.kind in _OUT:
        return -amount - fee
    if entry.kind == "accountClassTransfer":
        return amount if fields.get("toPerp") else -amount
    if entry.kind in _EITHER:
        mine = str(fields.get("destination", "")).lower() == account.lower()
        return amount if mine else -amount - fee
    if entry.kind in {"spotTransfer", "spotGenesis", "cStakingTransfer", "liquidation"}:
        return Decimal(0)
    raise Unknown(f"the venue's ledger tells of {entry.kind!r}, which this version does not know: look at the account")
