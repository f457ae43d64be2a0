"""Who may act, and how often: agents, nonces, expiry and the address's own request budget. Times are wall times."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any

from quantga.exchange.assets import MICRO
from quantga.exchange.state import Account, State
from quantga.exchange.wire import text_of

NONCES = 100
PAST, FUTURE = 2 * 86_400_000 - 120_000, 86_400_000 - 120_000
"""The window of nonces around the clock, two minutes inside the documented ends, as measured."""
FREE_REQUESTS = 10_000
MORE_CANCELS = 100_000
EXTRA_PAUSE = 10_000
EXPIRED_COST = 5
WEIGHT_LIMIT = 200
EXPIRED = "Action already expired"


class Refused(Exception):
    """The whole action is refused with this message."""


def owner(state: State, signer: str) -> Account | None:
    """The account that a signer acts for: its own, or the one that approved it as an agent."""
    account = state.accounts.get(signer)
    if account is not None:
        return account
    master = state.agents.get(signer)
    if master is None:
        return None
    account = state.accounts[master]
    agent = next((a for a in account.agents if a.address == signer), None)
    alive = agent is not None and (not agent.until or agent.until > state.wall)
    return account if alive else None


def check_nonce(state: State, signer: str, nonce: int) -> None:
    """Admit a nonce, or say why not; duplicates are named first.

    Raises:
        Refused: it was used, is below the hundred highest, or outside the window around the wall clock.
    """
    kept = state.nonces.setdefault(signer, [])
    place = bisect_left(kept, nonce)
    if place < len(kept) and kept[place] == nonce:
        raise Refused(f"Invalid nonce: duplicate nonce {nonce}")
    floor = state.wall - PAST
    if len(kept) >= NONCES:
        floor = max(floor, kept[0])
    if nonce <= floor:
        raise Refused(f"Invalid nonce: nonce too low {nonce} < {floor}")
    if nonce > state.wall + FUTURE:
        raise Refused(f"Invalid nonce: nonce too high {nonce} > {state.wall + FUTURE}")
    insort(kept, nonce)
    if len(kept) > NONCES:
        del kept[0]


def check_expiry(state: State, account: Account, expires: int | None) -> None:
    """Refuse an action past its own `expiresAfter`; it costs five requests.

    Raises:
        Refused: too late.
    """
    if expires is not None and expires < state.wall:
        account.used += EXPIRED_COST
        raise Refused(EXPIRED)


def requests_cap(account: Account) -> int:
    """Requests the address may make in its life: 10,000, one per USDC traded, and what it reserved."""
    return FREE_REQUESTS + account.volume // MICRO + account.reserved


def count_request(state: State, account: Account, action: dict[str, Any]) -> None:
    """Charge an action to the address: a batch of n counts n; an exhausted address gets one every ten seconds.

    Raises:
        Refused: the batch is too long, or the budget is spent.
    """
    rows = next((action[key] for key in ("orders", "cancels", "modifies") if key in action), None)
    cost = 1 if rows is None else max(1, len(rows))
    if cost > WEIGHT_LIMIT:
        raise Refused(f"Signed action over weight limit of {WEIGHT_LIMIT}.")
    limit = requests_cap(account)
    if action["type"] in {"cancel", "cancelByCloid"}:
        limit = min(limit + MORE_CANCELS, 2 * limit)
    if account.used + cost > limit:
        if state.wall - account.last_extra < EXTRA_PAUSE:
            traded = text_of(account.volume // 10_000, 2)
            raise Refused(
                f"Too many cumulative requests sent ({account.used + cost} > {limit}) for cumulative volume traded "
                f"${traded}. Place taker orders to free up 1 request per USDC traded."
            )
        account.last_extra = state.wall
    account.used += cost
