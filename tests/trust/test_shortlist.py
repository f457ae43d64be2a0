"""The shortlist: best first, each of its own kind."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantga.errors import ConfigError
from quantga.trust.overfitting import Panel
from quantga.trust.shortlist import shortlist


def panel():
    draw = np.random.default_rng(1)
    a, b, c = draw.normal(size=(3, 500))
    columns = [a, a + 0.2 * b, -a + 0.1 * c, b, np.zeros(500), c]
    return Panel(np.arange(500), np.column_stack(columns))


def test_the_best_of_each_kind_in_order():
    assert shortlist([1.0, 2.0, 3.0, 0.5, 9.0, 0.7], panel()) == [2, 5, 3]
    assert shortlist([3.0, 2.0, 1.0, 0.5, 9.0, 0.7], panel()) == [0, 5, 3]
    assert shortlist([3.0, 2.0, 1.0, 0.5, 9.0, 0.7], panel(), most=2) == [0, 5]
    assert shortlist([3.0, 2.0, 1.0, 0.5, 9.0, 0.7], panel(), alike=1.0) == [0, 1, 2, 5, 3]


def test_ties_go_to_the_earlier_and_failures_are_left_out():
    assert shortlist([1.0] * 6, panel()) == [0, 3, 5]
    assert shortlist([-math.inf, math.nan, 0.1, 0.2, 0.3, -math.inf], panel()) == [3, 2]


def test_what_is_no_choice_is_refused():
    for wrong in ({"most": 0}, {"alike": 0.0}):
        with pytest.raises(ConfigError, match="programs"):
            shortlist([1.0] * 6, panel(), **wrong)
    with pytest.raises(ConfigError, match="5 scores for 6 programs"):
        shortlist([1.0] * 5, panel())
