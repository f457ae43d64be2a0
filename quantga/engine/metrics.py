"""Equity to numbers: every figure stated once, undefined is None with a reason, and the same bits everywhere.

Ranking is by daily returns (UTC closes, 365 days a year), because hourly Sharpe ratios scale with autocorrelation.
Sums run in one fixed order; docs/metrics.md has the formulas.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from quantga.engine.elementary import normal_cdf, power
from quantga.lang.jit import njit

type Floats = NDArray[np.float64]
type Codes = NDArray[np.uint8]

_FEW = 16  # values that are sorted by putting each in its place
_HALVINGS = 40
DAYS = 365.0
"""Days in a year: crypto trades on all of them."""

KEYS = (
    *("total_return", "cagr", "sharpe", "sortino", "calmar", "volatility", "max_drawdown", "max_drawdown_days"),
    *("ulcer", "var_95", "cvar_95", "skew", "kurtosis", "best_day", "worst_day", "tail_ratio", "psr"),
    *("alpha_sharpe", "market_return", "beta", "correlation", "trades", "win_rate", "profit_factor", "expectancy"),
    *("exposure", "mean_position", "turnover", "mean_holding_bars", "fees", "funding", "long_share"),
    *("final_equity", "liquidated", "days"),
)
"""The metrics, in the order of a row of figures; docs/metrics.md says what each is."""
(TOTAL_RETURN, CAGR, SHARPE, SORTINO, CALMAR, VOLATILITY, MAX_DRAWDOWN, MAX_DRAWDOWN_DAYS) = range(8)
(ULCER, VAR_95, CVAR_95, SKEW, KURTOSIS, BEST_DAY, WORST_DAY, TAIL_RATIO, PSR) = range(8, 17)
(ALPHA_SHARPE, MARKET_RETURN, BETA, CORRELATION, TRADES, WIN_RATE, PROFIT_FACTOR, EXPECTANCY) = range(17, 25)
(EXPOSURE, MEAN_POSITION, TURNOVER, MEAN_HOLDING_BARS, FEES, FUNDING, LONG_SHARE) = range(25, 32)
(FINAL_EQUITY, LIQUIDATED, N_DAYS) = range(32, len(KEYS))
COUNTS = frozenset({"max_drawdown_days", "trades", "days"})
"""Keys whose values are whole numbers; `liquidated` is a bool, all others are floats."""

REASONS = (
    "",
    "it needs at least two days",
    "it needs at least three days",
    "it needs at least four days",
    "daily returns do not vary",
    "no day lost",
    "equity never fell below its peak",
    "the numbers are too large",
    "the 5th percentile of daily returns is 0",
    "the market's daily returns do not vary",
    "no trade was closed",
    "no closed trade lost",
    "nothing was held",
    "the ratio's variance is not positive",
)
"""Why a figure is undefined, by code; 0 is defined."""
(_DEFINED, _TWO_DAYS, _THREE_DAYS, _FOUR_DAYS, _CONSTANT, _NO_LOSS, _NO_DRAWDOWN, _OVERFLOW) = range(8)
(_NO_TAIL, _STILL_MARKET, _NO_TRADE, _NO_LOSER, _NOTHING_HELD, _NO_VARIANCE) = range(8, len(REASONS))

TALLIES = (
    *("trades", "wins", "won", "lost", "bars_in_trades", "fees", "funding", "held_bars", "long_bars", "turnover"),
    *("weight", "liquidated"),
)
"""What the ledger counts over the window, as a row of floats; the first fields of its state.

trades: closed ones, of which `wins` ended above zero after fees and funding; won, lost: the sums of their profits and
losses (both >= 0, USDC); bars_in_trades: bars from entry to exit, summed; fees, funding: paid (USDC; funding received
is negative); held_bars, long_bars: bars over which a position, a long one, was held; turnover: sum of traded value
over equity; weight: sum over the bars of the position's signed value over equity; liquidated: 0 or 1.
"""
(T_TRADES, T_WINS, T_WON, T_LOST, T_BARS_IN_TRADES, T_FEES, T_FUNDING) = range(7)
(T_HELD_BARS, T_LONG_BARS, T_TURNOVER, T_WEIGHT, T_LIQUIDATED) = range(7, len(TALLIES))

MARKET = ("bars", "total", "mean_net", "squares")
"""What is known of the market as a whole: the bars of the window, its return over them, the mean of its daily returns
net of funding, and the squares of its daily returns about their mean, summed."""
M_BARS, M_TOTAL, M_MEAN_NET, M_SQUARES = range(len(MARKET))


@njit
def returns_of(daily: Floats, capital: float, out: Floats) -> None:
    """Write the daily returns of an account that closed its days at `daily`; 0 once there is nothing left."""
    before = capital
    for i in range(len(daily)):
        out[i] = daily[i] / before - 1.0 if before > 0.0 else 0.0
        before = daily[i]


@njit
def mean_of(values: Floats) -> float:
    """Return the mean, summed from first to last."""
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


@njit
def lowest(values: Floats, count: int, sign: float) -> Floats:
    """Return the `count` smallest of sign x values as a heap: the first is their largest, one of the next two follows."""
    heap = np.full(count + 1, math.inf)
    heap[count] = -math.inf  # a place without a value: never the larger child
    for value in values:
        signed = sign * value
        if signed < heap[0]:
            place, child = 0, 1
            while child < count:
                one, other = heap[child], heap[child + 1]
                child += other > one  # not a branch, which a processor would guess wrongly half of the time
                larger = max(one, other)
                if larger <= signed:
                    break
                heap[place] = larger
                place, child = child, 2 * child + 1
            heap[place] = signed
    return heap[:count]


@njit
def largest_two(values: Floats, count: int, low: float, high: float) -> Floats:
    """Return what `lowest` with sign -1 holds in front: minus the `count`-th largest value, then minus the one above it.

    low, high: the least and the largest value. Halving their distance and counting is cheaper than a heap, whose every
    step is a guess; where too many values are equal, the heap it is.
    """
    above, inside, floor = 0, len(values), -math.inf  # of values above `high`; of those up to it and above `floor`
    for _ in range(_HALVINGS):
        middle = low + (high - low) * 0.5
        if inside <= _FEW or not low < middle < high:
            break
        found = 0
        for i in range(len(values)):
            found += 1 if values[i] > middle else 0
        if found <= count - 2:
            above, high, inside = found, middle, inside + above - found
        elif found >= count:
            low, floor, inside = middle, middle, found - above
        else:
            break
    few, size = np.empty(_FEW), 0
    if inside <= _FEW and count > 1:
        for value in values:
            if floor < value <= high:
                place = size
                while place > 0 and few[place - 1] < value:
                    few[place] = few[place - 1]
                    place -= 1
                few[place] = value
                size += 1
    if size < count - above:
        return lowest(values, count, -1.0)
    return np.array([-few[count - 1 - above], -few[count - 2 - above]])


@njit
def _percentile(heap: Floats, position: float) -> float:
    """Return the value at a fractional position by linear interpolation, as NumPy's percentile does."""
    if len(heap) == 1:
        value: float = heap[0]
        return value
    below: float = heap[1] if len(heap) == 2 else max(heap[1], heap[2])
    above: float = heap[0]
    return below + (above - below) * (position - int(position))


@njit
def probabilistic_sharpe(sharpe: float, days: int, skew: float, kurtosis: float) -> float:
    """Return the probability that the true Sharpe ratio is above 0 (Bailey & Lopez de Prado 2012).

    `sharpe` is per day, `kurtosis` is in excess of 3. NaN where the estimated variance is not positive.
    """
    variance = 1.0 - skew * sharpe + (kurtosis + 2.0) / 4.0 * sharpe * sharpe
    if not variance > 0.0:
        return math.nan
    return normal_cdf(sharpe * math.sqrt(days - 1.0) / math.sqrt(variance))


@njit
def market_figures(returns: Floats, net: Floats, bars: int, about_mean: Floats) -> Floats:
    """Return MARKET and write the daily returns less their mean to `about_mean`.

    returns: the market's own, close to close, the first against the first open; net: less the funding a long pays.
    """
    found = np.zeros(len(MARKET))
    found[M_BARS], found[M_MEAN_NET] = bars, mean_of(net)
    mean, grown, varies = mean_of(returns), 1.0, False
    for i in range(len(returns)):
        grown *= 1.0 + returns[i]
        about_mean[i] = returns[i] - mean
        varies = varies or returns[i] != returns[0]
        found[M_SQUARES] += about_mean[i] * about_mean[i]
    found[M_TOTAL] = grown - 1.0
    if not varies:
        found[M_SQUARES] = 0.0
    return found


@njit
def figures(  # noqa: PLR0913, PLR0917 (a kernel takes its arrays)
    daily: Floats, capital: float, tallies: Floats, drift: float, market: Floats, market_about_mean: Floats,
    out: Floats, why: Codes,
) -> None:  # fmt: skip
    """Write every metric of one account to `out` (NaN: undefined) and the reasons to `why`, in the order of KEYS.

    daily: equity at each UTC day's close; tallies: as TALLIES; drift: what the mean position earned a day by the market's
    mean return; market, market_about_mean: from `market_figures`.
    """
    out[:] = math.nan
    why[:] = _DEFINED
    days = len(daily)
    returns = np.empty(days)
    mean = _levels(daily, capital, returns, out, why)
    both = _moments(returns, mean, market_about_mean, out, why)
    _tails(returns, out, why)
    _counted(tallies, market[M_BARS], days, out, why)
    out[N_DAYS] = days
    out[MARKET_RETURN] = market[M_TOTAL]
    if out[MAX_DRAWDOWN] < 0.0:
        out[CALMAR], why[CALMAR] = out[CAGR] / -out[MAX_DRAWDOWN], why[CAGR]
    else:
        why[CALMAR] = _NO_DRAWDOWN
    why[ALPHA_SHARPE] = why[SHARPE]
    if why[SHARPE] == _DEFINED:
        out[ALPHA_SHARPE] = (mean - drift) / out[VOLATILITY] * DAYS
    why[BETA] = why[CORRELATION] = _TWO_DAYS if days < 2 else _STILL_MARKET
    if days > 1 and market[M_SQUARES] > 0.0:
        out[BETA], why[BETA] = both / market[M_SQUARES], _DEFINED
        why[CORRELATION] = why[SHARPE]
        if why[SHARPE] == _DEFINED:
            spread = out[VOLATILITY] / math.sqrt(DAYS) * math.sqrt(days - 1.0)
            out[CORRELATION] = both / (spread * math.sqrt(market[M_SQUARES]))
    for key in range(len(out)):
        if why[key] == _DEFINED and not math.isfinite(out[key]):
            out[key], why[key] = math.nan, _OVERFLOW


@njit
def _levels(daily: Floats, capital: float, returns: Floats, out: Floats, why: Codes) -> float:
    """Write the daily returns, and the figures of one pass over them; return their mean."""
    days = len(daily)
    before, peak, total, downside, squares = capital, capital, 0.0, 0.0, 0.0
    best, worst, deepest, under, longest = -math.inf, math.inf, 0.0, 0, 0
    for i in range(days):
        equity = daily[i]
        value = equity / before - 1.0 if before > 0.0 else 0.0
        drawdown = equity / peak - 1.0
        returns[i] = value
        total += value
        squares += min(drawdown, 0.0) * min(drawdown, 0.0)
        downside += min(value, 0.0) * min(value, 0.0)
        best, worst, deepest = max(best, value), min(worst, value), min(deepest, drawdown)
        under = 0 if equity >= peak else under + 1
        longest = max(longest, under)
        before, peak = equity, max(peak, equity)
    mean = total / days
    grown = power(before / capital, DAYS / days)
    out[FINAL_EQUITY], out[TOTAL_RETURN], out[CAGR] = before, before / capital - 1.0, grown - 1.0
    out[BEST_DAY], out[WORST_DAY], out[MAX_DRAWDOWN], out[MAX_DRAWDOWN_DAYS] = best, worst, deepest, longest
    if days > 1:
        out[ULCER] = math.sqrt(squares / (days - 1))
    else:
        why[ULCER] = _TWO_DAYS
    if downside > 0.0:
        out[SORTINO] = mean / math.sqrt(downside / days) * math.sqrt(DAYS)
    else:
        why[SORTINO] = _NO_LOSS
    return mean


@njit
def _moments(returns: Floats, mean: float, market_about_mean: Floats, out: Floats, why: Codes) -> float:
    """Write the figures of the moments about the mean; return the sum of products with the market's."""
    days = len(returns)
    second, third, fourth, both = 0.0, 0.0, 0.0, 0.0
    for i in range(days):
        d = returns[i] - mean
        square = d * d
        second += square
        third += square * d
        fourth += square * square
        both += d * market_about_mean[i]
    constant = _CONSTANT if out[BEST_DAY] == out[WORST_DAY] else _DEFINED
    why[VOLATILITY] = _TWO_DAYS if days < 2 else _DEFINED
    why[SHARPE] = _TWO_DAYS if days < 2 else constant
    why[SKEW] = _THREE_DAYS if days < 3 else constant
    why[KURTOSIS] = why[PSR] = _FOUR_DAYS if days < 4 else constant
    if days > 1:
        out[VOLATILITY] = math.sqrt(second / (days - 1)) * math.sqrt(DAYS) if constant == _DEFINED else 0.0
    if why[SHARPE] == _DEFINED:
        out[SHARPE] = mean / math.sqrt(second / (days - 1)) * math.sqrt(DAYS)
    if why[SKEW] == _DEFINED:
        biased = third / days / (second / days * math.sqrt(second / days))
        out[SKEW] = biased * math.sqrt(days * (days - 1.0)) / (days - 2.0)
    if why[KURTOSIS] == _DEFINED:
        ratio = fourth * days / (second * second)
        out[KURTOSIS] = (days - 1.0) / ((days - 2.0) * (days - 3.0)) * ((days + 1.0) * ratio - 3.0 * (days - 1.0))
        sharpe = mean / math.sqrt(second / (days - 1))
        out[PSR] = probabilistic_sharpe(sharpe, days, out[SKEW], out[KURTOSIS])
        if math.isnan(out[PSR]) and math.isfinite(out[KURTOSIS]):
            why[PSR] = _NO_VARIANCE
    return both


@njit
def _tails(returns: Floats, out: Floats, why: Codes) -> None:
    days = len(returns)
    position = 0.05 * (days - 1)
    count = min(int(position) + 2, days)
    low, high = lowest(returns, count, 1.0), largest_two(returns, count, out[WORST_DAY], out[BEST_DAY])
    out[VAR_95] = _percentile(low, position)
    out[CVAR_95] = mean_of(low[1:]) if count > 1 else low[0]
    if out[VAR_95] == 0.0:
        why[TAIL_RATIO] = _NO_TAIL
    else:
        out[TAIL_RATIO] = abs(_percentile(high, position) / out[VAR_95])


@njit
def _counted(tallies: Floats, bars: float, days: int, out: Floats, why: Codes) -> None:
    trades = tallies[T_TRADES]
    out[TRADES] = trades
    if trades > 0.0:
        out[WIN_RATE] = tallies[T_WINS] / trades
        out[EXPECTANCY] = (tallies[T_WON] - tallies[T_LOST]) / trades
        out[MEAN_HOLDING_BARS] = tallies[T_BARS_IN_TRADES] / trades
        if tallies[T_LOST] > 0.0:
            out[PROFIT_FACTOR] = tallies[T_WON] / tallies[T_LOST]
        else:
            why[PROFIT_FACTOR] = _NO_LOSER
    else:
        why[WIN_RATE] = why[EXPECTANCY] = why[MEAN_HOLDING_BARS] = why[PROFIT_FACTOR] = _NO_TRADE
    out[EXPOSURE] = tallies[T_HELD_BARS] / bars
    out[MEAN_POSITION] = tallies[T_WEIGHT] / bars
    out[TURNOVER] = tallies[T_TURNOVER] * (DAYS / days)
    out[FEES], out[FUNDING] = tallies[T_FEES], tallies[T_FUNDING]
    out[LIQUIDATED] = tallies[T_LIQUIDATED]
    if tallies[T_HELD_BARS] > 0.0:
        out[LONG_SHARE] = tallies[T_LONG_BARS] / tallies[T_HELD_BARS]
    else:
        why[LONG_SHARE] = _NOTHING_HELD


@njit
def slice_sharpes(returns: Floats, drifts: Floats, out: Floats) -> None:
    """Write the annual Sharpe ratios of equal slices of time, of daily returns less the slice's drift.

    A slice in which returns do not vary counts as 0: nothing was risked there, and nothing earned.
    """
    days, slices = len(returns), len(drifts)
    for k in range(slices):
        out[k] = _sharpe(returns[k * days // slices : (k + 1) * days // slices], drifts[k])


@njit
def robust(sharpes: Floats) -> float:
    """Return the mean less half the standard deviation (ddof 0)."""
    squares = 0.0
    mean = mean_of(sharpes)
    for value in sharpes:
        squares += (value - mean) * (value - mean)
    return mean - 0.5 * math.sqrt(squares / len(sharpes))


@njit
def _sharpe(returns: Floats, drift: float) -> float:
    mean = mean_of(returns)
    second, first, varies = 0.0, returns[0], False
    for value in returns:
        varies = varies or value != first
        second += (value - mean) * (value - mean)
    return (mean - drift) / math.sqrt(second / (len(returns) - 1)) * math.sqrt(DAYS) if varies else 0.0


def record(row: Floats, why: Codes) -> tuple[dict[str, float | int | bool | None], dict[str, str]]:
    """Return one row of figures as (metrics, reasons of the undefined ones)."""
    values = {key: _plain(key, float(value)) for key, value in zip(KEYS, row, strict=True)}
    reasons = {key: REASONS[code] for key, code in zip(KEYS, why, strict=True) if code}
    return values, reasons


def _plain(key: str, value: float) -> float | int | bool | None:
    if math.isnan(value):
        return None
    if key == "liquidated":
        return value > 0.0
    return int(value) if key in COUNTS else value
