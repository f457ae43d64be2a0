"""What a program says of itself: lookback, reach, columns, size, identity."""

import pytest

from quantga.lang.definitions import template
from quantga.lang.ops import BLOCK, BY_NAME, OPS
from quantga.lang.parse import parse
from quantga.lang.program import level, number, span, window


@pytest.mark.parametrize(
    ("text", "lookback", "reach"),
    [
        ("long", 0, 0),
        ("when(gt(close, open), long, flat)", 0, 0),
        ("when(gt(close, lag(close, 3)), long, flat)", 3, 3),
        ("when(gt(close, mean(close, 20)), long, flat)", 19, 20 + BLOCK - 1),
        ("when(gt(close, ema(close, 20)), long, flat)", 19, 512 + BLOCK - 1),
        ("when(gt(rsi(close, 14), 50), long, flat)", 14, 512 + BLOCK - 1 + 1),
        ("when(gt(mean(mean(close, 10), 20), close), long, flat)", 28, 30 + 2 * (BLOCK - 1)),
        ("when(gt(higher_mean(close, 4, 5), close), long, flat)", 19, 19),
        ("when(gt(higher_close(4), close), long, flat)", 3, 3),
        ("when(cross_over(close, open), long, flat)", 1, 1),
        ("long with vol_target=0.4", 168, 168 + BLOCK),
    ],
)
def test_history_adds_along_a_path(text, lookback, reach):
    program = parse(text)
    assert (program.lookback, program.reach) == (lookback, reach)


def test_size_depth_columns_and_id():
    program = parse("when(gt(rsi(close, 14), level(70)), short, when(gt($mood, 0), long, hold))")
    assert program.size == 13
    assert program.depth == 5 - 1
    assert program.columns == {"close", "$mood"}
    assert parse("when(gt(atr(14), close), long, flat)").columns == {"high", "low", "close"}
    assert len(program.id) == 16
    assert program.id != parse("long").id
    assert program.id == parse(str(program)).id


def test_numbers_keep_their_value_as_tokens():
    assert [number(window(n)) for n in (1, 14, 5000)] == [1, 14, 5000]
    assert [number(level(v)) for v in (-50_000, -0.0001, 0, 0.3333, 70)] == [-50_000, -0.0001, 0, 0.3333, 70]
    assert number(OPS[0].code) != number(OPS[0].code)


def test_span_finds_the_end_of_a_part():
    tokens = parse("when(gt(rsi(close, 14), level(70)), short, hold)").tokens
    assert span(tokens, 0) == len(tokens)
    assert span(tokens, 1) == 6  # gt(rsi(close, 14), level(70))
    assert span(tokens, 2) == 5


def test_every_definition_reads_and_is_finite():
    for op in OPS:
        tree = template(op)
        assert tree.kernel is not None
    assert len(BY_NAME) >= 45
