"""Resuming after a halt: a person's act, and refused while the venue holds something that the book does not."""

from __future__ import annotations

from decimal import Decimal

from quantga.errors import ConfigError
from quantga.live.dealer import Dealer
from quantga.live.session import Resumed
from quantga.live.targets import exact

__all__ = ["resume"]


async def resume(dealer: Dealer, symbol: str) -> None:
    """Lift the halt of a symbol, or of all ("" ), once the venue's positions and orders are those of the book, or none.

    ConfigError with what has to be closed first; VenueError where the venue does not answer.
    """
    session = dealer.session
    await dealer.take_fills()
    orders = await dealer.venue.open_orders(dealer.account)
    foreign = sorted({one.coin for one in orders if one.cloid not in session.orders})
    if foreign:
        raise ConfigError(f"open orders of {', '.join(foreign)} are not ours: cancel them, or give `quantga flatten`")
    held = {one.coin: one.size for one in (await dealer.look()).positions}
    contexts = await dealer.venue.contexts()
    symbols = sorted({*session.book.lot, *held}) if not symbol else [symbol]
    flat = {}
    for one in symbols:
        units = held.get(one, Decimal(0))
        own = session.book.net(one) * session.book.lot[one] if one in session.book.lot else Decimal(0)
        if units and units != own:
            raise ConfigError(
                f"{one}: the venue holds {units} and the journal explains {own}: close the difference, or give "
                "`quantga flatten`, and resume again"
            )
        if not units and one in session.book.lot:
            flat[one] = exact(contexts[one].mark)
    names = [name for name in session.halts if name in {symbol, ""} or not symbol] or [symbol]
    dealer.tell(*(Resumed(name, flat if i == 0 else {}) for i, name in enumerate(sorted(names))))
