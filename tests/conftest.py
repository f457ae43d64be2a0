"""What tests share: the real data, one Ray for the session, and how hypothesis draws."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

# Where the tests run in the background Ctrl-C is ignored, and every process they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# The same examples on every run; `make proof` draws far more.
hypothesis.settings.register_profile("sample", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("proof", parent=hypothesis.settings.get_profile("sample"), max_examples=5000)
hypothesis.settings.load_profile("sample")


def _market_data() -> Path:
    named = os.environ.get("QUANTGA_MARKET_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Return the folder of the real data: `$QUANTGA_MARKET_DATA`, else `../shared/data` beside the repository."""
    folder = _market_data()
    if not folder.is_dir():
        if os.environ.get("QUANTGA_MARKET_DATA"):
            pytest.fail(f"QUANTGA_MARKET_DATA={folder} is not a folder; unset it or name the folder of the real data")
        pytest.skip("no real data: set QUANTGA_MARKET_DATA to their folder, or place them at ../shared/data")
    return folder


@pytest.fixture(scope="session")
def ray_local() -> Iterator[object]:
    """Start one Ray of its own for the whole session (2 CPUs, nobody else's cluster) and return the module."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="warning")
    yield ray
    ray.shutdown()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, where the real data lie ready, a test that asks for them and skips has failed."""
    report = yield
    asks = "market_data" in getattr(item, "fixturenames", ()) or item.get_closest_marker("market_data")
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and asks and _market_data().is_dir():
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although the real data are at hand: {call.excinfo}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a fixture: `-m ray`, `-m "not market_data"`."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "ray_local" in names:
            item.add_marker(pytest.mark.ray)
        if "market_data" in names:
            item.add_marker(pytest.mark.market_data)
