"""Risk: what an account may hold, and which order may leave. Pure: figures in, findings out.

Every limit has two levels. Beyond `soft` only orders that reduce a position leave; beyond `hard` the account is
flattened and halted. The same limits are applied to the order that is about to leave, to the account as it would be
after it: what was checked when the target was made may no longer hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from quantga.errors import ConfigError, DataError, Denied

__all__ = ["Account", "Bound", "Finding", "Leaving", "Level", "Limits", "admit", "assess", "fit", "worst"]


class Level(IntEnum):
    """What is still permitted."""

    FREE = 0
    REDUCE = 1
    HALT = 2


@dataclass(frozen=True)
class Bound:
    """A limit's two levels; a value equal to one of them still keeps it. ConfigError unless 0 < soft <= hard."""

    soft: float
    hard: float

    def __post_init__(self) -> None:
        if not 0 < self.soft <= self.hard < math.inf:
            raise ConfigError(f"a limit needs 0 < soft <= hard, both finite; it has soft {self.soft}, hard {self.hard}")

    def level(self, value: float) -> Level:
        """Return what `value` permits; a value that is not a number permits nothing."""
        if value <= self.soft:
            return Level.FREE
        return Level.REDUCE if value <= self.hard else Level.HALT


@dataclass(frozen=True)
class Limits:
    """The limits of an account.

    leverage: sum of |notional| / equity. strategy_leverage: the same of one strategy over its share of the capital.
    notional: USDC in one symbol. concentration: |notional| of one symbol / equity. volatility: annual standard deviation
    of the account's return, correlations included. daily_loss: share of the equity at 00:00 UTC. drawdown: share of
    the peak equity. order_rate: orders sent within the last minute. price_band: distance of an order's price from the
    mark, as a share of it; an order beyond it never leaves.
    """

    leverage: Bound = Bound(2.0, 3.0)
    strategy_leverage: Bound = Bound(2.0, 3.0)
    notional: Bound = Bound(50_000.0, 75_000.0)
    concentration: Bound = Bound(1.0, 1.5)
    volatility: Bound = Bound(0.6, 1.0)
    daily_loss: Bound = Bound(0.03, 0.05)
    drawdown: Bound = Bound(0.15, 0.25)
    order_rate: Bound = Bound(60.0, 120.0)
    price_band: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.price_band < 1:
            raise ConfigError(f"price_band is a share of the mark between 0 and 1; it is {self.price_band}")


@dataclass(frozen=True)
class Account:
    """An account as the venue and the journal tell it.

    equity, day_start, peak: USDC; deposits and withdrawals have been taken out of the last two. positions: signed
    notional at the mark by symbol, in USDC. covariance: of annual returns, by symbol pair; both orders of a pair need
    not be there. strategies: leverage of each. orders: how many were sent within the last minute.
    """

    equity: float
    day_start: float
    peak: float
    positions: Mapping[str, float]
    covariance: Mapping[tuple[str, str], float]
    strategies: Mapping[str, float] = field(default_factory=dict)
    orders: int = 0


@dataclass(frozen=True)
class Finding:
    """A limit that is exceeded: which, whose (a symbol, a strategy, or the account: ""), and what it permits."""

    limit: str
    subject: str
    value: float
    bound: Bound
    level: Level

    def __str__(self) -> str:
        whose = f" of {self.subject}" if self.subject else ""
        return f"{self.limit}{whose} is {self.value:.4g}: soft {self.bound.soft:g}, hard {self.bound.hard:g}"


@dataclass(frozen=True)
class Leaving:
    """An order about to leave: signed notional in USDC, its price, the mark, and whether the venue may only reduce."""

    symbol: str
    notional: float
    price: float
    mark: float
    reduce_only: bool


def assess(account: Account, limits: Limits) -> tuple[Finding, ...]:
    """Return every limit that the account exceeds, the worst first. DataError where a figure is not known."""
    measured = [
        (name, subject, value, bound, bound.level(value)) for name, subject, value, bound in _measure(account, limits)
    ]
    found = [Finding(*one) for one in measured if one[-1] > Level.FREE]
    return tuple(sorted(found, key=lambda one: (-one.level, one.limit, one.subject)))


def worst(findings: Sequence[Finding]) -> Level:
    """Return what the findings permit together."""
    return max((one.level for one in findings), default=Level.FREE)


def admit(order: Leaving, account: Account, limits: Limits) -> None:
    """Let the order leave, or raise Denied with the reason.

    An order that reduces its position is held to the price band alone: a limit must never keep a risk from being
    reduced. Any other one leaves only if the account, after it, is within every soft limit.
    """
    away = abs(order.price / order.mark - 1) if order.mark > 0 else math.nan
    if not away <= limits.price_band:
        raise Denied(
            f"{order.symbol}: the price {order.price:g} is too far from the mark {order.mark:g} "
            f"(at most {limits.price_band:.1%}); nothing was sent"
        )
    before = account.positions.get(order.symbol, 0.0)
    after = before + order.notional
    if order.reduce_only or (before * order.notional < 0 and abs(after) <= abs(before)):
        return
    would_be = Account(
        account.equity, account.day_start, account.peak, {**account.positions, order.symbol: after},
        account.covariance, account.strategies, account.orders + 1,
    )  # fmt: skip
    findings = assess(would_be, limits)
    if findings:
        raise Denied(f"{order.symbol}: {order.notional:+,.0f} USDC were not sent, since afterwards {findings[0]}")


def fit(
    targets: Mapping[str, float], account: Account, limits: Limits, volatility: float = math.inf
) -> dict[str, float]:
    """Return the targets (signed notional in USDC by symbol) made small enough for every soft limit on positions.

    Each symbol is cut to its own limits first; then all are scaled alike, so that leverage and the account's volatility
    stay within the limits and within `volatility`, the volatility aimed at. No target grows or changes its sign.
    """
    if not account.equity > 0:
        return dict.fromkeys(targets, 0.0)
    most = min(limits.notional.soft, limits.concentration.soft * account.equity)
    cut = {symbol: math.copysign(min(abs(value), most), value) for symbol, value in targets.items()}
    gross = sum(abs(value) for value in cut.values()) / account.equity
    spread = volatility_of(cut, account.covariance) / account.equity
    scale = min(
        1.0,
        limits.leverage.soft / gross if gross > 0 else 1.0,
        min(limits.volatility.soft, volatility) / spread if spread > 0 else 1.0,
    )
    return {symbol: value * scale for symbol, value in cut.items()}


def volatility_of(positions: Mapping[str, float], covariance: Mapping[tuple[str, str], float]) -> float:
    """Return the annual standard deviation, in USDC, of positions (signed notional): sqrt(w' C w).

    Raises DataError where a pair's covariance is missing, or where the matrix is none (a negative variance).
    """
    held = [symbol for symbol, value in positions.items() if value]
    variance = math.fsum(positions[a] * positions[b] * _between(a, b, covariance) for a in held for b in held)
    scale = math.fsum(abs(positions[a] * positions[b]) * abs(_between(a, b, covariance)) for a in held for b in held)
    if variance < -1e-9 * scale:
        raise DataError(
            "the covariance of returns is not positive semidefinite; estimate it from the same bars for all"
        )
    return math.sqrt(max(variance, 0.0))


def _between(a: str, b: str, covariance: Mapping[tuple[str, str], float]) -> float:
    value = covariance.get((a, b), covariance.get((b, a), math.nan))
    if math.isnan(value):
        raise DataError(f"no covariance of {a} and {b} is known; without it their risk cannot be judged")
    return value


def _measure(account: Account, limits: Limits) -> list[tuple[str, str, float, Bound]]:
    if not (math.isfinite(account.equity) and account.day_start > 0 and account.peak > 0):
        raise DataError("equity, the day's first equity and the peak have to be known before risk can be judged")
    equity = account.equity if account.equity > 0 else math.nan  # nothing is permitted without equity
    gross = math.fsum(abs(value) for value in account.positions.values())
    rows = [
        ("leverage", "", gross / equity if gross else 0.0, limits.leverage),
        ("volatility", "", volatility_of(account.positions, account.covariance) / equity, limits.volatility),
        ("daily_loss", "", 1 - account.equity / account.day_start, limits.daily_loss),
        ("drawdown", "", 1 - account.equity / account.peak, limits.drawdown),
        ("order_rate", "", float(account.orders), limits.order_rate),
    ]
    for symbol, value in account.positions.items():
        rows.append(("notional", symbol, abs(value), limits.notional))
        rows.append(("concentration", symbol, abs(value) / equity, limits.concentration))
    rows += [("strategy_leverage", name, value, limits.strategy_leverage) for name, value in account.strategies.items()]
    return rows
