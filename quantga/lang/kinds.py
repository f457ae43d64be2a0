"""Kinds are units, and the tables from which the generator draws windows, factors and levels."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """The unit of a value; nonsense such as `gt(close, volume)` has no row and does not parse."""

    PRICE = "Price"
    SIZE = "Size"
    RATIO = "Ratio"
    REF_PRICE = "RefPrice"  # a price of the reference asset: another unit than Price
    REF_SIZE = "RefSize"
    CLOCK = "Clock"
    MASK = "Mask"
    WINDOW = "Window"
    FACTOR = "Factor"
    LEVEL = "Level"
    POSITION = "Position"


VALUES = (Kind.PRICE, Kind.SIZE, Kind.RATIO, Kind.REF_PRICE, Kind.REF_SIZE)
IMMEDIATE = (Kind.WINDOW, Kind.FACTOR, Kind.LEVEL)

WINDOWS = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 26, 30, 36, 48, 50, 60, 72, 96, 100, 120, 144, 168, 200, 240, 336)
FACTORS = (2, 3, 4, 6, 8, 12, 24)
LEVELS: dict[str, tuple[float, ...]] = {
    "percent": tuple(float(v) for v in range(5, 100, 5)),
    "unit": tuple(v / 20 for v in range(1, 20)),
    "score": tuple(v / 4 for v in (-12, -10, -8, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 8, 10, 12)),
    "return": (-0.05, -0.03, -0.02, -0.01, -0.005, -0.002, -0.001, 0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05),
    "rate": (-0.0001, 0.0, 0.0001, 0.0002, 0.0003, 0.0005, 0.001),
    "width": (1.0, 1.5, 2.0, 2.5, 3.0),
    "times": (0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 3.0, 4.0),
    "size": (-0.75, -0.5, -0.25, 0.25, 0.5, 0.75),
    "bars": (1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 24.0, 48.0),
    "hour": tuple(float(v) for v in range(24)),
    "weekday": tuple(float(v) for v in range(7)),
}
