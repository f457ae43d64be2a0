"""How much a call may spend: money, time of day, minutes; and what has been spent, from the price of every node there is.

Pure: clocks and node counts are arguments. A generation is begun only if one like the last still fits, so that a run ends
at a boundary before its budget does, with everything paid for committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf, isfinite

from quantga.errors import ConfigError

OTHER = "other"
"""The type of a node that says none, and the price of every node whose own type has none."""
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Budget:
    """What may be spent: `usd` on the run, all calls together; `until`, seconds since 1970, by this call."""

    usd: float = inf
    until: float = inf

    @classmethod
    def of(cls, usd: float | None, until: str, max_minutes: float | None, now: float) -> Budget:
        """Return the budget that a person asks for; `until` is HH:MM (UTC, the next such time) or YYYY-MM-DDTHH:MM.

        Raises:
            ConfigError: money or minutes are not above zero, or the time is none or past.
        """
        for name, value in (("--budget-usd", usd), ("--max-minutes", max_minutes)):
            if value is not None and not (isfinite(value) and value > 0):
                raise ConfigError(f"{name} {value:g}: give more than nothing")
        ends = [inf if max_minutes is None else now + 60 * max_minutes, _instant(until, now) if until else inf]
        return cls(inf if usd is None else usd, min(ends))

    def require_prices(self, prices: Mapping[str, float]) -> None:
        """Raise ConfigError where money is limited and nothing has a price."""
        if self.usd < inf and not prices:
            raise ConfigError("--budget-usd needs the price of a node: set [cluster] usd_per_hour = {other = 0.25}")

    def reached(self, spent: float, now: float, usd: float, seconds: float) -> str:
        """Return why a further generation, of `usd` and `seconds` if it is like the last, is not begun; "" if it may be."""
        if spent + usd > self.usd:
            return f"{spent:.2f} of {self.usd:g} USD are spent, and a generation takes {usd:.2f}"
        if now + seconds > self.until:
            end = datetime.fromtimestamp(self.until, UTC)
            takes = f"a generation takes {seconds:.0f} s, and " if seconds else ""
            return f"{takes}the time is up at {end:%H:%M:%S} UTC"
        return ""


UNLIMITED = Budget()


def _instant(text: str, now: float) -> float:
    today = datetime.fromtimestamp(now, UTC)
    try:
        if "T" in text:
            asked = datetime.fromisoformat(text)
            end = asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked
        else:
            clock = datetime.strptime(text, "%H:%M").replace(tzinfo=UTC)
            end = today.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
            end += timedelta(days=end <= today)
    except ValueError:
        raise ConfigError(f"--until {text!r} is no time: give 07:00 (UTC) or 2026-01-31T07:00") from None
    if end <= today:
        raise ConfigError(f"--until {text} is past: it is {today:%Y-%m-%dT%H:%M} UTC")
    return end.timestamp()


def usd_per_hour(nodes: Mapping[str, int], prices: Mapping[str, float]) -> float:
    """Return what nodes cost an hour: `nodes` counts them by type, `prices` are USD an hour of one, `other` for the rest.

    Raises:
        ConfigError: a type has no price.
    """
    unpriced = [name for name in nodes if name not in prices and OTHER not in prices]
    if unpriced:
        raise ConfigError(
            f"a node of type {unpriced[0]!r} has no price: set [cluster] usd_per_hour = {{{unpriced[0]} = 0.25}}, "
            f"or a price for {OTHER!r}"
        )
    return sum(count * prices.get(name, prices.get(OTHER, 0.0)) for name, count in nodes.items())


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far: `usd` in all, `rate` USD an hour now, `each` USD for each champion there is (inf: none)."""

    usd: float
    rate: float
    each: float


@dataclass
class Meter:
    """Adds up what nodes cost: between two readings, the time times the mean of both rates."""

    now: float
    rate: float
    usd: float = 0.0
    lap_usd: float = field(default=0.0, init=False)
    lap_seconds: float = field(default=0.0, init=False)

    def read(self, now: float, rate: float) -> float:
        """Take the rate of the nodes that are there now; return USD since the start. The lap is since the last reading."""
        self.lap_seconds = max(0.0, now - self.now)
        self.lap_usd = self.lap_seconds / _HOUR_S * (self.rate + rate) / 2
        self.usd += self.lap_usd
        self.now, self.rate = now, rate
        return self.usd
