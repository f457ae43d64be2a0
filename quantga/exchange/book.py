"""The users' resting orders of one coin in price-time priority.

Order ids rise with time, so an order's place is (price, oid); synthetic levels are kept apart and go first at a
price, since a user's order counts as the last in the queue.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from quantga.exchange.state import Order


class Book:
    """Two sorted sides of (rank, oid); rank = -price for bids and price for asks."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids: list[tuple[int, int]] = []
        self._asks: list[tuple[int, int]] = []

    def side(self, side: int) -> list[tuple[int, int]]:
        """The side's entries from the best on; +1 = bids."""
        return self._bids if side > 0 else self._asks

    def add(self, order: Order) -> None:
        """Put an order behind all that have its price."""
        insort(self.side(order.side), (-order.side * order.px, order.oid))

    def remove(self, order: Order) -> None:
        """Take an order out.

        Raises:
            KeyError: it is not in the book.
        """
        entries, entry = self.side(order.side), (-order.side * order.px, order.oid)
        index = bisect_left(entries, entry)
        if index == len(entries) or entries[index] != entry:
            raise KeyError(order.oid)
        del entries[index]

    def best(self, side: int) -> tuple[int, int] | None:
        """Price and oid of the first order of a side."""
        entries = self.side(side)
        return (-side * entries[0][0], entries[0][1]) if entries else None

    def best_px(self, side: int) -> int:
        """The first price of a side, 0 where there is none."""
        entries = self.side(side)
        return -side * entries[0][0] if entries else 0
