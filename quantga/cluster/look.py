"""The one look: recorded in the ledger, then the locked bars are read, then the frozen shortlist is traded on them.

This is the only place from which a holdout is opened, and nothing that breeds or appraises imports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from quantga.cluster.case import Case, Elsewhere
from quantga.errors import DataError
from quantga.lang.bars import Bars
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program
from quantga.store.market import load, load_holdout
from quantga.store.trials import Row, record_look
from quantga.trust.holdout import Permission
from quantga.trust.lookahead import lookahead_faults
from quantga.trust.pipeline import Looked, Seen
from quantga.trust.sharpe import moments, p_value
from quantga.trust.track import Track, track
from quantga.trust.tradability import Tradability


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a program did on another venue after what was searched: annual Sharpe ratio of detrended returns, its p alone.

    sharpe and p are None where it never moved there.
    """

    venue: str
    interval: str
    symbols: tuple[str, ...]
    start: int
    end: int
    days: int
    trades: int
    sharpe: float | None
    p: float | None

    @property
    def refusal(self) -> str:
        """Why it does not confirm; empty where it does."""
        if self.sharpe is None or not self.trades:
            return f"it does not trade on {self.venue}"
        if self.sharpe <= 0:
            return f"it loses on {self.venue}: an annual Sharpe ratio of {self.sharpe:.2f} in {self.days} days"
        return ""


@dataclass
class Opening:
    """Opens the holdout when it is called, and keeps what it showed. row, permission: None while it is shut."""

    case: Case
    reports: Sequence[Tradability]
    row: Row | None = None
    permission: Permission | None = None
    market: Mapping[str, Bars] = field(default_factory=dict, repr=False)
    tracks: tuple[Track, ...] = ()
    confirmed: tuple[Confirmation, ...] = ()

    def __call__(self, programs: Sequence[Program]) -> Looked:
        """Record the look, read the bars, and return what they show. Raises as `quantga.store.trials.record_look`."""
        case, terms = self.case, self.case.terms
        refusals = [reads_ahead(program, case.market) for program in programs]
        self.row, self.permission = record_look(
            case.ledger, case.spans, case.run, terms.alpha, second_look=terms.second_look
        )
        self.market = _whole(case)
        part = case.split
        self.tracks = tuple(track(one, self.market, case.costs, part.opens, part.closes) for one in programs)
        if case.elsewhere:
            self.confirmed = tuple(_confirmation(case, one, case.elsewhere) for one in programs)
            refusals = [(*why, *filter(None, [one.refusal])) for why, one in zip(refusals, self.confirmed, strict=True)]
        seen = [
            Seen(record.alpha, record.trades, why, report.labels)
            for record, why, report in zip(self.tracks, refusals, self.reports, strict=True)
        ]
        return Looked(self.permission.level, tuple(seen))


def reads_ahead(program: Program, market: Mapping[str, Bars]) -> tuple[str, ...]:
    """Return why a program must not be traded at all: its past signals change with the future."""
    faults = [
        f"{symbol}: {fault}"
        for symbol, bars in market.items()
        for fault in lookahead_faults(lambda part: evaluate([program], part)[0], bars, seed=1)[:1]
    ]
    return tuple(faults)


def _whole(case: Case) -> Mapping[str, Bars]:
    """Return the bars from the first one searched to the end of the holdout; the search's part warms programs up."""
    manifest, window = case.ground.manifest, case.ground.window
    warmup = (window.locked_from - window.start) // manifest.interval_ms
    return load_holdout(case.lake, manifest, case.ground.symbols, warmup)


def _confirmation(case: Case, program: Program, other: Elsewhere) -> Confirmation:
    bars = load(case.lake, other.manifest, other.symbols, None, other.end, unlocked=True)
    record = track(program, bars, case.costs, other.start, other.end)
    where = (other.manifest.venue, other.manifest.interval, other.symbols, other.start, other.end)
    try:
        m = moments(record.alpha)
    except DataError:
        return Confirmation(*where, len(record.days), record.trades, None, None)
    return Confirmation(*where, len(record.days), record.trades, m.annual, float(np.clip(p_value(m), 1e-300, 1.0)))
