"""Frames of the venue's socket as records, and subscriptions as the venue wants them.

A channel that is not known is `Unread`, since the venue adds channels; a known one that does not read is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from quantga.venue.hyperliquid import account_answers as account
from quantga.venue.hyperliquid import market_answers as market
from quantga.venue.hyperliquid.reading import Json, number, reader, record, rows, text, whole
from quantga.venue.stream import (
    Ack,
    CanceledByVenue,
    Channel,
    Fills,
    Frame,
    Fundings,
    Liquidated,
    Mids,
    OpenOrders,
    OrderUpdates,
    Pong,
    Refusal,
    StateUpdate,
    Subscription,
    Trades,
    Unread,
)

_OF_COIN = frozenset({"bbo", "trades", "candle", "l2Book", "activeAssetCtx"})
_OF_USER = frozenset({"orderUpdates", "userEvents", "userFills", "userFundings", "clearinghouseState", "openOrders"})


def wire(subscription: Subscription) -> dict[str, Json]:
    """Return a subscription as the venue wants it. It closes the socket for a coin it does not know: check first."""
    body: dict[str, Json] = {"type": subscription.channel}
    if subscription.channel in _OF_COIN:
        body["coin"] = subscription.coin
    if subscription.channel in _OF_USER:
        body["user"] = subscription.user.lower()
    if subscription.channel == "candle":
        body["interval"] = subscription.interval
    if subscription.channel == "l2Book" and subscription.fast:
        body["fast"] = True
    return body


@reader("frame")
def parse(frame: Json) -> Frame:
    """Return one decoded frame as a record.

    Raises:
        Unknown: a known channel whose data do not read.
    """
    channel = text(frame["channel"])
    handler = _HANDLERS.get(channel)
    return Unread(channel) if handler is None else handler(frame.get("data"))


def subscription(body: Json) -> Subscription:
    """Return the subscription that an ack echoes."""
    return Subscription(
        channel=cast("Channel", text(body["type"])),
        coin=text(body.get("coin", "")),
        interval=text(body.get("interval", "")),
        user=text(body.get("user", "")).lower(),
        fast=body.get("fast") is True,
    )


def _ack(data: Json) -> Frame:
    if data["method"] not in ("subscribe", "unsubscribe"):
        raise ValueError(f"the method {data['method']!r} is not known")
    return Ack(data["method"] == "subscribe", subscription(record(data["subscription"])))


def _fills(data: Json) -> Frame:
    return Fills(
        text(data.get("user", "")).lower(),
        account.unique(map(account.fill, data["fills"])),
        bool(data.get("isSnapshot")),
    )


def _fundings(data: Json) -> Frame:
    payments = tuple(account.payment(row["time"], row) for row in rows(data["fundings"]))
    return Fundings(text(data["user"]).lower(), payments, bool(data.get("isSnapshot")))


def _event(data: Json) -> Frame:
    """One of several kinds under the channel `user`."""
    if "fills" in data:
        return _fills(data)
    if "funding" in data:
        row = data["funding"]
        return Fundings("", (account.payment(row["time"], row),), snapshot=False)
    if "liquidation" in data:
        row = data["liquidation"]
        values = (str(row["liquidated_ntl_pos"]), str(row["liquidated_account_value"]))
        return Liquidated(text(row["liquidated_user"]).lower(), *values)
    if "nonUserCancel" in data:
        return CanceledByVenue(tuple((text(row["coin"]), whole(row["oid"])) for row in data["nonUserCancel"]))
    if "twapSliceFills" in data:
        return Fills("", account.slice_fills(data["twapSliceFills"]), snapshot=False)
    return Unread("user " + " ".join(sorted(data)))


_HANDLERS: dict[str, Callable[[Json], Frame]] = {
    "subscriptionResponse": _ack,
    "pong": lambda _: Pong(),
    "error": lambda data: Refusal(text(data)),
    "bbo": market.quote,
    "l2Book": market.book,
    "trades": lambda data: Trades(tuple([market.trade(row) for row in rows(data)])),
    "candle": market.candle,
    "activeAssetCtx": lambda data: market.context(data["coin"], data["ctx"]),
    "allMids": lambda data: Mids(tuple((coin, number(px)) for coin, px in data["mids"].items())),
    "orderUpdates": lambda data: OrderUpdates(tuple(account.report(row) for row in rows(data))),
    "user": _event,
    "userFills": _fills,
    "userFundings": _fundings,
    "clearinghouseState": lambda data: StateUpdate(
        text(data["user"]).lower(), account.state(data["clearinghouseState"])
    ),
    "openOrders": lambda data: OpenOrders(text(data["user"]).lower(), account.orders(data["orders"])),
}
