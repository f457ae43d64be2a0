"""Hyperliquid's socket as texts: what is sent, and what a text that came says.

Hostile texts end here: whatever was sent, `read` gives a record or raises one error.
"""

from __future__ import annotations

import orjson

from quantga.errors import Unknown
from quantga.venue.hyperliquid.frames import parse, wire
from quantga.venue.stream import Frame, Subscription

PING = '{"method":"ping"}'
LARGEST = 16 << 20
"""Bytes of the largest frame that is taken: snapshots of fills are large."""


def address(url: str) -> str:
    """Return the socket's address of a venue at `url` (http or https)."""
    return f"ws{url.rstrip('/').removeprefix('http')}/ws"


def request(subscription: Subscription, *, subscribe: bool = True) -> str:
    """Return the text that puts a subscription on or off."""
    method = "subscribe" if subscribe else "unsubscribe"
    return orjson.dumps({"method": method, "subscription": wire(subscription)}).decode()


def read(raw: bytes | str) -> Frame:
    """Return what a text says.

    Raises:
        Unknown: it is no JSON (NaN is none), nested too deeply, or a known channel does not read.
    """
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unknown(f"the venue sent no JSON: {error}") from error
    return parse(frame)
