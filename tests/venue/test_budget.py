"""The budget under random loads and an injected clock: the venue's window holds, stops do not wait, nothing is lost."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantga.errors import Denied
from quantga.venue.budget import ALONE, Budget, Limits, Ticket
from quantga.venue.protocol import Priority

RISK, RECONCILE, ORDERS, DATA = Priority
PATIENT = replace(Limits(), patience=(1e9, 1e9, 1e9, 1e9))
WEIGHTS = {RISK: (1, 2), RECONCILE: (2, 20, 21, 120), ORDERS: (1, 2, 5), DATA: (2, 20, 104)}


class World:
    """A venue that counts weight at some moment between sending and answer, and a budget in front of it."""

    def __init__(self, seed: int, limits: Limits) -> None:
        self.dice, self.budget, self.now = random.Random(seed), Budget(limits), 0.0
        self.flying: list[tuple[float, int, Ticket]] = []
        self.counted: list[tuple[float, int]] = []
        self.left: list[Ticket] = []
        self.number = 0

    def offer(self, priority: Priority, weight: int, actions: int = 0) -> Ticket:
        ticket = Ticket(priority, weight, actions, False, self.now)
        self.budget.offer(ticket)
        self.pump()
        return ticket

    def pump(self) -> None:
        for ticket in self.budget.admit(self.now):
            answered = self.now + self.dice.uniform(0.01, 3.0)
            self.counted.append((self.dice.uniform(self.now, answered), ticket.weight))
            self.number += 1
            heapq.heappush(self.flying, (answered, self.number, ticket))
            self.left.append(ticket)

    def run(self, until: float) -> None:
        while True:
            answer = self.flying[0][0] if self.flying else float("inf")
            at = min(answer, max(self.budget.wake(self.now), self.now + 1e-6))
            if at > until:
                self.now = until
                return
            self.now = at
            if at == answer:
                self.budget.settle(heapq.heappop(self.flying)[2], at)
            self.pump()

    def worst_minute(self) -> int:
        times = sorted(self.counted)
        worst = total = low = 0
        for time, weight in times:
            total += weight
            while times[low][0] <= time - 60:
                total -= times[low][1]
                low += 1
            worst = max(worst, total)
        return worst


def overload(seed: int, limits: Limits, seconds: int = 130) -> tuple[World, int]:
    """Five times the venue's weight, of all priorities."""
    world = World(seed, limits)
    offered = 0
    for second in range(seconds):
        weight = 0
        while weight < 100:
            priority = world.dice.choices(list(Priority), (1, 4, 4, 12))[0]
            one = world.dice.choice(WEIGHTS[priority])
            world.offer(priority, one)
            weight, offered = weight + one, offered + 1
            world.run(second + weight / 100)
        world.run(second + 1.0)
    return world, offered


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_the_venues_minute_is_never_exceeded_and_stops_never_wait(seed):
    limits = PATIENT
    world, _ = overload(seed, limits)
    assert world.worst_minute() <= limits.weight - limits.outside
    waits = {p: [t.admitted - t.offered for t in world.left if t.priority == p] for p in Priority}
    # Those that reduce risk weigh less than their reserve here, so that not one of them may wait at all.
    assert max(waits[RISK]) == 0.0
    assert world.budget.waiting(DATA) > 100  # the load was one: downloads do wait
    for priority in Priority:
        order = [t.offered for t in world.left if t.priority == priority]
        assert order == sorted(order)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_lost_once_the_load_ends(seed):
    world, offered = overload(seed, PATIENT, seconds=20)
    world.run(10_000)
    assert len(world.left) == offered
    assert not world.flying
    assert world.budget.used(world.now) == 0


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), risk=st.integers(1, 150))
def test_the_share_of_stops_is_there_whatever_the_others_do(seed, risk):
    world = World(seed, PATIENT)
    for _ in range(300):
        world.offer(world.dice.choice([RECONCILE, ORDERS, DATA]), 20)
        world.run(world.now + world.dice.uniform(0, 0.5))
    stop = world.offer(RISK, risk)
    assert stop.admitted == world.now


def test_without_shares_a_download_has_the_whole_minute():
    world = World(1, ALONE)
    for _ in range(12):
        world.offer(DATA, 100)
    world.run(30)
    assert sum(ticket.weight for ticket in world.left) == 1_200
    world.offer(DATA, 100)
    world.run(59)
    assert len(world.left) == 12
    world.run(70)
    assert len(world.left) == 13


def test_lower_priorities_do_not_pass_a_heavy_request_that_waits():
    world = World(1, replace(Limits(), shares=(0, 0, 0, 0), outside=0, parallel=(99, 99, 99, 99)))
    for _ in range(11):
        world.offer(DATA, 104)
    heavy, light = world.offer(RECONCILE, 120), world.offer(DATA, 2)
    assert heavy.admitted < 0
    assert light.admitted < 0
    world.run(70)
    assert 0 < heavy.admitted <= light.admitted


def test_downloads_run_few_at_a_time():
    world = World(1, Limits())
    for _ in range(20):
        world.offer(DATA, 2)
    assert len(world.left) == Limits().parallel[DATA]


def test_what_could_never_leave_is_denied_at_once():
    with pytest.raises(Denied, match="weight 451"):
        World(1, Limits()).offer(DATA, 451)


def test_the_accounts_actions_are_kept_for_reducing_risk():
    world = World(1, replace(Limits(), actions=600, kept_actions=500))
    world.offer(ORDERS, 1, actions=100)
    with pytest.raises(Denied, match="0 actions left"):
        world.offer(ORDERS, 1, actions=1)
    assert world.offer(RISK, 1, actions=500).admitted == 0
    paced = [world.offer(RISK, 1, actions=1) for _ in range(3)]
    world.run(60)
    assert [ticket.admitted for ticket in paced] == [0.0, 11.0, 22.0]
    assert world.offer(RISK, 2).admitted == world.now  # a question costs no action
    world.budget.observe(used=700, cap=2_000)
    assert world.offer(ORDERS, 1, actions=800).admitted == world.now


def test_cancels_have_more_actions():
    budget = Budget(replace(Limits(), actions=600))
    budget.observe(used=700, cap=600)
    with pytest.raises(Denied):
        budget.offer(Ticket(ORDERS, 1, 1, False, 0.0))
    ticket = Ticket(ORDERS, 1, 1, True, 0.0)
    with pytest.raises(Denied):
        budget.offer(ticket)  # 1,200 - 700 are those kept for reducing risk
    budget.observe(used=699, cap=600)
    budget.offer(ticket)
    with pytest.raises(Denied):
        budget.offer(Ticket(ORDERS, 1, 1, True, 0.0))  # the one in the queue has the last
    budget.withdraw(ticket)
    budget.offer(ticket)
    assert budget.admit(0.0) == [ticket]


def test_after_a_429_all_are_silent_but_stops_try_soon():
    world = World(1, Limits())
    world.budget.refused(0.0)
    data, stop = world.offer(DATA, 2), world.offer(RISK, 1)
    world.run(60)
    assert (stop.admitted, data.admitted) == (1.0, 2.0)
    for _ in range(10):
        world.budget.refused(world.now)
    data = world.offer(DATA, 2)
    world.run(200)
    assert data.admitted == 120.0
    world.budget.accepted()
    world.budget.refused(world.now)
    data = world.offer(DATA, 2)
    world.run(210)
    assert data.admitted == 202.0


def test_one_who_gives_up_leaves_the_queue():
    world = World(1, Limits())
    for _ in range(Limits().parallel[DATA]):
        world.offer(DATA, 2)
    ticket = world.offer(DATA, 2)
    assert world.budget.waiting(DATA) == 1
    world.budget.withdraw(ticket)
    world.run(100)
    assert ticket.admitted < 0
    assert not world.budget.waiting(DATA)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_no_priority_starves_under_overload(seed):
    """Each has its share of every minute, whatever the others ask for."""
    world, _ = overload(seed, PATIENT)
    asked = [t for queue in world.budget._queues for t in queue] + world.left
    for priority in Priority:
        wanted = sum(t.weight for t in asked if t.priority == priority and t.offered < 60)
        had = sum(t.weight for t in world.left if t.priority == priority and t.admitted < 125)
        assert had >= min(wanted, PATIENT.shares[priority] - max(WEIGHTS[priority]))


def test_a_share_is_used_past_a_heavy_request_that_waits():
    world = World(1, Limits())
    for _ in range(60):
        world.offer(RECONCILE, 20)
    assert world.budget.waiting(RECONCILE)
    order = world.offer(ORDERS, 1)
    assert order.admitted == world.now  # out of the orders' own share
    stop = world.offer(RISK, 200)
    assert stop.admitted == world.now


def test_an_order_that_would_wait_too_long_is_refused_with_the_time():
    world = World(1, Limits())
    for _ in range(100):
        world.offer(ORDERS, 5)
        world.run(world.now + 0.2)
    assert world.budget.used(world.now) == 500
    with pytest.raises(Denied, match=r"nothing was sent: there is room in about 4\d s"):
        world.offer(ORDERS, 5)
    world.run(65.0)
    assert world.offer(ORDERS, 5).admitted >= 0
    stop = world.offer(RISK, 1)
    assert stop.admitted == world.now
