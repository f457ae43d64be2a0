"""What the API answers, as it says it in its OpenAPI description. Times are ms UTC; a figure that is not defined is null.

Answers are made as plain values and written by orjson; that they have these shapes is what the tests hold them to.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

type Number = float | None


class Shape(BaseModel):
    """An answer: no field that is not named."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """Why there is no answer, in a sentence."""

    error: str


class Health(Shape):
    """That the service answers; it says no more to strangers."""

    status: Literal["ok"]


class Caller(Shape):
    """Who asks."""

    token: str
    name: str
    scopes: list[Literal["read", "research", "trade"]]
    expires: int | None


class About(Shape):
    """The service, its store, and who asks. catalog: when the index was built; newer generations of a run are told by its progress."""

    version: str
    store: str
    catalog: int
    runs: int
    caller: Caller


class RunLine(Shape):
    """A run. generation: committed so far, of generations. best: score, in-sample, the best of `trials`. verdict: of a validation, or empty."""

    run: str
    venue: str
    symbols: list[str]
    interval: str
    seed: int | None
    islands: int | None
    generation: int
    generations: int | None
    trials: int | None
    state: Literal["finished", "unfinished"]
    best: Number
    digest: str
    unlocked: bool
    ledger: int
    verdict: str


class Runs(Shape):
    """Runs, the one searched last first; total: how many there are."""

    total: int
    runs: list[RunLine]


class RunDetail(Shape):
    """A run with what it is made of (run.json) and the best score of each surrogate search that it was compared with."""

    line: RunLine
    made: dict[str, Any]
    placebo: list[float]


class Generation(Shape):
    """One committed generation.

    best, median: score per island, null where none lives. trials: programs appraised so far; new: of these, in this
    generation. asked: programs that islands asked for; distinct: their different behaviours. seconds: since the generation
    before; at, seconds: null where the store does not tell.
    """

    generation: int
    best: list[Number]
    median: list[Number]
    trials: int
    new: int
    asked: int
    distinct: int
    at: int | None
    seconds: Number


class Generations(Shape):
    """How a run went so far."""

    run: str
    finished: bool
    generations: list[Generation]


class ProgramLine(Shape):
    """A program in one run, in-sample. generation: in which it was first appraised (from 0)."""

    id: str
    text: str
    size: int
    generation: int
    score: Number
    alpha_sharpe: Number
    sharpe: Number
    total_return: Number
    max_drawdown: Number
    trades: Number


class Programs(Shape):
    """Distinct programs of a run; total: those that the filters let through; trials: what the best of them is the best of."""

    run: str
    total: int
    trials: int | None
    programs: list[ProgramLine]


class FrontLine(Shape):
    """A champion: no program of the run beats it in score, drawdown and size together."""

    id: str
    text: str
    size: int
    score: Number
    alpha_sharpe: Number
    sharpe: Number
    total_return: Number
    max_drawdown: Number
    trades: Number


class Front(Shape):
    """The champions of a finished run; empty before it is."""

    run: str
    trials: int | None
    front: list[FrontLine]


class WordLine(Shape):
    """A line of the rule in words, indented by depth."""

    depth: int
    text: str


class Box(Shape):
    """A node of the rule as a tree: column `depth`, row `y` (pixels), its parent's index or -1; numbers: windows and levels."""

    label: str
    numbers: str
    kind: str
    title: str
    branch: str
    depth: int
    y: float
    parent: int


class Appraised(Shape):
    """Where a program was appraised, in-sample."""

    run: str
    generation: int
    score: Number
    alpha_sharpe: Number
    sharpe: Number
    total_return: Number
    max_drawdown: Number
    trades: Number


class ProgramDetail(Shape):
    """A program: its text, in words, as a tree, and where it was appraised. lookback, reach: bars."""

    id: str
    text: str
    size: int
    lookback: int
    reach: int
    words: list[WordLine]
    tree: list[Box]
    appraised: list[Appraised]


class Phase(Shape):
    """A stretch of time, [start, end)."""

    phase: Literal["searched", "embargo", "holdout"]
    start: int
    end: int


class Equity(Shape):
    """Equity by day, after costs, equally weighted over the markets; drawdown 0 to -1; holding: of buying and holding."""

    program: str
    capital: float
    time: list[int]
    equity: list[float]
    drawdown: list[float]
    holding: list[Number]
    phases: list[Phase]


class ValidationLine(Shape):
    """A validation's verdict."""

    run: str
    decision: str
    words: str
    p: Number
    level: Number
    holdout_opened: bool
    strategies: list[str]


class Validations(Shape):
    """Validations of this store, the run searched last first."""

    validations: list[ValidationLine]


class ValidationDetail(Shape):
    """A validation's whole record (validation.json), see docs/trust.md."""

    run: str
    record: dict[str, Any]


class LedgerSpan(Shape):
    """What a row is charged to."""

    asset: str
    interval: str
    start: int
    end: int


class LedgerRow(Shape):
    """A row of the ledger of trials."""

    number: int
    at: int
    kind: Literal["search", "trials", "look", "answer"]
    run: str
    trials: int
    level: float
    p: Number
    note: str
    spans: list[LedgerSpan]


class LedgerRows(Shape):
    """Rows of the ledger, the newest first, with its head and what is wrong with its chain (nothing: sound)."""

    total: int
    head: str
    sound: bool
    faults: list[str]
    rows: list[LedgerRow]


class Gap(Shape):
    """Absent bars: the open of the first, and how many."""

    first: int
    bars: int


class Coverage(Shape):
    """One symbol's bars: [first, end), locked from locked_from on; the ten longest gaps."""

    symbol: str
    base: str
    rows: int
    first: int
    end: int
    locked_from: int
    gaps: int
    missing: int
    longest: list[Gap]
    funding_stamps: int | None
    columns: list[str]


class Dataset(Shape):
    """A dataset: bars of one venue and interval. newest: the head of its series of imports."""

    dataset: str
    venue: str
    interval: str
    interval_ms: int
    newest: bool
    instruments: list[Coverage]


class DatasetLine(Shape):
    """A dataset in a list."""

    dataset: str
    venue: str
    interval: str
    newest: bool
    symbols: int
    rows: int
    first: int
    end: int
    gaps: int
    missing: int


class Datasets(Shape):
    """Datasets, the newest of each venue and interval first."""

    datasets: list[DatasetLine]


class StrategyLine(Shape):
    """A promoted strategy; forecast: shrunk annual Sharpe ratio with a 90 % interval."""

    id: str
    program: str
    text: str
    venue: str
    symbols: list[str]
    interval: str
    forecast: float
    low: float
    high: float
    p: float
    run: str


class Strategies(Shape):
    """Promoted strategies."""

    strategies: list[StrategyLine]


class StrategyDetail(Shape):
    """A promoted strategy as it is kept, see docs/trust.md."""

    id: str
    strategy: dict[str, Any]
