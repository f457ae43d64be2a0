"""Actions as the venue hashes them: the order of the keys is part of the signature.

What the venue would refuse by its form alone is refused here, before a nonce is spent on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from quantga.errors import ConfigError, Denied
from quantga.venue.account import (
    Action,
    AddMargin,
    Cancel,
    Modify,
    Noop,
    OrderRequest,
    Place,
    ScheduleCancel,
    SetLeverage,
)
from quantga.venue.hyperliquid import rules
from quantga.venue.market import Asset, Meta

MOST = 200
"""Cancels in one action; one more and the venue refuses them all. Orders are held to the same number."""
BATCH = 39
"""Orders in one action: the weight is 1 + floor(n / 40), so that the fortieth costs a second one."""
_CLOID = re.compile(r"^0x[0-9a-f]{32}$")


def wire(action: Action, meta: Meta) -> dict[str, Any]:
    """Return the JSON of an action.

    Raises:
        Denied: a price or size that the venue does not take, a cloid that is none, an empty or too large batch.
        ConfigError: a coin that the venue does not have.
    """
    match action:
        case Place(orders, grouping):
            _filled(orders)
            return {"type": "order", "orders": [_order(one, meta) for one in orders], "grouping": grouping}
        case Cancel(orders):
            _filled(orders)
            return _cancel(orders, meta)
        case Modify(orders):
            _filled(orders)
            rows = [{"oid": _ref(ref), "order": _order(one, meta)} for ref, one in orders]
            return {"type": "batchModify", "modifies": rows}
        case _:
            return _setting(action, meta)


def _setting(action: SetLeverage | AddMargin | ScheduleCancel | Noop, meta: Meta) -> dict[str, Any]:
    match action:
        case SetLeverage(coin, leverage, isolated):
            index = meta.asset(coin).index
            return {"type": "updateLeverage", "asset": index, "isCross": not isolated, "leverage": leverage}
        case AddMargin(coin, usdc):
            millionths = usdc * 10**6
            if millionths != int(millionths):
                raise Denied(f"{usdc} USDC has more than six decimals")
            index = meta.asset(coin).index
            return {"type": "updateIsolatedMargin", "asset": index, "isBuy": True, "ntli": int(millionths)}
        case ScheduleCancel(time):
            return {"type": "scheduleCancel"} if time is None else {"type": "scheduleCancel", "time": time}
        case Noop():
            return {"type": "noop"}


def count(action: Action) -> int:
    """Return how many actions of the address's budget it uses, which is how many outcomes it has."""
    return len(action.orders) if isinstance(action, Place | Cancel | Modify) else 1


def weight(action: Action) -> int:
    """Return its weight of the 1,200 a minute."""
    return 1 + count(action) // 40


def batched(orders: Sequence[OrderRequest]) -> list[Place]:
    """Return few actions that place `orders`, in their order within each kind: reduce-only first, Alo apart.

    The venue takes Alo orders before those that may trade at once, and a batch is one or the other.
    """
    kinds: dict[tuple[bool, bool], list[OrderRequest]] = {}
    for one in orders:
        kinds.setdefault((not one.reduce_only, one.tif != "Alo" or one.trigger is not None), []).append(one)
    return [
        Place(tuple(rows[at : at + BATCH])) for _, rows in sorted(kinds.items()) for at in range(0, len(rows), BATCH)
    ]


def _order(one: OrderRequest, meta: Meta) -> dict[str, Any]:
    asset = _tradable(one, meta)
    if not rules.valid_size(asset, one.size):
        raise Denied(f"{one.coin}: the size {one.size} has more than {asset.size_decimals} decimals, or is nothing")
    if not rules.valid_price(asset, one.px):
        raise Denied(f"{one.coin}: the price {one.px} is not on the venue's grid (next: {rules.tick(asset, one.px)})")
    row: dict[str, Any] = {
        "a": asset.index,
        "b": one.buy,
        "p": rules.text(one.px),
        "s": rules.text(one.size),
        "r": one.reduce_only,
        "t": _kind(one, asset),
    }
    if one.cloid is not None:
        row["c"] = _ref(one.cloid)
    return row


def _tradable(one: OrderRequest, meta: Meta) -> Asset:
    asset = meta.asset(one.coin)
    if not asset.tradable and not one.reduce_only:
        raise Denied(f"{one.coin} is delisted, or its margin is not known: only reduce-only orders are sent")
    return asset


def _kind(one: OrderRequest, asset: Asset) -> dict[str, Any]:
    if one.trigger is None:
        return {"limit": {"tif": one.tif}}
    if not rules.valid_price(asset, one.trigger.px):
        raise Denied(f"{one.coin}: the trigger price {one.trigger.px} is not on the venue's grid")
    at = rules.text(one.trigger.px)
    return {"trigger": {"isMarket": one.trigger.market, "triggerPx": at, "tpsl": "tp" if one.trigger.take else "sl"}}


def _cancel(orders: Sequence[tuple[str, int | str]], meta: Meta) -> dict[str, Any]:
    if all(isinstance(ref, int) for _, ref in orders):
        return {"type": "cancel", "cancels": [{"a": meta.asset(coin).index, "o": ref} for coin, ref in orders]}
    if any(isinstance(ref, int) for _, ref in orders):
        raise ConfigError("one action cancels by number or by cloid, not both: send two")
    rows = [{"asset": meta.asset(coin).index, "cloid": _ref(ref)} for coin, ref in orders]
    return {"type": "cancelByCloid", "cancels": rows}


def _ref(ref: int | str) -> int | str:
    if isinstance(ref, str) and not _CLOID.match(ref):
        raise Denied(f"{ref!r} is no cloid: 0x and 32 hex digits in lower case")
    return ref


def _filled(orders: Sequence[object]) -> None:
    if not 0 < len(orders) <= MOST:
        raise Denied(f"an action holds 1 to {MOST} orders, not {len(orders)}")
