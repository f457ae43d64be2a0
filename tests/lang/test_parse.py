"""Texts become programs or one clear refusal."""

import pickle

import pytest

from quantga.errors import ProgramError
from quantga.lang.genes import Genes
from quantga.lang.parse import parse

GOOD = {
    "when(gt(rsi(close, 14), level(70)), short, hold)": "when(gt(rsi(close, 14), level(70)), short, hold)",
    "when( gt(rsi(close,14),70),short,hold )": "when(gt(rsi(close, 14), level(70)), short, hold)",
    "when(gt($mood, 0.5), long, flat)": "when(gt($mood, level(0.5)), long, flat)",
    "scale(level(1))": "long",
    "scale(-3)": "short",
    "scale(0)": "flat",
    "when(not(gt(close, open)), long, flat)": "when(gt(close, open), flat, long)",
    "when(not(not(gt(close, open))), long, flat)": "when(gt(close, open), long, flat)",
    "when(lt(close, open), long, flat)": "when(gt(open, close), long, flat)",
    "when(and(gt(open, low), gt(close, low)), long, flat)": "when(and(gt(close, low), gt(open, low)), long, flat)",
    "when(and(gt(open, low), gt(open, low)), long, flat)": "when(gt(open, low), long, flat)",
    "scale(lag(lag(ret, 2), 3))": "scale(lag(ret, 5))",
    "scale(neg(neg(ret)))": "scale(ret)",
    "scale(abs(neg(ret)))": "scale(abs(ret))",
    "scale(mul(mul(ret, 2), 3))": "scale(mul(ret, level(6)))",
    "scale(add(add(ret, 0.1), 0.2))": "scale(add(ret, level(0.3)))",
    "long with latch, stop=0.05": "long with stop=0.05, latch",
    "long with ladder=0:0.5/3:0.1/9:0": "long with ladder=0:0.5/3:0.1/9:0.0",
}


@pytest.mark.parametrize(("text", "canonical"), GOOD.items())
def test_a_text_becomes_its_canonical_form(text, canonical):
    program = parse(text)
    assert str(program) == canonical
    assert parse(str(program)) == program
    assert parse(str(program)).id == program.id
    assert pickle.loads(pickle.dumps(program)) == program


BAD = {
    "": ("character 1", "expected an operator"),
    "long(": ("character 6", "the end"),
    "close": ("must be a Position", "Price"),
    "when(gt(close, volume), long, flat)": ("character 6", "(Price, Size)"),
    "whenn(long)": ("did you mean 'when'", "quantga ops"),
    "when(gt(rsi(close, 0), 50), long, flat)": ("1 to 5000", "not 0"),
    "when(gt(rsi(close, 2.5), 50), long, flat)": ("rsi takes", "2.5"),
    "when(gt(ret, 0.00001), long, flat)": ("four decimals", "1e-05"),
    "when(gt(close, open), long, flat) x": ("expected the end", "'x'"),
    "long with stopp=1": ("expected one of the genes", "stop"),
    "long with stop=2": ("stop=2", "outside 0 to 1"),
    "long with stop=0.1, stop=0.2": ("expected one of the genes", "latch"),
    "long with ladder=5:0.1/2:0.2": ("ages must ascend", "ladder"),
    "long with max_hold=1.5": ("whole number", "max_hold"),
    "long with": ("expected one of the genes", "latch"),
    "when(gt(close, open) long, flat)": ("expected ','", "'long'"),
    "scale(" + "neg(" * 200 + "ret" + ")" * 200 + ")": ("nested deeper", "100"),
}


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=[text[:40] for text in BAD])
def test_a_refusal_says_where_and_what_was_expected(text, said):
    with pytest.raises(ProgramError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    for part in said:
        assert part in str(caught.value)


def test_genes_print_and_read_back():
    genes = Genes(0.4, 2.0, 0.05, 2.5, 0.1, 4.0, ((0, 0.5), (12, 0.1)), latch=True, band=0.2, max_hold=48)
    program = parse(f"long with {genes}")
    assert program.genes == genes
    assert program.lookback == 168
    assert parse("long").genes == Genes()
