"""Random programs and variation: typed, canonical, within limits, and functions of their dice alone."""

from __future__ import annotations

import collections
import statistics
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quantga.engine.appraise import appraise
from quantga.engine.costs import Costs
from quantga.errors import ConfigError
from quantga.evolve.grammar import ALWAYS, ROOT, grammar_for
from quantga.evolve.vary import Limits, Vocabulary, cross, decides, fresh, mutate, random_programs, tune
from quantga.lang.bars import Bars
from quantga.lang.kinds import IMMEDIATE
from quantga.lang.ops import BY_NAME, OPS
from quantga.lang.parse import parse
from quantga.lang.program import Program, canonical
from quantga.streams import dice

WIDE = (*ALWAYS, "funding_rate", "premium", "open_interest", "ref_close", "ref_volume", "$mood")


@pytest.fixture(scope="module")
def thousand() -> list[Program]:
    return random_programs(1000, seed=20261122)


def words(program: Program) -> list[str]:
    return [OPS[token].name for token in program.tokens if isinstance(token, int) and token < len(OPS)]


def needs_more_than_ohlcv(name: str) -> bool:
    """Every variant of the operator reads a column that is not always there."""
    texts = {
        "ref_ret": "scale(ref_ret)", "funding_mean": "scale(funding_mean(5))", "funding_z": "scale(funding_z(5))",
        "ref_corr": "scale(ref_corr(5))", "ref_beta": "scale(ref_beta(5))",
    }  # fmt: skip
    if name in texts:
        return not parse(texts[name]).columns <= set(ALWAYS)
    columns = {op.column for op in BY_NAME[name]} - {""}
    return bool(columns) and not columns <= set(ALWAYS)


def test_every_operator_that_ohlcv_allows_occurs(thousand):
    allowed = {name for name in BY_NAME if not needs_more_than_ohlcv(name)}
    assert set(grammar_for(ALWAYS).names) == allowed
    seen = collections.Counter(word for program in thousand for word in words(program))
    assert set(seen) == allowed


def test_random_programs_are_large_enough_and_differ(thousand):
    assert statistics.mean(program.size for program in thousand) >= 20
    assert statistics.mean(len(words(program)) for program in thousand) >= 17
    assert len({program.id for program in thousand}) >= 850
    assert {program.genes for program in thousand} == {Program.of(canonical(parse("flat").tokens)).genes}


def test_random_programs_are_canonical_and_within_limits(thousand):
    for program in thousand:
        assert canonical(program.tokens) == program.tokens
        assert parse(program.text) == program
        assert program.size <= Limits().size
        assert program.lookback <= Limits().lookback
        assert decides(program.tokens)
        assert program.columns <= set(ALWAYS)


def test_the_ith_program_depends_on_seed_and_place_alone(thousand):
    assert random_programs(10, seed=20261122) == thousand[:10]
    assert random_programs(10, seed=20261123) != thousand[:10]


def test_the_hash_seed_does_not_matter(thousand):
    code = "from quantga.evolve.vary import random_programs as r; print([p.id for p in r(60, 20261122, genes=True)])"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "99")
    }
    assert len(seen) == 1


def test_more_columns_mean_more_words():
    programs = random_programs(300, seed=3, columns=WIDE)
    read = set().union(*(program.columns for program in programs))
    assert {"funding_rate", "premium", "open_interest", "ref_close", "ref_volume", "$mood"} <= read
    assert read <= set(WIDE)


def test_genes_are_drawn_when_asked_for():
    programs = random_programs(200, seed=3, genes=True)
    assert 100 < sum(program.genes != type(program.genes)() for program in programs) < 190
    assert all(parse(program.text) == program for program in programs)


def test_a_negative_number_is_refused():
    with pytest.raises(ConfigError, match="0 or more"):
        random_programs(-1, seed=1)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("when(gt(close, open), long, hold)", False),
        ("when(gt(close, open), long, when(lt(ret, 0), long, hold))", False),
        ("when(gt(close, open), long, short)", True),
        ("when(gt(close, open), long, scale(level(0.5)))", True),
        ("when(gt(close, open), scale(level(0.5)), hold)", False),
        ("when(gt(close, open), scale(ret), hold)", True),
    ],
)
def test_a_program_that_never_changes_its_mind_is_not_drawn(text: str, yes: bool):
    assert decides(parse(text).tokens) is yes


def test_variation_keeps_programs_lawful_and_nearly_always_changes_them():
    vocabulary = Vocabulary(grammar_for(WIDE), Limits(size=40, lookback=600), genes=True)
    pool = [fresh(vocabulary, dice(1, "fresh", i)) for i in range(100)]
    changed = 0
    for i in range(600):
        parent, other = pool[i % 100], pool[(7 * i + 1) % 100]
        chance = dice(1, "vary", i)
        child = cross(vocabulary, parent, other, chance) if i % 2 else mutate(vocabulary, parent, chance)
        assert parse(child.text) == child
        assert child.size <= 40
        assert child.lookback <= max(600, child.genes.lookback)
        assert decides(child.tokens)
        changed += child != parent
        pool[i % 100] = child
    assert changed > 570


def test_crossing_brings_nothing_that_neither_parent_has():
    vocabulary = Vocabulary(grammar_for(ALWAYS))
    pool = random_programs(60, seed=9)
    for i in range(120):
        first, second = pool[i % 60], pool[(i * 11 + 5) % 60]
        child = cross(vocabulary, first, second, dice(2, "cross", i))
        assert set(child.tokens) <= set(first.tokens) | set(second.tokens)


def test_tuning_moves_one_constant_one_rung():
    program = parse("when(gt(rsi(close, 14), level(70)), short, when(lt(rsi(close, 14), level(30)), long, hold))")
    variants = tune(Vocabulary(grammar_for(ALWAYS)), program, 100, dice(1, "tune"))
    assert len(variants) == 8
    assert len({variant.id for variant in variants} - {program.id}) == 8
    for variant in variants:
        assert sum(a != b for a, b in zip(variant.tokens, program.tokens, strict=True)) == 1
    assert len(tune(Vocabulary(grammar_for(ALWAYS)), program, 3, dice(1, "tune"))) == 3


def test_variation_depends_on_its_dice_alone():
    vocabulary = Vocabulary(grammar_for(ALWAYS), genes=True)
    pool = random_programs(40, seed=5)

    def children(order):
        return {i: mutate(vocabulary, cross(vocabulary, pool[i], pool[-i], c := dice(4, i)), c).id for i in order}

    assert children(range(40)) == children(reversed(range(40)))


def test_a_grammar_has_no_dead_ends():
    for columns in (ALWAYS, WIDE):
        grammar = grammar_for(columns)
        for sort, rows in grammar.productions.items():
            assert rows, sort
            for row in rows:
                assert all(arg[0] in IMMEDIATE or grammar.productions[arg] for arg in row.args)
        assert ROOT in grammar.productions


def trades(programs: list[Program], bars: Bars) -> np.ndarray:
    return np.array([count or 0 for count in appraise(programs, bars, Costs())["trades"].to_pylist()])


def walk(n: int) -> Bars:
    draw = np.random.default_rng(5)
    close = 30_000 * np.cumprod(1 + draw.standard_t(5, n) * 0.006)
    before = np.append(30_000, close[:-1])
    high = np.maximum(before, close) * (1 + np.abs(draw.normal(0, 0.002, n)))
    low = np.minimum(before, close) * (1 - np.abs(draw.normal(0, 0.002, n)))
    columns = {"open": before, "high": high, "low": low, "close": close, "volume": draw.lognormal(5, 1, n)}
    return Bars.from_columns((np.arange(n, dtype=np.int64) + 400_000) * 3_600_000, columns)


def test_most_random_programs_trade_in_a_year_of_hours():
    for seed in (1, 2):
        assert np.mean(trades(random_programs(500, seed), walk(8760)) >= 10) > 0.83


def test_most_random_programs_trade_on_real_hours(market_data):
    table = pq.read_table(market_data / "ohlcv" / "binance_perp" / "1h" / "BTCUSDT.parquet").slice(20_000, 8760)
    table = table.rename_columns(["time" if name == "ts" else name for name in table.column_names])
    table = table.set_column(0, "time", table["time"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))
    assert np.mean(trades(random_programs(1000, 20261122), Bars.from_arrow(table)) >= 10) > 0.83
