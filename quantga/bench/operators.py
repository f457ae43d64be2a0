"""Nanoseconds a bar: of every operator of the language, of a held position and of an order in the ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from quantga.bench.laps import typical_seconds
from quantga.engine.costs import Costs
from quantga.engine.ledger import advance
from quantga.engine.ledger_market import Market, prepare
from quantga.engine.ledger_state import ORDERS, Record, begin
from quantga.engine.ledger_terms import encode_genes, encode_terms
from quantga.lang.bars import Bars, Floats, Ints
from quantga.lang.evaluate import BLOCK, Plan, buffers, column_matrix, plan, run_block
from quantga.lang.genes import Genes
from quantga.lang.jit import njit
from quantga.lang.kinds import Kind
from quantga.lang.ops import BY_NAME, OPS, K, Op
from quantga.lang.program import Program, Token, level, window

WINDOW = 20
_COPIES = 50
_ACCOUNTS = 20  # carried together, so that a call's own cost does not count
_STANDS: dict[Kind, str] = {
    Kind.PRICE: "close", Kind.SIZE: "volume", Kind.RATIO: "ret", Kind.CLOCK: "hour", Kind.POSITION: "long",
    Kind.REF_PRICE: "ref_close", Kind.REF_SIZE: "ref_volume",
}  # fmt: skip
_OTHER: dict[Kind, str] = {Kind.PRICE: "open", Kind.RATIO: "vwap", Kind.POSITION: "short"}
RUNS = (1, 10, 100, 1_000, 10_000)
"""Bars between changes of the wanted position."""
FREE = Costs(fee=0.0, maker=0.0, slippage=0.0, funding=False)
"""Nothing is paid, so that an account that trades on every bar lives; the arithmetic is the same."""
FULL = Genes(stop=0.9, take=5.0, max_hold=1_000_000)
"""Levels that are looked at on every bar and never reached."""


def sweep_seconds(made: Plan, bars: Bars, laps: int = 5) -> float:
    """Return CPU seconds of computing a plan over all bars, nothing kept."""
    work, columns = buffers(made), column_matrix(made.columns, bars)
    return typical_seconds(
        lambda: sweep(made.nodes, made.numbers, work, columns, bars.origin, made.root, made.ready, len(bars)), laps
    )


@njit
def sweep(  # noqa: PLR0913, PLR0917 (a kernel takes its arrays)
    nodes: Ints, numbers: Floats, work: Floats, columns: Floats, origin: int, root: Ints, ready: Ints, bars: int
) -> float:
    """Compute a plan over all bars, block by block; return the sum of what each root's block begins with."""
    total = 0.0
    for start in range(-(origin % BLOCK), bars, BLOCK):
        done = 0
        for p in range(len(root)):
            run_block(nodes, numbers, work, columns, origin, start, done, ready[p])
            done = ready[p]
            total += work[root[p]]
    return total


def operator_costs(bars: Bars) -> dict[str, float]:
    """Return ns a bar of every operator that the bars have the columns for, less its arguments', at windows of 20."""
    found = {}
    for name, rows in BY_NAME.items():
        op = rows[0]
        arguments = [_argument(kind, place) for place, kind in enumerate(op.args)]
        program = Program((op.code, *(token for one in arguments for token in one)))
        if program.columns <= {*bars.columns, "hour", "weekday"}:
            below = [Program(one) for one in dict.fromkeys(arguments) if _is_series(one[0]) and _is_computed(one[0])]
            spent = _copies_seconds([program], bars) - _copies_seconds(below, bars)
            found[name] = max(0.0, spent / len(bars) * 1e9)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _copies_seconds(programs: list[Program], bars: Bars) -> float:
    """Return CPU seconds of one computation of the programs, of many that are timed in the same place."""
    if not programs:
        return 0.0
    one = plan(programs)
    turns = np.arange(_COPIES)[:, None] * len(one.nodes)
    many = replace(
        one,
        nodes=np.tile(one.nodes, (_COPIES, 1)),
        numbers=np.tile(one.numbers, (_COPIES, 1)),
        root=np.tile(one.root, _COPIES),
        ready=(turns + one.ready).ravel(),
    )
    return sweep_seconds(many, bars, 3) / _COPIES


def _is_series(token: Token) -> bool:
    return isinstance(token, int) and token < 10_000


def _is_computed(token: Token) -> bool:
    """Tell whether an argument takes time of its own: columns and numbers are read where they are."""
    op = OPS[token] if isinstance(token, int) else None
    return op is not None and op.meaning not in {K.COLUMN, K.LONG, K.SHORT}


def _argument(kind: Kind, place: int) -> tuple[Token, ...]:
    if kind is Kind.WINDOW:
        return (window(WINDOW + place),)
    if kind is Kind.FACTOR:
        return (window(4),)
    if kind is Kind.LEVEL:
        return (level(0.5 * place),)
    if kind is Kind.MASK:
        return (_code("gt", Kind.PRICE), _code("close"), _code("open")) if place % 2 == 0 else _rises()
    return (_code(_STANDS[kind]),) if place % 2 == 0 or kind not in _OTHER else _second(kind)


def _second(kind: Kind) -> tuple[Token, ...]:
    if kind is Kind.RATIO:
        return (_code("sign"), _code("ret"))
    return (_code(_OTHER[kind]),)


def _rises() -> tuple[Token, ...]:
    return (_code("gt", Kind.PRICE), _code("close"), _code("high"))


def _code(name: str, first: Kind | None = None) -> int:
    def fits(op: Op) -> bool:
        return first is None or op.args[:1] == (first,)

    return next(op.code for op in BY_NAME[name] if fits(op))


@dataclass(frozen=True)
class Simulation:
    """What the ledger costs. held: ns per held bar; order: ns per order; runs: ns a bar by bars between changes."""

    held: float
    order: float
    runs: dict[int, float]


def simulation_costs(bars: Bars) -> dict[str, Simulation]:
    """Return the ledger's costs: `plain` fee and slippage; `full` adds funding, lots, margin, stop, take and holding time."""
    plain = _simulate(bars, FREE, Genes())
    symbol = Bars(bars.interval, bars.origin, bars.columns, bars.symbol, "BTC")
    return {
        "plain": plain,
        "full": _simulate(symbol, replace(FREE, funding=True, lots=True, margin=True, min_notional=0.0), FULL),
    }


def _simulate(bars: Bars, costs: Costs, genes: Genes) -> Simulation:
    market, terms = prepare(bars, costs, [genes]), encode_terms(costs, bars.base)
    row = encode_genes([genes], costs)[0]
    record = Record(np.zeros(len(market.day_end) - 1), np.empty((0, 0)), np.empty((0, 0)))
    runs, times, orders = {}, [], []
    for length in RUNS:
        wanted = np.where(np.arange(len(bars)) // length % 2 == 0, 1.0, -0.5)
        run = partial(_run, wanted, market, terms, row, record)
        times.append(typical_seconds(run) / _ACCOUNTS * 1e9)
        orders.append(run()[0, ORDERS])
        runs[length] = times[-1] / len(bars)
    order, held = np.polyfit(np.array(orders) / len(bars), np.array(times) / len(bars), 1)
    return Simulation(min(float(held), runs[RUNS[-1]]), float(order), runs)


def _run(wanted: Floats, market: Market, terms: Floats, genes: Floats, record: Record) -> Floats:
    states = begin(_ACCOUNTS, terms)
    _carry(states, wanted, market, terms, genes, record)
    return states


@njit
def _carry(states: Floats, wanted: Floats, market: Market, terms: Floats, genes: Floats, record: Record) -> None:
    """Carry equal accounts over all bars, block by block, as appraisal does it."""
    for start in range(0, len(wanted), BLOCK):
        for account in range(len(states)):
            one = states[account]
            advance(one, wanted, start, start, min(start + BLOCK, len(wanted)), market, terms, genes, record)
