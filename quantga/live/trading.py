"""The trader: closed bars in, protected positions out. Starting is recovering; one task does everything, in order.

For each bar: decide, net, limit, journal, send, settle, protect. Nothing new is risked on a symbol while an outcome of it is
unknown, a difference is unexplained, or somebody halted it; what reduces risk always may leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from quantga.engine.costs import Costs
from quantga.errors import Denied, Unknown, VenueError
from quantga.lang.bars import Bars
from quantga.lang.program import Program
from quantga.live.book import change, crossed
from quantga.live.dealer import Dealer
from quantga.live.decide import Decision, Undecided, decide, lots_of
from quantga.live.orders import Intent, Lookup, Order, Phase, Purpose, cloid_of
from quantga.live.reconcile import Result, Weight
from quantga.live.risk import Account, Leaving, Level, Limits, admit, assess, fit, worst
from quantga.live.session import Asked, Crossed, Equity, Halt
from quantga.venue.account import OrderRequest, Trigger
from quantga.venue.hyperliquid.rules import price as valid_price
from quantga.venue.market import Context, Meta
from quantga.venue.protocol import Priority

__all__ = ["Execution", "Strategy", "Trader"]

_OPEN_QUESTIONS = {Phase.INTENDED, Phase.UNKNOWN}
_PATIENCE = 40  # questions about fills that were announced
_PAUSE = 0.25  # seconds before the venue is asked again after it failed


@dataclass(frozen=True)
class Strategy:
    """A program as it is traded: on which symbols, with which costs, and from which bar number on."""

    name: str
    program: Program
    symbols: tuple[str, ...]
    costs: Costs
    since: int


@dataclass(frozen=True)
class Execution:
    """How orders are worked. Shares are of the price.

    reach: how far beyond the mark an order may fill (Ioc). stop: distance of the disaster stop from the mark when it is placed.
    attempts: orders per symbol and bar; what is left then waits for the next bar.
    """

    reach: Decimal = Decimal("0.005")
    stop: Decimal = Decimal("0.10")
    attempts: int = 6


@dataclass
class Trader:
    """Trades strategies for one account. `covariance`: of annual returns by pair, for the limits."""

    dealer: Dealer
    strategies: Sequence[Strategy]
    limits: Limits
    meta: Meta
    covariance: Mapping[tuple[str, str], float]
    execution: Execution = field(default_factory=Execution)
    volatility: float = float("inf")

    async def recover(self) -> Result:
        """Settle what a process before this one left open, and compare with the venue; halt on what stays unexplained."""
        await self.dealer.sync()
        await self.protect()
        await self.settle_all()
        result = await self.reconcile()
        await self.protect()
        return result

    async def act(self, bars: Mapping[str, Bars]) -> None:
        """Act on closed bars; where the venue fails on the way, recover until everything is known and protected again."""
        try:
            await self.on_bars(bars)
        except VenueError:
            await self.resume()

    async def resume(self) -> Result:
        """Recover, as often as it takes."""
        while True:
            try:
                return await self.recover()
            except VenueError:
                await self.dealer.sleep(_PAUSE)

    async def settle_all(self) -> None:
        """Settle every order whose outcome is not known."""
        for cloid, order in self.dealer.session.orders.items():
            if order.phase in _OPEN_QUESTIONS:
                await self.settle(cloid)

    async def settle(self, cloid: str) -> Order:
        """Find out what became of an order, and protect meanwhile what it may have done; return only when it is known."""
        await self.protect()
        await self.dealer.doubt(cloid)
        lookups: list[Lookup] = []
        while not await self.dealer.settled(cloid, lookups):
            await self.protect()
            await self.dealer.sleep(_PAUSE)
        return self.dealer.session.orders[cloid]

    async def reconcile(self) -> Result:
        """Compare with the venue; ask about what vanished; halt on what stays unexplained when it is asked twice."""
        result = await self.dealer.reconcile()
        asked = [one for one in result.differences if one.weight == Weight.ASK]
        for one in asked:
            if self.dealer.session.orders[one.cloid].phase in _OPEN_QUESTIONS:
                await self.settle(one.cloid)
            else:
                await self.dealer.learn(one.cloid)
        if asked or result.halted:
            result = await self.dealer.reconcile()
        for one in result.differences:
            if one.weight >= Weight.HALT_SYMBOL:
                self._halt("" if one.weight == Weight.HALT else one.symbol, one.what)
        await self._measure()
        return result

    async def on_bars(self, bars: Mapping[str, Bars]) -> dict[str, list[Decision | Undecided]]:
        """Act on closed bars, all of one bar number, by symbol; return what was decided."""
        contexts = await self.dealer.venue.contexts(priority=Priority.RECONCILE)
        decided = {symbol: self._decide(symbol, bars[symbol], contexts) for symbol in bars}
        wanted = {symbol: self._targets(symbol, found, contexts) for symbol, found in decided.items()}
        fitted = self._fit(wanted, contexts)
        for symbol, targets in fitted.items():
            bar = bars[symbol].origin + len(bars[symbol]) - 1
            await self.pursue(symbol, targets, bar, contexts[symbol])
        await self.settle_all()
        await self.protect()
        return {symbol: list(found.values()) for symbol, found in decided.items()}

    async def pursue(self, symbol: str, targets: Mapping[str, int], bar: int, context: Context) -> None:
        """Bring the sleeves of a symbol to their targets (lots): among themselves first, then at the venue."""
        session = self.dealer.session
        mark = Decimal(str(context.mark))
        wanted = change(session.book, symbol, targets)
        _, left = crossed(session.book, symbol, wanted, mark)
        if left != wanted:
            self.dealer.tell(Crossed(symbol, wanted, mark))
        for _ in range(self.execution.attempts):
            if not sum(left.values()):
                return
            order = await self._step(symbol, left, bar)
            if order is None:
                return
            left = dict(self.dealer.session.left[order.intent.cloid])

    async def protect(self) -> None:
        """See that one reduce-only stop of each position's size waits at the venue; the new one comes before the old one goes.

        What is protected is what the venue says is held, not what is believed. A stop without an answer is no protection:
        another one follows at once, and the extra one goes when it is found.
        """
        state = await self.dealer.venue.state(self.dealer.account, priority=Priority.RISK)
        held = {position.coin: position.size for position in state.positions}
        for symbol in self._symbols():
            await self._guard(symbol, held.get(symbol, Decimal(0)))

    async def _guard(self, symbol: str, units: Decimal) -> None:
        resting = [order for order in self._stops(symbol) if order.phase == Phase.RESTING]
        fitting = [one for one in resting if one.intent.request.buy == (units < 0) and one.remainder == abs(units)]
        refused = ""
        for _ in range(self.execution.attempts if units and not fitting else 0):
            placed = await self._place_stop(symbol, units)
            if placed.phase == Phase.REJECTED:
                state = await self.dealer.venue.state(self.dealer.account, priority=Priority.RISK)
                units = next((one.size for one in state.positions if one.coin == symbol), Decimal(0))
                if not units:
                    break
                refused = placed.reason
            fitting = [placed] if placed.phase in {Phase.RESTING, Phase.FILLED} else []
            if fitting:
                break
        if units and not fitting:
            if refused:
                self._halt(symbol, f"its stop is refused ({refused}); the position is closed")
            await self.close(symbol)
            return
        keep = {order.intent.cloid for order in fitting[:1]}
        await self.dealer.cancel([order.intent.cloid for order in resting if order.intent.cloid not in keep])

    async def close(self, symbol: str) -> None:
        """Close the net position of a symbol with reduce-only orders until it is gone."""
        while net := self.dealer.session.book.net(symbol):
            order = await self._send(symbol, Purpose.FLATTEN, -net, {}, self._bar(), reduce_only=True)
            if order.phase == Phase.UNKNOWN:
                await self.settle(order.intent.cloid)
            await self.dealer.take_fills()
            if self.dealer.session.book.net(symbol) == net:
                await self.dealer.sleep(1.0)

    async def flatten(self, reason: str) -> None:
        """Halt, cancel what could add to a position, close everything, then cancel the stops."""
        self._halt("", reason)
        entries = [
            cloid
            for cloid, order in self.dealer.session.orders.items()
            if order.intent.purpose == Purpose.TARGET and not order.phase.final
        ]
        await self.dealer.cancel(entries)
        for symbol in self._symbols():
            await self.close(symbol)
        await self.protect()

    def _decide(self, symbol: str, bars: Bars, contexts: Mapping[str, Context]) -> dict[str, Decision | Undecided]:
        price = contexts[symbol].mark
        return {
            one.name: decide(one.program, bars, one.costs, one.since, price)
            for one in self.strategies
            if symbol in one.symbols
        }

    def _targets(
        self, symbol: str, decided: Mapping[str, Decision | Undecided], contexts: Mapping[str, Context]
    ) -> dict[str, int]:
        """Return the lots that each strategy wants; one that has not decided keeps what it has."""
        book = self.dealer.session.book
        mark = Decimal(str(contexts[symbol].mark))
        marks = {name: Decimal(str(context.mark)) for name, context in contexts.items()}
        targets = {}
        for name, one in decided.items():
            if isinstance(one, Decision):
                symbols = next(strategy.symbols for strategy in self.strategies if strategy.name == name)
                equity = book.equity(name, marks) / len(symbols)
                targets[name] = lots_of(one.weight, equity, mark, book.lot[symbol])
        return targets

    def _fit(
        self, wanted: Mapping[str, Mapping[str, int]], contexts: Mapping[str, Context]
    ) -> dict[str, dict[str, int]]:
        """Return the targets cut to the limits: each symbol's strategies shrink alike; a halted symbol only shrinks."""
        book = self.dealer.session.book
        worth = {symbol: book.lot[symbol] * Decimal(str(contexts[symbol].mark)) for symbol in wanted}
        after = {symbol: {**book.held(symbol), **targets} for symbol, targets in wanted.items()}
        net = {symbol: float(sum(targets.values()) * worth[symbol]) for symbol, targets in after.items()}
        fitted = fit(net, self._account(contexts), self.limits, self.volatility)
        scaled = {}
        for symbol, targets in after.items():
            scale = fitted[symbol] / net[symbol] if net[symbol] else 1.0
            scaled[symbol] = {name: int(lots * scale) if scale < 1 else lots for name, lots in targets.items()}
            if self.dealer.session.halted(symbol) or self._level(contexts) > Level.FREE:
                scaled[symbol] = {
                    name: _toward_zero(book.held(symbol)[name], lots) for name, lots in scaled[symbol].items()
                }
        return scaled

    async def _step(self, symbol: str, left: Mapping[str, int], bar: int) -> Order | None:
        """Send one order of what is left and see it through; None where nothing may leave."""
        book = self.dealer.session.book
        net, held = sum(left.values()), book.net(symbol)
        reduces = held * net < 0
        lots = max(-abs(held), min(abs(held), net)) if reduces else net  # a flip is a close, then an opening
        if not reduces and self.dealer.session.halted(symbol):
            return None
        try:
            order = await self._send(symbol, Purpose.TARGET, lots, left, bar, reduce_only=reduces)
        except Denied:
            return None
        if order.phase == Phase.UNKNOWN:
            order = await self.settle(order.intent.cloid)
        await self._confirmed(order.intent.cloid)
        await self.protect()
        order = self.dealer.session.orders[order.intent.cloid]
        return None if order.phase == Phase.REJECTED else order

    async def _confirmed(self, cloid: str) -> None:
        """Wait until the fills that an order is said to have had are known; raises Unknown if they do not appear."""
        for _ in range(_PATIENCE):
            order = self.dealer.session.orders[cloid]
            if order.phase == Phase.RESTING:
                await self.dealer.learn(cloid)
            await self.dealer.take_fills()
            order = self.dealer.session.orders[cloid]
            if order.phase.final and (order.phase != Phase.FILLED or order.filled == order.intent.request.size):
                return
            await self.dealer.sleep(_PAUSE)
        raise Unknown(f"{cloid}: its fills were announced and do not appear")

    async def _send(
        self,
        symbol: str,
        purpose: Purpose,
        lots: int,
        left: Mapping[str, int],
        bar: int,
        *,
        reduce_only: bool,
    ) -> Order:
        """Send an order of signed lots at most `reach` beyond the mark; raises Denied if a limit forbids it."""
        contexts = await self.dealer.venue.contexts(priority=Priority.RISK if reduce_only else Priority.ORDERS)
        book, mark = self.dealer.session.book, Decimal(str(contexts[symbol].mark))
        asset, buy = self.meta.asset(symbol), lots > 0
        px = valid_price(asset, mark * (1 + self.execution.reach * (1 if buy else -1)), up=not buy)
        notional = float(lots * book.lot[symbol] * mark)
        admit(Leaving(symbol, notional, float(px), float(mark), reduce_only), self._account(contexts), self.limits)
        request = OrderRequest(
            symbol, buy, px, abs(lots) * book.lot[symbol], "Ioc", reduce_only, cloid=self._cloid(symbol, purpose, bar)
        )
        intent = Intent(bar, purpose, self._attempt(symbol, purpose, bar), request, self.dealer.stamp())
        priority = Priority.RISK if reduce_only else Priority.ORDERS
        return (await self.dealer.place([Asked(intent, left)], priority))[0]

    async def _place_stop(self, symbol: str, units: Decimal) -> Order:
        contexts = await self.dealer.venue.contexts(priority=Priority.RISK)
        mark = Decimal(str(contexts[symbol].mark))
        asset, bar, buy = self.meta.asset(symbol), self._bar(), units < 0
        side = 1 if buy else -1
        wake = valid_price(asset, mark * (1 + side * self.execution.stop), up=buy)
        px = valid_price(asset, wake * (1 + side * Decimal("0.1")), up=buy)
        request = OrderRequest(
            symbol, buy, px, abs(units), "Gtc", True, Trigger(wake, take=False),
            self._cloid(symbol, Purpose.STOP, bar),
        )  # fmt: skip
        intent = Intent(bar, Purpose.STOP, self._attempt(symbol, Purpose.STOP, bar), request, self.dealer.stamp())
        return (await self.dealer.place([Asked(intent)], Priority.RISK))[0]

    def _stops(self, symbol: str) -> list[Order]:
        return [
            order
            for order in self.dealer.session.orders.values()
            if order.intent.purpose == Purpose.STOP and order.intent.request.coin == symbol
        ]

    def _attempt(self, symbol: str, purpose: Purpose, bar: int) -> int:
        """Return how many orders this decision has had: a new try is a new order with a new name."""
        return sum(
            (order.intent.request.coin, order.intent.purpose, order.intent.bar) == (symbol, purpose, bar)
            for order in self.dealer.session.orders.values()
        )

    def _cloid(self, symbol: str, purpose: Purpose, bar: int) -> str:
        began = self.dealer.session.began
        return cloid_of(began.account, began.session, symbol, bar, purpose, self._attempt(symbol, purpose, bar))

    def _bar(self) -> int:
        """Return the last bar that an order was sent for; what protects a position belongs to it."""
        return max((order.intent.bar for order in self.dealer.session.orders.values()), default=0)

    def _symbols(self) -> list[str]:
        return sorted({symbol for one in self.strategies for symbol in one.symbols})

    def _halt(self, symbol: str, reason: str) -> None:
        if symbol not in self.dealer.session.halts:
            self.dealer.tell(Halt(symbol, reason))

    def _account(self, contexts: Mapping[str, Context]) -> Account:
        """Return the account for the limits: positions at the mark, with what may still be added by open orders."""
        session = self.dealer.session
        open_units = {symbol: Decimal(0) for symbol in self._symbols()}
        for order in session.orders.values():
            if not order.phase.final and not order.intent.request.reduce_only:
                open_units[order.intent.request.coin] += order.exposure
        positions = {
            symbol: float(
                (session.book.net(symbol) * session.book.lot[symbol] + units) * Decimal(str(contexts[symbol].mark))
            )
            for symbol, units in open_units.items()
        }
        recent = sum(order.intent.stamp.nonce > session.nonce - 60_000 for order in session.orders.values())
        return Account(
            float(session.equity), float(session.day_start), float(session.peak), positions, self.covariance, {}, recent
        )

    def _level(self, contexts: Mapping[str, Context]) -> Level:
        return worst(assess(self._account(contexts), self.limits))

    async def _measure(self) -> None:
        """Write down the equity as the venue tells it, deposits apart; flatten where a hard limit is passed."""
        state = await self.dealer.venue.state(self.dealer.account)
        if state.value != self.dealer.session.equity:
            self.dealer.tell(Equity(state.value))
        contexts = await self.dealer.venue.contexts(priority=Priority.RECONCILE)
        findings = assess(self._account(contexts), self.limits)
        if worst(findings) == Level.HALT and "" not in self.dealer.session.halts:
            await self.flatten(str(findings[0]))


def _toward_zero(held: int, target: int) -> int:
    """Return the target, held to what does not enlarge the position or turn it."""
    if held >= 0:
        return max(0, min(held, target))
    return min(0, max(held, target))
