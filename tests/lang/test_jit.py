"""Compiled code is found again by its sources alone, and does not pile up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from quantga.lang.jit import cache_directory, remove_stale

ROOT = Path(__file__).resolve().parents[2]
DAY = 86_400.0
ONE = """
from quantga.lang.layout import _memory
_memory(20)
print(sum(_memory.stats.cache_hits.values()))
"""


def hits(package: Path, cache: Path) -> int:
    """Call a compiled function of a copy of the package in a new process; tell whether its code was there."""
    env = {**os.environ, "QUANTGA_JIT_CACHE": str(cache), "PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, "-c", ONE], env=env, cwd=package, check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_a_copy_of_the_package_finds_what_was_compiled(tmp_path: Path) -> None:
    for name in ("one", "other"):
        shutil.copytree(ROOT / "quantga", tmp_path / name / "quantga", ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    assert hits(tmp_path / "one", cache) == 0
    assert hits(tmp_path / "other", cache) == 1
    with (tmp_path / "other/quantga/lang/layout.py").open("a", encoding="utf-8") as source:
        source.write("\nOTHER = 1\n")
    assert hits(tmp_path / "other", cache) == 0


def test_folders_that_nobody_opens_are_removed(tmp_path: Path) -> None:
    now = time.time()
    for i in range(10):
        for kind in ("jit-lang-", "jit-engine-"):
            folder = tmp_path / f"{kind}{i}"
            folder.mkdir()
            os.utime(folder, (now - i * DAY * 5, now - i * DAY * 5))
    (tmp_path / "vectorbt").mkdir()
    gone = remove_stale(tmp_path, now)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"jit-{kind}-{i}" for kind in ("lang", "engine") for i in range(6)} | {"vectorbt"}
    assert len(gone) == 8


def test_what_was_just_opened_stays(tmp_path: Path) -> None:
    now = time.time()
    for i in range(20):
        (tmp_path / f"jit-lang-{i}").mkdir()
    assert remove_stale(tmp_path, now) == []


def test_floors_have_folders_of_their_own() -> None:
    assert cache_directory("quantga.lang.kernels") != cache_directory("quantga.engine.ledger")
