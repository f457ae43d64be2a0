"""The book: who holds what of a net position, in whole lots, so that nothing is lost in rounding.

The venue knows one position per symbol; several strategies share it. Each has a sleeve: its lots per symbol and its own cash.
The sleeves' lots add up to the net position and their cash to the account's, exactly, whatever happens: fills,
fees and funding are handed out in integers and decimals, the remainder to the largest share (ties by name).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from quantga.errors import DataError

__all__ = ["Book", "Sleeve", "change", "closed", "crossed", "filled", "paid", "shares"]

_NONE = Decimal(0)


@dataclass(frozen=True)
class Sleeve:
    """One strategy's part of the account. lots: signed, by symbol; cash: USDC besides; fees, funding: paid so far."""

    cash: Decimal
    lots: Mapping[str, int] = field(default_factory=dict)
    fees: Decimal = _NONE
    funding: Decimal = _NONE


@dataclass(frozen=True)
class Book:
    """The sleeves by strategy, and the size of a lot by symbol, in units."""

    sleeves: Mapping[str, Sleeve]
    lot: Mapping[str, Decimal]

    def held(self, symbol: str) -> dict[str, int]:
        """Return every strategy's lots of a symbol, in order of their names."""
        return {name: self.sleeves[name].lots.get(symbol, 0) for name in sorted(self.sleeves)}

    def net(self, symbol: str) -> int:
        """Return the net position, lots."""
        return sum(self.held(symbol).values())

    def equity(self, strategy: str, marks: Mapping[str, Decimal]) -> Decimal:
        """Return a sleeve's worth at these mark prices, USDC. DataError where a held symbol has none."""
        sleeve = self.sleeves[strategy]
        worth = sleeve.cash
        for symbol, lots in sleeve.lots.items():
            if lots and symbol not in marks:
                raise DataError(f"{symbol}: no mark price; {strategy} cannot be valued")
            worth += lots * self.lot[symbol] * marks.get(symbol, _NONE)
        return worth


def shares(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Return `total` in whole parts in proportion to the weights (>= 0); what is left over goes to the largest fractions.

    No part exceeds its weight while total <= the sum of the weights. DataError where there is nothing to give to.
    """
    of = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    if of <= 0:
        raise DataError(f"{total} lots belong to no strategy; halt and reconcile")
    parts = {name: total * weight // of for name, weight in weights.items()}
    left = total - sum(parts.values())
    by_fraction = sorted(weights, key=lambda name: (-(total * weights[name] % of), name))
    for name in by_fraction[:left]:
        parts[name] += 1
    return parts


def change(book: Book, symbol: str, targets: Mapping[str, int]) -> dict[str, int]:
    """Return the lots that each strategy wants to add (signed). A strategy without a target keeps what it has."""
    return {name: targets.get(name, held) - held for name, held in book.held(symbol).items()}


def crossed(book: Book, symbol: str, wanted: Mapping[str, int], mark: Decimal) -> tuple[Book, dict[str, int]]:
    """Let strategies trade with each other at the mark, without a fee; return the book and what is left to be traded.

    What is left all has one sign; its sum is the sum of what was wanted: that is the order.
    """
    net = sum(wanted.values())
    side = 1 if net >= 0 else -1
    with_net = {name: side * lots for name, lots in wanted.items() if side * lots > 0}
    against = {name: lots for name, lots in wanted.items() if side * lots < 0}
    served = shares(sum(-side * lots for lots in against.values()), with_net) if against else {}
    moves = {name: side * lots for name, lots in served.items()} | against
    left = {name: wanted[name] - moves.get(name, 0) for name in wanted}
    return _moved(book, symbol, moves, mark, _NONE), left


def filled(
    book: Book, symbol: str, left: Mapping[str, int], lots: int, price: Decimal, fee: Decimal
) -> tuple[Book, dict[str, int]]:
    """Hand out a fill of an order (signed lots) to those who still want something; return the book and what is left."""
    side = 1 if lots > 0 else -1
    weights = {name: side * wanted for name, wanted in left.items() if side * wanted > 0}
    if abs(lots) > sum(weights.values()):
        raise DataError(f"{symbol}: {lots} lots were filled, more than was wanted; halt and reconcile")
    parts = {name: side * part for name, part in shares(abs(lots), weights).items()}
    return _moved(book, symbol, parts, price, fee), {name: left[name] - parts.get(name, 0) for name in left}


def closed(book: Book, symbol: str, lots: int, price: Decimal, fee: Decimal) -> Book:
    """Hand out a fill that no strategy asked for (the venue's stop, a liquidation): every sleeve shrinks alike.

    lots: signed; it must not exceed the net position or have its sign. Once the net position is gone, so is every
    sleeve's: those that were opposed to it close against the others, at the same price.
    """
    held = book.held(symbol)
    net = sum(held.values())
    if lots * net >= 0 or abs(lots) > abs(net):
        raise DataError(f"{symbol}: {lots} lots were closed of {net}; halt and reconcile")
    if lots == -net:
        return _moved(book, symbol, {name: -own for name, own in held.items()}, price, fee)
    side = 1 if net > 0 else -1
    weights = {name: side * own for name, own in held.items() if side * own > 0}
    parts = {name: -side * part for name, part in shares(abs(lots), weights).items()}
    return _moved(book, symbol, parts, price, fee)


def paid(book: Book, symbol: str, usdc: Decimal, owners: Mapping[str, int] | None = None) -> Book:
    """Hand out a funding payment (USDC paid; received is negative), by signed lots: who is opposed to the net receives.

    owners: the lots that it was paid for, where they are no longer those held.
    """
    held = dict.fromkeys(book.sleeves, 0) | dict(owners or book.held(symbol))
    if sum(held.values()) == 0:
        raise DataError(f"{symbol}: funding was paid on a position that nobody holds; halt and reconcile")
    parts = _portions(usdc, held)
    return replace(
        book,
        sleeves={
            name: replace(sleeve, cash=sleeve.cash - parts[name], funding=sleeve.funding + parts[name])
            for name, sleeve in book.sleeves.items()
        },
    )


def _moved(book: Book, symbol: str, moves: Mapping[str, int], price: Decimal, fee: Decimal) -> Book:
    """Return the book after these lots changed hands at the price; the fee is shared by size."""
    fees = _portions(fee, {name: abs(lots) for name, lots in moves.items()}) if fee else {}
    sleeves = dict(book.sleeves)
    for name, lots in moves.items():
        own, cost = sleeves[name], fees.get(name, _NONE)
        sleeves[name] = replace(
            own,
            cash=own.cash - lots * book.lot[symbol] * price - cost,
            lots={**own.lots, symbol: own.lots.get(symbol, 0) + lots},
            fees=own.fees + cost,
        )
    return replace(book, sleeves=sleeves)


def _portions(amount: Decimal, weights: Mapping[str, int]) -> dict[str, Decimal]:
    """Return the amount in proportion to the weights, exactly: the largest weight gets what rounding leaves."""
    of = sum(weights.values())
    digits = amount.as_tuple().exponent
    unit = Decimal(1).scaleb(min(digits, 0) if isinstance(digits, int) else 0)
    parts = {name: (amount * weight / of).quantize(unit) for name, weight in weights.items()}
    largest = min(weights, key=lambda name: (-abs(weights[name]), name))
    parts[largest] += amount - sum(parts.values(), _NONE)
    return parts
