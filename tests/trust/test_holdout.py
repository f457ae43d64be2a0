"""The holdout: apart from the search, long enough, and opened once."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.errors import ConfigError, DataError, LockedBars
from quantga.lang.bars import DAY_MS, HOUR_MS
from quantga.trust.holdout import (
    HOLDING,
    Look,
    Search,
    Span,
    embargo,
    may_look,
    online_levels,
    split,
)

T0 = 1_577_836_800_000  # 2020-01-01
YEAR = 365 * DAY_MS
HOLD = Span("BTC", "1h", T0 + 2 * YEAR, T0 + 4 * YEAR)


def look(run="r1", span=HOLD, level=0.05):
    return Look(run, (span,), level)


def test_the_embargo_is_what_programs_remember_and_hold():
    assert embargo(200, 48, HOUR_MS) == 248 * HOUR_MS
    assert embargo(200, 0, HOUR_MS) == 200 * HOUR_MS + HOLDING


def test_a_history_is_split_and_knows_whether_it_can_prove_anything():
    parts = split((T0, T0 + 2 * YEAR), (T0 + 2 * YEAR, T0 + 4 * YEAR), 30 * DAY_MS)
    assert (parts.opens, parts.closes) == (T0 + 2 * YEAR + 30 * DAY_MS, T0 + 4 * YEAR)
    assert parts.provable
    assert parts.years == pytest.approx((2, 2 - 30 / 365))
    early = split((T0, T0 + YEAR), (T0 + 2 * YEAR, T0 + 4 * YEAR), 30 * DAY_MS)
    assert early.opens == T0 + 2 * YEAR  # a year lies between anyway
    assert not split((T0, T0 + YEAR), (T0 + YEAR, T0 + 2 * YEAR), DAY_MS).provable


def test_settings_that_peek_are_refused():
    with pytest.raises(ConfigError, match=r"read bars to 2021-12-31, and the holdout begins 2021-12-30"):
        split((T0, T0 + 2 * YEAR), (T0 + 2 * YEAR - DAY_MS, T0 + 4 * YEAR), DAY_MS)
    with pytest.raises(ConfigError, match=r"an embargo of 1.0 days is shorter .*\(30.0 days\)"):
        split((T0, T0 + YEAR), (T0 + YEAR, T0 + 3 * YEAR), 30 * DAY_MS, DAY_MS)


def test_a_history_too_short_is_refused():
    with pytest.raises(DataError, match=r"60 days are left .* at least 90"):
        split((T0, T0 + YEAR), (T0 + YEAR, T0 + YEAR + 90 * DAY_MS), 30 * DAY_MS)
    with pytest.raises(DataError, match="0 days are left"):
        split((T0, T0 + YEAR), (T0 + YEAR, T0 + YEAR + 9 * DAY_MS), 30 * DAY_MS)


def test_a_fresh_holdout_has_the_whole_level():
    granted = may_look([HOLD], [], [], 0.05, second_look=False)
    assert (granted.level, granted.number) == (0.05, 1)
    assert "first look at BTC 1h from 2021-12-31 to 2023-12-31" in granted.words


def test_a_holdout_answers_once():
    with pytest.raises(LockedBars, match=r"opened by run r1: a holdout answers once.*0\.025 instead of 0\.05"):
        may_look([HOLD], [look()], [], 0.05, second_look=False)


@pytest.mark.parametrize(
    "other",
    [
        Span("BTC", "1h", T0 + 2 * YEAR, T0 + 4 * YEAR + HOUR_MS),  # one more bar resets nothing
        Span("BTC", "4h", T0 + 2 * YEAR, T0 + 4 * YEAR),  # nor does another bar length
        Span("BTC", "1h", T0 + 3 * YEAR, T0 + 9 * YEAR),  # nor a window that shares some of it
    ],
)
def test_what_overlaps_was_seen(other):
    with pytest.raises(LockedBars, match="answers once"):
        may_look([other], [look()], [], 0.05, second_look=False)
    both = [Span("ETH", "1h", other.start, other.end), other]
    with pytest.raises(LockedBars, match="answers once"):
        may_look(both, [look()], [], 0.05, second_look=False)


@pytest.mark.parametrize(
    "other",
    [Span("ETH", "1h", T0 + 2 * YEAR, T0 + 4 * YEAR), Span("BTC", "1h", T0 + 4 * YEAR, T0 + 5 * YEAR)],
)
def test_another_asset_or_later_bars_are_fresh(other):
    assert may_look([other], [look()], [], 0.05, second_look=False).level == 0.05


def test_further_looks_spend_the_level_and_end():
    looks, spent = [], 0.0
    for number in range(1, 7):
        granted = may_look([HOLD], looks, [], 0.05, second_look=True)
        assert granted.number == number
        spent += granted.level
        looks.append(look(f"r{number}", level=granted.level))
    assert spent <= 0.1
    with pytest.raises(LockedBars, match="its level is spent"):
        may_look([HOLD], looks, [], 0.05, second_look=True)


def test_what_was_searched_cannot_answer():
    unlocked = Search("r9", (Span("BTC", "1h", T0, T0 + 3 * YEAR),), 1000)
    with pytest.raises(LockedBars, match="run r9 has searched BTC 1h"):
        may_look([HOLD], [], [unlocked], 0.05, second_look=True)
    honest = Search("r8", (Span("BTC", "1h", T0, T0 + 2 * YEAR),), 1000)
    assert may_look([HOLD], [], [honest], 0.05, second_look=False).number == 1


def test_what_is_no_look_is_refused():
    with pytest.raises(ConfigError, match="0 spans"):
        may_look([], [], [], 0.05, second_look=False)
    with pytest.raises(ConfigError, match="level within"):
        may_look([HOLD], [], [], 0.9, second_look=False)
    with pytest.raises(ConfigError, match="holds nothing"):
        Span("BTC", "1h", 5, 5)


def test_online_levels_by_hand():
    first, second, third = online_levels([0.5, 1e-9], 0.05)
    gamma = [first / 0.025, second / 0.025]
    assert gamma[0] == pytest.approx(0.0548, abs=5e-4)  # log 2 over the sum of the series
    # After a discovery at the second look: what is left of alpha comes back, discounted from there on.
    third_gamma = online_levels([0.5, 0.5], 0.05)[2] / 0.025
    assert third == pytest.approx(0.025 * third_gamma + 0.025 * gamma[0])


def test_online_levels_keep_the_false_discovery_rate():
    draw = np.random.default_rng(1)
    false, runs = 0, 400
    for _ in range(runs):
        p = list(draw.random(100))
        levels = online_levels(p)
        false += any(value <= level for value, level in zip(p, levels, strict=False))
    assert false / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert sum(online_levels([1.0] * 3000)) <= 0.025
