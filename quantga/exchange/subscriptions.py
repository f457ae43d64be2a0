"""Subscriptions: which there are, their canonical form, and the frames that they begin with."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import orjson

from quantga.exchange.candles import INTERVALS, available, context, mid, newest_candles
from quantga.exchange.desk import Desk
from quantga.exchange.info import all_mids, book_frame, coin_index, contexts, meta, valid_grouping
from quantga.exchange.info_user import asset_data, clearinghouse, frontend_orders, funding_delta, slice_rows
from quantga.exchange.matching import best, levels
from quantga.exchange.state import HISTORY, Account
from quantga.exchange.twaps import twap_history, twap_states
from quantga.exchange.wire import ADDRESS, BOOLEAN, TEXT, U64, Malformed, Record, text_of

Json = Any
FAST_DEPTH = 5
REPLAYED = 20

_COIN = Record({"type": TEXT, "coin": TEXT})
_USER = Record({"type": TEXT, "user": ADDRESS})
_ALL = Record({"type": TEXT})
_DEX = Record({"type": TEXT}, {"dex": TEXT})
_SHAPES: dict[str, Record] = {
    "allMids": _DEX,
    "l2Book": Record({"type": TEXT, "coin": TEXT}, {"nSigFigs": U64, "mantissa": U64, "fast": BOOLEAN}),
    "bbo": _COIN,
    "trades": _COIN,
    "candle": Record({"type": TEXT, "coin": TEXT, "interval": TEXT}),
    "activeAssetCtx": _COIN,
    "activeAssetData": Record({"type": TEXT, "user": ADDRESS, "coin": TEXT}),
    "orderUpdates": _USER,
    "userEvents": _USER,
    "userFills": Record({"type": TEXT, "user": ADDRESS}, {"aggregateByTime": BOOLEAN}),
    "userFundings": _USER,
    "userNonFundingLedgerUpdates": _USER,
    "webData2": _USER,
    "webData3": _USER,
    "notification": _USER,
    "userTwapSliceFills": _USER,
    "userTwapHistory": _USER,
    "clearinghouseState": Record({"type": TEXT, "user": ADDRESS}, {"dex": TEXT}),
    "openOrders": Record({"type": TEXT, "user": ADDRESS}, {"dex": TEXT}),
    "twapStates": Record({"type": TEXT, "user": ADDRESS}, {"dex": TEXT}),
    "spotState": Record({"type": TEXT, "user": ADDRESS}, {"ignorePortfolioMargin": BOOLEAN}),
    "allDexsAssetCtxs": _ALL,
    "fastAssetCtxs": _ALL,
}
_DEFAULTS: dict[str, dict[str, Json]] = {
    "l2Book": {"nSigFigs": None, "mantissa": None, "fast": False},
    "userFills": {"aggregateByTime": False},
    "spotState": {"ignorePortfolioMargin": False},
    "clearinghouseState": {"dex": ""},
    "openOrders": {"dex": ""},
    "twapStates": {"dex": ""},
}


class Invalid(Exception):
    """A subscription that decodes but names what is not there."""


def canonical(desk: Desk, wish: Json) -> dict[str, Json]:
    """A subscription with its defaults, users in lower case.

    Raises:
        Malformed: it does not decode.
        Invalid: unknown coin, interval or grouping.
    """
    if not isinstance(wish, dict) or not isinstance(wish.get("type"), str) or wish["type"] not in _SHAPES:
        raise Malformed
    given = _SHAPES[wish["type"]](wish)
    sub = {**given, **{k: given.get(k, v) for k, v in _DEFAULTS.get(wish["type"], {}).items()}}
    if not _exists(desk, sub):
        raise Invalid(orjson.dumps(wish).decode())
    return sub


def _exists(desk: Desk, sub: dict[str, Json]) -> bool:
    """Whether coin, dex, interval and grouping are there."""
    if sub.get("dex") or ("coin" in sub and coin_index(desk, sub["coin"]) is None):
        return False
    if sub["type"] == "candle":
        return sub["interval"] in INTERVALS
    return sub["type"] != "l2Book" or valid_grouping(sub["nSigFigs"], sub["mantissa"])


def _frame(channel: str, data: Json) -> dict[str, Json]:
    return {"channel": channel, "data": data}


def _account(desk: Desk, sub: Json) -> Account:
    return desk.state.accounts.get(sub["user"], Account(sub["user"]))


def _coin(desk: Desk, sub: Json) -> int:
    coin = coin_index(desk, sub["coin"])
    if coin is None:
        raise Invalid
    return coin


def bbo(desk: Desk, coin: int) -> dict[str, Json]:
    """The best level of both sides; null where there is none."""
    asset, rows = desk.assets[coin], []
    for side in (1, -1):
        px = best(desk, coin, side)
        size = sum(level[1] for level in levels(desk, coin, side)[:1] if level[0] == px)
        count = sum(level[2] for level in levels(desk, coin, side)[:1] if level[0] == px)
        for rank, oid in desk.books[coin].side(side):
            if -side * rank != px:
                break
            size, count = size + desk.state.orders[oid].size, count + 1
        shown = {"px": text_of(px, asset.px_decimals), "sz": text_of(size, asset.sz_decimals), "n": count}
        rows.append(shown if px else None)
    return {"coin": asset.name, "time": desk.state.market, "bbo": rows}


def l2_frame(desk: Desk, sub: Json) -> dict[str, Json]:
    """A frame of a book subscription: five levels when fast, else twenty."""
    depth = FAST_DEPTH if sub["fast"] else 20
    data = book_frame(desk, _coin(desk, sub), depth, sub["nSigFigs"], sub["mantissa"])
    return _frame("l2Book", {**data, "fast": True} if sub["fast"] else data)


def candle_frames(desk: Desk, sub: Json, closed: dict[int, list[int]]) -> list[dict[str, Json]]:
    """The candles of bars that closed, then the open one; none for intervals that cannot be made."""
    coin = _coin(desk, sub)
    market = desk.state.coins[coin]
    if not available(desk, coin, sub["interval"]) or market.bar < 0:
        return []
    rows = newest_candles(desk, coin, sub["interval"], closed.get(coin, []))
    return [_frame("candle", row) for row in rows]


def _trades(desk: Desk, sub: Json) -> list[Json]:
    rows = desk.state.coins[_coin(desk, sub)].trades[-REPLAYED:]
    return [_frame("trades", rows)] if rows else []


def _fundings(desk: Desk, sub: Json) -> list[Json]:
    rows = [{"time": row["time"], **funding_delta(row)} for row in _account(desk, sub).fundings[-500:]]
    return [_frame("userFundings", {"isSnapshot": True, "user": sub["user"], "fundings": rows})]


def _ledger(desk: Desk, sub: Json) -> list[Json]:
    data = {"isSnapshot": True, "user": sub["user"], "nonFundingLedgerUpdates": _account(desk, sub).ledger[-500:]}
    return [_frame("userNonFundingLedgerUpdates", data)]


def _fills(desk: Desk, sub: Json) -> list[Json]:
    rows = _account(desk, sub).fills[: -HISTORY - 1 : -1]
    return [_frame("userFills", {"isSnapshot": True, "user": sub["user"], "fills": rows})]


def _slices(desk: Desk, sub: Json) -> list[Json]:
    data = {"isSnapshot": True, "user": sub["user"], "twapSliceFills": slice_rows(_account(desk, sub))[::-1]}
    return [_frame("userTwapSliceFills", data)]


def _twap_log(desk: Desk, sub: Json) -> list[Json]:
    rows = twap_history(desk, _account(desk, sub))[:HISTORY][::-1]
    return [_frame("userTwapHistory", {"isSnapshot": True, "user": sub["user"], "history": rows})]


def _twaps(desk: Desk, sub: Json) -> Json:
    return {"dex": "", "user": sub["user"], "states": twap_states(desk, _account(desk, sub))}


def _web_data2(desk: Desk, sub: Json) -> Json:
    account = _account(desk, sub)
    return {
        "clearinghouseState": clearinghouse(desk, account),
        "leadingVaults": [],
        "totalVaultEquity": "0.0",
        "openOrders": frontend_orders(desk, account),
        "agentAddress": None,
        "agentValidUntil": None,
        "cumLedger": text_of(account.deposited, 6),
        "meta": meta(desk),
        "assetCtxs": contexts(desk),
        "serverTime": desk.state.market,
        "isVault": False,
        "user": sub["user"],
        "twapStates": twap_states(desk, account),
    }


def _web_data3(desk: Desk, sub: Json) -> Json:
    account = _account(desk, sub)
    state = {
        "agentAddress": None,
        "agentValidUntil": None,
        "serverTime": desk.state.market,
        "cumLedger": text_of(account.deposited, 6),
        "isVault": False,
        "user": sub["user"],
    }
    dex = {"totalVaultEquity": "0.0", "perpsAtOpenInterestCap": [], "leadingVaults": []}
    return {"userState": state, "perpDexStates": [dex]}


def _cleared(desk: Desk, sub: Json) -> Json:
    account = _account(desk, sub)
    return {"dex": "", "user": sub["user"], "clearinghouseState": clearinghouse(desk, account)}


def _opened(desk: Desk, sub: Json) -> Json:
    return {"dex": "", "user": sub["user"], "orders": frontend_orders(desk, _account(desk, sub))}


def _spot_state(desk: Desk, sub: Json) -> Json:
    account = _account(desk, sub)
    row = {"coin": "USDC", "token": 0, "hold": "0.0", "total": text_of(account.spot, 6), "entryNtl": "0.0"}
    return {"user": sub["user"], "spotState": {"balances": [row] if account.spot else []}}


def _ctx(desk: Desk, sub: Json) -> Json:
    return {"coin": sub["coin"], "ctx": context(desk, _coin(desk, sub))}


def _dexs(desk: Desk, _sub: Json) -> Json:
    return {"ctxs": [["", contexts(desk)]]}


def fast_contexts(desk: Desk) -> dict[str, dict[str, Json]]:
    """Mark and mid of every coin that has a price."""
    out = {}
    for coin, market in enumerate(desk.state.coins):
        if market.px:
            mark = text_of(market.mark, desk.assets[coin].px_decimals)
            out[market.name] = {"markPx": mark, "midPx": mid(desk, coin)}
    return out


def packed(contexts: dict[str, Json]) -> dict[str, Json]:
    """A `fastAssetCtxs` frame: base64 of raw DEFLATE of JSON."""
    press = zlib.compressobj(wbits=-15)
    data = press.compress(orjson.dumps(contexts)) + press.flush()
    return _frame("fastAssetCtxs", base64.b64encode(data).decode())


def _asset(desk: Desk, sub: Json) -> Json:
    return asset_data(desk, _account(desk, sub), _coin(desk, sub))


LATEST: dict[str, Callable[[Desk, Json], Json]] = {
    "allMids": lambda desk, _: {"mids": all_mids(desk)},
    "bbo": lambda desk, sub: bbo(desk, _coin(desk, sub)),
    "activeAssetCtx": _ctx,
    "activeAssetData": _asset,
    "clearinghouseState": _cleared,
    "openOrders": _opened,
    "twapStates": _twaps,
    "spotState": _spot_state,
    "webData2": _web_data2,
    "webData3": _web_data3,
    "allDexsAssetCtxs": _dexs,
}
"""Channels whose frame is the present state, sent again when it changes."""

_FIRST: dict[str, Callable[[Desk, Json], list[Json]]] = {
    "l2Book": lambda desk, sub: [l2_frame(desk, sub)],
    "trades": _trades,
    "candle": lambda desk, sub: candle_frames(desk, sub, {}),
    "userFills": _fills,
    "userFundings": _fundings,
    "userNonFundingLedgerUpdates": _ledger,
    "userTwapSliceFills": _slices,
    "userTwapHistory": _twap_log,
    "fastAssetCtxs": lambda desk, _: [packed(fast_contexts(desk))],
}


def latest(desk: Desk, sub: Json) -> dict[str, Json]:
    """The present frame of a `LATEST` channel."""
    return _frame(sub["type"], LATEST[sub["type"]](desk, sub))


def first_frames(desk: Desk, sub: Json) -> list[dict[str, Json]]:
    """What follows the acknowledgement; `orderUpdates` and `userEvents` begin with nothing."""
    if sub["type"] in LATEST:
        return [latest(desk, sub)]
    return _FIRST[sub["type"]](desk, sub) if sub["type"] in _FIRST else []


__all__ = [
    "LATEST",
    "Invalid",
    "candle_frames",
    "canonical",
    "fast_contexts",
    "first_frames",
    "l2_frame",
    "latest",
    "packed",
]
