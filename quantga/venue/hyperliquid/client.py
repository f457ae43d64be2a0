"""Hyperliquid as a `Venue`: requests, their weights, their answers as records, and actions signed.

Reads that failed raise; they are never empty. Lists that come in pages are asked for with overlap, and each row kept once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

import orjson

from quantga.errors import ConfigError, Rejected, Unknown
from quantga.venue.account import (
    AccountState,
    Action,
    AddressBudget,
    Agent,
    Cancel,
    Fees,
    Fill,
    FundingPayment,
    LedgerEntry,
    Order,
    OrderReport,
    Outcome,
    Role,
    Stamp,
)
from quantga.venue.hyperliquid import account_answers, actions, market_answers, outcomes, weights
from quantga.venue.market import Book, Candle, Context, FundingRate, Meta
from quantga.venue.protocol import Clock, Network, Priority
from quantga.venue.wire import Ask, Reply, Wire

NOBODY = "0x" + "0" * 40
PAGE = 500
"""The least number of rows at which an answer may have been cut."""
_DATA, _RECONCILE, _ORDERS = Priority.DATA, Priority.RECONCILE, Priority.ORDERS


class Signs(Protocol):
    """Whoever signs actions; see `signing.Signer`."""

    def envelope(self, action: dict[str, Any], stamp: Stamp) -> bytes:
        """Return the signed body of a request."""
        ...


class Hyperliquid:
    """The venue over a wire; without a signer it can only read."""

    def __init__(self, wire: Wire, network: Network, signer: Signs | None = None) -> None:
        self._wire, self._network, self._signer = wire, network, signer
        self._meta: Meta | None = None

    @property
    def network(self) -> Network:
        """Which market this is."""
        return self._network

    async def meta(self, *, priority: Priority = _DATA) -> Meta:
        """Return the assets, checked."""
        self._meta = market_answers.meta(await self._info({"type": "meta"}, priority))
        return self._meta

    async def contexts(self, *, priority: Priority = _DATA) -> Mapping[str, Context]:
        """Return every asset's mark, oracle, funding and open interest, by coin."""
        return market_answers.contexts(await self._info({"type": "metaAndAssetCtxs"}, priority))

    async def mids(self, *, priority: Priority = _DATA) -> Mapping[str, float]:
        """Return the mid price of every coin that has one."""
        return market_answers.mids(await self._info({"type": "allMids"}, priority))

    async def book(self, coin: str, *, priority: Priority = _DATA) -> Book:
        """Return up to 20 levels a side. Raises Rejected for a coin that the venue does not have."""
        answer = await self._info({"type": "l2Book", "coin": coin}, priority)
        return market_answers.book(_there(answer, coin))

    async def candles(
        self, coin: str, interval: str, start: int, end: int, *, priority: Priority = _DATA
    ) -> tuple[Candle, ...]:
        """Return the bars that open in [start, end], ascending, the open one included."""
        req = {"coin": coin, "interval": interval, "startTime": start, "endTime": end}
        answer = await self._info({"type": "candleSnapshot", "req": req}, priority)
        found = market_answers.candles(_there(answer, coin))
        strange = next((bar for bar in found if (bar.coin, bar.interval) != (coin, interval)), None)
        if strange is not None:
            raise Unknown(f"the venue answered {strange.coin} {strange.interval} when asked for {coin} {interval}")
        return found

    async def fundings(
        self, coin: str, start: int, end: int | None = None, *, priority: Priority = _DATA
    ) -> tuple[FundingRate, ...]:
        """Return the fundings charged in [start, end], ascending, at most 500."""
        body = {"type": "fundingHistory", "coin": coin, "startTime": start} | _until(end)
        return market_answers.fundings(_there(await self._info(body, priority), coin))

    async def clock(self, *, priority: Priority = _RECONCILE) -> Clock:
        """Return the venue's time, from the account of nobody, which is the lightest answer that carries it."""
        reply = await self._ask({"type": "clearinghouseState", "user": NOBODY}, priority)
        market = account_answers.state(outcomes.content(reply)).time
        if not market or not reply.date:
            raise Unknown("the venue's answer carries no time")
        return Clock(market, reply.date, reply.date if self._network is Network.PAPER else market)

    async def state(self, user: str, *, priority: Priority = _RECONCILE) -> AccountState:
        """Return margin and positions of a master's address."""
        return account_answers.state(await self._of(user, "clearinghouseState", priority))

    async def open_orders(self, user: str, *, priority: Priority = _RECONCILE) -> tuple[Order, ...]:
        """Return all open orders, without their triggers."""
        return account_answers.orders(await self._of(user, "openOrders", priority))

    async def triggers(self, user: str, *, priority: Priority = _RECONCILE) -> tuple[Order, ...]:
        """Return open orders with their triggers, at most 100 of them."""
        return account_answers.orders(await self._of(user, "frontendOpenOrders", priority))

    async def order(self, user: str, ref: int | str, *, priority: Priority = _RECONCILE) -> OrderReport:
        """Return what became of an order, by number or cloid."""
        return account_answers.order_status(await self._of(user, "orderStatus", priority, {"oid": ref}))

    async def fills(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = _RECONCILE
    ) -> tuple[Fill, ...]:
        """Return all fills in [start, end], ascending, each once; only the last 10,000 exist.

        Raises:
            Unknown: a page holds one millisecond alone, so that it cannot be seen past it.
        """
        page = self._pages(account_answers.fills, user, "userFillsByTime", priority)
        return await self._all(page, start, end, lambda fill: fill.key)

    async def funding_payments(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = _RECONCILE
    ) -> tuple[FundingPayment, ...]:
        """Return the fundings paid and received in [start, end], ascending."""
        page = self._pages(account_answers.payments, user, "userFunding", priority)
        return await self._all(page, start, end, lambda paid: paid)

    async def ledger(
        self, user: str, start: int, end: int | None = None, *, priority: Priority = _RECONCILE
    ) -> tuple[LedgerEntry, ...]:
        """Return deposits, withdrawals and transfers in [start, end], ascending."""
        page = self._pages(account_answers.ledger, user, "userNonFundingLedgerUpdates", priority)
        return await self._all(page, start, end, lambda entry: entry)

    async def address_budget(self, user: str, *, priority: Priority = _RECONCILE) -> AddressBudget:
        """Return how many actions the address has left."""
        return account_answers.address_budget(await self._of(user, "userRateLimit", priority))

    async def fees(self, user: str, *, priority: Priority = _RECONCILE) -> Fees:
        """Return what the account pays."""
        return account_answers.fees(await self._of(user, "userFees", priority))

    async def role(self, user: str, *, priority: Priority = _RECONCILE) -> Role:
        """Return whether the address is a user, an agent, or missing."""
        return account_answers.role(await self._of(user, "userRole", priority))

    async def agents(self, user: str, *, priority: Priority = _RECONCILE) -> tuple[Agent, ...]:
        """Return the named agents that may trade for `user`."""
        return account_answers.agents(await self._of(user, "extraAgents", priority))

    async def abstraction(self, user: str, *, priority: Priority = _RECONCILE) -> str:
        """Return the account's mode."""
        return account_answers.abstraction(await self._of(user, "userAbstraction", priority))

    async def submit(self, action: Action, stamp: Stamp, *, priority: Priority = _ORDERS) -> tuple[Outcome, ...]:
        """Sign and send an action; return one outcome per order in it, or one `Done`.

        Raises:
            Rejected, RateLimited, Unknown: see `outcomes.outcomes`.
            Denied: the action's form is one that the venue refuses, or the budget said no: nothing was sent.
        """
        if self._signer is None:
            raise ConfigError("this venue was opened without a key: it can only read")
        meta = self._meta or await self.meta(priority=priority)
        asked = actions.count(action)
        wire = actions.wire(action, meta)
        ask = Ask(
            endpoint="exchange",
            kind=wire["type"],
            body=self._signer.envelope(wire, stamp),
            priority=priority,
            weight=actions.weight(action),
            actions=asked,
            cancels=isinstance(action, Cancel),
        )
        return outcomes.outcomes(await self._wire.send(ask), asked)

    async def _of(self, user: str, kind: str, priority: Priority, more: Mapping[str, Any] | None = None) -> Any:
        return await self._info({"type": kind, "user": user.lower(), **(more or {})}, priority)

    async def _info(self, body: dict[str, Any], priority: Priority) -> Any:
        return outcomes.content(await self._ask(body, priority))

    async def _ask(self, body: dict[str, Any], priority: Priority) -> Reply:
        kind = body["type"]
        return await self._wire.send(
            Ask(
                endpoint=weights.endpoint(kind),
                kind=kind,
                body=orjson.dumps(body),
                priority=priority,
                weight=weights.expected(body),
                keep=weights.keep(kind),
            )
        )

    def _pages[Row](
        self, read: Callable[[Any], tuple[Row, ...]], user: str, kind: str, priority: Priority
    ) -> Callable[[int, int | None], Any]:
        async def page(start: int, end: int | None) -> tuple[Row, ...]:
            return read(await self._of(user, kind, priority, {"startTime": start} | _until(end)))

        return page

    async def _all(
        self, page: Callable[[int, int | None], Any], start: int, end: int | None, key: Callable[[Any], Hashable]
    ) -> tuple[Any, ...]:
        """Ask page after page, each from the last one's last millisecond on."""
        found: dict[Hashable, Any] = {}
        while True:
            rows = await page(start, end)
            before = len(found)
            found |= {key(row): row for row in rows}
            if len(rows) < PAGE:
                break
            if rows[-1].time == start:
                raise Unknown(
                    f"{len(rows)} rows or more share the millisecond {start}: the list cannot be read past it"
                )
            start = rows[-1].time
            if len(found) == before:
                break
        return tuple(sorted(found.values(), key=lambda row: row.time))


def _until(end: int | None) -> dict[str, int]:
    return {} if end is None else {"endTime": end}


def _there(answer: Any, coin: str) -> Any:
    if answer is None:
        raise Rejected(f"the venue has no coin {coin!r}")
    return answer
