"""Liquidation: market orders first, a fifth of a large position at a time, then the backstop."""

from __future__ import annotations

from typing import Any

from quantga.exchange.assets import MICRO
from quantga.exchange.desk import HOUSE, Desk
from quantga.exchange.matching import take
from quantga.exchange.state import Account, Order, Position
from quantga.exchange.twaps import end_twaps
from quantga.exchange.wire import text_of

LARGE = 100_000 * MICRO
COOLDOWN = 30_000
FARTHEST = 10**15


def check_liquidations(desk: Desk) -> None:
    """Liquidate whoever's value is below the maintenance margin at the present marks."""
    for account in desk.state.accounts.values():
        if not account.positions:
            continue
        for coin, position in list(account.positions.items()):
            if not position.cross and account.positions.get(coin) is position:
                value = desk.margins.isolated_value(coin, position)
                if value < desk.margins.maintenance(coin, position):
                    _liquidate(desk, account, [coin], value, desk.margins.maintenance(coin, position))
        coins = [coin for coin, position in account.positions.items() if position.cross]
        if coins:
            value, needed = desk.margins.cross_value(account), desk.margins.cross_maintenance(account)
            if value < needed:
                _liquidate(desk, account, coins, value, needed)


def liquidate_now(desk: Desk, account: Account) -> None:
    """Liquidate an account's positions whatever they are worth (a fault, by command)."""
    for coin in list(account.positions):
        value = desk.margins.value(account)
        _liquidate(desk, account, [coin], value, max(1, desk.margins.cross_maintenance(account)), forced=True)


def _liquidate(
    desk: Desk, account: Account, coins: list[int], value: int, needed: int, *, forced: bool = False
) -> None:
    total = sum(desk.margins.notional(coin, account.positions[coin]) for coin in coins)
    for oid in list(account.orders):
        order = desk.state.orders[oid]
        if order.status == "open" and (order.coin in coins or account.positions[coins[0]].cross):
            desk.close(order, "liquidatedCanceled")
    end_twaps(desk, account, coins)
    backstop = 3 * value < 2 * needed and not forced
    coins = sorted(coins, key=lambda coin: -desk.margins.maintenance(coin, account.positions[coin]))
    for coin in coins:
        position = account.positions.get(coin)
        if position is None:
            continue
        if backstop:
            _backstop(desk, account, coin, position)
        else:
            _market(desk, account, coin, position, forced=forced)
            if not forced and desk.margins.cross_value(account) >= desk.margins.cross_maintenance(account):
                break
    if not account.positions and account.raw < 0:
        desk.state.house.raw += account.raw
        account.raw = 0
    event = {
        "lid": desk.state.serial,
        "liquidator": HOUSE,
        "liquidated_user": account.address,
        "liquidated_ntl_pos": text_of(total, 6),
        "liquidated_account_value": text_of(value, 6),
    }
    desk.events.liquidations.setdefault(account.address, []).append(event)


def _order(desk: Desk, account: Account, coin: int, size: int) -> Order:
    position, market = account.positions[coin], desk.state.coins[coin]
    side = -1 if position.szi > 0 else 1
    order = Order(0, account.address, coin, side, market.mark, size, size, "LiquidationMarket", True, None, 0)
    desk.register(order)
    return order


def _note(desk: Desk, account: Account, coin: int, method: str) -> dict[str, Any]:
    mark = text_of(desk.state.coins[coin].mark, desk.assets[coin].px_decimals)
    return {"liquidatedUser": account.address, "markPx": mark, "method": method}


def _market(desk: Desk, account: Account, coin: int, position: Position, *, forced: bool) -> None:
    size = abs(position.szi)
    cooling = position.liquidated_at and desk.state.market - position.liquidated_at < COOLDOWN
    if desk.margins.notional(coin, position) > LARGE and not cooling and not forced:
        size = max(1, size // 5)
    position.liquidated_at = max(1, desk.state.market)
    order = _order(desk, account, coin, size)
    take(desk, order, FARTHEST if order.side > 0 else 0, _note(desk, account, coin, "market"))
    desk.end(order, "filled" if not order.size else "canceled")


def _backstop(desk: Desk, account: Account, coin: int, position: Position) -> None:
    """The house takes position and margin at mark; a cross account's balance goes with its last position."""
    mark, size = desk.state.coins[coin].mark, abs(position.szi)
    kind = f"Liquidated {'Cross' if position.cross else 'Isolated'} {'Long' if position.szi > 0 else 'Short'}"
    cross, left = position.cross, 0 if position.cross else desk.margins.isolated_value(coin, position)
    order = _order(desk, account, coin, size)
    digest, tid = desk.serial()
    note = {"crossed": False, "hash": digest, "tid": tid, "liquidation": _note(desk, account, coin, "backstop")}
    fees = desk.state.house.fees
    desk.trade(order, mark, size, note)
    refund = desk.state.house.fees - fees
    desk.state.house.fees -= refund
    account.raw += refund
    fill = account.fills[-1]
    fill |= {"dir": kind, "fee": "0.0"}
    desk.house_trade(coin, order.side, mark, size)
    order.size = 0
    desk.end(order, "filled")
    lost = max(0, left) if not cross else 0
    if cross and not any(p.cross for p in account.positions.values()):
        lost = account.raw
    account.raw -= lost
    desk.state.house.raw += lost
