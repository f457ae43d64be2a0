"""What is traded: decimals, leverage and margin tiers of each asset, shipped with the package.

The exchange imports no rounding or margin code of the client, so that a shared mistake cannot hide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from quantga.errors import ConfigError

MICRO = 1_000_000
"""Money is kept in whole millionths of a USDC."""

MAX_DECIMALS = 6
"""A perpetual's price has at most `MAX_DECIMALS - sz_decimals` decimals."""

FIGURES = 5
"""Significant figures of a price that is no whole number."""

FIRST_TABLE = 50
"""Margin tables below this number are one tier at that leverage."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One margin tier: from `lower` (millionths of USDC) on, at most `max_leverage`; `deduction` as documented."""

    lower: int
    max_leverage: int
    deduction: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One perpetual. Prices are whole numbers of 10^-px_decimals, sizes of 10^-sz_decimals.

    Their product is then a notional in millionths of USDC, exactly.
    """

    name: str
    sz_decimals: int
    px_decimals: int
    max_leverage: int
    table: int
    description: str
    tiers: tuple[Tier, ...]

    def tick(self, px: int) -> int:
        """The distance between neighbouring valid prices at `px`."""
        fine = 10 ** max(0, len(str(px)) - FIGURES)
        return int(min(fine, 10**self.px_decimals))

    def is_tick(self, px: int) -> bool:
        """Whether `px` has at most five significant figures, or is a whole number."""
        return px % self.tick(px) == 0

    def tier(self, notional: int) -> Tier:
        """The tier of a position worth `notional` (millionths of USDC)."""
        found = self.tiers[0]
        for tier in self.tiers:
            if notional >= tier.lower:
                found = tier
        return found

    def maintenance(self, notional: int) -> int:
        """Maintenance margin in millionths of USDC: notional / (2 max leverage of the tier) - deduction."""
        tier = self.tier(notional)
        return notional // (2 * tier.max_leverage) - tier.deduction


def _tiers(rows: list[tuple[int, int]]) -> tuple[Tier, ...]:
    """Deductions make the maintenance margin continuous where a tier begins."""
    tiers: list[Tier] = []
    for lower, leverage in rows:
        bound, deduction = lower * MICRO, 0
        if tiers:
            last = tiers[-1]
            deduction = last.deduction + bound // (2 * leverage) - bound // (2 * last.max_leverage)
        tiers.append(Tier(bound, leverage, deduction))
    return tuple(tiers)


def _asset(row: list[object], tables: dict[str, tuple[str, list[tuple[int, int]]]]) -> Asset:
    name, sz, leverage, table = str(row[0]), int(str(row[1])), int(str(row[2])), int(str(row[3]))
    if not 0 <= sz <= MAX_DECIMALS or leverage < 1:
        raise ConfigError(f"{name}: sz_decimals {sz} must lie in 0..6 and max leverage {leverage} be at least 1")
    description, rows = tables.get(str(table), ("", [(0, leverage)]))
    return Asset(name, sz, MAX_DECIMALS - sz, leverage, table, description, _tiers(rows))


def load_assets(override: Path | None = None) -> dict[str, Asset]:
    """All known assets by name, in the venue's order.

    Args:
        override: a JSON file with rows `[name, sz_decimals, max_leverage, margin_table]` under `assets` (and, if
            wanted, `marginTables`); its rows add to the shipped ones or replace them.

    Raises:
        ConfigError: the file cannot be read, or a row has an impossible number.
    """
    text = resources.files("quantga.exchange").joinpath("assets.json").read_text("utf-8")
    documents = [json.loads(text)]
    if override is not None:
        try:
            documents.append(json.loads(override.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read asset metadata {override}: {error}") from error
    found: dict[str, Asset] = {}
    tables: dict[str, tuple[str, list[tuple[int, int]]]] = {}
    for document in documents:
        tables |= {key: (text, rows) for key, (text, rows) in document.get("marginTables", {}).items()}
        for row in document.get("assets", []):
            found[row[0]] = _asset(row, tables)
    return found
