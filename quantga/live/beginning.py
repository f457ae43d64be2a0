"""Beginning a session or going on with one: the journal decides; what it does not explain is refused with one sentence."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from quantga.cluster.record import code_version, grammar_version
from quantga.errors import ConfigError
from quantga.live.bars import Bar
from quantga.live.history import History
from quantga.live.journal import Damage, Journal, read
from quantga.live.places import Account
from quantga.live.plan import Execution, Strategy, Terms, Traded
from quantga.live.records import Decided, Opened, body_of, record_of
from quantga.live.risk import Limits
from quantga.live.session import Began, Halt, Session, event_of, fold
from quantga.live.startup import Standing
from quantga.venue.market import FundingRate
from quantga.venue.protocol import Network

__all__ = ["Begun", "Wanted", "begin"]

_LEAST = 200  # bars of history, for the covariances
_MOST = 4_900  # the venue keeps 5,000


@dataclass(frozen=True)
class Wanted:
    """What a person asked for. interval: ms; strategies: with `since` 0; cap: USDC at most, 0 for all that there is.

    store: of the lake. key_file: where the key is kept, "" for the environment; account: the master's address, "" if the key
    tells it.
    """

    network: Network
    url: str
    store: str
    interval: int
    strategies: tuple[Traded, ...]
    account: str = ""
    key_file: str = ""
    cap: Decimal = Decimal(0)
    limits: Limits = field(default_factory=Limits)
    execution: Execution = field(default_factory=Execution)
    volatility: float = 0.3

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return all symbols, sorted."""
        return tuple(sorted({symbol for one in self.strategies for symbol in one.symbols}))


@dataclass
class Begun:
    """An open session: its journal, state, bars so far, and the last decisions."""

    journal: Journal
    session: Session
    terms: Terms
    strategies: tuple[Strategy, ...]
    history: History
    decided: Mapping[tuple[str, str], Decided]
    fresh: bool


def begin(place: Account, wanted: Wanted, standing: Standing, market: int, working: bool) -> Begun:
    """Go on with the account's session, or begin one; the journal is open and says so.

    market: the venue's time, ms. working: whether orders are open at the venue.

    Raises:
        ConfigError: the session is of other strategies and not flat; the venue holds what no journal explains; or a strategy
            may not be traded.
        Conflict: another process writes the journal.
    """
    known = place.sessions()
    if known:
        entries, damage = read(place.journal(known[-1]))
        session = fold(entries) if entries else None
        if session is not None and session.terms is not None and _same(session.terms, wanted):
            return _go_on(place, known[-1], wanted, damage)
        _require_flat(standing, working, "an earlier session of other strategies is not finished")
        return _new(place, wanted, standing, market, session)
    _require_flat(standing, working, "no journal on this machine explains it")
    return _new(place, wanted, standing, market, None)


def _require_flat(standing: Standing, working: bool, why: str) -> None:
    held = ", ".join(f"{one.size} {one.coin}" for one in standing.state.positions)
    if held or working:
        raise ConfigError(
            f"the account {standing.account} has {held or 'open orders'}, and {why}: `quantga flatten` closes it, "
            "or bring the session's folder and name its strategies"
        )


def _same(terms: Terms, wanted: Wanted) -> bool:
    names = [(one.name, one.text, one.symbols, _costs(one)) for one in terms.strategies]
    asked = [(one.name, one.text, one.symbols, _costs(one)) for one in wanted.strategies]
    return (terms.network, terms.interval, names) == (wanted.network.value, wanted.interval, asked)


def _costs(one: Traded) -> dict[str, object]:
    return {name: value for name, value in one.costs.items() if name != "capital"}


def _go_on(place: Account, name: str, wanted: Wanted, damage: Damage | None) -> Begun:
    journal = Journal(place.journal(name))
    entries = journal.entries
    session = fold(entries)
    assert session.terms is not None
    code = code_version()
    strategies = tuple(replace(one, reduce_only=one.code not in ("", code)) for one in session.terms.strategies)
    terms = replace(
        session.terms, strategies=strategies, limits=wanted.limits, execution=wanted.execution,
        volatility=wanted.volatility,
    )  # fmt: skip
    history, decided = History(terms.interval, terms.origin), dict[tuple[str, str], Decided]()
    for entry in entries:
        record = record_of(entry)
        if isinstance(record, Bar):
            history.add(record)
        elif isinstance(record, FundingRate):
            history.rate(record)
        elif isinstance(record, Decided):
            decided[record.symbol, record.strategy] = record
    events = [body_of(_opened(code))]
    if terms != session.terms:
        events.append(event_of(terms))
    if damage is not None and not damage.torn:
        kept = f"the journal was damaged from entry {damage.number} on ({damage.reason}); {damage.size} bytes were set aside"
        events.append(event_of(Halt("", f"{kept}: look at what the venue did since, then resume")))
    journal.append(journal.time, *events)
    made = tuple(one.strategy() for one in terms.strategies)
    return Begun(journal, fold(journal.entries), terms, made, history, decided, fresh=False)


def _new(place: Account, wanted: Wanted, standing: Standing, market: int, before: Session | None) -> Begun:
    code = code_version()
    for one in wanted.strategies:
        if one.code not in ("", code):
            raise ConfigError(
                f"strategy {one.name} was made by {one.code}, and this is {code}: trade it with that version, or validate "
                "its run again"
            )
    value = standing.state.value
    capital = (min(value, wanted.cap) if wanted.cap else value) / len(wanted.strategies)
    since = market // wanted.interval
    traded = tuple(
        replace(one, since=since, costs={**one.costs, "capital": float(capital)}) for one in wanted.strategies
    )
    strategies = tuple(one.strategy() for one in traded)
    reach = max(one.program.reach for one in strategies)
    if reach > _MOST:
        raise ConfigError(f"a strategy looks {reach} bars back, and the venue keeps 5,000")
    origin = since - max(reach, _LEAST) - 2
    terms = Terms(
        wanted.network.value, wanted.interval, origin, traded, wanted.limits, wanted.execution, wanted.volatility
    )
    lot = {symbol: Decimal(1).scaleb(-standing.meta.asset(symbol).size_decimals) for symbol in wanted.symbols}
    name = place.new_session()
    began = Began(standing.account, name, {one.name: capital for one in traded}, lot, {}, value)
    if before is not None:
        began = replace(
            began, nonce=before.nonce, day=before.day, day_start=before.day_start, peak=before.peak,
            halts=dict(before.halts),
        )  # fmt: skip
    journal = Journal(place.journal(name))
    journal.append(market, event_of(began), event_of(terms), body_of(_opened(code)))
    return Begun(journal, fold(journal.entries), terms, strategies, History(wanted.interval, origin), {}, fresh=True)


def _opened(code: str) -> Opened:
    return Opened(code, grammar_version(), socket.gethostname(), os.getpid())
