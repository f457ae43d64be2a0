"""What windows hold alone decides their value: neither what lay before them nor how far they stand from zero."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import evaluate
from tests.lang.markets import HOUR, expression, same

NAMES = ("sum", "mean", "wma", "std", "slope", "skew", "mean_dev", "highest", "lowest", "rank", "since_highest")
PAIRS = ("corr", "beta")
WINDOWS = (2, 3, 4, 5, 7, 8, 16, 20, 60, 200, 336, 700)


def texts(window: int) -> list[str]:
    return [f"{name}($a, {window})" for name in NAMES] + [f"{name}($a, $b, {window})" for name in PAIRS]


def market(a: Floats, b: Floats | None = None, origin: int = 77) -> Bars:
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), np.ones(len(a)))
    return Bars(HOUR, origin, {**columns, "$a": a, "$b": a[::-1].copy() if b is None else b})


@pytest.mark.parametrize("window", WINDOWS)
def test_a_wild_value_leaves_no_trace(window: int) -> None:
    rng = np.random.default_rng(window)
    calm = np.cumsum(rng.normal(0, 1, 2_500))
    wild, at = calm.copy(), 900 + window % 512
    wild[at] = 1e200
    b = rng.normal(0, 1, len(calm))
    programs = [expression(text) for text in texts(window)]
    one, other = evaluate(programs, market(calm, b)), evaluate(programs, market(wild, b))
    assert same(one[:, at + window :], other[:, at + window :])
    assert same(one[:, :at], other[:, :at])


@pytest.mark.parametrize("window", WINDOWS)
def test_equal_values_do_not_vary(window: int) -> None:
    rng = np.random.default_rng(window)
    a = rng.normal(0, 1e6, 2_600)
    a[400:1_700] = value = 0.1 + 0.2
    rows = dict(zip((*NAMES, *PAIRS), evaluate([expression(t) for t in texts(window)], market(a)), strict=True))
    flat = slice(400 + window - 1, 1_700)
    for name in ("mean", "wma", "highest", "lowest"):
        assert (rows[name][flat] == value).all(), name
    for name in ("std", "slope", "mean_dev", "since_highest"):
        assert (rows[name][flat] == 0).all(), name
    for name in ("skew", "corr"):
        assert np.isnan(rows[name][flat]).all(), name


def exactly(values: Floats) -> dict[str, float]:
    """Compute a window's figures in rational numbers, rounded once at the end."""
    x = [Fraction(v) for v in values.tolist()]
    n = len(x)
    mean = sum(x) / n
    squares = sum((v - mean) ** 2 for v in x) / n
    cubes = sum((v - mean) ** 3 for v in x) / n
    arms = [i - Fraction(n - 1, 2) for i in range(n)]
    return {
        "mean": float(mean),
        "std": math.sqrt(squares),
        "skew": float(cubes) / math.sqrt(squares) ** 3,
        "slope": float(sum(a * v for a, v in zip(arms, x, strict=True)) / sum(a * a for a in arms)),
        "wma": float(2 * sum((i + 1) * v for i, v in enumerate(x)) / (n * (n + 1))),
        "mean_dev": float(sum(abs(v - mean) for v in x) / n),
    }


@pytest.mark.parametrize("window", [3, 8, 20, 60, 336])
@pytest.mark.parametrize("level", [0.0, 1e9])
def test_far_from_zero_as_near_it(window: int, level: float) -> None:
    rng = np.random.default_rng(window)
    a = level + np.cumsum(rng.normal(0, 1e-3, 1_400))
    a[700] += 50  # windows that hold it have one value far from all others
    names = ("mean", "std", "skew", "slope", "wma", "mean_dev")
    rows = evaluate([expression(f"{name}($a, {window})") for name in names], market(a))
    for at in (*range(window - 1, len(a), 331), *range(700, 700 + window, max(1, window // 2))):
        exact = exactly(a[at - window + 1 : at + 1])
        for name, row in zip(names, rows, strict=True):
            # A value is off by roundings of the window's spread, and of its level where that is a part of it.
            spread = max(exact["std"], abs(exact[name])) if name != "skew" else max(1.0, abs(exact["skew"]))
            room = 1e-11 * spread if name != "mean_dev" else 1e-11 * spread + 1e-15 * level
            assert abs(row[at] - exact[name]) <= room, (name, at, row[at], exact[name])
