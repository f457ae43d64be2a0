# ruff: noqa: PLR0912, PLR0913, PLR0917, PLR1714, SIM109  # compiled functions take arrays one by one
"""Where each node's values lie: places in one work array, given out by liveness.

A node whose past is read by windows keeps the end of each block beside the slots; lags are no nodes at all but places
further back; columns are read where they are, and numbers lie ready for all blocks. Values that nobody reads any more
give up their slot, so a population of hundreds works in a few hundred kilobytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quantga.errors import ProgramError
from quantga.lang.bars import Floats, Ints
from quantga.lang.encode import Graph
from quantga.lang.jit import inlined, njit
from quantga.lang.kernels import (
    CODE,
    FACTOR,
    FIELDS,
    FIRST,
    HEADER,
    HISTORY,
    OUT,
    PAST,
    STATE,
    TAIL,
    WHEN_BOTH,
    WHEN_FIRST,
    WHEN_SECOND,
    WINDOW,
    column_place,
)
from quantga.lang.kernels_moments import ROOM, stride_of
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
    fill: Ints  # [n_fills, 2]: where a number lies ready for all blocks, and over how many places
    filling: Floats  # [n_fills]: which number


class _Nodes(NamedTuple):
    """What is found out about each node of the graph."""

    row: Ints  # its row, -1 where there is nothing to compute
    base: Ints  # the node whose values are read: another one for a lag or a number that was there before
    shift: Ints  # how far back they are read
    keep: Ints  # bars of the past that are read
    memory: Ints  # blocks that an exponential mean remembers
    place: Ints  # where its values lie, once that is known


def lay_out(graph: Graph) -> Layout:
    """Give every node of the graph its place. ProgramError where windows reach absurdly far."""
    n = len(graph.kernel)
    found = _Nodes(*(np.zeros(n, np.int64) for _ in _Nodes._fields))
    longest = _histories(graph, found)
    keep = found.keep
    if max(int(keep.max(initial=0)), longest, int(found.memory.max(initial=0)) * BLOCK) > _MAX_HISTORY:
        raise ProgramError("a program looks back further than four million bars; use smaller windows or factors")
    count = _number_rows(graph, found)
    nodes, numbers = np.zeros((count, FIELDS), np.int64), np.zeros((count, 2))
    fill, filling = np.empty((n, 2), np.int64), np.empty(n)
    free = np.arange(1, count + 1)
    _free_at(graph, found, free)
    headroom = -(-int(keep[keep <= _SMALL_HISTORY].max(initial=0)) // 8) * 8 + 8
    room = HEADER + ROOM * stride_of(longest, BLOCK)
    lists = np.full((4, count + 1), -1)
    size, fills = _places(graph, found, free, room, headroom, lists, nodes, numbers, fill, filling)
    base = found.base[graph.root]
    root = found.place[base] - found.shift[graph.root]
    ready = np.concatenate([[0], np.cumsum(found.row >= 0)])[graph.ready]
    return Layout(nodes, numbers, root, ready, size, fill[:fills], filling[:fills])


@njit
def _number_rows(graph: Graph, found: _Nodes) -> int:
    """Number the nodes to be computed: not lags and numbers, nor columns that can be read where they are."""
    for root in graph.root:
        if graph.kernel[found.base[root]] == _COLUMN:
            found.row[found.base[root]] = 1
    count = 0
    for n in range(len(graph.kernel)):
        code = graph.kernel[n]
        in_place = code == _COLUMN and found.row[n] == 0 and found.keep[n] <= PAST
        found.row[n] = -1
        if not (in_place or code == _LAG or is_number(code)):
            found.row[n] = count
            count += 1
    return count


@njit
def _histories(graph: Graph, found: _Nodes) -> int:
    """Find what lags read, how many past bars of each node are read and what means remember; return the longest window."""
    longest, (_, base, shift, keep, memory, _) = 1, found
    for n in range(len(graph.kernel)):
        code = graph.kernel[n]
        base[n] = n
        if code == _LAG:
            under = graph.children[n, 0]
            base[n], shift[n] = base[under], shift[under] + int(graph.numbers[n, 0])
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
def _free_at(graph: Graph, found: _Nodes, free: Ints) -> None:
    """Write, by row, the row from which the place may be given to another."""
    row, base = found.row, found.base
    for n in range(len(graph.kernel)):
        if row[n] >= 0:
            for k in range(3):
                child = graph.children[n, k]
                if child >= 0 and row[base[child]] >= 0:
                    under = row[base[child]]
                    free[under] = max(free[under], row[n] + 1)
    done = 0
    seen = 0
    for p in range(len(graph.root)):
        while seen < graph.ready[p]:
            done += row[seen] >= 0
            seen += 1
        under = row[base[graph.root[p]]]
        if under >= 0:
            free[under] = max(free[under], done)


@njit
def _places(
    graph: Graph, found: _Nodes, free: Ints, room: int, headroom: int, lists: Ints, nodes: Ints, numbers: Floats,
    fill: Ints, filling: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Fill the rows; return the length of the work array (scratch, slots, what is kept) and how many numbers lie ready."""
    row, keep, memory, place = found.row, found.keep, found.memory, found.place
    stride = headroom + BLOCK
    slot, next_free, freed, spare = lists[0], lists[1], lists[2], lists[3]  # freed, next_free: rows, by when freed
    spares, slots = 0, 0
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
    fills = 0
    for n in range(len(row)):
        v, past = row[n], _lines(keep[n])
        if v < 0:
            if is_number(graph.kernel[n]):
                end, fills = _lay_number(graph, n, past, end, fills, place, fill, filling)
            elif graph.kernel[n] == _COLUMN:
                place[n] = column_place(int(graph.numbers[n, 0]), 0)
            continue
        nodes[v, TAIL] = -1
        nodes[v, HISTORY] = keep[n]
        if slot[v] < 0:
            place[n] = end + past
            end += past + BLOCK
        else:
            place[n] = room + slot[v] * stride + headroom
            if keep[n]:
                nodes[v, TAIL] = end
                end += past
        nodes[v, OUT] = place[n]
        if memory[n]:
            nodes[v, STATE] = end
            end += _lines(2 * memory[n])
    for n in range(len(row)):
        if row[n] >= 0:
            _fill_row(graph, n, found, nodes, numbers)
    return end, fills


@inlined
def _lines(values: int) -> int:
    """Return the number of values in as many whole cache lines."""
    return (values + 7) // 8 * 8


@inlined
def _lay_number(
    graph: Graph, n: int, past: int, end: int, fills: int, place: Ints, fill: Ints, filling: Floats
) -> tuple[int, int]:
    """Give a number the place of an equal one, or one of its own; return the new end and how many there are."""
    value = graph.numbers[n, 0]
    for other in range(fills):
        equal = filling[other] == value or (np.isnan(filling[other]) and np.isnan(value))
        if equal and fill[other, 1] >= past + BLOCK:
            place[n] = fill[other, 0] + fill[other, 1] - BLOCK
            return end, fills
    place[n] = end + past
    fill[fills, 0], fill[fills, 1], filling[fills] = end, past + BLOCK, value
    return end + past + BLOCK, fills + 1


@inlined
def _fill_row(graph: Graph, n: int, found: _Nodes, nodes: Ints, numbers: Floats) -> None:
    v, code, place = found.row[n], graph.kernel[n], found.place
    nodes[v, CODE] = code
    for k in range(3):
        child = graph.children[n, k]
        if child < 0:
            nodes[v, FIRST + k] = nodes[v, OUT]
        elif place[found.base[child]] >= 0:
            nodes[v, FIRST + k] = place[found.base[child]] - found.shift[child]
        else:
            nodes[v, FIRST + k] = place[found.base[child]] + found.shift[child]
    numbers[v, 0], numbers[v, 1] = graph.numbers[n, 0], graph.numbers[n, 1]
    if code == _COLUMN:
        nodes[v, FIRST] = column_place(int(graph.numbers[n, 0]), 0)
    elif code == _EMA or code == _WILDER:
        window = int(graph.numbers[n, 0])
        nodes[v, CODE], nodes[v, WINDOW], nodes[v, FACTOR] = _EMA, window, found.memory[n]
        numbers[v, 0] = 2.0 / (window + 1.0) if code == _EMA else 1.0 / window
    elif code == _EVERY:
        nodes[v, WINDOW], nodes[v, FACTOR] = 1, int(graph.numbers[n, 0])
    elif code == _HIGHER:
        nodes[v, FACTOR], nodes[v, WINDOW] = int(graph.numbers[n, 0]), int(graph.numbers[n, 1])
    elif code > _EVERY:
        nodes[v, WINDOW] = int(graph.numbers[n, 0])
    elif code == _WHEN:
        then, other = graph.children[n, 1], graph.children[n, 2]
        first, second = is_number(graph.kernel[then]), is_number(graph.kernel[other])
        numbers[v, 0], numbers[v, 1] = graph.numbers[then, 0], graph.numbers[other, 0]
        if first or second:
            nodes[v, CODE] = WHEN_BOTH if first and second else (WHEN_FIRST if first else WHEN_SECOND)


@inlined
def is_number(code: int) -> bool:
    """Tell whether a node's values are one number throughout."""
    return code == _CONSTANT or _LONG <= code <= _HOLD or code == _SCALE_LEVEL
