"""From programs to one graph without repetition: every distinct sub-expression of a population is one node.

Operators are expanded to kernels by their definitions; nodes are hashed by kernel, children and numbers; places in the
work array are given out by liveness, so that the values of a block stay in the caches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quantga.lang.bars import Floats, Ints
from quantga.lang.definitions import Apply, template
from quantga.lang.jit import njit
from quantga.lang.kernels import SHARE
from quantga.lang.kinds import Kind
from quantga.lang.ops import COMMUTATIVE, OPS, K
from quantga.lang.program import Program

type Hashes = NDArray[np.uint64]

_NO_CHILD = -1_000
_CHILDREN, _NUMBERS = 3, 2


class Templates(NamedTuple):
    """Every operator as a run of kernel steps; a step's child is an argument's place, or -1 - an earlier step."""

    begin: Ints  # [n_ops + 1]
    kernel: Ints  # [n_steps]
    children: Ints  # [n_steps, 3]
    takes: Ints  # [n_steps, 2, 2]: argument places of each number's factors, -1 for absent
    plus: Floats  # [n_steps, 2]
    arguments: Ints  # [n_ops]


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
        np.array([[plus for _, _, plus in given] for given in numbers]),
        np.array([len(op.args) for op in OPS]),
    )


def _steps(
    tree: Apply, steps: list[tuple[int, list[int], list[tuple[int, int, float]]]], places: dict[Apply, int], base: int
) -> int:
    if tree in places:
        return places[tree]
    children = [s if isinstance(s, int) else _steps(s, steps, places, base) for s in tree.series]
    numbers = [(n.first, n.second, n.plus) for n in tree.numbers]
    if tree.kernel is K.COLUMN:
        numbers = [(-1, -1, float(COLUMNS.index(tree.column)))]
    constants = {K.LONG: 1.0, K.SHORT: -1.0, K.FLAT: 0.0, K.HOLD: float("nan")}
    if tree.kernel in constants:
        numbers = [(-1, -1, constants[tree.kernel])]
    kernel = {K.ANY: K.HIGHEST, K.ALL: K.LOWEST}.get(tree.kernel, tree.kernel)
    steps.append((int(kernel), children, numbers))
    places[tree] = base - len(steps)  # the step's place within its operator, as -1 - place
    return places[tree]


def flatten(programs: Sequence[Program]) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Return all tokens, where each program's begin, and the columns' names; a user's column is the token -1 - place."""
    ends = np.cumsum([0, *(len(p.tokens) for p in programs)])
    names = list(COLUMNS)
    tokens = list(chain.from_iterable(p.tokens for p in programs))
    own = sorted({token for token in tokens if isinstance(token, str)})
    if own:
        place = {name: -1 - len(names) - i for i, name in enumerate(own)}
        flat = [place[token] if isinstance(token, str) else token for token in tokens]
        return np.array(flat, dtype=np.int64), ends, (*names, *own)
    return np.array(tokens, dtype=np.int64), ends, tuple(names)


def encode(programs: Sequence[Program], *, sharing: bool) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph of the programs and the names of all columns that its COLUMN nodes may number.

    Without `sharing`, nothing is shared between programs, only within each.
    """
    tokens, ends, names = flatten(programs)
    table = templates()
    most = int(np.max(np.diff(table.begin)))
    steps = np.where((tokens >= 0) & (tokens < len(OPS)), 0, 1)
    known = tokens[steps == 0]
    room = int(np.sum(np.diff(table.begin)[known])) + len(tokens) + 1
    seeds = np.array([_seed(name) for name in names], dtype=np.uint64)
    kernel, children, numbers = np.empty(room, np.int64), np.empty((room, 3), np.int64), np.empty((room, 2))
    hashes, root, ready = (
        np.empty(room, np.uint64),
        np.empty(len(programs), np.int64),
        np.empty(len(programs), np.int64),
    )
    slots = np.full(1 << (2 * room).bit_length(), -1, np.int64)
    stack = np.empty((int(np.max(np.diff(ends), initial=1)) + 1, 2))
    made = _encode(
        tokens, ends, table, seeds, np.array([int(k) for k in COMMUTATIVE]), sharing,
        kernel, children, numbers, hashes, slots, stack, np.empty(most + 1, np.int64), root, ready,
    )  # fmt: skip
    return Graph(kernel[:made], children[:made], numbers[:made], root, ready), names


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


_COLUMN = int(K.COLUMN)
_FIRST_NUMBER, _FIRST_LEVEL, _ZERO_LEVEL, _GRID = 10_000, 500_000_000, 1_000_000_000, 10_000.0


@njit
def _mix(h: np.uint64, v: np.uint64) -> np.uint64:
    h = (h ^ v) * np.uint64(0x9E3779B97F4A7C15)
    return h ^ (h >> np.uint64(29))


@njit
def _node(
    code: int, child: Ints, number: Floats, seeds: Hashes, salt: int, begin: int, made: int,
    kernel: Ints, children: Ints, numbers: Floats, hashes: Hashes, slots: Ints,
) -> int:  # fmt: skip
    """Return the node of this kernel, children and numbers; it is `made` where there was none."""
    h = _mix(np.uint64(code + 1), np.uint64(salt))
    if code == _COLUMN:
        h = _mix(h, seeds[int(number[0])])
    else:
        bits = number.view(np.uint64)
        h = _mix(_mix(h, bits[0]), bits[1])
    for c in child:
        h = _mix(h, hashes[c] if c >= 0 else np.uint64(7))
    mask = len(slots) - 1
    at = int(h >> np.uint64(20)) & mask
    while slots[at] >= 0:
        n = slots[at]
        same = (number[0] == numbers[n, 0]) | ((number[0] != number[0]) & (numbers[n, 0] != numbers[n, 0]))
        if (
            n >= begin and kernel[n] == code and same and numbers[n, 1] == number[1]
            and children[n, 0] == child[0] and children[n, 1] == child[1] and children[n, 2] == child[2]
        ):  # fmt: skip
            return n
        at = (at + 1) & mask
    slots[at] = made
    kernel[made], hashes[made] = code, h
    children[made], numbers[made] = child, number
    return made


@njit
def _encode(
    tokens: Ints, ends: Ints, table: Templates, seeds: Hashes, commutative: Ints, sharing: bool,
    kernel: Ints, children: Ints, numbers: Floats, hashes: Hashes, slots: Ints, stack: Floats, result: Ints,
    root: Ints, ready: Ints,
) -> int:  # fmt: skip
    """Fill the graph's arrays; return how many nodes there are. A stack row is (node or -1, number)."""
    made = 0
    child, number = np.empty(3, np.int64), np.empty(2)
    sorts = np.zeros(64, np.bool_)
    for code in commutative:
        sorts[code] = True
    for p in range(len(ends) - 1):
        top, begin, salt = 0, (0 if sharing else made), (0 if sharing else p + 1)
        for at in range(ends[p + 1] - 1, ends[p] - 1, -1):
            token = tokens[at]
            if token < 0:
                child[:], number[0], number[1] = -1, float(-1 - token), 0.0
                n = _node(_COLUMN, child, number, seeds, salt, begin, made, kernel, children, numbers, hashes, slots)
                made = max(made, n + 1)
                stack[top, 0], stack[top, 1] = n, 0.0
                top += 1
                continue
            if token >= _FIRST_NUMBER:
                level = token > _FIRST_LEVEL
                stack[top, 0] = -1.0
                stack[top, 1] = (token - _ZERO_LEVEL) / _GRID if level else float(token - _FIRST_NUMBER)
                top += 1
                continue
            n = -1
            for step in range(table.begin[token], table.begin[token + 1]):
                for k in range(3):
                    place = table.children[step, k]
                    if place == _NO_CHILD:
                        child[k] = -1
                    else:
                        child[k] = int(stack[top - 1 - place, 0]) if place >= 0 else result[-1 - place]
                for k in range(2):
                    first, second = table.takes[step, k, 0], table.takes[step, k, 1]
                    value = stack[top - 1 - first, 1] if first >= 0 else 0.0
                    number[k] = value * (stack[top - 1 - second, 1] if second >= 0 else 1.0) + table.plus[step, k]
                code = table.kernel[step]
                if sorts[code] and hashes[child[0]] > hashes[child[1]]:
                    child[0], child[1] = child[1], child[0]
                n = _node(code, child, number, seeds, salt, begin, made, kernel, children, numbers, hashes, slots)
                made = max(made, n + 1)
                result[step - table.begin[token]] = n
            top -= table.arguments[token]
            stack[top, 0], stack[top, 1] = n, 0.0
            top += 1
        root[p], ready[p] = int(stack[0, 0]), made
    return made
