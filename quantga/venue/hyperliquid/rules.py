"""Hyperliquid's rules for prices and sizes, in Decimal: five significant figures, 6 - szDecimals decimals, $10.

Source: the venue's "Tick and lot size". Integers are always valid prices; trailing zeros do not count as figures.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

from quantga.errors import Denied
from quantga.venue.market import Asset

FIGURES = 5
MIN_NOTIONAL = Decimal(10)
"""USDC; only an order that closes a whole position may be smaller."""


def tick(asset: Asset, px: Decimal) -> Decimal:
    """Return the distance between valid prices around `px`."""
    finest = -asset.price_decimals
    return Decimal(1).scaleb(min(0, max(px.adjusted() - FIGURES + 1, finest)))


def price(asset: Asset, px: Decimal | float, *, up: bool) -> Decimal:
    """Return the nearest valid price that is not below (`up`) or not above `px`; bids go down, asks up.

    Raises:
        Denied: `px` is not positive and finite, or rounds to nothing.
    """
    wanted = _positive(asset, px, "price")
    found = wanted.quantize(tick(asset, wanted), ROUND_CEILING if up else ROUND_FLOOR)
    if found <= 0:
        raise Denied(f"{asset.coin}: the price {px} is below the smallest that the venue takes")
    return found


def size(asset: Asset, wanted: Decimal | float) -> Decimal:
    """Return the largest valid size that is not above `wanted`; it may be 0.

    Raises:
        Denied: `wanted` is negative, NaN or infinite.
    """
    try:
        found = Decimal(str(wanted))
        if not found.is_finite() or found < 0:
            raise Denied(f"{asset.coin}: {wanted} is no size")
        return found.quantize(Decimal(1).scaleb(-asset.size_decimals), ROUND_FLOOR)
    except InvalidOperation as error:
        raise Denied(f"{asset.coin}: {wanted} is no size") from error


def valid_price(asset: Asset, px: Decimal) -> bool:
    """Return whether the venue takes `px` as it is."""
    return px.is_finite() and px > 0 and px == px.quantize(tick(asset, px), ROUND_FLOOR)


def valid_size(asset: Asset, wanted: Decimal) -> bool:
    """Return whether the venue takes `wanted` as it is."""
    return wanted.is_finite() and wanted > 0 and wanted == size(asset, wanted)


def text(value: Decimal) -> str:
    """Return a number as the venue hashes it: no exponent, no trailing zeros."""
    plain = format(value.normalize(), "f")
    return "0" if plain in ("-0", "0") else plain


def _positive(asset: Asset, value: Decimal | float, what: str) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation as error:
        raise Denied(f"{asset.coin}: {value!r} is no {what}") from error
    if not found.is_finite() or found <= 0:
        raise Denied(f"{asset.coin}: the {what} {value} is not positive")
    return found
