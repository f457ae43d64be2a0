"""The command line as a process of its own, to be watched, killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.cluster.searches import SEARCH
from tests.conftest import ROOT


def quantga(*words: str, **search: object) -> subprocess.Popen[str]:
    """Start `quantga` with these words, and with the small search of the tests."""
    chosen = {f"QUANTGA_SEARCH__{name.upper()}": str(value) for name, value in {**SEARCH, **search}.items()}
    return subprocess.Popen(
        [sys.executable, "-c", "from quantga.cli import main; main()", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": "", **chosen},
    )


def answer(process: subprocess.Popen[str], code: int = 0):
    """Wait for a command; return its JSON, or what it said where it has no result."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err[-3000:]
    return json.loads(out.splitlines()[-1]) if out.strip() else err
