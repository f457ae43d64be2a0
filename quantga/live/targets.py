"""From decisions to orders, pure: what each strategy holds of a symbol, what the limits leave of it, and the order's terms.

`replay` calls these again with what the journal holds, and has to find the same lots and prices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import combinations_with_replacement, pairwise

from quantga.lang.bars import Bars
from quantga.live.book import Book
from quantga.live.decide import Decision, Undecided, lots_of
from quantga.live.plan import Execution, Strategy
from quantga.live.risk import Account, Level, Limits, assess, fit, worst
from quantga.live.session import Session
from quantga.venue.hyperliquid.rules import price as valid_price
from quantga.venue.market import Asset

__all__ = ["account_of", "covariance_of", "exact", "fitted", "limit_price", "next_step", "wanted_lots"]

type Lots = dict[str, dict[str, int]]
"""By symbol and strategy."""

_ROWS = 500  # bars of which the covariance is estimated
_RATE_MS = 60_000


def exact(mark: float) -> Decimal:
    """Return a price in the digits in which the venue told it."""
    return Decimal(str(mark))


def wanted_lots(
    book: Book,
    strategies: Sequence[Strategy],
    decided: Mapping[str, Mapping[str, Decision | Undecided]],
    marks: Mapping[str, float],
) -> Lots:
    """Return the lots that decisions (by symbol and strategy) ask for; who has not decided keeps what it has.

    A strategy's equity is shared equally by its symbols. One that is reduce-only keeps or shrinks what it has.
    """
    priced = {symbol: exact(mark) for symbol, mark in marks.items()}
    targets: Lots = {symbol: {} for symbol in decided}
    for one in strategies:
        for symbol in one.symbols:
            decision = decided.get(symbol, {}).get(one.name)
            if not isinstance(decision, Decision):
                continue
            equity = max(book.equity(one.name, priced), Decimal(0)) / len(one.symbols)
            lots = lots_of(decision.weight, equity, priced[symbol], book.lot[symbol])
            held = book.sleeves[one.name].lots.get(symbol, 0)
            targets[symbol][one.name] = _toward_zero(held, lots) if one.reduce_only else lots
    return targets


def fitted(
    session: Session, wanted: Lots, account: Account, marks: Mapping[str, float], limits: Limits, volatility: float
) -> Lots:
    """Return the lots cut to the limits: each symbol's strategies shrink alike; a halted symbol only shrinks.

    Beyond a soft limit nothing grows. What symbols hold that nothing was decided for counts too.
    """
    book = session.book
    worth = {symbol: book.lot[symbol] * exact(marks[symbol]) for symbol in wanted}
    after = {symbol: {**book.held(symbol), **targets} for symbol, targets in wanted.items()}
    net = {symbol: float(sum(targets.values()) * worth[symbol]) for symbol, targets in after.items()}
    others = {symbol: value for symbol, value in account.positions.items() if symbol not in net}
    cut = fit({**others, **net}, account, limits, volatility)
    only_reduce = worst(assess(account, limits)) > Level.FREE
    out: Lots = {}
    for symbol, targets in after.items():
        scale = cut[symbol] / net[symbol] if net[symbol] else 1.0
        scaled = {name: int(lots * scale) if scale < 1 else lots for name, lots in targets.items()}
        if only_reduce or session.halted(symbol):
            held = book.held(symbol)
            scaled = {name: _toward_zero(held[name], lots) for name, lots in scaled.items()}
        out[symbol] = scaled
    return out


def next_step(session: Session, symbol: str, left: Mapping[str, int]) -> tuple[int, bool]:
    """Return signed lots of the next order of what is left, and whether it only reduces; 0 where nothing may leave.

    A flip is a close, then an opening.
    """
    net, held = sum(left.values()), session.book.net(symbol)
    if held * net < 0:
        return max(-abs(held), min(abs(held), net)), True
    return (0 if session.halted(symbol) else net), False


def limit_price(asset: Asset, mark: Decimal, execution: Execution, *, buy: bool) -> Decimal:
    """Return the worst price at which an order that takes may fill."""
    return valid_price(asset, mark * (1 + execution.reach * (1 if buy else -1)), up=not buy)


def account_of(
    session: Session,
    symbols: Sequence[str],
    marks: Mapping[str, float],
    covariance: Mapping[tuple[str, str], float],
) -> Account:
    """Return the account for the limits: positions at the mark, with what open orders may still add."""
    book = session.book
    units = {symbol: Decimal(0) for symbol in symbols}
    orders = [session.orders[cloid] for cloid in session.open]
    for order in orders:
        if not order.intent.request.reduce_only:
            units[order.intent.request.coin] += order.exposure
    positions = {
        symbol: float((book.net(symbol) * book.lot[symbol] + more) * exact(marks[symbol]))
        for symbol, more in units.items()
    }
    recent = sum(order.intent.stamp.nonce > session.nonce - _RATE_MS for order in session.orders.values())
    return Account(
        float(session.equity), float(session.day_start), float(session.peak), positions, covariance,
        _leverages(book, marks), recent,
    )  # fmt: skip


def covariance_of(market: Mapping[str, Bars]) -> dict[tuple[str, str], float]:
    """Return the covariances of annual returns by pair of symbols, of the last 500 bars that both have.

    Sums are exact (fsum), so that the bits depend on the bars alone. A pair with fewer than two common returns is left out:
    who holds both is then refused.
    """
    returns = {symbol: _returns(bars) for symbol, bars in market.items()}
    found = {}
    for a, b in combinations_with_replacement(sorted(market), 2):
        times = sorted(returns[a].keys() & returns[b].keys())
        if len(times) > 1:
            means = [math.fsum(returns[one][t] for t in times) / len(times) for one in (a, b)]
            products = ((returns[a][t] - means[0]) * (returns[b][t] - means[1]) for t in times)
            found[a, b] = math.fsum(products) / (len(times) - 1) * market[a].bars_per_year
    return found


def _returns(bars: Bars) -> dict[int, float]:
    close = bars["close"][-_ROWS - 1 :]
    first = bars.origin + len(bars) - len(close)
    values = [float(after / before - 1) for before, after in pairwise(close)]
    return {first + 1 + i: value for i, value in enumerate(values) if not math.isnan(value)}


def _leverages(book: Book, marks: Mapping[str, float]) -> dict[str, float]:
    """Return each strategy's gross position over its equity; infinite where it holds something on nothing."""
    found = {}
    for name, sleeve in book.sleeves.items():
        gross = sum((abs(lots) * book.lot[s] * exact(marks[s]) for s, lots in sleeve.lots.items() if lots), Decimal(0))
        equity = book.equity(name, {symbol: exact(mark) for symbol, mark in marks.items()})
        found[name] = 0.0 if not gross else float(gross / equity) if equity > 0 else math.inf
    return found


def _toward_zero(held: int, target: int) -> int:
    """Return the target, held to what does not enlarge the position or turn it."""
    if held >= 0:
        return max(0, min(held, target))
    return min(0, max(held, target))
