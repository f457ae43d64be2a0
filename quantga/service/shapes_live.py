"""What the API answers about trading and jobs; see `shapes`."""

from __future__ import annotations

from typing import Literal

from quantga.service.shapes import Number, Shape


class SessionLine(Shape):
    """A trading session, as its journal tells it. account: network and address; damage: why the journal does not read further."""

    session: str
    account: str
    strategies: list[str]
    halted: bool
    equity: float
    positions: int
    open_orders: int
    last: int
    damage: str


class Sessions(Shape):
    """Sessions, the one written last first."""

    sessions: list[SessionLine]


class Position(Shape):
    """A net position in units, negative if short, and each strategy's part of it."""

    symbol: str
    size: float
    strategies: dict[str, float]


class Positions(Shape):
    """What a session holds, as its book has it."""

    session: str
    positions: list[Position]


class OrderLine(Shape):
    """An order. at: when it was made; phase: what is known of it. slippage: of the fills against the price asked, positive where it cost."""

    cloid: str
    at: int
    symbol: str
    side: Literal["buy", "sell"]
    size: float
    price: float
    purpose: Literal["target", "stop", "flatten"]
    reduce_only: bool
    phase: Literal["intended", "unknown", "resting", "filled", "canceled", "rejected", "absent"]
    open: bool
    filled: float
    average: Number
    slippage: Number
    reason: str


class Orders(Shape):
    """Orders of a session, the newest first."""

    session: str
    orders: list[OrderLine]


class Halted(Shape):
    """What may take no new risk: a symbol, or the account (empty)."""

    symbol: str
    reason: str


class Risk(Shape):
    """An account against its day's start and its peak, USDC; shares from 0. unknown: orders whose outcome is not known."""

    session: str
    equity: float
    day_start: float
    peak: float
    daily_loss: float
    drawdown: float
    unknown: int
    halts: list[Halted]


class JobLine(Shape):
    """A job on the cluster. kind: evolve, validate, …; status: as Ray names it."""

    job: str
    kind: str
    status: str
    message: str
    started: int | None
    ended: int | None


class Jobs(Shape):
    """Jobs, the newest first; cluster: empty where the service knows none."""

    cluster: str
    jobs: list[JobLine]


class Act(Shape):
    """What was done, and by whom: the living trader, or a line in the journal that the next trader begins with."""

    session: str
    act: Literal["halt", "flatten"]
    by: Literal["trader", "journal"]
