"""What the API answers, as it says it in its OpenAPI description. Times are ms UTC; a figure that is not defined is null.

Answers are made as plain values and written by orjson; that they have these shapes is what the tests hold them to.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

type Number = float | None


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Shape):
    """Why there is no answer, in a sentence."""

    error: str


class Health(_Shape):
    """That the service answers; it says no more to strangers."""

    status: Literal["ok"]


class Caller(_Shape):
    """Who asks."""

    token: str
    name: str
    scopes: list[Literal["read", "research", "trade"]]
    expires: int | None


class About(_Shape):
    """The service, its store, and who asks. catalog: when the index was built; newer generations of a run are told by its progress."""

    version: str
    store: str
    catalog: int
    runs: int
    caller: Caller


class RunLine(_Shape):
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


class Runs(_Shape):
    """Runs, the one searched last first; total: how many there are."""

    total: int
    runs: list[RunLine]


class RunDetail(_Shape):
    """A run with what it is made of (run.json) and the best score of each surrogate search that it was compared with."""

    line: RunLine
    made: dict[str, Any]
    placebo: list[float]


class Generation(_Shape):
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


class Generations(_Shape):
    """How a run went so far."""

    run: str
    finished: bool
    generations: list[Generation]


class ProgramLine(_Shape):
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


class Programs(_Shape):
    """Distinct programs of a run; total: those that the filters let through; trials: what the best of them is the best of."""

    run: str
    total: int
    trials: int | None
    programs: list[ProgramLine]


class FrontLine(_Shape):
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


class Front(_Shape):
    """The champions of a finished run; empty before it is."""

    run: str
    trials: int | None
    front: list[FrontLine]


class WordLine(_Shape):
    """A line of the rule in words, indented by depth."""

    depth: int
    text: str


class Box(_Shape):
    """A node of the rule as a tree: column `depth`, row `y` (pixels), its parent's index or -1; numbers: windows and levels."""

    label: str
    numbers: str
    kind: str
    title: str
    branch: str
    depth: int
    y: float
    parent: int


class Appraised(_Shape):
    """Where a program was appraised, in-sample."""

    run: str
    generation: int
    score: Number
    alpha_sharpe: Number
    sharpe: Number
    total_return: Number
    max_drawdown: Number
    trades: Number


class ProgramDetail(_Shape):
    """A program: its text, in words, as a tree, and where it was appraised. lookback, reach: bars."""

    id: str
    text: str
    size: int
    lookback: int
    reach: int
    words: list[WordLine]
    tree: list[Box]
    appraised: list[Appraised]


class Phase(_Shape):
    """A stretch of time, [start, end)."""

    phase: Literal["searched", "embargo", "holdout"]
    start: int
    end: int


class Equity(_Shape):
    """Equity by day, after costs, equally weighted over the markets; drawdown 0 to -1; holding: of buying and holding."""

    program: str
    capital: float
    time: list[int]
    equity: list[float]
    drawdown: list[float]
    holding: list[Number]
    phases: list[Phase]


class ValidationLine(_Shape):
    """A validation's verdict."""

    run: str
    decision: str
    words: str
    p: Number
    level: Number
    holdout_opened: bool
    strategies: list[str]


class Validations(_Shape):
    """Validations of this store, the run searched last first."""

    validations: list[ValidationLine]


class ValidationDetail(_Shape):
    """A validation's whole record (validation.json), see docs/trust.md."""

    run: str
    record: dict[str, Any]


class LedgerSpan(_Shape):
    """What a row is charged to."""

    asset: str
    interval: str
    start: int
    end: int


class LedgerRow(_Shape):
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


class LedgerRows(_Shape):
    """Rows of the ledger, the newest first, with its head and what is wrong with its chain (nothing: sound)."""

    total: int
    head: str
    sound: bool
    faults: list[str]
    rows: list[LedgerRow]


class Gap(_Shape):
    """Absent bars: the open of the first, and how many."""

    first: int
    bars: int


class Coverage(_Shape):
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


class Dataset(_Shape):
    """A dataset: bars of one venue and interval. newest: the head of its series of imports."""

    dataset: str
    venue: str
    interval: str
    interval_ms: int
    newest: bool
    instruments: list[Coverage]


class DatasetLine(_Shape):
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


class Datasets(_Shape):
    """Datasets, the newest of each venue and interval first."""

    datasets: list[DatasetLine]


class StrategyLine(_Shape):
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


class Strategies(_Shape):
    """Promoted strategies."""

    strategies: list[StrategyLine]


class StrategyDetail(_Shape):
    """A promoted strategy as it is kept, see docs/trust.md."""

    id: str
    strategy: dict[str, Any]


class SessionLine(_Shape):
    """A trading session, as its journal tells it. account: network and address; damage: why the journal does not read further."""

    session: str
    account: str
    strategies: list[str]
    halted: bool
    equity: float
    positions: int
    open_orders: int
    last: int
    damage: str


class Sessions(_Shape):
    """Sessions, the one written last first."""

    sessions: list[SessionLine]


class Position(_Shape):
    """A net position in units, negative if short, and each strategy's part of it."""

    symbol: str
    size: float
    strategies: dict[str, float]


class Positions(_Shape):
    """What a session holds, as its book has it."""

    session: str
    positions: list[Position]


class OrderLine(_Shape):
    """An order. at: when it was made; phase: what is known of it. slippage: of the fills against the price asked, positive where it cost."""

    cloid: str
    at: int
    symbol: str
    side: Literal["buy", "sell"]
    size: float
    price: float
    purpose: Literal["target", "stop", "flatten"]
    reduce_only: bool
    phase: Literal["intended", "unknown", "resting", "filled", "canceled", "rejected", "absent"]
    open: bool
    filled: float
    average: Number
    slippage: Number
    reason: str


class Orders(_Shape):
    """Orders of a session, the newest first."""

    session: str
    orders: list[OrderLine]


class Halted(_Shape):
    """What may take no new risk: a symbol, or the account (empty)."""

    symbol: str
    reason: str


class Risk(_Shape):
    """An account against its day's start and its peak, USDC; shares from 0. unknown: orders whose outcome is not known."""

    session: str
    equity: float
    day_start: float
    peak: float
    daily_loss: float
    drawdown: float
    unknown: int
    halts: list[Halted]


class JobLine(_Shape):
    """A job on the cluster. kind: evolve, validate, …; status: as Ray names it."""

    job: str
    kind: str
    status: str
    message: str
    started: int | None
    ended: int | None


class Jobs(_Shape):
    """Jobs, the newest first; cluster: empty where the service knows none."""

    cluster: str
    jobs: list[JobLine]


class Act(_Shape):
    """What was done, and by whom: the living trader, or a line in the journal that the next trader begins with."""

    session: str
    act: Literal["halt", "flatten"]
    by: Literal["trader", "journal"]
