"""A mirrored market: another venue's book, trades, marks and candles as commands of our own journal.

Users trade against the levels as they were last seen; a resting order fills when the other venue's price goes through
it. Being commands, they replay like everything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantga.exchange.clockwork import FUNDING_UNIT, HOUR, fire_triggers
from quantga.exchange.desk import Desk
from quantga.exchange.liquidation import check_liquidations
from quantga.exchange.matching import sweep

Json = dict[str, Any]
LIVE = 5000


def _quote(desk: Desk, command: Json) -> None:
    """Both sides of the book; levels that would cross a user's order are left out once such orders are filled."""
    coin, bids, asks = command["c"], command["bids"], command["asks"]
    market, book = desk.state.coins[coin], desk.books[coin]
    if bids and asks and not market.px:
        market.px = market.mark = market.oracle = (bids[0][0] + asks[0][0]) // 2
    if bids and asks and market.px:
        sweep(desk, coin, asks[0][0], bids[0][0])
    bid, ask = book.best_px(1), book.best_px(-1)
    market.bids = [list(level) for level in bids if not ask or level[0] < ask]
    market.asks = [list(level) for level in asks if not bid or level[0] > bid]
    desk.events.moved = True


def _trades(desk: Desk, command: Json) -> None:
    """Trades in their order: rows of price, size, side (+1 = a buyer took) and users."""
    coin = command["c"]
    market = desk.state.coins[coin]
    for px, size, side, users in command["rows"]:
        market.px = px
        digest, tid = desk.serial()
        desk.tape(coin, side, px, size, {"hash": digest, "tid": tid, "users": users})
        sweep(desk, coin, px, px)
    desk.events.moved = True


def _context(desk: Desk, command: Json) -> None:
    """Mark, oracle and funding rate; triggers and liquidations follow from the mark."""
    market = desk.state.coins[command["c"]]
    market.mark, market.oracle, market.funding = command["mark"], command["oracle"], command["funding"]
    fire_triggers(desk, command["c"])
    check_liquidations(desk)
    desk.events.moved = True


def extend(desk: Desk, coin: int, row: list[int]) -> None:
    """Put a candle after the known bars, or in the place of the one with its time."""
    bars, market = desk.bars[coin], desk.state.coins[coin]
    if row[0] < int(bars.ts[-1]):
        return
    if row[0] > int(bars.ts[-1]):
        desk.events.closed.setdefault(coin, []).append(len(bars.ts) - 1)
    desk.bars[coin] = bars.extended(row)
    market.bar, market.point = len(desk.bars[coin].ts) - 1, bars.points - 1


def _candle(desk: Desk, command: Json) -> None:
    market, row = desk.state.coins[command["c"]], command["row"]
    extend(desk, command["c"], row)
    if market.live and market.live[-1][0] == row[0]:
        market.live[-1] = row
    else:
        market.live.append(row)
        del market.live[:-LIVE]
    desk.events.moved = True


def _halt(desk: Desk, command: Json) -> None:
    """No news from the other venue, or news again."""
    for market in desk.state.coins:
        market.halted = command["on"]
    desk.events.moved = True


def begin_mirror(desk: Desk, folder: Path) -> None:
    """Make every market of a fresh exchange a mirrored one, with the fundings that were fetched."""
    fundings = json.loads((folder / "fundings.json").read_text("utf-8"))
    for market in desk.state.coins:
        market.mirrored = True
        market.bids, market.asks, market.trades = [], [], []
        for row in fundings[market.name]:
            hour, premium = row["time"] // HOUR * HOUR, round(float(row["premium"]) * FUNDING_UNIT)
            market.fundings.append([hour, round(float(row["fundingRate"]) * FUNDING_UNIT), premium])


MIRRORED: dict[str, Callable[[Desk, Json], None]] = {
    "quote": _quote,
    "trades": _trades,
    "context": _context,
    "candle": _candle,
    "halt": _halt,
}
"""Commands of a mirror."""
