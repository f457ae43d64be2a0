"""The paper exchange as a process of its own: what the client is tried against."""

from __future__ import annotations

import pytest

from quantga.venue.account import Stamp
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network
from tests.exchange.conftest import keys, replay, venue, venues

__all__ = ["keys", "replay", "venue", "venues"]

_NONCES = Nonces()


@pytest.fixture
def stamp():
    """Give stamps that expire in a minute."""

    def stamp(lifetime: int = 60_000) -> Stamp:
        return _NONCES.stamp(lifetime)

    return stamp


@pytest.fixture
async def client(venue, keys):
    """A client of the module's exchange that trades with the first key."""
    async with Rest(venue.url) as wire:
        yield Hyperliquid(wire, Network.PAPER, Signer(keys[0].key.hex(), mainnet=False))
