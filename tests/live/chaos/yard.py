"""Real processes: the paper exchange, `quantga trade`, the folder of the store; and what befalls them, by a seed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_account import Account as Key

from quantga.live.journal import read
from quantga.live.session import told
from quantga.venue.account import Fill
from tests.exchange.conftest import MINUTE, START, Venue, walk, write_bars
from tests.live.chaos.checker import Checker, Verdict

ROOT = Path(__file__).resolve().parents[3]
KEY = Key.from_key("0x" + "11" * 32)
ACCOUNT = KEY.address.lower()
COINS = ("BTC", "ETH")
SPEED = 30  # a bar of one minute closes every two seconds
PROGRAM = "when(gt(close, lag(close, 1)), long, short) with leverage=0.3"
PATIENCE = 120.0


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What it returns, once that is true; the last that it returned when the time is over."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


class Yard:
    """One session under faults. `episodes` are (name, seconds until all was well again)."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.dice = folder, random.Random(seed)
        self.bars, self.store = folder / "bars", folder / "store"
        write_bars(self.bars, "BTC", walk(2 * seed + 1, 80_000, 1.0, 6_000, 30.0))
        write_bars(self.bars, "ETH", walk(2 * seed + 2, 3_000, 0.1, 6_000, 400.0))
        options = ("--speed", str(SPEED), "--no-limits", "--start", str(START + 800 * MINUTE))
        self.venue = Venue(self.bars, folder / "exchange", {KEY.address: 10_000}, *options)
        self.checker = Checker(self.bars, ACCOUNT)
        self.trader: subprocess.Popen[bytes] | None = None
        self.episodes: list[tuple[str, float]] = []

    # What there is.

    @property
    def heartbeat(self) -> dict[str, Any]:
        """The trader's last beat; {} without one."""
        try:
            found: dict[str, Any] = json.loads((self.place / "heartbeat.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    @property
    def place(self) -> Path:
        """The account's folder."""
        return self.store / "sessions" / f"paper-{ACCOUNT}"

    @property
    def journal(self) -> Path:
        """The journal of the session."""
        (found,) = self.place.glob("*/journal")
        return found

    def asked(self, kind: str) -> Any:
        """What the exchange tells of the account."""
        return self.venue.info({"type": kind, "user": ACCOUNT})

    def orders(self) -> int:
        """How many orders the journal holds."""
        if not list(self.place.glob("*/journal")):
            return 0
        return self.journal.read_bytes().count(b'"kind":"asked"')

    def well(self) -> bool:
        """Whether every position has its stop, and the trader lives."""
        try:
            positions = {
                r["position"]["coin"]: float(r["position"]["szi"])
                for r in self.asked("clearinghouseState")["assetPositions"]
            }
            rows = self.asked("frontendOpenOrders")
        except (OSError, AssertionError):
            return False
        stops = {
            coin: sum(float(r["sz"]) for r in rows if r["coin"] == coin and r["reduceOnly"] and r["isTrigger"])
            for coin in positions
        }
        lives = self.trader is not None and self.trader.poll() is None
        return lives and all(stops[coin] >= abs(size) for coin, size in positions.items())

    # What is done.

    def start(self) -> None:
        """Start the trader."""
        command = [
            sys.executable,
            "-c",
            "from quantga.cli import main; main()",
            "trade",
            "--paper",
            "--url",
            self.venue.url,
        ]
        command += ["--program", PROGRAM, "--symbols", ",".join(COINS), "--interval", "1m", "--store", str(self.store)]
        environment = {**os.environ, "QUANTGA_KEY": KEY.key.hex()}
        with (self.folder / "trader.log").open("ab") as log:
            self.trader = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)

    def trades_on(self, more: int = 2) -> bool:
        """Wait until the trader has asked for so many more orders, and all is well."""
        before = self.orders()
        return bool(wait_for(lambda: self.orders() >= before + more)) and bool(wait_for(self.well))

    def kill_trader(self) -> None:
        """`kill -9`, and another one a moment later."""
        assert self.trader is not None
        self.trader.kill()
        self.trader.wait()
        time.sleep(self.dice.choice((0.0, 1.0, 6.0)))
        self.start()

    def kill_exchange(self) -> None:
        """`kill -9`; its log is read by the judge, because it begins another one when it starts."""
        self.venue.kill()
        self.checker.read(self.folder / "exchange")
        time.sleep(self.dice.choice((0.0, 2.0)))
        self.venue.start()

    def lose_store(self) -> None:
        """The store's folder is gone for a moment, as a disk that is unmounted."""
        leases = self.store / "leases"
        away = self.store / "away"
        if leases.exists():
            leases.rename(away)
            time.sleep(self.dice.choice((1.0, 4.0)))
            shutil.rmtree(leases, ignore_errors=True)
            away.rename(leases)

    def hang_trader(self) -> None:
        """The trader's process stands still for a while."""
        assert self.trader is not None
        self.trader.send_signal(signal.SIGSTOP)
        time.sleep(self.dice.choice((1.0, 7.0)))
        self.trader.send_signal(signal.SIGCONT)

    def network(self, name: str, **how: Any) -> Callable[[], None]:
        """A fault of the exchange's, and its end."""

        def strike() -> None:
            self.venue.fault(name, **how)
            time.sleep(self.dice.choice((2.0, 4.0)))
            self.venue.fault("clear")

        return strike

    @property
    def faults(self) -> dict[str, Callable[[], None]]:
        """Everything that may befall a session."""
        few = self.dice.choice((1, 3))
        return {
            "kill -9 of the trader": self.kill_trader,
            "kill -9 of the exchange": self.kill_exchange,
            "the trader hangs": self.hang_trader,
            "the reply is lost after execution": self.network("lose_reply", count=few),
            "replies are late": self.network("delay_reply", seconds=self.dice.choice((1.0, 4.0))),
            "requests are late": self.network("delay_request", seconds=self.dice.choice((1.0, 4.0, 5.5))),
            "429": self.network("too_many", count=3 * few),
            "502": self.network("bad_gateway", count=3 * few),
            "orders are not known for a moment": self.network("unknown_oid", seconds=3.0),
            "orders fill by half": self.network("partial_fill", count=few),
            "a batch is refused": self.network("batch_error", count=few),
            "sockets are cut": self.network("drop_sockets"),
            "sockets are silent": self.network("silent", seconds=4.0),
            "frames come twice": self.network("duplicate", count=40),
            "frames are swapped": self.network("reorder", count=40),
        }

    def episode(self, name: str) -> bool:
        """Let something happen while it trades; tell whether all was well again in time."""
        self.faults[name]()
        began = time.monotonic()
        good = self.trades_on()
        self.episodes.append((name, round(time.monotonic() - began, 2)))
        return good

    def end(self) -> Verdict:
        """End the trader as SIGTERM does, then the exchange; return the judge's verdict."""
        assert self.trader is not None
        self.trader.terminate()
        self.trader.wait(PATIENCE)
        self.venue.kill()
        return self.checker.read(self.folder / "exchange")

    def close(self) -> None:
        """End what still runs."""
        if self.trader is not None and self.trader.poll() is None:
            self.trader.kill()
            self.trader.wait()
        if self.venue.process.poll() is None:
            self.venue.kill()

    def known_fills(self) -> set[int | None]:
        """The fills that the trader knows of."""
        return {event.tid for entry in read(self.journal)[0] if isinstance(event := told(entry), Fill)}
