"""Orders in: static checks for a whole batch, then each order on its own, with the venue's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quantga.exchange.assets import MICRO, Asset
from quantga.exchange.desk import Desk
from quantga.exchange.matching import after_fill, best, place_children, take
from quantga.exchange.state import Account, Order
from quantga.exchange.wire import WIRE_DECIMALS, scaled, text_of

MINIMUM = 10 * MICRO
LARGEST = 10**15
OPEN_ORDERS, MORE_OPEN_ORDERS, MOST_OPEN_ORDERS = 1000, 5_000_000 * MICRO, 5000
LARGEST_MARKET = ((25, 30_000_000), (20, 5_000_000), (10, 2_000_000), (1, 500_000))
"""USDC that one market order may be worth, by the asset's largest leverage (at least); a limit order ten times that."""
SLIPPAGE = 10
"""A triggered market order reaches one part in SLIPPAGE beyond the mark."""

BAD_PRICE, BAD_SIZE, ZERO_SIZE = "Order has invalid price.", "Order has invalid size.", "Order has zero size."
EMPTY, BAD_ASSET = "Orders are empty.", "Order has invalid asset."
FAR = "Order price cannot be more than 80% away from the reference price"
NOT_REDUCING = "TP/SL orders must be reduce only."
HALTED = "Trading is halted."
WORDS = {
    "tickRejected": "Price must be divisible by tick size.",
    "minTradeNtlRejected": "Order must have minimum value of $10.",
    "perpMarginRejected": "Insufficient margin to place order.",
    "reduceOnlyRejected": "Reduce only order would increase position.",
    "iocCancelRejected": "Order could not immediately match against any resting orders.",
    "badTriggerPxRejected": "Invalid TP/SL price.",
    "marketOrderNoLiquidityRejected": "No liquidity available for market order.",
    "perpMaxPositionRejected": "Order would cause position to exceed margin tier limit at current leverage",
    "tooManyOpenOrdersRejected": "Too many open orders.",
    "rejected": "Order value is too large.",
    "oracleRejected": HALTED,
}
"""Recorded status -> message. `Too many open orders.`, `Order value is too large.`, `Trading is halted.` and the asset's
error are our own words."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order of the wire in whole numbers."""

    coin: int
    side: int
    px: int
    size: int
    reduce_only: bool
    tif: str
    trigger_px: int
    tpsl: str
    is_market: bool
    cloid: str | None


class StaticError(Exception):
    """One error for a whole batch; nothing was executed."""


def _units(text: str, decimals: int, words: str) -> int:
    unit: int = 10 ** (WIRE_DECIMALS - decimals)
    value, rest = divmod(scaled(text), unit)
    if rest or not 0 <= value <= LARGEST:
        raise StaticError(words)
    return value


def size_units(asset: Asset, text: str) -> int:
    """A size of the wire in whole units.

    Raises:
        StaticError: it has too many decimals, or is negative.
    """
    return _units(text, asset.sz_decimals, BAD_SIZE)


def ticket(desk: Desk, wire: dict[str, Any], *, sized: bool = True) -> Ticket:
    """The static checks of one order.

    Raises:
        StaticError: asset, price, size or band is wrong.
    """
    coin = wire["a"]
    if coin >= len(desk.assets):
        raise StaticError(BAD_ASSET)
    asset, market = desk.assets[coin], desk.state.coins[coin]
    px = _units(wire["p"], asset.px_decimals, BAD_PRICE)
    size = size_units(asset, wire["s"])
    trigger = wire["t"].get("trigger")
    trigger_px = _units(trigger["triggerPx"], asset.px_decimals, BAD_PRICE) if trigger else 0
    if px == 0 or (trigger and not trigger_px):
        raise StaticError(BAD_PRICE)
    if size == 0 and sized:
        raise StaticError(ZERO_SIZE)
    if trigger and not wire["r"]:
        raise StaticError(NOT_REDUCING)
    if market.mark and not market.mark // 5 <= px <= market.mark * 9 // 5:
        raise StaticError(FAR)
    return Ticket(
        coin,
        1 if wire["b"] else -1,
        px,
        size,
        wire["r"],
        "" if trigger else wire["t"]["limit"]["tif"],
        trigger_px,
        trigger["tpsl"] if trigger else "",
        bool(trigger and trigger["isMarket"]),
        wire.get("c"),
    )


def new_order(user: str, ticket: Ticket) -> Order:
    """The order of a ticket, without id."""
    t = ticket
    order = Order(0, user, t.coin, t.side, t.px, t.size, t.size, t.tif, t.reduce_only, t.cloid, 0)
    order.trigger_px, order.tpsl, order.is_market = t.trigger_px, t.tpsl, t.is_market
    if order.is_trigger:
        order.tif = "Gtc"
    return order


def _refused(desk: Desk, order: Order, status: str, words: str = "") -> dict[str, Any]:
    desk.reject(order, status)
    return {"error": f"{words or WORDS[status]} asset={order.coin}"}


def _tagged(order: Order, inner: dict[str, Any]) -> dict[str, Any]:
    out = {**inner, "oid": order.oid}
    if order.cloid is not None:
        out["cloid"] = order.cloid
    return out


def place(desk: Desk, account: Account, order: Order) -> dict[str, Any]:
    """One order, past the static checks; its status as the venue answers it."""
    refusal = _first_refusal(desk, account, order)
    if refusal:
        return _refused(desk, order, refusal)
    if order.is_trigger:
        desk.register(order)
        desk.rest(order)
        desk.report(order, "open")
        return {"resting": _tagged(order, {})}
    return execute(desk, order)


def execute(desk: Desk, order: Order) -> dict[str, Any]:
    """Match a limit order and let the rest rest, by its time in force.

    A Gtc order that fills only in part answers `filled` with the smaller size, as clients report; the rest rests.
    """
    opposite = best(desk, order.coin, -order.side)
    crosses = bool(opposite) and order.side * order.px >= order.side * opposite
    if order.tif == "Alo" and crosses:
        return _refused(
            desk, order, "badAloPxRejected", f"Post only order would have immediately matched, {_bbo(desk, order)}."
        )
    if order.tif in {"Ioc", "FrontendMarket"} and not crosses:
        status = "iocCancelRejected" if order.tif == "Ioc" else "marketOrderNoLiquidityRejected"
        return _refused(desk, order, status)
    desk.register(order)
    desk.report(order, "open")
    if crosses:
        held_back = order.size * desk.cut // 100
        order.size -= held_back
        take(desk, order, order.px)
        order.size += held_back
        if held_back:
            return _cut_short(desk, order)
    if order.size == 0:
        desk.end(order, "filled")
        place_children(desk, order)
    elif order.tif in {"Ioc", "FrontendMarket"}:
        desk.end(order, "canceled" if order.filled else "iocCancelRejected")
    elif order.status == "open":
        desk.rest(order)
    if not order.filled:
        if order.tif in {"Ioc", "FrontendMarket"}:
            return {"error": f"{WORDS['iocCancelRejected']} asset={order.coin}"}
        return {"resting": _tagged(order, {})}
    asset = desk.assets[order.coin]
    return {
        "filled": _tagged(order, {"totalSz": text_of(order.filled, asset.sz_decimals), "avgPx": average(order, asset)})
    }


def _cut_short(desk: Desk, order: Order) -> dict[str, Any]:
    """The fault `partial_fill`: what was held back is cancelled."""
    desk.end(order, "canceled")
    if not order.filled:
        return {"error": f"{WORDS['iocCancelRejected']} asset={order.coin}"}
    return _filled(desk, order)


def _filled(desk: Desk, order: Order) -> dict[str, Any]:
    asset = desk.assets[order.coin]
    total = text_of(order.filled, asset.sz_decimals)
    return {"filled": _tagged(order, {"totalSz": total, "avgPx": average(order, asset)})}


def average(order: Order, asset: Asset) -> str:
    """The average fill price, to one decimal more than the asset's prices have."""
    return text_of((order.cost * 10 + order.filled // 2) // order.filled, asset.px_decimals + 1)


def _bbo(desk: Desk, order: Order) -> str:
    decimals = desk.assets[order.coin].px_decimals
    bid, ask = (text_of(best(desk, order.coin, side), decimals).removesuffix(".0") for side in (1, -1))
    return f"bbo was {bid}@{ask}"


def _first_refusal(desk: Desk, account: Account, order: Order) -> str:
    """The recorded status of the first rule that refuses the order; empty if none does."""
    asset, market = desk.assets[order.coin], desk.state.coins[order.coin]
    if not market.px or market.halted:
        return "oracleRejected"
    if not asset.is_tick(order.px) or (order.trigger_px and not asset.is_tick(order.trigger_px)):
        return "tickRejected"
    held = desk.held(order)
    if order.reduce_only:
        if held * order.side >= 0:
            return "reduceOnlyRejected"
        order.size = min(order.size, abs(held))
    if order.is_trigger and satisfied(order, market.mark):
        return "badTriggerPxRejected"
    if too_many(account, order):
        return "tooManyOpenOrdersRejected"
    return _money_refusal(desk, account, order, held)


def _money_refusal(desk: Desk, account: Account, order: Order, held: int) -> str:
    asset, closes_all = desk.assets[order.coin], held * order.side < 0 and order.size >= abs(held)
    price = order.trigger_px if order.is_market else order.px
    if price * order.size < MINIMUM and not closes_all and not order.position_tpsl:
        return "minTradeNtlRejected"
    refused = "" if order.reduce_only or order.is_trigger else margin_refusal(desk, account, order, held)
    market = order.is_market or order.tif in {"Ioc", "FrontendMarket"}
    return refused or ("rejected" if price * order.size > largest(asset, market=market) else "")


def largest(asset: Asset, *, market: bool) -> int:
    """What one order may be worth (millionths of USDC)."""
    usdc = next(most for least, most in LARGEST_MARKET if asset.max_leverage >= least)
    return usdc * MICRO * (1 if market else 10)


def margin_refusal(desk: Desk, account: Account, order: Order, held: int) -> str:
    """Whether leverage or margin forbid an order that could open."""
    mark, margins = desk.state.coins[order.coin].mark, desk.margins
    opposite = best(desk, order.coin, -order.side)
    crosses = bool(opposite) and order.side * order.px >= order.side * opposite
    notional = (mark if crosses else order.px) * order.size
    buys, sells = (notional, 0) if order.side > 0 else (0, notional)
    added = margins.order_margin(account, order.coin, buys, sells) - margins.order_margin(account, order.coin)
    if added > 0 and margins.free(account) < added:
        return "perpMarginRejected"
    after = abs(held + order.side * order.size) * mark
    position = account.positions.get(order.coin)
    leverage = position.leverage if position else margins.leverage(account, order.coin)[0]
    if added > 0 and leverage > desk.assets[order.coin].tier(after).max_leverage:
        return "perpMaxPositionRejected"
    return ""


def too_many(account: Account, order: Order) -> bool:
    """Open orders: 1000 and one more per five million of volume; from 1000 on no reduce-only or trigger order."""
    count = len(account.orders)
    if count < OPEN_ORDERS:
        return False
    limit = min(MOST_OPEN_ORDERS, OPEN_ORDERS + account.volume // MORE_OPEN_ORDERS)
    return count >= limit or order.reduce_only or order.is_trigger


def satisfied(order: Order, mark: int) -> bool:
    """Whether the mark already fulfils a trigger."""
    above = (order.side > 0) == (order.tpsl == "sl")
    return mark >= order.trigger_px if above else mark <= order.trigger_px


def fire(desk: Desk, order: Order) -> None:
    """A trigger's mark price has come: it becomes a market or a limit order."""
    desk.unrest(order)
    held = desk.held(order)
    if held * order.side >= 0:
        desk.end(order, "reduceOnlyCanceled")
        return
    order.size = abs(held) if order.position_tpsl and not order.orig else min(order.size, abs(held))
    order.orig = order.orig or order.size
    order.fired, mark = True, desk.state.coins[order.coin].mark
    desk.end(order, "triggered")
    order.status = "open"
    limit = mark + order.side * (mark // SLIPPAGE) if order.is_market else order.px
    before = order.filled
    take(desk, order, limit)
    if order.size == 0:
        desk.end(order, "filled")
    elif order.is_market:
        desk.end(order, "canceled" if order.filled else "marketOrderNoLiquidityRejected")
    else:
        desk.rest(order)
        desk.report(order, "open")
    if order.filled > before:
        after_fill(desk, order)
