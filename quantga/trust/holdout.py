"""The locked window: where it begins, what keeps it apart from the search, and the rule that it answers once.

A holdout is worth something because nobody has looked. So looks are counted against the asset and the time that they
opened, not against a dataset: one more bar, another venue or another bar length does not make it fresh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from quantga.errors import ConfigError, DataError, LockedBars
from quantga.lang.bars import DAY_MS

HOLDING = 30 * DAY_MS
"""How long a position is reckoned to last, for the embargo, where a program sets no limit (ms)."""

SHORTEST = 90 * DAY_MS
"""A holdout below this (ms) is none."""

PROVABLE = 365 * DAY_MS
"""A holdout below this (ms) promotes nothing."""

LEAST_LEVEL = 0.001
"""A look at a level below this is not granted: no evidence that one look can give would pass."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bars of one base asset from `start` to `end` (ms UTC, [start, end)), of bars of `interval` ("1h")."""

    asset: str
    interval: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.asset or self.start >= self.end:
            raise ConfigError(f"a span of {self.asset or 'no asset'} from {self.start} to {self.end} holds nothing")

    def overlaps(self, other: Span) -> bool:
        """Return whether both hold a moment of the same asset: other bar lengths are the same history."""
        return self.asset == other.asset and self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{self.asset} {self.interval} from {day(self.start)} to {day(self.end)}"


@dataclass(frozen=True, slots=True)
class Look:
    """An opened holdout: which run opened it, where, and the level that it was given."""

    run: str
    spans: tuple[Span, ...]
    level: float


@dataclass(frozen=True, slots=True)
class Search:
    """A search that read bars: which run, where, and how many programs it appraised there."""

    run: str
    spans: tuple[Span, ...]
    trials: int


@dataclass(frozen=True, slots=True)
class Split:
    """A history in three parts, ms UTC: the search's [start, end), nothing until `opens`, the holdout [opens, closes)."""

    start: int
    end: int
    opens: int
    closes: int

    @property
    def provable(self) -> bool:
        """Whether the holdout is a year or more: below, nothing is promoted."""
        return self.closes - self.opens >= PROVABLE

    @property
    def years(self) -> tuple[float, float]:
        """Years of 365 days of search and of holdout."""
        return (self.end - self.start) / (365 * DAY_MS), (self.closes - self.opens) / (365 * DAY_MS)


def embargo(lookback: int, max_hold: int, interval: int) -> int:
    """Return how long (ms) the holdout keeps away from the search: what programs remember and how long they hold.

    Args:
        lookback: bars that the longest memory of the shortlist reaches back.
        max_hold: bars that a position lasts at most; 0 is without limit and counts as 30 days.
        interval: of a bar, ms.
    """
    return lookback * interval + (max_hold * interval or HOLDING)


def split(searched: tuple[int, int], locked: tuple[int, int], needed: int, given: int | None = None) -> Split:
    """Return the parts of a history whose `searched` part was read and whose `locked` part was not ([start, end), ms).

    Args:
        searched: what the search read.
        locked: the locked bars.
        needed: the embargo that the shortlist needs, ms.
        given: another embargo, ms; None takes `needed`.

    Raises:
        ConfigError: the search read locked bars, or the embargo given is shorter than the one needed.
        DataError: what is left for the holdout is too short to say anything.
    """
    if searched[1] > locked[0]:
        raise ConfigError(
            f"the search read bars to {day(searched[1])}, and the holdout begins {day(locked[0])}: a holdout inside what was "
            "searched proves nothing; search again without it"
        )
    if given is not None and given < needed:
        raise ConfigError(
            f"an embargo of {given / DAY_MS:.1f} days is shorter than what these programs remember and hold "
            f"({needed / DAY_MS:.1f} days): give at least that"
        )
    opens = max(locked[0], searched[1] + (needed if given is None else given))
    if locked[1] - opens < SHORTEST:
        left = max(locked[1] - opens, 0) / DAY_MS
        raise DataError(
            f"{left:.0f} days are left for a holdout after the embargo: at least {SHORTEST // DAY_MS} are needed; import "
            "more history, or search an earlier part of it"
        )
    return Split(searched[0], searched[1], opens, locked[1])


@dataclass(frozen=True, slots=True)
class Permission:
    """That a holdout may be opened, at which level, as which look at it, and in words."""

    level: float
    number: int
    words: str


def may_look(
    spans: Sequence[Span], looks: Sequence[Look], searches: Sequence[Search], alpha: float, *, second_look: bool
) -> Permission:
    """Return the permission to open the holdout `spans`.

    The first look has level alpha, each further one at the same bars half of the one before, so that all looks at one
    window together promote a false discovery with at most 2 alpha.

    Args:
        spans: the holdout, one span per asset.
        looks: every look of the ledger.
        searches: every search of the ledger.
        alpha: the level of a first look.
        second_look: whether the user has asked to spend more of it.

    Raises:
        LockedBars: a search has read these bars, or they were opened before and no second look was asked for, or none is
            left.
        ConfigError: no span, or an alpha that is no level.
    """
    if not spans or not 0 < alpha <= 0.5:
        raise ConfigError(f"a look needs a holdout and a level within (0, 0.5], not {len(spans)} spans at {alpha}")
    for search in searches:
        for span in _common(spans, search.spans):
            raise LockedBars(
                f"run {search.run} has searched {span}, which is part of this holdout: what was searched cannot answer; "
                "wait for new bars"
            )
    earlier = [look for look in looks if _common(spans, look.spans)]
    level = alpha / 2 ** len(earlier)
    if not earlier:
        return Permission(level, 1, f"first look at {', '.join(map(str, spans))}: level {level:g}")
    last = earlier[-1]
    opened = f"{_common(spans, last.spans)[0]} was opened by run {last.run}"
    if not second_look:
        raise LockedBars(
            f"{opened}: a holdout answers once. --second-look spends more of its level ({level:g} instead of {alpha:g}); "
            "new bars make a new holdout"
        )
    if level < LEAST_LEVEL:
        raise LockedBars(f"{opened}, look number {len(earlier)}: its level is spent; wait for new bars")
    return Permission(level, len(earlier) + 1, f"look number {len(earlier) + 1}: {opened}; level {level:g}")


def _common(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    return [other for other in others if any(span.overlaps(other) for span in spans)]


def online_levels(p_values: Sequence[float], alpha: float = 0.05) -> list[float]:
    """Return the level of each p-value and of the next, by LORD++ (Ramdas and others 2017): false discovery rate alpha.

    Only for looks at holdouts that have no moment in common: the p-values have to be independent. Half of alpha is the
    initial wealth. The last number is the level of the look that has not been made yet.
    """
    gamma = _gamma(len(p_values) + 1)
    wealth = alpha / 2
    found: list[int] = []
    levels = []
    for number in range(1, len(p_values) + 2):
        level = gamma[number - 1] * wealth
        for order, at in enumerate(found):
            level += (alpha - wealth if order == 0 else alpha) * gamma[number - at - 1]
        levels.append(level)
        if number <= len(p_values) and p_values[number - 1] <= level:
            found.append(number)
    return levels


_GAMMA_SUM = 12.64511
"""Sum over all j of log(max(j, 2)) / (j exp(sqrt(log j))): 500,000 terms, then the integral."""


def _gamma(count: int) -> list[float]:
    return [math.log(max(j, 2)) / (j * math.exp(math.sqrt(math.log(j)))) / _GAMMA_SUM for j in range(1, count + 1)]


def day(ms: int) -> str:
    """Return the UTC date of an instant."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
