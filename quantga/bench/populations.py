"""The populations that are measured, and what they are: a ratio says nothing without them.

Only programs that VectorBT can trade take part. Random ones are as evolution draws its first; evolved ones are what an
island of 500 asks to have appraised after ten generations: the brood that a real search would send next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from quantga.bench.baselines import is_comparable
from quantga.engine.appraise import Trial, appraise_market
from quantga.engine.costs import Costs
from quantga.errors import ConfigError
from quantga.evolve.grammar import ALWAYS, grammar_for
from quantga.evolve.islands import Plan as Search
from quantga.evolve.islands import ask, begin, tell
from quantga.evolve.select import Appraisal
from quantga.evolve.vary import Vocabulary, fresh
from quantga.lang.bars import Bars
from quantga.lang.evaluate import plan
from quantga.lang.kernels import SHARE
from quantga.lang.ops import OPS, K
from quantga.lang.program import Program, word
from quantga.streams import dice

type Kind = Literal["random", "evolved"]

COSTS = Costs(funding=False)
"""What VectorBT can charge: fee and slippage."""
GENERATIONS = 10
_SPARE = 2.0  # more than are wanted are bred, because some size their positions


def vocabulary(bars: Bars) -> Vocabulary:
    """Return what programs of the comparison are made of: every operator, the market's columns, no genes."""
    known = {name for name in bars.columns if name in ("funding_rate", "premium", "open_interest")}
    return Vocabulary(grammar_for({*ALWAYS, *known}))


def random_population(bars: Bars, size: int, seed: int) -> list[Program]:
    """Return random programs as evolution draws its first ones."""
    words = vocabulary(bars)
    found: list[Program] = []
    slot = 0
    while len(found) < size:
        program = fresh(words, dice(seed, "bench", slot))
        slot += 1
        if is_comparable(program):
            found.append(program)
    return found


def evolved_population(bars: Bars, size: int, seed: int, generations: int = GENERATIONS) -> list[Program]:
    """Return what an island asks for after some generations of search on the first year of `bars`."""
    year = bars.slice(0, min(len(bars), int(bars.bars_per_year)))
    search = Search(vocabulary(bars), seed, 1, round(size * _SPARE), generations + 1)
    state = begin(search)
    for _ in range(generations):
        state = ask(search, state)
        brood = [child.program for child in state.islands[0].brood]
        state = tell(search, state, {found.program: found for found in judged(brood, year)})
    found = [child.program for child in ask(search, state).islands[0].brood if is_comparable(child.program)]
    if len(found) < size:
        raise ConfigError(f"only {len(found)} of {size} evolved programs want -1, 0 or 1: breed with another seed")
    return found[:size]


def judged(programs: Sequence[Program], bars: Bars) -> list[Appraisal]:
    """Return the engine's score of each program; those that size their positions are worth nothing here."""
    found = appraise_market(programs, {"": bars}, Trial(costs=COSTS))
    drawdown = np.nan_to_num(found.figure("max_drawdown"), nan=-1.0)
    rows = zip(programs, found.score.tolist(), drawdown.tolist(), found.behaviour.tolist(), found.failed, strict=True)
    return [
        Appraisal(program, score if is_comparable(program) else -np.inf, -down, behaviour, failed)
        for program, score, down, behaviour, failed in rows
    ]


@dataclass(frozen=True)
class Description:
    """What a population is. nodes: kernels to be run for every bar, with what is shared run once, and each for itself."""

    programs: int
    distinct_texts: int
    distinct_signals: int
    tokens_mean: float
    tokens_max: int
    nodes_written: int
    nodes_shared: int
    lookback_mean: float
    trades_mean: float
    trades_median: float
    exposure_mean: float
    ruined: int
    operators: dict[str, int]
    kernels: dict[str, int]


def describe(programs: Sequence[Program], bars: Bars) -> Description:
    """Return what the population is, on these bars; operators and kernels with how often they occur, commonest first."""
    judgement = appraise_market(programs, {"": bars}, Trial(costs=COSTS))
    trades, shared = judgement.figure("trades"), plan(programs)
    tokens = Counter(word(t) for p in programs for t in p.tokens if isinstance(t, str) or t < len(OPS))
    names = {int(kernel): kernel.name.lower() for kernel in K} | {SHARE: "share"}
    kernels = Counter(names.get(code, "two in one") for code in shared.nodes[:, 0].tolist())
    return Description(
        programs=len(programs),
        distinct_texts=len({p.text for p in programs}),
        distinct_signals=len(set(judgement.behaviour.tolist())),
        tokens_mean=float(np.mean([p.size for p in programs])),
        tokens_max=max(p.size for p in programs),
        nodes_written=len(plan(programs, sharing=False).nodes),
        nodes_shared=len(shared.nodes),
        lookback_mean=float(np.mean([p.lookback for p in programs])),
        trades_mean=float(np.nanmean(trades)),
        trades_median=float(np.nanmedian(trades)),
        exposure_mean=float(np.nanmean(judgement.figure("exposure"))),
        ruined=sum(reason == "the account was ruined" for reason in judgement.failed),
        operators=dict(tokens.most_common()),
        kernels=dict(kernels.most_common()),
    )


def summary(description: Description) -> dict[str, object]:
    """Return the description as plain values, with the ten commonest operators and kernels."""
    short = replace(
        description,
        operators=dict(list(description.operators.items())[:10]),
        kernels=dict(list(description.kernels.items())[:10]),
    )
    return {**asdict(short), "operators_used": len(description.operators), "kernels_used": len(description.kernels)}
