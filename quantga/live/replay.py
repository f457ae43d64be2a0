"""Replay: everything that a journal says was decided is decided again, from what it says was known, and compared bit for bit.

The functions are the trader's own; the journal's entries alone go in. So a bar that was changed, code that reads a program
otherwise, or a figure that depends on anything outside of the journal shows up as a mismatch, with the entry at which it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from quantga.errors import DataError
from quantga.lang.bars import Bars
from quantga.live.bars import Bar
from quantga.live.book import change
from quantga.live.dealer import Dealer
from quantga.live.decide import Decision, Undecided, decide, digest
from quantga.live.guard import Guard
from quantga.live.history import History
from quantga.live.journal import Entry
from quantga.live.orders import Intent, Purpose, cloid_of
from quantga.live.plan import Strategy, Terms
from quantga.live.records import Aimed, Decided, Left, Opened, Record, body_of, record_of
from quantga.live.session import Asked, Crossed, Event, Session, advance, event_of, fold, told
from quantga.live.targets import (
    Lots,
    account_of,
    covariance_of,
    exact,
    fitted,
    limit_price,
    next_step,
    wanted_lots,
)
from quantga.live.trading import decision_record
from quantga.venue.account import OrderRequest
from quantga.venue.market import Asset, FundingRate, Meta

__all__ = ["Mismatch", "Replayed", "replay"]


@dataclass(frozen=True)
class Mismatch:
    """Where the journal and the second decision differ: entry, what, as journaled, as decided again."""

    entry: int
    what: str
    journaled: str
    again: str


@dataclass
class Replayed:
    """What was decided again: how many bars were read, and decisions, targets and orders compared."""

    session: str = ""
    bars: int = 0
    decisions: int = 0
    targets: int = 0
    orders: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


@dataclass
class _Folded:
    """What a guard reads of a dealer."""

    session: Session


def replay(entries: Iterable[Entry], covariance: Mapping[tuple[str, str], float] | None = None) -> Replayed:
    """Decide everything again. `covariance`: the one that the trader was given, where it estimated none.

    Raises DataError where the journal has no terms: it does not say what was traded.
    """
    work = _Work(covariance or {})
    for entry in entries:
        work.take(entry)
    return work.found


class _Work:
    """The journal up to an entry, and what follows from it."""

    def __init__(self, covariance: Mapping[tuple[str, str], float]) -> None:
        self.found = Replayed()
        self._given = covariance
        self._session: Session | None = None
        self._terms: Terms | None = None
        self._strategies: tuple[Strategy, ...] = ()
        self._history = History(1, 0)
        self._recent: dict[str, Bars] = {}
        self._decided: dict[str, dict[str, Decision | Undecided]] = {}
        self._aims: dict[str, Mapping[str, int]] = {}
        self._marks: Mapping[str, float] = {}
        self._left: dict[str, str] = {}
        self._last: dict[tuple[str, str], Decision | Undecided] = {}
        self._gone: Left | None = None
        self._beside: Asked | None = None
        self._fundings = False

    def take(self, entry: Entry) -> None:
        """Take the next entry: compare what was decided in it, then know it."""
        event, record = told(entry), record_of(entry)
        match record or event:
            case Bar() as bar:
                self.found.bars += self._history.add(bar)
            case FundingRate() as rate:
                self._history.rate(rate)
            case Opened():
                self._aims, self._left = {}, {}
                known = [symbol for symbol in self._terms.symbols if self._history.last(symbol)] if self._terms else []
                self._recent = {symbol: self._history.bars(symbol, fundings=False) for symbol in known}
            case Left() as one:
                self._leaving(entry.number, one)
            case Decided() as one:
                self._decision(entry.number, one)
            case Aimed() as one:
                self._aimed(entry.number, one)
            case Crossed() as one:
                self._crossed(entry.number, one)
            case Asked() as one:
                self._asked(entry.number, one)
            case Terms() as one:
                self._begin(one)
        if self._session is None:
            self._session = fold([entry])
            self.found.session = self._session.began.session
        else:
            advance(self._session, [entry])

    @property
    def _known(self) -> Session:
        if self._session is None or self._terms is None:
            raise DataError("the journal does not say what was traded: it begins with no terms, and cannot be replayed")
        return self._session

    def _begin(self, terms: Terms) -> None:
        self._strategies = tuple(one.strategy() for one in terms.strategies)
        if self._terms is None:
            self._history = History(terms.interval, terms.origin)
        self._terms = terms
        self._fundings = reads_fundings(self._strategies)

    def _bars(self, symbol: str, bar: int) -> Bars:
        bars = self._history.bars(symbol, fundings=self._fundings)
        return bars.slice(0, bar - bars.origin + 1)

    def _decision(self, number: int, one: Decided) -> None:
        strategy = next((s for s in self._strategies if s.name == one.strategy), None)
        if strategy is None:
            raise DataError(f"entry {number}: {one.strategy} decided, and the journal's terms do not have it")
        bars = self._recent[one.symbol] = self._bars(one.symbol, one.bar)
        again = decide(strategy.program, bars, strategy.costs, strategy.since, one.price)
        self._decided.setdefault(one.symbol, {})[one.strategy] = again
        self._last[one.symbol, one.strategy] = again
        self.found.decisions += 1
        self._compare(
            number,
            f"decision of {one.strategy} on {one.symbol}",
            one,
            decision_record(one.strategy, again, one.price, digest(bars)),
        )

    def _aimed(self, number: int, one: Aimed) -> None:
        if self._gone is not None:
            aims: Lots = {self._gone.symbol: {self._gone.strategy: 0}}
            self._aim(number, one, Aimed(self._gone.bar, one.marks, aims, aims))
            return
        session, terms = self._known, cast("Terms", self._terms)
        wanted = wanted_lots(session.book, self._strategies, self._decided, one.marks)
        covariance = self._given or covariance_of(self._recent)
        account = account_of(session, terms.symbols, one.marks, covariance)
        fit = fitted(session, wanted, account, one.marks, terms.limits, terms.volatility)
        bar = max(found.bar for decisions in self._decided.values() for found in decisions.values())
        self._aim(number, one, Aimed(bar, one.marks, wanted, fit))

    def _aim(self, number: int, one: Aimed, again: Aimed) -> None:
        self.found.targets += 1
        self._compare(number, "targets", one, again)
        self._aims, self._marks, self._left, self._decided = dict(again.fitted), one.marks, {}, {}
        self._gone = None

    def _leaving(self, number: int, one: Left) -> None:
        """A stop or take of a strategy's own: reached at this mark, or not."""
        decision = self._last.get((one.symbol, one.strategy))
        if isinstance(decision, Decision) and decision.left_at(one.mark) and decision.bar == one.bar:
            self._gone = one
        self._compare(number, f"leaving of {one.strategy} on {one.symbol}", one, self._gone)

    def _crossed(self, number: int, one: Crossed) -> None:
        if one.symbol not in self._aims:
            return
        wanted = change(self._known.book, one.symbol, self._aims[one.symbol])
        self._compare(
            number, f"crossing of {one.symbol}", one, Crossed(one.symbol, wanted, exact(self._marks[one.symbol]))
        )

    def _asked(self, number: int, one: Asked) -> None:
        """Decide an order again: its id, side, size and price."""
        self.found.orders += 1
        purpose, coin = one.intent.purpose, one.intent.request.coin
        again: Asked | None
        if purpose == Purpose.TARGET:
            again = self._again(one)
        elif purpose == Purpose.STOP:
            again = self._stop(one)
        else:
            again = self._flattened(one)
        self._compare(number, f"order {one.intent.cloid} ({purpose} of {coin})", one, again)

    def _again(self, one: Asked) -> Asked | None:
        """Return an order towards the targets: of what the order before it left, else of the change wanted; None: no order."""
        session, coin = self._known, one.intent.request.coin
        before = self._left.get(coin)
        left = session.left[before] if before else change(session.book, coin, self._aims.get(coin, {}))
        lots, reduces = next_step(session, coin, left)
        if not lots:
            return None
        asset, buy = self._asset(coin), lots > 0
        self._left[coin] = one.intent.cloid
        px = limit_price(asset, one.mark, cast("Terms", self._terms).execution, buy=buy)
        request = OrderRequest(coin, buy, px, abs(lots) * session.book.lot[coin], "Ioc", reduces)
        guard = Guard(cast("Dealer", _Folded(session)), self._meta, cast("Terms", self._terms).execution)
        after = (session.book.net(coin) + lots) * session.book.lot[coin]
        self._beside = None if reduces else guard.stop(coin, after, one.mark, one.intent.stamp)
        return Asked(self._named(one, request), left, one.mark)

    def _stop(self, one: Asked) -> Asked:
        """Return a stop: the one that leaves with an order is decided with it; another protects what the venue held then."""
        if self._beside is not None and self._beside.intent.stamp == one.intent.stamp:
            return self._beside
        return Asked(self._named(one, one.intent.request), one.left, one.mark)

    def _flattened(self, one: Asked) -> Asked:
        """Return a closing order: how much is the venue's word of then."""
        request = one.intent.request
        px = limit_price(self._asset(request.coin), one.mark, cast("Terms", self._terms).execution, buy=request.buy)
        again = OrderRequest(request.coin, request.buy, px, request.size, "Ioc", reduce_only=True)
        return Asked(self._named(one, again), one.left, one.mark)

    def _named(self, one: Asked, request: OrderRequest) -> Intent:
        session, purpose = self._known, one.intent.purpose
        bar, attempt = session.attempt(request.coin, purpose, one.intent.bar)
        began = session.began
        cloid = cloid_of(began.account, began.session, request.coin, bar, purpose, attempt)
        named = OrderRequest(
            request.coin,
            request.buy,
            request.px,
            request.size,
            request.tif,
            request.reduce_only,
            request.trigger,
            cloid,
        )
        return Intent(bar, purpose, attempt, named, one.intent.stamp)

    def _asset(self, coin: str) -> Asset:
        exponent = self._known.book.lot[coin].as_tuple().exponent
        return Asset(coin, 0, -int(exponent), 1, ())

    @property
    def _meta(self) -> Meta:
        return Meta(tuple(self._asset(coin) for coin in self._known.book.lot))

    def _compare(self, number: int, what: str, journaled: Event | Record, again: Event | Record | None) -> None:
        was, now = _text(journaled), _text(again)
        if was != now:
            self.found.mismatches.append(Mismatch(number, what, was, now))


def _text(one: Event | Record | None) -> str:
    """Return what the journal's line would hold: equal text is equal bits."""
    if one is None:
        return "nothing"
    body = body_of(one)[1] if isinstance(one, Decided | Aimed | Left) else event_of(cast("Event", one))[1]
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def reads_fundings(strategies: Iterable[Strategy]) -> bool:
    """Tell whether a strategy is charged funding or reads it (as `closes.reads_fundings`)."""
    names = {name.removeprefix("ref_") for one in strategies for name in one.program.columns}
    return bool(names & {"funding", "funding_rate", "premium"}) or any(one.costs.funding for one in strategies)
