"""Named random streams: one seed, many independent streams, none ever shared.

A stream is a function of its name, `(seed, purpose, island, generation, slot)`, so results do not depend on who drew
before, on the number of workers or on the order of completion.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np


def _key(seed: int, key: tuple[int | str, ...]) -> int:
    name = "\x1f".join([str(seed), *map(str, key)])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "big")


def stream(seed: int, *key: int | str) -> np.random.Generator:
    """Return the NumPy generator (Philox) named `(seed, *key)`: for arrays."""
    return np.random.Generator(np.random.Philox(key=_key(seed, key)))


def dice(seed: int, *key: int | str) -> random.Random:
    """Return the scalar generator (Mersenne twister) named `(seed, *key)`: for many single draws."""
    return random.Random(_key(seed, key))  # noqa: S311 (a search, not a secret)
