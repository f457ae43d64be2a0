"""A made market: trades in time, the candles they make, and the frames that a venue would send of them."""

import random
from dataclasses import dataclass, field

from quantga.venue.market import Candle, Level, Quote, Trade
from quantga.venue.stream import Trades

MINUTE = 60_000
NAMES = {60_000: "1m", 300_000: "5m"}


@dataclass
class Market:
    """One coin's trades, ascending; some minutes have none."""

    coin: str
    start: int
    minutes: int
    seed: int
    quiet: float = 0.15
    trades: list[Trade] = field(default_factory=list)

    def __post_init__(self):
        dice, px, tid = random.Random(self.seed), 1000, 0
        for minute in range(self.minutes):
            count = 0 if minute and dice.random() < self.quiet else dice.randint(1, 8)
            for time in sorted(dice.randrange(MINUTE) for _ in range(count)):
                px, tid = max(1, px + dice.randint(-3, 3)), tid + 1
                at = self.start + minute * MINUTE + time
                size = dice.randint(1, 9) / 8
                self.trades.append(Trade(self.coin, at, dice.random() < 0.5, px / 8, size, tid, "0x0"))

    @property
    def end(self) -> int:
        return self.start + self.minutes * MINUTE

    def candle(self, time: int, interval: int, until: int) -> Candle | None:
        """The candle that opens at `time`, of trades before `until`; None if there was none."""
        rows = [t for t in self.trades if time <= t.time < min(time + interval, until)]
        if not rows:
            return None
        px = [t.px for t in rows]
        volume = sum(t.size for t in rows)
        name = NAMES[interval]
        end = time + interval - 1
        return Candle(self.coin, name, time, end, px[0], max(px), min(px), px[-1], volume, len(rows))

    def snapshot(self, interval: int, start: int, end: int, now: int) -> list[Candle]:
        """What REST answers at `now`."""
        first = max(start // interval, self.start // interval) * interval
        times = range(first, min(end, now) + 1, interval)
        return [c for c in (self.candle(t, interval, now) for t in times) if c is not None and c.start >= start]

    def truth(self, interval: int, until: int):
        """Values of every bar that closed by `until`, absent ones None."""
        out = {}
        for time in range(self.start // interval * interval, until - interval + 1, interval):
            c = self.candle(time, interval, 2**62)
            out[time] = None if c is None else (c.open, c.high, c.low, c.close, c.volume, c.trades)
        return out

    def frames(self, interval: int, beat: int = 500):
        """(time, frame) in the order in which a venue sends them: quotes each half second, trades, candles."""
        out = [(t, 0, Quote(self.coin, t, Level(1.0, 1.0, 1), None)) for t in range(self.start, self.end + 1, beat)]
        for trade in self.trades:
            out.append((trade.time, 1, Trades((trade,))))
            time = trade.time // interval * interval
            out.append((trade.time, 2, (time, trade.time)))
        made, last = [], {}
        for at, rank, what in sorted(out, key=lambda row: (row[0], row[1])):
            if rank < 2:
                made.append((at, what))
                continue
            candle = self.candle(what[0], interval, what[1] + 1)
            if last.get("candle") != candle:
                made.append((at, candle))
                last["candle"] = candle
        return made


def values(bar):
    return bar.values if bar.traded else None
