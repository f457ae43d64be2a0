"""The desk over a wire with faults: sharing, urgency, cancellation, breakers, and its figures."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from quantga.errors import Denied, Unknown
from quantga.venue.budget import Limits
from quantga.venue.desk import Desk
from quantga.venue.hyperliquid import weights
from quantga.venue.protocol import Priority
from quantga.venue.wire import Ask, Reply

RISK, RECONCILE, ORDERS, DATA = Priority


class Line:
    """A wire that answers after a while with what it is told to."""

    def __init__(self) -> None:
        self.sent, self.answer, self.pause = [], 200, 0.02
        self._more = asyncio.Event()

    async def until(self, count):
        """Wait until so many were sent."""
        while len(self.sent) < count:
            self._more.clear()
            await self._more.wait()

    async def send(self, ask):
        self.sent.append(ask)
        self._more.set()
        await asyncio.sleep(self.pause)
        if self.answer == 0:
            raise Unknown("no answer")
        return Reply(self.answer, b"[]", 0)


def ask(body=b"a", priority=DATA, weight=2, endpoint="market", keep=0.0, actions=0):
    return Ask(endpoint, "x", body, priority, weight, actions=actions, keep=keep)


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def desk(line):
    return Desk(line, lambda asked, _: asked.weight)


async def test_who_asks_the_same_shares_the_answer(desk, line):
    replies = await asyncio.gather(*(desk.send(ask(keep=600)) for _ in range(20)))
    assert len(set(map(id, replies))) == 1
    await desk.send(ask(keep=600))
    assert len(line.sent) == 1
    assert desk.state().saved == 20
    await desk.send(ask(b"other", keep=0.01))
    await asyncio.sleep(0.02)
    await desk.send(ask(b"other", keep=0.01))
    assert len(line.sent) == 3


async def test_an_accounts_answers_serve_only_who_asked_before_the_question_left(desk, line):
    together = [asyncio.ensure_future(desk.send(ask(endpoint="account"))) for _ in range(3)]
    await line.until(1)
    later = asyncio.ensure_future(desk.send(ask(endpoint="account")))
    await asyncio.gather(*together, later)
    assert len(line.sent) == 2
    assert desk.state().saved == 2
    assert later.result() is not together[0].result()
    await asyncio.gather(*(desk.send(ask(endpoint="exchange", actions=1)) for _ in range(3)))
    assert len(line.sent) == 5  # actions never


async def test_an_order_does_not_wait_longer_than_its_patience(line):
    desk = Desk(line, lambda asked, _: asked.weight, replace(Limits(), patience=(9.0, 9.0, 0.05, 9.0)))
    line.pause = 30.0
    flying = [asyncio.ensure_future(desk.send(ask(b"%d" % k, ORDERS, 1, "exchange", actions=1))) for k in range(40)]
    await line.until(Limits().parallel[ORDERS])
    with pytest.raises(Denied, match="nothing was sent"):
        await desk.send(ask(b"late", ORDERS, 1, "exchange", actions=1))
    for task in flying:
        task.cancel()
    await asyncio.gather(*flying, return_exceptions=True)
    assert desk.state().waiting == (0, 0, 0, 0)


async def test_an_urgent_question_does_not_wait_for_a_queued_one(desk, line):
    parallel, line.pause = Limits().parallel[DATA], 2.0
    others = [asyncio.ensure_future(desk.send(ask(b"%d" % k))) for k in range(parallel)]
    await asyncio.sleep(0)
    slow = asyncio.ensure_future(desk.send(ask(b"same", keep=1.0)))
    await asyncio.sleep(0)
    assert len(line.sent) == parallel
    urgent = asyncio.ensure_future(desk.send(ask(b"same", RISK, keep=1.0)))
    await asyncio.sleep(0.001)
    assert line.sent[-1].priority == RISK
    await asyncio.gather(*others, slow, urgent)


async def test_one_who_gives_up_harms_nobody(desk, line):
    first = asyncio.ensure_future(desk.send(ask(keep=1.0)))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(desk.send(ask(keep=1.0)))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200
    assert len(line.sent) == 1
    queued = [asyncio.ensure_future(desk.send(ask(b"%d" % k))) for k in range(20)]
    await asyncio.sleep(0.005)
    for task in queued:
        task.cancel()
    await asyncio.gather(*queued, return_exceptions=True)
    assert desk.state().waiting == (0, 0, 0, 0)
    assert (await desk.send(ask(b"z"))).status == 200


async def test_a_failing_class_is_left_alone_and_the_others_go_on(desk, line):
    line.answer = 502
    for _ in range(5):
        await desk.send(ask())
    assert desk.state().breakers == {"market": "open", "account": "closed", "exchange": "closed"}
    with pytest.raises(Denied, match="nothing was sent"):
        await desk.send(ask())
    assert len(line.sent) == 5
    line.answer = 200
    assert (await desk.send(ask(endpoint="account"))).status == 200
    assert (await desk.send(ask(priority=RISK))).status == 200  # what reduces risk passes, and closes it
    assert desk.state().breakers["market"] == "closed"
    assert desk.state().opened["market"] == 1
    assert desk.state().denied == 1


async def test_no_answer_counts_as_failure_and_its_weight_as_spent(desk, line):
    line.answer = 0
    for _ in range(5):
        with pytest.raises(Unknown):
            await desk.send(ask())
    assert desk.state().breakers["market"] == "open"
    assert desk.state().used == 10


async def test_a_shared_failure_is_told_to_all_and_not_kept(desk, line):
    line.answer = 0
    found = await asyncio.gather(*(desk.send(ask(keep=9.0)) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [Unknown] * 3
    line.answer = 200
    assert (await desk.send(ask(keep=9.0))).status == 200


async def test_a_429_silences_downloads_and_not_the_stop(desk, line):
    line.answer = 429
    assert (await desk.send(ask())).status == 429
    line.answer = 200
    download = asyncio.ensure_future(desk.send(ask()))
    stop = asyncio.ensure_future(desk.send(ask(priority=RISK)))
    assert (await asyncio.wait_for(stop, 1.5)).status == 200
    assert not download.done()
    download.cancel()
    assert desk.state().limited == 1


async def test_true_weights_are_counted_after_the_answer(line):
    desk = Desk(line, lambda _asked, _reply: 20)
    await desk.send(ask(weight=104))
    assert desk.state().used == 20


async def test_a_denied_turn_costs_no_action(line):
    desk = Desk(line, lambda asked, _: asked.weight)
    line.answer, line.pause = 502, 0.05
    asked = [desk.send(ask(b"%d" % k, ORDERS, 1, "exchange", actions=1)) for k in range(40)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    denied = sum(isinstance(one, Denied) for one in found)
    assert denied == 8  # those in the queue when the breaker opened
    assert desk.state().actions_used == 32


async def test_the_accounts_budget_is_learned_from_the_venues_own_answer(line, monkeypatch):
    desk = Desk(line, weights.actual, learn=weights.learned)
    body = b'{"cumVlm":"2854574.593578","nRequestsUsed":2890,"nRequestsCap":2864574,"nRequestsSurplus":0}'

    async def send(_asked):
        return Reply(200, body, 0)

    monkeypatch.setattr(line, "send", send)
    question = Ask("account", "userRateLimit", b"{}", RECONCILE, 20)
    await desk.send(question)
    assert (desk.state().actions_used, desk.state().actions_cap) == (2_890, 2_864_574)
    body = b'{"cumVlm":"?"}'
    await desk.send(question)
    assert desk.state().actions_cap == 2_864_574
