"""The ledger a second time: slow, in decimal arithmetic, from docs/ledger.md alone. It shares no code with the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, getcontext

getcontext().prec = 45

TIE, DUST, RUIN, SAME = Decimal("1e-6"), Decimal("1e-12"), Decimal("1e-9"), Decimal("1e-9")
D0, D1 = Decimal(0), Decimal(1)


def dec(value) -> Decimal | None:
    """NaN is None."""
    value = float(value)
    return None if math.isnan(value) else Decimal(value)


@dataclass
class Bar:
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    funding: Decimal
    volatility: Decimal | None = None
    atr: Decimal | None = None

    @property
    def missing(self) -> bool:
        return self.open is None


@dataclass
class Position:
    units: Decimal  # signed
    entry: Decimal
    opened: int
    fees: Decimal
    funding: Decimal = D0
    stop: Decimal | None = None
    take: Decimal | None = None

    @property
    def long(self) -> bool:
        return self.units > 0


@dataclass
class Closed:
    entry_row: int
    exit_row: int
    side: int
    entry_price: Decimal
    exit_price: Decimal
    units: Decimal
    fees: Decimal
    funding: Decimal
    pnl: Decimal
    reason: str


@dataclass
class Account:
    """Costs and genes are the records of the package; size_decimals and tiers are plain numbers."""

    costs: object
    genes: object
    size_decimals: int
    tiers: list[tuple[Decimal, Decimal]]
    cash: Decimal = D0
    position: Position | None = None
    last: float | None = None
    ruined: bool = False
    trades: list[Closed] = field(default_factory=list)
    equity: list[Decimal] = field(default_factory=list)
    units: list[Decimal] = field(default_factory=list)
    fees: Decimal = D0
    funding: Decimal = D0
    orders: int = 0
    liquidations: int = 0
    turnover: Decimal = D0
    traded: Decimal = D0

    def __post_init__(self):
        self.cash = Decimal(self.costs.capital)

    # -- numbers of the record as decimals
    def cost(self, name: str) -> Decimal:
        return Decimal(getattr(self.costs, name))

    def gene(self, name: str) -> Decimal:
        return Decimal(getattr(self.genes, name))

    def held(self) -> Decimal:
        return self.position.units if self.position else D0

    def worth(self, price: Decimal) -> Decimal:
        return self.cash + self.held() * price

    def nothing(self, equity: Decimal) -> bool:
        return equity <= RUIN * self.cost("capital")

    # -- prices
    def to_tick(self, price: Decimal, buys: bool) -> Decimal:
        if not self.costs.lots:
            return price
        exponent = price.adjusted() - 4  # five significant figures
        step = Decimal(10) ** max(min(exponent, 0), -(6 - self.size_decimals))
        ticks = price / step
        ticks = (ticks - TIE).to_integral_value(ROUND_CEILING) if buys else (ticks + TIE).to_integral_value(ROUND_FLOOR)
        return ticks * step

    def market_fill(self, price: Decimal, buys: bool) -> Decimal:
        slip = self.cost("slippage")
        return self.to_tick(price * (D1 + slip if buys else D1 - slip), buys)

    # -- margin
    def rules(self) -> list[tuple[Decimal, Decimal]]:
        found: list[tuple[Decimal, Decimal]] = []
        for lower, leverage in self.tiers:
            rate = D1 / (2 * leverage)
            found.append((rate, found[-1][1] + lower * (rate - found[-1][0]) if found else D0))
        return found

    def maintenance(self, notional: Decimal) -> Decimal:
        return max(notional * rate - deduction for rate, deduction in self.rules())

    def liquidation_price(self) -> Decimal | None:
        if not self.costs.margin:
            return None
        size = abs(self.held())
        if self.position.long:
            return max(-(self.cash + d) / (size * (1 - m)) for m, d in self.rules())
        return min((self.cash + d) / (size * (1 + m)) for m, d in self.rules())

    # -- one bar
    def bar(self, t: int, bars: list[Bar], wanted: list[float]) -> None:
        now = bars[t]
        if not self.ruined:
            if t > 0 and not now.missing:
                self.open_phase(t, bars, wanted[t - 1])
            if self.position and not now.missing:
                self.inside_phase(t, now)
            self.close_phase(t, bars)
        mark = self.mark(bars, t)
        self.equity.append(D0 if self.ruined else self.worth(mark))
        self.units.append(self.held())

    @staticmethod
    def mark(bars: list[Bar], t: int) -> Decimal:
        present = [b.close for b in reversed(bars[: t + 1]) if not b.missing]
        return present[0] if present else D1

    def target(self, wanted: float, before: Bar) -> Decimal | None:
        if wanted == 0:
            return D0
        needs_atr = self.costs.stops and (self.genes.stop_atr > 0 or self.genes.take_atr > 0)
        if needs_atr and before.atr is None:
            return None
        size = self.gene("leverage")
        if self.genes.vol_target > 0:
            if before.volatility is None:
                return None
            if before.volatility > 0:
                size = min(size, self.gene("vol_target") / before.volatility)
        return Decimal(wanted) * size

    def open_phase(self, t: int, bars: list[Bar], wanted: float) -> None:
        before = bars[t - 1]
        decided = not before.missing and not math.isnan(wanted)
        if decided and wanted != self.last:
            target = self.target(wanted, before)
            if target is not None:
                self.last = wanted
                self.step(t, bars, target, "signal")
                return
        if self.position is None:
            return
        if self.genes.max_hold > 0 and t - self.position.opened >= self.genes.max_hold and self.costs.stops:
            price = self.market_fill(bars[t].open, not self.position.long)
            self.leave(t, price, self.cost("fee"), "max_hold")
        elif self.genes.band > 0 and decided:
            target = self.target(wanted, before)
            if target is None:
                return
            cap = self.cost("max_leverage")
            equity = self.worth(before.close)
            off = abs(self.held() * before.close - max(-cap, min(cap, target)) * equity)
            if off > self.gene("band") * equity:
                self.step(t, bars, target, "band")

    def step(self, t: int, bars: list[Bar], target: Decimal, reason: str) -> None:
        start = bars[t].open
        units, sign = self.held(), (1 if target > 0 else -1)
        weight = min(abs(target), self.cost("max_leverage"))
        equity = self.worth(start)
        if self.nothing(equity):
            weight = D0
        buys = sign * weight * equity > units * start
        price = self.market_fill(start, buys)
        if price <= 0:
            return
        after = sign * self.size(weight, sign, buys, price)
        wrong_way = (after - units if buys else units - after) <= DUST * max(D1, abs(units))
        small = self.costs.lots and after != 0 and abs(after - units) * price < self.cost("min_notional")
        if wrong_way or small:
            return
        self.order(t, after, price, self.cost("fee"), reason)
        if self.position and (abs(after) > abs(units) or after * units < 0):
            self.set_levels(bars[t - 1])

    def size(self, weight: Decimal, sign: int, buys: bool, price: Decimal) -> Decimal:
        """Units after the order, unsigned: the fixed point of N = weight x (E - fee x |sN - n|)."""
        if weight == 0:
            return D0
        worth, held, fee = self.worth(price), self.held() * price, self.cost("fee")

        def notional(a: Decimal) -> Decimal:
            # |sN - n| is sN - n for a buy, n - sN for a sell: linear in N either way.
            direction = 1 if buys else -1
            return a * (worth + direction * fee * held) / (1 + direction * sign * a * fee)

        found = notional(weight)
        if self.costs.margin:
            for i, (lower, leverage) in enumerate(self.tiers):
                found = max(notional(min(weight, leverage)), lower)
                upper = self.tiers[i + 1][0] if i + 1 < len(self.tiers) else None
                if upper is None or found <= upper:
                    break
        size = max(found, D0) / price
        if self.costs.lots:
            lot = Decimal(10) ** -self.size_decimals
            size = (size / lot + TIE).to_integral_value(ROUND_FLOOR) * lot
        return size if size > max(DUST, abs(self.held()) * Decimal("1e-9")) else D0

    def order(self, t: int, after: Decimal, price: Decimal, rate: Decimal, reason: str) -> None:
        units = self.held()
        change = after - units
        fee = rate * abs(change) * price
        if not self.nothing(self.worth(price)):
            self.turnover += abs(change) * price / self.worth(price)
        self.cash -= change * price + fee
        self.fees += fee
        self.orders += 1
        self.traded += abs(change) * price
        bonus = D0
        if after == 0 and self.nothing(self.cash):
            bonus, self.cash, self.ruined = -self.cash, D0, True
        if units == 0:
            self.position = Position(after, price, t, fee)
            return
        if units * after > 0 and abs(after) > abs(units):
            p = self.position
            p.entry = (abs(units) * p.entry + abs(change) * price) / abs(after)
            p.units, p.fees = after, p.fees + fee
            return
        closing = min(abs(change), abs(units))
        part = fee * closing / abs(change)
        self.book(t, closing, price, part, bonus, reason)
        if after == 0:
            self.position = None
        elif after * units > 0:
            self.position.units = after
        else:
            self.position = Position(after, price, t, fee - part)

    def book(self, t: int, closing: Decimal, price: Decimal, fee: Decimal, bonus: Decimal, reason: str) -> None:
        p = self.position
        share = closing / abs(p.units)
        fees, funding = p.fees * share, p.funding * share
        p.fees, p.funding = p.fees - fees, p.funding - funding
        side = 1 if p.long else -1
        pnl = side * closing * (price - p.entry) - fees - fee - funding + bonus
        self.trades.append(Closed(p.opened, t, side, p.entry, price, closing, fees + fee, funding, pnl, reason))

    def set_levels(self, before: Bar) -> None:
        p, away = self.position, (1 if self.position.long else -1)
        stops, takes = [], []
        if self.costs.stops:
            if self.genes.stop > 0:
                stops.append(p.entry * (1 - away * self.gene("stop")))
            if self.genes.stop_atr > 0:
                stops.append(p.entry - away * self.gene("stop_atr") * before.atr)
            if self.genes.take > 0:
                takes.append(p.entry * (1 + away * self.gene("take")))
            if self.genes.take_atr > 0:
                takes.append(p.entry + away * self.gene("take_atr") * before.atr)
        nearest_below, nearest_above = (max, min) if p.long else (min, max)
        p.stop = nearest_below(stops) if stops else None
        p.take = nearest_above(takes) if takes else None

    def ladder_price(self, t: int) -> Decimal | None:
        p = self.position
        reached = [profit for age, profit in self.genes.ladder if age <= t - p.opened] if self.costs.stops else []
        if not reached:
            return None
        fee, maker, profit = self.cost("fee"), self.cost("maker"), Decimal(reached[-1])
        return p.entry * (1 + fee + profit) / (1 - maker) if p.long else p.entry * (1 - fee - profit) / (1 + maker)

    def inside_phase(self, t: int, now: Bar) -> None:
        p = self.position
        ladder = self.ladder_price(t)
        takes = [(level, why) for level, why in ((p.take, "take"), (ladder, "ladder")) if level is not None]
        take, why = (
            (min(takes, key=lambda x: x[0]) if p.long else max(takes, key=lambda x: x[0])) if takes else (None, "")
        )
        liquidation, stop = self.liquidation_price(), p.stop

        def fallen(price: Decimal, level: Decimal | None) -> bool:
            return level is not None and (price <= level if p.long else price >= level)

        def risen(price: Decimal, level: Decimal | None) -> bool:
            return level is not None and (price >= level if p.long else price <= level)

        worst, best = (now.low, now.high) if p.long else (now.high, now.low)
        if fallen(now.open, liquidation):
            self.liquidate(t, now.open)
        elif fallen(now.open, stop):
            self.stop_out(t, now.open)
        elif risen(now.open, take):
            self.take_profit(t, now.open, why)
        elif fallen(worst, liquidation) or fallen(worst, stop):
            tied = stop is not None and liquidation is not None and abs(liquidation - stop) <= SAME * abs(liquidation)
            if liquidation is None or tied or fallen(liquidation, stop):
                self.stop_out(t, stop)
            else:
                self.liquidate(t, liquidation)
        elif risen(best, take):
            self.take_profit(t, take, why)

    def leave(self, t: int, price: Decimal, rate: Decimal, reason: str) -> None:
        self.order(t, D0, price, rate, reason)
        if not self.genes.latch:
            self.last = None

    def stop_out(self, t: int, level: Decimal) -> None:
        self.leave(t, self.market_fill(level, not self.position.long), self.cost("fee"), "stop")

    def take_profit(self, t: int, level: Decimal, why: str) -> None:
        self.leave(t, self.to_tick(level, not self.position.long), self.cost("maker"), why)

    def liquidate(self, t: int, level: Decimal) -> None:
        self.liquidations += 1
        if self.worth(level) < Decimal(2) / 3 * self.maintenance(abs(self.held()) * level):
            self.wipe(t, level)
        else:
            self.leave(t, self.market_fill(level, not self.position.long), self.cost("fee"), "liquidation")

    def wipe(self, t: int, level: Decimal) -> None:
        left = self.worth(level)
        self.cash, self.ruined = D0, True
        self.book(t, abs(self.held()), level, D0, -left, "liquidation")
        self.position = None

    def close_phase(self, t: int, bars: list[Bar]) -> None:
        if self.position is None:
            return
        mark = self.mark(bars, t)
        if not bars[t].missing and self.costs.funding:
            charge = self.held() * bars[t].funding * mark
            self.cash -= charge
            self.funding += charge
            self.position.funding += charge
        if self.nothing(self.worth(mark)):
            self.liquidations += 1
            self.wipe(t, mark)


def run(account: Account, bars: list[Bar], wanted: list[float]) -> Account:
    for t in range(len(bars)):
        account.bar(t, bars, wanted)
    return account


def open_profit(account: Account, mark: Decimal) -> Decimal:
    """Of the position that is still open, at the mark, after the entry fee and the funding."""
    p = account.position
    return p.units * (mark - p.entry) - p.fees - p.funding if p else D0
