"""Socket limits: what the venue would answer by cutting every feed is refused here, and paced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import Denied
from quantga.venue.sockets import SocketBudget, SocketLimits


def test_counts_are_kept():
    budget = SocketBudget(SocketLimits(sockets=2, subscriptions=3, users=1, posts=1))
    budget.open(0.0)
    budget.open(0.0)
    with pytest.raises(Denied, match="share one"):
        budget.open(0.0)
    budget.close()
    budget.open(0.0)
    budget.subscribe("0xa")
    budget.subscribe("0xa")
    with pytest.raises(Denied, match="users"):
        budget.subscribe("0xb")
    budget.unsubscribe("0xa")
    budget.unsubscribe("0xa")
    budget.subscribe("0xb")
    budget.subscribe()
    budget.subscribe()
    with pytest.raises(Denied, match="subscriptions"):
        budget.subscribe()
    budget.post()
    with pytest.raises(Denied, match="unanswered"):
        budget.post()
    budget.answered()
    budget.post()


@given(gaps=st.lists(st.floats(0, 30), min_size=1, max_size=80), most=st.integers(1, 10))
def test_no_minute_holds_more_than_the_limit(gaps, most):
    budget, now, sent = SocketBudget(SocketLimits(messages=most)), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + budget.message(now))
    assert sent == sorted(sent)
    for at in sent:
        assert sum(at - 60 < other <= at for other in sent) <= most
