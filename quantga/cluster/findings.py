"""What a validation leaves in its run: validation.json, plain data with every figure that the verdict rests on.

Figures that decide, figures that only describe, and figures about luck stand apart, and each in-sample one has its trials beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from quantga.cluster.case import Case
from quantga.cluster.look import Opening
from quantga.cluster.sample import Sample
from quantga.errors import DataError
from quantga.evolve.select import complexity
from quantga.lang.bars import DAY_MS, Floats
from quantga.store.null_library import NullSearch
from quantga.trust.evidence import SOURCE, Diagnostic, Searched, search_diagnostics, shortlist_diagnostics
from quantga.trust.overfitting import Panel, walk_forward_efficiency
from quantga.trust.pipeline import Judgement, power_evidence, power_words
from quantga.trust.promote import Gate, power
from quantga.trust.sharpe import moments
from quantga.trust.track import track
from quantga.trust.tradability import BASE_RATE, Tradability

CURVES = 40
"""Null champions whose curves are kept for the picture."""
SHARPES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
LENGTHS = (2, 3, 4, 5, 6, 8, 10, 15, 20)


@dataclass(frozen=True)
class Material:
    """All that a validation came upon: the case, what was decided, the look, the surrogate searches, the sample."""

    case: Case
    judged: Judgement
    opening: Opening
    reports: Sequence[Tradability]
    nulls: Sequence[NullSearch]
    library: str
    sample: Sample


def findings(made: Material) -> dict[str, Any]:
    """Return the record of a validation, without its strategies and its place in the ledger."""
    case, verdict = made.case, made.judged.verdict
    ground, part = case.ground, case.split
    inside = made.sample.panel(case.market, case.costs, (part.start, part.end)) if made.sample.programs else None
    return {
        "format": 1,
        "run": case.run,
        "decision": verdict.decision,
        "words": verdict.words,
        "p": verdict.p,
        "level": verdict.level,
        "holdout_opened": made.judged.opened,
        "permission": made.opening.permission.words if made.opening.permission else "",
        "terms": asdict(case.terms),
        "where": {
            "venue": ground.manifest.venue,
            "interval": ground.manifest.interval,
            "symbols": list(ground.symbols),
            "dataset": ground.manifest.id,
        },
        "split": {
            "searched": [part.start, part.end],
            "embargo_days": round((part.opens - part.end) / DAY_MS, 2),
            "holdout": [part.opens, part.closes],
            "holdout_days": case.rules.holdout_days,
        },
        "trials": case.files.trials(case.files.committed()),
        "history": asdict(case.history),
        "searches": case.rules.searches,
        "looks_before": {"count": case.chances[0], "expected_false": case.chances[1]},
        "funnel": _funnel(made),
        "search": _search(made),
        "shortlist": [_entrant(made, place) for place in range(len(made.judged.shortlist))],
        "diagnostics": [_diagnostic(one) for one in _diagnostics(made, inside)],
        "base_rates_from": SOURCE,
        "tradability_base_rate": BASE_RATE,
        "power": _power(made),
        "sample": _sample(made, inside),
    }


def _funnel(made: Material) -> list[dict[str, Any]]:
    outcomes = made.judged.verdict.outcomes
    gate = Gate()
    held = [("held in the holdout", sum(one.p_hold <= gate.held for one in outcomes))] if made.judged.opened else []
    rows = [
        ("programs appraised", made.case.files.trials(made.case.files.committed())),
        ("behaved differently", made.sample.distinct),
        ("champions", len(made.case.found.programs)),
        ("shortlist", len(made.judged.shortlist)),
        *held,
        ("promoted", len(made.judged.verdict.promoted)),
    ]
    return [{"step": step, "count": count} for step, count in rows]


def _search(made: Material) -> dict[str, Any]:
    judged = made.judged
    best = judged.mining[0] if judged.mining else None
    return {
        "surrogate": made.case.terms.surrogate,
        "library": made.library,
        "score": made.case.found.scores[judged.shortlist[0]] if judged.shortlist else None,
        "null_searches": len(judged.maxima),
        "exceedances": best.exceedances if best else 0,
        "p": best.p if best else 1.0,
        "p_charged": judged.p_mine[0] if judged.p_mine else 1.0,
        "p_uniform": best.uniform if best else 1.0,
        "skill": _finite(best.skill) if best else None,
        "maxima": [_finite(one) for one in judged.maxima],
        "null_trials": sum(one.trials for one in made.nulls[: len(judged.maxima)]),
        "curves": [list(one.curve) for one in made.nulls[:CURVES] if one.curve],
    }


def _entrant(made: Material, place: int) -> dict[str, Any]:
    judged, found = made.judged, made.case.found
    column = judged.shortlist[place]
    program, returns = found.programs[column], found.returns.returns[:, column]
    outcome = judged.verdict.outcomes[place] if judged.verdict.outcomes else None
    record = made.opening.tracks[place] if made.opening.tracks else None
    confirmed = made.opening.confirmed[place] if made.opening.confirmed else None
    report = made.reports[place]
    return {
        "program": program.id,
        "text": program.text,
        "score": found.scores[column],
        "sharpe_searched": ratio(returns),
        "slices": slices(returns, made.case.settings.search.slices),
        "p_mine": judged.p_mine[place],
        "p_hold": outcome.p_hold if outcome else None,
        "p_combined": outcome.p_combined if outcome else None,
        "p": outcome.p_adjusted if outcome else None,
        "promoted": bool(outcome and outcome.promoted),
        "reasons": list(outcome.reasons) if outcome else [],
        "forecast": asdict(outcome.forecast) if outcome and outcome.forecast else None,
        "holdout": _held(record.alpha, record.returns, record.trades) if record else None,
        "confirmed": asdict(confirmed) if confirmed else None,
        "tradability": {
            "costs": asdict(report.costs),
            "delay": asdict(report.delay),
            "neighbours": list(report.neighbours),
            "capacity": report.capacity,
            "labels": list(report.labels),
        },
    }


def _held(alpha: Floats, returns: Floats, trades: int) -> dict[str, Any]:
    return {
        "days": len(alpha),
        "trades": trades,
        "sharpe": ratio(alpha),
        "sharpe_with_beta": ratio(returns),
        "total_return": float(np.prod(1.0 + returns) - 1.0),
        "slices": slices(alpha, 4),
    }


def ratio(returns: Floats) -> float | None:
    """Return the annual Sharpe ratio of daily returns; None where they do not vary or are too few."""
    try:
        return moments(returns).annual
    except DataError:
        return None


def slices(returns: Floats, count: int) -> list[float | None]:
    """Return the annual Sharpe ratio of each of `count` equal parts of the days."""
    return [ratio(part) for part in np.array_split(returns, count)]


def _diagnostics(made: Material, inside: Panel | None) -> list[Diagnostic]:
    judged, found = made.judged, made.case.found
    if not judged.shortlist or inside is None:
        return []
    champion = found.returns.returns[:, judged.shortlist[0]]
    count = made.case.files.trials(made.case.files.committed())
    own = search_diagnostics(Searched(champion, inside, count, made.case.rules.seed))
    chosen = Panel(found.returns.days, found.returns.returns[:, list(judged.shortlist)])
    walked = _walked(champion, made.opening.tracks[0].alpha) if made.opening.tracks else []
    return [*own, *(shortlist_diagnostics(chosen) if len(judged.shortlist) > 1 else ()), *walked]


def _walked(inside: Floats, outside: Floats) -> list[Diagnostic]:
    """Return the champion's efficiency from the search to the holdout: one window of a walk forward."""
    label, version = "Walk-forward efficiency, search to holdout", "one window"
    try:
        figures = (np.array([moments(inside).annual]), np.array([moments(outside).annual]))
        value, why = walk_forward_efficiency(*figures), ""
    except DataError as error:
        value, why = None, str(error)
    return [Diagnostic("walk_forward", label, value, why, version, "> 0.5", None)]


def _diagnostic(one: Diagnostic) -> dict[str, Any]:
    rate = str(one.base_rate) if one.base_rate else "how often pure noise passes was not measured"
    return {**asdict(one), "base_rate": rate if one.passes else ""}


def _power(made: Material) -> dict[str, Any]:
    judged = made.judged
    years, gate = made.case.split.years, Gate(judged.verdict.level)
    if not judged.maxima:
        return {"years": list(years), "words": [], "table": [], "lengths": []}
    size = complexity(made.case.found.programs[judged.shortlist[0]])
    evidence = power_evidence(judged, size, years)
    return {
        "years": list(years),
        "words": list(power_words(judged, size, years, gate)),
        "table": [{"sharpe": one, "power": power(evidence, one, gate)} for one in SHARPES],
        "lengths": [
            {"years": n, "power": [power(evidence.with_years(n), one, gate) for one in (1.0, 2.0, 3.0)]}
            for n in LENGTHS
        ],
    }


def _sample(made: Material, inside: Panel | None) -> dict[str, Any]:
    """Return in-sample and out-of-sample ratios of the sample: the holdout is open by then, and nothing follows from them."""
    if inside is None:
        return {"of": 0, "searched": [], "holdout": []}
    part = made.case.split
    outside: list[float | None] = [None] * inside.trials
    if made.opening.market:
        window = (part.opens, part.closes)
        panel = made.sample.panel(made.opening.market, made.case.costs, window)
        outside = [ratio(column) for column in panel.returns.T]
    return {"of": made.sample.distinct, "searched": [ratio(x) for x in inside.returns.T], "holdout": outside}


def records(made: Material) -> pa.Table:
    """Return the daily records of the shortlist over all that may be shown: program, day, returns, alpha."""
    case, part = made.case, made.case.split
    market: Mapping[str, Any] = made.opening.market or case.market
    end = part.closes if made.opening.market else part.end
    tables = []
    for column in made.judged.shortlist:
        program = case.found.programs[column]
        record = track(program, market, case.costs, part.start, end)
        names = pa.array([program.id] * len(record.days), pa.string())
        tables.append(
            pa.table({"program": names, "day": record.days, "returns": record.returns, "alpha": record.alpha})
        )
    empty = {"program": pa.string(), "day": pa.int64(), "returns": pa.float64(), "alpha": pa.float64()}
    return pa.concat_tables(tables) if tables else pa.schema(list(empty.items())).empty_table()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
