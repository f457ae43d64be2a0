"""Trader and watchdog under supervisor and systemd: the commands exist, and whoever reads an alert finds its page."""

import configparser
import re
from pathlib import Path

import pytest

from tests.deploy.test_files import _accepted

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy").glob("*.service"))


def test_supervisor_starts_a_watchdog_before_the_trader():
    config = configparser.RawConfigParser(inline_comment_prefixes=None)
    config.read(ROOT / "deploy" / "trading.supervisord.conf")
    found = {}
    for name in ("watchdog", "trader"):
        words = config[f"program:{name}"]["command"].split()
        assert words[0] == "quantga"
        _accepted(words[1:])
        found[name] = config[f"program:{name}"]
        assert "2" in found[name]["exitcodes"].split(",")  # a refusal is not tried again
    assert int(found["watchdog"]["priority"]) < int(found["trader"]["priority"])
    keys = {re.search(r"--key-file (\S+)", one["command"])[1] for one in found.values()}
    assert len(keys) == 2


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_a_command_that_exists(path):
    unit = configparser.RawConfigParser(strict=False, inline_comment_prefixes=None)
    unit.optionxform = str
    unit.read(path)
    words = unit["Service"]["ExecStart"].split()
    assert words[0] == "quantga"
    _accepted(words[1:])
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert "--mainnet" not in words


def test_there_are_two_units_with_two_keys():
    keys = {re.search(r"--key-file (\S+)", path.read_text())[1] for path in UNITS}
    assert len(UNITS) == len(keys) == 2


def test_every_alert_has_its_page():
    source = (ROOT / "quantga" / "live" / "watchdog.py").read_text(encoding="utf-8")
    names = set(re.findall(r'Alert\("([a-z-]+)"', source))
    pages = set(re.findall(r"^## ([a-z-]+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(names) >= 9
    assert names <= pages
    assert pages <= names, "a page for an alert that does not exist"
