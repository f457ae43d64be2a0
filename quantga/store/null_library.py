"""Surrogate searches that were run, kept one by one, for every later validation of a search of the same kind.

What a search finds where there is nothing depends on the bars, the grammar, the budget and the settings, and not on its
seed; so these are the key, and whoever validates the same kind of search again pays for no search twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from quantga.errors import ManifestMismatch
from quantga.store.lake import Lake
from quantga.trust.mining import library_key

FOLDER = "nulls"


@dataclass(frozen=True, slots=True)
class NullSearch:
    """What one search found where there is nothing: its champion's score (-inf: none) and text, and the programs appraised.

    curve: the champion's detrended returns on its own surrogate, summed up to evenly spaced days: for a picture.
    """

    number: int
    score: float
    text: str
    trials: int
    curve: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class NullLibrary:
    """The searches kept below nulls/<key>/, a write-once file each."""

    lake: Lake
    key: str

    @classmethod
    def of(cls, lake: Lake, parts: Mapping[str, object]) -> NullLibrary:
        """Return the library of everything that shapes a search's luck, see `quantga.trust.mining.library_key`."""
        made = cls(lake, library_key(parts))
        lake.put_json(f"{made.folder}/key.json", {"key": made.key, **parts})
        return made

    @property
    def folder(self) -> str:
        """The library's folder in the lake."""
        return f"{FOLDER}/{self.key}"

    @property
    def seed(self) -> int:
        """The seed of all its surrogates and searches: the key itself, so that it belongs to no run."""
        return int(self.key, 16) % 2**31

    def keep(self, one: NullSearch) -> None:
        """Write one search; nothing happens if it is there."""
        score = one.score if math.isfinite(one.score) else None
        value = {"score": score, "text": one.text, "trials": one.trials, "curve": list(one.curve)}
        self.lake.put_json(f"{self.folder}/{one.number:06d}.json", value)

    def known(self) -> dict[int, NullSearch]:
        """Return the searches that are kept, by number. ManifestMismatch where a file is none."""
        found = {}
        for path in self.lake.paths(self.folder):
            name = path.rsplit("/", 1)[1].removesuffix(".json")
            if name.isdigit():
                found[int(name)] = _read(self.lake, path, int(name))
        return found


def _read(lake: Lake, path: str, number: int) -> NullSearch:
    value = lake.read_json(path)
    match value:
        case {"score": float() | int() | None as score, "text": str(text), "trials": int(trials), "curve": list(curve)}:
            return NullSearch(number, -math.inf if score is None else float(score), text, trials, tuple(curve))
    raise ManifestMismatch(f"{lake.root}/{path} is no surrogate search: delete it, and it is run again")
