"""supervisord with our file: both programs start, a killed one returns, and what others need stops last."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Stands in for `quantga`: says when it begins and when it ends.
PROGRAM = """#!{python}
import os, pathlib, signal, sys, time
home = pathlib.Path(os.environ["QUANTGA_HOME"])
def say(what):
    with (home / "said").open("a") as file:
        file.write(f"{{what}} {{sys.argv[1]}} {{os.getpid()}}\\n")
def end(*_):
    say("ends")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
say("begins")
while True:
    time.sleep(0.1)
"""


def supervisord() -> str | None:
    named = os.environ.get("QUANTGA_SUPERVISORD")
    return named or shutil.which("supervisord")


def said(home: Path) -> list[list[str]]:
    path = home / "said"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def until(met, seconds=30):
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_supervisord_does_with_the_file(tmp_path):
    program = supervisord()
    if program is None:
        pytest.skip("supervisord is not here: pip install supervisor, or name it (QUANTGA_SUPERVISORD)")
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "quantga"
    shim.write_text(PROGRAM.format(python=sys.executable))
    shim.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [program, "-c", str(ROOT / "deploy" / "supervisord.conf")],
        env={**os.environ, "QUANTGA_HOME": str(tmp_path), "PATH": path},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: {line[1] for line in said(tmp_path)} == {"exchange", "feed"})
        exchange = next(int(line[2]) for line in said(tmp_path) if line[1] == "exchange")
        time.sleep(6)  # it counts as started after five seconds
        os.kill(exchange, signal.SIGKILL)
        until(lambda: sum(line[:2] == ["begins", "exchange"] for line in said(tmp_path)) == 2)
    finally:
        process.terminate()
        process.wait(30)
    ends = [line[1] for line in said(tmp_path) if line[0] == "ends"]
    assert ends == ["feed", "exchange"]
