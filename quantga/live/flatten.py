"""Getting out without a trader, its journal or Ray: reduce-only orders until the venue itself says that nothing is held.

Each order may only reduce, so one whose answer was lost is simply sent again: two that both arrive cannot turn a position.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal

from quantga.errors import Denied, VenueError
from quantga.live.plan import Execution
from quantga.live.targets import exact, limit_price
from quantga.venue.account import AccountState, Cancel, Order, OrderRequest, Place, Position, Stamp
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.market import Meta
from quantga.venue.protocol import Priority, Venue

__all__ = ["Exit"]

_LIFETIME_MS = 5_000
_PAUSE = 0.5
_MOST = 200  # cancels in one action


@dataclass
class Exit:
    """The way out of one account's positions. `nonces`: those of the key that signs."""

    venue: Venue
    account: str
    meta: Meta
    nonces: Nonces = field(default_factory=Nonces)
    execution: Execution = field(default_factory=Execution)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def flat(self, told: Callable[[AccountState], None] = lambda _: None) -> AccountState:
        """Cancel what may add, close everything, cancel the rest; return the venue's word that nothing is left.

        Goes on until then, through every failure of the venue. told: hears each state on the way.
        """
        while True:
            try:
                state = await self._step()
            except VenueError:
                await self.sleep(_PAUSE)
                continue
            if state is not None:
                return state
            told(await self._state())
            await self.sleep(_PAUSE)

    async def shielded(self) -> list[str]:
        """Close each position that no reduce-only stop covers; return the coins that were closed. Raises VenueError."""
        stops = await self.venue.triggers(self.account, priority=Priority.RISK)
        bare = [one for one in (await self._state()).positions if not _covered(one, stops)]
        for position in bare:
            await self._reduce(position)
        return [one.coin for one in bare]

    async def _step(self) -> AccountState | None:
        """Send once what is needed; the state where nothing was."""
        orders = await self.venue.open_orders(self.account, priority=Priority.RISK)
        await self._cancel([one for one in orders if not one.reduce_only])
        state = await self._state()
        for position in state.positions:
            await self._reduce(position)
        if state.positions:
            return None
        await self._cancel([one for one in orders if one.reduce_only])
        if await self.venue.open_orders(self.account, priority=Priority.RISK):
            return None
        final = await self._state()
        return None if final.positions else final

    async def _state(self) -> AccountState:
        return await self.venue.state(self.account, priority=Priority.RISK)

    async def _cancel(self, orders: list[Order]) -> None:
        for first in range(0, len(orders), _MOST):
            named = tuple((one.coin, one.oid) for one in orders[first : first + _MOST])
            await self.venue.submit(Cancel(named), await self._stamp(), priority=Priority.RISK)

    async def _reduce(self, position: Position) -> None:
        contexts = await self.venue.contexts(priority=Priority.RISK)
        buy = position.size < 0
        mark = exact(contexts[position.coin].mark)
        px = limit_price(self.meta.asset(position.coin), mark, self.execution, buy=buy)
        name = "0x" + secrets.token_hex(16)
        request = OrderRequest(position.coin, buy, px, abs(position.size), "Ioc", True, cloid=name)
        try:
            await self.venue.submit(Place((request,)), await self._stamp(), priority=Priority.RISK)
        except Denied as error:
            raise VenueError(f"{position.coin}: {error}") from error

    async def _stamp(self) -> Stamp:
        clock = await self.venue.clock(priority=Priority.RISK)
        nonce = self.nonces.next()
        return Stamp(nonce, max(clock.admission, nonce) + _LIFETIME_MS)


def _covered(position: Position, stops: tuple[Order, ...]) -> bool:
    fitting = (
        one.size
        for one in stops
        if one.coin == position.coin and one.reduce_only and one.trigger is not None and one.buy == (position.size < 0)
    )
    return sum(fitting, Decimal(0)) >= abs(position.size)
