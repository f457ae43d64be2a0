"""The judgement as one function: what it asks for, in which order, and what it does not ask for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantga.engine.costs import Costs
from quantga.errors import ConfigError
from quantga.lang.bars import DAY_MS
from quantga.lang.parse import parse
from quantga.trust.families import Family
from quantga.trust.mining import Stop
from quantga.trust.overfitting import Panel
from quantga.trust.pipeline import Found, Looked, Rules, Seen, decide, found_of, power_words, seen_of
from quantga.trust.promote import Gate
from quantga.trust.track import track

START = 1_577_836_800_000
PROGRAMS = tuple(parse(f"when(gt(close, mean(close, {n})), long, short)") for n in (10, 20, 50))
MAXIMA = [1.5 + 0.004 * k for k in range(199)]


def days(sharpe, n=500, seed=1):
    x = np.random.default_rng(seed).normal(size=n)
    return 0.01 * ((x - x.mean()) / x.std(ddof=1) + sharpe / math.sqrt(365))


def found(scores=(3.0, 2.9, 1.0), alike=True):
    """Three champions; the first two move together."""
    first = days(2.0, 700)
    second = first if alike else days(2.0, 700, 9)
    records = np.column_stack([first, second + days(0.0, 700, 2) * 0.1, days(1.0, 700, 3)])
    return Found(PROGRAMS, scores, Panel(np.arange(700), records))


def look(sharpe=2.5, level=0.05, asked=None, **more):
    def opened(programs):
        if asked is not None:
            asked.append(programs)
        return Looked(level, tuple(Seen(days(sharpe, seed=5 + k), 60, **more) for k in range(len(programs))))

    return opened


def never(programs):
    pytest.fail("the holdout was opened")


def test_what_is_found_and_holds_is_promoted():
    asked = []
    judged = decide(found(), iter(MAXIMA), look(asked=asked), Rules(holdout_days=500))
    assert judged.verdict.decision == "promoted"
    assert judged.shortlist == (0, 2)
    assert asked == [[PROGRAMS[0], PROGRAMS[2]]]
    assert judged.verdict.promoted[0].program == PROGRAMS[0].id
    assert judged.p_mine[0] == 1 / 200
    assert len(judged.maxima) == 199


def test_luck_stops_early_and_keeps_the_holdout_shut():
    read = []

    def maxima():
        for number in range(199):
            read.append(number)
            yield 3.5

    judged = decide(found(), maxima(), never, Rules())
    assert judged.verdict.decision == "unopened"
    assert judged.verdict.words.startswith("nothing found: 100 %")
    assert len(read) == len(judged.maxima) == 5
    assert not judged.opened


def test_other_searches_of_the_same_bars_are_charged():
    alone = decide(found(), MAXIMA, look(), Rules(holdout_days=500))
    fourth = decide(found(), MAXIMA, look(), Rules(holdout_days=500, searches=4))
    assert fourth.p_mine[0] == pytest.approx(1 - (1 - alone.p_mine[0]) ** 4)
    assert fourth.verdict.p > alone.verdict.p
    many = decide(found(), MAXIMA, never, Rules(searches=1000))
    assert many.verdict.decision == "unopened"


def test_a_short_holdout_is_not_opened():
    judged = decide(found(), MAXIMA, never, Rules(holdout_days=364))
    assert judged.verdict.decision == "not provable"
    assert "364 days" in judged.verdict.words
    card = power_words(judged, 8, (1.5, 1.0), Gate())
    assert len(card) == 4
    assert "2.5 years" in card[0]


def test_the_level_is_the_looks():
    easy = decide(found(), MAXIMA, look(1.2, level=0.05), Rules(holdout_days=500))
    hard = decide(found(), MAXIMA, look(1.2, level=0.002), Rules(holdout_days=500))
    assert (easy.verdict.decision, hard.verdict.decision) == ("promoted", "not promoted")
    assert hard.verdict.level == 0.002


def test_what_must_not_be_promoted_is_not():
    judged = decide(found(), MAXIMA, look(refusals=("it knows the future",)), Rules(holdout_days=500))
    assert judged.verdict.decision == "not promoted"
    assert "it knows the future" in judged.verdict.outcomes[0].reasons


def test_a_search_without_champions_is_answered():
    nothing = found_of([], {}, Costs(), (0, 1))
    judged = decide(nothing, iter(()), never, Rules())
    assert judged.verdict.decision == "unopened"
    assert power_words(judged, 8, (2.0, 2.0), Gate()) == ()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ConfigError, match="not of one search"):
        Found(PROGRAMS, (1.0,), Panel(np.arange(700), np.zeros((700, 3))))
    with pytest.raises(ConfigError, match="the look showed 1 programs"):
        decide(found(), MAXIMA, lambda _: Looked(0.05, (Seen(days(1.0), 50),)), Rules(holdout_days=500))
    with pytest.raises(ConfigError, match="do not settle it"):
        decide(found(), MAXIMA[:50], never, Rules(stop=Stop()))


def test_champions_are_recorded_over_the_window_searched():
    market = Family("gbm", years=0.5).market(1, {"BTC": "BTC"}, START)
    window = (START, START + 100 * DAY_MS)
    made = found_of([(PROGRAMS[0], 2.0), (PROGRAMS[1], 1.0)], market, Costs(), window)
    own = track(PROGRAMS[1], market, Costs(), *window)
    assert len(made.returns.days) == 100
    assert np.array_equal(made.returns.returns[:, 1], own.alpha)
    assert seen_of(own, labels=("small",)).trades == own.trades
