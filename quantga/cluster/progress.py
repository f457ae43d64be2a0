"""How a run shows itself while it goes: a live table on a terminal, a line a generation elsewhere; on standard error.

Standard output belongs to results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import isfinite
from statistics import median

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from quantga.cluster.budget import Spent


@dataclass(frozen=True)
class Started:
    """What a run is, as it starts: its id, what it searches, and how many generations were done before."""

    run: str
    what: str
    generations: int
    done: int
    note: str = ""


@dataclass(frozen=True)
class Standing:
    """One generation: best and median score per island (NaN: none lives), trials so far, and how many were asked for now.

    new: distinct programs appraised for the first time; unlike: distinct behaviours among the asked; spent: where nodes have prices.
    """

    generation: int
    best: tuple[float, ...]
    median: tuple[float, ...]
    trials: int
    asked: int
    new: int
    unlike: int
    spent: Spent | None = None


type Watch = Callable[[Standing], None]
type Report = Callable[[Started], AbstractContextManager[Watch]]


@contextmanager
def silent(started: Started) -> Iterator[Watch]:
    """Show nothing."""
    del started
    yield lambda _: None


@contextmanager
def show_progress(started: Started) -> Iterator[Watch]:
    """Show a run on standard error: live on a terminal, else a line per generation."""
    console = Console(stderr=True)
    clock = _Clock(started)
    head = f"run {started.run}: {started.what}" + (f"; goes on after generation {started.done}" if started.done else "")
    if not console.is_terminal:
        for line in filter(None, (head, started.note)):
            _say(line)
        yield lambda standing: _say(clock.line(standing))
        return
    for line in filter(None, (head, started.note)):
        console.print(Text(line))
    with Live(Text("the first programs are being appraised …"), console=console, auto_refresh=False) as live:

        def watch(standing: Standing) -> None:
            live.update(clock.table(standing), refresh=True)

        yield watch


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


class _Clock:
    """Turns generations into what a person wants to know: how fast, how long still."""

    def __init__(self, started: Started) -> None:
        self._started = started
        self._since = time.monotonic()
        self._trials: int | None = None
        self._new = 0

    def facts(self, standing: Standing) -> str:
        """Return trials, speed, share of new programs and the time left, in words."""
        seconds = max(1e-9, time.monotonic() - self._since)
        self._new += standing.new
        done = standing.generation - self._started.done
        left = seconds / done * (self._started.generations - standing.generation)
        return (
            f"{standing.trials:,} trials, {self._new / seconds:,.0f}/s, {standing.unlike / max(1, standing.asked):.0%} "
            f"unlike, {duration(left)} left{_money(standing.spent)}"
        )

    def line(self, standing: Standing) -> str:
        """Return the line of a generation."""
        best = " ".join(f"{value:+.2f}" for value in standing.best)
        middle = " ".join(f"{value:+.2f}" for value in standing.median)
        count = f"{standing.generation}/{self._started.generations}"
        return f"generation {count}  best {best}  median {middle}  {self.facts(standing)}"

    def table(self, standing: Standing) -> Group:
        """Return the table of a generation."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("island", "best", "median"):
            table.add_column(name, justify="right")
        for number, (best, middle) in enumerate(zip(standing.best, standing.median, strict=True)):
            table.add_row(str(number), f"{best:+.3f}", f"{middle:+.3f}")
        share = standing.generation / max(1, self._started.generations)
        bar = "█" * round(30 * share) + "░" * (30 - round(30 * share))
        head = Text(f"{bar}  generation {standing.generation}/{self._started.generations}", style="bold")
        return Group(head, Text(self.facts(standing)), table, Text("Ctrl-C stops; the run can be resumed", style="dim"))


def _money(spent: Spent | None) -> str:
    if spent is None:
        return ""
    each = f", {spent.each:.4f} USD a champion" if isfinite(spent.each) else ""
    return f", {spent.usd:.2f} USD at {spent.rate:.2f}/h{each}"


def duration(seconds: float) -> str:
    """Return a length of time in words: 1 h 02 min, 3 min 20 s, 7 s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def middle(values: list[float]) -> float:
    """Return the median; NaN of nothing."""
    return median(values) if values else float("nan")
