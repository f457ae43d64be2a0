from __future__ import annotations

from pathlib import Path

import numpy as np

from quantga.lang.classics import CLASSICS, classics
from quantga.lang.evaluate import evaluate
from quantga.lang.parse import parse
from tests.lang.markets import real


def test_there_are_enough_and_they_differ() -> None:
    programs = classics()
    assert len(programs) >= 15
    assert len({p.id for p in programs.values()}) == len(programs)
    assert all(parse(str(p)) == p for p in programs.values())
    assert set(programs) == set(CLASSICS)


def test_each_trades_on_a_real_market(market_data: Path) -> None:
    programs = classics()
    wanted = evaluate(list(programs.values()), real(market_data, "ETHUSDT", 12_000))
    for name, row in zip(programs, wanted, strict=True):
        decided = row[~np.isnan(row)]
        assert np.sum(np.diff(decided) != 0) >= 10, name
        assert np.any(decided != 0), name
