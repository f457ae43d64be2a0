"""The bench's own verdict, in full: under five times the limit a stop does not wait. It takes three minutes."""

from __future__ import annotations

import pytest

from quantga.venue.bench import measure


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_a_stop_does_not_wait_under_five_times_the_limit():
    said = []
    found = measure(75.0, said.append)
    assert len(said) == 2
    assert found["none"]["offered_weight_a_minute"] > 4.5 * found["limit_a_minute"]
    assert found["none"]["refused_429"] > 0
    assert found["budget"]["refused_429"] == 0
    assert found["budget"]["weight_used"] <= 2 * found["limit_a_minute"]
    assert found["budget"]["risk"]["gave_up"] == 0
    assert found["risk_worst_beyond_venue_ms"] <= 100
    assert found["none"]["risk"]["worst_wait_beyond_venue_ms"] > 10_000
    assert found["requests_saved"] > 0
