"""Ring (b): real processes under `kill -9` and a bad network; the exchange's log alone says what was doubled, lost or naked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quantga.live.journal import read
from quantga.live.replay import replay
from tests.live.chaos.checker import Verdict
from tests.live.chaos.yard import Yard

SAMPLE = ("the reply is lost after execution", "kill -9 of the trader", "kill -9 of the exchange")


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Callable[[int], Yard]]:
    made: list[Yard] = []

    def make(seed: int) -> Yard:
        made.append(Yard(tmp_path / str(seed), seed))
        return made[-1]

    yield make
    for one in made:
        one.close()


def judged(one: Yard, verdict: Verdict) -> None:
    """Nothing twice, no fill lost, nothing beyond a bound, all that is held has its stop; and the journal replays."""
    log = (one.folder / "trader.log").read_text()
    assert "Traceback" not in log, log
    assert verdict.doubled == [], log
    assert verdict.breaches == [], log
    assert verdict.immortal == 0
    assert one.known_fills() == set(verdict.fills), log
    stops = {row["coin"]: float(row["sz"]) for row in verdict.resting}
    assert {coin: abs(size) for coin, size in verdict.held.items()} == stops, (verdict, log)
    assert all(row["reduceOnly"] and row["isTrigger"] for row in verdict.resting)
    assert replay(read(one.journal)[0]).mismatches == []


def play(one: Yard, names: list[str]) -> Verdict:
    one.start()
    assert one.trades_on(), (one.folder / "trader.log").read_text()
    for name in names:
        assert one.episode(name), (name, (one.folder / "trader.log").read_text())
    return one.end()


@pytest.mark.proof  # CI has two of them in tests/live/test_story.py
@pytest.mark.timeout(900)
def test_a_sample_of_what_may_happen(yard, record_property) -> None:
    one = yard(1)
    verdict = play(one, list(SAMPLE))
    judged(one, verdict)
    record_property("longest without a stop, ms", verdict.worst)
    record_property("episodes", one.episodes)
    assert verdict.orders > 10


@pytest.mark.proof
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(2, 22))
def test_two_hundred_scenarios(yard, record_property, seed: int) -> None:
    one = yard(seed)
    dice = random.Random(seed)
    names = sorted(one.faults)
    verdict = play(one, [dice.choice(names) for _ in range(10)])
    judged(one, verdict)
    record_property("longest without a stop, ms", verdict.worst)
    record_property("episodes", one.episodes)
