"""Which parser reads the answer to which request of `/info`.

What is not traded here (staking, vaults, sub-accounts, referrals) is kept as the venue gave it, frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from quantga.errors import Unknown
from quantga.venue.hyperliquid import account_answers as account
from quantga.venue.hyperliquid import market_answers as market
from quantga.venue.hyperliquid.reading import Json, frozen


@dataclass(frozen=True, slots=True)
class Document:
    """An answer that is kept and not computed with: objects as sorted pairs, lists as tuples."""

    kind: str
    value: object


PARSERS: dict[str, Callable[[Json], object]] = {
    "meta": market.meta,
    "allPerpMetas": market.all_metas,
    "perpDexs": market.dexes,
    "spotMeta": market.spot_meta,
    "metaAndAssetCtxs": market.contexts,
    "allMids": market.mids,
    "l2Book": market.book,
    "candleSnapshot": market.candles,
    "fundingHistory": market.fundings,
    "recentTrades": market.trades,
    "predictedFundings": market.predicted,
    "clearinghouseState": account.state,
    "openOrders": account.orders,
    "frontendOpenOrders": account.orders,
    "orderStatus": account.order_status,
    "historicalOrders": account.reports,
    "userFills": account.fills,
    "userFillsByTime": account.fills,
    "userTwapSliceFills": account.slice_fills,
    "userFunding": account.payments,
    "userNonFundingLedgerUpdates": account.ledger,
    "delegatorHistory": account.ledger,
    "userRateLimit": account.address_budget,
    "userFees": account.fees,
    "userRole": account.role,
    "extraAgents": account.agents,
    "userAbstraction": account.abstraction,
}
"""Answers with a record of their own, by the request's type."""

KEPT = frozenset(
    {
        *("activeAssetData", "alignedQuoteTokenInfo", "approvedBuilders", "delegations", "delegatorRewards"),
        *(
            "delegatorSummary",
            "exchangeStatus",
            "gossipRootIps",
            "isVip",
            "leadingVaults",
            "legalCheck",
            "liquidatable",
        ),
        *("marginTable", "maxBuilderFee", "maxMarketOrderNtls", "perpDeployAuctionStatus", "perpDexLimits"),
        *("perpDexStatus", "perpsAtOpenInterestCap", "portfolio", "preTransferCheck", "referral"),
        *("spotClearinghouseState", "spotDeployState", "spotMetaAndAssetCtxs", "spotPairDeployAuctionStatus"),
        *("subAccounts", "subAccounts2", "tokenDetails", "twapHistory", "userDexAbstraction", "userToMultiSigSigners"),
        *("userTwapHistory", "userVaultEquities", "validatorL1Votes", "validatorSummaries", "vaultDetails"),
        *("vaultSummaries", "webData2"),
    }
)
"""Answers that are only kept."""


def parse(kind: str, answer: Json) -> object:
    """Return the answer to a request of type `kind` as a record.

    Raises:
        Unknown: nothing reads this type, or its answer does not read.
    """
    if kind in PARSERS:
        return PARSERS[kind](answer)
    if kind in KEPT:
        return Document(kind, frozen(answer))
    raise Unknown(f"no parser reads answers of type {kind!r}")
