"""What is timed per operator, in the ledger and against Operon is what it says."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.bench.operators import operator_costs, simulation_costs
from quantga.bench.operon import arithmetic, infix, values
from quantga.bench.story import chance_market
from quantga.lang.ops import BY_NAME


def test_every_operator_that_the_market_has_columns_for_is_timed() -> None:
    found = operator_costs(chance_market(1_024))
    lacking = {name for name in BY_NAME if name not in found}
    assert all(name.startswith("ref_") or name in {"open_interest", "premium"} for name in lacking)
    assert min(found.values()) >= 0.0


def test_the_ledger_is_timed_plain_and_full() -> None:
    found = simulation_costs(chance_market(20_480))
    assert set(found) == {"plain", "full"}
    for one in found.values():
        assert one.order > 0.0
        assert one.runs[1] > one.runs[10_000]


def test_operon_computes_the_same_trees() -> None:
    pytest.importorskip("pyoperon", reason="pyoperon is not installed")
    ours, theirs = values(arithmetic(40, 1), 600)
    defined = ~np.isnan(ours)  # where a tree divides by 0, ours is undefined and Operon's infinite
    assert defined.mean() > 0.9
    np.testing.assert_allclose(ours[defined], theirs[defined], atol=2e-3)
    assert np.median(np.abs(ours - theirs)[defined]) < 1e-6


def test_trees_are_written_for_operon_in_the_order_of_their_arguments() -> None:
    assert all(infix(one).count("(") == infix(one).count(")") for one in arithmetic(20, 2))
    assert infix(arithmetic(1, 3)[0]) != infix(arithmetic(1, 4)[0])
