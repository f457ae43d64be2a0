"""What quantga is measured against computes the same: the same wanted positions, the same figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantga.bench.baselines import Obvious, is_comparable, prepare
from quantga.bench.baselines_vectorbt import FIGURES, WAYS, Desk, batched, engines, one_by_one
from quantga.bench.engine import equal_positions
from quantga.bench.populations import COSTS, random_population
from quantga.bench.story import chance_market
from quantga.engine.appraise import appraise
from quantga.errors import ProgramError
from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import evaluate
from quantga.lang.ops import BY_NAME
from quantga.lang.parse import parse
from quantga.lang.program import Program

RULES = (
    "when(gt(rsi(close, 14), level(70)), short, when(lt(rsi(close, 14), level(30)), long, hold))",
    "when(gt(close, mean(close, 50)), long, flat)",
    "when(cross_over(ema(close, 12), ema(close, 26)), long, when(cross_under(close, donchian_mid(20)), flat, hold))",
    "when(and(gt(zscore(close, 48), level(1)), not(gt(atr(14), std(close, 24)))), short, long)",
)


@pytest.fixture(scope="module")
def bars() -> Bars:
    return chance_market(2_500)


def alike(programs: list[Program], bars: Bars) -> list[bool]:
    obvious = prepare(programs, bars)
    rows = evaluate(programs, bars)
    theirs = [obvious.wanted(obvious.tree(one), one.lookback) for one in programs]
    first = obvious.begins
    return [
        bool(equal_positions(a, b, first + p.lookback).all()) for a, b, p in zip(rows, theirs, programs, strict=True)
    ]


def test_well_known_rules_want_the_same_on_every_bar(bars: Bars) -> None:
    assert all(alike([parse(rule) for rule in RULES], bars))


@pytest.mark.parametrize("count", [60, pytest.param(1_000, marks=pytest.mark.proof)])
def test_random_programs_want_the_same_on_nearly_all_bars(bars: Bars, count: int) -> None:
    # They part where a window does not vary, which NumPy's masks do not track, and where rounding decides.
    same = alike(random_population(bars, count, 11), bars)
    assert np.mean(same) > 0.93


def test_a_wrong_primitive_would_be_seen(bars: Bars) -> None:
    program = parse(RULES[1])
    other = parse("when(gt(close, mean(close, 51)), long, flat)")
    obvious = prepare([other], bars)
    theirs = obvious.wanted(obvious.tree(other), 60)
    assert not equal_positions(evaluate([program], bars)[0], theirs, 60).all()


def test_every_operator_that_random_programs_use_has_a_primitive(bars: Bars) -> None:
    programs = random_population(bars, 400, 3)
    obvious = prepare(programs, bars)
    used = {name.rpartition("_")[0] for name in obvious.primitives.mapping} & set(BY_NAME)
    assert len(used) > 80
    for name in ("rsi", "adx", "cci", "aroon_up", "higher_rsi", "bars_since", "rank", "wma", "skew"):
        assert name in used


def test_a_program_that_sizes_its_positions_takes_no_part(bars: Bars) -> None:
    sized = parse("scale(zscore(close, 20))")
    stopped = parse("when(gt(close, open), long, short) with stop=0.05")
    assert not is_comparable(sized)
    assert not is_comparable(stopped)
    for program in (sized, stopped):
        with pytest.raises(ProgramError, match="-1, 0 or 1"):
            prepare([program], bars)


def _ours(programs: list[Program], bars: Bars) -> Floats:
    table = appraise(programs, bars, COSTS)
    return np.array([table[name].to_numpy() for name in FIGURES], dtype=np.float64).T


def _trees(programs: list[Program], bars: Bars) -> tuple[Obvious, list[tuple[Any, Program]]]:
    obvious = prepare(programs, bars)
    return obvious, [(obvious.tree(one), one) for one in programs]


def test_vectorbt_gives_our_figures_for_our_positions(bars: Bars) -> None:
    programs = [*map(parse, RULES), *random_population(bars, 30, 11)]
    wanted, desk, ours = evaluate(programs, bars), Desk.of(bars, COSTS), _ours(programs, bars)
    for engine in engines():
        single = [desk.figures(desk.portfolio(row, engine), "lean") for row in wanted]
        np.testing.assert_allclose(single, ours, rtol=1e-9, atol=1e-10)


def test_a_batch_gives_what_one_by_one_gives(bars: Bars) -> None:
    programs = list(map(parse, RULES))
    obvious, trees = _trees(programs, bars)
    desk = Desk.of(bars, COSTS)
    single = one_by_one(obvious, desk, trees, engines()[0], "lean")
    np.testing.assert_allclose(batched(obvious, desk, trees, engines()[0], "lean", 3), single, rtol=1e-12, atol=1e-13)


@pytest.mark.proof
def test_the_usual_way_differs_by_returns_per_bar_alone(bars: Bars) -> None:
    obvious, trees = _trees([*map(parse, RULES), *random_population(bars, 30, 11)], bars)
    desk = Desk.of(bars, COSTS)
    for engine in engines():
        usual, lean = (one_by_one(obvious, desk, trees, engine, way) for way in WAYS)
        np.testing.assert_allclose(usual[:, 0], lean[:, 0], rtol=1e-10, atol=1e-12)
        assert (usual[:, 2] <= lean[:, 2] + 1e-12).all()  # hourly drawdowns are at least as deep as daily ones
        assert set(np.unique(usual[:, 3] - lean[:, 3])) <= {0.0, 1.0}  # VectorBT also counts the trade still open
        columns = batched(obvious, desk, trees, engine, "usual", 5)
        np.testing.assert_allclose(columns, usual, rtol=1e-9, atol=1e-12, equal_nan=True)
