"""How a validation shows itself while it goes, on standard error: how many surrogate searches, what they say, time left."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from quantga.cluster.progress import duration
from quantga.trust.mining import Stop


class Asked(Protocol):
    """Is told what each surrogate search answered, in order; `new`: it was run just now."""

    def answered(self, score: float, *, new: bool) -> None:
        """Take one answer."""


class Show(Protocol):
    """Whoever looks on."""

    def say(self, sentence: str) -> None:
        """Take a sentence."""

    def asks(self, score: float, stop: Stop) -> Asked:
        """Take that surrogate searches begin, to be compared with a champion's `score`."""


class Silent:
    """Shows nothing."""

    def say(self, sentence: str) -> None:
        """Say nothing."""

    def asks(self, score: float, stop: Stop) -> Asked:
        """Look away."""
        del score, stop
        return self

    def answered(self, score: float, *, new: bool) -> None:
        """Say nothing."""


class Spoken:
    """Shows a validation on standard error: one line that is rewritten on a terminal, else a line every so often."""

    def __init__(self) -> None:
        self._counts = Standing(float("nan"), Stop())
        self._live = sys.stderr.isatty()

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own."""
        sys.stderr.write(("\r\x1b[2K" if self._live else "") + sentence + "\n")
        sys.stderr.flush()

    def asks(self, score: float, stop: Stop) -> Asked:
        """Say what begins."""
        self.say(
            f"the champion scores {score:.2f}; the whole search again on markets where nothing can be found, until {stop.exceedances} "
            f"of them do as well, {stop.most} at the most:"
        )
        self._counts = Standing(score, stop)
        return self

    def answered(self, score: float, *, new: bool) -> None:
        """Show how far it is."""
        self._counts.take(score, new=new)
        line = self._counts.line()
        if self._live:
            sys.stderr.write("\r\x1b[2K" + line)
            sys.stderr.flush()
        elif self._counts.worth_a_line():
            self.say(line)


class Standing:
    """Counts the answers and reckons what is still to come."""

    def __init__(self, score: float, stop: Stop) -> None:
        self._score, self._stop = score, stop
        self._count = self._above = self._new = 0
        self._since = time.monotonic()
        self._said = 0.0

    def take(self, score: float, *, new: bool) -> None:
        """Take one answer."""
        self._count += 1
        self._new += new
        self._above += score >= self._score

    def line(self) -> str:
        """Return where it stands, in words."""
        left = f", about {duration(self._seconds_left())} left" if self._new and self._to_come() else ""
        return f"{self._count} surrogate searches, {self._above} did as well{left}"

    def worth_a_line(self) -> bool:
        """Tell whether enough has happened for another line: a decision, or some seconds."""
        now = time.monotonic()
        if not self._to_come() or self._count == 1 or now - self._said > 10:
            self._said = now
            return True
        return False

    def _to_come(self) -> float:
        if self._above >= self._stop.exceedances or self._count >= self._stop.most:
            return 0
        rate = (self._above + 0.5) / (self._count + 1)
        return min(self._stop.most - self._count, (self._stop.exceedances - self._above) / rate)

    def _seconds_left(self) -> float:
        return (time.monotonic() - self._since) / self._new * self._to_come()
