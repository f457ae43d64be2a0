"""The block loop: a population's signals and ledgers, 512 bars at a time, keeping days and tallies but no bars.

A program's signals for a block are computed, its account is carried over the block at once, while they are in the
processor's cache, and their place is given on. What is kept is a state of the ledger, and a number per day and slice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantga.engine.costs import Costs
from quantga.engine.ledger import advance_lent, lend
from quantga.engine.ledger_borrow import borrow, further, lowest_bit
from quantga.engine.ledger_market import AFTER, CHUNK, MARK, Market, prepare
from quantga.engine.ledger_scan import changes
from quantga.engine.ledger_state import STATE, WEIGHT, Lent, begin
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.engine.metrics import KEYS, M_BARS, M_MEAN_NET, T_WEIGHT, Codes, figures, market_figures
from quantga.errors import DataError
from quantga.lang.bars import DAY_MS, Bars, Floats, Ints
from quantga.lang.evaluate import BLOCK, Plan, buffers, column_matrix, run_block
from quantga.lang.genes import Genes
from quantga.lang.jit import njit

type Hashes = NDArray[np.uint64]

ROUNDING = 20.0
"""Wanted positions are the same behaviour where they agree to 1/ROUNDING."""


class Days(NamedTuple):
    """A market's UTC days.

    number: int64[days], since 1970; last_row: int64[days]; returns, net: float64[days], of the market over each day, the
    first against the first open, without and with the funding that a long pays.
    """

    number: Ints
    last_row: Ints
    returns: Floats
    net: Floats


class Signals(NamedTuple):
    """A plan, its work array and the columns of one market, for compiled code."""

    nodes: Ints
    numbers: Floats
    root: Ints
    ready: Ints
    work: Floats
    columns: Floats
    origin: int


class Kept(NamedTuple):
    """What is kept of each account.

    state: as `ledger.begin` makes it; daily: float64[n, days], equity at UTC closes; weights: float64[n, slices], the held
    weight summed over the bars until each slice's end; behaviour: uint64[n] or of length 0.
    """

    state: Floats
    daily: Floats
    weights: Floats
    behaviour: Hashes


@dataclass(frozen=True)
class Asset:
    """One market made ready for many programs. cuts: int64[slices], the row after the last of each slice of time.

    Its arrays are read-only, here as in a Ray worker that shares them: to the compiler that is a type of its own.
    """

    bars: Bars
    market: Market
    days: Days
    terms: Floats
    cuts: Ints

    @classmethod
    def of(cls, bars: Bars, costs: Costs, genes: Iterable[Genes]) -> Asset:
        """Return the asset, with what the ledger needs for programs with these genes; one slice."""
        market = prepare(bars, costs, genes)
        days, terms, cuts = days_of(bars, market), encode_terms(costs, bars.base), np.array([len(bars)])
        for array in (*days, terms, cuts):
            read_only(array)
        return cls(bars, market, days, terms, cuts)


def read_only[A: NDArray[Any]](array: A) -> A:
    """Return the array, which nobody may write to any more."""
    array.flags.writeable = False
    return array


def days_of(bars: Bars, market: Market) -> Days:
    """Return the market's days. Raises DataError for bars of more than a day."""
    if bars.interval > DAY_MS:
        raise DataError(
            f"{bars.symbol or 'the market'}: bars of more than a day have no daily returns; use shorter ones"
        )
    last_row = market.day_end[:-1]
    number = bars.time[last_row] // DAY_MS
    mark, paid = market.rows[last_row, MARK], market.rows[last_row, AFTER]
    before = np.concatenate([bars["open"][np.flatnonzero(bars.present)[:1]], mark[:-1]])
    gain = mark - before
    with np.errstate(over="ignore", invalid="ignore"):  # equity is checked; the market may do what it likes
        return Days(number, last_row, gain / before, (gain - np.diff(paid, prepend=0.0)) / before)


def carry(plan: Plan, asset: Asset, costs: Costs, *, hashed: bool = False) -> tuple[Kept, Ints]:
    """Run every program of the plan over the asset; return the distinct accounts, and which is each program's.

    Programs with the same signals by construction and the same genes have one account. hashed: also find behaviours.
    """
    genes, gene_row = _distinct_genes(plan)
    account, accounts = _distinct_accounts(plan.same * len(genes) + gene_row)
    kept = Kept(
        begin(accounts, asset.terms),
        np.zeros((accounts, len(asset.days.number))),
        np.zeros((accounts, len(asset.cuts))),
        np.zeros(accounts if hashed else 0, dtype=np.uint64),
    )
    columns = column_matrix(plan.columns, asset.bars)
    signals = Signals(plan.nodes, plan.numbers, plan.root, plan.ready, buffers(plan), columns, asset.bars.origin)
    _carry(signals, account, encode_genes(genes, costs), gene_row, asset.market, asset.terms, asset.cuts, kept)
    return kept, account


def _distinct_genes(plan: Plan) -> tuple[list[Genes], Ints]:
    places: dict[Genes, int] = {}
    rows = [places.setdefault(program.genes, len(places)) for program in plan.programs]
    return list(places), np.array(rows, dtype=np.int64)


def _distinct_accounts(keys: Ints) -> tuple[Ints, int]:
    """Return each key's account, numbered in order of first appearance, and how many there are."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[group], len(first)


@njit
def _carry(  # noqa: PLR0913, PLR0917 (a kernel takes its arrays)
    signals: Signals,
    account: Ints,
    genes: Floats,
    gene_row: Ints,
    market: Market,
    terms: Floats,
    cuts: Ints,
    kept: Kept,
) -> None:
    bars, days, width = len(market.rows), kept.daily.shape[1], genes.shape[1]
    code = np.zeros(len(kept.state), np.int64)
    work, state, daily = borrow(signals.work), borrow(kept.state), borrow(kept.daily)
    lent, rules, gene = lend(market), borrow(terms), borrow(genes)
    first_cut = 0
    for start in range(-(signals.origin % BLOCK), bars, BLOCK):
        low, high = max(start, 0), min(start + BLOCK, bars)
        while cuts[first_cut] <= low:
            first_cut += 1
        done, seen = 0, 0
        for p in range(len(signals.root)):
            run_block(
                signals.nodes, signals.numbers, signals.work, signals.columns, signals.origin, start, done,
                signals.ready[p],
            )  # fmt: skip
            done = signals.ready[p]
            a = account[p]
            if a < seen:
                continue
            seen += 1
            own, wanted = further(state, a * len(STATE)), signals.root[p] - start
            record = Lent(further(daily, a * days), daily, daily, False, False)
            row, cut = low, first_cut
            while row < high:
                until = min(high, cuts[cut])
                advance_lent(own, work, wanted - 1, row, until, lent, rules, further(gene, gene_row[p] * width), record)
                while cut < len(cuts) and until == cuts[cut]:  # a slice may have no bar
                    kept.weights[a, cut] = own[WEIGHT]
                    cut += 1
                row = until
            if len(kept.behaviour):
                kept.behaviour[a], code[a] = _behave(
                    further(work, wanted + low), high - low, signals.origin + low, kept.behaviour[a], code[a]
                )


def behaviour_of(wanted: Floats, origin: int) -> np.uint64:
    """Return the behaviour of one wanted series, float64[n], whose row 0 is bar number `origin`."""
    return np.uint64(_behaviour_of(np.ascontiguousarray(wanted), origin))


@njit
def _behaviour_of(wanted: Floats, origin: int) -> np.uint64:
    return _behave(borrow(wanted), len(wanted), origin, np.uint64(0), 0)[0]


@njit
def _behave(wanted: Floats, count: int, number: int, behaviour: np.uint64, code: int) -> tuple[np.uint64, int]:
    """Return the hash and the last rounded position after `count` more bars, of which the first has this number."""
    for first in range(0, count, CHUNK):
        if first == 0:
            mask = np.uint64(1) | changes(wanted, 1, min(CHUNK, count) - 1) << np.uint64(1)
        else:
            mask = changes(wanted, first, min(CHUNK, count - first))
        while mask:
            i = first + lowest_bit(mask)
            mask &= mask - np.uint64(1)
            if not math.isnan(wanted[i]):
                rounded = math.floor(wanted[i] * ROUNDING + 0.5)
                behaviour += _scatter(np.uint64(number + i)) * np.uint64(rounded - code)
                code = rounded
    return behaviour, code


@njit
def _scatter(number: np.uint64) -> np.uint64:
    """Return a number that looks random (splitmix64)."""
    z = (number + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def figures_of(daily: Floats, tallies: Floats, days: Days, bars: int, capital: float) -> tuple[Floats, Codes]:
    """Return the metrics of accounts on one market, float64[n, len(KEYS)] (NaN: undefined), and the reasons, uint8."""
    about_mean = np.empty(len(days.returns))
    market = market_figures(days.returns, days.net, bars, about_mean)
    with np.errstate(over="ignore", invalid="ignore"):
        drift = tallies[:, T_WEIGHT] / market[M_BARS] * market[M_MEAN_NET]
    return figure_rows(daily, tallies, drift, market, about_mean, capital)


def figure_rows(
    daily: Floats, tallies: Floats, drift: Floats, market: Floats, about_mean: Floats, capital: float
) -> tuple[Floats, Codes]:
    """Return the metrics and the reasons of every row; the arguments are those of `metrics.figures`."""
    rows = np.empty((len(daily), len(KEYS)))
    why = np.empty((len(daily), len(KEYS)), dtype=np.uint8)
    _figure_rows(daily, tallies, drift, market, about_mean, capital, rows, why)
    return rows, why


@njit
def _figure_rows(  # noqa: PLR0913, PLR0917
    daily: Floats, tallies: Floats, drift: Floats, market: Floats, about_mean: Floats, capital: float,
    rows: Floats, why: Codes,
) -> None:  # fmt: skip
    for p in range(len(daily)):
        figures(daily[p], capital, tallies[p], drift[p], market, about_mean, rows[p], why[p])
