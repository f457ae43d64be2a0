"""The market's clock: prices move along the bars, and with them fills, triggers, funding and liquidations.

Everything is a function of (bars, seed, orders so far): the same commands lead to the same state.
"""

from __future__ import annotations

import random

import numpy as np

from quantga.exchange.desk import HOUSE, Desk
from quantga.exchange.liquidation import check_liquidations
from quantga.exchange.matching import clear_levels, levels, sweep
from quantga.exchange.placing import fire, satisfied
from quantga.exchange.state import Coin
from quantga.exchange.twaps import next_slice, run_slices

HOUR = 3_600_000
NEVER = 2**62
SAMPLES = 5000
FUNDING_UNIT = 10**10
CAP = 4 * FUNDING_UNIT // 100
INTEREST, CLAMP = FUNDING_UNIT // 10_000, 5 * FUNDING_UNIT // 10_000
SPREAD = 0.0002
"""Premium inside this share of the oracle counts as none: it stands for the impact prices' distance."""


class Clockwork:
    """Moves a desk's market through its bars."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._paths: dict[int, tuple[int, list[int]]] = {}

    def begin(self) -> None:
        """Put every coin where the clock stands, so that there is a book before the port answers."""
        state = self._desk.state
        state.next_hour = state.market // HOUR * HOUR + HOUR
        for coin, bars in enumerate(self._desk.bars):
            bar = int(np.searchsorted(bars.ts, state.market, side="right")) - 1
            if bar < 0:
                continue
            point = min(bars.points - 1, (state.market - int(bars.ts[bar])) // bars.pause)
            self._move(coin, bar, int(point))

    def end(self) -> int:
        """When the last bar of all closes (ms)."""
        if any(market.mirrored for market in self._desk.state.coins):
            return NEVER
        return max(int(bars.ts[-1]) + bars.interval for bars in self._desk.bars)

    def due(self) -> int | None:
        """When the market next changes (ms); None after the end."""
        times = [t for coin in range(len(self._desk.bars)) if (t := self._next(coin)) is not None]
        going = times or any(market.mirrored for market in self._desk.state.coins)
        return min([*times, *self._clocked()]) if going else None

    def _clocked(self) -> list[int]:
        """What comes by the clock alone: the next funding, the next suborder of a TWAP order."""
        due = next_slice(self._desk)
        return [self._desk.state.next_hour, *([] if due is None else [due])]

    def advance(self, to: int) -> None:
        """Move the clock to `to` (ms), point by point; it never goes back and stops at the end of the bars."""
        desk, state = self._desk, self._desk.state
        to = min(to, self.end())
        due = {coin: self._next(coin) for coin in range(len(desk.bars))}
        while True:
            time = min([t for t in due.values() if t is not None] + self._clocked())
            if time > to:
                break
            state.market = max(state.market, time)
            moved = [coin for coin, at in due.items() if at == time]
            for coin in moved:
                self._step(coin)
                due[coin] = self._next(coin)
            self._consequences(moved)
            run_slices(desk)
            if time == state.next_hour:
                self._hour()
        state.market = max(state.market, to)

    def _next(self, coin: int) -> int | None:
        market, bars = self._desk.state.coins[coin], self._desk.bars[coin]
        if market.halted or market.mirrored:
            return None
        if market.bar < 0:
            return int(bars.ts[0])
        if market.point + 1 < bars.points:
            return int(bars.ts[market.bar]) + (market.point + 1) * bars.pause
        if market.bar + 1 < len(bars.ts):
            return int(bars.ts[market.bar + 1])
        return int(bars.ts[-1]) + bars.interval

    def _step(self, coin: int) -> None:
        market, bars = self._desk.state.coins[coin], self._desk.bars[coin]
        if market.bar >= 0 and market.point + 1 < bars.points:
            self._move(coin, market.bar, market.point + 1)
            return
        if market.bar >= 0:
            self._desk.events.closed.setdefault(coin, []).append(market.bar)
        if market.bar + 1 < len(bars.ts):
            self._move(coin, market.bar + 1, 0)
        else:
            market.halted = True

    def path(self, coin: int, bar: int) -> list[int]:
        """The prices of a bar, from open to close."""
        found = self._paths.get(coin)
        if found is None or found[0] != bar:
            bars = self._desk.bars[coin]
            tick = self._desk.assets[coin].tick(int(bars.close[bar]))
            found = self._paths[coin] = (bar, bars.path(bar, self._desk.state.seed, tick))
        return found[1]

    def _move(self, coin: int, bar: int, point: int) -> None:
        """Set price, mark, oracle and the bar's range so far; put the price on the tape."""
        desk, state, market = self._desk, self._desk.state, self._desk.state.coins[coin]
        path, bars = self.path(coin, bar), desk.bars[coin]
        market.bar, market.point, market.px = bar, point, path[point]
        so_far = path[: point + 1]
        market.low, market.high = min(so_far), max(so_far)
        self._marks(market, bars.pause)
        clear_levels(market)
        desk.events.moved = True
        size = bars.traded(bar, point + 1)[0] - bars.traded(bar, point)[0]
        if not size:
            return
        stream = random.Random(f"{state.seed}:{market.name}:{bar}:{point}:tape")  # noqa: S311 -- a market's noise
        side = 1 if stream.random() < 0.5 else -1
        digest, tid = desk.serial()
        desk.tape(coin, side, market.px, size, {"hash": digest, "tid": tid, "users": [HOUSE, HOUSE]})

    def _marks(self, market: Coin, pause: int) -> None:
        """Oracle = price with a small seeded basis; mark = median of (oracle + 150 s mean basis, price, 30 s mean).

        Both are kept within the bar so far.
        """
        stream = random.Random(f"{self._desk.state.seed}:{market.name}:{market.bar}:{market.point}")  # noqa: S311
        px, seconds = market.px, pause / 1000
        if not market.oracle:
            market.slow = float(px)
        market.basis = 0.95 * market.basis + stream.gauss(0.0, 0.00003)
        oracle = px * (1 + market.basis)
        slow, fast = seconds / (150 + seconds), seconds / (30 + seconds)
        market.smooth += slow * ((px - oracle) - market.smooth)
        market.slow += fast * (px - market.slow)
        mark = sorted((oracle + market.smooth, float(px), market.slow))[1]
        market.oracle = min(max(round(oracle), market.low), market.high)
        market.mark = min(max(round(mark), market.low), market.high)
        premium = (max(px * (1 - SPREAD) - oracle, 0) - max(oracle - px * (1 + SPREAD), 0)) / oracle
        market.premium_sum += premium
        market.premiums += 1

    def _consequences(self, moved: list[int]) -> None:
        desk = self._desk
        for coin in moved:
            if desk.state.coins[coin].halted:
                continue
            price = desk.state.coins[coin].px
            sweep(desk, coin, price, price)
            bid, ask = desk.books[coin].best_px(1), desk.books[coin].best_px(-1)
            if bid > price or 0 < ask < price:  # such orders bound the levels, so build them before anybody looks
                levels(desk, coin, 1)
        for coin in moved:
            fire_triggers(desk, coin)
        check_liquidations(desk)

    def _hour(self) -> None:
        """Funding: szi * oracle * rate from every position to the other side; a sample of every account's value."""
        desk, state = self._desk, self._desk.state
        hour, state.next_hour = state.next_hour, state.next_hour + HOUR
        for coin, market in enumerate(state.coins):
            if not market.px or market.halted:
                continue
            premium = market.premium_sum / market.premiums if market.premiums else 0.0
            market.premium_sum, market.premiums = 0.0, 0
            if not market.mirrored:
                market.funding = hourly_rate(premium)
            market.fundings.append([hour, market.funding, round(premium * FUNDING_UNIT)])
            self._pay(coin, market, hour)
        for account in state.accounts.values():
            value = desk.margins.value(account) + account.spot
            account.samples.append([hour, value, value - account.deposited])
            del account.samples[:-SAMPLES]
        check_liquidations(desk)

    def _pay(self, coin: int, market: Coin, hour: int) -> None:
        desk, state = self._desk, self._desk.state
        name, decimals = market.name, desk.assets[coin].sz_decimals
        for account in state.accounts.values():
            position = account.positions.get(coin)
            if position is None:
                continue
            paid = position.szi * market.oracle * market.funding // FUNDING_UNIT
            if position.cross:
                account.raw -= paid
            else:
                position.raw -= paid
            state.house.raw += paid
            position.funding_open += paid
            position.funding_change += paid
            account.funding_all[coin] = account.funding_all.get(coin, 0) + paid
            row = {"time": hour, "coin": name, "usdc": -paid, "szi": position.szi, "decimals": decimals}
            row |= {"rate": market.funding, "hash": desk.serial()[0]}
            account.fundings.append(row)
            del account.fundings[:-SAMPLES]
            desk.events.fundings.setdefault(account.address, []).append(row)


def fire_triggers(desk: Desk, coin: int) -> None:
    """Fire the coin's triggers whose mark price has come, in the order they were placed."""
    mark = desk.state.coins[coin].mark
    for oid in list(desk.state.triggers.get(coin, {})):
        order = desk.state.orders[oid]
        if order.status == "open" and order.is_trigger and satisfied(order, mark):
            fire(desk, order)


def hourly_rate(premium: float) -> int:
    """The hourly funding rate in 10^-10: (P + clamp(0.0001 - P, -0.0005, 0.0005)) / 8, at most 4 % an hour.

    Whole numbers, cut towards zero: this is what gives the published rows to the last digit.
    """
    p = round(premium * FUNDING_UNIT)
    eight = p + min(max(INTEREST - p, -CLAMP), CLAMP)
    return min(max(int(eight / 8), -CAP), CAP)
