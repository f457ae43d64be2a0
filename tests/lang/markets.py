"""Bars and expressions for the tests of the language."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from quantga.lang.bars import Bars, Floats
from quantga.lang.kinds import FACTORS, IMMEDIATE, LEVELS, Kind
from quantga.lang.ops import OPS, Op
from quantga.lang.parse import _Reader
from quantga.lang.program import Program, Token, level, window

HOUR = 3_600_000
SMALL_WINDOWS = (1, 2, 3, 4, 5, 7, 8, 14, 20, 30)
LEAVES = {kind: [op for op in OPS if op.ret is kind and not op.args] for kind in Kind}
CHOICES = {kind: [op for op in OPS if op.ret is kind and op.args] for kind in Kind}


def synthetic(n: int, seed: int = 1, origin: int = 480_000, gaps: int = 0) -> Bars:
    """Make a random walk with every known column, continuous values, and `gaps` spans of missing bars."""
    rng = np.random.default_rng(seed)

    def market() -> dict[str, Floats]:
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
        opens = np.roll(close, 1) * (1 + rng.normal(0, 0.001, n))
        high = np.maximum(opens, close) * (1 + rng.random(n) * 0.01)
        low = np.minimum(opens, close) * (1 - rng.random(n) * 0.01)
        return {"open": opens, "high": high, "low": low, "close": close, "volume": rng.lognormal(3, 1, n)}

    own, reference = market(), market()
    columns = {**own, **{f"ref_{name}": column for name, column in reference.items()}}
    for name in ("funding_rate", "ref_funding_rate", "premium"):
        columns[name] = rng.normal(1e-5, 1e-4, n)
    columns["open_interest"] = rng.lognormal(5, 0.1, n)
    for _ in range(gaps):
        begin = int(rng.integers(0, n))
        for name in own:
            columns[name][begin : begin + int(rng.integers(1, 4))] = np.nan
    return Bars(HOUR, origin, columns, "TEST", "TEST")


def real(folder: Path, symbol: str = "BTCUSDT", bars: int = 12_000) -> Bars:
    """Read the last hours of a real market, with BTC as its reference."""
    bars_of = [_read(folder / f"ohlcv/binance_perp/1h/{name}.parquet", bars) for name in (symbol, "BTCUSDT")]
    rates = pq.read_table(folder / f"funding/binance_perp/{symbol}.parquet")
    known = np.searchsorted(rates["ts"].cast("int64").to_numpy(), bars_of[0].time + HOUR) - 1
    funding = rates["funding_rate"].to_numpy()[known] / 8  # eight-hourly: the last one published, per hour
    return bars_of[0].with_reference(bars_of[1]).with_columns({"funding_rate": funding})


def _read(path: Path, bars: int) -> Bars:
    table = pq.read_table(path)
    table = table.slice(max(0, table.num_rows - bars))
    time = table["ts"].cast("int64").to_numpy()
    names = ("open", "high", "low", "close", "volume")
    return Bars.from_columns(time, {name: table[name].to_numpy().astype(float) for name in names}, symbol=path.stem)


def expression(text: str) -> Program:
    """Read an expression of any kind."""
    return Program.of(_Reader(text).expression(0).tokens)


def argument(dice: random.Random, op: Op, kind: Kind, depth: int) -> tuple[Token, ...]:
    """Draw an argument: a number for numbers, else an expression at most `depth` deep."""
    if kind is Kind.WINDOW:
        return (window(dice.choice(SMALL_WINDOWS)),)
    if kind is Kind.FACTOR:
        return (window(dice.choice(FACTORS[:5])),)
    if kind is Kind.LEVEL:
        return (level(dice.choice(LEVELS[op.scale or "times"])),)
    return random_tokens(dice, kind, depth)


def random_tokens(dice: random.Random, kind: Kind, depth: int) -> tuple[Token, ...]:
    """Draw an expression of a kind from the whole table, `depth` operators deep where that is possible."""
    choices = CHOICES[kind] if depth > 0 or not LEAVES[kind] else LEAVES[kind]
    return applied(dice, dice.choice(choices or LEAVES[kind]), depth)


def applied(dice: random.Random, op: Op, depth: int) -> tuple[Token, ...]:
    """Apply an operator to drawn arguments; one of them is as deep as asked for."""
    series = [i for i, kind in enumerate(op.args) if kind not in IMMEDIATE]
    deep = dice.choice(series) if series else -1
    tokens: list[Token] = [op.code]
    for i, kind in enumerate(op.args):
        tokens += argument(dice, op, kind, depth - 1 if i == deep else min(depth - 1, dice.randrange(2)))
    return tuple(tokens)


def same(a: Floats, b: Floats) -> bool:
    """Tell whether two arrays have the same bits (any NaN equals any NaN)."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    return a.shape == b.shape and bool(np.all((a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))))
