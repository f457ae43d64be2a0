"""Sketches: admitted, short, of every shape, a function of their dice, and never of a column that the market lacks."""

from __future__ import annotations

import numpy as np
import pytest

from quantga.engine.appraise import appraise
from quantga.evolve.grammar import grammar_for
from quantga.evolve.select import complexity
from quantga.evolve.sketches import sketch
from quantga.evolve.vary import Limits, Vocabulary, admits
from quantga.lang.genes import Genes
from quantga.lang.parse import parse
from quantga.streams import dice
from quantga.trust.families import family

BARS = ("open", "high", "low", "close", "volume")
ALL = (*BARS, "funding_rate", "premium", "open_interest", *(f"ref_{name}" for name in (*BARS, "funding_rate")), "$mood")


def drawn(n, columns=ALL, *, genes=True, seed=1):
    vocabulary = Vocabulary(grammar_for(columns), Limits(), genes)
    return vocabulary, [sketch(vocabulary, dice(seed, "sketch", slot)) for slot in range(n)]


def test_all_are_admitted_short_and_mostly_different():
    vocabulary, found = drawn(1000)
    assert all(admits(vocabulary, program) for program in found)
    sizes = [complexity(program) for program in found]
    assert np.mean(sizes) < 13
    assert max(sizes) <= 24
    assert len(set(found)) > 700
    assert all(parse(program.text) == program for program in found[:100])


def test_the_same_dice_draw_the_same():
    assert drawn(50)[1] == drawn(50)[1]
    assert drawn(50)[1] != drawn(50, seed=2)[1]


def test_every_column_and_shape_occurs():
    texts = [program.text for program in drawn(1500)[1]]
    for word in ("funding", "premium", "open_interest", "ref_ret", "$mood", "hour", "weekday", "volume_ratio", "neg("):
        assert sum(word in text for text in texts) > 5, word
    assert sum(text.startswith("scale(") for text in texts) > 150
    assert sum("max_hold" in text for text in texts) > 300


@pytest.mark.parametrize("columns", [BARS, (*BARS, "funding_rate")])
def test_what_the_market_lacks_is_not_read(columns):
    _, found = drawn(400, columns)
    known = grammar_for(columns).columns
    assert all(program.columns <= known for program in found)


def test_without_genes_there_are_none():
    assert all(program.genes == Genes() for program in drawn(200, genes=False)[1])


def test_most_of_them_trade():
    bars = family("gbm", years=1.0).market(3, {"A": "A"}, 1_577_836_800_000)["A"]
    _, found = drawn(200, tuple(bars.columns))
    trades = appraise(found, bars).column("trades").to_numpy()
    assert np.mean(trades >= 10) > 0.8
