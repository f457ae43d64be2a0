"""Explaining an order: from its fills to the decision, the program, and where that came from.

What the venue shows is a number; this goes the way back through the journal (order, targets, decisions) and the lake
(promotion, run, generation, dataset, seed).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from quantga.errors import ConfigError
from quantga.lang.parse import parse
from quantga.live.journal import Entry, read
from quantga.live.orders import Fact
from quantga.live.places import Account, accounts
from quantga.live.plan import Terms, Traded
from quantga.live.records import Aimed, Decided, Passed, record_of
from quantga.live.session import Asked, told
from quantga.store.lake import Lake
from quantga.store.strategies import read_strategy, strategies
from quantga.venue.account import Fill

__all__ = ["explain", "find_session"]


def find_session(lake: Lake, name: str) -> tuple[Account, str, Sequence[Entry]]:
    """Return the session `name` (a prefix of its id; "last": the one written to last) with its account and entries.

    ConfigError where there is none, or several; a damaged journal's valid beginning is read, and says so by being short.
    """
    known = [(place, one) for place in accounts(lake) for one in place.sessions()]
    if name == "last" and known:
        place, one = max(known, key=lambda pair: pair[0].journal(pair[1]).stat().st_mtime_ns)
        return place, one, read(place.journal(one))[0]
    found = [(place, one) for place, one in known if one.startswith(name)]
    if len(found) != 1:
        names = ", ".join(f"{one} ({place.network} {place.address})" for place, one in known) or "none"
        raise ConfigError(f"{name!r} names {len(found)} sessions; on this machine there are: {names}")
    place, one = found[0]
    return place, one, read(place.journal(one))[0]


def explain(lake: Lake, order: str) -> dict[str, Any]:
    """Return all that is known of an order: a cloid or its beginning, the venue's number of it, or of one of its fills.

    ConfigError where no session of this machine has it, or several orders could be meant.
    """
    if len(order) < 4:
        raise ConfigError(f"{order!r} is too short for an order's id: give at least 4 characters of it")
    found: list[tuple[Account, str, Sequence[Entry], str]] = []
    for place in accounts(lake):
        for session in place.sessions():
            entries: Sequence[Entry] = read(place.journal(session))[0]
            found += [(place, session, entries, cloid) for cloid in _named(entries, order)]
    if len(found) != 1:
        names = ", ".join(cloid for *_, cloid in found) or "none"
        raise ConfigError(f"{order!r} could be these orders of the sessions on this machine: {names}")
    place, session, entries, cloid = found[0]
    story = _story(entries, cloid)
    owners = story.pop("owners")
    return {
        "network": place.network, "account": place.address, "session": session, **story,
        "strategies": [_origin(lake, one, lots) for one, lots in owners],
    }  # fmt: skip


def _named(entries: Sequence[Entry], order: str) -> list[str]:
    """Return the cloids that an id, or the venue's number of an order or fill, may mean."""
    found: dict[str, None] = {}
    for entry in entries:
        event = told(entry)
        match event:
            case Asked() if event.intent.cloid.startswith(order.lower()):
                found[event.intent.cloid] = None
            case Fact(oid=oid) if oid and str(oid) == order:
                found[event.cloid] = None
            case Fill(cloid=str(cloid)) if order in (str(event.oid), str(event.tid)):
                found[cloid] = None
    return list(found)


def _story(entries: Sequence[Entry], cloid: str) -> dict[str, Any]:
    """Return the order, what became of it, and the decisions behind it."""
    asked: Asked | None = None
    terms: Terms | None = None
    aimed: Aimed | None = None
    decided: dict[tuple[str, str], Decided] = {}
    behind: list[Decided] = []
    facts: list[dict[str, Any]] = []
    fills: list[Fill] = []
    cost: Passed | None = None
    shape: dict[str, Any] = {}
    for entry in entries:
        match told(entry) or record_of(entry):
            case Terms() as one:
                terms = one
            case Decided() as one:
                decided[one.strategy, one.symbol] = one
            case Aimed() as one if asked is None:
                aimed = one
            case Asked() as one if one.intent.cloid == cloid and asked is None:
                asked = one
                coin = one.intent.request.coin
                behind = [found for (_, symbol), found in decided.items() if symbol == coin]
                shape = {"entry": entry.number, "time": entry.time}
            case Fact() as one if one.cloid == cloid:
                facts.append({"time": entry.time, "phase": one.phase.value, "oid": one.oid, "reason": one.reason})
            case Fill() as one if one.cloid == cloid:
                fills.append(one)
            case Passed() as one if asked is not None and cost is None and one.symbol == asked.intent.request.coin:
                cost = one
    assert asked is not None
    assert terms is not None
    request = asked.intent.request
    lots = {name: lots for name, lots in asked.left.items() if lots}
    names = lots or {one.strategy: 0 for one in behind}  # a stop or a closing order is everybody's
    return {
        "order": {
            **shape, "cloid": cloid, "purpose": asked.intent.purpose.value, "bar": asked.intent.bar,
            "attempt": asked.intent.attempt, "symbol": request.coin, "side": "buy" if request.buy else "sell",
            "size": str(request.size), "price": str(request.px), "tif": request.tif, "reduce_only": request.reduce_only,
            "trigger": None if request.trigger is None else str(request.trigger.px), "mark": str(asked.mark),
        },
        "outcome": facts,
        "fills": [
            {"time": one.time, "tid": one.tid, "oid": one.oid, "price": str(one.px), "size": str(one.size), "fee": str(one.fee)}
            for one in fills
        ],
        "filled": str(sum((one.size for one in fills), Decimal(0))),
        "shortfall_bp": None if cost is None or asked.intent.purpose.value != "target" else cost.shortfall_bp,
        "targets": None if aimed is None else asdict(aimed),
        "decisions": [asdict(one) for one in behind if one.strategy in names],
        "owners": [(one, names[one.name]) for one in terms.strategies if one.name in names],
    }  # fmt: skip


def _origin(lake: Lake, traded: Traded, lots: int) -> dict[str, Any]:
    """Return a strategy's program, and what the lake knows of its birth and its evidence."""
    program = parse(traded.text)
    story: dict[str, Any] = {
        "strategy": traded.name, "lots": lots, "program": program.id, "text": traded.text, "lookback": program.lookback,
        "code": traded.code, "promotion": None, "run": None, "born": [],
    }  # fmt: skip
    if traded.name in strategies(lake):
        kept = read_strategy(lake, traded.name)
        story["promotion"] = {
            "run": kept.run, "dataset": kept.dataset, "code": kept.code, "grammar": kept.grammar,
            "evidence": kept.evidence.model_dump(mode="json"), "forecast": kept.forecast.model_dump(mode="json"),
            "look": kept.look.number, "ledger": kept.ledger.number,
        }  # fmt: skip
    story["born"] = births(lake, program.id)
    runs = [story["promotion"]["run"]] if story["promotion"] else [one["run"] for one in story["born"]]
    if runs:
        story["run"] = _run(lake, runs[0])
    return story


def births(lake: Lake, program: str) -> list[dict[str, Any]]:
    """Return where a program was appraised first in each run: run, generation, island, slot, age of its line, score."""
    from quantga.store.catalog import query, to_records  # noqa: PLC0415 -- duckdb takes a while

    if not lake.folders("runs"):
        return []
    statement = f"""
        SELECT run, min(generation) AS generation, arg_min(island, generation) AS island, arg_min(slot, generation) AS slot,
               arg_min(score, generation) AS score
        FROM appraisals WHERE id = '{program}' GROUP BY run ORDER BY run"""
    return to_records(query(lake, statement))


def _run(lake: Lake, run: str) -> dict[str, Any]:
    made = lake.read_json(f"runs/{run}/run.json")
    assert isinstance(made, dict)
    science = made["science"]
    return {
        "run": run, "dataset": made.get("dataset"), "seed": science["search"]["seed"],
        "generations": science["search"]["generations"], "islands": science["search"]["islands"],
    }  # fmt: skip
