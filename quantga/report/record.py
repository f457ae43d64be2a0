"""What a report shows, as plain frozen records, so that the page knows neither the lake nor the engine.

Every figure here is in-sample: it was computed on the part of history that the search could read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantga.lang.program import Program

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Metrics = Mapping[str, float | int | None]


@dataclass(frozen=True, slots=True)
class Trade:
    """One round trip; `closed` is 0 while it is open. Times are ms UTC, money is USDC, `returned` a share of the position."""

    side: int
    opened: int
    entry: float
    closed: int
    exit: float
    reason: str
    profit: float
    returned: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading cost in USDC over the whole period; `funding` is positive where it was paid, negative if received."""

    fees: float
    slippage: float
    funding: float


@dataclass(frozen=True)
class Result:
    """One program on one market's search part.

    time: close of each bar, int64[n] ms UTC; close: float64[n], NaN where the bar is missing; equity: float64[n] USDC.
    metrics: name -> figure, None where undefined; reasons: why. trades are in order of their opening.
    """

    symbol: str
    time: Ints = field(repr=False)
    close: Floats = field(repr=False)
    equity: Floats = field(repr=False)
    trades: tuple[Trade, ...] = field(repr=False)
    costs: Costs
    metrics: Metrics
    reasons: Mapping[str, str]
    open_first: float


@dataclass(frozen=True)
class Champion:
    """A program of the final front, the best score first; `metrics` and `reasons` are pooled over the markets."""

    program: Program
    score: float
    results: tuple[Result, ...]
    metrics: Metrics
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Progress:
    """One island after one generation: the scores of its members; `trials` counts what the whole run had tried by then."""

    island: int
    generation: int
    best: float
    median: float
    trials: int


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One program that no other beats in score, drawdown and size together."""

    program: str
    text: str
    score: float
    drawdown: float
    size: int


@dataclass(frozen=True, slots=True)
class Span:
    """The part that the search read, [start, end), and the locked part (0, 0 where nothing is locked); ms UTC."""

    start: int
    end: int
    locked_from: int = 0
    locked_to: int = 0


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One search or look of the ledger on one asset, [start, end) ms UTC; `words`: programs appraised, or the level."""

    row: int
    when: str
    kind: str
    run: str
    asset: str
    start: int
    end: int
    words: str


@dataclass(frozen=True)
class Trust:
    """A validation as the page draws it: its record, the shortlist's (days, detrended returns), the ledger of these assets."""

    record: Mapping[str, Any]
    days: Mapping[str, tuple[Floats, Floats]] = field(repr=False)
    ledger: tuple[LedgerLine, ...] = field(repr=False)


@dataclass(frozen=True)
class RunReport:
    """One run. `settings` and `provenance` are shown as they are, row by row; `trust` is None before a validation."""

    run: str
    title: str
    venue: str
    interval: str
    symbols: tuple[str, ...]
    span: Span
    capital: float
    trials: int
    progress: tuple[Progress, ...]
    front: tuple[FrontPoint, ...]
    champions: tuple[Champion, ...]
    settings: tuple[tuple[str, str], ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    unlocked: bool = False
    note: str = ""
    trust: Trust | None = None
