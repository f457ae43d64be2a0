"""The desk: the state with its books, and the few primitive acts that every rule is made of.

Opening, closing and filling an order keep all indexes, sums and events in step; nothing else touches them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from quantga.exchange.assets import Asset
from quantga.exchange.bars import Bars
from quantga.exchange.book import Book
from quantga.exchange.fees import fee_rates
from quantga.exchange.margin import Margins
from quantga.exchange.rows import side_of, update_row
from quantga.exchange.state import FILLS, HISTORY, Account, Order, Position, Resting, State
from quantga.exchange.wire import text_of

HOUSE = "0x" + "00" * 19 + "01"
"""The address shown for synthetic liquidity."""
NO_HASH = "0x" + "0" * 64
"""Of fills of TWAP orders, which belong to no action."""
RATE = 10**7
BUILDER = 10**5
DAY = 86_400_000
SPARE = 256
TRADES = 64


@dataclass(slots=True)
class Events:
    """What a command made happen, by user or coin, in the venue's own records."""

    orders: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    fills: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    cancels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    fundings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    liquidations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    ledger: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    trades: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    slices: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    twaps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    closed: dict[int, list[int]] = field(default_factory=dict)
    moved: bool = False

    def users(self) -> set[str]:
        """Who is touched."""
        kinds = (self.orders, self.fills, self.cancels, self.fundings, self.liquidations, self.ledger)
        return {user for kind in (*kinds, self.slices, self.twaps) for user in kind}


class Desk:
    """State, books, margins and the events of the command in work."""

    def __init__(self, state: State, assets: list[Asset], bars: list[Bars]) -> None:
        self.state = state
        self.assets = assets
        self.bars = bars
        self.margins = Margins(state, assets)
        self.books = [Book() for _ in assets]
        self.events = Events()
        self.cut = 0
        for order in state.orders.values():
            if order.status == "open" and not order.is_trigger and not order.waiting:
                self.books[order.coin].add(order)

    def account(self, order: Order) -> Account:
        """The order's account."""
        return self.state.accounts[order.user]

    def held(self, order: Order) -> int:
        """The signed position of the order's account in its coin."""
        position = self.state.accounts[order.user].positions.get(order.coin)
        return position.szi if position else 0

    def serial(self) -> tuple[str, int]:
        """A transaction hash and a 50-bit trade id, both functions of the event's number."""
        self.state.serial += 1
        digest = hashlib.blake2b(f"{self.state.seed}:{self.state.serial}".encode(), digest_size=32).digest()
        return "0x" + digest.hex(), int.from_bytes(digest[:8], "big") >> 14

    def report(self, order: Order, status: str) -> None:
        """Tell the owner about an order's new status."""
        row = update_row(order, self.assets[order.coin], status, self.state.market)
        self.events.orders.setdefault(order.user, []).append(row)

    def next_oid(self) -> int:
        """A number that no order had."""
        self.state.next_oid += 1
        return self.state.next_oid

    def register(self, order: Order) -> None:
        """Give an order its id and a place in the account's history."""
        order.oid = self.next_oid()
        order.time = order.status_time = self.state.market
        account = self.account(order)
        self.state.orders[order.oid] = order
        account.history.append(order.oid)
        if order.cloid is not None:
            account.cloids[order.cloid] = order.oid
        if len(account.history) > HISTORY + SPARE:
            self._forget(account)

    def _forget(self, account: Account) -> None:
        """Drop all but the last orders, by count; open ones stay."""
        kept = []
        for oid in account.history[:-HISTORY]:
            order = self.state.orders[oid]
            if order.status == "open":
                kept.append(oid)
                continue
            del self.state.orders[oid]
            if order.cloid is not None and account.cloids.get(order.cloid) == oid:
                del account.cloids[order.cloid]
        account.history = kept + account.history[-HISTORY:]

    def reject(self, order: Order, status: str) -> None:
        """Record an order that never lived."""
        self.register(order)
        order.status = status
        self.report(order, status)

    def rest(self, order: Order) -> None:
        """Let a registered order rest in the book, or among the triggers, or wait for its parent."""
        account = self.account(order)
        account.orders[order.oid] = None
        if order.reduce_only:
            account.reduce_only.setdefault(order.coin, {})[order.oid] = None
        if order.waiting:
            return
        if order.is_trigger:
            self.state.triggers.setdefault(order.coin, {})[order.oid] = None
        else:
            self.books[order.coin].add(order)
            self._bind(order, order.size)

    def _bind(self, order: Order, size: int) -> None:
        """Add `size` (negative: take away) of a resting order to what it could open."""
        if order.reduce_only:
            return
        account = self.account(order)
        resting = account.resting.setdefault(order.coin, Resting())
        if order.side > 0:
            resting.buys += size * order.px
        else:
            resting.sells += size * order.px
        if not resting.buys and not resting.sells:
            del account.resting[order.coin]

    def shrink(self, order: Order, size: int) -> None:
        """Make a resting order smaller."""
        if not order.is_trigger and not order.waiting:
            self._bind(order, size - order.size)
        order.size = size

    def unrest(self, order: Order) -> None:
        """Take an order out of wherever it rests; it stays open."""
        account = self.account(order)
        account.orders.pop(order.oid, None)
        index = account.reduce_only.get(order.coin)
        if index is not None:
            index.pop(order.oid, None)
        if order.waiting:
            return
        if order.is_trigger:
            self.state.triggers.get(order.coin, {}).pop(order.oid, None)
        else:
            self.books[order.coin].remove(order)
            self._bind(order, -order.size)

    def end(self, order: Order, status: str) -> None:
        """An order's last status."""
        order.status, order.status_time = status, self.state.market
        self.report(order, status)

    def close(self, order: Order, status: str, *, by_user: bool = False) -> None:
        """End a resting order, and the children that waited for it."""
        self.unrest(order)
        self.end(order, status)
        if not by_user and status != "filled":
            row = {"coin": self.assets[order.coin].name, "oid": order.oid}
            self.events.cancels.setdefault(order.user, []).append(row)
        for oid in order.children:
            child = self.state.orders.get(oid)
            if child is not None and child.waiting and child.status == "open" and status != "filled":
                self.close(child, status, by_user=by_user)

    def trade(self, order: Order, px: int, size: int, mark: dict[str, Any]) -> None:
        """One side of a trade: money, position, fee, fill, volume.

        Args:
            order: whose side it is; its filled size is counted, a resting order's place is left to the caller.
            px: price.
            size: size.
            mark: `crossed`, `hash`, `tid` and, where one was liquidated, `liquidation`.
        """
        account, asset = self.account(order), self.assets[order.coin]
        notional = px * size
        cross_rate, add_rate = fee_rates(account, self.state.market // DAY)
        extra = notional * order.builder_fee // BUILDER
        fee = notional * (cross_rate if mark["crossed"] else add_rate) // RATE + extra
        start = self.held(order)
        profit = self._settle(account, order, px, size)
        account.raw -= fee
        self.state.house.fees += fee
        self._count(account, notional, crossed=mark["crossed"])
        order.filled += size
        order.cost += notional
        fill: dict[str, Any] = {
            "coin": asset.name,
            "px": text_of(px, asset.px_decimals),
            "sz": text_of(size, asset.sz_decimals),
            "side": side_of(order.side),
            "time": self.state.market,
            "startPosition": text_of(start, asset.sz_decimals),
            "dir": direction(start, order.side * size),
            "closedPnl": text_of(profit, 6),
            "hash": NO_HASH if order.twap else mark["hash"],
            "oid": order.oid,
            "crossed": mark["crossed"],
            "fee": text_of(fee, 6),
            "tid": mark["tid"],
            "feeToken": "USDC",
            "twapId": order.twap or None,
        }
        if order.cloid is not None:
            fill["cloid"] = order.cloid
        if extra:
            fill["builderFee"] = text_of(extra, 6)
        if "liquidation" in mark:
            fill["liquidation"] = mark["liquidation"]
        account.fills.append(fill)
        if len(account.fills) > FILLS + SPARE:
            del account.fills[:-FILLS]
        (self.events.slices if order.twap else self.events.fills).setdefault(order.user, []).append(fill)

    def _count(self, account: Account, notional: int, *, crossed: bool) -> None:
        account.volume += notional
        day = account.daily.setdefault(self.state.market // DAY, [0, 0])
        day[0 if crossed else 1] += notional

    def _settle(self, account: Account, order: Order, px: int, size: int) -> int:
        """Move cash and position; the realised profit, before fees."""
        position = account.positions.get(order.coin)
        if position is None:
            leverage, cross = self.margins.leverage(account, order.coin)
            position = account.positions[order.coin] = Position(0, 0, leverage, cross)
        closing = min(size, abs(position.szi)) if position.szi * order.side < 0 else 0
        profit = 0
        if closing:
            profit = self._reduce(account, position, px, closing)
        opening = size - closing
        if opening:
            position.entry += px * opening
            position.szi += order.side * opening
            if closing:
                position.funding_open = 0
            if position.cross:
                account.raw -= order.side * px * opening
            else:
                margin = px * opening // position.leverage
                account.raw -= margin
                position.raw += margin - order.side * px * opening
        position.funding_change = 0
        if not position.szi:
            del account.positions[order.coin]
        return profit

    def _reduce(self, account: Account, position: Position, px: int, closing: int) -> int:
        """Close part of a position; an isolated one releases its share of equity."""
        side = 1 if position.szi > 0 else -1
        basis = position.entry * closing // abs(position.szi)
        equity = position.raw + position.szi * px
        whole = closing == abs(position.szi)
        share = max(0, equity) * closing // abs(position.szi)
        position.szi -= side * closing
        position.entry -= basis
        cash = side * px * closing
        if position.cross:
            account.raw += cash
        else:
            position.raw += cash
            released = position.raw if whole else share
            position.raw -= released
            if released < 0:
                self.state.house.raw += released
            else:
                account.raw += released
        return side * (px * closing - basis)

    def house_trade(self, coin: int, side: int, px: int, size: int) -> None:
        """The synthetic side of a trade; `side` is the user's."""
        house = self.state.house
        house.raw += side * px * size
        house.szi[coin] = house.szi.get(coin, 0) - side * size

    def tape(self, coin: int, side: int, px: int, size: int, extra: dict[str, Any]) -> None:
        """Put a trade on the tape; `side` is the taker's, `extra` has hash, tid and users [buyer, seller]."""
        asset, market = self.assets[coin], self.state.coins[coin]
        trade = {
            "coin": asset.name,
            "side": side_of(side),
            "px": text_of(px, asset.px_decimals),
            "sz": text_of(size, asset.sz_decimals),
            "time": self.state.market,
            **extra,
        }
        market.trades.append(trade)
        if len(market.trades) > 2 * TRADES:
            del market.trades[:-TRADES]
        self.events.trades.setdefault(asset.name, []).append(trade)


def direction(start: int, change: int) -> str:
    """What a fill did: `Open Long`, `Close Short`, `Long > Short` and so on."""
    end = start + change
    if start * end < 0:
        return "Long > Short" if start > 0 else "Short > Long"
    if abs(end) > abs(start):
        return "Open Long" if end > 0 else "Open Short"
    return "Close Long" if start > 0 else "Close Short"
