"""Fees: the venue's tiers by fourteen days of volume, and the answer of `userFees`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from quantga.exchange.assets import MICRO
from quantga.exchange.state import Account
from quantga.exchange.wire import text_of

WINDOW = 14
TIERS: tuple[tuple[int, int, int], ...] = (
    (0, 4500, 1500),
    (5_000_000, 4000, 1200),
    (25_000_000, 3500, 800),
    (100_000_000, 3000, 400),
    (500_000_000, 2800, 0),
    (2_000_000_000, 2600, 0),
    (7_000_000_000, 2400, 0),
)
"""Volume above which a tier holds (USDC), taker and maker rate in 10^-7."""


def fee_rates(account: Account, day: int) -> tuple[int, int]:
    """Taker and maker rate in 10^-7, from the fourteen full days before `day` (days since 1970)."""
    if len(account.daily) <= 1 and day in account.daily:
        return TIERS[0][1:]
    volume = sum(sum(account.daily[d]) for d in account.daily if day - WINDOW <= d < day)
    rates = TIERS[0][1:]
    for bound, taker, maker in TIERS:
        if volume > bound * MICRO:
            rates = (taker, maker)
    return rates


def _rate(rate: int) -> str:
    return text_of(rate, 7)


def user_fees(account: Account | None, day: int) -> dict[str, Any]:
    """The answer of `userFees`; an unknown account has the lowest tier."""
    known = account or Account("")
    taker, maker = fee_rates(known, day)
    rows = []
    for d in range(day - WINDOW, day + 1):
        cross, add = known.daily.get(d, [0, 0])
        date = datetime.fromtimestamp(d * 86400, UTC).strftime("%Y-%m-%d")
        rows.append(
            {
                "date": date,
                "userCross": text_of(cross, 6),
                "userAdd": text_of(add, 6),
                "exchange": text_of(cross + add, 6),
            }
        )
    vip = [{"ntlCutoff": f"{b}.0", "cross": _rate(t), "add": _rate(m)} for b, t, m in TIERS[1:]]
    for row in vip:
        row |= {"spotCross": "0.0007", "spotAdd": "0.0004"}
    schedule = {
        "cross": _rate(TIERS[0][1]),
        "add": _rate(TIERS[0][2]),
        "spotCross": "0.0007",
        "spotAdd": "0.0004",
        "tiers": {"vip": vip, "mm": [{"makerFractionCutoff": "0.005", "add": "-0.00001"}]},
        "referralDiscount": "0.04",
        "stakingDiscountTiers": [{"bpsOfMaxSupply": "0.0", "discount": "0.0"}],
    }
    return {
        "dailyUserVlm": rows,
        "feeSchedule": schedule,
        "userCrossRate": _rate(taker),
        "userAddRate": _rate(maker),
        "userSpotCrossRate": "0.0007",
        "userSpotAddRate": "0.0004",
        "activeReferralDiscount": "0.0",
        "trial": None,
        "feeTrialReward": "0.0",
        "nextTrialAvailableTimestamp": None,
        "stakingLink": None,
        "activeStakingDiscount": {"bpsOfMaxSupply": "0.0", "discount": "0.0"},
    }
