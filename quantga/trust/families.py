"""Families of made markets for measuring a search: nulls in which there is nothing, and edges of known strength.

Each planted family has its oracle, one who knows the process but not the future, so that its amplitude can be set to a
true Sharpe ratio and what a search captures has a ceiling to be compared with. All have zero mean simple returns where
nothing is planted: a zero mean of logarithms would pay a holder half the volatility.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from quantga.errors import ConfigError
from quantga.lang.bars import HOUR_MS, Bars, Floats
from quantga.lang.jit import njit
from quantga.streams import stream
from quantga.trust.markets import (
    HOURS_PER_YEAR,
    Undressed,
    clustered,
    dressed,
    persistent,
    posterior,
    quiet_funding,
)

NULLS = ("gbm", "garch_t", "drift")
"""Nothing to be found: constant volatility; clustered, with fat tails; a market Sharpe ratio of 1 (nothing but beta)."""

PLANTED = ("ar1", "regime", "leadlag", "funding", "volume", "tod")
"""The next return follows: the last one; a hidden regime; another asset's last; funding, the other way round; the direction
of the last bar with a burst of volume, for a day; the hour of the day."""

STAY = 240.0
"""Mean length of a regime, hours."""
_BURST_EVERY, _BURST_SIZE, _BURST_HOURS = 120.0, 8.0, 24
_BLOCK = 4  # hours of the day with a drift up, and as many with a drift down
_TAIL = 4.0

AMPLITUDES: Mapping[str, tuple[float, float, float, float]] = {
    "ar1": (0.0541, 0.0678, 0.0857, 0.1014),
    "regime": (0.0279, 0.0408, 0.0604, 0.0768),
    "leadlag": (0.0565, 0.0682, 0.0873, 0.1037),
    "funding": (0.0088, 0.0158, 0.0287, 0.0416),
    "volume": (0.0221, 0.0350, 0.0607, 0.0877),
    "tod": (0.0498, 0.0592, 0.0775, 0.0963),
}
"""Amplitudes for oracle Sharpe ratios of `LEVELS`: `calibrated` on 200 years each, volatility 0.6, 5 bp a side. On another
200 years the oracles had these ratios within 0.16; divide by the oracle on the path at hand, not by the level.
"""

LEVELS = (0.5, 1.0, 2.0, 3.0)
"""Annual Sharpe ratios that are calibrated."""


@dataclass(frozen=True, slots=True)
class Path:
    """One market before it has bars. All float64[n].

    returns: simple. expected: of each bar, what one who knows the process expects of it at the close before. leader: the
    returns of the asset that leads, zeros where there is none. bustle: what multiplies volume. funding: hourly rates.
    """

    returns: Floats = field(repr=False)
    expected: Floats = field(repr=False)
    leader: Floats = field(repr=False)
    bustle: Floats = field(repr=False)
    funding: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of market. kind: of NULLS or PLANTED; amplitude: in units of the hourly standard deviation, 0 is nothing.

    volatility: annual. years: length.
    """

    kind: str
    amplitude: float = 0.0
    volatility: float = 0.6
    years: float = 4.0

    def __post_init__(self) -> None:
        if self.kind not in (*NULLS, *PLANTED):
            raise ConfigError(f"{self.kind!r} is no family of markets: there are {', '.join((*NULLS, *PLANTED))}")

    @property
    def scale(self) -> float:
        """Standard deviation of an hour."""
        return self.volatility / float(np.sqrt(HOURS_PER_YEAR))

    def path(self, seed: int, symbol: str, start: int = 0) -> Path:
        """Return the market `symbol` of `seed` from `start` (ms UTC): the streams (seed, kind, symbol, ...)."""
        n = int(self.years * HOURS_PER_YEAR)
        chance = stream(seed, self.kind, symbol, "returns")
        noise = self.scale * chance.standard_normal(n)
        funding = quiet_funding(stream(seed, self.kind, symbol, "funding").standard_normal(n))
        none, calm = np.zeros(n), np.ones(n)
        path = Path(noise, none, none, calm, funding)
        if self.kind == "garch_t":
            shocks = chance.standard_t(_TAIL, n) * np.sqrt((_TAIL - 2) / _TAIL)
            return replace(path, returns=clustered(shocks, self.scale))
        if self.kind == "drift":
            mean = self.volatility / HOURS_PER_YEAR
            return replace(path, returns=noise + mean)
        plant = _PLANTS.get(self.kind)
        return plant(self, path, chance, _Place(seed, start)) if plant and self.amplitude else path

    def market(self, seed: int, symbols: Mapping[str, str], start: int) -> dict[str, Bars]:
        """Return bars per symbol (`symbols`: name -> base asset) from `start` (ms UTC), independent of each other.

        Every symbol has its own leader as `ref_*` columns, in whatever family, so that a grammar is the same in all.
        """
        made = {}
        for symbol, base in symbols.items():
            path = self.path(seed, symbol, start)
            leader = path.leader
            if not leader.any():
                leader = self.scale * stream(seed, self.kind, symbol, "leader").standard_normal(len(path.returns))
            core = Undressed(path.returns, self.volatility, path.bustle, path.funding)
            own = dressed(core, stream(seed, self.kind, symbol, "bars"), start, symbol, base)
            led = Undressed(leader, self.volatility)
            other = dressed(led, stream(seed, self.kind, symbol, "leader's bars"), start, "LEADER", "LEADER")
            made[symbol] = own.with_reference(other)
        return made


def family(kind: str, sharpe: float = 0.0, years: float = 4.0) -> Family:
    """Return a family whose oracle has the annual Sharpe ratio `sharpe`, net of 5 bp a side: 0 (nothing) or one of LEVELS.

    Raises:
        ConfigError: there is no such family, nothing can be planted in it, or the level is not calibrated.
    """
    made = Family(kind, years=years)
    if sharpe == 0:
        return made
    if kind not in PLANTED or sharpe not in LEVELS:
        raise ConfigError(
            f"a Sharpe ratio of {sharpe:g} is not calibrated for {kind}: take {', '.join(PLANTED)} with "
            f"{', '.join(f'{level:g}' for level in LEVELS)}"
        )
    return replace(made, amplitude=AMPLITUDES[kind][LEVELS.index(sharpe)])


@dataclass(frozen=True, slots=True)
class Policy:
    """What an oracle does: take the side of an expectation beyond `enter`, leave below `leave` (both per bar, in cost a side).

    A negative `leave` stays until the expectation is that far on the other side.
    """

    enter: float
    leave: float


_POLICIES = tuple(
    Policy(enter, enter * share)
    for enter in (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7)
    for share in (-1.0, -0.6, -0.3, 0.0, 0.3, 0.7)
)


def best_policy(path: Path, cost: float) -> tuple[Policy, float]:
    """Return the policy with the best annual Sharpe ratio on a path, net of `cost` a side and funding, and that ratio."""
    rated = [(realised(path, policy, cost), policy) for policy in _POLICIES]
    ratio, policy = max(rated, key=lambda pair: pair[0])
    return policy, ratio


@cache
def known_policy(one: Family, cost: float) -> Policy:
    """Return the best policy of one who knows the process: chosen on 100 years of it, not on the path at hand."""
    return best_policy(replace(one, years=100.0).path(0, "POLICY"), cost)[0]


def realised(path: Path, policy: Policy, cost: float) -> float:
    """Return the annual Sharpe ratio (daily returns, 365 days) of a policy on a path; 0 where it never trades."""
    if not path.expected.any():
        return 0.0
    daily = _traded(path.returns, path.expected, path.funding, policy.enter * cost, policy.leave * cost, cost)
    spread = float(daily.std(ddof=1))
    return float(np.sqrt(365)) * float(daily.mean()) / spread if spread > 0 else 0.0


def calibrated(kind: str, sharpe: float, cost: float, years: float, seed: int) -> float:
    """Return the amplitude at which the oracle of a family has `sharpe`, on one path of `years` years.

    Bisection of the amplitude for a policy, and the best policy for an amplitude, in turn.
    """
    amplitude = 0.06
    for _ in range(3):
        policy, _ = best_policy(Family(kind, amplitude, years=years).path(seed, "A"), cost)
        low, high = 0.0, 0.4
        for _ in range(11):
            amplitude = (low + high) / 2
            ratio = realised(Family(kind, amplitude, years=years).path(seed, "A"), policy, cost)
            low, high = (amplitude, high) if ratio < sharpe else (low, amplitude)
    return amplitude


@dataclass(frozen=True, slots=True)
class _Place:
    seed: int
    start: int


def _plant_ar1(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    del chance, place
    returns = _echoed(path.returns, one.amplitude)
    return replace(path, returns=returns, expected=_delayed(one.amplitude * returns))


def _plant_regime(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    del place
    n, drift = len(path.returns), one.amplitude * one.scale
    side = np.where(np.cumsum(chance.random(n) < 1 / STAY) % 2 == 0, 1.0, -1.0)
    returns = path.returns + drift * side
    up = posterior(returns, drift, one.scale, STAY)
    return replace(path, returns=returns, expected=_delayed(drift * (2 * up - 1) * (1 - 2 / STAY)))


def _plant_leadlag(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    del place
    leader = one.scale * chance.standard_normal(len(path.returns))
    expected = _delayed(one.amplitude * leader)
    return replace(path, returns=path.returns + expected, expected=expected, leader=leader)


def _plant_funding(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    """Rates are charged one bar, published with the next, and so tell of the one after."""
    del place
    shocks = chance.standard_normal(len(path.returns))
    known = _delayed(_delayed(np.clip(persistent(shocks, 0.97), -3.0, 3.0)))
    expected = -one.amplitude * one.scale * known
    return replace(path, returns=path.returns + expected, expected=expected, funding=quiet_funding(shocks))


def _plant_volume(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    del place
    burst = chance.random(len(path.returns)) < 1 / _BURST_EVERY
    returns, expected = _followed(path.returns, burst, one.amplitude * one.scale)
    return replace(path, returns=returns, expected=expected, bustle=np.where(burst, _BURST_SIZE, 1.0))


def _plant_tod(one: Family, path: Path, chance: np.random.Generator, place: _Place) -> Path:
    """The hours are the same for every symbol of a seed."""
    del chance
    first = int(stream(place.seed, one.kind, "hours").integers(0, 24))
    hour = (place.start // HOUR_MS + np.arange(len(path.returns)) - first) % 24
    side = (hour < _BLOCK).astype(np.float64) - ((hour >= 12) & (hour < 12 + _BLOCK))
    expected = one.amplitude * one.scale * side
    return replace(path, returns=path.returns + expected, expected=expected)


_PLANTS: Mapping[str, Callable[[Family, Path, np.random.Generator, _Place], Path]] = {
    "ar1": _plant_ar1,
    "regime": _plant_regime,
    "leadlag": _plant_leadlag,
    "funding": _plant_funding,
    "volume": _plant_volume,
    "tod": _plant_tod,
}


def _delayed(values: Floats) -> Floats:
    return np.concatenate(([0.0], values[:-1]))


@njit
def _echoed(noise: Floats, share: float) -> Floats:
    """First-order autoregression with coefficient `share`."""
    out = np.empty(len(noise))
    last = 0.0
    for i in range(len(noise)):
        last = share * last + noise[i]
        out[i] = last
    return out


@njit
def _followed(noise: Floats, burst: NDArray[np.bool_], drift: float) -> tuple[Floats, Floats]:
    """Returns and expectations where each burst is followed, for a day, by a drift in its own bar's direction."""
    returns, expected = np.empty(len(noise)), np.zeros(len(noise))
    side, left = 0.0, 0
    for i in range(len(noise)):
        if left > 0:
            expected[i] = drift * side
            left -= 1
        returns[i] = noise[i] + expected[i]
        if burst[i]:
            side = 1.0 if returns[i] > 0 else -1.0
            left = _BURST_HOURS
    return returns, expected


@njit
def _traded(returns: Floats, expected: Floats, funding: Floats, enter: float, leave: float, cost: float) -> Floats:
    """Daily net returns, float64[n // 24], of the policy: the position of a bar follows what is expected of it."""
    daily = np.zeros(len(returns) // 24)
    held = 0.0
    for i in range(len(daily) * 24):
        wanted = held
        if expected[i] > enter:
            wanted = 1.0
        elif expected[i] < -enter:
            wanted = -1.0
        elif held * expected[i] < leave:
            wanted = 0.0
        daily[i // 24] += wanted * (returns[i] - funding[i]) - cost * abs(wanted - held)
        held = wanted
    return daily
