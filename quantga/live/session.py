"""A session's state: what the journal's entries add up to, and the form in which they are written.

Starting is recovering: the state is never stored, it is the fold of the journal. So a process that is killed at any
point and one that is not know the same, and `replay` is this fold again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import TypeAdapter

from quantga.errors import DataError
from quantga.live.book import Book, Sleeve, closed, crossed, filled, paid
from quantga.live.journal import Entry
from quantga.live.orders import Fact, Intent, Order, Purpose, apply
from quantga.venue.account import Fill, FundingPayment

__all__ = [
    "Asked",
    "Began",
    "Crossed",
    "Equity",
    "Event",
    "Halt",
    "Resumed",
    "Session",
    "Used",
    "event_of",
    "fold",
    "told",
]

_NONE = Decimal(0)
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Began:
    """A session began: of which account, with which strategies and their share of the capital (USDC), on which lots."""

    account: str
    session: str
    capital: Mapping[str, Decimal]
    lot: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    equity: Decimal


@dataclass(frozen=True)
class Crossed:
    """Strategies traded with each other: what each wanted of a symbol (signed lots), at which mark."""

    symbol: str
    wanted: Mapping[str, int]
    mark: Decimal


@dataclass(frozen=True)
class Asked:
    """An order was decided. left: for whom its fills are (signed lots by strategy); empty for a stop or a flattening."""

    intent: Intent
    left: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Used:
    """A nonce was used for something that is no order."""

    nonce: int


@dataclass(frozen=True)
class Equity:
    """The account's equity, and the deposits less withdrawals since the last one: those are neither profit nor loss."""

    equity: Decimal
    deposits: Decimal = _NONE


@dataclass(frozen=True)
class Halt:
    """Trading stopped, of a symbol or ("") of the account; it stays so until a person resumes it."""

    symbol: str
    reason: str


@dataclass(frozen=True)
class Resumed:
    """A person let a symbol, or ("") the account, trade again."""

    symbol: str


type Event = Began | Crossed | Asked | Used | Fact | Fill | FundingPayment | Equity | Halt | Resumed

_KINDS: dict[str, type] = {
    "began": Began, "crossed": Crossed, "asked": Asked, "used": Used, "fact": Fact, "fill": Fill, "funding": FundingPayment,
    "equity": Equity, "halt": Halt, "resumed": Resumed,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FORMS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class Session:
    """What is known. day_start, peak: equity, with deposits taken out; halts: reason by symbol, "" is the account."""

    began: Began
    book: Book
    orders: Mapping[str, Order] = field(default_factory=dict)
    left: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    fundings: frozenset[tuple[str, int]] = frozenset()
    halts: Mapping[str, str] = field(default_factory=dict)
    nonce: int = 0
    equity: Decimal = _NONE
    day: int = 0
    day_start: Decimal = _NONE
    peak: Decimal = _NONE

    def halted(self, symbol: str) -> bool:
        """Tell whether the symbol may not take new risk."""
        return "" in self.halts or symbol in self.halts

    def stamp(self, now: int) -> int:
        """Return the next nonce at venue time `now`, ms: nonces only grow, over restarts too."""
        return max(now, self.nonce + 1)


def event_of(event: Event) -> tuple[str, Mapping[str, object]]:
    """Return an event in the journal's form."""
    name = _NAMES[type(event)]
    return name, _FORMS[name].dump_python(event, mode="json")


def told(entry: Entry) -> Event | None:
    """Return the event of a journal's entry; None for kinds that are kept for reading alone, as bars and decisions are."""
    form = _FORMS.get(entry.kind)
    return None if form is None else form.validate_python(entry.body)


def fold(entries: Iterable[Entry], session: Session | None = None) -> Session:
    """Return what the entries add up to. DataError if they begin with anything but the beginning."""
    for entry in entries:
        event = told(entry)
        if event is None:
            continue
        if isinstance(event, Began):
            if session is not None:
                raise DataError(
                    f"entry {entry.number}: the session began a second time; the journal is of two sessions"
                )
            session = _begin(event, entry.time)
        elif session is None:
            raise DataError(f"entry {entry.number}: the journal does not tell how the session began")
        else:
            session = _after(session, event, entry.time)
    if session is None:
        raise DataError("the journal is empty; there is no session to go on with")
    return session


def _begin(began: Began, time: int) -> Session:
    book = Book({name: Sleeve(cash) for name, cash in began.capital.items()}, began.lot)
    return Session(
        began, book, equity=began.equity, day=time // _DAY_MS, day_start=began.equity, peak=began.equity, nonce=0
    )  # fmt: skip


def _after(session: Session, event: Event, time: int) -> Session:  # noqa: PLR0911 (one line per kind of event)
    match event:
        case Asked():
            intent = event.intent
            return replace(
                session,
                orders={**session.orders, intent.cloid: session.orders.get(intent.cloid, Order(intent))},
                left={**session.left, intent.cloid: event.left},
                nonce=max(session.nonce, intent.stamp.nonce),
            )
        case Used():
            return replace(session, nonce=max(session.nonce, event.nonce))
        case Fact():
            return replace(session, orders={**session.orders, event.cloid: apply(session.orders[event.cloid], event)})
        case Fill():
            return _fill(session, event)
        case Crossed():
            return replace(session, book=crossed(session.book, event.symbol, event.wanted, event.mark)[0])
        case FundingPayment():
            key = event.coin, event.time
            if key in session.fundings:
                return session
            book = paid(session.book, event.coin, -event.usdc)
            return replace(session, book=book, fundings=session.fundings | {key})
        case Equity():
            return _equity(session, event, time)
        case Halt():
            return replace(session, halts={event.symbol: event.reason, **session.halts})
        case Resumed():
            return replace(session, halts={s: why for s, why in session.halts.items() if s != event.symbol})
    raise DataError(f"no rule for an event of kind {type(event).__name__}")


def _fill(session: Session, fill: Fill) -> Session:
    order = session.orders.get(fill.cloid or "")
    if order is None:
        raise DataError(f"{fill.coin}: a fill of an order that is not in the journal; halt and reconcile")
    after = apply(order, fill)
    if after == order:
        return session
    units = fill.size if fill.buy else -fill.size
    lots = units / session.book.lot[fill.coin]
    if lots != int(lots):
        raise DataError(f"{fill.coin}: a fill of {fill.size} is not in whole lots of {session.book.lot[fill.coin]}")
    cloid = order.intent.cloid
    left, book = session.left, session.book
    if order.intent.purpose == Purpose.TARGET:
        book, rest = filled(book, fill.coin, left[cloid], int(lots), fill.px, fill.fee)
        left = {**left, cloid: rest}
    else:
        book = closed(book, fill.coin, int(lots), fill.px, fill.fee)
    return replace(session, orders={**session.orders, cloid: after}, left=left, book=book)


def _equity(session: Session, event: Equity, time: int) -> Session:
    """Deposits move the marks that losses are measured from; a new UTC day starts from its first equity."""
    day, start = time // _DAY_MS, session.day_start + event.deposits
    if day != session.day:
        start = event.equity
    peak = max(session.peak + event.deposits, event.equity)
    return replace(session, equity=event.equity, day=day, day_start=start, peak=peak)
