"""Orders as the venue prints them: the short row, the frontend's row, the status answer."""

from __future__ import annotations

from typing import Any

from quantga.exchange.assets import Asset
from quantga.exchange.state import Order
from quantga.exchange.wire import text_of

NEVER = "N/A"


def side_of(side: int) -> str:
    """B for a buy, A for a sell."""
    return "B" if side > 0 else "A"


def short_row(order: Order, asset: Asset) -> dict[str, Any]:
    """The row of `openOrders` and `orderUpdates`: optional fields only where they say something."""
    row: dict[str, Any] = {
        "coin": asset.name,
        "side": side_of(order.side),
        "limitPx": text_of(order.px, asset.px_decimals),
        "sz": text_of(order.size, asset.sz_decimals),
        "oid": order.oid,
        "timestamp": order.time,
        "origSz": text_of(order.orig, asset.sz_decimals),
    }
    if order.reduce_only:
        row["reduceOnly"] = True
    if order.cloid is not None:
        row["cloid"] = order.cloid
    return row


def order_type(order: Order) -> str:
    """One of `Limit`, `Market`, `Stop Market`, `Take Profit Limit` and so on."""
    if not order.tpsl:
        return "Market" if order.tif in {"FrontendMarket", "LiquidationMarket"} else "Limit"
    return f"{'Take Profit' if order.tpsl == 'tp' else 'Stop'} {'Market' if order.is_market else 'Limit'}"


def condition(order: Order, asset: Asset) -> str:
    """`Price above X` or `Price below X`; N/A for an order without trigger."""
    if not order.trigger_px:
        return NEVER
    if order.fired:
        return "Triggered"
    above = (order.side > 0) == (order.tpsl == "sl")
    return f"Price {'above' if above else 'below'} {text_of(order.trigger_px, asset.px_decimals).removesuffix('.0')}"


def frontend_row(order: Order, asset: Asset, orders: dict[int, Order]) -> dict[str, Any]:
    """The row of `frontendOpenOrders` and `orderStatus`, children nested."""
    children = [orders[oid] for oid in order.children if oid in orders and orders[oid].status == "open"]
    return {
        "coin": asset.name,
        "side": side_of(order.side),
        "limitPx": text_of(order.px, asset.px_decimals),
        "sz": text_of(order.size, asset.sz_decimals),
        "oid": order.oid,
        "timestamp": order.time,
        "triggerCondition": condition(order, asset),
        "isTrigger": order.trigger_px > 0,
        "triggerPx": text_of(order.trigger_px, asset.px_decimals),
        "children": [frontend_row(child, asset, orders) for child in children],
        "isPositionTpsl": order.position_tpsl,
        "reduceOnly": order.reduce_only,
        "orderType": order_type(order),
        "origSz": text_of(order.orig, asset.sz_decimals),
        "tif": None if order.trigger_px else order.tif,
        "cloid": order.cloid,
    }


def update_row(order: Order, asset: Asset, status: str, time: int) -> dict[str, Any]:
    """One entry of `orderUpdates`."""
    return {"order": short_row(order, asset), "status": status, "statusTimestamp": time}


def status_row(order: Order, asset: Asset, orders: dict[int, Order]) -> dict[str, Any]:
    """One entry of `historicalOrders`, and the inside of `orderStatus`."""
    return {
        "order": frontend_row(order, asset, orders),
        "status": order.status,
        "statusTimestamp": order.status_time,
    }
