"""The command line as a process of its own, to be watched, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cluster.searches import SEARCH
from tests.conftest import ROOT


class Driven:
    """A command under way; what it writes goes to files, since nobody reads a pipe while it is watched."""

    def __init__(self, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp())
        with (self._folder / "out").open("w") as out, (self._folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from quantga.cli import main; main()", *words],
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env={**os.environ, "RAY_ADDRESS": "", **environment},
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.wait()
        shutil.rmtree(self._folder)

    def wait(self, seconds: float = 240) -> int:
        """Wait until it is over, so long at the most; return its exit code."""
        return self.process.wait(timeout=seconds)

    def said(self) -> str:
        return (self._folder / "err").read_text()[-3000:]

    def answer(self, code: int = 0):
        """Wait for it; return its JSON, or what it said where it has no result."""
        assert self.wait() == code, self.said()
        lines = (self._folder / "out").read_text().splitlines()
        found = json.loads(lines[-1]) if lines else self.said()
        shutil.rmtree(self._folder)
        return found


def quantga(*words: str, **search: object) -> Driven:
    """Start `quantga` with these words, and with the small search of the tests."""
    chosen = {f"QUANTGA_SEARCH__{name.upper()}": str(value) for name, value in {**SEARCH, **search}.items()}
    return Driven(words, chosen)
