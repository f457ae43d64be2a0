"""A session's state: what the journal's entries add up to, and the form in which they are written.

Starting is recovering: the state is never stored, it is the fold of the journal. So a process that is killed at any
point and one that is not know the same, and `replay` is this fold again. An event costs the same however long the
session is: orders that ended long ago leave the state, only what they added up to stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from decimal import Decimal

from pydantic import TypeAdapter

from quantga.errors import DataError
from quantga.live.book import Book, Sleeve, closed, crossed, filled, paid
from quantga.live.journal import Entry
from quantga.live.orders import Fact, Intent, Order, Purpose, apply
from quantga.live.plan import Terms
from quantga.venue.account import Fill, FundingPayment

__all__ = [
    "Asked",
    "Began",
    "Crossed",
    "Equity",
    "Event",
    "Halt",
    "Moved",
    "Resumed",
    "Session",
    "Used",
    "advance",
    "event_of",
    "fold",
    "told",
]

_NONE = Decimal(0)
_DAY_MS = 86_400_000
_KEPT_MS = 3_600_000  # of the venue's time: for so long after its end an order's fills may still be told
_KEPT = 200  # and so many ended orders are kept in any case


@dataclass(frozen=True)
class Began:
    """A session began: of which account, with which strategies and their share of the capital (USDC), on which lots.

    nonce, day, day_start, peak, halts: where the account's session before this one ended; 0 and {} without one.
    """

    account: str
    session: str
    capital: Mapping[str, Decimal]
    lot: Mapping[str, Decimal]
    positions: Mapping[str, Decimal]
    equity: Decimal
    nonce: int = 0
    day: int = 0
    day_start: Decimal = _NONE
    peak: Decimal = _NONE
    halts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Crossed:
    """Strategies traded with each other: what each wanted of a symbol (signed lots), at which mark."""

    symbol: str
    wanted: Mapping[str, int]
    mark: Decimal


@dataclass(frozen=True)
class Asked:
    """An order was decided. left: for whom its fills are (signed lots by strategy); empty for a stop or a flattening.

    mark: the price that its own was made from; 0 for what is not measured.
    """

    intent: Intent
    left: Mapping[str, int] = field(default_factory=dict)
    mark: Decimal = _NONE


@dataclass(frozen=True)
class Used:
    """A nonce was used for something that is no order."""

    nonce: int


@dataclass(frozen=True)
class Moved:
    """Money came to the account or left it (negative), in USDC: neither profit nor loss. hash: the venue's name for it."""

    time: int
    kind: str
    hash: str
    usdc: Decimal

    @property
    def name(self) -> str:
        """Return what tells it from another: several may share a time, and a hash may be empty."""
        return f"{self.time} {self.kind} {self.hash} {self.usdc}"


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
    """A person let a symbol, or ("") the account, trade again.

    flat: symbols of which the venue holds nothing, and the mark at which what the book still had of them is written off:
    somebody else closed it.
    """

    symbol: str
    flat: Mapping[str, Decimal] = field(default_factory=dict)


type Event = Began | Terms | Crossed | Asked | Used | Fact | Fill | FundingPayment | Moved | Equity | Halt | Resumed

_KINDS: dict[str, type] = {
    "began": Began, "terms": Terms, "crossed": Crossed, "asked": Asked, "used": Used, "fact": Fact, "fill": Fill,
    "funding": FundingPayment, "moved": Moved, "equity": Equity, "halt": Halt, "resumed": Resumed,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FORMS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


@dataclass
class Session:
    """What is known; only `advance` changes it.

    orders: those not ended, and those that ended lately; open: the ids of the former, and when they were asked. settled: signed units, by symbol, of
    the fills of orders that left. fundings, moves: the last of each that was told. asked: by symbol and purpose, the last
    bar and how many orders it had. trusted: fills that are not ours count from this time (ms) on. last_fill: ms, of the venue's clock. day_start, peak: equity, with deposits taken out;
    halts: reason by symbol, "" is the account.
    """

    began: Began
    began_at: int
    book: Book
    terms: Terms | None = None
    orders: dict[str, Order] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    settled: dict[str, Decimal] = field(default_factory=dict)
    left: dict[str, Mapping[str, int]] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=dict)
    asked: dict[tuple[str, Purpose], tuple[int, int]] = field(default_factory=dict)
    fundings: dict[str, int] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    owners: dict[str, Mapping[str, int]] = field(default_factory=dict)
    halts: dict[str, str] = field(default_factory=dict)
    trusted: int = 0
    bar: int = 0
    last_fill: int = 0
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

    def attempt(self, symbol: str, purpose: Purpose, bar: int) -> tuple[int, int]:
        """Return (bar, attempt) of the next order: a new try is a new order with a new name, and none comes twice."""
        last, count = self.asked.get((symbol, purpose), (bar, 0))
        return (last, count) if last >= bar else (bar, 0)

    @property
    def explained(self) -> dict[str, Decimal]:
        """Return the units by symbol that the start and the orders that left add up to."""
        symbols = {*self.began.positions, *self.settled}
        return {one: self.began.positions.get(one, _NONE) + self.settled.get(one, _NONE) for one in sorted(symbols)}


def event_of(event: Event) -> tuple[str, Mapping[str, object]]:
    """Return an event in the journal's form."""
    name = _NAMES[type(event)]
    return name, _FORMS[name].dump_python(event, mode="json")


def told(entry: Entry) -> Event | None:
    """Return the event of a journal's entry; None for kinds that are kept for reading alone, as bars and decisions are."""
    form = _FORMS.get(entry.kind)
    return None if form is None else form.validate_python(entry.body)


def fold(entries: Iterable[Entry], session: Session | None = None) -> Session:
    """Return what the entries add up to, after `session` where one is given. DataError if they make no sense."""
    found = None if session is None else _copy(session)
    for entry in entries:
        event = told(entry)
        if event is None:
            continue
        if isinstance(event, Began):
            if found is not None:
                raise DataError(
                    f"entry {entry.number}: the session began a second time; the journal is of two sessions"
                )
            found = _begin(event, entry.time)
        elif found is None:
            raise DataError(f"entry {entry.number}: the journal does not tell how the session began")
        else:
            _after(found, event, entry.time)
    if found is None:
        raise DataError("the journal is empty; there is no session to go on with")
    return found


def advance(session: Session, entries: Iterable[Entry]) -> None:
    """Let the session know what was appended to its journal: `fold` without a copy, for the one who owns the state."""
    for entry in entries:
        event = told(entry)
        if event is not None:
            _after(session, event, entry.time)


def _copy(session: Session) -> Session:
    own = copy(session)
    for one in fields(session):
        value = getattr(session, one.name)
        if isinstance(value, dict):
            setattr(own, one.name, dict(value))
    return own


def _begin(began: Began, time: int) -> Session:
    book = Book({name: Sleeve(cash) for name, cash in began.capital.items()}, began.lot)
    today = time // _DAY_MS
    carried = began.day_start if began.day == today and began.day_start else began.equity
    return Session(
        began, time, book, halts=dict(began.halts), nonce=began.nonce, equity=began.equity, day=today,
        day_start=carried, peak=max(began.peak, began.equity), last_fill=time, trusted=time,
    )  # fmt: skip


def _after(session: Session, event: Event, time: int) -> None:
    match event:
        case Asked():
            _asked(session, event, time)
        case Used():
            session.nonce = max(session.nonce, event.nonce)
        case Fact():
            _keep(session, apply(_order(session, event.cloid), event), time)
        case Fill():
            _fill(session, event, time)
        case Crossed():
            session.book = crossed(session.book, event.symbol, event.wanted, event.mark)[0]
            _own(session, event.symbol)
        case FundingPayment():
            _funding(session, event)
        case Moved():
            session.moves[event.name] = event.time
        case Equity():
            _equity(session, event, time)
        case Halt():
            session.halts.setdefault(event.symbol, event.reason)
        case Resumed():
            _resumed(session, event, time)
        case Terms():
            session.terms = event
        case Began():
            raise DataError("the session began a second time; the journal is of two sessions")


def _order(session: Session, cloid: str) -> Order:
    order = session.orders.get(cloid)
    if order is None:
        raise DataError(f"{cloid}: told of an order that is not in the journal; halt and reconcile")
    return order


def _asked(session: Session, event: Asked, time: int) -> None:
    intent, request = event.intent, event.intent.request
    session.nonce = max(session.nonce, intent.stamp.nonce)
    if intent.cloid in session.orders:
        return
    session.orders[intent.cloid] = Order(intent)
    session.open[intent.cloid] = time
    session.left[intent.cloid] = event.left
    session.marks[intent.cloid] = event.mark
    session.bar = max(session.bar, intent.bar)
    session.asked[request.coin, intent.purpose] = (intent.bar, intent.attempt + 1)


def _keep(session: Session, order: Order, time: int) -> None:
    """Hold the order as it is now; let go of those that ended long ago."""
    cloid = order.intent.cloid
    session.orders[cloid] = order
    if not order.phase.final:
        return
    session.open.pop(cloid, None)
    session.ended.pop(cloid, None)
    session.ended[cloid] = time
    while len(session.ended) > _KEPT:
        oldest = next(iter(session.ended))
        lately = any(fill.time > session.last_fill - _KEPT_MS for fill in session.orders[oldest].fills)
        if lately or session.ended[oldest] > time - _KEPT_MS:
            return
        _let_go(session, oldest)


def _let_go(session: Session, cloid: str) -> None:
    order = session.orders.pop(cloid)
    request = order.intent.request
    units = order.filled if request.buy else -order.filled
    session.settled[request.coin] = session.settled.get(request.coin, _NONE) + units
    for kept in (session.ended, session.left, session.marks):
        kept.pop(cloid, None)


def _fill(session: Session, fill: Fill, time: int) -> None:
    order = session.orders.get(fill.cloid or "")
    if order is None:
        raise DataError(f"{fill.coin}: a fill of an order that is not in the journal; halt and reconcile")
    after = apply(order, fill)
    if after == order:
        return
    units = fill.size if fill.buy else -fill.size
    lots = units / session.book.lot[fill.coin]
    if lots != int(lots):
        raise DataError(f"{fill.coin}: a fill of {fill.size} is not in whole lots of {session.book.lot[fill.coin]}")
    cloid = order.intent.cloid
    if order.intent.purpose == Purpose.TARGET:
        book, rest = filled(session.book, fill.coin, session.left[cloid], int(lots), fill.px, fill.fee)
        session.book, session.left[cloid] = book, rest
    else:
        net = session.book.net(fill.coin)
        ours = max(-abs(net), min(abs(net), int(lots)))  # a position that is not all ours is closed as a whole
        if ours * net < 0:
            session.book = closed(session.book, fill.coin, ours, fill.px, fill.fee)
    session.last_fill = max(session.last_fill, fill.time)
    _own(session, fill.coin)
    _keep(session, after, time)


def _resumed(session: Session, event: Resumed, time: int) -> None:
    session.halts.pop(event.symbol, None)
    session.trusted = max(session.trusted, time) if not event.symbol else session.trusted
    for symbol, mark in event.flat.items():
        net = session.book.net(symbol)
        if net:
            session.book = closed(session.book, symbol, -net, mark, _NONE)
        fills = (order for order in session.orders.values() if order.intent.request.coin == symbol)
        known = sum((one.filled if one.intent.request.buy else -one.filled for one in fills), _NONE)
        session.settled[symbol] = -known - session.began.positions.get(symbol, _NONE)


def _own(session: Session, symbol: str) -> None:
    """Remember who held the symbol last: a funding may be told after the position is gone."""
    held = session.book.held(symbol)
    if sum(held.values()):
        session.owners[symbol] = held


def _funding(session: Session, event: FundingPayment) -> None:
    if event.time <= session.fundings.get(event.coin, -1):
        return
    session.fundings[event.coin] = event.time
    held = session.book.held(event.coin)
    owners = held if sum(held.values()) else session.owners.get(event.coin, {})
    session.book = paid(session.book, event.coin, -event.usdc, owners)


def _equity(session: Session, event: Equity, time: int) -> None:
    """Deposits move the marks that losses are measured from; a new UTC day starts from its first equity."""
    day, start = time // _DAY_MS, session.day_start + event.deposits
    if day != session.day:
        start = event.equity
    session.peak = max(session.peak + event.deposits, event.equity)
    session.equity, session.day, session.day_start = event.equity, day, start
