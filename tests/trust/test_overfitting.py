"""CSCV, paths and effective trials: against brute force, an independent implementation, and cases that are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from quantga.errors import ConfigError, DataError
from quantga.trust.overfitting import (
    Panel,
    cpcv,
    cscv,
    effective_trials,
    training_days,
    walk_forward_efficiency,
)


def panel(returns):
    return Panel(np.arange(len(returns)) + 18_000, np.asarray(returns, dtype=float))


def golden():
    returns = np.random.default_rng(0).normal(0, 0.01, (730, 50))
    returns[:, 3] += 0.0008
    return panel(returns)


def slow_cscv(returns, blocks):
    """CSCV as it is told: a loop over halvings, a Sharpe ratio per trial, a sort."""
    days = len(returns) // blocks * blocks
    parts = np.split(returns[len(returns) - days :], blocks)
    logits = []
    for half in itertools.combinations(range(blocks), blocks // 2):
        one = np.concatenate([parts[b] for b in half])
        other = np.concatenate([parts[b] for b in range(blocks) if b not in half])
        ratio = [x.mean(axis=0) / x.std(axis=0, ddof=1) for x in (one, other)]
        best = int(np.argmax(ratio[0]))
        rank = 1 + int((ratio[1] < ratio[1][best]).sum())
        relative = rank / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
    return logits


def test_the_golden_number_of_cscv():
    found = cscv(golden(), 10)
    assert found.probability == pytest.approx(0.448413, abs=5e-7)
    assert np.allclose(found.logits, slow_cscv(golden().returns, 10), atol=1e-12)


@pytest.mark.parametrize(("days", "trials", "blocks"), [(60, 3, 4), (101, 7, 6), (200, 40, 8), (50, 120, 4)])
def test_cscv_is_its_brute_force(days, trials, blocks):
    returns = np.random.default_rng(days).normal(0.0002, 0.01, (days, trials))
    assert np.allclose(cscv(panel(returns), blocks).logits, slow_cscv(returns, blocks), atol=1e-9)


def test_an_independent_implementation_of_cscv_agrees():
    purgedcv = pytest.importorskip("purgedcv")
    theirs = purgedcv.probability_of_backtest_overfitting(golden().returns.T, n_splits=10)
    assert cscv(golden(), 10).probability == pytest.approx(theirs.pbo, abs=1e-12)


def test_cscv_tells_an_edge_from_a_trial_that_only_fits():
    draw = np.random.default_rng(1)
    edge = draw.normal(0, 0.01, (400, 20))
    edge[:, 5] += 0.008
    assert cscv(panel(edge), 10).probability == 0
    assert set(cscv(panel(edge), 10).chosen) == {5}
    # Every trial shines in one block and pays for it in another: whatever is best inside is bad outside.
    fitted = draw.normal(0, 0.001, (400, 10))
    for trial in range(10):
        fitted[40 * trial : 40 * trial + 40, trial] += 0.01
    assert cscv(panel(fitted), 10).probability == 1


def test_a_panel_on_its_side_is_refused():
    with pytest.raises(DataError, match=r"shape \[days, trials\]"):
        Panel(np.arange(730), golden().returns.T)
    with pytest.raises(DataError, match="NaN"):
        panel([[math.nan, 1.0]])
    with pytest.raises(DataError, match="increase"):
        Panel(np.array([3, 2]), np.zeros((2, 2)))


@pytest.mark.parametrize("blocks", [0, 3, 18])
def test_blocks_that_cannot_be_halved_are_refused(blocks):
    with pytest.raises(ConfigError, match="even number"):
        cscv(golden(), blocks)


def test_too_little_is_refused():
    with pytest.raises(DataError, match="two trials"):
        cscv(panel(np.zeros((100, 1))), 4)
    with pytest.raises(DataError, match="too few"):
        cscv(panel(np.zeros((10, 3))), 8)


def test_a_trial_that_stands_still_counts_as_nothing_won():
    returns = np.zeros((40, 3))
    returns[:, 0] = np.tile([0.01, -0.02], 20)
    found = cscv(panel(returns), 4)
    assert np.isfinite(found.logits).all()
    assert set(found.chosen) == {1}  # the still ones are better than the loser


def test_effective_trials_of_copies_and_of_strangers():
    draw = np.random.default_rng(2)
    strangers = draw.normal(size=(20_000, 6))
    alone = effective_trials(panel(strangers))
    assert alone.participation == pytest.approx(6, abs=0.02)
    assert alone.rank == pytest.approx(6, abs=0.02)
    copies = np.repeat(strangers[:, :2], 5, axis=1) * np.arange(1, 11)
    both = effective_trials(panel(np.column_stack([copies, np.zeros(20_000)])))
    assert (both.made, round(both.participation, 2), round(both.rank, 2)) == (11, 2.0, 2.0)
    with pytest.raises(DataError, match="no trial moved"):
        effective_trials(panel(np.zeros((10, 2))))


def test_more_trials_than_days_have_the_same_eigenvalues():
    returns = np.random.default_rng(3).normal(size=(30, 80))
    values = np.linalg.eigvalsh(np.corrcoef(returns.T))
    values = values[values > 1e-10]
    found = effective_trials(panel(returns))
    assert found.participation == pytest.approx(values.sum() ** 2 / (values**2).sum())
    shares = values / values.sum()
    assert found.rank == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))


def test_training_days_keep_away_from_what_is_tested():
    kept = training_days(np.arange(100), [(40, 50), (90, 100)], embargo=7, purge=3)
    assert set(np.flatnonzero(~kept)) == {*range(37, 57), *range(87, 100)}


def test_paths_are_put_together_as_by_hand():
    days, groups, tested = 120, 6, 2
    returns = np.random.default_rng(4).normal(0, 0.01, (days, 3))
    found = cpcv(panel(returns), groups, tested, embargo=5, purge=2)
    assert found.returns.shape == (5, days)
    assert len(found.chosen) == 15
    used = {group: [] for group in range(groups)}
    for left_out in itertools.combinations(range(groups), tested):
        train = [d for d in range(days) if all(not g * 20 - 2 <= d <= g * 20 + 19 + 5 for g in left_out)]
        part = returns[train]
        best = int(np.argmax(part.mean(axis=0) / part.std(axis=0, ddof=1)))
        for group in left_out:
            used[group].append(best)
    for group, programs in used.items():
        rows = slice(group * 20, group * 20 + 20)
        for path, best in enumerate(programs):
            assert np.array_equal(found.returns[path, rows], returns[rows, best])
    expected = found.returns.mean(axis=1) / found.returns.std(axis=1, ddof=1)
    assert np.allclose(found.sharpe, expected)


def test_an_independent_implementation_of_the_paths_agrees():
    purgedcv = pytest.importorskip("purgedcv")
    days, returns = 120, np.random.default_rng(5).normal(0, 0.01, (120, 4))
    found = cpcv(panel(returns), 6, 2, embargo=0)
    folds = list(itertools.combinations(range(6), 2))
    rows = [np.concatenate([np.arange(g * 20, g * 20 + 20) for g in fold]) for fold in folds]
    values = [returns[index, best] for index, best in zip(rows, found.chosen, strict=True)]
    theirs = purgedcv.reconstruct_paths(values, rows, 6, 2, days)
    assert np.array_equal(theirs, found.returns)


def test_paths_that_cannot_be_made_are_refused():
    with pytest.raises(ConfigError, match="keep at least one"):
        cpcv(golden(), 4, 4)
    with pytest.raises(DataError, match="two programs"):
        cpcv(panel(np.zeros((100, 1))))
    with pytest.raises(DataError, match="no day to choose on"):
        cpcv(panel(np.ones((20, 2))), 4, 2, embargo=30, purge=30)


def test_walk_forward_efficiency():
    assert walk_forward_efficiency(np.array([2.0, 1.0]), np.array([1.0, 0.5])) == pytest.approx(0.5)
    with pytest.raises(DataError, match="nothing was earned"):
        walk_forward_efficiency(np.array([-1.0]), np.array([1.0]))
    with pytest.raises(DataError, match="per window"):
        walk_forward_efficiency(np.array([]), np.array([]))
