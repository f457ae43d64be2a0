"""VectorBT at its best: one portfolio per program, or many programs as columns, on either of its two engines.

Two ways to the figures. `usual`: the portfolio's own methods, on returns per bar, as its documentation shows. `lean`: the
equity alone from VectorBT, then the very figures of quantga, on daily closes, in NumPy. Both are timed; neither is
what a better user would still write otherwise, as far as its options could be tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from quantga.bench.baselines import Obvious
from quantga.engine.costs import Costs
from quantga.lang.bars import DAY_MS, Bars, Floats, Ints
from quantga.lang.program import Program

type Way = Literal["usual", "lean"]

FIGURES = ("total_return", "sharpe", "max_drawdown", "trades")
WAYS: tuple[Way, ...] = ("usual", "lean")
_CLOSED = 1  # status of a trade in VectorBT's records


@cache
def library() -> Any:
    """Return VectorBT, whose import takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt  # noqa: PLC0415

    return vectorbt


def engines() -> tuple[str, ...]:
    """Return the engines that are installed."""
    library()
    from vectorbt._engine import is_rust_available  # noqa: PLC0415

    return ("numba", "rust") if is_rust_available() else ("numba",)


@dataclass(frozen=True)
class Desk:
    """One market and one set of costs for VectorBT. close: with its time index; day_end: the last row of each day."""

    bars: Bars
    costs: Costs
    close: Any
    day_end: Ints
    freq: str

    @classmethod
    def of(cls, bars: Bars, costs: Costs) -> Desk:
        """Return the desk; VectorBT knows neither funding nor lots nor margin nor stops of ours."""
        index = pd.to_datetime(bars.time, unit="ms")
        day_end = np.flatnonzero(np.append(np.diff(bars.time // DAY_MS), 1))
        return cls(bars, costs, pd.Series(bars["close"], index), day_end, f"{bars.interval // 1000}s")

    def portfolio(self, wanted: Floats, engine: str) -> Any:
        """Return the portfolio of one program, float64[n], or of several, float64[n, columns]: all in at the next open."""
        before = np.empty_like(wanted)
        before[0], before[1:] = np.nan, wanted[:-1]
        leave = before == 0
        price = self.bars["open"] if wanted.ndim == 1 else self.bars["open"][:, None]
        return library().Portfolio.from_signals(
            self.close, before == 1, leave, before == -1, leave, price=price, size=np.inf, fees=self.costs.fee,
            slippage=self.costs.slippage, init_cash=self.costs.capital, freq=self.freq, engine=engine,
        )  # fmt: skip

    def figures(self, portfolio: Any, way: Way) -> Floats:
        """Return FIGURES, float64[4] or float64[4, columns]."""
        if way == "usual":
            found = [
                portfolio.total_return(),
                portfolio.sharpe_ratio(),
                portfolio.max_drawdown(),
                portfolio.trades.count(),
            ]
            return np.array([np.asarray(one, dtype=np.float64) for one in found])
        equity = portfolio.value().to_numpy()[self.day_end]
        records = portfolio.trades.values
        closed = records["col"][records["status"] == _CLOSED]
        trades = np.bincount(closed, minlength=1 if equity.ndim == 1 else equity.shape[1])
        return np.array([*_daily(equity, self.costs.capital), trades[0] if equity.ndim == 1 else trades])


def _daily(equity: Floats, capital: float) -> tuple[Floats, Floats, Floats]:
    """Return total return, annual Sharpe ratio and largest drawdown of daily closes, along the first axis."""
    levels = np.concatenate([np.full_like(equity[:1], capital), equity])
    returns = np.diff(levels, axis=0) / levels[:-1]
    with np.errstate(all="ignore"):
        sharpe = returns.mean(axis=0) / returns.std(axis=0, ddof=1) * np.sqrt(365.0)
    drawdown = (levels / np.maximum.accumulate(levels, axis=0) - 1).min(axis=0)
    return levels[-1] / capital - 1, sharpe, drawdown


def one_by_one(obvious: Obvious, desk: Desk, trees: Sequence[tuple[Any, Program]], engine: str, way: Way) -> Floats:
    """Appraise trees as the obvious program does, each for itself: float64[programs, 4]."""
    rows = np.empty((len(trees), len(FIGURES)))
    for row, (tree, program) in zip(rows, trees, strict=True):
        row[:] = desk.figures(desk.portfolio(obvious.wanted(tree, program.lookback), engine), way)
    return rows


def batched(
    obvious: Obvious, desk: Desk, trees: Sequence[tuple[Any, Program]], engine: str, way: Way, columns: int
) -> Floats:
    """Appraise trees as columns of one portfolio, `columns` at a time: float64[programs, 4]."""
    rows = np.empty((len(trees), len(FIGURES)))
    for at in range(0, len(trees), columns):
        part = trees[at : at + columns]
        wanted = np.empty((len(desk.bars), len(part)))
        for column, (tree, program) in enumerate(part):
            wanted[:, column] = obvious.wanted(tree, program.lookback)
        rows[at : at + len(part)] = desk.figures(desk.portfolio(wanted, engine), way).T
    return rows
