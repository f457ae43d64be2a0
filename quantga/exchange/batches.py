"""Batches: orders with their groupings, cancels and modifies, one status for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quantga.exchange.desk import Desk
from quantga.exchange.matching import place_children
from quantga.exchange.placing import (
    EMPTY,
    NOT_REDUCING,
    StaticError,
    Ticket,
    new_order,
    place,
    ticket,
)
from quantga.exchange.state import Account, Order

Json = dict[str, Any]
MISSING = "Order was never placed, already canceled, or filled."
NO_MODIFY = "Cannot modify canceled or filled order."
NO_BUILDER = "Builder fee has not been approved."
MODIFY_KIND = "Modified order must be a non-trigger Alo or Gtc order."
"""Our own words: the venue's are not known."""


def order_batch(desk: Desk, account: Account, action: Json) -> list[Any]:
    """Place a batch; a static error stands alone for all of it."""
    grouping = action["grouping"]
    try:
        tickets = _tickets(desk, action["orders"], sized=grouping != "positionTpsl")
        _check_group(grouping, tickets)
        fee = _builder_fee(account, action.get("builder"))
    except StaticError as error:
        return [{"error": str(error)}]
    orders = [new_order(account.address, one) for one in tickets]
    for order in orders:
        order.builder_fee = fee
    if grouping == "normalTpsl":
        return _normal(desk, account, orders)
    if grouping == "positionTpsl":
        return _position(desk, account, orders)
    return [place(desk, account, order) for order in orders]


def _tickets(desk: Desk, wires: list[Json], *, sized: bool) -> list[Ticket]:
    if not wires:
        raise StaticError(EMPTY)
    return [ticket(desk, wire, sized=sized) for wire in wires]


def _check_group(grouping: Any, tickets: list[Ticket]) -> None:
    if grouping == "normalTpsl" and (tickets[0].trigger_px or not all(one.trigger_px for one in tickets[1:])):
        raise StaticError("Invalid TP/SL price.")
    if grouping == "positionTpsl" and not all(one.trigger_px for one in tickets):
        raise StaticError(NOT_REDUCING)


def _builder_fee(account: Account, builder: Json | None) -> int:
    if builder is None or not builder["f"]:
        return 0
    allowed = account.builders.get(builder["b"])
    if allowed is None or builder["f"] > int(allowed):
        raise StaticError(NO_BUILDER)
    fee: int = builder["f"]
    return fee


def _normal(desk: Desk, account: Account, orders: list[Order]) -> list[Any]:
    """A parent with children that are placed when it is filled; the children know each other."""
    parent, children = orders[0], orders[1:]
    if any(child.side == parent.side or child.coin != parent.coin for child in children):
        desk.reject(parent, "badTriggerPxRejected")
        return [{"error": f"Invalid TP/SL price. asset={parent.coin}"} for _ in orders]
    first = place(desk, account, parent)
    if "error" in first or parent.status not in {"open", "filled"}:
        return [first] + [{"error": first.get("error", MISSING)} for _ in children]
    for child in children:
        desk.register(child)
        child.waiting, child.parent = True, parent.oid
        desk.rest(child)
        desk.report(child, "open")
        parent.children.append(child.oid)
    for child in children:
        child.group = [oid for oid in parent.children if oid != child.oid]
    if parent.status == "filled":
        place_children(desk, parent)
        return [first] + ["waitingForTrigger"] * len(children)
    return [first] + ["waitingForFill"] * len(children)


def _position(desk: Desk, account: Account, orders: list[Order]) -> list[Any]:
    """Triggers of a whole position: without a size they take the position's when they fire."""
    out: list[Any] = []
    for order in orders:
        order.position_tpsl = True
        out.append(place(desk, account, order))
    live = [order.oid for order in orders if order.status == "open" and order.oid]
    for order in orders:
        order.group = [oid for oid in live if oid != order.oid]
    return out


def cancel_batch(desk: Desk, account: Account, rows: list[Json], find: Callable[[Json], int]) -> list[Any]:
    """Cancel rows one by one; what is not there to cancel has one error for all reasons."""
    out: list[Any] = []
    for row in rows:
        coin = row["a"] if "a" in row else row["asset"]
        oid = find(row)
        order = desk.state.orders.get(oid)
        if oid not in account.orders or order is None or order.coin != coin:
            out.append({"error": f"{MISSING} asset={coin}"})
            continue
        desk.close(order, "canceled", by_user=True)
        out.append("success")
    return out


def modify_batch(desk: Desk, account: Account, rows: list[Json]) -> list[Any]:
    """Replace orders: a new order with a new id, post-only unless `always_place`.

    As captured on the venue, the old order is gone even where the new one is refused.
    """
    try:
        tickets = _tickets(desk, [row["order"] for row in rows], sized=True)
    except StaticError as error:
        return [{"error": str(error)}]
    return [_modify(desk, account, row, one) for row, one in zip(rows, tickets, strict=True)]


def _modify(desk: Desk, account: Account, row: Json, one: Ticket) -> Any:
    oid = account.cloids.get(row["oid"], 0) if isinstance(row["oid"], str) else row["oid"]
    old = desk.state.orders.get(oid)
    if oid not in account.orders or old is None or old.coin != one.coin:
        return {"error": f"{NO_MODIFY} asset={one.coin}"}
    order = new_order(account.address, one)
    if not row.get("a"):
        if order.is_trigger or order.tif not in {"Alo", "Gtc"}:
            if not (order.is_trigger and old.is_trigger):
                return {"error": f"{MODIFY_KIND} asset={one.coin}"}
        elif not order.is_trigger:
            order.tif = "Alo"
    desk.close(old, "canceled", by_user=True)
    return place(desk, account, order)
