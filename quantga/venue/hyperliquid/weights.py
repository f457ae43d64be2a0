"""What requests weigh of the venue's 1,200 a minute, and which answers may be shared.

Source: the venue's "Rate limits and user limits". Rows add to the weight after the fact, so the most that an answer can
hold is assumed first.
"""

from __future__ import annotations

from typing import Any

import orjson

from quantga.errors import Unknown
from quantga.venue.hyperliquid.account_answers import address_budget
from quantga.venue.wire import Ask, Endpoint, Reply

PER_MINUTE = 1_200
_MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "8h": 480, "12h": 720}
_DAYS = {"1d": 1, "3d": 3, "1w": 7, "1M": 28}
INTERVALS = {name: n * 60_000 for name, n in _MINUTES.items()} | {name: n * 86_400_000 for name, n in _DAYS.items()}
"""The venue's candle intervals in milliseconds (a month: at the least)."""
_LIGHT = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_HEAVY = {"userRole": 60}
_PLAIN = 20
_ROWS = {
    "candleSnapshot": (60, 5_000),
    "fundingHistory": (20, 500),
    "userFunding": (20, 500),
    "userNonFundingLedgerUpdates": (20, 500),
    "userFills": (20, 2_000),
    "userFillsByTime": (20, 2_000),
    "userTwapSliceFills": (20, 2_000),
    "historicalOrders": (20, 2_000),
    "recentTrades": (20, 10),
}
"""Rows for one more weight, and the most rows."""
_KEEP = {"meta": 60.0, "metaAndAssetCtxs": 1.0, "allMids": 0.5, "l2Book": 0.2}
"""Seconds for which public answers serve others. Candles never do, nor an account's: they may be older than the question."""
_MARKET = frozenset(
    {
        *("meta", "allPerpMetas", "perpDexs", "spotMeta", "metaAndAssetCtxs", "allMids", "l2Book", "candleSnapshot"),
        *("fundingHistory", "recentTrades", "predictedFundings", "exchangeStatus"),
    }
)


def base(kind: str) -> int:
    """Return the weight of a request before its rows."""
    return 2 if kind in _LIGHT else _HEAVY.get(kind, _PLAIN)


def surcharge(kind: str, rows: int) -> int:
    """Return what the rows of an answer add."""
    return rows // _ROWS[kind][0] if kind in _ROWS else 0


def expected(body: dict[str, Any]) -> int:
    """Return the weight of a request with the most rows that its answer can hold."""
    kind = body["type"]
    most = _ROWS[kind][1] if kind in _ROWS else 0
    if kind == "candleSnapshot":
        span = body["req"]["endTime"] - body["req"]["startTime"]
        most = min(most, max(0, span) // INTERVALS.get(body["req"]["interval"], 60_000) + 1)
    return base(kind) + surcharge(kind, most)


def actual(ask: Ask, reply: Reply) -> int:
    """Return the weight of a request once its answer is known; a refused one is taken to have cost its base."""
    if ask.endpoint == "exchange":
        return ask.weight
    if ask.kind not in _ROWS or reply.status != 200:
        return base(ask.kind)
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return ask.weight
    return base(ask.kind) + surcharge(ask.kind, len(answer) if isinstance(answer, list) else 0)


def learned(ask: Ask, reply: Reply) -> tuple[int, int] | None:
    """Return the account's actions (used, granted) where an answer tells them; None for all other answers."""
    if ask.kind != "userRateLimit" or reply.status != 200:
        return None
    try:
        found = address_budget(orjson.loads(reply.body))
    except (orjson.JSONDecodeError, Unknown):
        return None  # whoever asked is told
    return found.used, found.cap


def endpoint(kind: str) -> Endpoint:
    """Return which breaker watches requests of a type."""
    return "market" if kind in _MARKET else "account"


def keep(kind: str) -> float:
    """Return for how many seconds an answer may serve others."""
    return _KEEP.get(kind, 0.0)
