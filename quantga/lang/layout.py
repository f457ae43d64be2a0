# ruff: noqa: PLR0912, PLR0913, PLR0917, PLR1714, SIM109  # compiled functions take arrays one by one
"""Where each node's values lie: places in one work array, given out by liveness.

A node whose past is read by windows keeps the end of each block beside the slots; lags are no nodes at all but places
further back. Values that nobody reads any more give up their slot, so a population of hundreds works in a few hundred
kilobytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quantga.errors import ProgramError
from quantga.lang.bars import Floats, Ints
from quantga.lang.encode import Graph
from quantga.lang.jit import njit
from quantga.lang.kernels import (
    CODE,
    FACTOR,
    FIELDS,
    FIRST,
    HISTORY,
    OUT,
    STATE,
    TAIL,
    WHEN_BOTH,
    WHEN_FIRST,
    WHEN_SECOND,
    WINDOW,
)
from quantga.lang.kernels_moments import ROOM
from quantga.lang.ops import BLOCK, K, ema_memory

_SMALL_HISTORY = 512  # a longer past is kept in place, not beside the recycled slots
_MAX_HISTORY = 4_000_000  # bars of all pasts together: 32 MB a place; beyond, windows x factors have become absurd
_COLUMN, _LAG, _EMA, _WILDER = int(K.COLUMN), int(K.LAG), int(K.EMA), int(K.WILDER)
_WHEN, _CONSTANT, _LONG, _HOLD, _SCALE_LEVEL = (
    int(K.WHEN),
    int(K.CONSTANT),
    int(K.LONG),
    int(K.HOLD),
    int(K.SCALE_LEVEL),
)
_EVERY, _HIGHER = int(K.EVERY), int(K.HIGHER_MEAN)
_memory = njit(ema_memory)


class Layout(NamedTuple):
    """Rows for `run_block`, and where to find each program's wanted series when `ready[p]` rows have run."""

    nodes: Ints  # [n, FIELDS]
    numbers: Floats  # [n, 2]
    root: Ints  # [n_programs]
    ready: Ints  # [n_programs]
    size: int  # length of the work array


def lay_out(graph: Graph) -> Layout:
    """Give every node of the graph its place. ProgramError where windows reach absurdly far."""
    n = len(graph.kernel)
    row, base, shift = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    count = _number_rows(graph, row, base, shift)
    keep, memory = np.zeros(n, np.int64), np.zeros(n, np.int64)
    longest = _histories(graph, base, shift, keep, memory)
    if max(int(keep.max(initial=0)), longest, int(memory.max(initial=0)) * BLOCK) > _MAX_HISTORY:
        raise ProgramError("a program looks back further than four million bars; use smaller windows or factors")
    nodes, numbers = np.zeros((count, FIELDS), np.int64), np.zeros((count, 2))
    root, ready = np.empty(len(graph.root), np.int64), np.empty(len(graph.root), np.int64)
    free = _free_at(graph, row, base, count)
    headroom = -(-int(keep[keep <= _SMALL_HISTORY].max(initial=0)) // 8) * 8 + 8
    room = ROOM * (BLOCK + longest + 1)
    size = _places(graph, row, base, shift, keep, memory, free, room, headroom, nodes, numbers)
    for_programs = base[graph.root]
    root[:] = nodes[row[for_programs], OUT] - shift[graph.root]
    done = np.concatenate([[0], np.cumsum(row >= 0)])
    ready[:] = done[graph.ready]
    return Layout(nodes, numbers, root, ready, size)


@njit
def _number_rows(graph: Graph, row: Ints, base: Ints, shift: Ints) -> int:
    """Number the nodes to be computed; a lag is none, but another node (`base`), `shift` bars back."""
    count = 0
    for n in range(len(graph.kernel)):
        base[n], shift[n], row[n] = n, 0, -1
        if graph.kernel[n] == _LAG:
            under = graph.children[n, 0]
            base[n], shift[n] = base[under], shift[under] + int(graph.numbers[n, 0])
        else:
            row[n] = count
            count += 1
    return count


@njit
def _histories(graph: Graph, base: Ints, shift: Ints, keep: Ints, memory: Ints) -> int:
    """Find how many past bars of each node are read, and the blocks exponential means remember; longest window."""
    longest = 1
    for n in range(len(graph.kernel)):
        code = graph.kernel[n]
        if code == _LAG:
            continue
        past = 0
        if code == _EMA or code == _WILDER:
            window = int(graph.numbers[n, 0])
            span = window if code == _EMA else 2 * window - 1
            memory[n] = _memory(span) // BLOCK
        elif code == _EVERY:
            past = int(graph.numbers[n, 0]) - 1
        elif code == _HIGHER:
            past = int(graph.numbers[n, 0] * graph.numbers[n, 1]) - 1
            longest = max(longest, int(graph.numbers[n, 1]))
        elif code > _EVERY:
            past = int(graph.numbers[n, 0]) - 1
            longest = max(longest, past + 1)
        for k in range(3):
            child = graph.children[n, k]
            if child >= 0:
                keep[base[child]] = max(keep[base[child]], shift[child] + past)
    for root in graph.root:
        keep[base[root]] = max(keep[base[root]], shift[root])
    return longest


@njit
def _free_at(graph: Graph, row: Ints, base: Ints, count: int) -> Ints:
    """Return, by row, the row from which the place may be given to another."""
    free = np.arange(count) + 1
    for n in range(len(graph.kernel)):
        if row[n] >= 0:
            for k in range(3):
                if graph.children[n, k] >= 0:
                    under = row[base[graph.children[n, k]]]
                    free[under] = max(free[under], row[n] + 1)
    done = 0
    seen = 0
    for p in range(len(graph.root)):
        while seen < graph.ready[p]:
            done += row[seen] >= 0
            seen += 1
        under = row[base[graph.root[p]]]
        free[under] = max(free[under], done)
    return free


@njit
def _places(
    graph: Graph, row: Ints, base: Ints, shift: Ints, keep: Ints, memory: Ints, free: Ints, room: int, headroom: int,
    nodes: Ints, numbers: Floats,
) -> int:  # fmt: skip
    """Fill the rows; return the length of the work array: scratch, then slots, then what is kept between blocks."""
    count = len(nodes)
    stride = headroom + BLOCK
    slot = np.empty(count, np.int64)
    next_free, freed = np.full(count, -1, np.int64), np.full(count + 1, -1, np.int64)  # lists of rows, by when freed
    spare, spares, slots = np.empty(count, np.int64), 0, 0
    for n in range(len(row)):
        v = row[n]
        if v < 0:
            continue
        at = freed[v]
        while at >= 0:
            spare[spares] = slot[at]
            spares += 1
            at = next_free[at]
        if keep[n] > _SMALL_HISTORY:
            slot[v] = -1
            continue
        if spares:
            spares -= 1
            slot[v] = spare[spares]
        else:
            slot[v] = slots
            slots += 1
        next_free[v], freed[free[v]] = freed[free[v]], v
    end = room + slots * stride
    for n in range(len(row)):
        v = row[n]
        if v < 0:
            continue
        nodes[v, TAIL] = -1
        nodes[v, HISTORY] = keep[n]
        if slot[v] < 0:
            nodes[v, OUT] = end + keep[n]
            end += keep[n] + BLOCK
        else:
            nodes[v, OUT] = room + slot[v] * stride + headroom
            if keep[n]:
                nodes[v, TAIL] = end
                end += keep[n]
        if memory[n]:
            nodes[v, STATE] = end
            end += 2 * memory[n]
    for n in range(len(row)):
        if row[n] >= 0:
            _fill_row(graph, n, row, base, shift, memory[n], nodes, numbers)
    return end


@njit
def _fill_row(
    graph: Graph, n: int, row: Ints, base: Ints, shift: Ints, memory: int, nodes: Ints, numbers: Floats
) -> None:
    v, code = row[n], graph.kernel[n]
    nodes[v, CODE] = code
    for k in range(3):
        child = graph.children[n, k]
        nodes[v, FIRST + k] = nodes[row[base[child]], OUT] - shift[child] if child >= 0 else nodes[v, OUT]
    numbers[v] = graph.numbers[n]
    if code == _EMA or code == _WILDER:
        window = int(graph.numbers[n, 0])
        nodes[v, CODE], nodes[v, WINDOW], nodes[v, FACTOR] = _EMA, window, memory
        numbers[v, 0] = 2.0 / (window + 1.0) if code == _EMA else 1.0 / window
    elif code == _EVERY:
        nodes[v, WINDOW], nodes[v, FACTOR] = 1, int(graph.numbers[n, 0])
    elif code == _HIGHER:
        nodes[v, FACTOR], nodes[v, WINDOW] = int(graph.numbers[n, 0]), int(graph.numbers[n, 1])
    elif code > _EVERY or code == _COLUMN:
        nodes[v, WINDOW] = int(graph.numbers[n, 0])
    elif code == _WHEN:
        then, other = graph.children[n, 1], graph.children[n, 2]
        first, second = _constant(graph.kernel[then]), _constant(graph.kernel[other])
        numbers[v, 0], numbers[v, 1] = graph.numbers[then, 0], graph.numbers[other, 0]
        if first or second:
            nodes[v, CODE] = WHEN_BOTH if first and second else (WHEN_FIRST if first else WHEN_SECOND)


@njit
def _constant(code: int) -> bool:
    return code == _CONSTANT or _LONG <= code <= _HOLD or code == _SCALE_LEVEL
