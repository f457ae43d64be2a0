"""What trades, as the sessions' journals tell it: read again when they have grown, never written.

A session is the fold of its journal (`quantga.live.session`), so what is shown here is what its own trader knows.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantga.errors import DataError
from quantga.live.journal import read
from quantga.live.orders import Order
from quantga.live.session import Session, fold
from quantga.store.lake import Lake

_LOG = logging.getLogger(__name__)
_KEPT = 32

type Row = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """A session as far as its journal reads: `last` is the time of its last entry (ms), `damage` why it ends there, or empty."""

    id: str
    folder: str
    state: Session
    last: int
    damage: str


class Sessions:
    """Finds and reads the journals below the store's folder on this machine, sessions/<account>/<session>/journal."""

    def __init__(self, lake: Lake) -> None:
        self._root = lake.local / "sessions"
        self._known: OrderedDict[Path, tuple[int, Told]] = OrderedDict()
        self._lock = threading.Lock()

    def paths(self) -> list[Path]:
        """Return the journals that are not empty, the newest first."""
        found = [(path.stat(), path) for path in self._root.glob("*/*/journal")]
        return [path for there, path in sorted(found, key=lambda one: -one[0].st_mtime_ns) if there.st_size]

    def all(self) -> list[Told]:
        """Return every session that makes sense, the one written last first; of another the log tells, and `one` says why."""
        found = []
        for path in self.paths():
            try:
                found.append(self._read(path))
            except DataError as error:
                _LOG.warning("%s", error)
        return found

    def one(self, name: str) -> Told | None:
        """Return the session with this id; None if there is none. DataError where its journal makes no sense."""
        path = next((path for path in self.paths() if path.parent.name == name), None)
        return self._read(path) if path else None

    def _read(self, path: Path) -> Told:
        size = path.stat().st_size
        with self._lock:
            known = self._known.get(path)
            if known and known[0] == size:
                return known[1]
            told = _told(path)
            self._known[path] = (size, told)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return told


def _told(path: Path) -> Told:
    entries, damage = read(path)
    try:
        state = fold(entries)
    except (DataError, ValueError, KeyError) as error:
        raise DataError(f"the journal of session {path.parent.name} makes no sense: {error}") from error
    return Told(path.parent.name, path.parent.parent.name, state, entries[-1].time, damage.reason if damage else "")


def line(told: Told) -> Row:
    """Return a session as the API lists it."""
    state = told.state
    return {
        "session": told.id,
        "account": told.folder,
        "strategies": sorted(state.book.sleeves),
        "halted": bool(state.halts),
        "equity": float(state.equity),
        "positions": len(positions(told)),
        "open_orders": sum(not order.phase.final for order in state.orders.values()),
        "last": told.last,
        "damage": told.damage,
    }


def positions(told: Told) -> list[Row]:
    """Return what is held, by symbol, in units, with each strategy's part."""
    book = told.state.book
    found = []
    for symbol in sorted(book.lot):
        size = float(book.lot[symbol])
        held = {name: lots * size for name, lots in book.held(symbol).items() if lots}
        if held:
            found.append({"symbol": symbol, "size": book.net(symbol) * size, "strategies": held})
    return found


def orders(told: Told) -> list[Row]:
    """Return the orders that the session still knows, the newest first."""
    return sorted((_order(one) for one in told.state.orders.values()), key=lambda row: (-row["at"], row["cloid"]))


def _order(one: Order) -> Row:
    request = one.intent.request
    filled = float(one.filled)
    average = float(sum(fill.px * fill.size for fill in one.fills) / one.filled) if one.fills else None
    asked, sign = float(request.px), 1 if request.buy else -1
    return {
        "cloid": one.intent.cloid,
        "at": one.intent.stamp.nonce,
        "symbol": request.coin,
        "side": "buy" if request.buy else "sell",
        "size": float(request.size),
        "price": asked,
        "purpose": str(one.intent.purpose),
        "reduce_only": request.reduce_only,
        "phase": str(one.phase),
        "open": not one.phase.final,
        "filled": filled,
        "average": average,
        "slippage": None if average is None or not asked else sign * (average / asked - 1),
        "reason": one.reason,
    }


def risk(told: Told) -> Row:
    """Return how the account stands against its own day and peak, and what is halted."""
    state = told.state
    equity, start, peak = float(state.equity), float(state.day_start), float(state.peak)
    return {
        "session": told.id,
        "equity": equity,
        "day_start": start,
        "peak": peak,
        "daily_loss": 1 - equity / start if start > 0 else 0.0,
        "drawdown": 1 - equity / peak if peak > 0 else 0.0,
        "unknown": sum(one.phase == "unknown" for one in state.orders.values()),
        "halts": [{"symbol": symbol, "reason": reason} for symbol, reason in sorted(state.halts.items())],
    }
