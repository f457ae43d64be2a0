"""`/info` on users: state, orders, fills, fundings, limits, roles; an unknown address gets empty answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quantga.exchange.admission import requests_cap
from quantga.exchange.desk import DAY, Desk
from quantga.exchange.fees import user_fees
from quantga.exchange.info import ROWS, coin_index, moment
from quantga.exchange.rows import frontend_row, short_row, status_row
from quantga.exchange.state import HISTORY, Account, Position
from quantga.exchange.twaps import slice_row, twap_history
from quantga.exchange.wire import ADDRESS, CLOID, U64, Malformed, text_of

Json = Any
FRONTEND_CAP = 100
EMPTY = Account("")


def find(desk: Desk, body: Json) -> Account:
    """The account a request names; an empty one where there is none.

    Raises:
        Malformed: `user` is no address.
    """
    return desk.state.accounts.get(ADDRESS(body.get("user")), EMPTY)


def _money(value: int) -> str:
    return text_of(value, 6)


def _ratio(number: float, digits: int = 10) -> str:
    return text_of(round(number * 10**digits), digits)


def _position(desk: Desk, account: Account, coin: int, position: Position) -> Json:
    asset, margins = desk.assets[coin], desk.margins
    leverage: dict[str, Json] = {"type": "cross" if position.cross else "isolated", "value": position.leverage}
    used = margins.initial(coin, position)
    if not position.cross:
        leverage["rawUsd"] = _money(position.raw)
        used = margins.isolated_value(coin, position)
    profit, liquidation = margins.profit(coin, position), margins.liquidation_px(account, coin, position)
    entry = (position.entry * 10 + abs(position.szi) // 2) // abs(position.szi)
    total = desk.state.accounts[account.address].funding_all.get(coin, 0)
    return {
        "type": "oneWay",
        "position": {
            "coin": asset.name,
            "szi": text_of(position.szi, asset.sz_decimals),
            "leverage": leverage,
            "entryPx": text_of(entry, asset.px_decimals + 1),
            "positionValue": _money(margins.notional(coin, position)),
            "unrealizedPnl": _money(profit),
            "returnOnEquity": _ratio(profit * position.leverage / position.entry if position.entry else 0.0),
            "liquidationPx": None if liquidation is None else _ratio(liquidation / 10**asset.px_decimals),
            "marginUsed": _money(used),
            "maxLeverage": asset.max_leverage,
            "cumFunding": {
                "allTime": _money(total),
                "sinceOpen": _money(position.funding_open),
                "sinceChange": _money(position.funding_change),
            },
        },
    }


def clearinghouse(desk: Desk, account: Account) -> Json:
    """Positions, margin summaries and what may be withdrawn."""
    margins, held = desk.margins, account.positions.items()
    cross = [(coin, p) for coin, p in held if p.cross]
    alone = [(coin, p) for coin, p in held if not p.cross]
    cross_used = sum(margins.initial(coin, p) for coin, p in cross)
    used = cross_used + sum(margins.isolated_value(coin, p) for coin, p in alone)
    cross_value = margins.cross_value(account)
    summary = {
        "accountValue": _money(margins.value(account)),
        "totalNtlPos": _money(sum(margins.notional(coin, p) for coin, p in held)),
        "totalRawUsd": _money(account.raw + sum(p.raw for _, p in alone)),
        "totalMarginUsed": _money(used),
    }
    cross_summary = {
        "accountValue": _money(cross_value),
        "totalNtlPos": _money(sum(margins.notional(coin, p) for coin, p in cross)),
        "totalRawUsd": _money(account.raw),
        "totalMarginUsed": _money(cross_used),
    }
    return {
        "assetPositions": [_position(desk, account, coin, p) for coin, p in sorted(held)],
        "marginSummary": summary,
        "crossMarginSummary": cross_summary,
        "crossMaintenanceMarginUsed": _money(margins.cross_maintenance(account)),
        "withdrawable": _money(margins.withdrawable(account)),
        "time": desk.state.market,
    }


def open_orders(desk: Desk, account: Account) -> list[Json]:
    """Short rows of all open orders, newest first."""
    orders = [desk.state.orders[oid] for oid in reversed(account.orders)]
    return [short_row(order, desk.assets[order.coin]) for order in orders]


def frontend_orders(desk: Desk, account: Account) -> list[Json]:
    """Full rows, newest first, at most 100."""
    orders = [desk.state.orders[oid] for oid in list(reversed(account.orders))[:FRONTEND_CAP]]
    return [frontend_row(order, desk.assets[order.coin], desk.state.orders) for order in orders]


def _fills_by_time(desk: Desk, body: Json) -> Json:
    start, end = moment(body.get("startTime")), moment(body.get("endTime"), 2**63)
    account, together = find(desk, body), body.get("aggregateByTime")
    if together is not None and not isinstance(together, bool):
        raise Malformed
    rows = [fill for fill in account.fills if start <= fill["time"] <= end]
    return (aggregate(desk, rows) if together else rows)[:HISTORY]


def slice_rows(account: Account) -> list[Json]:
    """The last fills of TWAP orders, newest first."""
    return [slice_row(fill) for fill in reversed(account.fills) if fill["twapId"]][:HISTORY]


def aggregate(desk: Desk, rows: list[Json]) -> list[Json]:
    """Fills of one order in one millisecond as one row: sizes, fees and profits summed, price averaged."""
    out: list[Json] = []
    for fill in rows:
        last = out[-1] if out else None
        if last is None or (last["oid"], last["time"], last["crossed"]) != (fill["oid"], fill["time"], fill["crossed"]):
            out.append(dict(fill))
            continue
        asset = next(one for one in desk.assets if one.name == fill["coin"])
        scale = 10**asset.sz_decimals
        sizes = [round(float(row["sz"]) * scale) for row in (last, fill)]
        worth = sum(size * float(row["px"]) for size, row in zip(sizes, (last, fill), strict=True))
        last["px"] = text_of(round(worth / sum(sizes) * 10**asset.px_decimals), asset.px_decimals)
        last["sz"] = text_of(sum(sizes), asset.sz_decimals)
        for key in ("fee", "closedPnl"):
            last[key] = _ratio(float(last[key]) + float(fill[key]), 6)
    return out


def _order_status(desk: Desk, body: Json) -> Json:
    account, wanted = find(desk, body), body.get("oid")
    oid = account.cloids.get(CLOID(wanted), 0) if isinstance(wanted, str) else U64(wanted)
    order = desk.state.orders.get(oid)
    if order is None or order.user != account.address:
        return {"status": "unknownOid"}
    return {"status": "order", "order": status_row(order, desk.assets[order.coin], desk.state.orders)}


def _historical(desk: Desk, body: Json) -> Json:
    orders = [desk.state.orders[oid] for oid in reversed(find(desk, body).history[-HISTORY:])]
    return [status_row(order, desk.assets[order.coin], desk.state.orders) for order in orders]


def funding_delta(row: Json) -> Json:
    """A funding payment as `userFunding` has it."""
    return {
        "coin": row["coin"],
        "usdc": _money(row["usdc"]),
        "szi": text_of(row["szi"], row["decimals"]),
        "fundingRate": text_of(row["rate"], 10),
        "nSamples": None,
    }


def _user_funding(desk: Desk, body: Json) -> Json:
    start, end = moment(body.get("startTime"), 0), moment(body.get("endTime"), 2**63)
    rows = [row for row in find(desk, body).fundings if start <= row["time"] <= end]
    return [
        {"delta": {"type": "funding", **funding_delta(row)}, "hash": row["hash"], "time": row["time"]}
        for row in rows[:ROWS]
    ]


def _ledger_updates(desk: Desk, body: Json) -> Json:
    start, end = moment(body.get("startTime"), 0), moment(body.get("endTime"), 2**63)
    return [row for row in find(desk, body).ledger if start <= row["time"] <= end][:ROWS]


def _rate_limit(desk: Desk, body: Json) -> Json:
    account = find(desk, body)
    cap = requests_cap(account)
    return {
        "cumVlm": _money(account.volume),
        "nRequestsUsed": account.used,
        "nRequestsCap": cap,
        "nRequestsSurplus": 0,
    }


def _role(desk: Desk, body: Json) -> Json:
    address = ADDRESS(body.get("user"))
    if address in desk.state.accounts:
        return {"role": "user"}
    if address in desk.state.agents:
        return {"role": "agent", "data": {"user": desk.state.agents[address]}}
    return {"role": "missing"}


def _extra_agents(desk: Desk, body: Json) -> Json:
    agents = [a for a in find(desk, body).agents if a.name]
    return [
        {"name": a.name, "address": a.address, "validUntil": a.until or desk.state.wall + 180 * DAY} for a in agents
    ]


def portfolio(desk: Desk, account: Account) -> Json:
    """Value and profit histories by period, from hourly samples and the present."""
    now = desk.state.market
    value = desk.margins.value(account) + account.spot
    points = [*account.samples, [now, value, value - account.deposited]]
    days = {"day": 1, "week": 7, "month": 30, "allTime": 10**6}
    out: list[Json] = []
    for prefix in ("", "perp"):
        for name, length in days.items():
            since = now - length * DAY
            rows = [row for row in points if row[0] >= since]
            volume = sum(sum(v) for d, v in account.daily.items() if (d + 1) * DAY > since)
            base = rows[0][2] if name != "allTime" else 0
            label = f"perp{name[0].upper()}{name[1:]}" if prefix else name
            history = {
                "accountValueHistory": [[t, _money(v)] for t, v, _ in rows],
                "pnlHistory": [[t, _money(p - base)] for t, _, p in rows],
                "vlm": _money(volume),
            }
            out.append([label, history])
    return out


def asset_data(desk: Desk, account: Account, coin: int) -> Json:
    """Leverage and what may be traded in a coin, buying and selling."""
    asset, market = desk.assets[coin], desk.state.coins[coin]
    leverage, cross = desk.margins.leverage(account, coin)
    position = account.positions.get(coin)
    free = max(0, desk.margins.free(account))
    held = position.szi if position else 0
    sizes, values = [], []
    for side in (1, -1):
        closing = abs(held) if held * side < 0 else 0
        size = free * leverage // market.mark + 2 * closing if market.mark else 0
        sizes.append(text_of(size, asset.sz_decimals))
        values.append(_money(free + 2 * closing * market.mark // leverage))
    shown: dict[str, Json] = {"type": "cross" if cross else "isolated", "value": leverage}
    if not cross:
        shown["rawUsd"] = _money(position.raw if position else 0)
    return {
        "user": account.address,
        "coin": asset.name,
        "leverage": shown,
        "maxTradeSzs": sizes,
        "availableToTrade": values,
        "markPx": text_of(market.mark, asset.px_decimals),
    }


def _asset_data(desk: Desk, body: Json) -> Json:
    address, coin = ADDRESS(body.get("user")), coin_index(desk, body.get("coin"))
    account = desk.state.accounts.get(address, Account(address))
    return None if coin is None else asset_data(desk, account, coin)


def _spot(desk: Desk, body: Json) -> Json:
    account = find(desk, body)
    if not account.spot:
        return {"balances": []}
    row = {"coin": "USDC", "token": 0, "hold": "0.0", "total": _money(account.spot), "entryNtl": "0.0"}
    return {"balances": [row]}


def _referral(desk: Desk, body: Json) -> Json:
    return {
        "referredBy": None,
        "cumVlm": _money(find(desk, body).volume),
        "unclaimedRewards": "0.0",
        "claimedRewards": "0.0",
        "builderRewards": "0.0",
        "referrerState": {"stage": "needToTrade", "data": {"required": "10000.0"}},
        "rewardHistory": [],
        "tokenToState": [],
    }


def _always(answer: Json) -> Callable[[Desk, Json], Json]:
    def reply(_desk: Desk, body: Json) -> Json:
        ADDRESS(body.get("user"))
        return answer

    return reply


NO_STAKE = {"delegated": "0.0", "undelegated": "0.0", "totalPendingWithdrawal": "0.0", "nPendingWithdrawals": 0}

USER_INFO: dict[str, Callable[[Desk, Json], Json]] = {
    "clearinghouseState": lambda desk, body: clearinghouse(desk, find(desk, body)),
    "openOrders": lambda desk, body: open_orders(desk, find(desk, body)),
    "frontendOpenOrders": lambda desk, body: frontend_orders(desk, find(desk, body)),
    "userFills": lambda desk, body: find(desk, body).fills[: -HISTORY - 1 : -1],
    "userFillsByTime": _fills_by_time,
    "orderStatus": _order_status,
    "historicalOrders": _historical,
    "userFunding": _user_funding,
    "userNonFundingLedgerUpdates": _ledger_updates,
    "userRateLimit": _rate_limit,
    "userFees": lambda desk, body: user_fees(find(desk, body), desk.state.market // DAY),
    "userRole": _role,
    "extraAgents": _extra_agents,
    "portfolio": lambda desk, body: portfolio(desk, find(desk, body)),
    "activeAssetData": _asset_data,
    "spotClearinghouseState": _spot,
    "referral": _referral,
    "userAbstraction": _always("disabled"),
    "userDexAbstraction": _always(None),
    "subAccounts": _always(None),
    "userToMultiSigSigners": _always(None),
    "userTwapSliceFills": lambda desk, body: slice_rows(find(desk, body)),
    "userTwapSliceFillsByTime": lambda desk, body: [
        slice_row(row) for row in _fills_by_time(desk, body) if row["twapId"]
    ],
    "twapHistory": lambda desk, body: twap_history(desk, find(desk, body))[:HISTORY],
    "userVaultEquities": _always([]),
    "delegations": _always([]),
    "delegatorRewards": _always([]),
    "delegatorHistory": _always([]),
    "delegatorSummary": _always(NO_STAKE),
    "spotDeployState": _always({"states": [], "gasAuction": None}),
    "maxBuilderFee": lambda desk, body: int(find(desk, body).builders.get(ADDRESS(body.get("builder")), "0")),
}
"""Requests with a user."""
