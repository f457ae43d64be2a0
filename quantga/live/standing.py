"""Where an account stands, read from its journal alone: works while a trader writes it, and when none does."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantga.live.heartbeat import watched
from quantga.live.journal import read
from quantga.live.orders import Phase, Purpose
from quantga.live.places import Account
from quantga.live.session import Asked, Session, fold, told
from quantga.venue.account import Fill

__all__ = ["FILL_COLUMNS", "fill_rows", "standing", "write_csv"]

_ALIVE_MS = 5_000
FILL_COLUMNS = (
    "time", "session", "symbol", "side", "units", "price", "notional", "fee", "purpose", "bar", "mark", "cost_bp", "cloid", "tid",
)  # fmt: skip


def standing(place: Account) -> dict[str, Any]:
    """Return what is known of an account, for `quantga status`; money in USDC, losses as fractions."""
    entries, damage = read(place.journal(place.sessions()[-1]))
    session = fold(entries)
    sign = place.beaten() or {}
    age = time.time_ns() // 10**6 - int(sign.get("at", 0))
    alive = age < _ALIVE_MS and not sign.get("leaving") and sign.get("session") == session.began.session
    return {
        "network": place.network,
        "account": session.began.account,
        "session": session.began.session,
        "trader": f"process {sign['process']} lives" if alive else "not running",
        "watchdog": watched(place.folder, time.time_ns() // 10**6),
        "halts": "; ".join(f"{symbol or 'all'}: {why}" for symbol, why in session.halts.items()) or "none",
        "equity": str(session.equity),
        "loss today": _loss(session.equity, session.day_start),
        "drawdown": _loss(session.equity, session.peak),
        "entries": len(entries),
        "damage": "" if damage is None else damage.reason,
        "last entry": _iso(entries[-1].time),
        "unsettled orders": sum(session.orders[one].phase in {Phase.INTENDED, Phase.UNKNOWN} for one in session.open),
        "positions": [_position(session, symbol) for symbol in sorted(session.book.lot)],
    }


def _position(session: Session, symbol: str) -> dict[str, Any]:
    orders = [session.orders[one] for one in session.open]
    stops = [
        f"{one.remainder} at {one.intent.request.trigger.px}"
        for one in orders
        if one.intent.purpose == Purpose.STOP and one.intent.request.coin == symbol and one.intent.request.trigger
    ]
    owners = ", ".join(f"{name} {lots}" for name, lots in session.book.held(symbol).items() if lots)
    units = session.book.net(symbol) * session.book.lot[symbol]
    return {"symbol": symbol, "units": str(units), "stops": ", ".join(stops), "owners": owners}


def fill_rows(place: Account) -> list[tuple[Any, ...]]:
    """Return a row for each fill of all sessions, ascending within a session; columns are `FILL_COLUMNS`."""
    rows = []
    for name in place.sessions():
        asked: dict[str, Asked] = {}
        for event in map(told, read(place.journal(name))[0]):
            if isinstance(event, Asked):
                asked[event.intent.cloid] = event
            elif isinstance(event, Fill) and event.cloid in asked:
                rows.append(_row(name, event, asked[event.cloid]))
    return rows


def _row(session: str, fill: Fill, asked: Asked) -> tuple[Any, ...]:
    worth, side = fill.size * fill.px, 1 if fill.buy else -1
    cost = ""
    if asked.mark:
        cost = f"{(side * (fill.px - asked.mark) * fill.size + fill.fee) / (fill.size * asked.mark) * 10_000:.2f}"
    return (
        _iso(fill.time), session, fill.coin, "buy" if fill.buy else "sell", str(fill.size), str(fill.px), str(worth),
        str(fill.fee), asked.intent.purpose.value, asked.intent.bar, str(asked.mark or ""), cost, fill.cloid, fill.tid,
    )  # fmt: skip


def write_csv(path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write fills with their header."""
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(FILL_COLUMNS)
        writer.writerows(rows)


def _loss(now: Decimal, before: Decimal) -> str:
    return f"{float(1 - now / before):.2%}" if before else "-"


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
