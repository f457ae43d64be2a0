"""The cases have the keys that are promised, and their ratios are those of the times beside them."""

from __future__ import annotations

import pytest

from quantga.bench.engine import Extent, cases
from quantga.bench.machine import Floor
from quantga.bench.story import _with_floor, chance_market


@pytest.mark.proof
def test_cases_say_what_was_measured() -> None:
    extent = Extent(population=24, bars=(2_200,), laps=2, parts=4, tuning=12)
    found = cases(chance_market(2_200), extent, lambda _: None)
    assert [(case["population"], case["sharing"]) for case in found] == [
        ("random", True),
        ("random", False),
        ("evolved", True),
        ("evolved", False),
    ]
    for case in found:
        assert case["ratio_obvious"] == pytest.approx(case["obvious_us"] / case["us_per_program"])
        assert case["ratio_obvious_lean"] == pytest.approx(case["obvious_lean_us"] / case["us_per_program"])
        assert case["ratio_batched"] == pytest.approx(case["batched_us"] / case["us_per_program"])
        assert (case["bars"], case["programs"]) == (2_200, 24)
        assert case["agreement"]["bars"] > 0.9
        assert case["what"]["tokens_mean"] > 5


def test_the_limit_is_the_sum_of_what_must_be_done() -> None:
    what = {"nodes_shared": 40, "nodes_written": 90, "trades_mean": 100.0}
    case = {"what": what, "sharing": True, "programs": 10, "bars": 1_000, "us_per_program": 20.0}
    found = _with_floor(case, Floor(pass_=0.2, fill=10.0, stream=0.05))
    # 4 nodes and the look at the wanted position, 1,000 bars each at 0.2 ns; 200 orders of 10 ns; 15 columns of 8 bytes
    assert found["floor_parts_us"] == pytest.approx({"passes": 1.0, "fills": 2.0, "memory": 0.6})
    assert found["share_of_limit"] == pytest.approx(3.6 / 20.0)
    assert _with_floor({**case, "sharing": False}, Floor(0.2, 10.0, 0.05))["floor_parts_us"]["passes"] == pytest.approx(
        2
    )
