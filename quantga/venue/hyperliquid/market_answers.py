"""Answers about markets as records: metadata, contexts, books, candles, trades, fundings; the shapes of 2023 and of 2026."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from quantga.venue.hyperliquid.reading import Json, bought, exact, number, reader, record, rows, text, whole
from quantga.venue.market import (
    Asset,
    Book,
    Candle,
    Context,
    FundingRate,
    Level,
    MarginMode,
    MarginTier,
    Meta,
    Quote,
    Trade,
)

SINGLE = 50
"""Margin tables with a smaller number are one tier at that leverage, and are not listed."""
_MODES: dict[Json, MarginMode] = {None: "cross", "noCross": "noCross", "strictIsolated": "strictIsolated"}


@dataclass(frozen=True, slots=True)
class SpotMeta:
    """Spot tokens and pairs by name; `dangling` are pairs of tokens that are not there: they broke clients in 2026."""

    tokens: tuple[str, ...]
    pairs: tuple[str, ...]
    dangling: tuple[str, ...]


@reader("metadata (meta)")
def meta(answer: Json) -> Meta:
    """Return the assets. One whose margin table or leverage is missing has no tiers, and so is not tradable."""
    tables = None
    if "marginTables" in answer:
        tables = {whole(key): _tiers(table) for key, table in answer["marginTables"]}
    assets = tuple(_asset(index, row, tables) for index, row in enumerate(rows(answer["universe"])))
    names = [asset.coin for asset in assets]
    if len(set(names)) != len(names):
        raise ValueError("two assets have one name")
    return Meta(assets)


def _asset(index: int, row: Json, tables: dict[int, tuple[MarginTier, ...]] | None) -> Asset:
    most, decimals = whole(row["maxLeverage"]) if "maxLeverage" in row else 0, whole(row["szDecimals"])
    if not 0 <= decimals <= 6 or (most < 1 and "maxLeverage" in row):
        raise ValueError(f"{row['name']}: szDecimals {decimals}, maxLeverage {most}")
    number_of_table = row.get("marginTableId", most)
    tiers: tuple[MarginTier, ...] = (MarginTier(Decimal(0), most),) if most else ()
    if tables is not None and whole(number_of_table) in tables:
        tiers = tables[number_of_table]
    elif tables and number_of_table >= SINGLE and "marginTableId" in row:
        tiers = ()
    mode = _MODES.get(row.get("marginMode"), "strictIsolated")
    if row.get("onlyIsolated") and mode == "cross":
        mode = "noCross"
    return Asset(text(row["name"]), index, decimals, most, tiers, mode, bool(row.get("isDelisted", False)))


def _tiers(table: Json) -> tuple[MarginTier, ...]:
    tiers = tuple(
        MarginTier(exact(tier["lowerBound"]), whole(tier["maxLeverage"])) for tier in rows(table["marginTiers"])
    )
    ordered = all(a.lower < b.lower and a.max_leverage > b.max_leverage for a, b in pairwise(tiers))
    if not tiers or tiers[0].lower != 0 or not ordered or tiers[-1].max_leverage < 1:
        raise ValueError(f"a margin table is not in order: {table}")
    return tiers


@reader("metadata of all dexes (allPerpMetas)")
def all_metas(answer: Json) -> tuple[Meta, ...]:
    """Return the assets of every dex, the first dex first."""
    return tuple(meta(one) for one in rows(answer))


@reader("list of dexes (perpDexs)")
def dexes(answer: Json) -> tuple[str, ...]:
    """Return the names of the dexes; the first one's is empty."""
    return tuple("" if row is None else text(row["name"]) for row in rows(answer))


@reader("spot metadata (spotMeta)")
def spot_meta(answer: Json) -> SpotMeta:
    """Return spot tokens and pairs; a pair of an absent token is named, and harms nothing."""
    tokens = {whole(token["index"]): text(token["name"]) for token in rows(answer["tokens"])}
    whole_pairs: list[str] = []
    dangling: list[str] = []
    for pair in rows(answer["universe"]):
        kept = whole_pairs if all(token in tokens for token in pair["tokens"]) else dangling
        kept.append(text(pair["name"]))
    return SpotMeta(tuple(tokens.values()), tuple(whole_pairs), tuple(dangling))


@reader("contexts (metaAndAssetCtxs)")
def contexts(answer: Json) -> dict[str, Context]:
    """Return the contexts by coin, in the order of the assets."""
    about, found = answer
    assets = meta(about).assets
    return {asset.coin: context(asset.coin, row) for asset, row in zip(assets, rows(found), strict=True)}


def context(coin: str, row: Json) -> Context:
    """Return one context; what has no value while there is no book is NaN."""
    impact = row.get("impactPxs") or (None, None)
    return Context(
        coin=text(coin),
        funding=number(row["funding"]),
        open_interest=number(row["openInterest"]),
        mark=number(row["markPx"]),
        oracle=number(row["oraclePx"]),
        mid=_or_nan(row.get("midPx")),
        premium=_or_nan(row.get("premium")),
        impact_bid=_or_nan(impact[0]),
        impact_ask=_or_nan(impact[1]),
        previous_day=number(row["prevDayPx"]),
        day_volume=number(row["dayNtlVlm"]),
    )


def _or_nan(value: Json) -> float:
    return math.nan if value is None else number(value)


@reader("mid prices (allMids)")
def mids(answer: Json) -> dict[str, float]:
    """Return the mid price of every coin that has one."""
    return {coin: number(value) for coin, value in record(answer).items()}


@reader("book (l2Book)")
def book(answer: Json) -> Book:
    """Return a book; null is the venue's answer for a coin that it does not have."""
    bids, asks = answer["levels"]
    return Book(
        answer["coin"],
        whole(answer["time"]),
        tuple([level(row) for row in bids]),
        tuple([level(row) for row in asks]),
        answer.get("fast") is True,
    )


def level(row: Json) -> Level:
    """Return one level."""
    return Level(number(row["px"]), number(row["sz"]), whole(row["n"]))


def quote(data: Json) -> Quote:
    """Return the best level of both sides."""
    bid, ask = data["bbo"]
    return Quote(
        text(data["coin"]),
        whole(data["time"]),
        None if bid is None else level(bid),
        None if ask is None else level(ask),
    )


@reader("candles (candleSnapshot)")
def candles(answer: Json) -> tuple[Candle, ...]:
    """Return the candles, ascending, each once: pages may repeat rows or come out of order.

    Of two rows of one bar the one with more trades, or more volume, stands: the other is an older view of an open bar.
    """
    found: dict[int, Candle] = {}
    for row in rows(answer):
        bar = candle(row)
        other = found.get(bar.start)
        if other is None or (bar.trades, bar.volume) >= (other.trades, other.volume):
            found[bar.start] = bar
    return tuple(found[start] for start in sorted(found))


def candle(row: Json) -> Candle:
    """Return one candle.

    Raises:
        ValueError: it is no bar: a price that is not positive, or low <= open, close <= high violated.
    """
    bar = Candle(
        coin=text(row["s"]),
        interval=text(row["i"]),
        start=whole(row["t"]),
        end=whole(row["T"]),
        open=number(row["o"]),
        high=number(row["h"]),
        low=number(row["l"]),
        close=number(row["c"]),
        volume=number(row["v"]),
        trades=whole(row["n"]),
    )
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high or bar.volume < 0:
        raise ValueError(f"{row} is no bar")
    return bar


@reader("funding history (fundingHistory)")
def fundings(answer: Json) -> tuple[FundingRate, ...]:
    """Return the rates, ascending, each once."""
    found = {
        whole(row["time"]): FundingRate(
            text(row["coin"]), row["time"], number(row["fundingRate"]), _or_nan(row.get("premium"))
        )
        for row in rows(answer)
    }
    return tuple(found[time] for time in sorted(found))


@reader("trades (recentTrades)")
def trades(answer: Json) -> tuple[Trade, ...]:
    """Return trades, in the order given."""
    return tuple(trade(row) for row in rows(answer))


def trade(row: Json) -> Trade:
    """Return one trade."""
    return Trade(
        coin=text(row["coin"]),
        time=whole(row["time"]),
        buy=bought(row["side"]),
        px=number(row["px"]),
        size=number(row["sz"]),
        tid=whole(row["tid"]),
        hash=text(row.get("hash", "")),
        users=tuple(row.get("users", ())),
    )


@reader("predicted fundings (predictedFundings)")
def predicted(answer: Json) -> dict[str, float]:
    """Return the venue's own next hourly rate by coin."""
    return {
        text(coin): number(row["fundingRate"])
        for coin, venues in rows(answer)
        for name, row in venues
        if name == "HlPerp" and row is not None
    }
