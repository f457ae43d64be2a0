"""Non-dominated fronts and crowding distances of three goals: what DEAP's functions say, in a tenth of their time.

Every island asks for them every generation. `tests/evolve/test_fronts.py` holds them against DEAP's, which name the champions.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence

type Point = tuple[float, float, float]
"""What is to be made large, and two things that are to be made small."""


def fronts_of(points: Sequence[Point]) -> list[list[int]]:
    """Return the places of the points front by front; within one by their first goal, second, third, then their order.

    Taken in that order, a point can only be dominated by one before it, and whoever is dominated from within a front is
    from within every better one; so its front is found by halving (Zhang et al. 2015). Of each front the staircase of the
    last two goals is kept: the smallest third goal among all that have so small a second one.
    """
    found: list[list[int]] = []
    stairs: list[tuple[list[float], list[float]]] = []
    last, home = None, 0
    for place in sorted(range(len(points)), key=lambda i: (-points[i][0], points[i][1], points[i][2])):
        point = points[place]
        if point != last:
            last, home = point, _home(stairs, point)
            if home == len(found):
                found.append([])
                stairs.append(([], []))
            _step(*stairs[home], point)
        found[home].append(place)
    return found


def _home(stairs: list[tuple[list[float], list[float]]], point: Point) -> int:
    """Return the first front that does not dominate the point; their number where all do."""
    _, second, third = point
    low, high = 0, len(stairs)
    while low < high:
        middle = (low + high) // 2
        seconds, thirds = stairs[middle]
        at = bisect(seconds, second)
        if at and thirds[at - 1] <= third:
            low = middle + 1
        else:
            high = middle
    return low


def _step(seconds: list[float], thirds: list[float], point: Point) -> None:
    """Put a point that a staircase does not dominate into it."""
    _, second, third = point
    start = end = bisect(seconds, second)
    while start and seconds[start - 1] == second:
        start -= 1
    while end < len(thirds) and thirds[end] >= third:
        end += 1
    seconds[start:end], thirds[start:end] = [second], [third]


def crowding(points: Sequence[Point]) -> list[float]:
    """Return each point's distance to its neighbours in each goal, over that goal's range, summed; inf at the ends.

    Deb et al. 2002, as DEAP has it: a third of each distance, and ties in the order that the goal before left them in.
    """
    if len(points) < 3:
        return [math.inf] * len(points)
    found, order = [0.0] * len(points), list(range(len(points)))
    for values in zip(*points, strict=True):
        order.sort(key=values.__getitem__)
        spread = 3 * (values[order[-1]] - values[order[0]])
        found[order[0]] = found[order[-1]] = math.inf
        if spread > 0.0:
            for before, place, after in zip(order, order[1:], order[2:], strict=False):
                found[place] += (values[after] - values[before]) / spread
    return found
