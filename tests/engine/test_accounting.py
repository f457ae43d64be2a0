"""The accounting by times agrees with the ledger's by bars."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.accounting import Deal, Stamps, trade_profit
from quantga.engine.costs import Costs
from quantga.engine.ledger import trace
from quantga.engine.ledger_market import prepare
from quantga.engine.ledger_state import TRADE
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.errors import DataError
from quantga.lang.bars import Bars
from quantga.lang.genes import Genes
from quantga.streams import stream

HOUR = 3_600_000
DEAL = Deal(1, 2.0, 100.0, 110.0, 1000, 3000, 0.001, 0.002)
STAMPS = Stamps(np.array([1000, 2000, 3000]), np.array([0.01, 0.02, 0.04]), np.array([100.0, 105.0, 110.0]))


@pytest.mark.parametrize(
    ("ends", "funding"),
    [("both", 2 * 7.5), ("after_entry", 2 * 6.5), ("before_exit", 2 * 3.1), ("neither", 2 * 2.1)],
)
def test_the_ends_are_an_argument(ends, funding):
    profit = trade_profit(DEAL, STAMPS, ends)
    assert profit.funding == pytest.approx(funding)
    assert profit.fees == pytest.approx(0.2 + 0.44)
    assert profit.profit == pytest.approx(20 - 0.64 - funding)


def test_a_short_receives():
    short = Deal(-1, 2.0, 100.0, 110.0, 1000, 3000, 0.0, 0.0)
    assert trade_profit(short, STAMPS).funding == pytest.approx(-13)
    assert trade_profit(short, STAMPS).profit == pytest.approx(-20 + 13)


def test_a_stamp_without_a_number_stops_it():
    holed = Stamps(STAMPS.time, np.array([0.01, np.nan, 0.04]), STAMPS.price)
    with pytest.raises(DataError, match="2000"):
        trade_profit(DEAL, holed)
    with pytest.raises(DataError, match="ascend"):
        Stamps(STAMPS.time[::-1], STAMPS.rate, STAMPS.price)


def test_the_ledger_books_the_same():
    rng = stream(3, "accounting")
    n = 2000
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    open_ = np.append(100.0, close[:-1])
    rates = rng.normal(1e-5, 5e-5, n)
    columns = {"open": open_, "high": np.maximum(open_, close), "low": np.minimum(open_, close), "close": close}
    bars = Bars(HOUR, 480_000, {**columns, "volume": np.ones(n), "funding": rates}, "FOO", "FOO")
    costs = Costs()
    wanted = np.repeat(rng.choice([-1.0, 0.0, 1.0], n // 10), 10)
    outcome = trace(wanted, prepare(bars, costs, []), encode_terms(costs, "FOO"), encode_genes([Genes()], costs)[0])
    stamps = Stamps(bars.time + HOUR, rates, close)
    assert len(outcome.trades) > 50
    for row in outcome.trades:
        ours = dict(zip(TRADE, row, strict=True))
        deal = Deal(
            int(ours["side"]), ours["units"], ours["entry_price"], ours["exit_price"],
            int(bars.time[int(ours["entry_row"])]), int(bars.time[int(ours["exit_row"])]), costs.fee, costs.fee,
        )  # fmt: skip
        profit = trade_profit(deal, stamps)
        assert (profit.fees, profit.funding, profit.profit) == pytest.approx(
            (ours["fees"], ours["funding"], ours["pnl"]), rel=1e-8, abs=1e-7
        )
