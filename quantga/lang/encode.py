# ruff: noqa: PLR0913, PLR0917  # compiled functions take arrays one by one
"""From programs to one graph without repetition: every distinct sub-expression of a population is one node.

Operators are expanded to kernels by their definitions; nodes are hashed by kernel, children and numbers; places in the
work array are given out by liveness, so that the values of a block stay in the caches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantga.lang.bars import Floats, Ints
from quantga.lang.definitions import Apply, template
from quantga.lang.jit import inlined, njit
from quantga.lang.kernels import AND_NOT, DIV_SCALED, SHARE
from quantga.lang.kinds import Kind
from quantga.lang.ops import COMMUTATIVE, OPS, K
from quantga.lang.program import Program

_NO_CHILD = -1_000
_CHILDREN, _NUMBERS = 3, 2
GRID = 10_000
"""Numbers in the graph are whole multiples of 1 / GRID, as levels are."""
_UNDEFINED = -(2**62)


class Templates(NamedTuple):
    """Every operator as a run of kernel steps; a step's child is an argument's place, or -1 - an earlier step."""

    begin: Ints  # [n_ops + 1]
    kernel: Ints  # [n_steps]
    children: Ints  # [n_steps, 3]
    takes: Ints  # [n_steps, 2, 2]: argument places of each number's factors, -1 for absent
    plus: Ints  # [n_steps, 2]: what is added, in units of 1 / GRID
    sorts: NDArray[np.bool_]  # [n_steps]: whether the first two children may change places
    arguments: Ints  # [n_ops]


class Nodes(NamedTuple):
    """The graph while it grows."""

    kernel: Ints
    child: Ints
    number: Ints  # in units of 1 / GRID; a column's place as it is
    hashes: Ints  # of what the node is, whatever else is in the population
    slots: Ints  # hash table


class Graph(NamedTuple):
    """Distinct nodes in order of first need. `ready[p]`: nodes made before the root of program p was complete."""

    kernel: Ints  # [n]
    children: Ints  # [n, 3]; -1 for none
    numbers: Floats  # [n, 2]
    root: Ints  # [n_programs]
    ready: Ints  # [n_programs]


COLUMNS: tuple[str, ...] = tuple(dict.fromkeys(op.column for op in OPS if op.column))


@cache
def templates() -> Templates:
    """Return the table of all operators' steps."""
    begin, steps = [0], list[tuple[int, list[int], list[tuple[int, int, float]]]]()
    for op in OPS:
        places: dict[Apply, int] = {}
        share = op.meaning is K.MEAN and op.args[0] is Kind.MASK
        _steps(template(op), steps, places, len(steps))
        if share:
            steps[-1] = (SHARE, *steps[-1][1:])
        begin.append(len(steps))
    absent = (-1, -1, 0.0)
    numbers = [[*given, *[absent] * (_NUMBERS - len(given))] for _, _, given in steps]
    return Templates(
        np.array(begin),
        np.array([kernel for kernel, _, _ in steps]),
        np.array([[*below, *[_NO_CHILD] * (_CHILDREN - len(below))] for _, below, _ in steps]),
        np.array([[[first, second] for first, second, _ in given] for given in numbers]),
        np.array(
            [
                [_scaled(plus, kernel) for _, _, plus in given]
                for (kernel, _, _), given in zip(steps, numbers, strict=True)
            ]
        ),
        np.array([kernel in COMMUTATIVE for kernel, _, _ in steps]),
        np.array([len(op.args) for op in OPS]),
    )


def _joined(tree: Apply) -> tuple[int, tuple[Apply | int, ...]]:
    """Return the kernel of a step and what it reads: two kernels that often follow each other are one."""
    inner = tree.series[-1] if tree.series else 0
    if isinstance(inner, Apply) and (tree.kernel, inner.kernel) == (K.AND, K.NOT):
        return AND_NOT, (tree.series[0], *inner.series)
    if isinstance(inner, Apply) and (tree.kernel, inner.kernel) == (K.MUL_LEVEL, K.DIV):
        return DIV_SCALED, inner.series
    return int({K.ANY: K.HIGHEST, K.ALL: K.LOWEST}.get(tree.kernel, tree.kernel)), tree.series


def _scaled(value: float, kernel: int) -> int:
    if math.isnan(value):
        return _UNDEFINED
    return round(value if kernel == K.COLUMN else value * GRID)


def _steps(
    tree: Apply, steps: list[tuple[int, list[int], list[tuple[int, int, float]]]], places: dict[Apply, int], base: int
) -> int:
    if tree in places:
        return places[tree]
    kernel, series = _joined(tree)
    if kernel == K.MEAN_DEVIATION:
        series = (series[0], Apply(K.MEAN, tree.series, tree.numbers))
    children = [s if isinstance(s, int) else _steps(s, steps, places, base) for s in series]
    numbers = [(n.first, n.second, n.plus) for n in tree.numbers]
    if tree.kernel is K.COLUMN:
        numbers = [(-1, -1, float(COLUMNS.index(tree.column)))]
    constants = {K.LONG: 1.0, K.SHORT: -1.0, K.FLAT: 0.0, K.HOLD: float("nan")}
    if tree.kernel in constants:
        numbers = [(-1, -1, constants[tree.kernel])]
    steps.append((kernel, children, numbers))
    places[tree] = base - len(steps)  # the step's place within its operator, as -1 - place
    return places[tree]


def flatten(programs: Sequence[Program]) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Return all tokens, where each program's begin, and the columns' names; a user's column is the token -1 - place."""
    ends = np.cumsum([0, *(len(p.tokens) for p in programs)])
    tokens = [p.tokens for p in programs]
    try:
        return np.fromiter(chain.from_iterable(tokens), np.int64, ends[-1]), ends, COLUMNS
    except ValueError:  # a user's column is a word
        own = sorted({token for token in chain.from_iterable(tokens) if isinstance(token, str)})
    place = {name: -1 - len(COLUMNS) - i for i, name in enumerate(own)}
    flat = [place[token] if isinstance(token, str) else token for token in chain.from_iterable(tokens)]
    return np.array(flat, dtype=np.int64), ends, (*COLUMNS, *own)


def encode(programs: Sequence[Program], *, sharing: bool) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph of the programs and the names of all columns that its COLUMN nodes may number.

    Without `sharing`, nothing is shared between programs, only within each.
    """
    tokens, ends, names = flatten(programs)
    table = templates()
    steps = np.diff(table.begin)
    room = int(np.sum(steps[tokens[(tokens >= 0) & (tokens < len(OPS))]])) + len(tokens) + 1
    out = Nodes(
        np.empty(room, np.int64),
        np.empty((room, _CHILDREN), np.int64),
        np.empty((room, _NUMBERS), np.int64),
        np.empty(room, np.int64),
        np.full(1 << (2 * room).bit_length(), -1, np.int64),
    )
    root, ready = np.empty(len(programs), np.int64), np.empty(len(programs), np.int64)
    stack = np.empty((int(np.max(np.diff(ends), initial=0)) + 1, 2), np.int64)
    seeds = np.array([_seed(name) for name in names])
    made = _encode(tokens, ends, table, seeds, sharing, stack, out, root, ready)
    numbers = out.number[:made] / np.where(out.kernel[:made] == _COLUMN, 1.0, GRID)[:, None]
    numbers[out.number[:made] == _UNDEFINED] = np.nan
    return Graph(out.kernel[:made], out.child[:made], numbers, root, ready), names


@cache
def _seed(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


_COLUMN = int(K.COLUMN)
_FIRST_NUMBER, _FIRST_LEVEL, _ZERO_LEVEL = 10_000, 500_000_000, 1_000_000_000


@inlined
def _mix(h: int, v: int) -> int:
    mixed = (np.uint64(h) ^ np.uint64(v)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed ^ (mixed >> np.uint64(29)))  # type: ignore[return-value]


@inlined
def _node(code: int, c0: int, c1: int, c2: int, n0: int, n1: int, h: int, begin: int, made: int, out: Nodes) -> int:
    """Return the node of this kernel, children and numbers; it is `made` where there was none."""
    mask = len(out.slots) - 1
    at = (h >> 20) & mask
    while out.slots[at] >= 0:
        n = out.slots[at]
        if (
            n >= begin and out.kernel[n] == code and out.number[n, 0] == n0 and out.number[n, 1] == n1
            and out.child[n, 0] == c0 and out.child[n, 1] == c1 and out.child[n, 2] == c2
        ):  # fmt: skip
            return int(n)
        at = (at + 1) & mask
    out.slots[at] = made
    out.kernel[made], out.hashes[made] = code, h
    out.child[made, 0], out.child[made, 1], out.child[made, 2] = c0, c1, c2
    out.number[made, 0], out.number[made, 1] = n0, n1
    return made


@njit
def _encode(
    tokens: Ints,
    ends: Ints,
    table: Templates,
    seeds: Ints,
    sharing: bool,
    stack: Ints,
    out: Nodes,
    root: Ints,
    ready: Ints,
) -> int:
    """Fill the graph's arrays; return how many nodes there are. A stack row is (node or -1, number)."""
    made = first = ends[0]  # 0, of the type that it will have
    result, child, number = np.empty(256, np.int64), np.empty(3, np.int64), np.empty(2, np.int64)
    for p in range(len(root)):
        top, begin, salt = 0, (first if sharing else made), (0 if sharing else p + 1)
        for at in range(ends[p + 1] - 1, ends[p] - 1, -1):
            token, n, value = tokens[at], -1, 0
            arguments, first_step, end_step = 0, 0, 1  # a user's column is a step of its own
            if token >= _FIRST_NUMBER:
                value = token - _ZERO_LEVEL if token > _FIRST_LEVEL else (token - _FIRST_NUMBER) * GRID
                end_step = 0
            elif token >= 0:
                first_step, end_step = table.begin[token], table.begin[token + 1]
                arguments = table.arguments[token]
            for step in range(first_step, end_step):
                code = _COLUMN
                if token < 0:
                    child[0] = child[1] = child[2] = -1
                    number[0], number[1] = -1 - token, 0
                else:
                    code = table.kernel[step]
                    for k in range(3):
                        place = table.children[step, k]
                        child[k] = -1
                        if place != _NO_CHILD:
                            child[k] = stack[top - 1 - place, 0] if place >= 0 else result[-1 - place]
                    for k in range(2):
                        first, second = table.takes[step, k, 0], table.takes[step, k, 1]
                        given = stack[top - 1 - first, 1] if first >= 0 else 0
                        given = given * (stack[top - 1 - second, 1] // GRID) if second >= 0 else given
                        number[k] = given + table.plus[step, k]
                    if table.sorts[step] and out.hashes[child[0]] > out.hashes[child[1]]:
                        child[0], child[1] = child[1], child[0]
                h = _mix(_mix(code + 1, salt), seeds[number[0]] if code == _COLUMN else number[0])
                h = _mix(h, number[1])
                for k in range(3):
                    h = _mix(h, out.hashes[child[k]] if child[k] >= 0 else 7)
                n = _node(code, child[0], child[1], child[2], number[0], number[1], h, begin, made, out)
                made = max(made, n + 1)
                result[step - first_step] = n
            top -= arguments
            stack[top, 0], stack[top, 1] = n, value
            top += 1
        root[p], ready[p] = stack[0, 0], made
    return int(made)
