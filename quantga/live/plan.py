"""What a session trades and on which terms: strategies, bars, limits, and how orders are worked; part of its journal.

So a journal can be replayed by itself: nothing that a decision depends on lies outside of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from quantga.engine.costs import Costs
from quantga.errors import ConfigError
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.live.risk import Limits

__all__ = ["Execution", "Strategy", "Terms", "Traded"]


@dataclass(frozen=True)
class Strategy:
    """A program as it is traded: on which symbols, with which costs, and from which bar number on.

    reduce_only: it was made by another version of the code, so its positions are only reduced.
    """

    name: str
    program: Program
    symbols: tuple[str, ...]
    costs: Costs
    since: int
    reduce_only: bool = False


@dataclass(frozen=True)
class Execution:
    """How orders are worked. Shares are of the price.

    reach: how far beyond the mark an order may fill (Ioc). stop: distance of the disaster stop from the mark when it is placed.
    attempts: orders per symbol and bar; what is left then waits for the next bar.
    """

    reach: Decimal = Decimal("0.005")
    stop: Decimal = Decimal("0.10")
    attempts: int = 6


@dataclass(frozen=True)
class Traded:
    """A strategy as the journal has it. name: its id; program, text: what it says; code: the version that made it."""

    name: str
    program: str
    text: str
    symbols: tuple[str, ...]
    costs: Mapping[str, Any]
    since: int
    code: str = ""
    reduce_only: bool = False

    def strategy(self) -> Strategy:
        """Return it as it is traded. ConfigError where this version reads another program out of its text."""
        program = parse(self.text)
        if self.program and program.id != self.program:
            raise ConfigError(
                f"this version reads strategy {self.name} as program {program.id} and not {self.program}: "
                f"trade it with {self.code or 'the version that made it'}"
            )
        return Strategy(self.name, program, self.symbols, Costs(**self.costs), self.since, self.reduce_only)


@dataclass(frozen=True)
class Terms:
    """What a process trades: interval in ms; origin: number of the first bar; volatility: the annual one aimed at."""

    network: str
    interval: int
    origin: int
    strategies: tuple[Traded, ...]
    limits: Limits = field(default_factory=Limits)
    execution: Execution = field(default_factory=Execution)
    volatility: float = 0.3

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return all symbols, sorted."""
        return tuple(sorted({symbol for one in self.strategies for symbol in one.symbols}))
