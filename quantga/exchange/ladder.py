"""The synthetic book around a price: twenty seeded levels a side, at least $50,000 within one per cent."""

from __future__ import annotations

import random

from quantga.exchange.assets import MICRO, Asset

LEVELS = 20
DEPTH = 50_000 * MICRO
NEAR = 100
"""Depth is promised within one part in NEAR of the price."""
_SPACING = 5000
"""Levels are about one part in _SPACING of the price apart."""


def ladder(asset: Asset, px: int, side: int, bound: int, key: str) -> list[list[int]]:
    """Levels `[px, size, orders]` from the best on; `side` +1 = bids below `px`, -1 = asks above it.

    Args:
        asset: units and ticks.
        px: the last price; no level stands on it.
        side: +1 for bids, -1 for asks.
        bound: the best resting order of the other side (0 = none); no level reaches it.
        key: names the random stream: equal keys give equal levels.
    """
    stream = random.Random(f"{key}:{side}")  # noqa: S311 -- a market's noise, not a secret
    tick = asset.tick(px)
    at = px // tick * tick
    if side < 0 and at < px:
        at += tick
    levels: list[list[int]] = []
    near, limit = 0, px // NEAR
    while len(levels) < LEVELS:
        gap = 1 if not levels else max(1, round(px / tick / _SPACING * stream.uniform(0.3, 1.7)))
        at -= side * gap * tick
        if side < 0:
            at = -(-at // asset.tick(at)) * asset.tick(at)
        if at <= 0:
            break
        if bound and at * side >= bound * side:
            at = bound
            continue
        worth = stream.uniform(0.5, 1.5) * (4 + len(levels)) * 2_000 * MICRO
        levels.append([at, max(1, int(worth) // at), stream.randint(1, 24)])
        if abs(px - at) <= limit:
            near += levels[-1][0] * levels[-1][1]
    if levels and near < DEPTH:
        levels[0][1] += -(-(DEPTH - near) // levels[0][0])
    return levels
