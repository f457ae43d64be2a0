"""Several assets judged as one account: an equal share of the capital on each, dealt out anew every day.

The pooled return of a day is the mean over the assets that have the day; what a constant position would have earned is
taken away per asset and per slice of time before the score is formed, so that a trend of the market earns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantga.engine.accounts import Asset, Kept, figure_rows, read_only
from quantga.engine.metrics import (
    T_FEES,
    T_FUNDING,
    T_LIQUIDATED,
    T_TURNOVER,
    TALLIES,
    market_figures,
    mean_of,
    returns_of,
    slice_sharpes,
)
from quantga.errors import ConfigError
from quantga.lang.bars import Floats, Ints
from quantga.lang.jit import njit


@dataclass(frozen=True)
class Pool:
    """Assets over a common calendar.

    number: int64[days], the UTC days that any asset has; present: float64[assets, days], 1 or 0; share: float64[assets,
    slices], the part that each asset has in the days of a slice; bars: float64[assets, slices], each asset's bars in it.
    """

    assets: tuple[Asset, ...]
    number: Ints
    present: Floats
    share: Floats
    bars: Floats

    @classmethod
    def of(cls, assets: Sequence[Asset], slices: int) -> Pool:
        """Return the pool, its time cut into `slices`. ConfigError where a slice would have fewer than two days."""
        if not assets:
            raise ConfigError("no market was given: name at least one symbol")
        number = np.unique(np.concatenate([asset.days.number for asset in assets]))
        if len(number) < 2 * slices:
            raise ConfigError(f"{slices} slices need at least {2 * slices} days; there are {len(number)}")
        ends = np.arange(1, slices + 1) * len(number) // slices
        present = np.array([np.isin(number, asset.days.number) for asset in assets], dtype=np.float64)
        share = present / present.sum(axis=0)
        parts = [share[:, a:b] for a, b in zip(np.append(0, ends), ends, strict=False)]
        cut = tuple(replace(asset, cuts=read_only(_rows_until(asset, number[ends - 1]))) for asset in assets)
        return cls(
            cut,
            number,
            present,
            np.array([[mean_of(np.ascontiguousarray(row)) for row in part] for part in parts]).T,
            np.array([np.diff(asset.cuts, prepend=0) for asset in cut], dtype=np.float64),
        )

    def judge(self, kept: Sequence[Kept], capital: float) -> tuple[Floats, Floats]:
        """Return the figures, float64[n, len(KEYS)], and the Sharpe ratio of every slice, float64[n, slices].

        kept: the programs' accounts on each asset, one row per program.
        """
        days = len(self.number)
        returns, market, net = np.zeros((len(kept[0].daily), days)), np.zeros(days), np.zeros(days)
        counts = self.present.sum(axis=0)
        drifts, whole = np.zeros((len(returns), self.share.shape[1])), np.zeros(len(returns))
        tallies = np.zeros((len(returns), len(TALLIES)))
        for asset, one, share, bars, present in zip(
            self.assets, kept, self.share, self.bars, self.present, strict=True
        ):
            at = np.flatnonzero(present)
            _pool(one.daily, capital, at, counts, returns)
            market[at] += asset.days.returns / counts[at]
            net[at] += asset.days.net / counts[at]
            mean = mean_of(asset.days.net)
            weights = np.diff(one.weights, axis=1, prepend=0.0)
            with np.errstate(over="ignore", invalid="ignore"):
                drifts += np.divide(weights, bars, out=np.zeros_like(weights), where=bars > 0) * mean * share
                whole += one.weights[:, -1] / len(asset.bars) * mean * mean_of(present / counts)
            tallies += one.state[:, : len(TALLIES)]
        tallies[:, [T_FEES, T_FUNDING, T_TURNOVER]] /= len(kept)
        tallies[:, T_LIQUIDATED] = np.minimum(tallies[:, T_LIQUIDATED], 1.0)
        about_mean = np.empty(days)
        facts = market_figures(market, net, sum(len(asset.bars) for asset in self.assets), about_mean)
        daily = kept[0].daily if len(kept) == 1 else _compound(returns, capital)
        figures, _ = figure_rows(daily, tallies, whole, facts, about_mean, capital)
        return figures, _sharpes(returns, drifts)


def _rows_until(asset: Asset, last_days: Ints) -> Ints:
    """Return, for each slice's last day, the asset's row after its last bar until then."""
    place = np.searchsorted(asset.days.number, last_days, side="right")
    rows = np.append(0, asset.days.last_row + 1)
    found: Ints = rows[place]
    return found


@njit
def _pool(daily: Floats, capital: float, at: Ints, counts: Floats, returns: Floats) -> None:
    own = np.empty(daily.shape[1])
    for p in range(len(daily)):
        returns_of(daily[p], capital, own)
        for i in range(len(own)):
            returns[p, at[i]] += own[i] / counts[at[i]]


@njit
def _compound(returns: Floats, capital: float) -> Floats:
    daily = np.empty_like(returns)
    for p in range(len(returns)):
        equity = capital
        for i in range(returns.shape[1]):
            equity *= 1.0 + returns[p, i]
            daily[p, i] = equity
    return daily


@njit
def _sharpes(returns: Floats, drifts: Floats) -> Floats:
    found = np.empty_like(drifts)
    for p in range(len(returns)):
        slice_sharpes(returns[p], drifts[p], found[p])
    return found
