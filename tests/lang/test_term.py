"""Terms: canonical, with a history that equals the one read off the definitions, and alike whatever was built before."""

from __future__ import annotations

import pickle

import pytest

from quantga.evolve.vary import Limits, random_programs
from quantga.lang import term as terms
from quantga.lang.definitions import Apply, template
from quantga.lang.ops import OPS, K, kernel_lookback, kernel_reach
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.lang.term import Term, arity, number, same, term_of

PROGRAMS = random_programs(300, seed=8, limits=Limits(lookback=5_000), genes=True)


def through(tree: Apply, arguments: tuple[float, ...], own) -> float:
    below = [through(s, arguments, own) if isinstance(s, Apply) else arguments[s] for s in tree.series]
    windows = tuple(int(n.value(arguments)) for n in tree.numbers) if tree.kernel >= K.LAG else ()
    return max(below, default=0) + own(tree.kernel, windows)


def history(tokens, own) -> int:
    """Return the history of tokens, operator by operator through their definitions."""
    stack: list[float] = []
    for token in reversed(tokens):
        if isinstance(token, str):
            stack.append(0)
        elif token >= len(OPS):
            stack.append(number(token))
        else:
            stack.append(through(template(OPS[token]), tuple(stack.pop() for _ in range(arity(token))), own))
    return int(stack[0])


@pytest.mark.parametrize(("name", "own"), [("lookback", kernel_lookback), ("reach", kernel_reach)])
def test_history_is_that_of_the_definitions(name, own):
    for program in PROGRAMS:
        assert getattr(program, name) == max(history(program.tokens, own), getattr(program.genes, name))


def test_a_program_is_the_same_after_all_terms_were_forgotten():
    before = [(program.term, program.text, program.id) for program in PROGRAMS]
    terms._TERMS.clear()
    for program, (old, text, name) in zip(PROGRAMS, before, strict=True):
        again = Program(program.tokens, program.genes)
        assert (again.text, again.id, again) == (text, name, program)
        assert same(again.term, old)
    one = PROGRAMS[0].term.args[0]
    other = term_of(one.tokens)
    assert one is not other
    assert terms.term(BOTH, (one, other)).tokens == one.tokens  # `and` of a mask with itself


BOTH = next(op.code for op in OPS if op.name == "and")


def test_terms_are_shared_and_hold_their_size():
    def check(one: Term) -> None:
        assert one.size == len(one.tokens) == 1 + sum(arg.size for arg in one.args)
        assert term_of(one.tokens) is terms.term(one.token, one.args)
        for arg in one.args:
            check(arg)

    for program in PROGRAMS[:50]:
        check(term_of(program.tokens))


def test_what_a_process_keeps_in_a_program_does_not_travel():
    program = parse("when(gt(close, mean(close, 20)), long, flat) with stop=0.05")
    assert hash(program)
    assert program.id
    copy = pickle.loads(pickle.dumps(program))
    assert copy == program
    assert hash(copy) == hash(program)
    assert set(copy.__dict__) == {"tokens", "genes", "_hash"}
