"""The guard: behind every position one reduce-only stop of its size waits at the venue; where none can, it is closed.

What is protected is what the venue says is held, not what is believed. The new stop comes before the old one goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from quantga.live.dealer import Dealer
from quantga.live.orders import Intent, Order, Phase, Purpose, cloid_of
from quantga.live.plan import Execution
from quantga.live.session import Asked, Halt
from quantga.live.targets import exact, limit_price
from quantga.venue.account import OrderRequest, Position, Stamp, Trigger
from quantga.venue.hyperliquid.rules import price as valid_price
from quantga.venue.market import Meta
from quantga.venue.protocol import Priority

__all__ = ["Guard"]

_BEYOND = Decimal("0.1")  # how far beyond its trigger a stop may fill
_BEFORE = Decimal("0.2")  # of the way to the liquidation price: there the stop wakes at the latest
_ASIDE = 1.0  # seconds before a position that did not shrink is closed on


@dataclass
class Guard:
    """Protects and closes the positions of one account."""

    dealer: Dealer
    meta: Meta
    execution: Execution = field(default_factory=Execution)

    async def protect(self, symbols: Iterable[str]) -> None:
        """See that one stop of each position's size waits; a stop without an answer is followed by another at once."""
        held = await self._held()
        for symbol in symbols:
            await self._guard(symbol, held.get(symbol))

    def stop(self, symbol: str, units: Decimal, mark: Decimal, stamp: Stamp, before: Decimal | None = None) -> Asked:
        """Return the stop of a position of signed units; `before`: its liquidation price, where it has one."""
        asset, buy = self.meta.asset(symbol), units < 0
        side = 1 if buy else -1
        wake = mark * (1 + side * self.execution.stop)
        if before is not None and side * before > side * mark:
            latest = before - (before - mark) * _BEFORE
            wake = min(wake, latest) if buy else max(wake, latest)
        wake = valid_price(asset, wake, up=not buy)
        px = valid_price(asset, wake * (1 + side * _BEYOND), up=buy)
        bar, attempt = self.dealer.session.attempt(symbol, Purpose.STOP, self.dealer.session.bar)
        trigger = Trigger(wake, take=False)
        request = OrderRequest(
            symbol, buy, px, abs(units), "Gtc", True, trigger, self.name(symbol, Purpose.STOP, bar, attempt)
        )
        return Asked(Intent(bar, Purpose.STOP, attempt, request, stamp))

    def name(self, symbol: str, purpose: Purpose, bar: int, attempt: int) -> str:
        """Return the id of an order of this session."""
        began = self.dealer.session.began
        return cloid_of(began.account, began.session, symbol, bar, purpose, attempt)

    def halt(self, symbol: str, reason: str) -> None:
        """Latch a halt of a symbol, or ("") of the account."""
        if symbol not in self.dealer.session.halts:
            self.dealer.tell(Halt(symbol, reason))

    async def close(self, symbol: str) -> None:
        """Close what the venue holds of a symbol with reduce-only orders until it says that nothing is left."""
        while position := (await self._held()).get(symbol):
            order = await self._reduce(symbol, -position.size)
            if order.phase in {Phase.INTENDED, Phase.UNKNOWN}:
                await self.dealer.await_outcome(order.intent.cloid)
            await self.dealer.take_fills()
            left = (await self._held()).get(symbol)
            if left is not None and left.size == position.size:
                await self.dealer.sleep(_ASIDE)

    async def _reduce(self, symbol: str, units: Decimal) -> Order:
        contexts = await self.dealer.venue.contexts(priority=Priority.RISK)
        mark = exact(contexts[symbol].mark)
        px = limit_price(self.meta.asset(symbol), mark, self.execution, buy=units > 0)
        bar, attempt = self.dealer.session.attempt(symbol, Purpose.FLATTEN, self.dealer.session.bar)
        name = self.name(symbol, Purpose.FLATTEN, bar, attempt)
        request = OrderRequest(symbol, units > 0, px, abs(units), "Ioc", True, cloid=name)
        intent = Intent(bar, Purpose.FLATTEN, attempt, request, self.dealer.stamp())
        return (await self.dealer.place([Asked(intent, mark=mark)], Priority.RISK))[0]

    async def _held(self) -> dict[str, Position]:
        state = await self.dealer.venue.state(self.dealer.account, priority=Priority.RISK)
        return {position.coin: position for position in state.positions}

    async def _guard(self, symbol: str, position: Position | None) -> None:
        waiting = [order for order in self._stops(symbol) if order.phase == Phase.RESTING]
        fitting = [one for one in waiting if position is not None and _fits(one, position)]
        refused = ""
        for _ in range(self.execution.attempts if position is not None and not fitting else 0):
            assert position is not None
            placed = await self._place_stop(symbol, position)
            if placed.phase == Phase.REJECTED:
                position = (await self._held()).get(symbol)
                if position is None:
                    break
                refused = placed.reason
            fitting = [placed] if placed.phase in {Phase.RESTING, Phase.FILLED} else []
            if fitting:
                break
        if position is not None and not fitting:
            if refused:
                self.halt(symbol, f"its stop is refused ({refused}); the position is closed")
            await self.close(symbol)
            return
        keep = {order.intent.cloid for order in fitting[:1]}
        await self.dealer.cancel([order.intent.cloid for order in waiting if order.intent.cloid not in keep])

    async def _place_stop(self, symbol: str, position: Position) -> Order:
        contexts = await self.dealer.venue.contexts(priority=Priority.RISK)
        mark = exact(contexts[symbol].mark)
        asked = self.stop(symbol, position.size, mark, self.dealer.stamp(), position.liquidation)
        return (await self.dealer.place([asked], Priority.RISK))[0]

    def _stops(self, symbol: str) -> list[Order]:
        orders = (self.dealer.session.orders[cloid] for cloid in self.dealer.session.open)
        return [
            order for order in orders if order.intent.purpose == Purpose.STOP and order.intent.request.coin == symbol
        ]


def _fits(order: Order, position: Position) -> bool:
    """Tell whether a stop has the position's side and size and wakes before it is liquidated."""
    request = order.intent.request
    if request.buy != (position.size < 0) or order.remainder != abs(position.size):
        return False
    if position.liquidation is None or request.trigger is None:
        return True
    side = 1 if request.buy else -1
    return side * request.trigger.px < side * position.liquidation
