"""How long the feed waits before it asks, doubts and compares, and what it counts: the numbers of docs/feed.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """How long is waited. Seconds are ours; milliseconds are the venue's."""

    hole: float = 1.2
    """Silence of a coin (s) after which frames may have been lost: its fast book comes each 0.5 s."""
    settle: float = 0.1
    """How long (s) a bar that is followed by another may contradict the trades before REST is asked."""
    patience: int = 1500
    """How far (ms) the venue's clock goes past a close without a next candle before REST is asked."""
    least: float = 0.25
    """Seconds that pass on our own clock besides: a replay's clock may run fast."""
    margin: int = 1000
    """How far (ms) the venue's clock must be past a close when an answer is asked for that has no later candle."""
    retry: float = 0.5
    """The first pause (s) after an answer that did not settle the matter, or failed; it doubles, up to `longest`."""
    longest: float = 30.0
    audit: float = 3600.0
    """Seconds after which bars proven by frames are compared with an answer; what differs is counted as revised."""


@dataclass(slots=True)
class Counts:
    """What went on, in numbers."""

    stream: int = 0
    """bars proven by frames"""
    rest: int = 0
    """bars proven by an answer"""
    absent: int = 0
    """bars in which nobody traded"""
    stale: int = 0
    """candles that were older than what was known"""
    revised: int = 0
    """candles that differ from the bar already told"""
    holes: int = 0
    """silences of a coin"""
    doubted: int = 0
    """answers that contradicted the trades"""
    disagreed: int = 0
    """such answers, repeated, and therefore believed"""
    asked: int = 0
    failed: int = 0
    unknowable: int = 0
    """bars that the venue no longer tells"""
    strange: int = 0
    """times too far ahead to be true"""
