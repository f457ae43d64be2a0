"""The house rules that no linter knows: sizes, names, documents, locks, and what importing quantga costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "quantga"
LOCKS = ("requirements.lock", "requirements-dev.lock")

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "factory", "factories"}
# Spelt so that this file does not name them itself.
FOREIGN = re.compile(
    r"[p]ypi\.org|[p]ythonhosted|registry\.[n]pmjs|[d]eb\.debian|(?<![\w.~$}])/(?:[w]ork|[r]oot|[h]ome|[U]sers|[t]mp/qg)/"
)
SECTIONS = ("What", "Why", "Two commands", "Ten-minute tour", "Interface", "Command line", "Development")


def tracked() -> list[Path]:
    """Return the files that git knows, or would know if they were added."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in sorted({ROOT / name for name in listing.stdout.splitlines()}) if path.is_file()]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(*, dev: bool) -> list[Requirement]:
    table = project()
    names = list(table["project"]["dependencies"])
    if dev:
        groups = table["dependency-groups"]
        names += [entry for group in groups.values() for entry in group if isinstance(entry, str)]
    return [Requirement(name) for name in names]


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def test_modules_stay_small():
    sizes = {
        path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")
    }
    large = {str(path): lines for path, lines in sizes.items() if lines > 400}
    assert not large, f"more than 400 lines: would it read better as two rooms? {large}"


def test_names_say_something():
    bad = [path for path in tracked() if path.suffix == ".py" and (SAYS_NOTHING & {path.stem, *path.parent.parts})]
    assert not bad, f"a name that says nothing: {bad}"


@pytest.mark.parametrize("name", [*LOCKS, "README.md", "CHANGELOG.md", "LICENSE", "Makefile", ".ci/run"])
def test_the_papers_are_here(name: str):
    assert (ROOT / name).stat().st_size > 0


def test_the_readme_has_its_sections_in_order():
    headings = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)


def test_no_host_of_a_registry_and_no_path_of_a_machine():
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in tracked()
        for number, line in enumerate(_text(path).splitlines(), 1)
        if (match := FOREIGN.search(line))
    ]
    assert not found, "\n" + "\n".join(found)


def _text(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content[:8000] else content.decode("utf-8", "replace")


def test_no_large_file():
    large = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked() if path.stat().st_size > 1_000_000}
    assert not large, f"more than 1 MB in git: {large}"


def test_no_failure_is_swallowed():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and _catches_all(node) and not _answers(node)
    ]
    assert not found, f"catches everything and says nothing: {found}"


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def _answers(handler: ast.ExceptHandler) -> bool:
    """Say whether the handler raises, or hands the exception on by its name."""
    nodes = [node for statement in handler.body for node in ast.walk(statement)]
    named = any(isinstance(node, ast.Name) and node.id == handler.name for node in nodes)
    return named or any(isinstance(node, ast.Raise) for node in nodes)


def test_every_test_file_can_fail():
    words = re.compile(r"\bassert|\braises\b|\bapprox\b|@given")
    silent = [p for p in (ROOT / "tests").rglob("test_*.py") if not words.search(p.read_text(encoding="utf-8"))]
    assert not silent, f"a test file that asserts nothing: {silent}"


def test_tests_mirror_the_package():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()} | {path.stem for path in PACKAGE.glob("*.py")}
    rooms |= {"deploy"}  # the files beside the package
    strange = [path for path in (ROOT / "tests").glob("*/test_*.py") if path.parent.name not in rooms]
    assert not strange, f"tests of a room that quantga does not have: {strange}"


@pytest.mark.parametrize(("lock", "dev"), [(LOCKS[0], False), (LOCKS[1], True)])
def test_the_lock_is_in_step(lock: str, dev: bool):
    have = pins(lock)
    for wanted in requirements(dev=dev):
        version = have.get(canonicalize_name(wanted.name))
        assert version is not None, f"{lock} lacks {wanted.name}: run `make lock`"
        assert wanted.specifier.contains(version), f"{lock} has {wanted.name} {version}: run `make lock`"


def test_the_two_locks_agree():
    run, dev = (pins(lock) for lock in LOCKS)
    assert run.items() <= dev.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str):
    entries = re.split(r"\n(?=[\w.-]+==)", "\n" + (ROOT / lock).read_text(encoding="utf-8"))[1:]
    assert len(entries) == len(pins(lock))
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


def test_every_dependency_is_explained():
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    missing = [wanted.name for wanted in requirements(dev=True) if f"`{wanted.name.lower()}" not in text]
    assert not missing, f"docs/dependencies.md does not say what these are for: {missing}"


def test_links_between_documents_hold():
    broken = [
        f"{path.relative_to(ROOT)} → {target}"
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists()
    ]
    assert not broken, f"links that lead nowhere: {broken}"


def test_decisions_are_numbered_without_gaps():
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert numbers == list(range(len(numbers)))  # 0000 is the template


def test_importing_quantga_is_quick_and_light():
    code = (
        "import time, sys; a = time.process_time(); import quantga; b = time.process_time() - a; "
        "print(b, *(m for m in ('ray', 'vectorbt', 'duckdb', 'plotly') if m in sys.modules))"
    )
    answers = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert [answer[1:] for answer in answers] == [[], [], []]
    # Processor time, the best of three: a promise to users, not a measurement of this machine's load.
    assert min(float(answer[0]) for answer in answers) < 0.5
