"""quantga evolves trading strategies for crypto perpetuals and trades the ones that can be believed.

The names below are the interface that others build on; each is loaded when it is first used, so that importing
quantga is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantga.cluster.evolution import evolve
    from quantga.engine.appraise import appraise
    from quantga.engine.backtest import Backtest, backtest
    from quantga.engine.costs import Costs
    from quantga.evolve.vary import random_programs
    from quantga.lang.bars import Bars
    from quantga.lang.evaluate import evaluate
    from quantga.lang.parse import parse
    from quantga.lang.program import Program
    from quantga.settings import Settings

__version__ = "0.1.0"

_HOME = {
    "Backtest": "engine.backtest",
    "Bars": "lang.bars",
    "Costs": "engine.costs",
    "Program": "lang.program",
    "Settings": "settings",
    "appraise": "engine.appraise",
    "backtest": "engine.backtest",
    "evaluate": "lang.evaluate",
    "evolve": "cluster.evolution",
    "parse": "lang.parse",
    "random_programs": "evolve.vary",
}

__all__ = [
    "Backtest",
    "Bars",
    "Costs",
    "Program",
    "Settings",
    "appraise",
    "backtest",
    "evaluate",
    "evolve",
    "parse",
    "random_programs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'quantga' has no attribute {name!r}")
    return getattr(import_module(f"quantga.{_HOME[name]}"), name)
