"""From frames to closed bars: when a bar's close is proven, what is asked over REST, and nothing lost or told twice.

Pure: frames, answers and clocks come in, bars and questions go out. The rule of the close is in docs/feed.md; it trusts
neither one channel nor the order of frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from quantga.live.rules import Counts, Rules
from quantga.live.tape import Tape
from quantga.venue.market import Book, Candle, Context, Quote
from quantga.venue.stream import Frame, Trades

MOST_ROWS = 5000
"""The venue keeps and answers at most so many candles."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A closed bar. Prices are NaN, volume and trades 0, where nobody traded (`traded` tells).

    `time` is its open and `closed` the venue's time at which its close was proven (ms UTC); `received` is our own clock when
    the proof arrived (ns). `source` says whether the proof came over the stream or was asked for.
    """

    coin: str
    interval: int
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    closed: int
    received: int
    source: Literal["stream", "rest"]

    @property
    def traded(self) -> bool:
        """Whether anybody traded in it."""
        return not math.isnan(self.close)

    @property
    def end(self) -> int:
        """The open of the next bar (ms UTC)."""
        return self.time + self.interval

    @property
    def values(self) -> tuple[float, ...]:
        """What a candle says of it: open, high, low, close, volume, trades."""
        return (self.open, self.high, self.low, self.close, self.volume, self.trades)


@dataclass(frozen=True, slots=True)
class Ask:
    """Candles wanted over REST: those that open in [start, end]; `clock` is the venue's time when they were asked for."""

    coin: str
    interval: int
    start: int
    end: int
    clock: int


@dataclass(slots=True)
class _Series:
    """One coin and interval: which bar comes next, and what is known of it and of later ones."""

    coin: str
    interval: int
    tape: Tape
    next: int = -1
    anchor: int = -1
    newest: int = -1
    candles: dict[int, Candle] = field(default_factory=dict)
    settled: dict[int, Candle | None] = field(default_factory=dict)
    last: Bar | None = None
    due: float = math.inf
    due_for: int = -1
    asking: bool = False
    pause: float = 0.0
    doubts: int = 0
    unread: dict[int, Bar] = field(default_factory=dict)
    audit: float = math.inf


@dataclass(slots=True)
class _Coin:
    """When a coin was heard last (s), and since when (ms, the venue's clock) nothing of it can have been lost; -1: not yet."""

    heard: float = -math.inf
    since: int = -1
    series: list[_Series] = field(default_factory=list)


class Assembler:
    """Closed bars of many coins and intervals, each once, in order and without a gap."""

    def __init__(self, wanted: Iterable[tuple[str, int]], *, history: int = 0, rules: Rules | None = None) -> None:
        """`wanted` are coins with intervals in ms; `history` is how many closed bars come first, over REST."""
        self._rules = rules or Rules()
        self._history = history
        self._series: dict[tuple[str, int], _Series] = {}
        self._coins: dict[str, _Coin] = {}
        for coin, interval in wanted:
            one = self._series[coin, interval] = _Series(coin, interval, Tape(interval))
            self._coins.setdefault(coin, _Coin()).series.append(one)
        self._wake = 0
        self.clock = 0
        """The venue's time: the newest that any frame showed (ms)."""
        self.counts = Counts()

    def resume(self, coin: str, interval: int, time: int) -> None:
        """Begin a series after the bar that opened at `time`: what followed is asked for."""
        one = self._series[coin, interval]
        one.next, one.anchor = time + interval, time

    def hear(self, frame: Frame, now: float, wall: int) -> list[Bar]:
        """Take a frame at `now` (s, monotonic; `wall`: ns); return the bars that it proves closed."""
        if isinstance(frame, Quote | Book):
            coin = self._alive(frame.coin, now)
            if coin is not None and coin.since < 0:
                coin.since = frame.time
            self._advance(frame.time, now)
        elif isinstance(frame, Trades):
            return self._trades(frame, now, wall)
        elif isinstance(frame, Candle):
            return self._candle(frame, now, wall)
        elif isinstance(frame, Context):
            self._alive(frame.coin, now)
        return []

    def broken(self) -> None:
        """The socket ended or was replaced: from here on frames may have been lost."""
        for coin in self._coins.values():
            coin.heard, coin.since = -math.inf, -1

    def asks(self, now: float) -> list[Ask]:
        """Return what is to be asked over REST now; each is answered by `answer` or `failed`."""
        out = []
        for one in self._series.values():
            if one.asking or now < min(one.due, one.audit):
                continue
            one.asking = True
            self.counts.asked += 1
            last = max(self.clock // one.interval * one.interval, one.next)
            oldest = last - (MOST_ROWS - 1) * one.interval
            if one.next < oldest:
                self.counts.unknowable += (oldest - one.next) // one.interval
                one.next, one.anchor = oldest, -1
            start = max(oldest, min([one.anchor, *one.unread])) if one.anchor >= 0 else one.next
            out.append(Ask(one.coin, one.interval, start, last, self.clock))
        return out

    def next_due(self) -> float:
        """Return when `asks` should be called next (s, monotonic; inf: not before a frame comes)."""
        return min((one.due for one in self._series.values() if not one.asking), default=math.inf)

    def behind(self) -> dict[tuple[str, int], int]:
        """Return how many bars that ended by the venue's clock are not told yet, where there are any."""
        late = {key: (self.clock - one.next) // one.interval for key, one in self._series.items() if one.next >= 0}
        return {key: count for key, count in late.items() if count > 0}

    def failed(self, ask: Ask, now: float) -> None:
        """A question got no answer: it is asked again after a pause."""
        one = self._series[ask.coin, ask.interval]
        one.asking = False
        self.counts.failed += 1
        self._again(one, now)

    def answer(self, ask: Ask, rows: Sequence[Candle], now: float, wall: int) -> list[Bar]:
        """Take an answer; return the bars that it, or what came meanwhile, proves closed."""
        one = self._series[ask.coin, ask.interval]
        one.asking = False
        told = {row.start: row for row in rows if row.start >= ask.start and not row.start % one.interval}
        if told and one.anchor < 0:
            one.next = one.anchor = max(one.next, min(told))  # the venue's history of this coin begins here
        # An answer that lacks a bar known to be there cannot say what is not there.
        if told and (one.anchor < ask.start or one.anchor in told):
            self._settle(one, ask, told)
        self._audit(one, told, now)
        out = self._closed(one, now, wall)
        self._again(one, now)
        return out

    def _audit(self, one: _Series, told: dict[int, Candle], now: float) -> None:
        """Compare bars that frames proved with an answer."""
        for time in one.unread.keys() & told.keys():
            self.counts.revised += one.unread.pop(time).values != values_of(told[time])
        one.audit = now + self._rules.audit if one.unread else math.inf

    def _settle(self, one: _Series, ask: Ask, told: dict[int, Candle]) -> None:
        time, last = one.next, max(told)
        while time < last or time + one.interval + self._rules.margin <= ask.clock:
            row = told.get(time)
            if not one.tape.permits(time, row):
                self.counts.doubted += 1
                one.doubts += 1
                if one.doubts < 2:
                    break
                self.counts.disagreed += 1
            one.settled[time] = row
            time += one.interval

    def _candle(self, candle: Candle, now: float, wall: int) -> list[Bar]:
        self._alive(candle.coin, now)
        one = self._series.get((candle.coin, candle.end + 1 - candle.start))
        if one is None or candle.start % one.interval:
            return []
        self._advance(candle.start, now)
        if candle.start < one.next:
            self._late(one, candle)
            return []
        known = one.candles.get(candle.start)
        if known is not None and (candle.trades, candle.volume) < (known.trades, known.volume):
            self.counts.stale += 1
        else:
            one.candles[candle.start] = candle
        if candle.start > one.newest:
            one.newest = candle.start
            self._watch(one, now)
        return self._closed(one, now, wall)

    def _trades(self, frame: Trades, now: float, wall: int) -> list[Bar]:
        touched: dict[str, _Coin] = {}
        for trade in frame.trades:
            if trade.coin not in touched:
                coin = self._alive(trade.coin, now)
                if coin is None:
                    continue
                touched[trade.coin] = coin
            self._advance(trade.time, now)
            for one in touched[trade.coin].series:
                if trade.time >= one.next:
                    one.tape.add(trade)
        out: list[Bar] = []
        for coin in touched.values():
            for one in coin.series:
                if one.newest > one.next:
                    out += self._closed(one, now, wall)
        return out

    def _alive(self, name: str, now: float) -> _Coin | None:
        """Hear from a coin; after a silence nothing before the next quote is relied on."""
        coin = self._coins.get(name)
        if coin is None:
            return None
        if now - coin.heard > self._rules.hole:
            self.counts.holes += coin.since >= 0
            coin.since = -1
        coin.heard = now
        return coin

    def _advance(self, time: int, now: float) -> None:
        """Move the venue's clock, begin series at its first reading, and see what is due."""
        if time <= self.clock:
            return
        if self.clock and time > self.clock + LEAP:
            self.counts.strange += 1
            return
        self.clock = time
        if time < self._wake:
            return
        self._wake = NEVER
        for one in self._series.values():
            if one.next < 0:
                one.next = (time // one.interval - self._history) * one.interval
                if self._history:
                    one.due_for, one.due = one.next, now
            self._watch(one, now)

    def _watch(self, one: _Series, now: float) -> None:
        """Set when REST is asked for the next bar, or when, by the venue's clock, to look again."""
        end = one.next + one.interval
        if one.newest > one.next:
            wait, at = self._rules.settle, end
        else:
            wait, at = self._rules.least, end + self._rules.patience
        if self.clock < at:
            self._wake = min(self._wake, at)
        elif one.due_for != one.next:
            one.due_for, one.due = one.next, now + wait

    def _again(self, one: _Series, now: float) -> None:
        """Ask again after a pause, if the next bar should be closed by now."""
        past = self.clock - one.next - one.interval
        if past < self._rules.margin and not (one.newest > one.next and past >= 0):
            one.due, one.due_for = math.inf, -1
            self._watch(one, now)
            return
        one.pause = min(self._rules.longest, max(self._rules.retry, 2 * one.pause))
        one.due_for, one.due = one.next, now + one.pause

    def _closed(self, one: _Series, now: float, wall: int) -> list[Bar]:
        out: list[Bar] = []
        while one.next >= 0:
            time = one.next
            if time in one.settled:
                out.append(self._emit(one, one.settled.pop(time), "rest", now, wall))
                continue
            candle, since = one.candles.get(time), self._coins[one.coin].since
            whole = candle is not None and one.newest > time and 0 <= since <= time
            if candle is None or not whole or not one.tape.confirms(time, candle):
                break
            out.append(self._emit(one, candle, "stream", now, wall))
        if out:
            one.due, one.due_for, one.pause, one.doubts = math.inf, -1, 0.0, 0
            self._watch(one, now)
        return out

    def _emit(
        self, one: _Series, candle: Candle | None, source: Literal["stream", "rest"], now: float, wall: int
    ) -> Bar:
        time = one.next
        closed = max(self.clock, time + one.interval)
        if candle is None:
            bar = Bar(one.coin, one.interval, time, *NOBODY, closed, wall, source)
            self.counts.absent += 1
        else:
            bar = Bar(one.coin, one.interval, time, *values_of(candle), closed, wall, source)
            one.anchor = time
        if source == "stream":
            self.counts.stream += 1
            one.unread[time] = bar
            one.audit = min(one.audit, now + self._rules.audit)
        else:
            self.counts.rest += 1
        one.candles.pop(time, None)
        one.next, one.last = time + one.interval, bar
        one.tape.forget(one.next)
        return bar

    def _late(self, one: _Series, candle: Candle) -> None:
        """A candle of a bar that was told already: old news, or a revision, which is counted and never passed over."""
        last = one.last
        same = last is not None and candle.start == last.time
        if last is not None and same and (candle.trades, candle.volume) > (last.trades, last.volume):
            self.counts.revised += 1
        else:
            self.counts.stale += 1


def values_of(candle: Candle) -> tuple[float, float, float, float, float, int]:
    """Return what a candle says of its bar."""
    return (candle.open, candle.high, candle.low, candle.close, candle.volume, candle.trades)


NEVER = 2**62
LEAP = 366 * 86_400_000
"""No venue's clock goes so far ahead (ms) at once."""
NOBODY = (math.nan, math.nan, math.nan, math.nan, 0.0, 0)
