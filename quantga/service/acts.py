"""Routes that stop trading: halt and flatten, each with a confirmation. They ask the trader; the service holds no key.

A halt is also written into a journal that no trader holds, so that the next one starts halted. Flattening needs a key, so it
needs a living trader, or `quantga flatten` on a machine that has the key.
"""

from __future__ import annotations

import time
from pathlib import Path as File
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from quantga.errors import Conflict
from quantga.live.places import Account
from quantga.live.session import Halt, event_of
from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, TheCaller, TheService, missing, needs, problem
from quantga.service.live import SessionId
from quantga.service.service import Service
from quantga.service.shapes_live import Act

router = APIRouter(
    prefix="/api/v1/sessions", tags=["live"], dependencies=[needs(Scope.TRADE)],
    responses={**PROBLEMS, **MISSING, **problem(409, "It was not confirmed, the session has ended, or no trader answers.")},
)  # fmt: skip

PATIENCE_S = 20.0
_LOOK_S = 0.05


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    confirm: Annotated[str, Field(max_length=64, description="The session's id once more.")]
    reason: Annotated[str, Field(max_length=200, description="For the journal.")] = ""


class HaltOrder(_Order):
    """Take no new risk in a symbol, or (empty) in the account; what is held keeps its stops."""

    symbol: Annotated[str, Field(pattern=r"^[A-Za-z0-9@:/_-]{0,40}$")] = ""


class FlattenOrder(_Order):
    """Close everything and halt the account."""


@router.post("/{session}/halt", response_model=Act)
def halt(service: TheService, caller: TheCaller, session: SessionId, order: HaltOrder) -> Response:
    """Halt a symbol or the account, until a person resumes it."""
    place = _place(service, session, order)
    reason = _reason("halt", caller.name, order.reason)
    try:
        with place.open_last() as journal:
            last = journal.entries[-1].time if journal.entries else 0
            journal.append(last, event_of(Halt(order.symbol, reason)))
    except Conflict:
        return _asked(place, session, "halt", symbol=order.symbol, reason=reason)
    return Json({"session": session, "act": "halt", "by": "journal"})


@router.post("/{session}/flatten", response_model=Act)
def flatten(service: TheService, caller: TheCaller, session: SessionId, order: FlattenOrder) -> Response:
    """Have the trader close everything; it goes on until the venue says that nothing is held."""
    place = _place(service, session, order)
    try:
        place.open_last().close()
    except Conflict:
        return _asked(place, session, "flatten", reason=_reason("flatten", caller.name, order.reason))
    raise HTTPException(409, "no trader lives: `quantga flatten` closes everything, where the key is")


def _place(service: Service, session: str, order: _Order) -> Account:
    """Return the account's folder, if this is its newest session and the order was confirmed."""
    told = service.sessions.one(session)
    if told is None:
        raise missing(f"there is no session {session}")
    if order.confirm != session:
        raise HTTPException(409, f"not confirmed: `confirm` has to be {session}")
    network, _, address = told.folder.partition("-")
    place = Account.of(service.lake, network, address)
    if place.sessions()[-1:] != [session]:
        raise HTTPException(409, f"session {session} has ended: another one trades the account")
    return place


def _asked(place: Account, session: str, act: Literal["halt", "flatten"], **what: str) -> Response:
    """Leave a request and wait until the trader has taken it; one that nobody takes is taken back."""
    path: File = place.ask(act, **what)
    end = time.monotonic() + PATIENCE_S
    while path.exists() and time.monotonic() < end:
        time.sleep(_LOOK_S)
    if path.exists():
        path.unlink(missing_ok=True)
        raise HTTPException(409, f"a process holds the journal and does not answer: `quantga {act}` works without it")
    return Json({"session": session, "act": act, "by": "trader"})


def _reason(act: str, name: str, said: str) -> str:
    return f"{act} by {name}" + (f": {said}" if said else "")
