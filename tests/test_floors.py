"""The floors: a module imports its own floor or a lower one, and what is dear or impure is imported in few places.

Read from the syntax tree, so that imports inside functions and for types count too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "quantga"

GROUND = -1  # may be imported from everywhere, and imports nothing else of ours
FLOORS = {
    "errors": GROUND,
    "settings": GROUND,
    "streams": GROUND,
    "lang": 0,
    "engine": 1,
    "evolve": 1,
    "trust": 1,
    "venue": 1,
    "store": 1,
    "cluster": 2,
    "live": 3,
    "exchange": 3,
    "service": 4,
    "telemetry": 4,
    "report": 4,
    "bench": 4,
    "secrets": 4,
    "api": 4,
    "cli": 4,
    "__main__": 4,
}

# Where a library may be imported: modules (all of a package where the name ends in a dot).
ONLY_IN = {
    "ray": ("cluster.", "live.budget", "live.feed", "live.trader"),
    "vectorbt": ("engine.auditor", "bench.baselines_series", "bench.baselines_vectorbt"),
    "deap": ("evolve.", "bench.baselines"),
    "duckdb": ("store.",),
    "hyperliquid": ("venue.", "exchange."),
}
# Not even there when the module is imported: it takes seconds.
INSIDE_FUNCTIONS = {"vectorbt"}

CLOCKS = {"time", "datetime", "sched", "calendar", "zoneinfo"}
CHANCE = {"random", "secrets", "uuid"}
OUTSIDE = {
    *("aiohttp", "asyncio", "concurrent", "glob", "http", "io", "multiprocessing", "orjson", "os", "pathlib"),
    *("pickle", "requests", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading"),
    *("urllib", "urllib3", "websockets", "logging", "rich", "typer", "pydantic", "pydantic_settings", "plotly"),
}
# The compiler's cache has a folder, and filling it takes a while that is told.
EXEMPT = {"lang.jit", "engine.warm"}
# What decides a number knows no clock, no chance that is not a named stream, no file and no network.
FORBIDDEN = {
    "lang": CLOCKS | CHANCE | OUTSIDE | {"ray", "scipy", "deap"},
    "engine": {"time"} | {"secrets", "uuid"} | OUTSIDE,
    "evolve": {"time"} | {"secrets", "uuid"} | OUTSIDE,
    "trust": {"time"} | {"secrets", "uuid"} | OUTSIDE,
}
PURE = tuple(FORBIDDEN)
READS_ENVIRONMENT = {"settings", "lang.jit"}
# The paper exchange judges the client: were they to share code, they would share its mistakes.
APART = {"exchange": "venue", "venue": "exchange"}


@dataclass(frozen=True)
class Import:
    """One imported module, by its full dotted name."""

    name: str
    line: int
    at_top: bool

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One source file; `name` is dotted and without the leading `quantga.`."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))

    @property
    def part(self) -> str:
        return self.name.partition(".")[0]

    def where(self, line: int) -> str:
        package = next(folder for folder in self.path.parents if folder.name == PACKAGE.name)
        return f"{self.path.relative_to(package.parent)}:{line}"


def modules_of(package: Path) -> list[Module]:
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
        found.append(Module(".".join(parts), path))
    return found


def imports(tree: ast.Module) -> Iterator[Import]:
    top = {id(node) for node in _outside_functions(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, id(node) in top)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield Import(base, node.lineno, id(node) in top)
            for alias in node.names:  # `from quantga import cluster` names a module too
                yield Import(f"{base}.{alias.name}", node.lineno, id(node) in top)


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def faults_of(package: Path) -> list[str]:
    """Return every breach of the floors in the package's tree, as sentences."""
    found: list[str] = []
    for module in modules_of(package):
        if module.name == "__init__":  # the front door: it may name anything, lazily
            continue
        tree = module.tree
        if module.part not in FLOORS:
            found.append(f"{module.where(1)}: `{module.part}` has no floor; give it one in tests/test_floors.py")
            continue
        for item in imports(tree):
            found += [f"{module.where(item.line)}: {fault}" for fault in _import_faults(module, item)]
        found += [f"{module.where(line)}: {fault}" for line, fault in _use_faults(module, tree)]
    return sorted(set(found))


def _import_faults(module: Module, item: Import) -> Iterator[str]:
    if item.root == "quantga":
        target = item.name.split(".")[1:2]
        if target and target[0] in FLOORS and FLOORS[target[0]] > FLOORS[module.part]:
            yield f"floor {FLOORS[module.part]} imports `{item.name}` of floor {FLOORS[target[0]]}"
        if target and target[0] == APART.get(module.part):
            yield f"`{module.part}` and `{target[0]}` share no code"
        return
    allowed = ONLY_IN.get(item.root)
    if allowed is not None and not f"{module.name}.".startswith(tuple(f"{name.rstrip('.')}." for name in allowed)):
        yield f"`{item.root}` is imported only in {', '.join(allowed) or 'no module'}"
    elif item.root in INSIDE_FUNCTIONS and item.at_top:
        yield f"`{item.root}` takes seconds to import: import it inside the function that needs it"
    if item.root in FORBIDDEN.get(module.part, set()) and module.name not in EXEMPT:
        yield f"`{module.part}` is pure: it does not import `{item.root}`"


def _use_faults(module: Module, tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if name in {"os.environ", "os.getenv", "os.putenv"} and module.name not in READS_ENVIRONMENT:
            yield node.lineno, f"the environment is read in settings.py, not here (`{name}`)"
        if isinstance(node, ast.ImportFrom) and node.module == "os" and module.name not in READS_ENVIRONMENT:
            taken = {alias.name for alias in node.names} & {"environ", "getenv", "putenv"}
            if taken:
                yield node.lineno, f"the environment is read in settings.py, not here ({', '.join(sorted(taken))})"
        if module.part != "streams" and _draws_globally(name):
            yield node.lineno, f"`{name}` is nobody's stream: draw from quantga.streams"
        if module.part in PURE and module.name not in EXEMPT:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print"}:
                yield node.lineno, f"`{module.part}` is pure: no {node.func.id}()"
            if name.endswith((".now", ".utcnow", ".today")):
                yield node.lineno, f"`{module.part}` is pure: no clock (`{name}`)"


def _draws_globally(name: str) -> bool:
    """Say whether an attribute is a function of a module-wide generator (types such as `random.Random` are not)."""
    for prefix in ("random.", "np.random.", "numpy.random."):
        if name.startswith(prefix):
            return name[len(prefix) :][:1].islower()
    return False


def test_the_tree_keeps_its_floors() -> None:
    faults = faults_of(PACKAGE)
    assert not faults, "\n" + "\n".join(faults)


BREACHES = {
    "lang/a.py": ("import os\n", "does not import `os`"),
    "lang/b.py": ("from quantga.engine import ledger\n", "imports `quantga.engine"),
    "lang/c.py": ("import numpy as np\nx = np.random.rand()\n", "nobody's stream"),
    "lang/d.py": ("def f():\n    from time import time\n", "does not import `time`"),
    "engine/a.py": ("import vectorbt\n", "only in engine.auditor"),
    "engine/auditor.py": ("import vectorbt\n", "inside the function"),
    "engine/b.py": ("def f(): print(1)\n", "no print()"),
    "evolve/a.py": ("import random\nx = random.shuffle([])\n", "nobody's stream"),
    "evolve/b.py": ("import ray\n", "only in cluster."),
    "trust/a.py": ("from datetime import UTC, datetime\nx = datetime.now(UTC)\n", "no clock"),
    "store/a.py": ("from quantga import cluster\n", "imports `quantga.cluster`"),
    "store/b.py": ("import os\nx = os.environ['A']\n", "the environment"),
    "store/c.py": ("from os import getenv\n", "the environment"),
    "cluster/a.py": ("def f():\n    import quantga.live.trader\n", "imports `quantga.live.trader`"),
    "live/book.py": ("from ray import remote\n", "only in cluster."),
    "exchange/a.py": ("def f():\n    from quantga.venue import rules\n", "share no code"),
    "errors.py": ("import quantga.lang.bars\n", "imports `quantga.lang.bars`"),
    "misc/a.py": ("x = 1\n", "has no floor"),
}
LAWFUL = {
    "lang/jit.py": "import os\nx = os.environ.get('A')\n",
    "lang/bars.py": "import math\nimport numpy as np\nfrom quantga.errors import DataError\n",
    "engine/auditor.py": "def f():\n    import vectorbt\n",
    "evolve/vary.py": "import random\nfrom quantga import streams\ndef f(d: random.Random): return d.random()\n",
    "cluster/fan_out.py": "import ray\nimport ray.util\nfrom quantga.store import lake\n",
    "live/trader.py": "import ray\n",
    "cli/main.py": "from quantga.cluster import evolution\n",
    "__init__.py": "def __getattr__(name):\n    from quantga.cluster import evolution\n",
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_seen(name: str, tmp_path: Path) -> None:
    text, fault = BREACHES[name]
    assert [found for found in _faults_of_one(tmp_path, name, text) if fault in found]


@pytest.mark.parametrize("name", LAWFUL)
def test_what_is_lawful_passes(name: str, tmp_path: Path) -> None:
    assert _faults_of_one(tmp_path, name, LAWFUL[name]) == []


def _faults_of_one(folder: Path, name: str, text: str) -> list[str]:
    path = folder / "quantga" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return faults_of(folder / "quantga")
