"""The referee: the same program priced by VectorBT, which shares no code with our ledger.

Where its rules suffice (no funding, lots, margin or risk genes), equity and closed trades must agree; `--engine vectorbt`
appraises a whole search this way. VectorBT takes seconds to import, so it is imported by the functions that call it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from quantga.engine.accounts import Asset, Kept, behaviour_of
from quantga.engine.appraise import too_short
from quantga.engine.backtest import Backtest, recorded
from quantga.engine.costs import Costs
from quantga.engine.ledger import Outcome
from quantga.engine.ledger_market import MARK
from quantga.engine.ledger_state import ACTED, ORDERS, REASONS, RUINED, TRADE, begin
from quantga.engine.ledger_terms import NOTHING
from quantga.engine.metrics import (
    T_BARS_IN_TRADES,
    T_FEES,
    T_HELD_BARS,
    T_LIQUIDATED,
    T_LONG_BARS,
    T_LOST,
    T_TRADES,
    T_TURNOVER,
    T_WEIGHT,
    T_WINS,
    T_WON,
)
from quantga.errors import ConfigError, DataError, ProgramError
from quantga.lang.bars import Bars, Floats, Ints
from quantga.lang.evaluate import Plan, evaluate
from quantga.lang.genes import Genes
from quantga.lang.jit import cache_directory
from quantga.lang.program import Program

_NEUTRAL = Genes()
_LONG_SIDE, _CLOSED = 0, 1  # VectorBT's codes of a buy, or a long position, and of a closed trade


def audit(program: Program, bars: Bars, costs: Costs | None = None) -> Backtest:
    """Run `program` over `bars` through VectorBT; equity, closed trades and metrics as `backtest` gives them.

    Programs that want nothing but -1, 0 and 1 go through `from_signals(size=inf)`, others through `from_order_func` with
    the sizing rule of docs/ledger.md. Raises ConfigError or ProgramError where VectorBT's rules do not suffice, DataError
    where the account is ruined, which VectorBT does not notice, or the bars are too few.
    """
    costs = costs or Costs()
    check_rules(costs, bars)
    check_genes(program)
    if program.lookback >= len(bars):
        raise too_short(program, bars)
    asset = Asset.of(bars, costs, [_NEUTRAL])
    outcome = settle(evaluate([program], bars)[0], asset, costs)
    if outcome.state[RUINED]:
        raise DataError(
            f"program {program.id} is ruined on {bars.symbol or 'this market'}: VectorBT trades on below zero"
        )
    return recorded(program, asset, costs, outcome)


def check_rules(costs: Costs, bars: Bars) -> None:
    """Raise ConfigError where `costs` ask for what VectorBT does not know."""
    charged = costs.funding and "funding" in bars.columns and bool(np.any(bars["funding"] != 0))
    wrong = [name for name, on in (("funding", charged), ("lots", costs.lots), ("margin", costs.margin)) if on]
    if costs.max_leverage < 1:
        wrong.append("max_leverage below 1")
    if wrong:
        raise ConfigError(f"VectorBT knows no {', '.join(wrong)}: switch that off in costs, or use the ledger")


def check_genes(program: Program) -> None:
    """Raise ProgramError where the program has risk genes."""
    if program.genes != _NEUTRAL:
        raise ProgramError(f"program {program.id} has risk genes ({program.genes}), which VectorBT does not know")


def carry_audited(plan: Plan, asset: Asset, costs: Costs) -> tuple[Kept, Ints]:
    """Do what `accounts.carry` does, through VectorBT: an account per program."""
    check_rules(costs, asset.bars)
    n = len(plan.programs)
    kept = Kept(
        begin(n, asset.terms),
        np.zeros((n, len(asset.days.number))),
        np.zeros((n, len(asset.cuts))),
        np.zeros(n, np.uint64),
    )
    for place, program in enumerate(plan.programs):
        check_genes(program)
        wanted = evaluate([program], asset.bars)[0]
        outcome = settle(wanted, asset, costs)
        kept.state[place], kept.daily[place] = outcome.state, outcome.daily
        kept.behaviour[place] = behaviour_of(wanted, asset.bars.origin)
        for cut, stop in enumerate(asset.cuts):
            kept.weights[place, cut] = _weight(outcome, asset, int(stop))
    return kept, np.arange(n)


def settle(wanted: Floats, asset: Asset, costs: Costs) -> Outcome:
    """Return what VectorBT makes of the wanted positions float64[n], in the ledger's own terms.

    An account that is ruined at a close (docs/ledger.md) is frozen at 0 from there on, and marked; the trade that ruined it is not
    among the closed ones, and its figures are not the ledger's.
    """
    bars = asset.bars
    target = targets(wanted, bars)
    rows = np.flatnonzero(bars.present)
    portfolio = _simulate(target[rows], bars["open"][rows], bars["close"][rows], costs)
    equity, units = np.full(len(bars), costs.capital), np.zeros(len(bars))
    equity[rows], units[rows] = np.asarray(portfolio.value()), np.asarray(portfolio.assets())
    carried = np.maximum.accumulate(np.where(bars.present, np.arange(len(bars)), -1))
    equity = np.where(carried >= 0, equity[carried], costs.capital)
    units = np.where(carried >= 0, units[carried], 0.0)
    state = begin(1, asset.terms)[0]
    state[ACTED] = math.nan if np.isnan(target).all() else 0.0
    trades, orders = _trades(portfolio, rows), portfolio.orders.records
    dead = np.flatnonzero(equity <= asset.terms[NOTHING])
    if len(dead):
        equity[dead[0] :] = units[dead[0] :] = 0.0
        state[RUINED] = state[T_LIQUIDATED] = 1.0
        trades = trades[trades[:, TRADE.index("exit_row")] <= dead[0]]
        orders = orders[rows[orders["idx"]] <= dead[0]]
    outcome = Outcome(equity, units, equity[asset.days.last_row], trades, state)
    _count(outcome, orders, asset, costs)
    return outcome


def targets(wanted: Floats, bars: Bars) -> Floats:
    """Return the target to be taken at each row's open, float64[n]; NaN: no order.

    A decision counts where its bar and the next are there, and where it differs from the last one that counted.
    """
    found = np.full(len(wanted), np.nan)
    acted = math.nan
    for t in np.flatnonzero(bars.present[1:] & bars.present[:-1] & ~np.isnan(wanted[:-1])) + 1:
        if wanted[t - 1] != acted:
            found[t] = acted = wanted[t - 1]
    return found


def _simulate(target: Floats, opened: Floats, closed: Floats, costs: Costs) -> Any:
    vectorbt = _vectorbt()
    terms = {"fees": costs.fee, "slippage": costs.slippage}
    if np.isin(target[~np.isnan(target)], (-1.0, 0.0, 1.0)).all():
        return vectorbt.Portfolio.from_signals(
            closed, entries=target == 1, short_entries=target == -1, exits=target == 0, short_exits=target == 0,
            price=opened, size=np.inf, upon_opposite_entry="reverse", min_size=0.0, init_cash=costs.capital, **terms,
        )  # fmt: skip
    order = _order()
    return vectorbt.Portfolio.from_order_func(
        closed, order, target, opened, costs.fee, costs.slippage, init_cash=costs.capital
    )


@cache
def _vectorbt() -> Any:
    """Return the module; its compiled code is kept beside ours, and stays when our sources change."""
    import numba

    numba.config.CACHE_DIR = str(cache_directory().parent / f"vectorbt-{version('vectorbt')}-{numba.__version__}")  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt
    return vectorbt


@cache
def _order() -> Callable[..., Any]:
    """Return VectorBT's callback for one bar: |units| x fill = |target| x (equity at the fill - fee x |change| x fill)."""
    import numba
    from vectorbt.portfolio.nb import order_nb, order_nothing_nb

    @numba.njit
    def order(context: Any, target: Floats, opened: Floats, fee: float, slippage: float) -> Any:
        weight, price = target[context.i], opened[context.i]
        if np.isnan(weight):
            return order_nothing_nb()
        worth = context.cash_now + context.position_now * price
        side = 1.0 if weight * worth > context.position_now * price else -1.0
        fill = price * (1.0 + side * slippage)
        held = context.position_now * fill
        notional = weight * (context.cash_now + held + fee * side * held) / (1.0 + fee * side * weight)
        change = notional / fill - context.position_now
        if side * change <= 0.0:  # slippage eats the whole change
            return order_nothing_nb()
        return order_nb(change, price, fees=fee, slippage=slippage, min_size=0.0)

    found: Callable[..., Any] = order
    return found


def _trades(portfolio: Any, rows: Ints) -> Floats:
    """Return the closed trades as rows of TRADE."""
    records = portfolio.exit_trades.records
    records = records[records["status"] == _CLOSED]
    found = np.zeros((len(records), len(TRADE)))
    column = {name: found[:, place] for place, name in enumerate(TRADE)}
    column["entry_row"][:] = rows[records["entry_idx"]]
    column["exit_row"][:] = rows[records["exit_idx"]]
    column["side"][:] = np.where(records["direction"] == _LONG_SIDE, 1.0, -1.0)
    column["units"][:] = records["size"]
    column["entry_price"][:] = records["entry_price"]
    column["exit_price"][:] = records["exit_price"]
    column["fees"][:] = records["entry_fees"] + records["exit_fees"]
    column["pnl"][:] = records["pnl"]
    column["reason"][:] = REASONS.index("signal")
    return found


def _count(outcome: Outcome, orders: Any, asset: Asset, costs: Costs) -> None:
    """Fill in the tallies of the ledger's state from VectorBT's orders and trades."""
    state, trades, units = outcome.state, outcome.trades, outcome.units
    pnl = trades[:, TRADE.index("pnl")]
    state[T_TRADES], state[T_WINS] = len(pnl), np.sum(pnl > 0)
    state[T_WON], state[T_LOST] = math.fsum(pnl[pnl > 0]), -math.fsum(pnl[pnl <= 0])
    state[T_BARS_IN_TRADES] = np.sum(trades[:, TRADE.index("exit_row")] - trades[:, TRADE.index("entry_row")])
    state[T_FEES], state[ORDERS] = math.fsum(orders["fees"]), len(orders)
    state[T_HELD_BARS], state[T_LONG_BARS] = np.sum(units != 0), np.sum(units > 0)
    signed = np.where(orders["side"] == _LONG_SIDE, orders["size"], -orders["size"]).astype(np.float64)
    price, fees = orders["price"].to_numpy(), orders["fees"].to_numpy()
    cash = costs.capital - np.append(0.0, np.cumsum(signed * price + fees)[:-1]) if len(orders) else np.empty(0)
    worth = cash + np.append(0.0, np.cumsum(signed)[:-1])[: len(orders)] * price
    state[T_TURNOVER] = math.fsum(np.abs(signed) * price / worth)
    state[T_WEIGHT] = _weight(outcome, asset, len(units))


def _weight(outcome: Outcome, asset: Asset, stop: int) -> float:
    """Return the held weight summed over the rows before `stop`, each day's last one and that before each order given.

    The ledger looks at it there, and counts the bars since it last looked.
    """
    changes = np.flatnonzero(np.diff(outcome.units)) if stop else np.empty(0, np.int64)
    ends = np.union1d(asset.days.last_row, changes)
    ends = ends[ends < stop]
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.nan_to_num(outcome.units[ends] * asset.market.rows[ends, MARK] / outcome.equity[ends])
    return math.fsum(weight * np.diff(ends, prepend=-1))
