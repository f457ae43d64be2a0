"""What programs are worth: a table of metrics on one market, or figures pooled over several and the score of a search.

The unit of remote work: a function of programs, bars and costs alone, whatever else is appraised beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from quantga.engine.accounts import Asset, Hashes, Kept, carry, figures_of
from quantga.engine.costs import Costs
from quantga.engine.ledger_state import ACTED, ORDERS, RUINED, TRADES
from quantga.engine.metrics import COUNTS, KEYS, TALLIES, Floats, robust
from quantga.engine.pool import Pool
from quantga.errors import ConfigError, DataError
from quantga.lang.bars import Bars, Ints
from quantga.lang.evaluate import Plan, tiles
from quantga.lang.genes import Genes
from quantga.lang.jit import njit
from quantga.lang.program import Program

type Engine = Literal["numba", "vectorbt"]
type Codes = NDArray[np.uint8]

FAILURES = (
    "",
    "equity is not a finite number",
    "it looks back further than there are bars",
    "the account was ruined",
    "too few closed trades",
)
"""Why an appraisal has no figures, or the worst score, by code."""
(FINE, NOT_FINITE, TOO_SHORT, RUIN, FEW_TRADES) = range(len(FAILURES))
_EVERY_GENE = Genes(vol_target=1.0, stop_atr=1.0)  # asks of the market whatever some gene may need


@dataclass(frozen=True)
class Trial:
    """On what terms programs are judged.

    costs: of every account. slices: equal parts of the time whose Sharpe ratios the score looks at. min_trades: fewer
    closed trades (over all assets) get the worst score. engine: the ledger, or VectorBT where its rules suffice.
    """

    costs: Costs = field(default_factory=Costs)
    slices: int = 8
    min_trades: int = 1
    engine: Engine = "numba"

    def __post_init__(self) -> None:
        if self.slices < 1 or self.min_trades < 0:
            raise ConfigError(f"trial: slices={self.slices} must be 1 or more, min_trades={self.min_trades} 0 or more")
        if self.engine not in ("numba", "vectorbt"):
            raise ConfigError(f"trial: engine={self.engine!r} must be numba or vectorbt")


@dataclass(frozen=True)
class Appraisals:
    """Programs judged, in the order given.

    score: float64[n], mean less half the standard deviation of `cases`; -inf for the ruined, for too few trades and for
    numerical failure. cases: float64[n, slices], annual Sharpe ratios of detrended daily returns. behaviour: uint64[n],
    equal for programs that want the same position (to 1/20) on every bar. figures: float64[n, len(KEYS)], NaN where
    undefined. failure: uint8[n], places in FAILURES.
    """

    programs: tuple[Program, ...] = field(repr=False)
    score: Floats
    cases: Floats = field(repr=False)
    behaviour: Hashes = field(repr=False)
    figures: Floats = field(repr=False)
    failure: Codes = field(repr=False)

    def __len__(self) -> int:
        return len(self.programs)

    def figure(self, key: str) -> Floats:
        """Return one metric of every program, float64[n]; NaN where undefined."""
        return self.figures[:, KEYS.index(key)]

    @property
    def failed(self) -> list[str]:
        """Why each program has the worst score; empty where it has not."""
        return [FAILURES[code] for code in self.failure]

    def table(self) -> pa.Table:
        """Return a row per program: id, text, score, behaviour, every metric, failed."""
        found = _table(self.programs, self.figures, self.failure)
        return found.add_column(2, "behaviour", pa.array(self.behaviour)).add_column(2, "score", pa.array(self.score))


def appraise(programs: Sequence[Program], bars: Bars, costs: Costs | None = None, *, sharing: bool = True) -> pa.Table:
    """Return a row per program: id, text, every metric (null where undefined), and why it failed ("" if it did not).

    sharing: compute what programs have in common once; the figures are the same without. Nothing of size programs x bars
    is kept. Raises ProgramError if the bars lack a column, DataError if they are too few for every one of the programs.
    """
    costs = costs or Costs()
    asset = Asset.of(bars, costs, {program.genes for program in programs})
    figures, failure = np.empty((len(programs), len(KEYS))), np.zeros(len(programs), dtype=np.uint8)
    at = 0
    for plan in tiles(programs, sharing=sharing):
        part = slice(at, at + len(plan.programs))
        kept, account = carry(plan, asset, costs)
        rows, _ = figures_of(kept.daily, kept.state[:, : len(TALLIES)], asset.days, len(bars), costs.capital)
        figures[part], failure[part] = rows[account], _failures([kept])[account]
        for place in (np.flatnonzero(_undecided(kept)[account]) + at).tolist():
            failure[place] = TOO_SHORT if programs[place].lookback >= len(bars) else failure[place]
        at = part.stop
    if at and (failure == TOO_SHORT).all():
        raise too_short(min(programs, key=lambda program: program.lookback), bars)
    return _table(programs, figures, failure)


def too_short(program: Program, bars: Bars) -> DataError:
    """Return the error of a program that looks back further than there are bars."""
    return DataError(
        f"program {program.id} looks back {program.lookback} bars, and {bars.symbol or 'the market'} has only "
        f"{len(bars)}: give more bars, or a program with shorter windows"
    )


def appraise_market(programs: Sequence[Program], market: Mapping[str, Bars], trial: Trial) -> Appraisals:
    """Judge programs on several assets at once: an equal share of the capital on each, dealt out anew every day.

    market: bars by symbol; the assets need not span the same time. Figures are those of the mean of the assets' daily
    returns; trades are counted over the assets, fees, funding and turnover are per account. Raises as `appraise` does,
    and ConfigError where there are fewer than two days a slice.
    """
    return _on_pool(programs, _pool(market, trial, {program.genes for program in programs}), trial)


def appraiser(market: Mapping[str, Bars], trial: Trial) -> Callable[[Sequence[Program]], Appraisals]:
    """Return `appraise_market` for one market that is made ready once, for programs with any genes. Raises as it does."""
    return partial(_on_pool, pool=_pool(market, trial, {_EVERY_GENE}), trial=trial)


def _pool(market: Mapping[str, Bars], trial: Trial, genes: Iterable[Genes]) -> Pool:
    return Pool.of([Asset.of(bars, trial.costs, genes) for bars in market.values()], trial.slices)


def _on_pool(programs: Sequence[Program], pool: Pool, trial: Trial) -> Appraisals:
    costs, n = trial.costs, len(programs)
    cases, figures = np.empty((n, trial.slices)), np.empty((n, len(KEYS)))
    score, behaviour, failure = np.empty(n), np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint8)
    at = 0
    for plan in tiles(programs):
        part = slice(at, at + len(plan.programs))
        runs = [_carried(plan, asset, trial) for asset in pool.assets]
        account, kept = runs[0][1], [one for one, _ in runs]
        rows, sharpes = pool.judge(kept, costs.capital)
        figures[part], cases[part] = rows[account], sharpes[account]
        failure[part] = _failures(kept, trial.min_trades)[account]
        score[part], behaviour[part] = _scores(sharpes)[account], _together(kept)[account]
        at = part.stop
    score[failure != FINE] = -np.inf
    return Appraisals(tuple(programs), score, cases, behaviour, figures, failure)


def _carried(plan: Plan, asset: Asset, trial: Trial) -> tuple[Kept, Ints]:
    if trial.engine == "vectorbt":
        from quantga.engine.auditor import carry_audited  # noqa: PLC0415 (the referee is seldom asked)

        return carry_audited(plan, asset, trial.costs)
    return carry(plan, asset, trial.costs, hashed=True)


@njit
def _scores(sharpes: Floats) -> Floats:
    scores = np.empty(len(sharpes))
    for p in range(len(sharpes)):
        scores[p] = robust(sharpes[p])
    return scores


def _failures(kept: Sequence[Kept], min_trades: int | None = None) -> Codes:
    """Return why each account fails; ruin and few trades only count where `min_trades` is given."""
    codes = np.zeros(len(kept[0].state), dtype=np.uint8)
    if min_trades is not None:
        codes[sum(one.state[:, TRADES] for one in kept) < max(min_trades, 1)] = FEW_TRADES
        codes[sum(one.state[:, RUINED] for one in kept) > 0] = RUIN
    finite = [np.isfinite(one.daily).all(axis=1) for one in kept]
    codes[~np.logical_and.reduce(finite)] = NOT_FINITE
    return codes


def _undecided(kept: Kept) -> NDArray[np.bool_]:
    """Tell which accounts never acted on anything."""
    found: NDArray[np.bool_] = (kept.state[:, ORDERS] == 0) & np.isnan(kept.state[:, ACTED])
    return found


def _together(kept: Sequence[Kept]) -> Hashes:
    """Return one behaviour for all assets."""
    found = np.zeros(len(kept[0].state), dtype=np.uint64)
    for one in kept:
        found = found * np.uint64(0x9E3779B97F4A7C15) + one.behaviour
    return found


def _table(programs: Sequence[Program], figures: Floats, failure: Codes) -> pa.Table:
    figures = np.where(np.isin(failure, (NOT_FINITE, TOO_SHORT))[:, None], np.nan, figures)
    columns = {
        "id": pa.array([program.id for program in programs], pa.string()),
        "text": pa.array([program.text for program in programs], pa.string()),
    }
    columns |= {key: _column(key, values) for key, values in zip(KEYS, figures.T, strict=True)}
    reasons = pa.array(FAILURES, pa.string())
    return pa.table({**columns, "failed": reasons.take(pa.array(failure))})


def _column(key: str, values: Floats) -> pa.Array:
    undefined = np.isnan(values)
    if key == "liquidated":
        return pa.array(values > 0, pa.bool_(), mask=undefined)
    if key in COUNTS:
        return pa.array(np.where(undefined, 0, values).astype(np.int64), pa.int64(), mask=undefined)
    return pa.array(values, pa.float64(), mask=undefined)
