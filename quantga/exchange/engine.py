"""The engine: one command in, an answer and events out; the same commands always lead to the same state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quantga.errors import ConfigError
from quantga.exchange import accounts
from quantga.exchange.admission import EXPIRED, Refused, check_expiry, check_nonce, count_request, owner
from quantga.exchange.assets import Asset
from quantga.exchange.bars import Bars
from quantga.exchange.batches import cancel_batch, modify_batch, order_batch
from quantga.exchange.clockwork import Clockwork
from quantga.exchange.desk import Desk, Events
from quantga.exchange.liquidation import liquidate_now
from quantga.exchange.matching import levels
from quantga.exchange.mirrored import MIRRORED, extend
from quantga.exchange.state import Account, Coin, State
from quantga.exchange.twaps import cancel_twap, place_twap

Json = dict[str, Any]
Act = Callable[[Desk, Account, Json], Any]
HISTORY_BARS = 5000
NOT_HERE = "Action not supported by this paper exchange."
DEFAULT: Json = {"type": "default"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the sender hears, and what everyone else may see."""

    answer: Json
    events: Events


def ok(response: Json) -> Json:
    """A successful answer."""
    return {"status": "ok", "response": response}


def err(message: str) -> Json:
    """A refusal of the whole action."""
    return {"status": "err", "response": message}


def unknown_signer(signer: str) -> Json:
    """Nobody has this key."""
    return err(f"User or API Wallet {signer} does not exist.")


def _statuses(kind: str, statuses: list[Any]) -> Json:
    return {"type": kind, "data": {"statuses": statuses}}


def _orders(desk: Desk, account: Account, action: Json) -> Json:
    return _statuses("order", order_batch(desk, account, action))


def _cancels(desk: Desk, account: Account, action: Json) -> Json:
    return _statuses("cancel", cancel_batch(desk, account, action["cancels"], lambda row: int(row["o"])))


def _cloid_cancels(desk: Desk, account: Account, action: Json) -> Json:
    found = cancel_batch(desk, account, action["cancels"], lambda row: account.cloids.get(row["cloid"], 0))
    return _statuses("cancel", found)


def _modify_one(desk: Desk, account: Account, action: Json) -> Json:
    status = modify_batch(desk, account, [action])[0]
    if isinstance(status, dict) and "error" in status:
        raise Refused(status["error"])
    return DEFAULT


def _modifies(desk: Desk, account: Account, action: Json) -> Json:
    return _statuses("order", modify_batch(desk, account, action["modifies"]))


def _twap(desk: Desk, account: Account, action: Json) -> Json:
    return {"type": "twapOrder", "data": {"status": place_twap(desk, account, action)}}


def _twap_cancel(desk: Desk, account: Account, action: Json) -> Json:
    return {"type": "twapCancel", "data": {"status": cancel_twap(desk, account, action)}}


def _nothing(_desk: Desk, _account: Account, _action: Json) -> None:
    """Accepted without effect."""


_ACTS: dict[str, Act] = {
    "order": _orders,
    "cancel": _cancels,
    "cancelByCloid": _cloid_cancels,
    "modify": _modify_one,
    "batchModify": _modifies,
    "updateLeverage": accounts.update_leverage,
    "updateIsolatedMargin": accounts.update_isolated_margin,
    "twapOrder": _twap,
    "twapCancel": _twap_cancel,
    "scheduleCancel": accounts.schedule_cancel,
    "usdClassTransfer": accounts.class_transfer,
    "usdSend": accounts.send,
    "withdraw3": accounts.withdraw,
    "approveAgent": accounts.approve_agent,
    "approveBuilderFee": lambda _desk, account, action: accounts.approve_builder(account, action),
    "reserveRequestWeight": lambda desk, account, action: accounts.reserve_requests(desk, account, action["weight"]),
    "setReferrer": _nothing,
    "noop": _nothing,
}


class Engine:
    """A deterministic state machine over journalled commands."""

    def __init__(self, state: State, assets: list[Asset], bars: list[Bars]) -> None:
        self.desk = Desk(state, assets, bars)
        self.clockwork = Clockwork(self.desk)

    @property
    def state(self) -> State:
        """The whole state."""
        return self.desk.state

    def apply(self, command: Json) -> Outcome:
        """Apply one command.

        Every command has `k` (its kind), `w` (wall ms) and `m` (market ms): `act` an admitted action of a signer,
        `tick` nothing but the clocks, `fund` a deposit, `liquidate` a fault.
        """
        self.desk.events, self.desk.cut = Events(), command.get("cut", 0)
        state = self.state
        state.wall = command["w"]
        self.clockwork.advance(command["m"])
        accounts.fire_scheduled(self.desk)
        answer: Json = {}
        if command["k"] == "act":
            answer = self._act(command)
        elif command["k"] == "fund":
            accounts.deposit(self.desk, command["u"], command["usd"])
        elif command["k"] == "liquidate":
            liquidate_now(self.desk, state.accounts[command["u"]])
        elif command["k"] in MIRRORED:
            MIRRORED[command["k"]](self.desk, command)
        elif command["k"] == "spend":
            state.accounts[command["u"]].used += command["n"]
        return Outcome(answer, self.desk.events)

    def _act(self, command: Json) -> Json:
        signer, action = command["s"], command["a"]
        account = owner(self.state, signer)
        if account is None:
            return unknown_signer(signer)
        if command.get("v") is not None:
            return err(f"Vault not registered: {command['v']}")
        try:
            check_nonce(self.state, signer, command["n"])
            check_expiry(self.state, account, command.get("x"))
            count_request(self.state, account, action)
            return self._perform(account, action)
        except Refused as refusal:
            return err(str(refusal))

    def _perform(self, account: Account, action: Json) -> Json:
        act = _ACTS.get(action["type"])
        if act is None:
            raise Refused(NOT_HERE)
        response = act(self.desk, account, action)
        return ok(DEFAULT if response is None else response)

    def digest(self) -> str:
        """A hash over every account, order and the house: equal states have equal digests."""
        state = self.state
        for coin in range(len(state.coins)):
            levels(self.desk, coin, 1)  # built on demand otherwise, by whoever looks first
        text = repr(
            (
                sorted(state.accounts.items()),
                sorted(state.orders.items()),
                state.house,
                state.coins,
                state.serial,
                state.twaps,
            )
        )
        return hashlib.sha256(text.encode()).hexdigest()


def default_start(bars: list[Bars]) -> int:
    """The first moment at which every asset has 5,000 bars behind it, or half of its bars where there are fewer."""
    return max(int(one.ts[min(HISTORY_BARS, len(one.ts) // 2)]) for one in bars)


def new_engine(bars: list[Bars], assets: list[Asset], *, seed: int, start: int | None) -> Engine:
    """A fresh exchange whose market stands at `start` (ms, default: see `default_start`).

    Raises:
        ConfigError: no asset has a bar at `start`.
    """
    begin = default_start(bars) if start is None else start
    last = max(int(one.ts[-1]) + one.interval for one in bars)
    if not min(int(one.ts[0]) for one in bars) <= begin < last:
        raise ConfigError(f"--start {begin} lies outside the bars ({min(int(b.ts[0]) for b in bars)}..{last})")
    state = State(seed, begin, begin, coins=[Coin(one.name, one.digest) for one in bars])
    engine = Engine(state, assets, bars)
    engine.clockwork.begin()
    return engine


def resumed_engine(state: State, assets: dict[str, Asset], bars: list[Bars]) -> Engine:
    """An exchange from a snapshot; asset ids stay those of the first start, new assets come last.

    Raises:
        ConfigError: a replayed file is missing or is not the one that the state was made with.
    """
    given = {one.name: one for one in bars}
    for coin in state.coins:
        if coin.name not in given or given[coin.name].digest != coin.digest:
            raise ConfigError(f"{coin.name}: the bars differ from those of this --state folder; use another folder")
    known = [coin.name for coin in state.coins]
    for one in bars:
        if one.name not in known:
            state.coins.append(Coin(one.name, one.digest))
            known.append(one.name)
    engine = Engine(state, [assets[name] for name in known], [given[name] for name in known])
    for number, market in enumerate(state.coins):
        for row in market.live:
            extend(engine.desk, number, row)
    return engine


__all__ = ["EXPIRED", "Engine", "Outcome", "default_start", "err", "new_engine", "ok", "resumed_engine"]
