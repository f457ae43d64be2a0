"""Costs, instrument and genes as flat arrays of numbers: what compiled code reads.

Two arrays instead of records, so that one compiled ledger serves every program, asset and set of costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quantga.engine.costs import Costs
from quantga.engine.instruments import MAX_DECIMALS, instrument, margined
from quantga.lang.genes import Genes

type Floats = NDArray[np.float64]

RUIN = 1e-9
"""Of the capital: an account with no more than this has lost everything. Less would be rounding."""

(FEE, MAKER, SLIPPAGE, CAPITAL, MAX_LEVERAGE, MIN_NOTIONAL, PER_UNIT, PRICE_SCALE, NOTHING, TIERS, TIER) = range(11)
"""Places in `terms`. PER_UNIT: lots per unit of the base asset, 0 = no rounding. PRICE_SCALE: most ticks per
USDC. NOTHING: equity (USDC) at or below which an account is ruined. TIERS: their number, 0 = no margin. From TIER on,
LOWER, LEVERAGE, RATE and DEDUCTION of each tier."""
(LOWER, LEVERAGE, RATE, DEDUCTION, TIER_WIDTH) = range(5)

(VOL_TARGET, SIZE, STOP, STOP_ATR, TAKE, TAKE_ATR, LATCH, BAND, MAX_HOLD, EXITS, STEPS, LADDER) = range(12)
"""Places in a row of genes. EXITS: 1 if any gene closes a position. STEPS: length of the ladder; from LADDER on, age (bars) and profit of each step."""


def encode_terms(costs: Costs, base: str) -> Floats:
    """Return the terms of trading `base`. DataError if lots are on and nobody knows the asset's."""
    terms = np.zeros(TIER)
    terms[FEE], terms[MAKER], terms[SLIPPAGE] = costs.fee, costs.maker, costs.slippage
    terms[CAPITAL], terms[MAX_LEVERAGE] = costs.capital, costs.max_leverage
    terms[NOTHING] = RUIN * costs.capital
    if costs.lots:
        traded = instrument(base, costs.instruments)
        terms[MIN_NOTIONAL] = costs.min_notional
        terms[PER_UNIT] = 10.0**traded.size_decimals
        terms[PRICE_SCALE] = 10.0 ** (MAX_DECIMALS - traded.size_decimals)
    if not costs.margin:
        return terms
    traded = margined(base, costs.instruments)
    terms[TIERS] = len(traded.tiers)
    rows = [(*tier, *rule) for tier, rule in zip(traded.tiers, traded.maintenance(), strict=True)]
    return np.concatenate([terms, np.array(rows, dtype=np.float64).ravel()])


def encode_genes(genes: Sequence[Genes], costs: Costs) -> Floats:
    """Return float64[n, width], a row per program; genes that close a position are 0 where `costs.stops` is off."""
    steps = max((len(gene.ladder) for gene in genes), default=0)
    rows = np.zeros((len(genes), LADDER + 2 * steps))
    for row, gene in zip(rows, genes, strict=True):
        row[VOL_TARGET], row[SIZE], row[LATCH], row[BAND] = gene.vol_target, gene.leverage, gene.latch, gene.band
        if costs.stops:
            row[STOP : TAKE_ATR + 1] = gene.stop, gene.stop_atr, gene.take, gene.take_atr
            row[MAX_HOLD], row[STEPS] = gene.max_hold, len(gene.ladder)
            row[EXITS] = bool(row[STOP : TAKE_ATR + 1].any() or gene.max_hold or gene.ladder)
            row[LADDER : LADDER + 2 * len(gene.ladder)] = [number for step in gene.ladder for number in step]
    return rows
