"""Appraisal: the same bits as one backtest, in any company, order and tile; pooling, scores and failures."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from quantga.engine.accounts import ROUNDING, Asset, behaviour_of, carry
from quantga.engine.appraise import FAILURES, Trial, appraise, appraise_market
from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.engine.metrics import KEYS, WORST_DAY
from quantga.errors import ConfigError, DataError, ProgramError
from quantga.evolve.vary import random_programs
from quantga.lang.bars import Bars
from quantga.lang.evaluate import evaluate, plan
from quantga.lang.genes import Genes
from quantga.lang.parse import parse
from quantga.lang.program import Program
from tests.conftest import ROOT
from tests.engine.markets import START, made_market

GENES = (
    Genes(), Genes(stop=0.02, take=0.05), Genes(vol_target=0.4, leverage=3, band=0.1), Genes(stop_atr=2, latch=True),
    Genes(max_hold=12), Genes(ladder=((0, 0.05), (12, 0.02))),
)  # fmt: skip
FULL = Costs(lots=True, margin=True)


@pytest.fixture(scope="module")
def market():
    return made_market(1, holes=40)


@pytest.fixture(scope="module")
def programs():
    plain = random_programs(120, seed=5)
    return [Program(p.tokens, GENES[i % len(GENES)]) for i, p in enumerate(plain)]


@pytest.mark.parametrize("costs", [Costs(), FULL], ids=["plain", "full"])
def test_a_row_is_the_backtests_metrics_to_the_last_bit(market, programs, costs):
    rows = appraise(programs, market, costs).to_pylist()
    for program, row in zip(programs[:48], rows, strict=False):
        metrics = backtest(program, market, costs).metrics
        assert set(metrics) == set(KEYS)
        assert {key: repr(row[key]) for key in KEYS} == {key: repr(value) for key, value in metrics.items()}
        assert (row["id"], row["text"]) == (program.id, str(program))


def test_company_order_and_sharing_change_nothing(market, programs):
    rows = [repr(row) for row in appraise(programs, market).to_pylist()]
    assert [repr(row) for row in appraise(programs, market, sharing=False).to_pylist()] == rows
    assert [repr(row) for row in appraise(programs[::-1], market).to_pylist()] == rows[::-1]
    twice = appraise([*programs, *programs[:7]], market).to_pylist()
    assert [repr(row) for row in twice] == rows + rows[:7]
    assert [repr(row) for row in appraise(programs[3:4], market).to_pylist()] == rows[3:4]


def test_more_than_a_tile(market):
    many = random_programs(520, seed=9)
    rows = appraise(many, market).to_pylist()
    assert [repr(row) for row in appraise(many[495:505], market).to_pylist()] == [repr(row) for row in rows[495:505]]


def test_one_account_for_the_same_rule_under_the_same_genes(market):
    rule = parse("when(gt(close, mean(close, 20)), long, short)")
    again = Program(rule.tokens, Genes(stop=0.02))
    kept, account = carry(
        plan([rule, again, rule, again]), Asset.of(market, Costs(), [rule.genes, again.genes]), Costs()
    )
    assert account.tolist() == [0, 1, 0, 1]
    assert len(kept.state) == 2


def test_one_market_pooled_is_that_market(market, programs):
    table, judged = appraise(programs, market), appraise_market(programs, {"X": market}, Trial())
    own = np.array(
        [[math.nan if row[key] is None else row[key] for key in KEYS] for row in table.to_pylist()], dtype=float
    )
    assert np.array_equal(own, judged.figures, equal_nan=True)


def test_several_assets_pool_their_daily_returns(programs):
    market = {"A": made_market(2, 1200), "B": made_market(3, 900, start=START + 86_400_000 * 20)}
    judged = appraise_market(programs[:30], market, Trial(slices=4))
    for place, program in enumerate(programs[:30]):
        total, count, trades, drift = np.zeros(60), np.zeros(60), 0, np.zeros(60)
        for bars in market.values():
            run = backtest(program, bars)
            ends = np.flatnonzero(np.append(np.diff(bars.time // 86_400_000), 1))
            daily = run.equity[ends]
            days = bars.time[ends] // 86_400_000 - START // 86_400_000
            total[days] += daily / np.append(10_000, daily[:-1]) - 1
            count[days] += 1
            asset = Asset.of(bars, Costs(), [program.genes])
            drift[days] += run.metrics["mean_position"] * np.mean(asset.days.net)
            trades += run.metrics["trades"]
        returns = total[count > 0] / count[count > 0]
        detrended = np.mean(returns - drift[count > 0] / count[count > 0])
        assert np.sum(count > 0) == judged.figure("days")[place]
        assert judged.figure("trades")[place] == trades
        if np.ptp(returns):
            alpha = detrended / np.std(returns, ddof=1) * math.sqrt(365)
            assert judged.figure("alpha_sharpe")[place] == pytest.approx(alpha, rel=1e-9)
        assert judged.figures[place, WORST_DAY] == pytest.approx(returns.min(), abs=1e-12)
        assert judged.figure("total_return")[place] == pytest.approx(np.prod(1 + returns) - 1, abs=1e-12)


def test_the_score_is_mean_less_half_the_spread_over_slices(market, programs):
    judged = appraise_market(programs, {"X": market}, Trial(slices=5))
    fine = judged.failure == 0
    assert fine.sum() > 40
    expected = judged.cases.mean(axis=1) - 0.5 * judged.cases.std(axis=1)
    assert judged.score[fine] == pytest.approx(expected[fine], rel=1e-12)
    assert (judged.score[~fine] == -np.inf).all()
    assert {FAILURES[code] for code in judged.failure[~fine]} == set(judged.failed) - {""}


def test_holding_the_market_all_the_time_is_no_skill():
    rising = made_market(4, 3000, drift=0.001, funding=False)
    always = parse("when(gt(close, lag(close, 1)), long, hold)")
    judged = appraise_market([always], {"X": rising}, Trial(min_trades=0))
    assert judged.failed == ["too few closed trades"]
    assert judged.figure("sharpe")[0] > 5
    assert abs(judged.figure("alpha_sharpe")[0]) < 0.5
    raw = [backtest(always, rising.slice(a, a + 375)).metrics["sharpe"] for a in range(0, 3000, 375)]
    assert np.mean(raw) > 5
    assert abs(judged.cases[0].mean()) < 0.25 * np.mean(raw)


def test_zero_few_and_ruined_get_the_worst_score(market):
    idle, rare = parse("flat"), parse("when(gt(close, highest(lag(close, 1), 336)), long, short)")
    gambler = Program(parse("when(gt(close, lag(close, 1)), long, short)").tokens, Genes(leverage=50))
    trial = Trial(costs=Costs(max_leverage=50), min_trades=50)
    judged = appraise_market([idle, rare, gambler], {"X": market}, trial)
    assert judged.failed == ["too few closed trades", "too few closed trades", "the account was ruined"]
    assert judged.score.tolist() == [-np.inf] * 3
    row = appraise([gambler], market, trial.costs).to_pylist()[0]
    assert (row["final_equity"], row["liquidated"], row["total_return"], row["failed"]) == (0.0, True, -1.0, "")


def test_a_numerical_failure_is_a_record():
    time = START + 3_600_000 * np.arange(24 * 35)
    weekday = (time // 86_400_000 + 3) % 7
    close = np.where((weekday >= 1) & (weekday < 4), 1e100, 1.0)  # up on Tuesdays, down on Fridays
    columns = dict.fromkeys(("open", "high", "low", "close"), close) | {"volume": np.ones(len(time))}
    bars = Bars.from_columns(time, columns, symbol="WILD")
    rider = parse("when(within(weekday, level(0), level(2)), long, flat)")
    rows = appraise([rider, parse("flat")], bars).to_pylist()
    assert [row["failed"] for row in rows] == ["equity is not a finite number", ""]
    assert rows[0]["sharpe"] is rows[0]["final_equity"] is None
    assert rows[1]["final_equity"] == 10_000
    run = backtest(rider, bars)
    assert set(run.metrics.values()) == {None}
    assert run.reasons["sharpe"] == rows[0]["failed"]
    early = backtest(rider, bars.slice(0, 24 * 14))
    assert early.metrics["kurtosis"] is None
    assert early.reasons["kurtosis"] == "the numbers are too large"
    judged = appraise_market([rider], {"X": bars}, Trial(slices=2))
    assert (judged.score[0], judged.failed) == (-np.inf, ["equity is not a finite number"])


def test_too_few_bars(market):
    short = market.slice(0, 100)
    long_sighted, fine = (
        parse("when(gt(close, mean(close, 200)), long, short)"),
        parse("when(gt(close, open), long, short)"),
    )
    rows = appraise([long_sighted, fine], short).to_pylist()
    assert [row["failed"] for row in rows] == ["it looks back further than there are bars", ""]
    assert rows[0]["total_return"] is None
    for call in (lambda: appraise([long_sighted], short), lambda: backtest(long_sighted, short)):
        with pytest.raises(DataError, match=rf"{long_sighted.id} looks back 199 bars.*MADE has only 100"):
            call()
    with pytest.raises(ConfigError, match="8 slices need at least 16 days; there are 5"):
        appraise_market([fine], {"X": short}, Trial())


def test_a_missing_column_is_named(market):
    with pytest.raises(ProgramError, match="open_interest"):
        appraise([parse("when(rising(open_interest, 5), long, short)")], market)


def test_bars_of_more_than_a_day_are_refused(market):
    week = 7 * 86_400_000
    columns = {name: market[name][:20] for name in ("open", "high", "low", "close", "volume")}
    bars = Bars.from_columns(week * np.arange(100, 120), columns, symbol="WEEKLY")
    with pytest.raises(DataError, match="more than a day"):
        appraise([parse("long")], bars)


def test_no_programs(market):
    assert appraise([], market).num_rows == 0
    assert len(appraise_market([], {"X": market}, Trial())) == 0
    with pytest.raises(ConfigError, match="no market"):
        appraise_market([], {}, Trial())


@pytest.mark.parametrize("change", [{"slices": 0}, {"min_trades": -1}, {"engine": "guess"}])
def test_a_trial_is_checked(change):
    with pytest.raises(ConfigError):
        Trial(**change)


def test_behaviour_is_the_rounded_position_acted_on(market):
    same = [
        parse("when(gt(close, mean(close, 20)), long, short)"),
        parse("when(lt(close, mean(close, 20)), short, when(gt(close, mean(close, 20)), long, hold))"),
        parse("when(gt(close, mean(close, 20)), long, scale(level(-0.99)))"),
    ]
    other = parse("when(gt(close, mean(close, 21)), long, short)")
    judged = appraise_market([*same, other], {"X": market}, Trial())
    assert len(set(judged.behaviour[:3].tolist())) == 1
    assert judged.behaviour[3] not in judged.behaviour[:3]
    wanted = evaluate([same[0]], market)[0]
    assert appraise_market([same[0]], {"X": market}, Trial()).behaviour[0] == behaviour_of(wanted, market.origin)


def test_behaviours_differ_where_any_bar_does():
    draw = np.random.default_rng(0)
    series = np.round(draw.uniform(-1, 1, (400, 600)) * ROUNDING) / ROUNDING
    changed = series.copy()
    at = draw.integers(0, 600, 400)
    changed[np.arange(400), at] += np.where(changed[np.arange(400), at] > 0, -1, 1) / ROUNDING
    hashes = {int(behaviour_of(row, 7)) for row in np.concatenate([series, changed])}
    assert len(hashes) == 800


DIGEST = """
import hashlib
from quantga.engine.appraise import Trial, appraise_market
from quantga.evolve.vary import random_programs
from tests.engine.markets import made_market
found = appraise_market(random_programs(60, seed=3), {"A": made_market(1), "B": made_market(2, 900)}, Trial())
print(hashlib.sha256(found.figures.tobytes() + found.score.tobytes() + found.behaviour.tobytes()).hexdigest())
"""


def test_the_same_bits_without_avx_and_fma():
    digests = set()
    for tunables in ("", "glibc.cpu.hwcaps=-AVX2,-FMA"):
        environment = {**os.environ, "GLIBC_TUNABLES": tunables, "PYTHONHASHSEED": str(len(tunables))}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
