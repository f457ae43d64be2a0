"""The referee: VectorBT prices programs as our ledger does, and says where its rules do not suffice."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.appraise import Trial, appraise_market
from quantga.engine.auditor import audit, targets
from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.errors import ConfigError, DataError, ProgramError
from quantga.evolve.vary import random_programs
from quantga.lang.parse import parse
from tests.engine.markets import made_market

COSTS = Costs(funding=False)
SIGNS = "when(gt(close, mean(close, 20)), long, when(lt(close, mean(close, 50)), short, flat))"
SCALED = "scale(zscore(close, 48))"


@pytest.fixture(scope="module")
def bars():
    return made_market(11, 2000, funding=False, holes=60)


def agree(program, bars):
    ours, theirs = backtest(program, bars, COSTS), audit(program, bars, COSTS)
    assert theirs.equity == pytest.approx(ours.equity, rel=1e-10)
    assert theirs.units == pytest.approx(ours.units, rel=1e-9, abs=1e-9)
    assert theirs.trades.num_rows == ours.trades.num_rows
    for name in ("entry_time", "exit_time", "side"):
        assert theirs.trades[name].equals(ours.trades[name])
    for name in ("units", "entry_price", "exit_price", "fees", "pnl"):
        assert theirs.trades[name].to_numpy() == pytest.approx(ours.trades[name].to_numpy(), rel=1e-8, abs=1e-7)
    assert theirs.reasons == ours.reasons
    for key, value in ours.metrics.items():
        assert theirs.metrics[key] == (value if value is None else pytest.approx(value, rel=1e-8, abs=1e-9)), key


@pytest.mark.parametrize("text", [SIGNS, SCALED, "flat", "when(gt(close, open), hold, long)"])
def test_rules_agree(text, bars):
    agree(parse(text), bars)


def test_random_programs_agree(bars):
    for program in random_programs(25, seed=2):
        if backtest(program, bars, COSTS).equity.min() > 1:  # VectorBT trades on below zero
            agree(program, bars)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(10))
def test_many_random_programs_agree(seed):
    bars = made_market(seed, 6000, funding=False, holes=100)
    for program in random_programs(60, seed=seed):
        if backtest(program, bars, COSTS).equity.min() > 1:  # VectorBT drops orders of less than 1e-12 units
            agree(program, bars)


def test_a_search_can_be_appraised_through_the_referee(bars):
    programs, market = random_programs(12, seed=4), {"A": bars, "B": made_market(12, 1500, funding=False)}
    ours = appraise_market(programs, market, Trial(costs=COSTS))
    theirs = appraise_market(programs, market, Trial(costs=COSTS, engine="vectorbt"))
    alive = np.array(ours.failed) != "the account was ruined"
    assert alive.sum() > 8
    assert theirs.figures[alive] == pytest.approx(ours.figures[alive], rel=1e-8, abs=1e-8, nan_ok=True)
    assert theirs.cases == pytest.approx(ours.cases, rel=1e-7, abs=1e-7)
    assert theirs.failed == ours.failed
    assert np.array_equal(theirs.behaviour, ours.behaviour)


def test_targets_are_changes_of_what_is_wanted():
    bars = made_market(1, 30)
    wanted = np.full(30, np.nan)
    wanted[[2, 3, 5, 9, 10]] = 1, 1, 1, -1, 0
    found = targets(wanted, bars)
    assert {row: found[row] for row in np.flatnonzero(~np.isnan(found)).tolist()} == {3: 1, 10: -1, 11: 0}


@pytest.mark.parametrize(
    ("costs", "what"),
    [
        (Costs(), "funding"),
        (Costs(funding=False, lots=True), "lots"),
        (Costs(funding=False, margin=True), "margin"),
        (Costs(funding=False, max_leverage=0.5), "max_leverage below 1"),
    ],
)
def test_rules_that_it_does_not_know_are_refused(costs, what):
    with pytest.raises(ConfigError, match=f"VectorBT knows no {what}"):
        audit(parse(SIGNS), made_market(11, 100), costs)


def test_genes_are_refused(bars):
    with pytest.raises(ProgramError, match=r"has risk genes \(stop=0.02\)"):
        audit(parse(f"{SIGNS} with stop=0.02"), bars, COSTS)


def test_too_few_bars(bars):
    with pytest.raises(DataError, match="looks back"):
        audit(parse(SIGNS), bars.slice(0, 40), COSTS)


def test_ruin_is_said():
    bars = made_market(11, 200, funding=False)
    rocket = {
        name: np.where(np.arange(200) < 100, bars[name], bars[name] * 3) for name in ("open", "high", "low", "close")
    }
    wild = bars.with_columns(rocket)
    assert backtest(parse("short"), wild, COSTS).metrics["liquidated"] is True
    with pytest.raises(DataError, match="is ruined"):
        audit(parse("short"), wild, COSTS)
    judged = [
        appraise_market([parse("short")], {"X": wild}, Trial(COSTS, slices=2, engine=e)) for e in ("numba", "vectorbt")
    ]
    assert judged[0].failed == judged[1].failed == ["the account was ruined"]
    assert judged[1].figure("final_equity")[0] == 0
