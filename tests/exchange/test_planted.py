"""Planted bugs: each is put into a copy of the package, and the tests named beside it must fail there."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bug:
    name: str
    module: str
    right: str
    wrong: str
    tests: str


BUGS = [
    Bug(
        "no fsync before the answer",
        "service",
        "        await self._journal.durable(mark)\n",
        "",
        "journal::answers_nothing_before",
    ),
    Bug(
        "no journal",
        "journal",
        "        os.write(self._file, _HEAD.pack(len(body), crc, durable) + body)\n",
        "",
        "journal",
    ),
    Bug("torn tail kept", "journal", "os.ftruncate(self._file, size)", "size", "journal::torn"),
    Bug("damage hidden", "journal", "if _was_durable(data, good):", "if False:", "journal::damage"),
    Bug(
        "no check of duplicates",
        "admission",
        "if place < len(kept) and kept[place] == nonce:",
        "if False:",
        "admission",
    ),
    Bug("no window of nonces", "admission", "if nonce > state.wall + FUTURE:", "if False:", "admission"),
    Bug("expiry ignored", "admission", "if expires is not None and expires < state.wall:", "if False:", "admission"),
    Bug("requests not counted", "admission", "    account.used += cost\n", "", "admission"),
    Bug("dead agents act", "admission", "(not agent.until or agent.until > state.wall)", "True", "admission"),
    Bug("fees rounded up", "desk", "// RATE + extra", "// RATE + 1 + extra", "placing"),
    Bug("maker pays as taker", "desk", 'cross_rate if mark["crossed"] else add_rate', "cross_rate", "placing"),
    Bug("tick not checked", "placing", "if not asset.is_tick(order.px) or", "if False and", "placing"),
    Bug("price rounded on reading", "placing", "    if rest or not 0 <=", "    if not 0 <=", "placing"),
    Bug(
        "time before price",
        "book",
        "insort(self.side(order.side), (-order.side * order.px, order.oid))",
        "self.side(order.side).append((-order.side * order.px, order.oid))",
        "properties",
    ),
    Bug("self trades", "matching", "if maker.user == order.user:", "if False:", "placing"),
    Bug(
        "reduce-only flips",
        "placing",
        "        order.size = min(order.size, abs(held))\n    if order.is_trigger",
        "    if order.is_trigger",
        "placing",
    ),
    Bug("reduce-only outlives its position", "matching", "if held * order.side >= 0:", "if False:", "properties"),
    Bug(
        "a touch fills",
        "matching",
        "side * found[0] <= side * reached",
        "side * found[0] < side * reached",
        "clockwork",
    ),
    Bug(
        "triggers inverted",
        "placing",
        "return mark >= order.trigger_px if above else mark <= order.trigger_px",
        "return mark <= order.trigger_px if above else mark >= order.trigger_px",
        "clockwork",
    ),
    Bug(
        "funding runs backwards",
        "clockwork",
        "position.szi * market.oracle * market.funding // FUNDING_UNIT",
        "-position.szi * market.oracle * market.funding // FUNDING_UNIT",
        "clockwork",
    ),
    Bug("nobody is liquidated", "liquidation", "            if value < needed:", "            if False:", "clockwork"),
    Bug("synthetic trades create money", "desk", "house.raw += side * px * size", "house.raw += 0", "properties"),
    Bug("keys hashed as they come", "wire", 'part = part.rstrip("0")', "part = part", "signing"),
    Bug("mainnet signatures accepted", "signing", '_SOURCE = keccak(b"b")', '_SOURCE = keccak(b"a")', "signing"),
    Bug(
        "strangers get an account",
        "admission",
        "        return None\n    account = state.accounts[master]",
        "        return next(iter(state.accounts.values()))\n    account = state.accounts[master]",
        "admission",
    ),
    Bug(
        "candles know what comes",
        "candles",
        "    shown = market.point + 1 if bar == market.bar and not market.halted else bars.points\n",
        "    shown = bars.points\n",
        "replay::finer",
    ),
    Bug("volume is lost inside bars", "bars", "done = points * volume //", "done = points * (volume - 1) //", "replay"),
    Bug("the lock is not kept", "replay", "unlocked=choice.unlocked", "unlocked=True", "replay::lock"),
    Bug(
        "recorded trades count twice",
        "replay",
        "            if key not in self._seen:",
        "            if True:",
        "replay",
    ),
]


PARTS = ("quantga", "tests/exchange", "tests/live", "tests/__init__.py", "tests/conftest.py", "pyproject.toml")


def copied(target: Path) -> None:
    """A copy of what the tests need."""
    for part in PARTS:
        source, place = ROOT / part, target / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place)


def outcome(root: Path, room: str, tests: str) -> subprocess.CompletedProcess[str]:
    """How the tests named (`file` or `file::keyword`) end in a copy."""
    file, _, keyword = tests.partition("::")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/{room}/test_{file}.py"]
    command += ["-k", keyword] if keyword else []
    env = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, check=False, cwd=root, capture_output=True, text=True, env=env)


def catch(bug: Bug, root: Path, room: str) -> None:
    """Plant a bug in a copy; the tests beside it must fail."""
    copied(root)
    path = root / "quantga" / room / f"{bug.module}.py"
    text = path.read_text()
    assert text.count(bug.right) >= 1, f"{bug.name}: the line it changes is gone; plant it anew"
    path.write_text(text.replace(bug.right, bug.wrong))
    done = outcome(root, room, bug.tests)
    assert done.returncode == 1, f"{bug.name} was not caught:\n{done.stdout[-2000:]}"


SAMPLE = ("no check of duplicates", "price rounded on reading")
"""What is planted in every run; `make proof` plants all."""


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=SAMPLE)
def test_the_tests_catch_a_sample(bug: Bug, tmp_path):
    catch(bug, tmp_path, "exchange")


def test_a_copy_without_a_bug_passes(tmp_path):
    copied(tmp_path)
    done = outcome(tmp_path, "exchange", "admission::nonce")
    assert done.returncode == 0, done.stdout


@pytest.mark.proof
@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_tests_catch_it(bug: Bug, tmp_path):
    catch(bug, tmp_path, "exchange")
