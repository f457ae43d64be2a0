"""Parity: a session against a backtest of the same hours; signals have to be equal, costs are measured and compared.

The backtest evaluates each program once over all bars that the journal has; the session decided bar by bar. What differs in the
signals is a bug. What differs in prices and funding is what the backtest's costs should have been.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quantga.engine.ledger import trace
from quantga.engine.ledger_market import prepare
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.errors import DataError
from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import evaluate
from quantga.live.bars import Bar
from quantga.live.history import History
from quantga.live.journal import Entry
from quantga.live.orders import Purpose
from quantga.live.plan import Strategy
from quantga.live.records import Decided, record_of
from quantga.live.replay import reads_fundings
from quantga.live.session import Asked, Session, advance, fold, told
from quantga.live.targets import exact
from quantga.venue.account import Fill, FundingPayment
from quantga.venue.market import FundingRate

__all__ = ["Error", "Parity", "parity"]


@dataclass(frozen=True)
class Error:
    """A cost in basis points of what was traded or held: as the backtest takes it, as it was, over how many cases and USDC."""

    name: str
    assumed: float
    measured: float
    cases: int
    usdc: float

    @property
    def error(self) -> float:
        """What the backtest is off by, bp; NaN without a case."""
        return self.measured - self.assumed


@dataclass
class Parity:
    """signals: decisions compared; mismatches: (strategy, symbol, bar, live, backtest); undecided: decisions that were none.

    unseen: bars on which nothing was decided at all, though they are in the journal: the trader was away. returns: by strategy,
    what its part of the account earned and what the backtest did, in percent.
    """

    session: str = ""
    signals: int = 0
    undecided: int = 0
    unseen: int = 0
    mismatches: list[tuple[str, str, int, float, float]] = field(default_factory=list)
    errors: list[Error] = field(default_factory=list)
    returns: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def costs(self) -> dict[str, float]:
        """Return costs for the next search, measured where there were fills, else as they were taken."""
        return {
            one.name: round((one.measured if one.cases else one.assumed) / 1e4, 7)
            for one in self.errors
            if one.name in {"fee", "slippage"}
        }


@dataclass
class _Told:
    """What a journal tells."""

    session: Session
    history: History
    strategies: tuple[Strategy, ...]
    decided: list[Decided]
    orders: dict[str, Asked]
    fills: list[Fill]
    paid: list[FundingPayment]


def parity(entries: Iterable[Entry]) -> Parity:
    """Compare a session with a backtest. DataError where the journal does not say what was traded."""
    known = _read(entries)
    found = Parity(known.session.began.session)
    market = {
        symbol: known.history.bars(symbol, fundings=reads_fundings(known.strategies)) for symbol in _symbols(known)
    }
    signals = {
        (one.name, symbol): evaluate([one.program], market[symbol])[0]
        for one in known.strategies
        for symbol in one.symbols
        if symbol in market
    }
    _compare(found, known, market, signals)
    found.errors = [*_costs(known, market), _funding(known, market)]
    found.returns = _returns(known, market, signals)
    return found


def _symbols(known: _Told) -> list[str]:
    return [symbol for symbol in sorted(known.session.book.lot) if known.history.last(symbol) is not None]


def _read(entries: Iterable[Entry]) -> _Told:
    session: Session | None = None
    known: _Told | None = None
    for entry in entries:
        event, record = told(entry), record_of(entry)
        if session is None:
            session = fold([entry])
        else:
            advance(session, [entry])
        if known is None:
            if session.terms is None:
                continue
            made = tuple(one.strategy() for one in session.terms.strategies)
            known = _Told(session, History(session.terms.interval, session.terms.origin), made, [], {}, [], [])
        match record or event:
            case Bar() as bar:
                known.history.add(bar)
            case FundingRate() as rate:
                known.history.rate(rate)
            case Decided() as one:
                known.decided.append(one)
            case Asked() as one:
                known.orders[one.intent.cloid] = one
            case Fill() as one:
                known.fills.append(one)
            case FundingPayment() as one:
                known.paid.append(one)
    if known is None:
        raise DataError("the journal does not say what was traded: it has no terms, and there is nothing to compare")
    return known


def _compare(
    found: Parity, known: _Told, market: Mapping[str, Bars], signals: Mapping[tuple[str, str], Floats]
) -> None:
    """Compare each decision with the signal of the same bar, bit for bit."""
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    for one in known.decided:
        seen[one.strategy, one.symbol].add(one.bar)
        if one.reason:
            found.undecided += 1
            continue
        found.signals += 1
        again = float(signals[one.strategy, one.symbol][one.bar - market[one.symbol].origin])
        if again != one.wanted and not (math.isnan(again) and math.isnan(one.wanted)):
            found.mismatches.append((one.strategy, one.symbol, one.bar, one.wanted, again))
    for strategy in known.strategies:
        for symbol in strategy.symbols:
            bars = seen[strategy.name, symbol]
            last = known.history.number(symbol)
            found.unseen += sum(bar not in bars for bar in range(strategy.since, last + 1))


def _costs(known: _Told, market: Mapping[str, Bars]) -> list[Error]:
    """Return fee, slippage against the next open (which the backtest trades at), and shortfall against the mark."""
    assumed = known.strategies[0].costs
    fees, slips, marks = _Mean(), _Mean(), _Mean()
    for fill in known.fills:
        order = known.orders.get(fill.cloid or "")
        if order is None or order.intent.purpose != Purpose.TARGET:
            continue
        worth, side = float(fill.px * fill.size), 1.0 if fill.buy else -1.0
        fees.add(float(fill.fee) / worth, worth)
        if order.mark:
            marks.add(side * float(fill.px / order.mark - 1), worth)
        row = order.intent.bar + 1 - market[fill.coin].origin
        opened = float(market[fill.coin]["open"][row]) if row < len(market[fill.coin]) else math.nan
        if not math.isnan(opened):
            slips.add(side * (float(fill.px) / opened - 1), worth)
    return [
        fees.error("fee", assumed.fee),
        slips.error("slippage", assumed.slippage),
        marks.error("beyond the mark", 0.0),
    ]


def _funding(known: _Told, market: Mapping[str, Bars]) -> Error:
    """Return what funding payments were, against rate x position at the last close: what the backtest charges."""
    paid, due = _Mean(), _Mean()
    for one in known.paid:
        bars = market.get(one.coin)
        row = -1 if bars is None else one.time // bars.interval - bars.origin - 1
        close = float(bars["close"][row]) if bars is not None and 0 <= row < len(bars) else math.nan
        worth = abs(float(one.size)) * close
        if worth > 0:
            paid.add(-float(one.usdc) / worth, worth)
            due.add(math.copysign(1.0, float(one.size)) * float(one.rate), worth)
    return Error("funding per payment", due.bp, paid.bp, paid.cases, paid.weight)


@dataclass
class _Mean:
    """A mean, weighted by USDC."""

    total: float = 0.0
    weight: float = 0.0
    cases: int = 0

    def add(self, share: float, worth: float) -> None:
        self.total, self.weight, self.cases = self.total + share * worth, self.weight + worth, self.cases + 1

    @property
    def bp(self) -> float:
        return self.total / self.weight * 1e4 if self.weight else math.nan

    def error(self, name: str, assumed: float) -> Error:
        return Error(name, assumed * 1e4, self.bp, self.cases, self.weight)


def _returns(
    known: _Told, market: Mapping[str, Bars], signals: Mapping[tuple[str, str], Floats]
) -> dict[str, tuple[float, float]]:
    """Return by strategy what it earned live and in the backtest, in percent, at the last closes."""
    book, out = known.session.book, {}
    marks = {symbol: exact(_last_close(bars)) for symbol, bars in market.items()}
    for one in known.strategies:
        began = known.session.began.capital[one.name]
        live = float(book.equity(one.name, marks) / began - 1) * 100
        tested = [_backtest(one, market[s], signals[one.name, s]) for s in one.symbols if s in market]
        out[one.name] = live, sum(tested) / len(tested) if tested else math.nan
    return out


def _last_close(bars: Bars) -> float:
    return float(bars["close"][bars.present][-1])


def _backtest(one: Strategy, bars: Bars, signal: Floats) -> float:
    wanted = signal.copy()
    wanted[: max(0, one.since - bars.origin)] = math.nan
    prepared = prepare(bars, one.costs, [one.program.genes])
    outcome = trace(
        wanted, prepared, encode_terms(one.costs, bars.base), encode_genes([one.program.genes], one.costs)[0]
    )
    return float(outcome.equity[-1] / one.costs.capital - 1) * 100


def rows(errors: Sequence[Error]) -> list[dict[str, Any]]:
    """Return the errors as plain data."""
    return [
        {"cost": e.name, "assumed_bp": e.assumed, "measured_bp": e.measured, "error_bp": e.error, "cases": e.cases, "usdc": e.usdc}
        for e in errors
    ]  # fmt: skip
