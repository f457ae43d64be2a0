"""Superiority over doing nothing: `arch` asked the right way round, and the same answer every time."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.errors import ConfigError, DataError
from quantga.trust.overfitting import Panel
from quantga.trust.snooping import superiority


def panel(returns):
    return Panel(np.arange(len(returns)), returns)


def noise(seed, days=200, trials=10):
    return np.random.default_rng(seed).normal(0, 0.01, (days, trials))


def test_an_edge_is_found_and_named_and_its_opposite_is_not():
    returns = noise(1)
    returns[:, 4] += 0.005
    returns[:, 0] = 0  # never moved
    found = superiority(panel(returns), 1, repetitions=300)
    assert found.consistent < 0.01
    assert found.better == (4,)
    assert found.lower <= found.consistent <= found.upper
    returns[:, 4] -= 0.01  # passing returns for losses would find this
    assert superiority(panel(returns), 1, repetitions=300).consistent > 0.1


def test_noise_is_rarely_superior():
    values = [superiority(panel(noise(seed, 60, 5)), seed, repetitions=100).consistent for seed in range(40)]
    assert sum(value <= 0.05 for value in values) <= 7  # 40 at 5 %: more than 7 happens once in 700
    assert np.mean(values) > 0.3


def test_the_answer_is_named_by_the_seed():
    one, two, other = (superiority(panel(noise(2)), seed, repetitions=200) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_what_is_no_test_is_refused():
    with pytest.raises(DataError, match="a trial that moved"):
        superiority(panel(np.zeros((50, 3))), 1)
    with pytest.raises(DataError, match="20 days"):
        superiority(panel(noise(3, 10)), 1)
    with pytest.raises(ConfigError, match="at least 100"):
        superiority(panel(noise(3)), 1, repetitions=5)
