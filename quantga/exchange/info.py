"""`/info` on markets: metadata, contexts, books, candles, funding, recent trades."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quantga.exchange.assets import FIRST_TABLE, MICRO
from quantga.exchange.candles import INTERVALS, candles, context, mid
from quantga.exchange.clockwork import HOUR, hourly_rate
from quantga.exchange.desk import Desk
from quantga.exchange.matching import levels
from quantga.exchange.placing import LARGEST_MARKET
from quantga.exchange.wire import TEXT, Malformed, text_of

Json = Any
ROWS = 500
RECENT = 10
SPOT_META = {
    "tokens": [
        {
            "name": "USDC",
            "szDecimals": 8,
            "weiDecimals": 8,
            "index": 0,
            "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
            "isCanonical": True,
            "evmContract": None,
            "fullName": None,
        }
    ],
    "universe": [],
}


class ServerFault(Exception):
    """The venue answers 500 `null`."""


def coin_index(desk: Desk, name: Json) -> int | None:
    """The asset's number; None where there is no such coin.

    Raises:
        Malformed: the name is no text.
    """
    if not isinstance(name, str):
        raise Malformed
    return next((k for k, asset in enumerate(desk.assets) if asset.name == name), None)


def moment(value: Json, default: int | None = None) -> int:
    """A time in ms; null and a missing field mean `default`.

    Raises:
        Malformed: no whole number, or missing without a default.
    """
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed
    return value


def meta(desk: Desk) -> Json:
    """The universe and its margin tables."""
    universe, tables = [], {}
    for asset, market in zip(desk.assets, desk.state.coins, strict=True):
        row: dict[str, Json] = {
            "szDecimals": asset.sz_decimals,
            "name": asset.name,
            "maxLeverage": asset.max_leverage,
            "marginTableId": asset.table,
        }
        if market.halted and not market.mirrored:
            row["isDelisted"] = True
        universe.append(row)
        if asset.table >= FIRST_TABLE:
            tiers = [{"lowerBound": f"{t.lower // MICRO}.0", "maxLeverage": t.max_leverage} for t in asset.tiers]
            tables[asset.table] = {"description": asset.description, "marginTiers": tiers}
    return {"universe": universe, "marginTables": [[k, tables[k]] for k in sorted(tables)], "collateralToken": 0}


def contexts(desk: Desk) -> list[Json]:
    """Contexts in the universe's order."""
    return [context(desk, coin) for coin in range(len(desk.assets))]


def all_mids(desk: Desk) -> dict[str, str]:
    """The mid of every coin that has a price; the last price where the book is one-sided."""
    out = {}
    for coin, market in enumerate(desk.state.coins):
        if market.px:
            out[market.name] = mid(desk, coin) or text_of(market.px, desk.assets[coin].px_decimals)
    return out


def _side(desk: Desk, coin: int, side: int) -> list[list[int]]:
    """Price, size and count of every level: users' orders and synthetic levels together."""
    merged = {px: [px, size, count] for px, size, count in levels(desk, coin, side)}
    for rank, oid in desk.books[coin].side(side):
        px, size = -side * rank, desk.state.orders[oid].size
        level = merged.setdefault(px, [px, 0, 0])
        level[1] += size
        level[2] += 1
    return sorted(merged.values(), key=lambda level: -side * level[0])


def _grouped(rows: list[list[int]], side: int, figures: int, mantissa: int) -> list[list[int]]:
    out: dict[int, list[int]] = {}
    for px, size, count in rows:
        step = 10 ** max(0, len(str(px)) - figures) * mantissa
        at = px // step * step if side > 0 else -(-px // step) * step
        level = out.setdefault(at, [at, 0, 0])
        level[1] += size
        level[2] += count
    return list(out.values())


def book_frame(desk: Desk, coin: int, depth: int = 20, figures: int | None = None, mantissa: int | None = None) -> Json:
    """A book of `depth` levels a side; rounded ones carry the raw spread."""
    asset = desk.assets[coin]
    sides = [_side(desk, coin, 1), _side(desk, coin, -1)]
    spread = sides[1][0][0] - sides[0][0][0] if all(sides) else None
    if figures is not None:
        sides = [_grouped(rows, side, figures, mantissa or 1) for rows, side in zip(sides, (1, -1), strict=True)]
    shown = [
        [
            {"px": text_of(px, asset.px_decimals), "sz": text_of(size, asset.sz_decimals), "n": count}
            for px, size, count in rows[:depth]
        ]
        for rows in sides
    ]
    frame = {"coin": asset.name, "time": desk.state.market, "levels": shown}
    if figures is not None and spread is not None:
        frame["spread"] = text_of(spread, asset.px_decimals)
    return frame


def _l2_book(desk: Desk, body: Json) -> Json:
    coin = coin_index(desk, body.get("coin"))
    figures, mantissa = body.get("nSigFigs"), body.get("mantissa")
    for value in (figures, mantissa):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise Malformed
    if not valid_grouping(figures, mantissa):
        raise ServerFault
    return None if coin is None else book_frame(desk, coin, figures=figures, mantissa=mantissa)


def valid_grouping(figures: int | None, mantissa: int | None) -> bool:
    """Whether the venue groups so: nSigFigs 2 to 5 or null; mantissa 2 or 5, and only with 5 figures."""
    return (figures is None or figures in {2, 3, 4, 5}) and (mantissa is None or (figures == 5 and mantissa in {2, 5}))


def _candles(desk: Desk, body: Json) -> Json:
    req = body.get("req")
    if not isinstance(req, dict) or TEXT(req.get("interval")) not in INTERVALS:
        raise Malformed
    start, end = moment(req.get("startTime")), moment(req.get("endTime"), desk.state.market)
    coin = coin_index(desk, req.get("coin"))
    return None if coin is None else candles(desk, coin, req["interval"], start, end)


def _funding_history(desk: Desk, body: Json) -> Json:
    """Rates of the replay; before its start the baseline rate, since bars carry no premium."""
    start, end = moment(body.get("startTime")), moment(body.get("endTime"), desk.state.market)
    coin = coin_index(desk, body.get("coin"))
    if coin is None:
        return None
    market = desk.state.coins[coin]
    known = {hour: (rate, premium) for hour, rate, premium in market.fundings}
    hour = max(start, int(desk.bars[coin].ts[0])) + HOUR - 1
    hour -= hour % HOUR
    rows: list[Json] = []
    while hour <= min(end, desk.state.market) and len(rows) < ROWS:
        if hour in known or (hour < desk.state.start and not market.mirrored):
            rate, premium = known.get(hour, (hourly_rate(0.0), 0))
            rows.append(
                {"coin": market.name, "fundingRate": text_of(rate, 10), "premium": text_of(premium, 10), "time": hour}
            )
        hour += HOUR
    return rows


def _recent_trades(desk: Desk, body: Json) -> Json:
    coin = coin_index(desk, body.get("coin"))
    return None if coin is None else desk.state.coins[coin].trades[-RECENT:][::-1]


def _predicted(desk: Desk, _body: Json) -> Json:
    rows = []
    for market in desk.state.coins:
        premium = market.premium_sum / market.premiums if market.premiums else 0.0
        row = {"fundingRate": text_of(hourly_rate(premium), 10), "nextFundingTime": desk.state.next_hour}
        rows.append([market.name, [["HlPerp", {**row, "fundingIntervalHours": 1}]]])
    return rows


MARKET_INFO: dict[str, Callable[[Desk, Json], Json]] = {
    "meta": lambda desk, body: meta(desk) if not body.get("dex") else None,
    "metaAndAssetCtxs": lambda desk, _: [meta(desk), contexts(desk)],
    "allMids": lambda desk, body: all_mids(desk) if not body.get("dex") else None,
    "perpDexs": lambda _desk, _: [None],
    "spotMeta": lambda _desk, _: SPOT_META,
    "spotMetaAndAssetCtxs": lambda _desk, _: [SPOT_META, []],
    "l2Book": _l2_book,
    "candleSnapshot": _candles,
    "fundingHistory": _funding_history,
    "recentTrades": _recent_trades,
    "predictedFundings": _predicted,
    "maxMarketOrderNtls": lambda _desk, _: [[least, f"{most}.0"] for least, most in LARGEST_MARKET],
    "exchangeStatus": lambda desk, _: {"time": desk.state.market, "specialStatuses": None},
    "perpDeployAuctionStatus": lambda _desk, _: {
        "startTimeSeconds": 0,
        "durationSeconds": 111600,
        "startGas": "500.0",
        "currentGas": None,
        "endGas": "500.0",
    },
}
"""Requests without a user."""
