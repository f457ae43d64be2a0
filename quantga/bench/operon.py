"""Arithmetic trees against Operon's evaluator (C++, float32, one thread), the fastest known of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from quantga.bench.laps import interleave
from quantga.bench.operators import sweep
from quantga.errors import ConfigError
from quantga.lang.bars import HOUR_MS, Bars
from quantga.lang.evaluate import buffers, column_matrix, plan
from quantga.lang.kinds import Kind
from quantga.lang.ops import BY_NAME, OPS
from quantga.lang.program import Program, Token
from quantga.streams import dice, stream

_COLUMNS = tuple(f"${letter}" for letter in "abcdefgh")
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_CODES = tuple(next(op.code for op in BY_NAME[name] if op.args == (Kind.RATIO, Kind.RATIO)) for name in _SIGNS)
_SCALE = next(op.code for op in BY_NAME["scale"] if op.args[0] is Kind.RATIO)
_LARGEST = 18  # operators of a tree


def against_operon(rows: int, trees: int = 500, laps: int = 5, seed: int = 5) -> dict[str, float]:
    """Return ns per arithmetic node and row of both, leaves not counted as nodes on either side, and their ratio.

    Operon also writes every tree's values out and multiplies each variable by its coefficient; ours also checks every
    value for overflow, loads every column for every program and clips the root. ConfigError if pyoperon is not installed.
    """
    try:
        import pyoperon  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ConfigError("pyoperon is not installed: `pip install pyoperon` adds this comparison") from error
    programs = arithmetic(trees, seed)
    bars = _market(rows)
    made = plan(programs, sharing=False)
    columns, work = column_matrix(made.columns, bars), buffers(made)
    table = np.asfortranarray(np.array([bars[name] for name in _COLUMNS]).T)
    data = pyoperon.Dataset(table)
    hashes = {name[1:]: variable.Hash for name, variable in zip(_COLUMNS, data.Variables, strict=True)}
    theirs = [pyoperon.InfixParser.Parse(infix(one), hashes) for one in programs]
    result = np.zeros((trees, rows), dtype=np.float32)
    nodes = sum(token in _CODES for one in programs for token in one.tokens)
    work_done = float(nodes * rows)
    found = interleave(
        {
            "quantga": (
                work_done,
                lambda _: sweep(made.nodes, made.numbers, work, columns, bars.origin, made.root, made.ready, rows),
            ),
            "operon": (
                work_done,
                lambda _: pyoperon.EvaluateTrees(theirs, data, pyoperon.Range(0, rows), result, 1),
            ),
        },
        laps + 1,
    )
    ours, other = (median(found[name].seconds[1:]) / work_done * 1e9 for name in ("quantga", "operon"))
    all_nodes = sum(tree.Length for tree in theirs)
    return {
        "rows": rows,
        "trees": trees,
        "nodes": nodes,
        "nodes_with_leaves": all_nodes,
        "quantga_ns": ours,
        "operon_ns": other,
        "ratio": other / ours,
        "ratio_if_operon_is_credited_with_leaves": other / ours * nodes / all_nodes,
    }


def arithmetic(trees: int, seed: int) -> list[Program]:
    """Return programs `scale(tree)` of arithmetic over eight columns of the user's own."""
    return [Program.of((_SCALE, *_grown(dice(seed, "operon", slot)))) for slot in range(trees)]


def _grown(chance: Any) -> tuple[Token, ...]:
    def tree(operators: int) -> tuple[Token, ...]:
        if operators == 0:
            return (_COLUMNS[chance.randrange(len(_COLUMNS))],)
        left = chance.randrange(operators)
        return (_CODES[chance.randrange(len(_CODES))], *tree(left), *tree(operators - 1 - left))

    return tree(chance.randint(4, _LARGEST))


def infix(program: Program) -> str:
    """Return the arithmetic below the root as Operon reads it."""
    stack: list[str] = []
    for token in reversed(program.tokens[1:]):
        if isinstance(token, str):
            stack.append(token[1:])
        else:
            left, right = stack.pop(), stack.pop()
            stack.append(f"({left} {_SIGNS[OPS[token].name]} {right})")
    return stack[0]


def _market(rows: int) -> Bars:
    chance = stream(5, "operon")
    flat = np.ones(rows)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), flat)
    own = {name: chance.uniform(0.5, 2.0, rows) for name in _COLUMNS}
    return Bars.from_columns(HOUR_MS * np.arange(rows, dtype=np.int64), {**columns, **own}, interval=HOUR_MS)


def values(programs: Sequence[Program], rows: int) -> tuple[Any, Any]:
    """Return what both evaluators compute, clipped to -1 and 1, [trees, rows]: for checking that they do the same."""
    import pyoperon  # noqa: PLC0415

    from quantga.lang.evaluate import evaluate  # noqa: PLC0415

    bars = _market(rows)
    data = pyoperon.Dataset(np.asfortranarray(np.array([bars[name] for name in _COLUMNS]).T))
    hashes = {name[1:]: variable.Hash for name, variable in zip(_COLUMNS, data.Variables, strict=True)}
    result = np.zeros((len(programs), rows), dtype=np.float32)
    trees = [pyoperon.InfixParser.Parse(infix(one), hashes) for one in programs]
    pyoperon.EvaluateTrees(trees, data, pyoperon.Range(0, rows), result, 1)
    return evaluate(programs, bars), np.clip(result, -1, 1)
