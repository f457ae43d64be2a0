"""Candles and asset contexts of the replay: closed bars as they are, the open one as far as it has come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from quantga.exchange.desk import DAY, Desk
from quantga.exchange.matching import best, levels
from quantga.exchange.wire import text_of

Json = dict[str, Any]
INTERVALS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
    "1M": 31 * DAY,
}
"""Milliseconds; a month's are those of the longest."""
MOST = 5000
REMEMBERED = 4096
_PATHS: dict[tuple[str, str, int, int], list[int]] = {}
MONDAY = 4 * DAY
"""1970-01-05 was the first Monday."""


def available(desk: Desk, coin: int, interval: str) -> bool:
    """Whether an interval can be made of the replayed bars, or of the prices inside them; a month is made of days."""
    length, bars = DAY if interval == "1M" else INTERVALS[interval], desk.bars[coin]
    if interval == "1M" and bars.interval > DAY:
        return False
    return length % bars.interval == 0 or (bars.interval % length == 0 and not desk.state.coins[coin].mirrored)


def _opened(time: int, interval: str) -> int:
    """When the candle that holds `time` opened; weeks open on Mondays, months on their first."""
    if interval == "1M":
        return _month(datetime.fromtimestamp(time / 1000, UTC))
    length = INTERVALS[interval]
    offset = MONDAY if interval == "1w" else 0
    return (time - offset) // length * length + offset


def _next(opened: int, interval: str) -> int:
    """When the candle after the one of `opened` opens."""
    if interval == "1M":
        return _opened(opened + INTERVALS[interval], interval)
    return opened + INTERVALS[interval]


def _month(day: datetime) -> int:
    return round(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000)


def _from(time: int, interval: str) -> int:
    """The first candle that opens at `time` or later; its opening."""
    opened = _opened(time, interval)
    return opened if opened == time else _next(opened, interval)


def candles(desk: Desk, coin: int, interval: str, start: int, end: int) -> list[Json]:
    """Candles that open in [start, end], at most the last 5,000 there are; finer ones than the bars do not exist."""
    market, bars = desk.state.coins[coin], desk.bars[coin]
    if not available(desk, coin, interval) or market.bar < 0:
        return []
    length = INTERVALS[interval]
    if length < bars.interval:
        return fine_candles(desk, coin, interval, start, end)
    first, newest = int(bars.ts[0]), int(bars.ts[market.bar])
    start, end = max(start, _opened(first, interval)), min(end, newest)
    if end < start:
        return []
    begin, last = _from(start, interval), _opened(end, interval)
    begin = max(begin, _opened(newest, interval) - (MOST - 1) * length)
    low = int(np.searchsorted(bars.ts, begin))
    high = min(int(np.searchsorted(bars.ts, _next(last, interval))), market.bar + 1)
    rows: list[Json] = []
    at = low
    while at < high:
        opened = _opened(int(bars.ts[at]), interval)
        stop = min(int(np.searchsorted(bars.ts, _next(opened, interval))), high)
        rows.append(_candle(desk, coin, interval, (at, stop)))
        at = stop
    return rows


def candle_of(desk: Desk, coin: int, interval: str, bar: int) -> Json:
    """The candle that contains bar number `bar`, as far as that bar."""
    bars = desk.bars[coin]
    opened = _opened(int(bars.ts[bar]), interval)
    return _candle(desk, coin, interval, (int(np.searchsorted(bars.ts, opened)), bar + 1))


def _candle(desk: Desk, coin: int, interval: str, span: tuple[int, int]) -> Json:
    """One candle over bars [span[0], span[1]); the present bar counts as far as it has come."""
    market, bars, asset = desk.state.coins[coin], desk.bars[coin], desk.assets[coin]
    first, stop = span
    high, low = int(bars.high[first:stop].max()), int(bars.low[first:stop].min())
    close, volume = int(bars.close[stop - 1]), int(bars.volume[first:stop].sum())
    count = sum(bars.traded(bar, bars.points)[1] for bar in range(first, stop))
    if stop - 1 == market.bar and not market.halted and market.point + 1 < bars.points:
        whole = slice(first, stop - 1)
        high = max([market.high, *bars.high[whole].tolist()])
        low = min([market.low, *bars.low[whole].tolist()])
        close = market.px
        partial, some = bars.traded(market.bar, market.point + 1)
        volume = int(bars.volume[whole].sum()) + partial
        count += some - bars.traded(market.bar, bars.points)[1]
    opened = _opened(int(bars.ts[first]), interval)
    decimals = asset.px_decimals
    return {
        "t": opened,
        "T": _next(opened, interval) - 1,
        "s": asset.name,
        "i": interval,
        "o": text_of(int(bars.open[first]), decimals),
        "c": text_of(close, decimals),
        "h": text_of(high, decimals),
        "l": text_of(low, decimals),
        "v": text_of(volume, asset.sz_decimals),
        "n": count,
    }


def fine_candles(desk: Desk, coin: int, interval: str, start: int, end: int) -> list[Json]:
    """Candles finer than the bars, of the prices that were shown inside them; a span without a trade has none."""
    market, bars, length = desk.state.coins[coin], desk.bars[coin], INTERVALS[interval]
    newest = _opened(int(bars.ts[market.bar]) + market.point * bars.pause, interval)
    begin = max(start, newest - (MOST - 1) * length)
    first = max(0, int(np.searchsorted(bars.ts, begin, side="right")) - 1)
    last = min(int(np.searchsorted(bars.ts, end, side="right")), market.bar + 1)
    rows: list[Json] = []
    for bar in range(first, last):
        rows += [row for row in _inside(desk, coin, interval, bar) if begin <= row["t"] <= end]
    return rows


def _inside(desk: Desk, coin: int, interval: str, bar: int) -> list[Json]:
    """The finer candles of one bar, as far as it has come."""
    market, bars, asset, length = desk.state.coins[coin], desk.bars[coin], desk.assets[coin], INTERVALS[interval]
    shown = market.point + 1 if bar == market.bar and not market.halted else bars.points
    path = _path(desk, coin, bar)
    spans: dict[int, list[int]] = {}
    for point in range(shown):
        if bars.traded(bar, point + 1)[0] > bars.traded(bar, point)[0]:
            opened = _opened(int(bars.ts[bar]) + point * bars.pause, interval)
            spans.setdefault(opened, []).append(point)
    rows: list[Json] = []
    for opened, points in spans.items():
        prices = [path[point] for point in points]
        volume = bars.traded(bar, points[-1] + 1)[0] - bars.traded(bar, points[0])[0]
        texts = [text_of(px, asset.px_decimals) for px in (prices[0], prices[-1], max(prices), min(prices))]
        row: Json = {"t": opened, "T": opened + length - 1, "s": asset.name, "i": interval}
        row |= dict(zip("ochl", texts, strict=True))
        rows.append({**row, "v": text_of(volume, asset.sz_decimals), "n": len(points)})
    return rows


def _path(desk: Desk, coin: int, bar: int) -> list[int]:
    """The prices of a bar; the last few thousand are remembered."""
    bars, seed = desk.bars[coin], desk.state.seed
    key = (bars.name, bars.digest, bar, seed)
    found = _PATHS.pop(key, None)
    if found is None:
        found = bars.path(bar, seed, desk.assets[coin].tick(int(bars.close[bar])))
    _PATHS[key] = found
    if len(_PATHS) > REMEMBERED:
        del _PATHS[next(iter(_PATHS))]
    return found


def newest_candles(desk: Desk, coin: int, interval: str, closed: list[int]) -> list[Json]:
    """The last candles of the bars that just closed, then the open one: what a subscriber is to be told."""
    market, bars = desk.state.coins[coin], desk.bars[coin]
    if INTERVALS[interval] >= bars.interval:
        rows = [candle_of(desk, coin, interval, bar) for bar in closed]
        return rows if market.halted else [*rows, candle_of(desk, coin, interval, market.bar)]
    rows = [row for bar in closed for row in _inside(desk, coin, interval, bar)]
    return rows if market.halted else [*rows, *_inside(desk, coin, interval, market.bar)]


def mid(desk: Desk, coin: int) -> str | None:
    """The middle of the best prices; None without a two-sided book."""
    bid, ask = best(desk, coin, 1), best(desk, coin, -1)
    if not bid or not ask:
        return None
    return text_of((bid + ask) * 5, desk.assets[coin].px_decimals + 1)


def _impact(desk: Desk, coin: int, side: int) -> str | None:
    """The price that a taker of the impact notional pays on average against the synthetic levels."""
    asset = desk.assets[coin]
    need = (20_000 if asset.name in {"BTC", "ETH"} else 6_000) * 10**6
    worth, size = 0, 0
    for px, held, _ in levels(desk, coin, side):
        part = min(held, -(-(need - worth) // px))
        worth, size = worth + part * px, size + part
        if worth >= need:
            return text_of(worth * 10 // size, asset.px_decimals + 1)
    return None


def context(desk: Desk, coin: int) -> Json:
    """Funding, open interest, day's volume and prices of one asset, as `metaAndAssetCtxs` has them."""
    market, bars, asset = desk.state.coins[coin], desk.bars[coin], desk.assets[coin]
    decimals, middle = asset.px_decimals, mid(desk, coin) if market.px and not market.halted else None
    impact = [_impact(desk, coin, 1), _impact(desk, coin, -1)] if middle is not None else [None, None]
    base = notional = previous = 0
    if market.bar >= 0:
        first = int(np.searchsorted(bars.ts, state_day(desk) - DAY))
        volumes, closes = bars.volume[first : market.bar], bars.close[first : market.bar]
        base, notional = int(volumes.sum()), int((volumes.astype(object) * closes).sum())
        previous = int(bars.close[max(0, first - 1)])
    held = sum(max(0, p.szi) for a in desk.state.accounts.values() if (p := a.positions.get(coin)) is not None)
    premium = (market.px - market.oracle) / market.oracle if market.oracle else None
    return {
        "funding": text_of(market.funding, 10),
        "openInterest": text_of(held + base, asset.sz_decimals),
        "prevDayPx": text_of(previous, decimals),
        "dayNtlVlm": text_of(notional, 6),
        "premium": None if middle is None or premium is None else text_of(round(premium * 10**10), 10),
        "oraclePx": text_of(market.oracle, decimals),
        "markPx": text_of(market.mark, decimals),
        "midPx": middle,
        "impactPxs": impact if all(impact) else None,
        "dayBaseVlm": text_of(base, asset.sz_decimals),
    }


def state_day(desk: Desk) -> int:
    """The market's clock (ms)."""
    return desk.state.market
