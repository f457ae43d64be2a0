"""Runs every test marked `proof`, one process each, and writes what came out as a dated table.

CI runs seeded samples of what is long; this runs all of it. It takes hours, so each result is kept as soon as it
is there, by commit: a second call on the same commit runs what is missing or failed. The table is written after each; what was
not reached stands there as such. Figures that a test records (`record_property("programs", 200)`) stand in the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "proof.md"
WATCHED = ("quantga", "tests", "jobs", "pyproject.toml", "requirements-dev.lock")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-m", "proof")
NOT_RUN = {"result": "not run", "seconds": "", "figures": {}}


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def collected() -> list[str]:
    """Return the ids of all tests marked `proof`."""
    found = subprocess.run([*PYTEST, "--collect-only"], cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode not in {0, 5}:
        raise SystemExit(f"proof: the tests cannot be collected\n{found.stdout}{found.stderr}")
    return [line for line in found.stdout.splitlines() if "::" in line]


def run(test: str, scratch: Path) -> dict[str, object]:
    """Run one test and return its record; its output goes to the terminal."""
    answer = scratch / "answer.xml"
    answer.unlink(missing_ok=True)
    start = time.monotonic()
    options = ("--hypothesis-profile=proof", "-o", "timeout=0", "-o", "junit_family=xunit1", f"--junitxml={answer}")
    code = subprocess.run([*PYTEST, *options, test], cwd=ROOT, check=False).returncode
    seconds = round(time.monotonic() - start, 1)
    if code > 1 or not answer.exists():
        return {"test": test, "result": f"broken ({code})", "seconds": seconds, "figures": {}}
    case = ET.parse(answer).getroot().find(".//testcase")
    skipped = case is not None and case.find("skipped") is not None
    figures = {p.get("name"): p.get("value") for p in case.iter("property")} if case is not None else {}
    return {
        "test": test,
        "result": "failed" if code else "skipped" if skipped else "passed",
        "seconds": seconds,
        "figures": figures,
    }


def written(records: list[dict[str, object]], commit: str) -> str:
    """Return the table as Markdown."""
    passed = sum(record["result"] == "passed" for record in records)
    lines = [
        "# Proof",
        "",
        "The long versions of the checks; `make proof` makes this table anew. CI runs seeded samples of the same.",
        "",
        f"Commit `{commit}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores: {passed} of {len(records)} passed.",
        "",
        "| check | result | seconds | figures |",
        "|---|---|---|---|",
    ]
    for record in records:
        figures = ", ".join(f"{name} {value}" for name, value in record["figures"].items())
        lines.append(f"| `{record['test']}` | {record['result']} | {record['seconds']} | {figures.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run what has not passed yet on this commit, then write the table; return the exit code."""
    changed = git("status", "--porcelain", "--", *WATCHED)
    if changed:
        print(f"proof: the result is kept by commit, and these are not committed:\n{changed}")
        return 2
    commit = git("rev-parse", "--short=12", "HEAD")
    scratch = ROOT / ".proof"
    scratch.mkdir(exist_ok=True)
    kept = scratch / f"{commit}.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.exists() else []
    done = {record["test"]: record for record in map(json.loads, lines) if record["result"] == "passed"}
    tests = collected()
    if not tests:
        print("proof: no test is marked proof")
        return 1
    for number, test in enumerate(tests, 1):
        if test in done:
            continue
        print(f"proof: {number} of {len(tests)}: {test}", flush=True)
        done[test] = run(test, scratch)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[test]) + "\n")
        records = [done.get(test, {"test": test, **NOT_RUN}) for test in tests]
        TABLE.write_text(written(records, commit), encoding="utf-8")
    records = [done[test] for test in tests]
    failures = [record["test"] for record in records if record["result"] != "passed"]
    print(
        f"proof: {len(records) - len(failures)} of {len(records)} passed; docs/proof.md is written",
        *failures,
        sep="\n  ",
    )
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
