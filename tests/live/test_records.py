"""What the journal keeps for replay comes back bit for bit, numbers that JSON lacks included."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import pytest

from quantga.errors import ConfigError
from quantga.live.bars import Bar
from quantga.live.journal import Journal, read
from quantga.live.plan import Execution, Terms, Traded
from quantga.live.records import Aimed, Decided, Opened, Passed, Record, body_of, record_of
from quantga.live.session import Began, event_of, fold, told
from quantga.venue.market import FundingRate

NAN = math.nan
RECORDS: list[Record] = [
    Opened("0.1.0+ab", "cd", "here", 7),
    Bar("BTC", 60_000, 120_000, 0.1, 0.1 + 0.2, 1e-17, 0.25, 3.0, 4, 180_001, 5, "stream"),
    Bar("BTC", 60_000, 180_000, NAN, NAN, NAN, NAN, 0.0, 0, 240_001, 6, "rest"),
    FundingRate("BTC", 3_600_043, 1.25e-5, -3e-4),
    Decided("a", "BTC", 3, 80_000.5, 1.0, 1 / 3, 0.001, -math.inf, math.inf),
    Decided("b", "BTC", 3, 80_000.5, reason="its last bar is missing"),
    Aimed(3, {"BTC": 80_000.5}, {"BTC": {"a": 30, "b": -10}}, {"BTC": {"a": 15, "b": -5}}),
    Passed("BTC", 3, 10, Decimal("80000.5"), Decimal("0.0001"), Decimal("0.02"), 25.0),
]


def test_records_survive_the_disk_bit_for_bit_and_leave_the_session_alone(tmp_path: Path) -> None:
    began = Began("0xa", "s", {"a": Decimal(600)}, {"BTC": Decimal("0.001")}, {}, Decimal(1_000))
    with Journal(tmp_path / "journal") as journal:
        journal.append(1, event_of(began), *map(body_of, RECORDS))
    entries, damage = read(tmp_path / "journal")
    assert damage is None
    assert [told(one) for one in entries[1:]] == [None] * len(RECORDS)
    assert [repr(record_of(one)) for one in entries[1:]] == [repr(one) for one in RECORDS]
    assert record_of(entries[0]) is None
    assert fold(entries) == fold(entries[:1])


def test_terms_are_part_of_the_session_and_make_the_strategies_again(tmp_path: Path) -> None:
    text = "when(gt(close, mean(close, 5)), long, short) with leverage=0.5"
    traded = Traded("one", "", text, ("BTC", "ETH"), {"funding": False, "capital": 500.0}, 28_000_000)
    terms = Terms("paper", 60_000, 27_999_000, (traded,), execution=Execution(reach=Decimal("0.001")))
    began = Began("0xa", "s", {"one": Decimal(600)}, {"BTC": Decimal("0.001")}, {}, Decimal(1_000))
    with Journal(tmp_path / "journal") as journal:
        journal.append(1, event_of(began), event_of(terms))
        session = fold(journal.entries)
    assert session.terms == terms
    assert session.terms.symbols == ("BTC", "ETH")
    strategy = session.terms.strategies[0].strategy()
    assert (strategy.program.text, strategy.costs.capital, strategy.since) == (text, 500.0, 28_000_000)


def test_a_program_that_reads_otherwise_is_not_traded() -> None:
    with pytest.raises(ConfigError, match=r"trade it with 0\.0\.9"):
        Traded("one", "0123", "long", ("BTC",), {}, 0, "0.0.9").strategy()
