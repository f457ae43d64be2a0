# ruff: noqa: PLR0913, PLR0917  # compiled functions take arrays one by one
"""Wanted positions of many programs on one market; every shared sub-expression is computed once, block by block.

For loops of one's own over blocks (nothing of size programs x bars is kept; all arrays are float64 or int64):

    plan(programs, sharing=True) -> Plan                     # tiles of TILE programs at most are fastest
    plan.columns: tuple[str, ...]                            # what column_matrix(plan.columns, bars) has to hold
    plan.nodes int64[n_nodes, FIELDS], plan.numbers float64[n_nodes, 2]
    plan.root int64[n_programs], plan.ready int64[n_programs], plan.same int64[n_programs]
    column_matrix(names, bars) -> float64[n_columns, padded] # for run_block alone: with room before and behind the bars
    buffers(plan) -> float64[plan.size]                      # `work`; may be used again, for another market too
    @njit run_block(nodes, numbers, work, columns, origin, start, first, last)

    for start in range(-(origin % BLOCK), n_bars, BLOCK):    # row of the block's first bar: negative in a part block
        done = 0
        for p in range(n_programs):                          # in this order: a root's place is given on afterwards
            run_block(nodes, numbers, work, columns, origin, start, done, ready[p])
            done = ready[p]
            wanted = work[root[p] : root[p] + BLOCK]         # wanted[i] is that of row start + i; skip rows not in 0..n

`same[p]` is the first program whose wanted series is the same by construction; its rows need not be simulated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from quantga.lang.bars import Bars, Floats, Ints
from quantga.lang.encode import encode
from quantga.lang.jit import njit
from quantga.lang.kernels import FIELDS, PAST, interpreter, run_block
from quantga.lang.kernels_pointwise import LARGEST
from quantga.lang.layout import lay_out
from quantga.lang.ops import BLOCK, K
from quantga.lang.program import Program

__all__ = ["BLOCK", "TILE", "Plan", "buffers", "column_matrix", "evaluate", "plan", "run_block", "tiles"]

TILE = 500
"""Programs planned together: enough to share, few enough for the caches."""
_COLUMN = int(K.COLUMN)


@dataclass(frozen=True)
class Plan:
    """How to compute the wanted series of some programs; see the module's docstring."""

    programs: Sequence[Program] = field(repr=False)
    columns: tuple[str, ...]
    nodes: Ints = field(repr=False)
    numbers: Floats = field(repr=False)
    root: Ints = field(repr=False)
    ready: Ints = field(repr=False)
    same: Ints = field(repr=False)
    size: int
    fill: Ints = field(repr=False)
    filling: Floats = field(repr=False)


def plan(programs: Sequence[Program], *, sharing: bool = True) -> Plan:
    """Plan the computation of all programs together; without `sharing` each for itself."""
    if not programs:
        none = np.empty(0, np.int64)
        nodes, numbers, fill = np.empty((0, FIELDS), np.int64), np.empty((0, 2)), np.empty((0, 2), np.int64)
        return Plan(programs, (), nodes, numbers, none, none, none, 0, fill, numbers[:, 0])
    graph, names = encode(programs, sharing=sharing)
    loads = np.flatnonzero(graph.kernel == _COLUMN)
    used, place = np.unique(graph.numbers[loads, 0], return_inverse=True)
    graph.numbers[loads, 0] = place
    layout = lay_out(graph)
    _, first, group = np.unique(graph.root, return_index=True, return_inverse=True)
    columns = tuple(names[int(i)] for i in used)
    return Plan(
        programs, columns, layout.nodes, layout.numbers, layout.root, layout.ready, first[group], layout.size,
        layout.fill, layout.filling,
    )  # fmt: skip


def tiles(programs: Sequence[Program], *, size: int = TILE, sharing: bool = True) -> Iterator[Plan]:
    """Plan the programs in tiles of at most `size`."""
    for begin in range(0, len(programs), size):
        yield plan(programs[begin : begin + size], sharing=sharing)


def column_matrix(names: Sequence[str], bars: Bars) -> Floats:
    """Return the named columns as `run_block` reads them. ProgramError naming a column that the market lacks.

    Bar 0 stands where its block begins at `PAST`; what is no bar, and what is larger than `LARGEST`, is NaN. Rows are of
    a length at which the same bars of several columns do not compete for the same lines of a cache.
    """
    first = PAST + bars.origin % BLOCK
    width = -(-(first + len(bars)) // BLOCK) * BLOCK + 72
    columns = _aligned(len(names) * width).reshape(len(names), width)
    columns.fill(np.nan)
    for row, name in zip(columns, names, strict=True):
        values = bars[name]
        np.copyto(row[first : first + len(bars)], values, where=np.abs(values) <= LARGEST)
    return columns


def buffers(plan: Plan) -> Floats:
    """Return a work array for `run_block`, good in this process only."""
    work = _aligned(max(plan.size, 1))
    work.fill(np.nan)
    for (begin, length), value in zip(plan.fill.tolist(), plan.filling.tolist(), strict=True):
        work[begin : begin + length] = value
    work[:1].view(np.int64)[0] = interpreter()
    return work


def _aligned(length: int) -> Floats:
    """Return an array that begins where a cache line does."""
    raw = np.empty(length + 8)
    first = -(raw.ctypes.data // 8) % 8
    return raw[first : first + length]


@njit
def _evaluate(
    nodes: Ints, numbers: Floats, work: Floats, columns: Floats, origin: int, root: Ints, ready: Ints, out: Floats
) -> None:
    bars = out.shape[1]
    for start in range(-(origin % BLOCK), bars, BLOCK):
        done = 0
        for p in range(len(root)):
            run_block(nodes, numbers, work, columns, origin, start, done, ready[p])
            done = ready[p]
            wanted, row = root[p] - start, out[p]
            for i in range(max(start, 0), min(start + BLOCK, bars)):
                row[i] = work[wanted + i]


def evaluate(programs: Sequence[Program], bars: Bars) -> Floats:
    """Return the wanted positions, float64[n_programs, n_bars], within -1 and 1; NaN: hold, or not defined yet.

    A row does not depend on the other programs nor on their order, and from `program.reach` on not on where the bars
    begin. ProgramError names a column that the market lacks.
    """
    out = np.empty((len(programs), len(bars)))
    at = 0
    for tile in tiles(programs):
        columns = column_matrix(tile.columns, bars)
        rows = out[at : at + len(tile.root)]
        _evaluate(tile.nodes, tile.numbers, buffers(tile), columns, bars.origin, tile.root, tile.ready, rows)
        at += len(tile.root)
    return out
