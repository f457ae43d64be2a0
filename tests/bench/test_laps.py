"""Timing: turns, medians, and that every program comes once."""

from __future__ import annotations

from quantga.bench.laps import Laps, interleave, shares, spread_evenly


def test_candidates_take_turns() -> None:
    seen: list[tuple[str, int]] = []
    runs = {name: (1.0, lambda lap, name=name: seen.append((name, lap))) for name in ("a", "b")}
    found = interleave(runs, 3)
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert all(len(one.seconds) == 3 for one in found.values())


def test_typical_is_the_median_per_unit_of_work() -> None:
    laps = Laps((3.0, 1.0, 8.0), 2.0)
    assert laps.typical == 1.5
    assert laps.least == 0.5


def test_over_all_laps_each_item_comes_once() -> None:
    items = list(range(23))
    parts = [spread_evenly(items, lap, 5) for lap in range(5)]
    assert sorted(x for part in parts for x in part) == items
    assert spread_evenly(items, 7, 5) == spread_evenly(items, 2, 5)


def test_shares_add_up_to_one() -> None:
    assert shares({"a": 1.0, "b": 3.0}) == {"a": 0.25, "b": 0.75}
