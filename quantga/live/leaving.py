"""A person's way out: `flatten` and `resume` without a trader, and with one that may have stopped to answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from quantga.errors import ConfigError, Conflict, StoreError, VenueError
from quantga.live.dealer import Dealer
from quantga.live.flatten import Exit
from quantga.live.launch import address_of
from quantga.live.places import Account
from quantga.live.resuming import resume
from quantga.live.session import Halt, event_of, fold
from quantga.venue.account import AccountState
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network, Venue

__all__ = ["leave", "lift"]

_LOOK_S = 0.5
_REST_S = 5.0


async def leave(place: Account, key: str, url: str, reason: str, wait: float, say: Callable[[str], None]) -> str:
    """Latch the halt, see the account flat, and return the sentence that says so, with the venue's time.

    A running trader has `wait` seconds; then, or where none runs, the orders are sent from here, unjournaled. They are not
    the trader's, so it stays halted until a person resumes it.
    """
    network = Network(place.network)
    signer = Signer(key, mainnet=network is Network.MAINNET)
    async with Rest(_address(place, url), timeout=_REST_S) as rest:
        client = Hyperliquid(rest, network, signer)
        nonce = _latch(place, reason, say)
        if nonce is None:
            state = await _watched(client, place, reason, wait)
            if state is not None:
                return _proof(place, state, "by the trader")
            say("the trader does not get it done: closing from here")
        meta = await _asked(client.meta)
        out = Exit(client, place.address, meta, Nonces(nonce or 0))
        state = await out.flat(
            lambda one: say(f"still held: {', '.join(f'{p.size} {p.coin}' for p in one.positions) or 'nothing'}")
        )
        return _proof(place, state, "from here")


async def lift(place: Account, url: str, symbol: str) -> None:
    """Resume an account that no trader works on.

    Raises:
        ConfigError: the venue holds what the journal does not explain, or does not answer.
    """
    network = Network(place.network)
    async with Rest(_address(place, url), timeout=_REST_S) as rest:
        client = Hyperliquid(rest, network)
        with place.open_last() as journal:
            dealer = Dealer(client, journal, fold(journal.entries))
            try:
                await resume(dealer, symbol)
            except VenueError as error:
                raise ConfigError(f"not resumed, since the venue does not answer: {error}") from error


def _address(place: Account, url: str) -> str:
    """Return where the account is: as told, else where its trader spoke with the venue last."""
    last = (place.beaten() or {}).get("url", "")
    network = Network(place.network)
    return address_of(network, url or (str(last) if network is Network.PAPER else ""))


def _latch(place: Account, reason: str, say: Callable[[str], None]) -> int | None:
    """Write the halt down; return the last nonce known, None where a trader runs and has to do it."""
    try:
        with place.open_last() as journal:
            session = fold(journal.entries)
            try:
                journal.append(journal.time, event_of(Halt("", reason)))
            except StoreError as error:
                say(f"the halt could not be written down ({error}): closing all the same")
            return session.nonce
    except Conflict:
        return None


async def _watched(client: Venue, place: Account, reason: str, wait: float) -> AccountState | None:
    """Let the trader do it; return the venue's word that it is done, or None when the time is over."""
    path = place.ask("flatten", reason=reason)
    end = time.monotonic() + wait
    while time.monotonic() < end:
        with contextlib.suppress(VenueError):
            state = await client.state(place.address)
            if not path.exists() and not state.positions and not await client.open_orders(place.address):
                return state
        await asyncio.sleep(_LOOK_S)
    path.unlink(missing_ok=True)
    return None


async def _asked[Answer](ask: Callable[[], Awaitable[Answer]]) -> Answer:
    while True:
        try:
            return await ask()
        except VenueError:
            await asyncio.sleep(_LOOK_S)


def _proof(place: Account, state: AccountState, by: str) -> str:
    return f"{place.address} is flat {by}: at {state.time} the venue holds nothing for it (equity {state.value} USDC)"
