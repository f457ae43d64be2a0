"""Hyperliquid's socket: the texts that are sent, and what frames of markets say, as records.

What a frame must hold is checked here and nowhere else: a hostile or changed frame is one `BadFrame`, never a crash and
never a neutral value. Frames of accounts are handed over to the readers that `accounts` registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from quantga.errors import VenueError
from quantga.venue.market import Book, Candle, Context, Level, Quote, Trade
from quantga.venue.stream import Ack, Channel, Frame, Mids, Pong, Refusal, Subscription, Trades, Unread

type Json = Any

PING = b'{"method":"ping"}'
_PERSONAL: tuple[Channel, ...] = (
    "orderUpdates",
    "userEvents",
    "userFills",
    "userFundings",
    "clearinghouseState",
    "openOrders",
)


class BadFrame(VenueError):
    """A frame that is not what the venue sends."""


def request(subscription: Subscription, *, subscribe: bool = True) -> bytes:
    """Return the text that puts a subscription on or off."""
    method = "subscribe" if subscribe else "unsubscribe"
    return orjson.dumps({"method": method, "subscription": wish(subscription)})


def wish(subscription: Subscription) -> dict[str, Json]:
    """Return a subscription in the venue's words."""
    out: dict[str, Json] = {"type": subscription.channel}
    for key in ("coin", "interval", "user"):
        value = getattr(subscription, key)
        if value:
            out[key] = value
    if subscription.fast:
        out["fast"] = True
    return out


def read(raw: bytes | str) -> Frame:
    """Return what a frame says.

    Raises:
        BadFrame: it is no JSON, or not the venue's shape: a price that is no positive number, a missing field.
    """
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"a frame is no JSON: {error}") from error
    try:
        channel = frame["channel"]
        reader = READERS.get(channel)
        return Unread(str(channel)) if reader is None else reader(frame.get("data"))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise BadFrame(
            f"a frame cannot be read ({error!r}): {bytes(raw[:200], 'utf-8') if isinstance(raw, str) else raw[:200]!r}"
        ) from error


def _price(text: Json) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError(f"{text!r} is no price")
    return value


def _amount(text: Json) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is no amount")
    return value


def _number(text: Json) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number")
    return value


def _known(text: Json) -> float:
    """A number, or NaN where the venue says null."""
    return math.nan if text is None else _number(text)


def _whole(value: Json) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number")
    return value


def _text(value: Json) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} is no text")
    return value


def _level(row: Json) -> Level:
    return Level(_price(row["px"]), _amount(row["sz"]), _whole(row["n"]))


def _quote(data: Json) -> Quote:
    bid, ask = data["bbo"]
    sides = [None if row is None else _level(row) for row in (bid, ask)]
    return Quote(_text(data["coin"]), _whole(data["time"]), sides[0], sides[1])


def _book(data: Json) -> Book:
    bids, asks = (tuple(map(_level, side)) for side in data["levels"])
    return Book(_text(data["coin"]), _whole(data["time"]), bids, asks, bool(data.get("fast")))


def _trade(row: Json) -> Trade:
    if row["side"] not in {"B", "A"}:
        raise ValueError(f"{row['side']!r} is no side")
    users = tuple(map(_text, row.get("users", ())))
    return Trade(
        _text(row["coin"]),
        _whole(row["time"]),
        row["side"] == "B",
        _price(row["px"]),
        _amount(row["sz"]),
        _whole(row["tid"]),
        _text(row["hash"]),
        users,
    )


def _trades(data: Json) -> Trades:
    if type(data) is not list:
        raise ValueError("trades are no list")
    return Trades(tuple(map(_trade, data)))


def candle_of(row: Json) -> Candle:
    """Return a candle of a frame, or of `candleSnapshot`.

    Raises:
        ValueError, KeyError, TypeError: it is not the venue's shape, or low <= open, close <= high does not hold.
    """
    start, end = _whole(row["t"]), _whole(row["T"])
    opened, high, low, close = _price(row["o"]), _price(row["h"]), _price(row["l"]), _price(row["c"])
    if not low <= min(opened, close) <= max(opened, close) <= high or end <= start:
        raise ValueError("a candle's prices or times contradict each other")
    volume, count = _amount(row["v"]), _whole(row["n"])
    return Candle(_text(row["s"]), _text(row["i"]), start, end, opened, high, low, close, volume, count)


def context_of(coin: str, row: Json) -> Context:
    """Return an asset's context of a frame, or of `metaAndAssetCtxs`."""
    impact = row.get("impactPxs") or (None, None)
    return Context(
        coin,
        _number(row["funding"]),
        _amount(row["openInterest"]),
        _price(row["markPx"]),
        _price(row["oraclePx"]),
        _known(row.get("midPx")),
        _known(row.get("premium")),
        _known(impact[0]),
        _known(impact[1]),
        _amount(row["prevDayPx"]),
        _amount(row["dayNtlVlm"]),
    )


def _context(data: Json) -> Context:
    return context_of(_text(data["coin"]), data["ctx"])


def _mids(data: Json) -> Mids:
    return Mids(tuple((_text(coin), _price(px)) for coin, px in data["mids"].items()))


def _ack(data: Json) -> Ack | Unread:
    sub = data["subscription"]
    if sub["type"] not in _KNOWN:
        return Unread(_text(sub["type"]))
    coin, interval, user = (_text(sub.get(key, "")) for key in ("coin", "interval", "user"))
    known = Subscription(sub["type"], coin, interval, user, sub.get("fast") is True)
    return Ack(data["method"] == "subscribe", known)


_MARKETS: dict[str, Callable[[Json], Frame]] = {
    "bbo": _quote,
    "l2Book": _book,
    "trades": _trades,
    "candle": candle_of,
    "activeAssetCtx": _context,
    "allMids": _mids,
}
_KNOWN = frozenset({*_MARKETS, *_PERSONAL})
READERS: dict[str, Callable[[Json], Frame]] = {
    **_MARKETS,
    "subscriptionResponse": _ack,
    "pong": lambda _: Pong(),
    "error": lambda data: Refusal(_text(data)),
}
"""What reads a channel's data; channels that are not here are `Unread`."""
