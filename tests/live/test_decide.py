"""Deciding live is the backtest of the same bars: the model account holds, bit for bit, what research says."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from quantga.engine.costs import Costs
from quantga.engine.ledger import trace
from quantga.engine.ledger_market import prepare
from quantga.engine.ledger_state import REASONS, TRADE
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.errors import DataError
from quantga.lang.bars import Bars
from quantga.lang.evaluate import evaluate
from quantga.lang.parse import parse
from quantga.live.decide import Decision, Undecided, decide, lots_of
from tests.engine.markets import made_market

COSTS = Costs(lots=True, margin=True)
LEFT, WHY = TRADE.index("exit_row"), TRADE.index("reason")
RULES = (
    "when(gt(close, mean(close, 24)), long, when(lt(rsi(close, 14), level(30)), short, hold)) with stop=0.02, take=0.05",
    "scale(zscore(close, 48)) with vol_target=0.4, band=0.1, latch",
    "when(gt(ema(close, 8), ema(close, 34)), long, short) with stop_atr=2, max_hold=20",
    "when(gt(close, mean(close, 12)), long, flat) with leverage=2",
)


def market(seed: int, hours: int) -> Bars:
    """Return a market whose prices are of the size of bitcoin's, so that ticks are small."""
    made: Bars = made_market(seed, hours, symbol="BTC")  # type: ignore[no-untyped-call]
    prices = {name: made[name] * 1_000 for name in ("open", "high", "low", "close")}
    return made.with_columns(prices)


@pytest.mark.parametrize(("seed", "text"), list(enumerate(RULES)))
def test_every_decision_is_what_the_whole_backtest_did_at_the_next_open(seed: int, text: str) -> None:
    program = parse(text)
    bars = market(seed, program.reach + 400)
    first = program.reach
    wanted = evaluate([program], bars)[0]
    wanted[:first] = np.nan
    genes = encode_genes([program.genes], COSTS)[0]
    whole = trace(wanted, prepare(bars, COSTS, [program.genes]), encode_terms(COSTS, "BTC"), genes)
    inside = {int(one[LEFT]) for one in whole.trades if REASONS[int(one[WHY])] in {"stop", "take", "ladder"}}
    held = 0
    for end in set(range(first + 1, first + 120)) - inside:
        decided = decide(program, bars.slice(0, end), COSTS, bars.origin + first, float(bars["open"][end]))
        assert isinstance(decided, Decision)
        assert decided.units == whole.units[end]
        assert decided.wanted == pytest.approx(wanted[end - 1], abs=0, nan_ok=True)
        held += decided.units != 0
    assert held > 20
    assert bool(inside) == bool(program.genes.stop or program.genes.stop_atr)


def test_the_levels_are_prices_on_the_right_side_and_are_left_when_touched() -> None:
    bars, program = market(1, 900), parse("long with stop=0.02, take=0.05")
    since = bars.origin + len(bars) - 1
    decided = decide(program, bars, COSTS, since, price := float(bars["close"][-1]))
    assert isinstance(decided, Decision)
    assert decided.stop == pytest.approx(0.98 * price, rel=5e-3)
    assert decided.take == pytest.approx(1.05 * price, rel=5e-3)
    assert not decided.left_at(price)
    assert decided.left_at(0.97 * price)
    assert decided.left_at(1.06 * price)
    short = decide(parse("short with stop=0.02"), bars, COSTS, since, price)
    assert isinstance(short, Decision)
    assert short.weight == pytest.approx(-1, rel=1e-2)
    assert short.left_at(1.03 * price)
    assert not short.left_at(0.5 * price)
    flat = decide(parse("flat"), bars, COSTS, since, price)
    assert isinstance(flat, Decision)
    assert not flat.left_at(price)


def test_missing_data_is_no_decision() -> None:
    bars = market(2, 900)
    since, price = bars.origin + len(bars) - 1, float(bars["close"][-1])
    for unknown in (float("nan"), 0.0):
        assert isinstance(decide(parse("long"), bars, COSTS, since, unknown), Undecided)
    absent = {name: column.copy() for name, column in bars.columns.items()}
    for name in ("open", "high", "low", "close", "volume"):
        absent[name][-1] = np.nan
    gone = Bars(bars.interval, bars.origin, absent, bars.symbol, bars.base)
    assert decide(parse("long"), gone, COSTS, since, price) == Undecided("BTC", since, "its last bar is missing")
    lost = bars.with_columns({"$mood": np.append(np.ones(len(bars) - 1), np.nan)})
    undecided = decide(parse("when(gt($mood, level(0)), long, flat)"), lost, COSTS, since, price)
    assert isinstance(undecided, Undecided)
    assert "$mood" in undecided.reason


def test_too_little_history_is_refused() -> None:
    bars = market(3, 300)
    with pytest.raises(DataError, match="are needed"):
        decide(parse("when(gt(close, mean(close, 24)), long, flat)"), bars, COSTS, bars.origin + 10, 1.0)


@pytest.mark.parametrize(("weight", "lots"), [(0.5, 500), (-0.5, -500), (0.0004, 0), (0.00199, 1), (-0.00199, -1)])
def test_lots_are_whole_and_never_more_than_the_weight(weight: float, lots: int) -> None:
    assert lots_of(weight, Decimal(1_000), Decimal(100), Decimal("0.01")) == lots
