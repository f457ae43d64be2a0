"""Small markets, traders who talk to the engine directly, and a running exchange in its own process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from eth_account import Account as Key

from quantga.exchange import snapshot
from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_folder
from quantga.exchange.engine import Engine, new_engine
from quantga.exchange.wire import text_of

MINUTE = 60_000
START = 1_735_689_600_000
WALL = 1_800_000_000_000
MICRO = 10**6


def write_bars(folder: Path, name: str, rows, interval: int = MINUTE, start: int = START) -> None:
    """Rows of (open, high, low, close, volume)."""
    table = np.asarray(rows, dtype=float)
    columns = {"ts": start + np.arange(len(rows)) * interval}
    columns |= {key: table[:, k] for k, key in enumerate(("open", "high", "low", "close", "volume"))}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def walk(seed: int, price: float, tick: float, count: int, volume: float):
    stream = np.random.default_rng(seed)
    rows, at = [], price
    for _ in range(count):
        path = np.rint((at + np.cumsum(stream.normal(0, price * 0.0008, 12))) / tick) * tick
        rows.append(
            (round(at, 6), *(round(float(x), 6) for x in (max(at, path.max()), min(at, path.min()), path[-1])), volume)
        )
        at = float(path[-1])
    return rows


@pytest.fixture(scope="session")
def replay(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    write_bars(folder, "BTC", walk(1, 80_000, 1.0, 480, 30.0))
    write_bars(folder, "ETH", walk(2, 3_000, 0.1, 480, 400.0))
    write_bars(folder, "DOGE", walk(3, 0.2, 0.00001, 480, 90_000.0))
    return folder


class Desk:
    """An engine with traders: every call is one command, times go on by themselves."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.wall, self.nonce = engine, WALL, WALL
        self.last = None

    @property
    def state(self):
        return self.engine.state

    def apply(self, kind: str, **rest):
        self.wall += 1
        command = {"k": kind, "w": self.wall, "m": rest.pop("m", self.state.market), **rest}
        self.last = self.engine.apply(command)
        return self.last.answer

    def fund(self, user: str, usdc: float) -> str:
        address = user if user.startswith("0x") else "0x" + user.encode().hex().rjust(40, "0")
        self.apply("fund", u=address, usd=round(usdc * MICRO))
        return address

    def act(self, user: str, action: dict, **rest):
        self.nonce += 1
        return self.apply("act", **{"s": user, "a": action, "n": self.nonce, "v": None, "x": None, **rest})

    def wire(self, coin: int, size: float, px, tif: str = "Gtc", *, reduce: bool = False, trigger=None, cloid=None):
        """An order row; a positive size buys. `trigger` = (tp|sl, price, is_market)."""
        row = {
            "a": coin,
            "b": size > 0,
            "p": format(px, "f") if not isinstance(px, str) else px,
            "s": f"{abs(size):.8f}",
        }
        row["r"] = reduce
        row["t"] = {"limit": {"tif": tif}}
        if trigger is not None:
            kind, at, market = trigger
            row["t"] = {"trigger": {"isMarket": market, "triggerPx": str(at), "tpsl": kind}}
        if cloid is not None:
            row["c"] = cloid
        return row

    def orders(self, user: str, rows: list, grouping="na"):
        answer = self.act(user, {"type": "order", "orders": rows, "grouping": grouping})
        return answer["response"]["data"]["statuses"] if answer["status"] == "ok" else answer

    def order(self, user: str, coin: int, size: float, px, tif: str = "Gtc", **rest):
        return self.orders(user, [self.wire(coin, size, px, tif, **rest)])[0]

    def cancel(self, user: str, coin: int, oid: int):
        answer = self.act(user, {"type": "cancel", "cancels": [{"a": coin, "o": oid}]})
        return answer["response"]["data"]["statuses"][0]

    def leverage(self, user: str, coin: int, leverage: int, *, cross: bool = True):
        return self.act(user, {"type": "updateLeverage", "asset": coin, "isCross": cross, "leverage": leverage})

    def pass_time(self, ms: int):
        self.apply("tick", m=self.state.market + ms)

    def price(self, coin: int, field: str = "px") -> float:
        market, asset = self.state.coins[coin], self.engine.desk.assets[coin]
        return float(text_of(getattr(market, field), asset.px_decimals))

    def near(self, coin: int, share: float) -> float:
        """A valid price at a share of the last one."""
        asset = self.engine.desk.assets[coin]
        px = int(self.state.coins[coin].px * share)
        return float(text_of(px // asset.tick(px) * asset.tick(px), asset.px_decimals))

    def szi(self, user: str, coin: int) -> int:
        position = self.state.accounts[user].positions.get(coin)
        return position.szi if position else 0

    def value(self, user: str) -> int:
        return self.engine.desk.margins.value(self.state.accounts[user])

    def money(self) -> int:
        """Everything there is, the house included: must always equal what was deposited."""
        state, total = self.state, self.state.house.raw + self.state.house.fees
        for account in state.accounts.values():
            total += account.raw + account.spot + sum(0 if p.cross else p.raw for p in account.positions.values())
        return total

    def sizes(self) -> dict[int, int]:
        """The sum of all positions by coin, the house included: must always be zero."""
        out = dict(self.state.house.szi)
        for account in self.state.accounts.values():
            for coin, position in account.positions.items():
                out[coin] = out.get(coin, 0) + position.szi
        return out

    def reloaded(self) -> "Desk":
        """The same exchange after its state went through bytes."""
        state = snapshot.load(snapshot.dump(self.state))
        other = Desk(Engine(state, self.engine.desk.assets, self.engine.desk.bars))
        other.wall, other.nonce = self.wall, self.nonce
        return other


@pytest.fixture
def desk(replay) -> Desk:
    """BTC 0, ETH 1, DOGE 2."""
    assets = load_assets()
    bars = read_folder(replay, assets)
    return Desk(new_engine(bars, [assets[one.name] for one in bars], seed=7, start=None))


@pytest.fixture
def market(tmp_path):
    """Make a desk of one BTC market from rows of (open, high, low, close, volume), a minute each."""

    def make(rows, **options) -> Desk:
        write_bars(tmp_path / "made", "BTC", rows)
        assets = load_assets()
        bars = read_folder(tmp_path / "made", assets)
        return Desk(new_engine(bars, [assets["BTC"]], seed=7, start=START, **options))

    return make


class Venue:
    """A running exchange in its own process."""

    def __init__(self, replay: Path | None, state: Path, accounts: dict[str, float], *options: str) -> None:
        self.state, self.accounts, self.options, self.replay = state, accounts, options, replay
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = state.parent / f"{state.name}.log"
        self.process = None
        self.start()

    def start(self) -> None:
        credit = [f"--account={address}={usdc}" for address, usdc in self.accounts.items()]
        command = [
            sys.executable,
            "-c",
            "from quantga.cli import main; main()",
            "exchange",
            "--port",
            str(self.port),
            "--state",
            str(self.state),
        ]
        command += [*(["--replay", str(self.replay)] if self.replay else []), *credit, *self.options]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                self.info({"type": "allMids"})
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.025)
            else:
                return
        raise AssertionError(self.log.read_text())

    def raw(self, path: str, body: bytes, kind: str = "application/json") -> tuple[int, str]:
        """Status and text of a request, errors included."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind} if kind else {})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def info(self, body):
        status, text = self.raw("/info", json.dumps(body).encode())
        assert status == 200, (status, text)
        return json.loads(text)

    def control(self, **body):
        status, text = self.raw("/control", json.dumps(body).encode())
        assert status == 200, text
        return json.loads(text)

    def fault(self, name: str, **rest):
        return self.control(do="fault", fault=name, **rest)

    def wait(self, until, seconds: float = 120.0):
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)

    def step(self, ms: int):
        return self.control(do="step", ms=ms)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(120)


@pytest.fixture(scope="session")
def keys():
    """A few wallets."""
    return [Key.from_key("0x" + f"{k:02x}" * 32) for k in range(1, 6)]


@pytest.fixture
def venues(replay, tmp_path):
    """Start exchanges; they are stopped, and must have printed no traceback."""
    made = []

    def make(accounts: dict[str, float], *options: str, name: str = "state", mirror: bool = False) -> Venue:
        made.append(Venue(None if mirror else replay, tmp_path / name, accounts, *options))
        return made[-1]

    yield make
    for venue in made:
        venue.stop()
        assert "Traceback" not in venue.log.read_text(), venue.log.read_text()


@pytest.fixture(scope="module")
def venue(replay, tmp_path_factory, keys):
    """One exchange for a whole module, in step mode and without the limits per address: the first four keys are funded."""
    one = Venue(
        replay,
        tmp_path_factory.mktemp("venue") / "state",
        {k.address: 100_000 for k in keys[:4]},
        "--step",
        "--no-limits",
    )
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()
