"""What is proven before anything is traded: key, account, mode, assets, clock; each refusal is one sentence.

These are the mistakes that users of the venue made: an agent's address where the master's belongs, a master's key where an
agent's belongs, an agent that ran out, a unified account whose equity reads as zero, a clock that is off.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from quantga.errors import ConfigError
from quantga.live.dealer import Dealer
from quantga.live.risk import Limits
from quantga.venue.account import AccountState, SetLeverage
from quantga.venue.market import Context, Meta
from quantga.venue.protocol import Network, Venue

__all__ = ["Standing", "master_of", "prove", "set_leverage"]

_SKEW_MS = 30_000
_DAY_MS = 86_400_000
_APART = {"disabled", "default"}


@dataclass(frozen=True)
class Standing:
    """What was found: the account's master address, the assets, their contexts, margin and positions."""

    account: str
    meta: Meta
    contexts: Mapping[str, Context]
    state: AccountState


async def master_of(venue: Venue, key: str, account: str) -> str:
    """Return the address that is traded for: of `key`'s master, which has to be `account` where that is given.

    ConfigError where the key may not trade, or the wrong address was given.
    """
    role = await venue.role(key)
    if account:
        other = await venue.role(account)
        if other.kind == "agent":
            raise ConfigError(f"{account} is an agent's address: give the account that it trades for, {other.master}")
    if role.kind == "missing":
        raise ConfigError(_unknown(venue.network, key))
    if role.kind == "agent":
        if account and role.master != account.lower():
            raise ConfigError(f"the key {key} is an agent of {role.master}, not of {account}: approve it there first")
        await _agent(venue, role.master, key)
        return role.master
    if role.kind != "user":
        raise ConfigError(f"the key {key} belongs to a {role.kind}, and only users and their agents can trade here")
    if account and account.lower() != key:
        raise ConfigError(f"{key} is not approved as an agent of {account}: approve it there, or leave --account out")
    if venue.network is not Network.PAPER:
        raise ConfigError(
            f"the key is that of the account {key} itself, which can withdraw: approve an agent key and give that one"
        )
    return key


def _unknown(network: Network, key: str) -> str:
    if network is Network.PAPER:
        fund = f"`quantga exchange fund {key}=10000`"
        return f"the exchange has no account {key}: fund it with {fund} (and its --port, where that is not 8100)"
    return f"{network} knows no account and no agent {key}: approve this key as an agent of your account first"


async def _agent(venue: Venue, master: str, key: str) -> None:
    """Refuse an agent whose approval is over within a day: positions must not outlive it."""
    for one in await venue.agents(master):
        ends = one.valid_until
        if one.address == key and ends and ends < time.time_ns() // 10**6 + _DAY_MS:
            raise ConfigError(f"the approval of agent {key} ends within a day: approve a new agent key")


async def prove(venue: Venue, key: str, account: str, symbols: Iterable[str]) -> Standing:
    """Check all that can be asked without sending anything; ConfigError with what has to be mended."""
    before = time.time_ns() // 10**6
    clock = await venue.clock()
    skew = before - clock.wall
    if abs(skew) > _SKEW_MS:
        raise ConfigError(f"this machine's clock is {skew / 1000:+.0f} s off the venue's: set it before you trade")
    master = await master_of(venue, key, account)
    mode = await venue.abstraction(master)
    if mode not in _APART:
        raise ConfigError(
            f"the account {master} is in mode {mode!r}, in which its equity cannot be told: switch it to the standard mode"
        )
    meta, contexts = await venue.meta(), await venue.contexts()
    for symbol in symbols:
        asset = meta.asset(symbol)
        if not asset.tradable or symbol not in contexts:
            raise ConfigError(f"{symbol} cannot be traded now: it is delisted, or its margin is not known")
    state = await venue.state(master)
    if state.value <= 0:
        raise ConfigError(f"the account {master} holds no USDC for perpetuals: fund it first")
    return Standing(master, meta, contexts, state)


async def set_leverage(dealer: Dealer, meta: Meta, limits: Limits, symbols: Sequence[str]) -> None:
    """Set cross margin and a leverage that the limits never reach on each symbol; ConfigError if the venue refuses."""
    state = await dealer.look()
    has = {one.coin: one for one in state.positions}
    for symbol in symbols:
        asset = meta.asset(symbol)
        wanted = min(asset.max_leverage, max(1, -int(-limits.leverage.hard)))
        isolated = asset.margin_mode != "cross"
        held = has.get(symbol)
        if held is None or held.leverage < wanted or held.isolated != isolated:
            await dealer.act(SetLeverage(symbol, wanted, isolated), f"leverage {wanted} of {symbol}")
