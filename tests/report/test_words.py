from __future__ import annotations

from string import Formatter

import pytest

from quantga.lang.kinds import Kind
from quantga.lang.ops import BY_NAME, OPS, Op
from quantga.lang.parse import parse
from quantga.lang.program import Program, level, number, window
from quantga.report.words import NEGATED, PHRASES, describe, describe_genes, phrase, sentences, tree_of

LEAVES = {
    Kind.PRICE: ("close", "open"),
    Kind.SIZE: ("volume", "open_interest"),
    Kind.RATIO: ("ret", "premium"),
    Kind.REF_PRICE: ("ref_close", "ref_open"),
    Kind.REF_SIZE: ("ref_volume", "ref_volume"),
    Kind.CLOCK: ("hour", "weekday"),
    Kind.POSITION: ("long", "flat"),
}


def leaf(kind: Kind, place: int) -> tuple[int | str, ...]:
    if kind is Kind.MASK:
        return (
            next(op.code for op in BY_NAME["gt"] if op.args[0] is Kind.PRICE),
            *leaf(Kind.PRICE, 0),
            *leaf(Kind.PRICE, 1),
        )
    if kind is Kind.LEVEL:
        return (level(3 + place),)
    if kind in (Kind.WINDOW, Kind.FACTOR):
        return (window(20 + place),)
    return (BY_NAME[LEAVES[kind][place % 2]][0].code,)


def applied(op: Op):
    tokens = (op.code, *(t for place, kind in enumerate(op.args) for t in leaf(kind, place)))
    return tree_of(tokens)


@pytest.mark.parametrize("op", OPS, ids=lambda op: f"{op.name}-{'-'.join(op.args)}")
def test_every_operator_of_the_table_has_words_that_name_all_its_arguments(op: Op):
    fields = {name for _, name, _, _ in Formatter().parse(PHRASES[op.name]) if name is not None}
    assert fields - {"ref"} == {str(place) for place in range(len(op.args))}
    node = applied(op)
    said = phrase(node)
    assert "{" not in said
    for arg in node.args:
        value = number(arg.token)
        forms = (
            (f"{value:g}", f"{value * 100:g} %", f"{value:02.0f}:")
            if arg.is_number
            else (phrase(arg), *map(phrase, arg.args))
        )
        assert any(form in said for form in forms)


def test_no_words_for_what_the_table_does_not_have():
    assert set(PHRASES) <= set(BY_NAME)
    assert set(NEGATED) <= set(PHRASES)
    for name, text in NEGATED.items():
        assert {f for _, f, _, _ in Formatter().parse(text)} == {f for _, f, _, _ in Formatter().parse(PHRASES[name])}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "when(gt(rsi(close, 14), level(70)), short, hold) with stop=0.05",
            "Go short when the 14-bar RSI of the close is above 70; otherwise keep what there is. Stop 5 % from the entry.",
        ),
        (
            "when(gt(change(close, 24), 0.02), long, when(lt(change(close, 24), -0.02), short, flat))",
            ("Go long when the 24-bar change of the close is above 2 %. Otherwise, if the 24-bar change of the close is below "
            "−2 %, go short. Otherwise, hold nothing."),
        ),
        ("when(within(hour, 8, 16), scale(0.5), scale(-0.25))", (
            "Go long with 50 % of the allowed size when the time of day is from 08:00 to 16:59 UTC. "
            "Otherwise, go short with 25 % of the allowed size."
        )),
        ("when(within(weekday, 0, 4), long, flat)", (
            "Go long when the day of the week is from Monday to Friday. Otherwise, hold nothing."
        )),
        ("when(gt(funding, 0.0001), short, flat)", (
            "Go short when the funding rate per hour is above 0.01 %. Otherwise, hold nothing."
        )),
        ("scale(neg(zscore(sub(close, ema(close, 20)), 50)))", (
            "Hold a position of minus the 50-bar z-score of (the close − the 20-bar exponential mean of the close), within −1 "
            "and 1, of the allowed size."
        )),
    ],
)  # fmt: skip
def test_sentences(text: str, said: str):
    assert sentences(parse(text)) == said


def test_negation_brackets_and_users_columns():
    text = "when(and(not(gt(close, open)), or(rising(close, 1), gt($mood, 0.5))), long, flat)"
    assert sentences(parse(text)) == (
        "Go long when the close is not above the open and (the column $mood is above 0.5 or the close is above its value "
        "1 bar ago). Otherwise, hold nothing."
    )


def test_a_decision_within_a_decision_is_indented():
    lines = describe(parse("when(gt(close, open), when(gt(ret, 0.01), long, short), flat)"))
    assert [(line.depth, line.text) for line in lines] == [
        (0, "If the close is above the open:"),
        (1, "Go long when the last return is above 1 %."),
        (1, "Otherwise, go short."),
        (0, "Otherwise, hold nothing."),
    ]


def test_what_is_plain_comes_first():
    assert sentences(parse("when(lt(close, mean(close, 20)), long, hold)")).startswith(
        "Go long when the close is below the"
    )
    assert "the close is not below the 20-bar mean" in sentences(
        parse("when(and(not(lt(close, mean(close, 20))), gt(ret, 0)), long, flat)")
    )
    assert "the last return is above 0;" in sentences(parse("when(gt(ret, 0), long, hold)"))


def test_the_reference_asset_has_a_name():
    assert "the close of BTC" in sentences(parse("when(rising(ref_close, 10), long, flat)"), reference="BTC")


@pytest.mark.parametrize(
    "gene",
    [
        "vol_target=0.4", "leverage=2.0", "stop=0.05", "stop_atr=3.0", "take=0.1", "take_atr=4.0",
        "ladder=0:0.05/12:0.02", "latch", "band=0.1", "max_hold=48",
    ],
)  # fmt: skip
def test_every_gene_says_something_of_its_own(gene: str):
    said = describe_genes(parse(f"long with {gene}").genes)
    assert len(said) == 1
    assert describe_genes(Program.of(parse("long").tokens).genes) == []
