"""The ledger against the decimal oracle, its conservation laws, and block cuts that change no bit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantga.engine.costs import Costs
from quantga.engine.instruments import Instrument
from quantga.engine.ledger import Outcome, trace
from quantga.engine.ledger_market import assemble
from quantga.engine.ledger_state import REASONS
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.lang.bars import Bars
from quantga.lang.genes import Genes
from quantga.streams import stream
from tests.engine.oracle import Account, Bar, Closed, dec, open_profit, run

HOUR = 3_600_000
FIGURES = ("fees", "funding", "turnover", "traded", "orders", "liquidations")
TIERS = (((0, 20), (2_000, 10), (15_000, 3)), ((0, 50), (1_000_000, 20)), ((0, 5),), ((0, 3),))


def market(seed: int, n: int, *, volatility: float, gaps: float, missing: float, funding: float, start: float):
    """A market of random bars: prices jump between bars by `gaps`, and a share of the bars is missing."""
    rng = stream(seed, "ledger", n)
    inside = rng.standard_t(4, (n, 2)) * volatility
    close = start * np.exp(np.cumsum(inside[:, 0] + rng.normal(0, 1e-12 + gaps, n)))
    open_ = np.concatenate([[start], close[:-1]]) * np.exp(rng.standard_t(3, n) * gaps)
    high = np.maximum(open_, close) * np.exp(np.abs(inside[:, 1]))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, volatility, n)))
    columns = {"open": open_, "high": high, "low": low, "close": close, "volume": np.ones(n)}
    away = rng.random(n) < missing
    away[int(rng.integers(n))] = False
    for column in columns.values():
        column[away] = np.nan
    columns["funding"] = np.where(away, 0.0, rng.normal(0.1, 1.0, n) * funding)
    bars = Bars(HOUR, 480_000, columns, "TEST", "TEST")
    annual, atr = volatility * 90 * np.exp(rng.normal(0, 0.5, n)), start * volatility * np.exp(rng.normal(0, 0.3, n))
    annual[rng.random(n) < 0.05] = atr[rng.random(n) < 0.05] = np.nan
    return bars, annual, atr


def wanted_series(seed: int, n: int, *, change: float, scaled: bool) -> np.ndarray:
    rng = stream(seed, "wanted", n)
    values = np.array([-1.0, 0.0, 1.0, np.nan, *((0.5, -0.3, 0.999, -0.07) if scaled else ())])
    draws = rng.choice(values, n)
    keep = rng.random(n) > change
    for t in range(1, n):
        if keep[t]:
            draws[t] = draws[t - 1]
    return draws


@dataclass(frozen=True)
class Case:
    """A random account on a random market."""

    seed: int
    n: int
    change: float
    scaled: bool
    shape: dict[str, float]
    genes: Genes
    given: Costs

    @cached_property
    def market(self) -> tuple[Bars, np.ndarray, np.ndarray]:
        return market(self.seed, self.n, **self.shape)

    @cached_property
    def wanted(self) -> np.ndarray:
        return wanted_series(self.seed, self.n, change=self.change, scaled=self.scaled)

    @cached_property
    def costs(self) -> Costs:
        """A venue gives cheap assets few decimals of size, so that a tick is a small part of the price."""
        rule = self.given.instruments[0]
        most = {0.031: 0, 1.7: 2}.get(self.shape["start"], 5)
        return replace(self.given, instruments=(replace(rule, size_decimals=min(rule.size_decimals, most)),))


off = st.just(0.0)
genes_drawn = st.builds(
    Genes,
    leverage=st.sampled_from([1.0, 1.0, 0.4, 2.5, 12.0, 50.0]),
    vol_target=st.one_of(off, st.sampled_from([0.2, 0.8, 3.0])),
    stop=st.one_of(off, st.sampled_from([0.003, 0.02, 0.1, 1.0])),
    stop_atr=st.one_of(off, off, st.sampled_from([0.7, 3.0])),
    take=st.one_of(off, st.sampled_from([0.004, 0.03, 0.2])),
    take_atr=st.one_of(off, off, st.sampled_from([0.6, 4.0])),
    ladder=st.sampled_from(
        [(), (), ((0, 0.05), (3, 0.02), (9, 0.0), (20, -0.5)), ((2, 0.01),), ((0, 0.004), (1, 0.04))]
    ),
    latch=st.booleans(),
    band=st.one_of(off, off, st.sampled_from([0.01, 0.2])),
    max_hold=st.sampled_from([0, 0, 1, 7, 30]),
)
costs_drawn = st.builds(
    Costs,
    fee=st.sampled_from([0.0, 0.00045, 0.004]),
    maker=st.sampled_from([-0.0001, 0.00015, 0.001]),
    slippage=st.sampled_from([0.0, 0.0002, 0.003]),
    funding=st.booleans(),
    lots=st.booleans(),
    margin=st.booleans(),
    stops=st.sampled_from([True, True, True, False]),
    capital=st.sampled_from([35.0, 1_000.0, 10_000.0, 3e6]),
    max_leverage=st.sampled_from([1.0, 10.0, 50.0]),
    instruments=st.builds(
        lambda decimals, tiers: (Instrument("TEST", decimals, tiers),), st.integers(0, 5), st.sampled_from(TIERS)
    ),
)
markets_drawn = st.fixed_dictionaries(
    {
        "volatility": st.sampled_from([0.001, 0.01, 0.05, 0.2]),
        "gaps": st.sampled_from([0.0, 0.002, 0.05]),
        "missing": st.sampled_from([0.0, 0.0, 0.1, 0.6]),
        "funding": st.sampled_from([0.0, 1e-5, 1e-3, 0.05]),
        "start": st.sampled_from([0.031, 1.7, 96.0, 61_000.0]),
    }
)


cases = st.builds(
    Case,
    seed=st.integers(0, 10**9),
    n=st.sampled_from([3, 40, 97, 160]),
    change=st.sampled_from([0.02, 0.15, 0.9]),
    scaled=st.booleans(),
    shape=markets_drawn,
    genes=genes_drawn,
    given=costs_drawn,
)


def by_kernel(case: Case, block: int = 0) -> Outcome:
    bars, annual, atr = case.market
    prepared = assemble(bars, bars.columns["funding"] if case.costs.funding else None, annual, atr)
    genes = encode_genes([case.genes], case.costs)[0]
    return trace(case.wanted, prepared, encode_terms(case.costs, "TEST"), genes, block)


def by_oracle(case: Case) -> tuple[Account, list[Bar]]:
    bars, annual, atr = case.market
    names = ("open", "high", "low", "close", "funding")
    columns = [[dec(x) for x in bars.columns[name]] for name in names]
    rows = [Bar(*prices) for prices in zip(*columns, strict=True)]
    for row, vol, true_range in zip(rows, annual, atr, strict=True):
        row.volatility, row.atr = dec(vol), dec(true_range)
    rule = case.costs.instruments[0]
    tiers = [(Decimal(lower), Decimal(leverage)) for lower, leverage in rule.tiers]
    return run(Account(case.costs, case.genes, rule.size_decimals, tiers), rows, list(map(float, case.wanted))), rows


def row_of(trade: Closed) -> list[float]:
    numbers = (trade.entry_row, trade.exit_row, trade.side, trade.entry_price, trade.exit_price, trade.units)
    return [*map(float, (*numbers, trade.fees, trade.funding, trade.pnl)), REASONS.index(trade.reason)]


def compare(case: Case) -> Outcome:
    fast = by_kernel(case)
    slow, rows = by_oracle(case)
    scale = case.costs.capital + float(max(map(abs, slow.equity)))
    near = {"rtol": 1e-9, "atol": 1e-9 * scale}
    trades = np.array([row_of(trade) for trade in slow.trades]).reshape(-1, 10)
    assert len(fast.trades) == len(trades)
    np.testing.assert_array_equal(fast.trades[:, [0, 1, 2, 9]], trades[:, [0, 1, 2, 9]])
    np.testing.assert_allclose(fast.trades[:, 3:5], trades[:, 3:5], rtol=1e-11)
    np.testing.assert_allclose(fast.trades[:, 5:9], trades[:, 5:9], **near)
    np.testing.assert_allclose(fast.equity, np.array(slow.equity, dtype=float), **near)
    np.testing.assert_allclose(fast.units, np.array(slow.units, dtype=float), **near)
    for name in FIGURES:
        expected = float(getattr(slow, name))
        assert fast.figure(name) == pytest.approx(expected, rel=1e-8, abs=1e-9 * scale), name
    assert bool(fast.figure("ruined")) == slow.ruined
    left = float(open_profit(slow, slow.mark(rows, case.n - 1)))
    conserved = case.costs.capital + fast.trades[:, 8].sum() + left
    assert conserved == pytest.approx(fast.equity[-1], rel=1e-9, abs=1e-8 * scale)
    check_counts(case, fast)
    return fast


def check_counts(case: Case, fast: Outcome) -> None:
    """What is counted follows from what is recorded."""
    profits = fast.trades[:, 8]
    near = {"rel": 1e-9, "abs": 1e-9 * case.costs.capital}
    assert fast.figure("trades") == len(profits)
    assert fast.figure("wins") == (profits > 0).sum()
    assert fast.figure("won") == pytest.approx(profits[profits > 0].sum(), **near)
    assert fast.figure("lost") == pytest.approx(-profits[profits <= 0].sum(), **near)
    assert fast.figure("bars_in_trades") == (fast.trades[:, 1] - fast.trades[:, 0]).sum()
    assert fast.figure("held_bars") == (fast.units != 0).sum()
    assert fast.figure("long_bars") == (fast.units > 0).sum()
    bars, *_ = case.market
    days = bars.time // (24 * HOUR)
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    np.testing.assert_array_equal(fast.daily, fast.equity[last])
    assert fast.figure("weight") == pytest.approx(weight_by_stretches(case, fast, set(last)), rel=1e-7, abs=1e-6)


def weight_by_stretches(case: Case, fast: Outcome, day_ends: set[int]) -> float:
    """Each stretch of unchanged units within a UTC day stands for its bars with the weight of its last close."""
    bars, *_ = case.market
    mark = pd.Series(bars["close"]).ffill().to_numpy()
    opened_inside = set(fast.trades[:, 0].astype(int)) | set(fast.trades[:, 1].astype(int))
    total, length = 0.0, 0
    for t, units in enumerate(fast.units):
        if units == 0:
            length = 0
            continue
        length += 1
        if t in day_ends or t + 1 == case.n or fast.units[t + 1] != units or t + 1 in opened_inside:
            total += length * units * mark[t] / fast.equity[t]
            length = 0
    return total


@settings(max_examples=600)
@given(cases)
def test_the_oracle_agrees(case):
    compare(case)


@pytest.mark.proof
@settings(max_examples=20_000)
@given(cases)
def test_the_oracle_agrees_on_many(case):
    compare(case)


SHORT_STOPPED_AT_TWICE_ITS_ENTRY = [
    Case(
        0, n, change, scaled,
        {"volatility": volatility, "gaps": gaps, "missing": 0.0, "funding": 0.0, "start": start},
        Genes(stop=1.0, leverage=leverage),
        Costs(
            fee=0.0, maker=-0.0001, slippage=0.0, funding=False, capital=capital, max_leverage=1.0,
            margin=leverage > 1, instruments=(Instrument("TEST", 0, TIERS[3]),),
        ),
    )
    for n, change, scaled, volatility, gaps, start, capital, leverage in (
        (97, 0.02, False, 0.05, 0.0, 96.0, 35.0, 1.0),
        (160, 0.9, True, 0.2, 0.002, 0.031, 10_000.0, 1.0),
        (97, 0.15, True, 0.2, 0.0, 1.7, 35.0, 2.5),
    )
]  # fmt: skip


def test_a_stop_at_the_liquidation_price_counts_as_a_stop():
    """A short of weight 0.75 with a tier of 3x: both are twice its entry."""
    outcome = compare(SHORT_STOPPED_AT_TWICE_ITS_ENTRY[2])
    assert outcome.figure("stopped") > 0


@pytest.mark.parametrize("case", SHORT_STOPPED_AT_TWICE_ITS_ENTRY[:2], ids=["turnover", "trades"])
def test_what_rounding_leaves_of_an_account_does_not_trade(case):
    """Exactly nothing is left in decimals, and in floats less than a billionth of the capital."""
    outcome = compare(case)
    assert outcome.figure("ruined") == 1
    assert outcome.figure("turnover") < 100
    assert outcome.equity[-1] == 0


@settings(max_examples=60)
@given(cases, st.sampled_from([1, 2, 31, 32, 33, 64, 100]))
def test_no_bit_depends_on_how_the_bars_are_cut(case, block):
    """Blocks of one bar pass nothing over, so this is also the proof that passing quiet bars over changes nothing."""
    whole, cut = by_kernel(case), by_kernel(case, block)
    for field in ("equity", "units", "daily", "trades", "state"):
        assert getattr(whole, field).tobytes() == getattr(cut, field).tobytes(), field
