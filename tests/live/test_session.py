"""A session is the fold of its journal: at every point, written and read again, told twice, or killed in between."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import DataError
from quantga.live.journal import Entry, Journal, read
from quantga.live.orders import Fact, Intent, Phase, Purpose, cloid_of
from quantga.live.session import (
    Asked,
    Began,
    Crossed,
    Equity,
    Event,
    Halt,
    Moved,
    Resumed,
    Session,
    Used,
    event_of,
    fold,
    told,
)
from quantga.venue.account import Fill, FundingPayment, OrderRequest, Stamp, Trigger

NONE = Decimal(0)
LOT = Decimal("0.001")
DAY = 86_400_000
TARGET = cloid_of("0xa", "s", "BTC", 1, Purpose.TARGET, 0)
STOP = cloid_of("0xa", "s", "BTC", 1, Purpose.STOP, 0)


def asked(cloid: str, size: str, *, buy: bool, purpose: Purpose, left: dict[str, int], nonce: int = 1_000) -> Asked:
    """Return an order that was decided."""
    trigger = Trigger(Decimal(90), take=False) if purpose == Purpose.STOP else None
    request = OrderRequest("BTC", buy, Decimal(100), Decimal(size), "Gtc", purpose == Purpose.STOP, trigger, cloid)
    return Asked(Intent(1, purpose, 0, request, Stamp(nonce, nonce + 5_000)), left)


def fill(cloid: str, size: str, tid: int, *, buy: bool, px: str = "100", fee: str = "0.01") -> Fill:
    """Return a fill."""
    return Fill(
        "BTC", 2_000, tid, 42, cloid, buy, Decimal(px), Decimal(size), NONE, "", NONE, Decimal(fee), "USDC", True, "0x1"
    )  # fmt: skip


STORY: list[tuple[int, Event]] = [
    (0, Began("0xa", "s", {"a": Decimal(600), "b": Decimal(400)}, {"BTC": LOT}, {}, Decimal(1_000))),
    (1, Crossed("BTC", {"a": 30, "b": -10}, Decimal(100))),
    (1, asked(TARGET, "0.02", buy=True, purpose=Purpose.TARGET, left={"a": 20, "b": 0})),
    (2, fill(TARGET, "0.005", 1, buy=True)),
    (2, Fact(TARGET, Phase.UNKNOWN)),
    (3, fill(TARGET, "0.005", 1, buy=True)),
    (3, fill(TARGET, "0.015", 2, buy=True)),
    (4, asked(STOP, "0.02", buy=False, purpose=Purpose.STOP, left={}, nonce=2_000)),
    (4, Used(2_500)),
    (5, FundingPayment("BTC", 3_600_000, Decimal("-0.000125"), Decimal("0.02"), Decimal("0.0000125"))),
    (5, FundingPayment("BTC", 3_600_000, Decimal("-0.000125"), Decimal("0.02"), Decimal("0.0000125"))),
    (6, Equity(Decimal(1_010))),
    (7, Equity(Decimal(2_000), Decimal(1_000))),
    (8, Halt("BTC", "why not")),
    (DAY, Equity(Decimal(1_900))),
    (DAY, fill(STOP, "0.02", 3, buy=False, px="90")),
    (DAY, Resumed("BTC")),
]
ENTRIES = [Entry(i, time, *event_of(event)) for i, (time, event) in enumerate(STORY)]


def test_the_story_adds_up() -> None:
    end = fold(ENTRIES)
    assert end.book.held("BTC") == {"a": 0, "b": 0}
    assert end.orders[TARGET].phase == end.orders[STOP].phase == Phase.FILLED
    cash = sum((sleeve.cash for sleeve in end.book.sleeves.values()), NONE)
    assert cash == 1_000 + Decimal("0.02") * (90 - 100) - 3 * Decimal("0.01") - Decimal("0.000125")
    assert end.nonce == 2_500
    assert (end.stamp(1), end.stamp(9_000)) == (2_501, 9_000)
    assert end.halts == {}


def test_a_deposit_is_no_profit_and_a_new_day_starts_afresh() -> None:
    before = fold(ENTRIES[:13])
    assert (before.day_start, before.peak, before.equity) == (Decimal(2_000), Decimal(2_010), Decimal(2_000))
    after = fold(ENTRIES[13:15], before)
    assert (after.day, after.day_start, after.peak) == (1, Decimal(1_900), Decimal(2_010))
    assert after.halted("BTC")
    assert not after.halted("ETH")


@given(st.integers(1, len(ENTRIES) - 1))
def test_recovered_at_any_point_it_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    assert fold(ENTRIES[cut:], fold(ENTRIES[:cut])) == fold(ENTRIES)


def test_every_event_survives_the_disk(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        for time, event in STORY:
            journal.append(time, event_of(event), ("bar", {"close": 1.0}))
    entries, damage = read(tmp_path / "journal")
    assert damage is None
    assert [one for one in map(told, entries) if one is not None] == [event for _, event in STORY]
    assert fold(entries) == fold(ENTRIES)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "is empty"),
        (ENTRIES[1:], "how the session began"),
        ([*ENTRIES, ENTRIES[0]], "a second time"),
        ([ENTRIES[0], ENTRIES[3]], "not in the journal"),
        ([*ENTRIES[:3], Entry(3, 2, *event_of(fill(TARGET, "0.0005", 1, buy=True)))], "whole lots"),
    ],
)
def test_a_journal_that_makes_no_sense_is_refused(entries: list[Entry], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        fold(entries)


def test_a_halt_keeps_its_first_reason_until_it_is_resumed() -> None:
    began: Session = fold(ENTRIES[:1])
    twice = fold([Entry(1, 1, *event_of(Halt("", "first"))), Entry(2, 1, *event_of(Halt("", "second")))], began)
    assert twice.halts == {"": "first"}
    assert twice.halted("anything")
    assert not fold([Entry(3, 1, *event_of(Resumed("")))], twice).halted("anything")


def test_orders_that_ended_long_ago_leave_and_what_they_added_up_to_stays() -> None:
    """A long session costs no more than a short one, and no order's name comes twice."""
    entries = ENTRIES[:2]
    for number in range(600):
        cloid = cloid_of("0xa", "s", "BTC", number, Purpose.TARGET, 0)
        time, buy, left = number * 60_000, number % 2 == 0, {"a": 10 if number % 2 == 0 else -10, "b": 0}
        one = asked(cloid, "0.01", buy=buy, purpose=Purpose.TARGET, left=left, nonce=time + 1)
        done = Fill(
            "BTC", time, number, 42, cloid, buy, Decimal(100), Decimal("0.01"), NONE, "", NONE, NONE, "USDC", True, ""
        )
        entries += [Entry(0, time, *event_of(event)) for event in (one, done)]
    end = fold(entries)
    assert len(end.orders) < 300
    assert not end.open
    assert len(end.orders) == len(end.ended) == len(end.left) == len(end.marks)
    told_units = sum((o.filled if o.intent.request.buy else -o.filled for o in end.orders.values()), NONE)
    assert end.explained.get("BTC", NONE) + told_units == 0
    assert fold(entries[700:], fold(entries[:700])) == end


def test_a_funding_told_after_the_position_is_gone_goes_to_those_who_held_it() -> None:
    late = FundingPayment("BTC", 7_200_000, Decimal("-0.5"), Decimal("0.02"), Decimal("0.0000125"))
    before = fold(ENTRIES)
    after = fold([Entry(99, DAY, *event_of(late)), Entry(100, DAY, *event_of(late))], before)
    cash = [sum((sleeve.cash for sleeve in one.book.sleeves.values()), NONE) for one in (before, after)]
    assert cash[1] == cash[0] - Decimal("0.5")


def test_what_the_account_lost_survives_into_the_next_session() -> None:
    began = Began(
        "0xa", "t", {"a": Decimal(900)}, {"BTC": LOT}, {}, Decimal(900), 2_500, 0, Decimal(1_000), Decimal(1_200)
    )
    today, tomorrow = (fold([Entry(0, time, *event_of(began))]) for time in (5, DAY))
    assert (today.day_start, today.peak, today.nonce) == (Decimal(1_000), Decimal(1_200), 2_500)
    assert (tomorrow.day_start, tomorrow.peak) == (Decimal(900), Decimal(1_200))
    moved = Moved(7, "deposit", "", Decimal(5))
    assert fold([Entry(1, 8, *event_of(moved))], today).moves == {moved.name: 7}
