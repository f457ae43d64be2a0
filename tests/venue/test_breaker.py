"""The breaker: opens after failures in a row, probes one at a time, lets what reduces risk through, closes on success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import Denied
from quantga.venue.breaker import Breaker


def opened(failures: int = 3) -> Breaker:
    breaker = Breaker("market data", failures=3)
    for _ in range(failures):
        breaker.failed(100.0)
    return breaker


def test_it_opens_after_failures_in_a_row_only():
    breaker = Breaker("x", failures=3)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.condition(0.0) == "closed"
    assert breaker.opened == 0


def test_open_it_says_when_to_come_back_and_then_lets_one_try():
    breaker = opened()
    assert breaker.condition(100.0) == "open"
    with pytest.raises(Denied, match=r"market data fails: nothing was sent, the next try is in 0\.\d s"):
        breaker.enter(100.0, vital=False)
    assert breaker.condition(101.0) == "half-open"
    breaker.enter(101.0, vital=False)
    with pytest.raises(Denied):
        breaker.enter(101.0, vital=False)
    breaker.succeeded()
    assert breaker.condition(101.0) == "closed"
    breaker.enter(101.0, vital=False)
    breaker.enter(101.0, vital=False)


def test_a_failed_probe_opens_it_for_longer():
    pauses = []
    breaker = opened()
    now = 100.0
    for _ in range(8):
        start = now
        while breaker.condition(now) == "open":
            now += 0.01
        pauses.append(now - start)
        breaker.enter(now, vital=False)
        breaker.failed(now)
    assert pauses[0] <= 1.01
    assert 15 <= max(pauses) <= 30.01
    assert breaker.opened == 1


def test_an_abandoned_probe_does_not_block_the_next():
    breaker = opened()
    breaker.enter(102.0, vital=False)
    breaker.abandoned()
    breaker.enter(102.0, vital=False)


def test_what_reduces_risk_always_passes_and_closes_it():
    breaker = opened()
    breaker.enter(100.0, vital=True)
    breaker.enter(100.0, vital=True)
    breaker.succeeded()
    assert breaker.condition(100.0) == "closed"


@given(st.lists(st.sampled_from(["ok", "fail", "ask", "wait"]), max_size=60))
def test_it_always_lets_one_through_in_the_end(steps):
    breaker, now, inside = Breaker("x", failures=2), 0.0, False
    for step in steps:
        now += 40.0 if step == "wait" else 0.1
        if step == "ask" and not inside:
            try:
                breaker.enter(now, vital=False)
                inside = True
            except Denied:
                assert breaker.condition(now) == "open"
        elif inside and step in ("ok", "fail"):
            inside = False
            breaker.succeeded() if step == "ok" else breaker.failed(now)
    if not inside:
        breaker.enter(now + 31.0, vital=False)
