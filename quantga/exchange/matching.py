"""Matching: a taker against users' orders and synthetic levels, and what a fill does to the orders around it."""

from __future__ import annotations

from typing import Any

from quantga.exchange.desk import HOUSE, Desk
from quantga.exchange.ladder import ladder
from quantga.exchange.state import Account, Coin, Order


def levels(desk: Desk, coin: int, side: int) -> list[list[int]]:
    """The synthetic levels of a side, built on demand once per price; they never cross a user's order."""
    market = desk.state.coins[coin]
    if market.px and not market.bids and not market.asks and not market.mirrored:
        key = f"{desk.state.seed}:{market.name}:{market.bar}:{market.point}"
        asset, book = desk.assets[coin], desk.books[coin]
        market.bids = ladder(asset, market.px, 1, book.best_px(-1), key)
        market.asks = ladder(asset, market.px, -1, book.best_px(1), key)
    return market.bids if side > 0 else market.asks


def best(desk: Desk, coin: int, side: int) -> int:
    """The best price of a side, users and synthetic together; 0 where there is none."""
    found = desk.books[coin].best_px(side)
    synthetic = levels(desk, coin, side)
    if synthetic and (not found or side * synthetic[0][0] > side * found):
        return synthetic[0][0]
    return found


def take(desk: Desk, order: Order, limit: int, liquidation: dict[str, Any] | None = None) -> None:
    """Match an order that does not rest against the other side, up to `limit`; what is left stays in `order.size`."""
    book, other = desk.books[order.coin], -order.side
    while order.size > 0:
        found, synthetic = book.best(other), levels(desk, order.coin, other)
        level = synthetic[0] if synthetic else None
        if level is not None and (found is None or other * level[0] >= other * found[0]):
            if order.side * level[0] > order.side * limit:
                break
            _take_level(desk, order, level, synthetic, liquidation)
        elif found is not None and order.side * found[0] <= order.side * limit:
            _take_order(desk, order, desk.state.orders[found[1]], liquidation)
        else:
            break
    settle_around(desk, desk.account(order), order.coin)


def _take_level(
    desk: Desk, order: Order, level: list[int], synthetic: list[list[int]], liquidation: dict[str, Any] | None
) -> None:
    size = min(order.size, level[1])
    level[1] -= size
    if not level[1]:
        synthetic.pop(0)
    mark = _mark(desk, crossed=True, liquidation=liquidation)
    desk.trade(order, level[0], size, mark)
    order.size -= size
    desk.house_trade(order.coin, order.side, level[0], size)
    _tape(desk, order, HOUSE, (level[0], size), mark)


def _take_order(desk: Desk, order: Order, maker: Order, liquidation: dict[str, Any] | None) -> None:
    if maker.user == order.user:
        desk.close(maker, "selfTradeCanceled")
        return
    if not can_fill(desk, maker):
        desk.close(maker, "marginCanceled")
        return
    size = min(order.size, maker.size)
    mark = _mark(desk, crossed=True, liquidation=liquidation)
    desk.trade(order, maker.px, size, mark)
    order.size -= size
    fill_resting(desk, maker, size, {**mark, "crossed": False})
    _tape(desk, order, maker.user, (maker.px, size), mark)


def _mark(desk: Desk, *, crossed: bool, liquidation: dict[str, Any] | None = None) -> dict[str, Any]:
    digest, tid = desk.serial()
    mark: dict[str, Any] = {"crossed": crossed, "hash": digest, "tid": tid}
    if liquidation is not None:
        mark["liquidation"] = liquidation
    return mark


def _tape(desk: Desk, order: Order, other: str, deal: tuple[int, int], mark: dict[str, Any]) -> None:
    users = [order.user, other] if order.side > 0 else [other, order.user]
    desk.tape(order.coin, order.side, *deal, {"hash": mark["hash"], "tid": mark["tid"], "users": users})


def can_fill(desk: Desk, order: Order) -> bool:
    """The margin check at the match: a resting order that opens needs free margin that is not negative."""
    held = desk.held(order)
    if order.reduce_only or held * order.side < 0:
        return True
    return desk.margins.free(desk.account(order)) >= 0


def fill_resting(desk: Desk, order: Order, size: int, mark: dict[str, Any]) -> None:
    """A resting order trades `size` at its own price."""
    desk.trade(order, order.px, size, mark)
    if size == order.size:
        desk.close(order, "filled")  # unbinds what is left first
        order.size = 0
        desk.events.orders[order.user][-1]["order"]["sz"] = "0.0"
    else:
        desk.shrink(order, order.size - size)
        desk.report(order, "open")
    after_fill(desk, order)
    settle_around(desk, desk.account(order), order.coin)


def after_fill(desk: Desk, order: Order) -> None:
    """A fill cancels the order's siblings; a parent that is filled places its children."""
    for oid in order.group:
        sibling = desk.state.orders.get(oid)
        if sibling is not None and sibling.status == "open" and not sibling.waiting:
            desk.close(sibling, "siblingFilledCanceled")
    if order.status == "filled":
        place_children(desk, order)


def place_children(desk: Desk, parent: Order) -> None:
    """The children of a filled parent begin to wait for their triggers."""
    for oid in parent.children:
        child = desk.state.orders.get(oid)
        if child is not None and child.waiting and child.status == "open":
            desk.unrest(child)
            child.waiting = False
            desk.rest(child)
    if parent.children:
        settle_around(desk, desk.account(parent), parent.coin)


def settle_around(desk: Desk, account: Account, coin: int) -> None:
    """Reduce-only orders shrink with the position and end when there is nothing left to reduce."""
    index = account.reduce_only.get(coin)
    if not index:
        return
    position = account.positions.get(coin)
    held = position.szi if position else 0
    for oid in list(index):
        order = desk.state.orders[oid]
        if order.waiting or order.status != "open":
            continue
        if held * order.side >= 0:
            desk.close(order, "reduceOnlyCanceled", by_user=True)
        elif order.size > abs(held):
            desk.shrink(order, abs(held))


def sweep(desk: Desk, coin: int, low: int, high: int) -> None:
    """Fill every bid above `low` and every ask below `high`: the price went through them; a touch fills nothing."""
    for side, reached in ((1, low), (-1, high)):
        while True:
            found = desk.books[coin].best(side)
            if found is None or side * found[0] <= side * reached:
                break
            order = desk.state.orders[found[1]]
            if not can_fill(desk, order):
                desk.close(order, "marginCanceled")
                continue
            size, mark = order.size, _mark(desk, crossed=False)
            fill_resting(desk, order, size, mark)
            desk.house_trade(coin, side, order.px, size)
            users = [order.user, HOUSE] if side > 0 else [HOUSE, order.user]
            extra = {"hash": mark["hash"], "tid": mark["tid"], "users": users}
            desk.tape(coin, -side, order.px, size, extra)


def clear_levels(market: Coin) -> None:
    """Forget the synthetic levels: the next look builds those of the new price."""
    market.bids, market.asks = [], []
