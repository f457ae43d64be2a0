"""Every row of the operator table: it looks back only, as far as it says, and forgets where the array began.

Driven by the table, so that a new operator brings its own proof. The whole table is evaluated as one population.
"""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantga.lang.bars import Bars, Floats
from quantga.lang.definitions import Apply, template
from quantga.lang.evaluate import evaluate
from quantga.lang.kinds import IMMEDIATE
from quantga.lang.ops import OPS, K
from quantga.lang.program import Program
from tests.lang import oracle
from tests.lang.markets import applied, random_tokens, same, synthetic

SEEDS = st.integers(0, 10_000)
FEW = settings(max_examples=6)
LAZY = {K.WHEN, K.EVERY, K.HIGHER_MEAN}  # defined earlier than lookback where the other branch or the calendar allows
DATED = {K.DIV, K.CORR, K.BETA, K.SKEW, K.HOLD}  # undefined where the data say so


@cache
def rows(seed: int, depth: int = 1) -> list[Program]:
    """One program for each row of the table, its arguments drawn; with depth 4, compositions of four."""
    dice = random.Random(seed)
    return [Program.of(applied(dice, op, depth)) for op in OPS]


def kernels(tree: Apply) -> set[K]:
    return {tree.kernel}.union(*(kernels(s) for s in tree.series if isinstance(s, Apply)))


def kernels_of(program: Program) -> set[K]:
    return set().union(*(kernels(template(OPS[t])) for t in program.tokens if isinstance(t, int) and t < len(OPS)))


def noisy(bars: Bars, start: int, seed: int) -> Bars:
    """Replace everything from a row on by noise."""
    rng = np.random.default_rng(seed)
    columns = {name: column.copy() for name, column in bars.columns.items()}
    for column in columns.values():
        column[start:] = rng.choice([np.nan, 1e6, -3.0, 0.0, 1e-9], len(column) - start)
    return Bars(bars.interval, bars.origin, columns)


def assert_same(programs: list[Program], a: Floats, b: Floats) -> None:
    wrong = [str(p) for p, x, y in zip(programs, a, b, strict=True) if not same(x, y)]
    assert not wrong, wrong[:5]


@FEW
@given(SEEDS, st.integers(1, 2_500), st.sampled_from([1, 4]), st.sampled_from([0, 20]))
def test_nothing_sees_the_future(seed: int, cut: int, depth: int, gaps: int) -> None:
    programs, bars = rows(seed, depth), synthetic(2_500, seed, 480_000 + seed, gaps)
    whole = evaluate(programs, bars)
    assert_same(programs, evaluate(programs, bars.slice(0, cut)), whole[:, :cut])
    assert_same(programs, evaluate(programs, noisy(bars, cut, seed))[:, :cut], whole[:, :cut])


@FEW
@given(SEEDS, st.integers(1, 3_000), st.sampled_from([1, 4]), st.sampled_from([0, 20]))
def test_from_reach_on_the_start_is_forgotten(seed: int, cut: int, depth: int, gaps: int) -> None:
    programs, bars = rows(seed, depth), synthetic(9_000, seed, 480_000 + seed, gaps)
    whole, late = evaluate(programs, bars), evaluate(programs, bars.slice(cut, len(bars)))
    judged = 0
    for program, a, b in zip(programs, whole, late, strict=True):
        assert same(b[program.reach :], a[cut + program.reach :]), program
        judged += program.reach < 5_000
    assert judged > 0.7 * len(programs)


@FEW
@given(SEEDS, st.sampled_from([1, 4]))
def test_lookback_is_where_values_begin(seed: int, depth: int) -> None:
    programs, bars = rows(seed, depth), synthetic(1_200, seed)
    exact = 0
    for program, row in zip(programs, evaluate(programs, bars), strict=True):
        used, start = kernels_of(program), program.lookback
        if not used & LAZY:
            assert np.isnan(row[:start]).all(), program
        if not used & (DATED | LAZY) and not window_of_one(program):
            assert not np.isnan(row[start:]).any(), program
            exact += 1
    assert exact > 40


def window_of_one(program: Program) -> bool:
    return bool({"slope(", "trend("} & {f"{word}(" for word in str(program).replace("(", " ").split()})


@FEW
@given(SEEDS)
def test_values_are_those_of_the_definition(seed: int) -> None:
    programs = random.Random(seed).sample(rows(seed), 60)
    for gaps in (0, 8):
        bars = synthetic(900, seed, 480_000 + seed, gaps)
        for program, row in zip(programs, evaluate(programs, bars), strict=True):
            assert_close(program, row, oracle.compute(program, bars))


def assert_close(program: Program, row: Floats, wanted: Floats) -> None:
    assert np.array_equal(np.isnan(row), np.isnan(wanted)), program
    both = ~np.isnan(row)
    # The memory of exponential means is cut where e^-16 of the weight is left; all others agree to rounding.
    near = 3e-6 if kernels_of(program) & {K.EMA, K.WILDER} else 1e-9
    scale = np.max(
        np.abs(wanted[both]), initial=1e-5
    )  # below it a value is rounding: prices are near 100, ratios near 1
    assert np.max(np.abs(row - wanted)[both], initial=0) <= near * scale, program


@FEW
@given(SEEDS)
def test_a_gap_restarts_windows_and_heals(seed: int) -> None:
    programs, bars = rows(seed), synthetic(6_000, seed)
    columns = {name: column.copy() for name, column in bars.columns.items()}
    at = 1_500 + seed % 512
    for column in columns.values():
        column[at] = np.nan
    whole, gap = evaluate(programs, bars), evaluate(programs, Bars(bars.interval, bars.origin, columns))
    for program, a, b in zip(programs, whole, gap, strict=True):
        assert same(a[:at], b[:at]), program
        if not kernels_of(program) & (LAZY | {K.HOLD, K.CONSTANT}) and program.columns - {"hour", "weekday"}:
            assert np.isnan(b[at : at + program.lookback + 1]).any(), program
        heals = at + program.reach + 1
        assert same(a[heals:], b[heals:]), program


@pytest.mark.parametrize("bars", [1, 2, 13])
def test_arrays_shorter_than_the_window(bars: int) -> None:
    programs = rows(3)
    short = evaluate(programs, synthetic(600).slice(0, bars))
    assert_same(programs, short, evaluate(programs, synthetic(600))[:, :bars])


@pytest.mark.proof
@settings(max_examples=300)
@given(SEEDS, st.integers(1, 3_000), st.sampled_from([1, 2, 3, 4]), st.sampled_from([0, 20]))
def test_the_whole_table_at_length(seed: int, cut: int, depth: int, gaps: int) -> None:
    programs, bars = rows(seed, depth), synthetic(9_000, seed, 480_000 + seed, gaps)
    whole, late = evaluate(programs, bars), evaluate(programs, bars.slice(cut, len(bars)))
    assert_same(programs, evaluate(programs, bars.slice(0, cut)), whole[:, :cut])
    for program, a, b in zip(programs, whole, late, strict=True):
        assert same(b[program.reach :], a[cut + program.reach :]), program


def test_compositions_are_four_deep() -> None:
    dice = random.Random(1)
    deep = [Program.of(random_tokens(dice, op.ret, 4)) for op in OPS[::5] if op.ret not in IMMEDIATE]
    assert np.mean([program.depth >= 5 for program in deep]) > 0.6
