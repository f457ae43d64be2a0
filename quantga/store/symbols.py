"""What an instrument is called: the venue's symbol, its base asset, its bar interval.

The base asset is the bridge between venues: what evolved on BTCUSDT of one venue can be judged on BTC of another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from quantga.errors import ConfigError

MINUTE = 60_000
INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "2h": 120 * MINUTE,
    "4h": 240 * MINUTE,
    "6h": 360 * MINUTE,
    "8h": 480 * MINUTE,
    "12h": 720 * MINUTE,
    "1d": 1440 * MINUTE,
}
"""Every bar interval that lies on a grid counted from 1970-01-01 00:00 UTC, in milliseconds."""

REFERENCE = "BTC"
"""The base asset whose bars are the reference of all others."""

_QUOTES = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDE", "USDH", "USD", "EUR")
_UNIT = re.compile(r"^(?:(1000000|100000|10000|1000|1M)(?=[A-Z])|(k)(?=[A-Z]))")
_VENUE = re.compile(r"^[a-z][a-z0-9_]*$")
_ALONE = re.compile(r"^[A-Za-z0-9]+$")


@dataclass(frozen=True, slots=True)
class Name:
    """A venue symbol taken apart: `1000PEPEUSDT` is 1000 units of the base asset `PEPE`."""

    symbol: str
    base: str
    unit: int


def name_of(symbol: str) -> Name:
    """Return `symbol` with its base asset and how many units of it one contract holds."""
    root = re.split(r"[-_/:]", symbol.strip())[0] if not symbol.startswith("@") else symbol
    if ":" in symbol and not re.search(r"[-_/]", symbol):
        root = symbol.split(":")[1]  # a builder's market, as in `xyz:TSLA`
    upper = root.upper()
    for quote in ("PERP", *_QUOTES):
        if upper.endswith(quote) and len(upper) > len(quote):
            root = root[: -len(quote)]
            break
    scaled = _UNIT.match(root)
    if scaled is None:
        return Name(symbol, root.upper(), 1)
    text = scaled.group(1) or scaled.group(2)
    unit = {"k": 1000, "1M": 1_000_000}.get(text) or int(text)
    return Name(symbol, root[scaled.end() :].upper(), unit)


def venue_symbol(text: str, venue: str) -> str:
    """Return what `venue` itself calls a pair written `BTC_USDT_USDT` or `BTC/USDT:USDT`; other texts stay."""
    parts = re.split(r"[_/:]", text)
    joined = len(parts) in (2, 3) and parts[1] in _QUOTES and all(_ALONE.match(part) for part in parts)
    if not joined or (len(parts) == 3 and parts[2] not in (parts[1], parts[0])):
        return text
    return parts[0] if venue == "hyperliquid" else parts[0] + parts[1]


def interval_ms(label: str) -> int:
    """Return the milliseconds of a bar interval written as in `4h`."""
    if label not in INTERVALS:
        raise ConfigError(f"the interval {label!r} is not one of {', '.join(INTERVALS)}")
    return INTERVALS[label]


def interval_label(milliseconds: int) -> str:
    """Return how an interval is written, or an empty text if it is none that lies on the grid."""
    return next((label for label, length in INTERVALS.items() if length == milliseconds), "")


def require_venue(venue: str) -> None:
    """Raise ConfigError unless `venue` can name a folder: letters, digits and underscores, in lower case."""
    if not _VENUE.match(venue):
        raise ConfigError(f"the venue {venue!r} is not written as in binance_spot (a-z, 0-9 and _)")
