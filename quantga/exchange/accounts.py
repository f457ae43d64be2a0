"""Acts on an account: leverage, isolated margin, transfers, agents, builder fees, the scheduled cancel."""

from __future__ import annotations

import re
from typing import Any

from quantga.exchange.admission import Refused
from quantga.exchange.assets import MICRO
from quantga.exchange.desk import DAY, Desk
from quantga.exchange.state import Account, Agent
from quantga.exchange.wire import ADDRESS, DECIMAL, Malformed, scaled, text_of

Json = dict[str, Any]
NAMED_AGENTS = 3
AGENT_LIFE = 180 * DAY
_UNTIL = re.compile(r"(.*?) valid_until ([0-9]{1,15})")
GATE = 1_000_000 * MICRO
EARLIEST = 5000
FIRINGS = 10
WITHDRAWAL_FEE = MICRO
REQUEST_PRICE = 500
"""Millionths of USDC for one reserved request."""


def update_leverage(desk: Desk, account: Account, action: Json) -> None:
    """Set leverage and margin mode of a coin.

    Raises:
        Refused: out of range, a switch with an open position, or margin for less leverage is missing.
    """
    coin, leverage, cross = _coin(desk, action), action["leverage"], action["isCross"]
    asset, position = desk.assets[coin], account.positions.get(coin)
    before = desk.margins.leverage(account, coin)
    if not 1 <= leverage <= asset.max_leverage:
        raise Refused("Invalid leverage value")
    if position is not None:
        if position.cross != cross:
            raise Refused("Cannot switch leverage type with open position.")
        if leverage > asset.tier(desk.margins.notional(coin, position)).max_leverage:
            raise Refused("Invalid leverage value")
        old, position.leverage = position.leverage, leverage
        account.leverage[coin] = [leverage, int(cross)]
        if leverage < old and not _affordable(desk, account, coin, cross=cross):
            position.leverage, account.leverage[coin] = old, [before[0], int(before[1])]
            raise Refused(
                "Cross position does not have sufficient margin available to decrease leverage. "
                "To decrease leverage, deposit more collateral."
                if cross
                else "Isolated position does not have sufficient margin available to decrease leverage. "
                "To decrease leverage, add margin to the position."
            )
    account.leverage[coin] = [leverage, int(cross)]


def _affordable(desk: Desk, account: Account, coin: int, *, cross: bool) -> bool:
    if cross:
        return desk.margins.free(account) >= 0
    position = account.positions[coin]
    return desk.margins.isolated_value(coin, position) >= desk.margins.initial(coin, position)


def _coin(desk: Desk, action: Json) -> int:
    coin: int = action["asset"]
    if coin >= len(desk.assets):
        raise Refused("Invalid asset")
    return coin


def update_isolated_margin(desk: Desk, account: Account, action: Json) -> None:
    """Add to (positive) or take from (negative) the margin of an isolated position.

    Raises:
        Refused: nothing to change, no such position, or not enough margin on the giving side.
    """
    coin, amount = _coin(desk, action), action["ntli"]
    position = account.positions.get(coin)
    if not amount:
        raise Refused("Update to isolated margin cannot be zero.")
    if position is None:
        raise Refused("Cannot update margin for empty position.")
    if position.cross:
        raise Refused("Position does not use isolated margin.")
    if amount > 0 and amount > desk.margins.free(account):
        raise Refused("Account does not have sufficient margin available for increase.")
    notional = desk.margins.notional(coin, position)
    keep = max(desk.margins.initial(coin, position), notional // 10)
    if amount < 0 and desk.margins.isolated_value(coin, position) + amount < keep:
        raise Refused("Position does not have sufficient margin for reduction.")
    position.raw += amount
    account.raw -= amount


def _amount(text: str) -> int:
    try:
        value = scaled(DECIMAL(text))
    except Malformed as error:
        raise Refused("Invalid amount") from error
    if value <= 0 or value % 100:
        raise Refused("Invalid amount")
    return value // 100


def book_ledger(desk: Desk, account: Account, delta: Json) -> None:
    """Note a movement that is neither trade nor funding."""
    row = {"time": desk.state.market, "hash": desk.serial()[0], "delta": delta}
    account.ledger.append(row)
    desk.events.ledger.setdefault(account.address, []).append(row)


def class_transfer(desk: Desk, account: Account, action: Json) -> None:
    """Move USDC between perpetual and spot balance.

    Raises:
        Refused: the balance does not suffice.
    """
    amount, to_perp = _amount(action["amount"].split(" ")[0]), action["toPerp"]
    if " subaccount:" in action["amount"]:
        raise Refused(f"Vault not registered: {action['amount'].split(':')[1]}")
    if amount > (account.spot if to_perp else desk.margins.withdrawable(account)):
        raise Refused("Insufficient balance for transfer")
    account.spot += -amount if to_perp else amount
    account.raw += amount if to_perp else -amount
    book_ledger(desk, account, {"type": "accountClassTransfer", "usdc": text_of(amount, 6), "toPerp": to_perp})


def send(desk: Desk, account: Account, action: Json) -> None:
    """Send USDC to another address, which exists from then on.

    Raises:
        Refused: the balance does not suffice, or the destination is no address.
    """
    amount = _amount(action["amount"])
    try:
        destination = ADDRESS(action["destination"])
    except Malformed as error:
        raise Refused("Invalid destination") from error
    if amount > desk.margins.withdrawable(account):
        raise Refused("Insufficient balance for withdrawal")
    other = desk.state.accounts.setdefault(destination, Account(destination))
    account.raw -= amount
    account.deposited -= amount
    other.raw += amount
    other.deposited += amount
    delta = {"type": "internalTransfer", "usdc": text_of(amount, 6), "user": account.address}
    delta |= {"destination": destination, "fee": "0.0"}
    for party in (account, other):
        book_ledger(desk, party, delta)


def withdraw(desk: Desk, account: Account, action: Json) -> None:
    """Take USDC out of the exchange, for a fee of one.

    Raises:
        Refused: the balance does not suffice.
    """
    amount = _amount(action["amount"])
    if amount > desk.margins.withdrawable(account) or amount <= WITHDRAWAL_FEE:
        raise Refused("Insufficient balance for withdrawal")
    account.raw -= amount
    account.deposited -= amount
    desk.state.deposits -= amount - WITHDRAWAL_FEE
    desk.state.house.fees += WITHDRAWAL_FEE
    net, fee = text_of(amount - WITHDRAWAL_FEE, 6), text_of(WITHDRAWAL_FEE, 6)
    book_ledger(desk, account, {"type": "withdraw", "usdc": net, "nonce": action["time"], "fee": fee})


def deposit(desk: Desk, address: str, amount: int) -> None:
    """Fund an account; it exists from then on. `amount` in millionths of USDC."""
    account = desk.state.accounts.setdefault(address, Account(address))
    account.raw += amount
    account.deposited += amount
    desk.state.deposits += amount
    book_ledger(desk, account, {"type": "deposit", "usdc": text_of(amount, 6)})


def approve_agent(desk: Desk, account: Account, action: Json) -> None:
    """Let another key sign for the account: one without a name, three with.

    Raises:
        Refused: the name is too long, the address is taken, or there are too many.
    """
    state, name, until = desk.state, action["agentName"], 0
    timed = _UNTIL.fullmatch(name)
    if timed:
        name, until = timed[1], int(timed[2])
        if until > state.wall + AGENT_LIFE:
            raise Refused("Invalid agent validity")
    if len(name) > 16:
        raise Refused("Agent name too long")
    address = action["agentAddress"]
    if address in state.accounts or address in state.agents:
        raise Refused("Extra agent already used.")
    account.agents = [a for a in account.agents if not a.until or a.until > state.wall]
    kept = [a for a in account.agents if a.name != name]
    if name and sum(1 for a in kept if a.name) >= NAMED_AGENTS:
        raise Refused("Too many extra agents.")
    account.agents = [*kept, Agent(address, name, until)]
    for gone in [a for a, master in state.agents.items() if master == account.address]:
        if all(a.address != gone for a in account.agents):
            del state.agents[gone]
            state.nonces.pop(gone, None)
    state.agents[address] = account.address


def approve_builder(account: Account, action: Json) -> None:
    """Allow a builder a fee of up to `maxFeeRate` (a text like `0.01%`).

    Raises:
        Refused: the rate is no percentage.
    """
    rate = action["maxFeeRate"]
    try:
        tenths = scaled(DECIMAL(rate.removesuffix("%"))) // 10**5
    except Malformed as error:
        raise Refused("Invalid fee rate") from error
    account.builders[action["builder"]] = str(tenths)


def schedule_cancel(desk: Desk, account: Account, action: Json) -> None:
    """Arm, move or clear the dead man's switch; its time is wall time.

    Raises:
        Refused: not enough traded, too early, or fired ten times today.
    """
    time = action.get("time")
    if time is None:
        account.cancel_at = 0
        return
    if account.volume < GATE:
        traded = text_of(account.volume // 10_000, 2)
        raise Refused(
            "Cannot set scheduled cancel time until enough volume traded. "
            f"Required: ${GATE // MICRO}. Traded: ${traded}."
        )
    if time < desk.state.wall + EARLIEST:
        raise Refused("Scheduled cancel time too early, must be at least 5 seconds from now.")
    if account.firings[0] == desk.state.wall // DAY and account.firings[1] >= FIRINGS:
        raise Refused("Scheduled cancel triggered too many times today.")
    account.cancel_at = time


def fire_scheduled(desk: Desk) -> None:
    """Cancel all orders of every account whose switch is due."""
    for account in desk.state.accounts.values():
        if not account.cancel_at or account.cancel_at > desk.state.wall:
            continue
        account.cancel_at = 0
        day = desk.state.wall // DAY
        account.firings = [day, (account.firings[1] if account.firings[0] == day else 0) + 1]
        for oid in list(account.orders):
            order = desk.state.orders[oid]
            if order.status == "open":
                desk.close(order, "scheduledCancel")


def reserve_requests(desk: Desk, account: Account, weight: int) -> None:
    """Buy requests beyond the budget.

    Raises:
        Refused: the balance does not suffice.
    """
    cost = weight * REQUEST_PRICE
    if cost > account.raw:
        raise Refused("Insufficient balance for withdrawal")
    account.raw -= cost
    desk.state.house.fees += cost
    account.reserved += weight
