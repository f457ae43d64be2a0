"""Markets made of chance: with an edge of known strength planted in them, or with none.

A search on a market in which nothing can be found shows what luck looks like; the same search on the same chance with
an edge planted shows what it can find. Both come from one stream, so that the edge is the only difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from quantga.lang.bars import DAY_MS, HOUR_MS, Bars, Floats
from quantga.lang.jit import njit
from quantga.streams import stream

HOURS_PER_YEAR = 8_760


@dataclass(frozen=True, slots=True)
class Regime:
    """Hourly bars whose expected return is +-`drift` standard deviations, in hidden regimes of `stay` hours on average.

    drift: in units of the hourly standard deviation; 0 plants nothing.
    volatility: annual. tail: degrees of freedom of the t-distributed shocks. years: length.
    Volatility clusters (GARCH(1,1)); volume rises with the size of the bar and has a daily rhythm; funding is small,
    persistent and knows nothing of what comes.
    """

    drift: float = 0.0
    stay: float = 240.0
    volatility: float = 0.6
    tail: float = 5.0
    years: float = 2.0

    def market(self, seed: int, symbols: Mapping[str, str], start: int) -> dict[str, Bars]:
        """Return bars per symbol (`symbols`: name -> base asset), independent of each other, from `start` (ms UTC)."""
        return {symbol: self._bars(seed, symbol, base, start) for symbol, base in symbols.items()}

    def returns(self, seed: int, symbol: str) -> tuple[Floats, Floats]:
        """Return (simple returns, expected returns given the hidden regime), float64[hours] each."""
        n = int(self.years * HOURS_PER_YEAR)
        chance = stream(seed, "market", symbol)
        scale = self.volatility / np.sqrt(HOURS_PER_YEAR)
        shocks = chance.standard_t(self.tail, n) * np.sqrt((self.tail - 2) / self.tail)
        flips = chance.random(n) < 1 / self.stay
        regime = np.where(np.cumsum(flips) % 2 == 0, 1.0, -1.0)
        expected = self.drift * scale * regime
        return clustered(shocks, scale) + expected, expected

    def _bars(self, seed: int, symbol: str, base: str, start: int) -> Bars:
        returns, _ = self.returns(seed, symbol)
        chance = stream(seed, "bars", symbol)
        return dressed(Undressed(returns, self.volatility), chance, start, symbol, base)


@dataclass(frozen=True, slots=True)
class Undressed:
    """What bars are made around.

    returns: simple, float64[n]. volatility: annual. bustle: what multiplies volume, float64[n]. funding: hourly rates,
    float64[n]; where not given they are small, persistent and know nothing.
    """

    returns: Floats
    volatility: float
    bustle: Floats | None = None
    funding: Floats | None = None


def dressed(core: Undressed, chance: np.random.Generator, start: int, symbol: str, base: str) -> Bars:
    """Return hourly bars from `start` (ms UTC) whose closes have the returns of `core`.

    Bars open next to the close before; wicks are random; volume rises with the size of the bar and has a daily rhythm.
    """
    returns, scale = core.returns, core.volatility / np.sqrt(HOURS_PER_YEAR)
    n = len(returns)
    close = 100.0 * np.cumprod(1 + np.maximum(returns, -0.9))
    before = np.concatenate(([100.0], close[:-1]))
    gap = 1 + 0.02 * scale * chance.standard_normal(n)
    open_ = before * gap
    reach = np.abs(chance.standard_normal((2, n))) * 0.4 * core.volatility / np.sqrt(HOURS_PER_YEAR)
    rhythm = 1 + 0.5 * np.sin(2 * np.pi * (np.arange(n) % 24) / 24)
    size = (0.5 + chance.gamma(2.0, 0.5, n)) * rhythm * (1 + 30 * np.abs(returns))
    if core.bustle is not None:
        size = size * core.bustle
    funding = core.funding if core.funding is not None else quiet_funding(chance.standard_normal(n))
    columns = {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + reach[0]),
        "low": np.minimum(open_, close) * (1 - np.minimum(reach[1], 0.5)),
        "close": close,
        "volume": size * 1e6 / close,
        "funding": funding,
    }
    time = start + HOUR_MS * np.arange(n, dtype=np.int64)
    return Bars.from_columns(time, columns, interval=HOUR_MS, symbol=symbol, base=base)


def quiet_funding(shocks: Floats) -> Floats:
    """Return hourly funding rates, float64[n], from standard normal shocks: persistent, about 11 % a year."""
    return persistent(shocks, 0.97) * 5e-6 + 1.25e-5


@njit
def clustered(shocks: Floats, scale: float) -> Floats:
    """GARCH(1,1) with alpha 0.05 and beta 0.93, unconditional standard deviation `scale`."""
    out = np.empty(len(shocks))
    variance = scale * scale
    for i in range(len(shocks)):
        out[i] = np.sqrt(variance) * shocks[i]
        variance = 0.02 * scale * scale + 0.05 * out[i] * out[i] + 0.93 * variance
    return out


@njit
def persistent(shocks: Floats, keep: float) -> Floats:
    """First-order autoregression of unit variance with coefficient `keep`, from 0."""
    out = np.empty(len(shocks))
    value = 0.0
    for i in range(len(shocks)):
        value = keep * value + np.sqrt(1 - keep * keep) * shocks[i]
        out[i] = value
    return out


@njit
def posterior(returns: Floats, drift: float, scale: float, stay: float) -> Floats:
    """P(regime is up | returns up to and including t) for Gaussian shocks of constant size: the Bayes filter."""
    out = np.empty(len(returns))
    up = 0.5
    for i in range(len(returns)):
        prior = up * (1 - 1 / stay) + (1 - up) / stay
        odds = np.exp(min(max(2 * drift * returns[i] / (scale * scale), -50.0), 50.0))
        up = prior * odds / (prior * odds + 1 - prior)
        out[i] = up
    return out


def oracle_sharpe(family: Regime, seed: int, symbol: str, cost: float) -> float:
    """Annual Sharpe ratio (daily returns, 365 days), net of `cost` per side, of one who knows the process but not the regime.

    The policy is a hysteresis band on the filtered probability of the up regime: long above 1 - b, short below b, else
    unchanged, with the best b of a grid. It is what a search could at most hope for.
    """
    if family.drift == 0:
        return 0.0  # who knows that there is nothing does nothing
    returns, _ = family.returns(seed, symbol)
    scale = family.volatility / np.sqrt(HOURS_PER_YEAR)
    up = posterior(returns, family.drift * scale, scale, family.stay)
    return max(_band_sharpe(returns, up, band, cost) for band in (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4))


def _band_sharpe(returns: Floats, up: Floats, band: float, cost: float) -> float:
    wish = np.where(up > 1 - band, 1.0, np.where(up < band, -1.0, np.nan))
    last = np.maximum.accumulate(np.where(np.isnan(wish), -1, np.arange(len(wish))))
    position = np.where(last >= 0, wish[np.maximum(last, 0)], 0.0)
    held = np.concatenate(([0.0], position[:-1]))
    net = held * returns - cost * np.abs(np.diff(np.concatenate(([0.0], held))))
    days = len(net) // (DAY_MS // HOUR_MS)
    daily = net[: days * 24].reshape(days, 24).sum(axis=1)
    return float(np.sqrt(365) * daily.mean() / daily.std(ddof=1))
