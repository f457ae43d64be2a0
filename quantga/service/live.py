"""Routes of what trades: sessions, positions, orders, risk; read from the journals, changing nothing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from quantga.service import sessions as journals
from quantga.service.access import Scope
from quantga.service.answers import MISSING, PROBLEMS, Json, TheService, missing, needs
from quantga.service.service import Service
from quantga.service.shapes_live import Orders, Positions, Risk, SessionLine, Sessions

router = APIRouter(prefix="/api/v1/sessions", tags=["live"], dependencies=[needs(Scope.READ)], responses=PROBLEMS)

SessionId = Annotated[str, Path(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$", description="A session's id.")]


@router.get("", response_model=Sessions)
def sessions(service: TheService) -> Response:
    """List the sessions whose journals are on this machine, the one written last first."""
    return Json({"sessions": [journals.line(told) for told in service.sessions.all()]})


@router.get("/{session}", response_model=SessionLine, responses=MISSING)
def session_detail(service: TheService, session: SessionId) -> Response:
    """Return a session."""
    return Json(journals.line(_told(service, session)))


@router.get("/{session}/positions", response_model=Positions, responses=MISSING)
def positions(service: TheService, session: SessionId) -> Response:
    """Return what a session holds."""
    return Json({"session": session, "positions": journals.positions(_told(service, session))})


@router.get("/{session}/orders", response_model=Orders, responses=MISSING)
def orders(service: TheService, session: SessionId) -> Response:
    """Return the orders of a session that are open or ended lately, the newest first."""
    return Json({"session": session, "orders": journals.orders(_told(service, session))})


@router.get("/{session}/risk", response_model=Risk, responses=MISSING)
def risk(service: TheService, session: SessionId) -> Response:
    """Return how a session's account stands, and what is halted."""
    return Json(journals.risk(_told(service, session)))


def _told(service: Service, session: str) -> journals.Told:
    told = service.sessions.one(session)
    if told is None:
        raise missing(f"there is no session {session}")
    return told
