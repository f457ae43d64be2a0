"""quantga's engine beside what its users would write otherwise: same programs, same market, one process, by turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantga.bench.baselines import Obvious, prepare
from quantga.bench.baselines_vectorbt import WAYS, Desk, Way, batched, engines, one_by_one
from quantga.bench.laps import Laps, cpu_seconds, interleave, spread_evenly
from quantga.bench.populations import COSTS, Kind, describe, evolved_population, random_population, summary
from quantga.engine.appraise import appraise
from quantga.lang.bars import Bars, Floats
from quantga.lang.evaluate import evaluate
from quantga.lang.program import Program

COLUMNS = (5, 10, 20, 50, 100)
"""Column counts that the batched baseline is tried with."""
SEED = 20_240_229


@dataclass(frozen=True)
class Extent:
    """How much is measured. laps: each program comes once in the obvious program's laps if `parts` is not larger."""

    population: int = 500
    bars: tuple[int, ...] = (8_760, 100_000)
    laps: int = 10
    parts: int = 10
    tuning: int = 100


QUICK = Extent(population=500, bars=(8_760,), laps=3, parts=25, tuning=40)


@dataclass(frozen=True)
class Stage:
    """A population on a market, ready for all candidates."""

    programs: Sequence[Program]
    bars: Bars
    obvious: Obvious
    desk: Desk
    trees: Sequence[tuple[Any, Program]]

    @classmethod
    def of(cls, programs: Sequence[Program], bars: Bars) -> Stage:
        """Return the stage; trees are made before the clock runs, as an evolution in DEAP would have them."""
        obvious = prepare(programs, bars)
        return cls(programs, bars, obvious, Desk.of(bars, COSTS), [(obvious.tree(one), one) for one in programs])


def cases(market: Bars, extent: Extent, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return a case per number of bars, population and sharing; the same baseline laps stand beside both sharings."""
    found: list[dict[str, Any]] = []
    for count in extent.bars:
        bars = market.slice(0, min(count, len(market)))
        kinds: tuple[tuple[Kind, Callable[..., list[Program]]], ...] = (
            ("random", random_population),
            ("evolved", evolved_population),
        )
        for kind, make in kinds:
            say(f"{kind} population on {len(bars):,} bars …")
            stage = Stage.of(make(bars, extent.population, SEED), bars)
            found += _cases(kind, stage, extent, say)
    return found


def _cases(kind: Kind, stage: Stage, extent: Extent, say: Callable[[str], None]) -> list[dict[str, Any]]:
    agreement = agree(stage)
    best = {way: _best_batches(stage, way, extent) for way in WAYS}
    laps = _laps(stage, best, extent)
    us = {name: one.typical * 1e6 for name, one in laps.items()}
    obvious = {way: min((us[f"one {way} {e}"], e) for e in engines()) for way in WAYS}
    found = []
    for sharing in (True, False):
        ours = us[f"quantga sharing={sharing}"]
        found.append(
            {
                "bars": len(stage.bars),
                "population": kind,
                "sharing": sharing,
                "programs": len(stage.programs),
                "us_per_program": ours,
                "ratio_obvious": obvious["usual"][0] / ours,
                "ratio_obvious_lean": obvious["lean"][0] / ours,
                "ratio_batched": us["batch usual"] / ours,
                "ratio_batched_lean": us["batch lean"] / ours,
                "obvious_us": obvious["usual"][0],
                "obvious_engine": obvious["usual"][1],
                "obvious_lean_us": obvious["lean"][0],
                "obvious_lean_engine": obvious["lean"][1],
                "batched_us": us["batch usual"],
                "batched_how": "{1} columns, {0}".format(*best["usual"]),
                "batched_lean_us": us["batch lean"],
                "batched_lean_how": "{1} columns, {0}".format(*best["lean"]),
                "signals_obvious_us": us["signals"],
                "signals_us": us["quantga signals"],
                "least_us": {name: one.least * 1e6 for name, one in laps.items()},
                "agreement": agreement,
                "what": summary(describe(stage.programs, stage.bars)),
            }
        )
        say(
            f"  sharing {'on ' if sharing else 'off'}: {ours:8.1f} us a program; "
            f"obvious {found[-1]['ratio_obvious']:.0f}x (lean {found[-1]['ratio_obvious_lean']:.0f}x), "
            f"batched {found[-1]['ratio_batched']:.0f}x (lean {found[-1]['ratio_batched_lean']:.0f}x)"
        )
    return found


def _laps(stage: Stage, best: dict[Way, tuple[str, int]], extent: Extent) -> dict[str, Laps]:
    """Time all candidates by turns. The slow ones take another part of the population each lap, until all had a turn."""
    n, part = len(stage.programs), len(_some(stage, extent, 0))
    runs: dict[str, tuple[float, Callable[[int], object]]] = {
        f"quantga sharing={sharing}": (n, partial(_ours, stage, sharing)) for sharing in (True, False)
    }
    runs["quantga signals"] = (n, partial(_our_signals, stage))
    runs["signals"] = (part, partial(_signals, stage, extent))
    for way in WAYS:
        for engine in engines():
            runs[f"one {way} {engine}"] = (part, partial(_singles, stage, extent, engine, way))
        width = max(part, best[way][1])
        runs[f"batch {way}"] = (width, partial(_batches, stage, width, way, best[way]))
    for _, run in runs.values():
        run(0)
    return interleave(runs, extent.laps)


# What a lap of each candidate does; the last argument is the lap's number.


def _ours(stage: Stage, sharing: bool, _: int) -> None:
    appraise(stage.programs, stage.bars, COSTS, sharing=sharing)


def _our_signals(stage: Stage, _: int) -> None:
    evaluate(stage.programs, stage.bars)


def _signals(stage: Stage, extent: Extent, lap: int) -> None:
    for tree, program in _some(stage, extent, lap):
        stage.obvious.wanted(tree, program.lookback)


def _singles(stage: Stage, extent: Extent, engine: str, way: Way, lap: int) -> None:
    one_by_one(stage.obvious, stage.desk, _some(stage, extent, lap), engine, way)


def _batches(stage: Stage, width: int, way: Way, best: tuple[str, int], lap: int) -> None:
    """Take another stretch of the population each lap."""
    at = lap * width % len(stage.trees)
    trees = [*stage.trees[at:], *stage.trees[:at]][:width]
    batched(stage.obvious, stage.desk, trees, best[0], way, best[1])


def _some(stage: Stage, extent: Extent, lap: int) -> list[tuple[Any, Program]]:
    return spread_evenly(stage.trees, lap, extent.parts)[: len(stage.trees) // extent.parts]


def _best_batches(stage: Stage, way: Way, extent: Extent) -> tuple[str, int]:
    """Return the engine and the column count with which the batched baseline is fastest."""
    trees = spread_evenly(stage.trees, 0, max(1, len(stage.trees) // extent.tuning))
    tried: list[tuple[float, str, int]] = []
    for engine in engines():
        for columns in COLUMNS:
            few = trees[: max(columns, len(trees) // 2)]
            if columns > len(trees):
                continue

            run = partial(batched, stage.obvious, stage.desk, few, engine, way, columns)
            seconds = median(cpu_seconds(run) for _ in range(2))
            tried.append((seconds / len(few), engine, columns))
    _, engine, columns = min(tried)
    return engine, columns


def agree(stage: Stage) -> dict[str, float]:
    """Return how far both sides compute the same wanted positions, after each program's lookback.

    programs: share whose positions are equal on every bar; bars: share of all bars. They part where a window does not
    vary or a value is undefined midway, which NumPy's masks do not track, and where rounding decides a comparison.
    """
    ours = evaluate(stage.programs, stage.bars)
    same, equal = 0, 0.0
    for row, (tree, program) in zip(ours, stage.trees, strict=True):
        first = stage.obvious.begins + program.lookback
        alike = equal_positions(row, stage.obvious.wanted(tree, program.lookback), first)
        same += bool(alike.all())
        equal += float(alike.mean()) if len(alike) else 1.0
    return {"programs": same / len(stage.trees), "bars": equal / len(stage.trees)}


def equal_positions(one: Floats, other: Floats, lookback: int) -> NDArray[np.bool_]:
    """Return, from `lookback` on, where two series want the same; NaN equals NaN."""
    a, b = one[lookback:], other[lookback:]
    same: NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b))
    return same
