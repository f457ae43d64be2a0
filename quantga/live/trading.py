"""The trader: closed bars in, protected positions out. Starting is recovering; one task does everything, in order.

For each bar: decide, net, limit, journal, send, settle, protect. Nothing new is risked on a symbol while an outcome of it is
unknown, a difference is unexplained, or somebody halted it; what reduces risk always may leave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from quantga.errors import Denied, Unknown, VenueError
from quantga.lang.bars import Bars
from quantga.live.book import change, crossed
from quantga.live.dealer import Dealer
from quantga.live.decide import Decision, Undecided, decide, digest
from quantga.live.deposits import flow
from quantga.live.guard import Guard
from quantga.live.orders import Intent, Order, Phase, Purpose
from quantga.live.plan import Execution, Strategy
from quantga.live.reconcile import Result, Weight
from quantga.live.records import Aimed, Decided, Left, Passed
from quantga.live.risk import Account, Leaving, Level, Limits, admit, assess, worst
from quantga.live.session import Asked, Crossed, Equity, Moved
from quantga.live.targets import account_of, covariance_of, exact, fitted, limit_price, next_step, wanted_lots
from quantga.venue.account import OrderRequest
from quantga.venue.market import Meta
from quantga.venue.protocol import Priority

__all__ = ["Execution", "Strategy", "Trader"]

type Marks = Mapping[str, float]

_OPEN_QUESTIONS = {Phase.INTENDED, Phase.UNKNOWN}
_PATIENCE = 40  # questions about fills that were announced
_HOUR_MS = 3_600_000
_PAUSE = 0.25  # seconds before the venue is asked again after it failed


@dataclass
class Trader:
    """Trades strategies for one account.

    covariance: of annual returns by pair, for the limits; without one it is estimated from the bars. quick: marks of the
    symbols that are at hand and fresh, or {}: then the venue is asked. last: decisions by symbol and strategy, whose stops are
    watched until the next ones.
    """

    dealer: Dealer
    strategies: Sequence[Strategy]
    limits: Limits
    meta: Meta
    covariance: Mapping[tuple[str, str], float] = field(default_factory=dict)
    execution: Execution = field(default_factory=Execution)
    volatility: float = float("inf")
    quick: Callable[[], Marks] = dict
    last: dict[tuple[str, str], Decided] = field(default_factory=dict)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(self.dealer, self.meta, self.execution)
        self._estimate = not self.covariance
        self._recent: dict[str, Bars] = {}
        self._funded = -1

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
        await self.surely(lambda: self.on_bars(bars))

    async def surely(self, what: Callable[[], Awaitable[object]]) -> None:
        """Do something; where the venue fails on the way, recover until everything is known and protected again."""
        try:
            await what()
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
        for cloid in list(self.dealer.session.open):
            if self.dealer.session.orders[cloid].phase in _OPEN_QUESTIONS:
                await self.settle(cloid)

    async def settle(self, cloid: str) -> Order:
        """Find out what became of an order, and protect meanwhile what it may have done; return only when it is known."""
        await self.protect()
        await self.dealer.await_outcome(cloid, self.protect)
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
                self.guard.halt("" if one.weight == Weight.HALT else one.symbol, one.what)
        await self._paid()
        await self._measure()
        return result

    def learn(self, bars: Mapping[str, Bars]) -> None:
        """Take the risk of holding from bars: after a restart what is held is judged before anything is decided."""
        self._recent |= bars
        if self._estimate:
            self.covariance = covariance_of(self._recent)

    async def on_bars(self, bars: Mapping[str, Bars]) -> dict[str, list[Decision | Undecided]]:
        """Act on closed bars, all of one bar number, by symbol; return what was decided."""
        marks = await self._marks(Priority.RECONCILE)
        self.learn(bars)
        decided = {symbol: self._decide(symbol, bars[symbol], marks[symbol]) for symbol in bars}
        bar = max(one.origin + len(one) - 1 for one in bars.values())
        wanted = wanted_lots(self.dealer.session.book, self.strategies, decided, marks)
        account = self._account(marks)
        aims = fitted(self.dealer.session, wanted, account, marks, self.limits, self.volatility)
        self._note(decided, bars, marks, Aimed(bar, {symbol: marks[symbol] for symbol in self.symbols}, wanted, aims))
        for symbol, targets in aims.items():
            await self.pursue(symbol, targets, bar, marks[symbol])
        await self.settle_all()
        await self.protect()
        return {symbol: list(found.values()) for symbol, found in decided.items()}

    async def pursue(self, symbol: str, targets: Mapping[str, int], bar: int, mark: float) -> None:
        """Bring the sleeves of a symbol to their targets (lots): among themselves first, then at the venue."""
        book, price = self.dealer.session.book, exact(mark)
        wanted = change(book, symbol, targets)
        _, left = crossed(book, symbol, wanted, price)
        if left != wanted:
            self.dealer.tell(Crossed(symbol, wanted, price))
        for _ in range(self.execution.attempts):
            order = await self._step(symbol, left, bar) if sum(left.values()) else None
            if order is None:
                return
            left = dict(self.dealer.session.left[order.intent.cloid])

    async def leave(self) -> None:
        """Leave, inside a bar, what a strategy's own stop or take says at the marks at hand."""
        marks = self.quick()
        gone = [one for key, one in self.last.items() if one.symbol in marks and self._touched(key, marks)]
        for one in gone:
            del self.last[one.symbol, one.strategy]
            mark = marks[one.symbol]
            aims = {one.symbol: {one.strategy: 0}}
            self.dealer.note(Left(one.strategy, one.symbol, one.bar, mark), Aimed(one.bar, marks, aims, aims))
            await self.pursue(one.symbol, aims[one.symbol], one.bar, mark)

    def _touched(self, key: tuple[str, str], marks: Marks) -> bool:
        symbol, name = key
        one = self.last[key]
        if one.reason or not self.dealer.session.book.sleeves[name].lots.get(symbol, 0):
            return False
        decision = Decision(symbol, one.bar, one.wanted, one.weight, one.units, one.stop, one.take)
        return decision.left_at(marks[symbol])

    async def protect(self) -> None:
        """See that one reduce-only stop of each position's size waits at the venue."""
        await self.guard.protect(self.symbols)

    async def flatten(self, reason: str) -> None:
        """Halt, cancel what could add to a position, close everything, then cancel the stops."""
        self.guard.halt("", reason)
        await self.withdraw()
        for symbol in self.symbols:
            await self.guard.close(symbol)
        await self.protect()

    async def withdraw(self) -> None:
        """Cancel what could add to a position."""
        orders = self.dealer.session.orders
        entries = [cloid for cloid in self.dealer.session.open if orders[cloid].intent.purpose == Purpose.TARGET]
        await self.dealer.cancel(entries)

    @property
    def symbols(self) -> list[str]:
        """Return all symbols that are traded."""
        return sorted({symbol for one in self.strategies for symbol in one.symbols})

    def _decide(self, symbol: str, bars: Bars, price: float) -> dict[str, Decision | Undecided]:
        return {
            one.name: decide(one.program, bars, one.costs, one.since, price)
            for one in self.strategies
            if symbol in one.symbols
        }

    def _note(
        self,
        decided: Mapping[str, Mapping[str, Decision | Undecided]],
        bars: Mapping[str, Bars],
        marks: Marks,
        aimed: Aimed,
    ) -> None:
        seen = {symbol: digest(one) for symbol, one in bars.items()}
        records = [
            decision_record(name, one, marks[symbol], seen[symbol])
            for symbol, found in decided.items()
            for name, one in found.items()
        ]
        self.dealer.note(*records, aimed)
        self.last |= {(one.symbol, one.strategy): one for one in records}

    async def _step(self, symbol: str, left: Mapping[str, int], bar: int) -> Order | None:
        """Send one order of what is left and see it through; None where nothing may leave."""
        lots, reduces = next_step(self.dealer.session, symbol, left)
        if not lots:
            return None
        try:
            order = await self._send(symbol, lots, left, bar, reduce_only=reduces)
        except Denied:
            return None
        cloid = order.intent.cloid
        if order.phase == Phase.UNKNOWN:
            await self.settle(cloid)
        await self._confirmed(cloid)
        await self.protect()
        order = self.dealer.session.orders[cloid]
        self.dealer.note(_passed(order, bar, lots, self.dealer.session.marks[cloid]))
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

    async def _send(self, symbol: str, lots: int, left: Mapping[str, int], bar: int, *, reduce_only: bool) -> Order:
        """Send an order of signed lots at most `reach` beyond the mark; raises Denied if a limit forbids it.

        With one that adds to a position goes the stop of what it will amount to: in the same action, so that no loss of
        an answer leaves the position without it.
        """
        priority = Priority.RISK if reduce_only else Priority.ORDERS
        marks = await self._marks(priority)
        session, mark = self.dealer.session, exact(marks[symbol])
        px = limit_price(self.meta.asset(symbol), mark, self.execution, buy=lots > 0)
        lot = session.book.lot[symbol]
        leaving = Leaving(symbol, float(lots * lot * mark), float(px), float(mark), reduce_only)
        admit(leaving, self._account(marks), self.limits)
        stamp = self.dealer.stamp()
        number, attempt = session.attempt(symbol, Purpose.TARGET, bar)
        name = self.guard.name(symbol, Purpose.TARGET, number, attempt)
        request = OrderRequest(symbol, lots > 0, px, abs(lots) * lot, "Ioc", reduce_only, cloid=name)
        asked = [Asked(Intent(number, Purpose.TARGET, attempt, request, stamp), left, mark)]
        if not reduce_only:
            asked.append(self.guard.stop(symbol, (session.book.net(symbol) + lots) * lot, mark, stamp))
        return (await self.dealer.place(asked, priority))[0]

    async def _marks(self, priority: Priority) -> Marks:
        """Return the marks of all symbols: those at hand, or the venue's answer."""
        quick = self.quick()
        if all(symbol in quick for symbol in self.symbols):
            return quick
        contexts = await self.dealer.venue.contexts(priority=priority)
        return {symbol: contexts[symbol].mark for symbol in self.symbols}

    def _account(self, marks: Marks) -> Account:
        return account_of(self.dealer.session, self.symbols, marks, self.covariance)

    async def _measure(self) -> None:
        """Write down the equity as the venue tells it, deposits apart; flatten where a hard limit is passed."""
        dealer = self.dealer
        moved: list[Moved] = []
        while (late := await self._moved()) != moved:  # one after the equity was told would look like a loss
            moved = late
            await dealer.look()
        if moved or dealer.value != dealer.session.equity:
            dealer.tell(*moved, Equity(dealer.value, sum((one.usdc for one in moved), Decimal(0))))
        findings = assess(self._account(await self._marks(Priority.RECONCILE)), self.limits)
        if worst(findings) == Level.HALT and "" not in dealer.session.halts:
            await self.flatten(str(findings[0]))

    async def _paid(self) -> None:
        """Write down, once an hour, the fundings that were paid on what was held."""
        session, hour = self.dealer.session, self.dealer.market // _HOUR_MS
        if hour == self._funded or not session.owners:
            return
        since = min(session.fundings.get(symbol, session.began_at) for symbol in session.owners)
        paid = await self.dealer.venue.funding_payments(self.dealer.account, since)
        new = [one for one in paid if one.coin in session.owners and one.time > session.fundings.get(one.coin, -1)]
        if new:
            self.dealer.tell(*new)
        self._funded = hour

    async def _moved(self) -> list[Moved]:
        """Return what came to the account or left it and is not in the journal yet."""
        session = self.dealer.session
        since = max(session.moves.values(), default=session.began_at)
        entries = await self.dealer.venue.ledger(self.dealer.account, since)
        found = [Moved(one.time, one.kind, one.hash, flow(one, session.began.account)) for one in entries]
        return [one for one in found if one.name not in session.moves and one.time > session.began_at]


def decision_record(name: str, one: Decision | Undecided, price: float, seen: str) -> Decided:
    """Return a decision as the journal has it."""
    if isinstance(one, Undecided):
        return Decided(name, one.symbol, one.bar, price, reason=one.reason, seen=seen)
    return Decided(name, one.symbol, one.bar, price, one.wanted, one.weight, one.units, one.stop, one.take, seen=seen)


def _passed(order: Order, bar: int, lots: int, mark: Decimal) -> Passed:
    """Return what an order cost beyond the mark at which it was decided, fees included."""
    side = 1 if order.intent.request.buy else -1
    paid = sum((side * fill.size * (fill.px - mark) + fill.fee for fill in order.fills), Decimal(0))
    worth = order.filled * mark
    share = float(paid / worth) * 1e4 if worth else float("nan")
    return Passed(order.intent.request.coin, bar, lots, mark, order.filled, paid, share)
