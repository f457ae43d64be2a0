"""TWAP orders: a size over minutes, in suborders that follow the clock of the market.

After k of n equal pauses k + 1 of n parts should be done; a suborder that falls behind is caught up by later ones, each at
most three parts large and at most 3 % away from the mark, as the venue documents it.
"""

from __future__ import annotations

import random
from typing import Any

from quantga.exchange.assets import MICRO
from quantga.exchange.desk import Desk
from quantga.exchange.matching import take
from quantga.exchange.placing import BAD_ASSET, HALTED, WORDS, ZERO_SIZE, StaticError, margin_refusal, size_units
from quantga.exchange.state import Account, Order, Twap
from quantga.exchange.wire import text_of

Json = dict[str, Any]
SHORTEST, LONGEST = 5, 7 * 24 * 60
"""Minutes."""
SMALLEST = 100 * MICRO
PART = 10 * MICRO
"""A suborder is worth at least this, so a small order of a long time has fewer of them."""
PAUSE = 30_000
REACH = 3
"""A suborder reaches 3 % beyond the mark, and is at most 3 parts large."""
MOST_RUNNING = 100
"""Of an account; our own number: the venue's is not known."""
MISSING = "TWAP was never placed, already canceled, or filled."
NOT_REDUCING = "Reduce-only TWAP order would increase position."


def place_twap(desk: Desk, account: Account, action: Json) -> Json:
    """Begin a TWAP order; its first suborder goes at once."""
    wish = action["twap"]
    try:
        twap = _checked(desk, account, wish)
    except StaticError as error:
        return {"error": str(error)}
    state = desk.state
    twap.twap_id, state.next_twap = state.next_twap, state.next_twap + 1
    state.twaps[twap.twap_id] = twap
    state.running[twap.twap_id] = None
    account.twaps.append(twap.twap_id)
    _tell(desk, twap)
    run_slices(desk)
    return {"running": {"twapId": twap.twap_id}}


def _checked(desk: Desk, account: Account, wish: Json) -> Twap:
    """The order of a wish.

    Raises:
        StaticError: why there is none.
    """
    coin, minutes = wish["a"], wish["m"]
    if coin >= len(desk.assets):
        raise StaticError(BAD_ASSET)
    size, market = size_units(desk.assets[coin], wish["s"]), desk.state.coins[coin]
    if not size:
        raise StaticError(ZERO_SIZE)
    if not SHORTEST <= minutes <= LONGEST:
        raise StaticError(f"Invalid TWAP duration: {minutes} min(s)")
    if not market.px or market.halted:
        raise StaticError(HALTED)
    worth = size * market.mark
    if worth < SMALLEST:
        raise StaticError(f"TWAP order value too small. Min is ${SMALLEST // MICRO}.")
    side, position = 1 if wish["b"] else -1, account.positions.get(coin)
    if wish["r"] and (position is None or position.szi * side >= 0):
        raise StaticError(NOT_REDUCING)
    if sum(1 for number in account.twaps if number in desk.state.running) >= MOST_RUNNING:
        raise StaticError("Exceeded max number of active TWAP orders.")
    parts = min(minutes * 60_000 // PAUSE + 1, worth // PART)
    return Twap(0, account.address, coin, side, size, minutes, wish["r"], wish["t"], desk.state.market, parts)


def cancel_twap(desk: Desk, account: Account, action: Json) -> Json | str:
    """End a running TWAP order; what was filled stays."""
    twap = desk.state.twaps.get(action["t"])
    if twap is None or twap.user != account.address or twap.coin != action["a"] or not _runs(desk, twap):
        return {"error": MISSING}
    _end(desk, twap, "terminated")
    return "success"


def _runs(desk: Desk, twap: Twap) -> bool:
    return twap.twap_id in desk.state.running


def next_slice(desk: Desk) -> int | None:
    """When the next suborder of all is due (ms of the market); None where nothing runs."""
    return min((_due(desk.state.twaps[number]) for number in desk.state.running), default=None)


def _due(twap: Twap) -> int:
    return twap.time + twap.done * twap.minutes * 60_000 // max(1, twap.parts - 1)


def run_slices(desk: Desk) -> None:
    """Send the suborders that are due, in the order in which their TWAP orders were placed."""
    for number in list(desk.state.running):
        twap = desk.state.twaps[number]
        market = desk.state.coins[twap.coin]
        if market.halted and not market.mirrored:
            _end(desk, twap, "error", HALTED)
        elif _due(twap) <= desk.state.market:
            _slice(desk, twap)


def end_twaps(desk: Desk, account: Account, coins: list[int]) -> None:
    """End an account's TWAP orders in some coins: it is being liquidated."""
    for number in account.twaps:
        twap = desk.state.twaps[number]
        if twap.coin in coins and _runs(desk, twap):
            _end(desk, twap, "terminated")


def _slice(desk: Desk, twap: Twap) -> None:
    twap.done += 1
    account, market = desk.state.accounts[twap.user], desk.state.coins[twap.coin]
    size = 0 if market.halted else _size(desk, twap)
    order = Order(
        desk.next_oid(), twap.user, twap.coin, twap.side, market.mark, size, size, "Ioc", twap.reduce_only, None, 0
    )
    order.twap, order.time = twap.twap_id, desk.state.market
    held = desk.held(order)
    if twap.reduce_only:
        if held * twap.side >= 0:
            _end(desk, twap, "error", NOT_REDUCING)
            return
        order.size = order.orig = min(size, abs(held))
    elif size and (refusal := margin_refusal(desk, account, order, held)):
        _end(desk, twap, "error", WORDS[refusal])
        return
    if order.size:
        take(desk, order, market.mark + twap.side * (market.mark * REACH // 100))
        twap.executed += order.filled
        twap.notional += order.cost
    if twap.executed >= twap.size or twap.done >= twap.parts:
        _end(desk, twap, "finished")


def _size(desk: Desk, twap: Twap) -> int:
    """What is due by now, at most three parts; randomised by up to a fifth where that was asked for."""
    due = twap.size * twap.done // twap.parts - twap.executed
    part = -(-twap.size // twap.parts)
    if twap.randomize and twap.done < twap.parts:
        stream = random.Random(f"{desk.state.seed}:{twap.twap_id}:{twap.done}:twap")  # noqa: S311 -- sizes, no secrets
        due += int(part * stream.uniform(-0.2, 0.2))
    return max(0, min(due, REACH * part, twap.size - twap.executed))


def _end(desk: Desk, twap: Twap, status: str, description: str = "") -> None:
    twap.status, twap.status_time, twap.description = status, desk.state.market, description
    del desk.state.running[twap.twap_id]
    _tell(desk, twap)


def _tell(desk: Desk, twap: Twap) -> None:
    desk.events.twaps.setdefault(twap.user, []).append(history_row(desk, twap))


def twap_state(desk: Desk, twap: Twap, *, fresh: bool = False) -> Json:
    """A TWAP order as the venue prints it; `fresh`: as it was when it was placed."""
    asset = desk.assets[twap.coin]
    return {
        "coin": asset.name,
        "user": twap.user,
        "side": "B" if twap.side > 0 else "A",
        "sz": text_of(twap.size, asset.sz_decimals),
        "executedSz": text_of(0 if fresh else twap.executed, asset.sz_decimals),
        "executedNtl": text_of(0 if fresh else twap.notional, 6),
        "minutes": twap.minutes,
        "reduceOnly": twap.reduce_only,
        "randomize": twap.randomize,
        "timestamp": twap.time,
        "trigger": None,
        "stopPx": None,
    }


def history_row(desk: Desk, twap: Twap, *, fresh: bool = False) -> Json:
    """One entry of a TWAP order's history; its time is in seconds."""
    status: Json = {"status": "activated" if fresh else twap.status}
    if twap.description and not fresh:
        status["description"] = twap.description
    time = twap.time if fresh or not twap.status_time else twap.status_time
    return {
        "time": time // 1000,
        "state": twap_state(desk, twap, fresh=fresh),
        "status": status,
        "twapId": twap.twap_id,
    }


def twap_history(desk: Desk, account: Account) -> list[Json]:
    """What became of an account's TWAP orders, newest first."""
    rows: list[Json] = []
    for number in reversed(account.twaps):
        twap = desk.state.twaps[number]
        if twap.status_time:
            rows.append(history_row(desk, twap))
        rows.append(history_row(desk, twap, fresh=True))
    return rows


def twap_states(desk: Desk, account: Account) -> list[list[Any]]:
    """The running TWAP orders of an account."""
    running = [desk.state.twaps[number] for number in account.twaps if number in desk.state.running]
    return [[twap.twap_id, twap_state(desk, twap)] for twap in running]


def slice_row(fill: Json) -> Json:
    """A suborder's fill as `userTwapSliceFills` has it."""
    return {"fill": {**fill, "twapId": None}, "twapId": fill["twapId"]}
