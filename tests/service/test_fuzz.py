"""The OpenAPI description against the service: Schemathesis calls with whatever it allows and forbids."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

CASES = {"sample": 4, "proof": 1_000}
"""Examples for each route and phase."""


def fuzz(served, examples, tmp_path, phases="fuzzing"):
    """Run Schemathesis against the service; return its exit code and what it says."""
    (tmp_path / "schemathesis.toml").write_text("")
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/api/v1/openapi.json",
            "--header", f"Authorization: Bearer {served.tokens['research']}", "--exclude-path-regex", "/events$",
            "--checks", "all", "--max-examples", str(examples), "--seed", "1", "--generation-database", "none", "--no-color",
            "--mode", "all", "--phases", phases, "--suppress-health-check", "all", "--request-timeout", "120", "--max-response-time", "120",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=3000, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(1200)
def test_no_failure_and_no_untruth_in_a_sample(served, tmp_path):
    code, said = fuzz(served, CASES["sample"], tmp_path)
    assert code == 0, said[-6000:]


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_no_failure_and_no_untruth_in_ten_thousand_calls(served, tmp_path):
    code, said = fuzz(served, CASES["proof"], tmp_path, "examples,coverage,fuzzing")
    print(said[-3000:])
    assert code == 0, said[-6000:]
    assert int(re.findall(r"(\d+) generated", said.replace(",", ""))[-1]) >= 10_000
