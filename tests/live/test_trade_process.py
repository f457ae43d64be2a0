"""`quantga trade` in a process of its own: killed, it goes on; told to stop, it leaves stops behind; on a full disk too."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account import Account as Key
from typer.testing import CliRunner

from quantga.cli import app
from quantga.live.journal import read
from quantga.live.places import Account
from quantga.live.records import Aimed, Opened, record_of
from quantga.live.session import Asked, told
from quantga.store.lake import open_lake
from tests.exchange.conftest import Venue, walk, write_bars
from tests.live.test_trading import guarded, held

MINUTE = 60_000
CAP_S = 200
TEXT = "when(gt(close, mean(close, 3)), long, short) with leverage=0.5"
ACCOUNTS = [Key.from_key(f"0x{number:064x}") for number in range(101, 106)]


@pytest.fixture(scope="module")
def venue(tmp_path_factory) -> Iterator[Venue]:
    folder = tmp_path_factory.mktemp("process")
    write_bars(folder / "bars", "BTC", walk(1, 80_000, 1.0, 2_000, 30.0))
    credit = {key.address: 10_000 for key in ACCOUNTS}
    one = Venue(folder / "bars", folder / "state", credit, "--step", "--no-limits")
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


class Process:
    """A trader's process and its store."""

    def __init__(self, venue: Venue, key, folder: Path) -> None:
        self.venue, self.folder, self.address = venue, folder, key.address.lower()
        self.keyfile = folder / "key"
        folder.mkdir(parents=True, exist_ok=True)
        self.keyfile.write_text(key.key.hex())
        self.keyfile.chmod(0o600)
        self.place = Account.of(open_lake(folder / "store"), "paper", self.address)
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, most: int = 0) -> None:
        """Start; `most`: files may not grow beyond so many bytes, as on a full disk."""
        words = ["trade", "--paper", "--url", self.venue.url, "--program", TEXT, "--symbols", "BTC", "--interval", "1m"]
        words += ["--store", str(self.folder / "store"), "--key-file", str(self.keyfile), "--volatility", "50"]
        limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))) if most else None
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from quantga.cli import main; main()", *words],
                stdout=log,
                stderr=log,
                preexec_fn=limit,  # noqa: PLW1509 (this process starts no threads)
            )

    def until(self, true: Callable[[], bool], *, dead: bool = False) -> None:
        end = time.monotonic() + CAP_S
        while not true():
            assert dead or self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def entries(self):
        known = self.place.sessions()
        return read(self.place.journal(known[-1]))[0] if known else ()

    def count(self, kind: type) -> int:
        entries = self.entries()
        return sum(isinstance(one, kind) for entry in entries for one in (record_of(entry), told(entry)))

    def ready(self, starts: int) -> None:
        """Wait until the so-manieth process has recovered."""
        self.until(lambda: self.log.read_text().count("recovered") == starts)

    def bars(self, wanted: int) -> None:
        """Let the market go on until so many closes more were acted on."""
        for _ in range(wanted):
            before = self.count(Aimed)
            for _ in range(12):
                self.venue.step(5_000)
            self.until(lambda before=before: self.count(Aimed) > before)


@pytest.fixture
def process(venue, tmp_path) -> Iterator[Process]:
    one = Process(venue, ACCOUNTS.pop(), tmp_path)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait(30)


def test_killed_it_goes_on_and_told_to_stop_it_leaves_its_stops(process) -> None:
    process.start()
    process.ready(1)
    process.bars(2)
    process.until(lambda: bool(held(process.venue, process.address)))
    process.process.send_signal(signal.SIGKILL)
    process.process.wait(30)
    process.start()
    process.ready(2)
    process.bars(1)
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(CAP_S) == 0, process.log.read_text()
    assert "held with their stops" in process.log.read_text()
    assert len(process.place.sessions()) == 1
    assert process.count(Opened) == 2
    asked = [one.intent.cloid for one in map(told, process.entries()) if isinstance(one, Asked)]
    assert len(set(asked)) == len(asked)
    orders = process.venue.info({"type": "historicalOrders", "user": process.address})
    assert len({one["order"]["cloid"] for one in orders}) == len({one["order"]["oid"] for one in orders})
    guarded(process.venue, process.address)
    book = process.place.last().book
    assert {"BTC": book.net("BTC") * book.lot["BTC"]} == held(process.venue, process.address)
    shown = CliRunner().invoke(app, ["status", "--store", str(process.folder / "store"), "--json"])
    assert '"trader":"not running"' in shown.stdout
    made = CliRunner().invoke(
        app, ["fills", "--store", str(process.folder / "store"), "--csv", str(process.folder / "f.csv")]
    )
    assert made.exit_code == 0
    fills = process.venue.info({"type": "userFills", "user": process.address})
    assert len((process.folder / "f.csv").read_text().splitlines()) == 1 + len(fills)


def test_on_a_full_disk_it_ends_and_the_stops_stand_and_flatten_still_works(process) -> None:
    process.start()
    process.ready(1)
    process.bars(2)
    process.until(lambda: bool(held(process.venue, process.address)))
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(CAP_S) == 0
    size = process.place.journal(process.place.sessions()[-1]).stat().st_size
    process.start(most=size + 6_000)
    end = time.monotonic() + CAP_S
    while process.process.poll() is None:
        for _ in range(12):
            process.venue.step(5_000)
        assert time.monotonic() < end, process.log.read_text()
        time.sleep(0.5)
    assert process.process.returncode == 1, process.log.read_text()
    assert "not written" in process.log.read_text()
    guarded(process.venue, process.address)
    words = [
        "flatten",
        "--store",
        str(process.folder / "store"),
        "--key-file",
        str(process.keyfile),
        "--url",
        process.venue.url,
    ]
    done = subprocess.run(
        [sys.executable, "-c", "from quantga.cli import main; main()", *words], capture_output=True, text=True, timeout=CAP_S, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "closing all the same" in done.stderr
    assert "is flat from here" in done.stderr
    assert held(process.venue, process.address) == {}


def test_what_is_asked_for_wrongly_is_refused_with_exit_code_2(tmp_path) -> None:
    program = ["--program", "long", "--symbols", "BTC", "--interval", "1h", "--store", str(tmp_path / "store")]
    cases = {
        ("--paper", "--mainnet", *program): "give one of --paper",
        ("--paper", "--url", "https://api.hyperliquid.xyz", *program): "not on this machine",
        ("--testnet", *program): "only promoted strategies",
        ("--paper", "--store", str(tmp_path / "store")): "no promoted strategy",
        ("--paper", "--program", "long", "--store", str(tmp_path / "store")): "needs --symbols and --interval",
        ("--paper", "--cap", "much", *program): "--cap much",
        ("--paper", "--key-file", str(tmp_path / "none"), *program): "cannot be read",
    }
    for words, reason in cases.items():
        refused = CliRunner().invoke(app, ["trade", *words])
        assert refused.exception is not None
        assert reason in str(refused.exception)
        assert refused.exception.exit_code == 2
    lonely = CliRunner().invoke(app, ["halt", "--store", str(tmp_path / "store")])
    assert "which account?" in str(lonely.exception)
