"""What the paper exchange answers reads too: every request of the SDK's `Info`, empty accounts and busy ones."""

from __future__ import annotations

import time

import pytest

from quantga.venue.hyperliquid import answers

PLAIN = ("meta", "metaAndAssetCtxs", "allMids", "perpDexs", "spotMeta", "spotMetaAndAssetCtxs", "predictedFundings")
OF_COIN = ("l2Book", "recentTrades")
OF_USER = (
    *("clearinghouseState", "spotClearinghouseState", "openOrders", "frontendOpenOrders", "userFills", "userFees"),
    *("historicalOrders", "portfolio", "userRateLimit", "userRole", "extraAgents", "userAbstraction", "subAccounts"),
    *("referral", "delegatorSummary", "delegations", "delegatorHistory", "delegatorRewards", "userVaultEquities"),
    *("userTwapSliceFills",),
)
SINCE = ("userFillsByTime", "userFunding", "userNonFundingLedgerUpdates")


def bodies(user: str):
    yield from ({"type": kind} for kind in PLAIN)
    yield from ({"type": kind, "coin": "BTC"} for kind in OF_COIN)
    yield from ({"type": kind, "user": user} for kind in OF_USER)
    yield from ({"type": kind, "user": user, "startTime": 0} for kind in SINCE)
    yield {"type": "fundingHistory", "coin": "BTC", "startTime": 0}
    yield {"type": "orderStatus", "user": user, "oid": 10**15}
    now = round(time.time() * 1000)
    yield {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "5m", "startTime": 0, "endTime": now}}


@pytest.mark.parametrize("who", [0, 4])
def test_the_exchange_answers_in_shapes_that_read(venue, keys, who):
    for body in bodies(keys[who].address.lower()):
        answer = venue.info(body)
        assert answers.parse(body["type"], answer) is not None, body
