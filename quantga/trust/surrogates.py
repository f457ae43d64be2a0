"""Markets in which nothing can be found: the given market with what could be predicted removed and the rest kept.

The same search on such markets shows what luck alone reaches with this data, this grammar and this budget, which is what
a champion has to be compared with. Two of them exist. A block bootstrap does not: edges shorter than a block survive it.

Every bar is taken as four excursions from the close before it (open, high, low, close), less the mean return and less
what holding it cost in funding; chance changes those, and prices are compounded from them again. Funding itself, volume
and every other column stay at their time. So each surrogate is a null for what a holder earns net of funding: a rule that
only collects funding earns nothing there either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantga.errors import BadBars, ConfigError
from quantga.lang.bars import PRICES, Bars, Floats
from quantga.lang.jit import njit
from quantga.streams import stream

type Market = Mapping[str, Bars]
"""Bars by symbol, all of one interval."""

CAP = 0.9
"""Larger excursions count as this much, in both directions, so that a reflected price stays positive."""

_LEAST = -0.99


class _Shape(NamedTuple):
    """Excursions per bar from the close before it, float64[n]; NaN where there is no bar, or none before it."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


class _Part(NamedTuple):
    """One series of prices of the market, on the market's common clock of bar numbers."""

    bars: Bars
    shape: _Shape
    funding: Floats
    rows: slice


def sign_flipped(market: Market, seed: int, number: int) -> dict[str, Bars]:
    """Return the market with every bar reflected or not by one fair coin per bar number, the same for all symbols.

    Exact for returns that are symmetric given the past. Kept: the size of every detrended return, volatility clustering,
    its link with volume, correlation between symbols, absent bars, every other column. Destroyed: drift, whatever
    predicts a direction, and the link between direction and later volatility.

    Args:
        market: bars by symbol, of one interval.
        seed: of the run.
        number: of the surrogate; the coins are the stream (seed, "surrogate", "sign", number).

    Raises:
        BadBars: the market is empty, or mixes intervals.
    """
    parts, length = _parts(market)
    coins = stream(seed, "surrogate", "sign", number).integers(0, 2, length).astype(np.float64) * 2.0 - 1.0

    def change(part: _Part) -> tuple[_Shape, Floats]:
        return part.shape, coins[part.rows]

    return _rebuilt(market, parts, change)


def permuted(market: Market, seed: int, number: int) -> dict[str, Bars]:
    """Return the market with its bars in another order, the same for all symbols.

    Bars change places only with bars at which the same symbols are present, so absent bars stay where they are. Kept: every
    detrended return with its bar's shape, correlation between symbols within a bar, every other column at its time.
    Destroyed: whatever predicts, and volatility clustering with it. The mean return is taken out as in `sign_flipped`.

    Args and errors as `sign_flipped`; the order is the stream (seed, "surrogate", "order", number).
    """
    parts, length = _parts(market)
    present = np.zeros((len(parts), length), dtype=np.bool_)
    for row, part in enumerate(parts.values()):
        present[row, part.rows] = ~np.isnan(part.shape.close)
    source = np.arange(length)
    chance = stream(seed, "surrogate", "order", number)
    group = np.unique(present, axis=1, return_inverse=True)[1].ravel()
    for one in range(int(group.max()) + 1):
        members = np.flatnonzero(group == one)
        source[members] = chance.permutation(members)

    def change(part: _Part) -> tuple[_Shape, Floats]:
        taken = source[part.rows] - part.rows.start
        inside = np.clip(taken, 0, len(part.bars) - 1)  # rows without a bar may point outside; they hold NaN either way
        outside = taken != inside
        moved = [np.where(outside, np.nan, column[inside]) for column in part.shape]
        return _Shape(*moved), np.ones(len(part.bars))

    return _rebuilt(market, parts, change)


SURROGATES: Mapping[str, Callable[[Market, int, int], dict[str, Bars]]] = {"sign": sign_flipped, "order": permuted}
"""The surrogates by name: (market, seed, number) -> market."""


def surrogate(kind: str, market: Market, seed: int, number: int) -> dict[str, Bars]:
    """Return surrogate `number` of `kind`; ConfigError names the kinds that exist, and says why blocks are not one."""
    if kind not in SURROGATES:
        known = ", ".join(SURROGATES)
        raise ConfigError(
            f"{kind!r} is no surrogate market: there are {known}. A block bootstrap is none, since edges shorter than a "
            "block survive it"
        )
    return SURROGATES[kind](market, seed, number)


def net_returns(bars: Bars) -> Floats:
    """Return what a holder of one unit earns per bar net of funding, relative to the close before, float64[n].

    Simple returns from the last present close, less the funding rate of the bar; NaN where there is no bar or none before.
    """
    return _shape(_prices(bars, "")).close - _funding(bars)


def _parts(market: Market) -> tuple[dict[str, _Part], int]:
    """Return every series of prices with its place on the common clock, and that clock's length."""
    if not market:
        raise BadBars("a surrogate of an empty market: give the bars of at least one symbol")
    if len({bars.interval for bars in market.values()}) > 1:
        raise BadBars("a surrogate keeps symbols together bar by bar: give bars of one interval")
    first = min(bars.origin for bars in market.values())
    length = max(bars.origin + len(bars) for bars in market.values()) - first
    found = {}
    for symbol in sorted(market):
        bars = market[symbol]
        rows = slice(bars.origin - first, bars.origin - first + len(bars))
        found[symbol] = _Part(bars, _detrended(_prices(bars, ""), _funding(bars)), _funding(bars), rows)
        if "ref_close" in bars.columns and not _reference(market, bars):
            free = np.zeros(len(bars))
            found[f"{symbol}\0reference"] = _Part(bars, _detrended(_prices(bars, "ref_"), free), free, rows)
    return found, length


def _rebuilt(
    market: Market, parts: Mapping[str, _Part], change: Callable[[_Part], tuple[_Shape, Floats]]
) -> dict[str, Bars]:
    made: dict[str, Bars] = {}
    for symbol in market:
        bars = market[symbol]
        columns = _compounded(parts[symbol], "", change)
        if f"{symbol}\0reference" in parts:
            columns |= _compounded(parts[f"{symbol}\0reference"], "ref_", change)
        made[symbol] = bars.with_columns(columns)
    for symbol, bars in market.items():
        name = _reference(market, bars)
        if name:
            made[symbol] = made[symbol].with_reference(_without_references(made[name]))
    return made


def _compounded(part: _Part, prefix: str, change: Callable[[_Part], tuple[_Shape, Floats]]) -> dict[str, Floats]:
    shape, signs = change(part)
    names = [f"{prefix}{name}" for name in PRICES]
    out = np.array([part.bars[name] for name in names])
    _compound(out, shape, signs, part.funding)
    return dict(zip(names, out, strict=True))


def _reference(market: Market, bars: Bars) -> str:
    """Return the symbol of the market whose prices are the `ref_*` columns of `bars`; empty if there is none."""
    if "ref_close" not in bars.columns:
        return ""
    for symbol in sorted(market):
        joined = bars.with_reference(_without_references(market[symbol]))
        same = (np.array_equal(joined[f"ref_{name}"], bars[f"ref_{name}"], equal_nan=True) for name in PRICES)
        if all(same):
            return symbol
    return ""


def _without_references(bars: Bars) -> Bars:
    columns = {name: column for name, column in bars.columns.items() if not name.startswith("ref_")}
    return Bars(bars.interval, bars.origin, columns, bars.symbol, bars.base)


def _prices(bars: Bars, prefix: str) -> tuple[Floats, Floats, Floats, Floats]:
    open_, high, low, close = (bars[f"{prefix}{name}"] for name in PRICES)
    return open_, high, low, close


def _funding(bars: Bars) -> Floats:
    return bars["funding"] if "funding" in bars.columns else np.zeros(len(bars))


def _shape(prices: tuple[Floats, Floats, Floats, Floats]) -> _Shape:
    before = _close_before(prices[3])
    return _Shape(*(price / before - 1.0 for price in prices))


def _detrended(prices: tuple[Floats, Floats, Floats, Floats], funding: Floats) -> _Shape:
    """Return excursions capped, with mean and funding taken out between open and close of each bar.

    What happens before the open is left alone: who trades at the open has no part in it.
    """
    shape = _Shape(*(np.clip(column, -CAP, CAP) for column in _shape(prices)))
    drift = _mean(shape.close - funding) + funding
    close = np.clip(shape.close - drift, -CAP, CAP)
    high = np.maximum(np.clip(shape.high - drift, -CAP, CAP), np.maximum(shape.open, close))
    low = np.minimum(np.clip(shape.low - drift, -CAP, CAP), np.minimum(shape.open, close))
    return _Shape(shape.open, high, low, close)


@njit
def _close_before(close: Floats) -> Floats:
    """Return the last present close before each bar; NaN where the bar is absent or the first."""
    out = np.full(len(close), np.nan)
    last = np.nan
    for i in range(len(close)):
        if not np.isnan(close[i]):
            out[i] = last
            last = close[i]
    return out


@njit
def _mean(values: Floats) -> float:
    """Mean of the numbers among `values`, added in order (a fixed order gives the same bits everywhere); 0 of none."""
    total = 0.0
    count = 0
    for i in range(len(values)):
        if not np.isnan(values[i]):
            total += values[i]
            count += 1
    return total / count if count else 0.0


@njit
def _compound(out: NDArray[np.float64], shape: _Shape, signs: Floats, funding: Floats) -> None:
    """Overwrite rows open, high, low, close of `out`, from the first bar on, with prices compounded from excursions.

    The first bar keeps its prices: nothing comes before it. Funding is earned back between open and close, so that the
    holder's net return is the excursion alone.
    """
    xo, xh, xl, xc = shape
    last = np.nan
    for i in range(out.shape[1]):
        if np.isnan(out[3, i]):
            continue
        if not np.isnan(xc[i]):
            sign, pay = signs[i], funding[i]
            top, bottom = (xh[i], xl[i]) if sign > 0 else (-xl[i], -xh[i])
            opened, closed = sign * xo[i], max(sign * xc[i] + pay, _LEAST)
            top = max(top + pay, opened, closed)
            bottom = max(min(bottom + pay, opened, closed), _LEAST)
            out[0, i] = last * (1.0 + opened)
            out[1, i] = last * (1.0 + top)
            out[2, i] = last * (1.0 + bottom)
            out[3, i] = last * (1.0 + closed)
        last = out[3, i]
