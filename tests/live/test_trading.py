"""The trader against a running exchange: what the venue holds is what was decided, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from quantga.engine.costs import Costs
from quantga.lang.bars import Bars
from quantga.lang.parse import parse
from quantga.live.dealer import Dealer
from quantga.live.journal import Journal
from quantga.live.risk import Bound, Limits
from quantga.live.session import Began, event_of, fold
from quantga.live.trading import Strategy, Trader
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network
from tests.exchange.conftest import START, keys, venues, walk, write_bars

__all__ = ["keys", "venues"]

MINUTE = 60_000
BEFORE = 700
SYMBOLS = ("BTC", "ETH")
COVARIANCE = {("BTC", "BTC"): 0.25, ("ETH", "ETH"): 0.36, ("BTC", "ETH"): 0.2}
ROOMY = Limits(daily_loss=Bound(0.5, 0.9), drawdown=Bound(0.5, 0.9))
RULES = {
    "turner": "when(gt(close, mean(close, 5)), long, short) with leverage=0.5",
    "holder": "when(gt(close, lag(close, 1)), long, flat) with leverage=0.3",
}


@pytest.fixture(scope="module")
def replay(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    write_bars(folder, "BTC", walk(1, 80_000, 1.0, 2 * BEFORE, 30.0))
    write_bars(folder, "ETH", walk(2, 3_000, 0.1, 2 * BEFORE, 400.0))
    return folder


async def bars_of(client: Hyperliquid, symbol: str) -> Bars:
    """Return the closed bars that the venue tells."""
    now = (await client.clock()).market
    candles = await client.candles(symbol, "1m", START, now)
    closed = [one for one in candles if one.end < now]
    columns = {
        name: np.array([getattr(one, name) for one in closed]) for name in ("open", "high", "low", "close", "volume")
    }
    time = np.array([one.start for one in closed])
    return Bars.from_columns(
        time, columns | {"funding": np.zeros(len(closed))}, interval=MINUTE, symbol=symbol, base=symbol
    )


@asynccontextmanager
async def trading(venue: object, key: object, folder: Path) -> AsyncIterator[Trader]:
    """Open the session of a folder, or go on with it."""
    account = key.address.lower()
    async with Rest(venue.url, timeout=3.0) as wire:
        client = Hyperliquid(wire, Network.PAPER, Signer(key.key.hex(), mainnet=False))
        meta = await client.meta()
        lot = {symbol: Decimal(1).scaleb(-meta.asset(symbol).size_decimals) for symbol in SYMBOLS}
        with Journal(folder / "journal") as journal:
            if not journal.entries:
                state = await client.state(account)
                capital = dict.fromkeys(RULES, Decimal(2_000))
                journal.append(state.time, event_of(Began(account, "s", capital, lot, {}, state.value)))
            dealer = Dealer(client, journal, fold(journal.entries))
            strategies = [
                Strategy(name, parse(text), SYMBOLS, Costs(funding=False, capital=2_000.0), START // MINUTE + BEFORE)
                for name, text in RULES.items()
            ]
            trader = Trader(dealer, strategies, ROOMY, meta, COVARIANCE)
            await trader.recover()
            yield trader


async def one_bar(trader: Trader, venue: object) -> None:
    """Let a minute pass, and act on it."""
    venue.step(MINUTE)
    client = trader.dealer.venue
    await trader.on_bars({symbol: await bars_of(client, symbol) for symbol in SYMBOLS})


def held(venue: object, address: str) -> dict[str, Decimal]:
    """Return the positions, as the venue tells anybody."""
    state = venue.info({"type": "clearinghouseState", "user": address})
    return {one["position"]["coin"]: Decimal(one["position"]["szi"]) for one in state["assetPositions"]}


def guarded(venue: object, address: str) -> None:
    """Every position has one reduce-only stop of its size on the right side, and nothing else rests."""
    orders = venue.info({"type": "frontendOpenOrders", "user": address})
    stops = {one["coin"]: one for one in orders}
    positions = held(venue, address)
    assert len(stops) == len(orders) == len(positions)
    for coin, size in positions.items():
        assert stops[coin]["isTrigger"]
        assert stops[coin]["reduceOnly"]
        assert Decimal(stops[coin]["sz"]) == abs(size)
        assert stops[coin]["side"] == ("A" if size > 0 else "B")


def agrees(trader: Trader, venue: object, address: str) -> None:
    """The book holds what the venue holds."""
    book = trader.dealer.session.book
    own = {symbol: book.net(symbol) * book.lot[symbol] for symbol in SYMBOLS if book.net(symbol)}
    assert own == held(venue, address)


async def test_positions_follow_decisions_and_are_guarded(venues, keys, tmp_path) -> None:
    venue = venues({keys[0].address: 10_000}, "--step", "--no-limits")
    turned = set()
    async with trading(venue, keys[0], tmp_path) as trader:
        for _ in range(12):
            await one_bar(trader, venue)
            agrees(trader, venue, keys[0].address)
            guarded(venue, keys[0].address)
            turned |= {np.sign(float(size)) for size in held(venue, keys[0].address).values()}
        assert turned == {1.0, -1.0}
        assert not trader.dealer.session.halts
        assert (await trader.reconcile()).differences == ()
        await trader.flatten("enough")
        assert held(venue, keys[0].address) == {}
        assert venue.info({"type": "openOrders", "user": keys[0].address}) == []
        assert trader.dealer.session.halted("BTC")
        await one_bar(trader, venue)
        assert held(venue, keys[0].address) == {}
