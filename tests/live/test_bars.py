"""Closed bars: none lost, none twice, none in another order, none with other values, whatever happens to the frames."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.live.bars import Assembler
from quantga.live.rules import Rules
from quantga.venue.market import Candle, Level, Quote, Trade
from quantga.venue.stream import Trades
from tests.live.market import MINUTE, Market, values

T0 = 1_735_689_600_000
RULES = Rules()


def quote(time, coin="BTC"):
    return Quote(coin, time, Level(1.0, 1.0, 1), None)


def trade(time, px, tid, size=1.0, coin="BTC"):
    return Trades((Trade(coin, time, True, px, size, tid, "0x0"),))


def candle(time, prices, volume, count, coin="BTC"):
    return Candle(coin, "1m", time, time + MINUTE - 1, *prices, volume, count)


class Play:
    """An assembler with a clock: our seconds are the venue's."""

    def __init__(self, **options):
        self.core, self.out, self.at = Assembler([("BTC", MINUTE)], **options), [], T0

    def hear(self, time, *frames):
        self.at = time
        for frame in frames:
            self.out += self.core.hear(frame, time / 1000, time * 1_000_000)
        return self

    def asks(self, time=None):
        self.at = time or self.at
        return self.core.asks(self.at / 1000)

    def answer(self, ask, rows):
        self.out += self.core.answer(ask, rows, self.at / 1000, self.at * 1_000_000)


def first_minute(play):
    """A whole minute with two trades, seen from before its first."""
    play.hear(T0, quote(T0))
    for half in range(1, 120):
        play.hear(T0 + half * 500, quote(T0 + half * 500))
        if half == 10:
            play.hear(T0 + 5_000, trade(T0 + 5_000, 100.0, 1), candle(T0, (100.0, 100.0, 100.0, 100.0), 1.0, 1))
        if half == 110:
            play.hear(T0 + 55_000, trade(T0 + 55_000, 101.0, 2), candle(T0, (100.0, 101.0, 100.0, 101.0), 2.0, 2))
    return play


NEXT = candle(T0 + MINUTE, (101.0, 101.0, 101.0, 101.0), 1.0, 1)


def test_the_next_candle_proves_a_close_at_once():
    play = first_minute(Play())
    play.hear(T0 + MINUTE + 300, trade(T0 + MINUTE + 300, 101.0, 3))
    assert play.out == []
    play.hear(T0 + MINUTE + 300, NEXT)
    (bar,) = play.out
    assert (bar.time, bar.end, bar.values) == (T0, T0 + MINUTE, (100.0, 101.0, 100.0, 101.0, 2.0, 2))
    assert (bar.closed, bar.received, bar.source) == (T0 + MINUTE + 300, (T0 + MINUTE + 300) * 10**6, "stream")
    assert play.asks() == []


def test_a_next_candle_before_the_last_trade_was_told_proves_nothing():
    play = first_minute(Play())
    play.hear(T0 + 59_900, trade(T0 + 59_900, 102.0, 3))
    play.hear(T0 + MINUTE + 300, NEXT)
    assert play.out == []
    play.hear(T0 + MINUTE + 301, candle(T0, (100.0, 102.0, 100.0, 102.0), 3.0, 3))
    assert [bar.close for bar in play.out] == [102.0]


def test_a_candle_that_contradicts_the_trades_is_asked_for():
    play = first_minute(Play())
    play.hear(T0 + 59_900, trade(T0 + 59_900, 102.0, 3))
    play.hear(T0 + MINUTE + 300, NEXT)
    assert play.asks() == []
    (ask,) = play.asks(T0 + MINUTE + 450)
    assert (ask.start, ask.end, ask.clock) == (T0, T0 + MINUTE, T0 + MINUTE)
    play.answer(ask, [candle(T0, (100.0, 102.0, 100.0, 102.0), 3.0, 3), NEXT])
    assert [(bar.close, bar.source) for bar in play.out] == [(102.0, "rest")]


def test_the_tape_counts_a_trade_once():
    play = first_minute(Play())
    play.hear(T0 + 59_800, trade(T0 + 55_000, 101.0, 2), trade(T0 + 5_000, 100.0, 1))  # a replay of old ones
    play.hear(T0 + MINUTE + 300, NEXT)
    assert [bar.source for bar in play.out] == ["stream"]


def test_a_bar_without_a_next_candle_is_asked_for_once_the_clock_is_past_it():
    play = first_minute(Play())
    for ms in range(0, 3000, 500):
        play.hear(T0 + MINUTE + ms, quote(T0 + MINUTE + ms))
        if ms < 1500:
            assert play.asks() == []
    (ask,) = play.asks(T0 + MINUTE + 2_500)
    assert ask.clock >= T0 + MINUTE + RULES.margin
    assert play.asks() == []  # one question at a time
    play.answer(ask, [candle(T0, (100.0, 101.0, 100.0, 101.0), 2.0, 2)])
    assert [bar.source for bar in play.out] == ["rest"]


def test_nobody_traded_is_said_only_by_an_answer_that_holds_the_bar_before():
    play = first_minute(Play())
    play.hear(T0 + MINUTE + 300, NEXT, trade(T0 + MINUTE + 300, 101.0, 3))
    at = T0 + 3 * MINUTE
    for ms in range(500, 2 * MINUTE + 3000, 500):
        play.hear(T0 + MINUTE + ms, quote(T0 + MINUTE + ms))
    (ask,) = play.asks()
    assert ask.start == T0
    before = candle(T0, (100.0, 101.0, 100.0, 101.0), 2.0, 2)
    play.answer(ask, [NEXT])  # an answer cut short cannot say what is not there
    assert len(play.out) == 1
    (ask,) = play.asks(at + 4000)
    play.answer(ask, [])
    assert len(play.out) == 1
    (ask,) = play.asks(at + 9000)
    play.answer(ask, [before, NEXT])
    assert [(bar.time - T0, bar.traded) for bar in play.out[1:]] == [(MINUTE, True), (2 * MINUTE, False)]
    empty = play.out[-1]
    assert math.isnan(empty.open)
    assert (empty.volume, empty.trades, empty.source) == (0.0, 0, "rest")


def test_an_answer_asked_too_early_does_not_close():
    play = Play(history=1)
    play.hear(T0 + MINUTE + 500, quote(T0 + MINUTE + 500))
    (ask,) = play.asks()
    play.answer(ask, [candle(T0, (1.0, 1.0, 1.0, 1.0), 1.0, 1)])
    assert play.out == []
    play.hear(T0 + MINUTE + 1_500, quote(T0 + MINUTE + 1_500))
    (ask,) = play.asks(T0 + MINUTE + 2_500)
    play.answer(ask, [candle(T0, (1.0, 2.0, 1.0, 2.0), 2.0, 2)])
    assert [bar.close for bar in play.out] == [2.0]


def test_an_answer_that_contradicts_the_trades_is_doubted_once():
    play = first_minute(Play())
    for ms in range(0, 2500, 500):
        play.hear(T0 + MINUTE + ms, quote(T0 + MINUTE + ms))
    old = candle(T0, (100.0, 100.0, 100.0, 100.0), 1.0, 1)
    (ask,) = play.asks()
    play.answer(ask, [old])
    assert play.out == []
    (ask,) = play.asks(T0 + MINUTE + 4_000)
    play.answer(ask, [old])
    assert [bar.close for bar in play.out] == [100.0]
    assert (play.core.counts.doubted, play.core.counts.disagreed) == (2, 1)


def test_after_a_hole_the_stream_alone_proves_nothing():
    play = first_minute(Play())
    play.core.broken()
    play.hear(T0 + MINUTE + 300, quote(T0 + MINUTE + 300), NEXT)
    assert play.out == []
    assert len(play.asks(T0 + MINUTE + 500)) == 1

    play = Play()
    play.hear(T0, quote(T0), trade(T0 + 1, 100.0, 1), candle(T0, (100.0, 100.0, 100.0, 100.0), 1.0, 1))
    play.hear(T0 + MINUTE + 300, NEXT)  # a minute of silence
    assert play.out == []
    assert play.core.counts.holes == 1


def test_a_failed_question_is_repeated_with_growing_pauses():
    play = Play(history=2)
    play.hear(T0, quote(T0))
    pauses, now = [], T0
    for _ in range(4):
        (ask,) = play.asks(now)
        play.core.failed(ask, now / 1000)
        due = play.core.next_due()
        pauses.append(round(due - now / 1000, 3))
        now = int(due * 1000) + 1
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_it_goes_on_where_it_ended():
    play = Play()
    play.core.resume("BTC", MINUTE, T0 - 3 * MINUTE)
    play.hear(T0 + 1, quote(T0 + 1))
    (ask,) = play.asks(T0 + 400)
    assert (ask.start, ask.end) == (T0 - 3 * MINUTE, T0)
    rows = [candle(T0 - k * MINUTE, (1.0, 1.0, 1.0, 1.0), 1.0, 1) for k in (3, 2, 1, 0)]
    play.answer(ask, rows)
    assert [bar.time - T0 for bar in play.out] == [-2 * MINUTE, -MINUTE]


def test_what_the_venue_no_longer_tells_is_counted():
    play = Play()
    play.core.resume("BTC", MINUTE, T0 - 9000 * MINUTE)
    play.hear(T0 + 1, quote(T0 + 1))
    (ask,) = play.asks(T0 + 400)
    assert ask.start == T0 - 4999 * MINUTE
    assert play.core.counts.unknowable == 4000


def test_history_begins_with_the_venues_first_bar():
    play = Play(history=10)
    play.hear(T0 + 1, quote(T0 + 1))
    (ask,) = play.asks(T0 + 1)
    play.answer(ask, [candle(T0 - k * MINUTE, (1.0, 1.0, 1.0, 1.0), 1.0, 1) for k in (3, 2, 1, 0)])
    assert [bar.time - T0 for bar in play.out] == [-3 * MINUTE, -2 * MINUTE, -MINUTE]


def test_where_history_begins_is_settled_once():
    play = Play(history=10)
    play.hear(T0 + 1, quote(T0 + 1))
    (ask,) = play.asks(T0 + 1)
    play.answer(ask, [candle(T0, (1.0, 1.0, 1.0, 1.0), 1.0, 1)])  # it begins with the open bar
    for k in range(1, 400):
        play.hear(T0 + k * 500, quote(T0 + k * 500))
    (ask,) = play.asks()
    play.answer(ask, [candle(T0 + 2 * MINUTE, (1.0, 1.0, 1.0, 1.0), 1.0, 1)])  # cut short
    assert play.out == []


def test_a_candle_of_a_told_bar_is_counted_as_old_or_as_a_revision():
    play = first_minute(Play())
    play.hear(T0 + MINUTE + 300, trade(T0 + MINUTE + 300, 101.0, 3), NEXT)
    play.hear(T0 + MINUTE + 301, candle(T0, (100.0, 100.0, 100.0, 100.0), 1.0, 1))
    assert (play.core.counts.stale, play.core.counts.revised) == (1, 0)
    play.hear(T0 + MINUTE + 302, candle(T0, (100.0, 103.0, 100.0, 103.0), 3.0, 3))
    assert play.core.counts.revised == 1
    assert len(play.out) == 1


def test_bars_of_the_stream_are_compared_with_an_answer_later():
    play = first_minute(Play(rules=Rules(audit=600.0)))
    play.hear(T0 + MINUTE + 300, trade(T0 + MINUTE + 300, 101.0, 3), NEXT)
    assert play.asks(T0 + 9 * MINUTE) == []
    (ask,) = play.asks(T0 + 12 * MINUTE)
    assert ask.start == T0
    other = candle(T0, (100.0, 103.0, 100.0, 103.0), 3.0, 3)
    play.answer(ask, [other, NEXT])
    assert play.core.counts.revised == 1
    assert len(play.out) == 1
    assert play.asks(T0 + 30 * MINUTE) == []


def test_other_coins_and_intervals_are_left_alone():
    play = Play()
    play.hear(T0, candle(T0, (1.0, 1.0, 1.0, 1.0), 1.0, 1, coin="ETH"), trade(T0, 1.0, 1, coin="ETH"))
    play.hear(T0, Candle("BTC", "5m", T0, T0 + 5 * MINUTE - 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1))
    play.hear(T0, quote(T0, "ETH"))
    assert play.out == []


def disturbed(frames, dice, odds):
    """Frames with some doubled, swapped with the next, or lost; and stretches lost with the socket, or in silence."""
    out, k = [], 0
    while k < len(frames):
        at, frame = frames[k]
        chance = dice.random()
        if chance < odds["cut"]:
            out.append((at, None))
            until = at + dice.randint(1, 90_000)
            while k < len(frames) and frames[k][0] < until:
                k += 1
            continue
        if chance < odds["cut"] + odds["silent"]:
            until = at + dice.randint(2_000, 90_000)
            while k < len(frames) and frames[k][0] < until:
                k += 1
            continue
        out.append((at, frame))
        chance = dice.random()
        if chance < odds["twice"]:
            out.append((at, frame))
        elif chance < odds["twice"] + odds["lost"] and not isinstance(frame, Quote):
            out.pop()
        elif chance < odds["twice"] + odds["lost"] + odds["swap"] and k + 1 < len(frames):
            k += 1
            later = frames[k][0]
            out[-1:] = [(later, frames[k][1]), (later, frame)]
        k += 1
    return out


@given(
    seed=st.integers(0, 2**32),
    interval=st.sampled_from([MINUTE, 5 * MINUTE]),
    odds=st.fixed_dictionaries(
        {
            "cut": st.sampled_from([0.0, 0.001, 0.01]),
            "silent": st.sampled_from([0.0, 0.001, 0.01]),
            "twice": st.sampled_from([0.0, 0.2]),
            "lost": st.sampled_from([0.0, 0.02]),
            "swap": st.sampled_from([0.0, 0.2]),
        }
    ),
    fails=st.sampled_from([0.0, 0.4]),
)
def test_every_bar_once_in_order_and_as_it_was(seed, interval, odds, fails):
    market, dice = Market("BTC", T0, 24, seed), random.Random(seed)
    core, bars, waiting = Assembler([("BTC", interval)]), [], []
    core.resume("BTC", interval, T0)
    tail = [(t, quote(t)) for t in range(market.end, market.end + 120_000, 500)]
    for at, frame in disturbed(market.frames(interval), dice, odds) + tail:
        now = at / 1000
        if frame is None:
            core.broken()
        else:
            bars += core.hear(frame, now, at)
        waiting.extend((at + dice.randint(20, 2_000), ask) for ask in core.asks(now))
        for entry in [entry for entry in waiting if entry[0] <= at]:
            waiting.remove(entry)
            ask = entry[1]
            if dice.random() < fails and at < market.end + 30_000:
                core.failed(ask, now)
            else:
                rows = market.snapshot(interval, ask.start, ask.end, max(at, ask.clock))
                bars += core.answer(ask, rows, now, at)
    truth = market.truth(interval, market.end)
    del truth[T0]
    assert [bar.time for bar in bars[: len(truth)]] == list(truth)
    assert [values(bar) for bar in bars[: len(truth)]] == list(truth.values())
    assert [b.time for b in bars] == [T0 + k * interval for k in range(1, 1 + len(bars))]
    assert all(bar.closed >= bar.end for bar in bars)


@pytest.mark.parametrize("seed", range(3))
def test_an_undisturbed_stream_needs_no_question_where_a_trade_follows_soon(seed):
    market = Market("BTC", T0, 60, seed)
    core, bars = Assembler([("BTC", MINUTE)]), []
    for at, frame in market.frames(MINUTE):
        bars += core.hear(frame, at / 1000, at)
        for ask in core.asks(at / 1000):
            bars += core.answer(ask, market.snapshot(MINUTE, ask.start, ask.end, at), at / 1000, at)
    soon = {t.time // MINUTE * MINUTE - MINUTE for t in market.trades if t.time % MINUTE < 1500}
    assert len(bars) >= 58
    assert soon
    assert {bar.source for bar in bars if bar.time in soon and bar.traded} == {"stream"}
    assert core.counts.doubted == core.counts.revised == core.counts.holes == 0
