"""The watchdog on a virtual clock against the paper exchange's engine, and as a process beside traders that die or hang."""

import asyncio
import http.server
import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from eth_account import Account as Key
from hyperliquid.exchange import Exchange as Sdk

from quantga.errors import ConfigError
from quantga.live.heartbeat import FILE, NOTICE, Pulse, put, watched
from quantga.live.watchdog import RESERVE, Patience, Watchdog, loopback_only
from quantga.venue.account import OrderRequest, Place, Trigger
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.weights import actual
from quantga.venue.protocol import Network
from tests.exchange.conftest import MICRO, Venue, walk, write_bars
from tests.live.ring import ACCOUNT, Fate, Line, Unsigned, World, market

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return market(tmp_path_factory.mktemp("bars"))


class Heart:
    """A trader's side of the heartbeat."""

    def __init__(self, folder):
        self.path, self.count = folder / FILE, 0

    def beat(self, **more):
        self.count += 1
        put(self.path, {"at": self.count, "process": 1, **more})


def test_a_pulse_goes_by_change_alone(tmp_path):
    pulse = Pulse(tmp_path, 100.0)
    assert pulse.age(103.0) == 3.0  # no file yet
    heart = Heart(tmp_path)
    heart.beat()
    assert pulse.age(104.0) == 0.0
    os.utime(tmp_path / FILE, (0, 0))  # dates say nothing
    assert pulse.age(110.0) == 6.0
    heart.beat()
    assert pulse.age(111.0) == 0.0
    assert (pulse.told["at"], pulse.leaving) == (2, False)
    heart.beat(leaving=True)
    assert pulse.age(112.0) == 0.0
    assert pulse.leaving
    heart.path.write_bytes(b'{"torn')
    assert pulse.age(114.0) == 2.0
    put(heart.path, {"at": 100_000, "lively": 95_000})
    assert pulse.age(115.0) == 0.0  # busy for five seconds
    put(heart.path, {"at": 200_000, "lively": 95_000})
    assert pulse.age(116.0) == 105.0  # it beats, and its loop hangs
    heart.beat()
    late = Pulse(tmp_path, 200.0)
    assert late.age(200.0) == 0.0  # an old file counts from the first look
    assert late.age(206.0) == 6.0


def test_status_says_loudly_who_does_not_watch(tmp_path):
    assert watched(tmp_path, 0).startswith("NONE")
    notice = {"pid": 7, "at": 100_000, "lost": False, "reached": True, "armed": False, "unarmed": "no volume"}
    put(tmp_path / NOTICE, notice)
    assert watched(tmp_path, 101_000) == "process 7 watches; UNARMED: no volume"
    assert watched(tmp_path, 200_000).startswith("GONE for 100 s")
    put(tmp_path / NOTICE, {**notice, "lost": True, "reached": False, "armed": True})
    assert "LOST" in watched(tmp_path, 101_000)


class Weighed:
    """A wire that counts what requests weigh in the last minute of the world's time."""

    def __init__(self, wire):
        self.wire, self.sent, self.most = wire, [], 0

    async def send(self, ask):
        begun = self.wire.world.wall
        weight = ask.weight
        try:
            reply = await self.wire.send(ask)
            weight = actual(ask, reply)
            return reply
        finally:
            self.sent = [(at, n) for at, n in self.sent if at > begun - 60_000] + [(self.wire.world.wall, weight)]
            self.most = max(self.most, sum(n for _, n in self.sent))


class Yard:
    """A world with a position, its stop and resting entries; a watchdog; and a trader that may stop beating."""

    def __init__(self, bars, folder, fate=None, patience=Patience()):  # noqa: B008
        self.world = World.of(bars)
        self.fate = fate or Fate(random.Random(0))
        self.alerts, self.calls = [], 0
        wire = Line(self.world, Fate(random.Random(0)))
        self.trader = Hyperliquid(wire, Network.PAPER, Unsigned())
        self.nonces = Nonces(now=lambda: self.world.wall)
        self.heart = Heart(folder)
        self.line = Weighed(Line(self.world, self.fate))
        client = Hyperliquid(self.line, Network.PAPER, Unsigned())
        pulse = Pulse(folder, self.now())
        self.dog = Watchdog(client, ACCOUNT, pulse, self.alerts.append, patience, self.nonces)

    def now(self):
        return self.world.wall / 1_000

    async def send(self, coin, buy, share, size, **more):
        px = Decimal(str(round((await self.trader.mids())[coin] * share)))
        trigger = Trigger(px, take=False) if more.pop("stop", False) else None
        order = OrderRequest(coin, buy, px, Decimal(size), more.pop("tif", "Gtc"), trigger=trigger, **more)
        return await self.trader.submit(Place((order,)), self.nonces.stamp(5_000))

    async def fill(self):
        """A position with its stop, and two entries."""
        await self.send("BTC", True, 1.02, "0.02", tif="Ioc")
        await self.send("BTC", False, 0.9, "0.02", stop=True, reduce_only=True)
        await self.send("BTC", True, 0.95, "0.01")
        await self.send("ETH", False, 1.05, "0.5")

    async def watch(self, seconds, *, alive, until=lambda: False):
        """Let time pass; the trader beats or does not."""
        end = self.world.wall + round(seconds * 1_000)
        while self.world.wall < end and not until():
            if alive:
                self.heart.beat()
            await self.dog.step(self.now())
            self.world.pass_wall(250)
        return self

    @property
    def entries(self):
        return [one for one in self.world.told("frontendOpenOrders") if not one["reduceOnly"]]

    @property
    def stops(self):
        return [one for one in self.world.told("frontendOpenOrders") if one["reduceOnly"]]

    @property
    def names(self):
        return [one.name for one in self.alerts]


async def test_while_the_trader_beats_nothing_is_touched(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    await yard.fill()
    await yard.watch(60, alive=True)
    assert len(yard.entries) == 2
    assert len(yard.stops) == 1
    assert yard.names == ["unarmed"]
    assert yard.dog.well
    assert not yard.dog.notice.armed
    assert "1,000,000" in yard.dog.notice.unarmed


async def test_entries_go_and_stops_stay(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    await yard.fill()
    await yard.watch(10, alive=True)
    died = yard.world.wall
    await yard.watch(15, alive=False, until=lambda: not yard.entries)
    assert not yard.entries
    assert yard.world.wall - died <= 15_000
    assert len(yard.stops) == 1
    await yard.watch(300, alive=False)
    assert len(yard.stops) == 1
    assert yard.world.positions == {"BTC": Decimal("0.02")}
    assert yard.names == ["unarmed", "trader-lost", "entries-cancelled"]
    assert not yard.dog.well
    await yard.watch(5, alive=True)
    assert yard.names[-1] == "trader-back"
    assert yard.dog.well


async def test_what_the_trader_sent_last_is_cancelled_too(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    await yard.fill()
    await yard.watch(10, alive=True)
    died = yard.world.wall
    row = {"a": 0, "b": True, "p": "70000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    late = {"action": {"type": "order", "orders": [row], "grouping": "na"}, "nonce": died, "x": died + 5_000}
    yard.world.under_way.append((died + 4_990, orjson.dumps(late)))
    await yard.watch(15, alive=False)
    assert not yard.entries
    assert len(yard.stops) == 1


@pytest.mark.parametrize("seed", range(20))
async def test_a_bad_network_only_delays(bars, tmp_path, seed):
    dice = random.Random(seed)
    yard = Yard(bars, tmp_path, Fate(dice, *(dice.choice((0.0, 0.1, 0.3)) for _ in range(5))))
    await yard.fill()
    await yard.watch(5, alive=True)
    await yard.watch(180, alive=False, until=lambda: not yard.entries)
    assert not yard.entries
    assert len(yard.stops) == 1
    assert yard.world.positions == {"BTC": Decimal("0.02")}


async def test_flattening_waits_its_time_and_is_proven(bars, tmp_path):
    yard = Yard(bars, tmp_path, patience=Patience(flatten=60.0))
    await yard.fill()
    await yard.send("ETH", False, 0.98, "0.5", tif="Ioc")
    await yard.watch(55, alive=False)
    assert set(yard.world.positions) == {"BTC", "ETH"}
    await yard.watch(30, alive=False)
    assert yard.world.positions == {}
    assert "flattened" in yard.names
    await yard.watch(60, alive=False)
    assert yard.world.told("frontendOpenOrders") == []


async def test_who_leaves_on_purpose_keeps_his_positions(bars, tmp_path):
    yard = Yard(bars, tmp_path, patience=Patience(flatten=60.0))
    await yard.fill()
    await yard.watch(5, alive=True)
    yard.heart.beat(leaving=True)
    await yard.watch(120, alive=False)
    assert yard.world.positions == {"BTC": Decimal("0.02")}
    assert not yard.entries
    assert "trader-left" in yard.names
    assert "trader-lost" not in yard.names


async def test_the_venues_switch_is_set_while_flat_alone(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    yard.world.engine.state.accounts[ACCOUNT].volume = 2_000_000 * MICRO
    account = yard.world.engine.state.accounts[ACCOUNT]
    await yard.watch(30, alive=True)
    assert yard.dog.notice.armed
    first = account.cancel_at
    assert first > yard.world.wall
    await yard.watch(60, alive=True)
    assert account.cancel_at > first
    await yard.fill()
    await yard.watch(6, alive=True)
    assert not account.cancel_at
    assert not yard.dog.notice.armed
    assert "stop" in yard.dog.notice.unarmed
    await yard.watch(120, alive=True)
    assert len(yard.stops) == 1
    # A watchdog that starts anew takes back what the one before may have set.
    await yard.trader.submit(
        Place((OrderRequest("BTC", False, Decimal(60_000), Decimal("0.02"), "Ioc", True),)), yard.nonces.stamp(5_000)
    )
    await yard.watch(10, alive=True)
    assert yard.dog.notice.armed
    await yard.fill()
    again = Yard.__new__(Yard)
    again.__dict__ = yard.__dict__ | {"alerts": []}
    again.dog = Watchdog(
        Hyperliquid(yard.line, Network.PAPER, Unsigned()),
        ACCOUNT,
        Pulse(tmp_path, yard.now()),
        again.alerts.append,
        Patience(),
        yard.nonces,
    )
    await again.watch(1, alive=False)
    assert not account.cancel_at


async def test_it_lives_on_what_is_left_to_it(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    await yard.fill()
    await yard.watch(30, alive=True)
    await yard.watch(300, alive=False)
    assert yard.line.most <= RESERVE.weight, yard.line.most


def test_paper_stays_on_this_machine():
    loopback_only(Network.PAPER, "http://127.0.0.1:8100")
    with pytest.raises(ConfigError, match="127"):
        loopback_only(Network.PAPER, "https://api.hyperliquid.xyz")


# Processes.

TRADER = """
import asyncio, sys
from decimal import Decimal
from pathlib import Path
from quantga.live.heartbeat import FILE, put
from quantga.venue.account import OrderRequest, Place, Trigger
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network

async def main(url, key, folder):
    signer, nonces = Signer(key, mainnet=False), Nonces()
    beats = 0
    async with Rest(url) as wire:
        venue = Hyperliquid(wire, Network.PAPER, signer)
        mid = Decimal(round((await venue.mids())["BTC"]))
        px = lambda share: Decimal(round(mid * Decimal(share)))
        size = Decimal("0.02")
        orders = [
            OrderRequest("BTC", True, px("1.02"), size, "Ioc"),
            OrderRequest("BTC", False, px("0.9"), size, reduce_only=True, trigger=Trigger(px("0.92"), take=False)),
            OrderRequest("BTC", True, px("0.95"), size),
        ]
        for order in orders:
            print(await venue.submit(Place((order,)), nonces.stamp(5_000)), flush=True)
        while True:
            beats += 1
            put(Path(folder) / FILE, {"at": beats, "signer": signer.address})
            await asyncio.sleep(0.5)

asyncio.run(main(*sys.argv[1:]))
"""


class Listener(http.server.ThreadingHTTPServer):
    """Whom the watchdog pings."""

    def __init__(self):
        self.pings = 0
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                listener.pings += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def wait_for(what, seconds=90):
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return found


@pytest.fixture
def exchange(tmp_path):
    write_bars(tmp_path / "bars", "BTC", walk(1, 80_000, 1.0, 480, 30.0))
    key = Key.from_key("0x" + "11" * 32)
    one = Venue(tmp_path / "bars", tmp_path / "state", {key.address: 10_000}, "--step", "--no-limits")
    one.key = key
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


@pytest.mark.parametrize("end", ["killed", pytest.param("hung", marks=pytest.mark.proof)])
def test_a_trader_that_dies_or_hangs(exchange, tmp_path, end, record_property):
    venue, account = exchange, exchange.key.address.lower()
    sdk = Sdk(exchange.key, venue.url, timeout=20)
    answer, agent = sdk.approve_agent("watchdog")
    assert answer["status"] == "ok", answer
    folder, listener = tmp_path / "store" / "sessions" / f"paper-{account}", Listener()
    folder.mkdir(parents=True)
    trader = subprocess.Popen([sys.executable, "-c", TRADER, venue.url, exchange.key.key.hex(), str(folder)], cwd=ROOT)
    command = [
        sys.executable,
        "-c",
        "from quantga.cli import main; main()",
        "watchdog",
        "--store",
        str(tmp_path / "store"),
        "--account",
        account,
    ]
    command += ["--url", venue.url, "--lost", "3", "--ping", f"http://127.0.0.1:{listener.server_port}/"]
    environment = {**os.environ, "QUANTGA_WATCHDOG_KEY": agent}
    with (tmp_path / "alerts").open("wb") as out:
        dog = subprocess.Popen(command, stdout=out, env=environment)
    try:
        assert wait_for(lambda: len(orders(venue, account)) == 2)
        assert wait_for((folder / NOTICE).exists)
        assert wait_for(lambda: orjson.loads((folder / NOTICE).read_bytes())["reached"])
        assert wait_for(lambda: listener.pings)
        assert len(orders(venue, account)) == 2
        began = time.monotonic()
        trader.send_signal(signal.SIGKILL if end == "killed" else signal.SIGSTOP)
        assert wait_for(lambda: len(orders(venue, account)) == 1)
        record_property("seconds until the entry was gone", round(time.monotonic() - began, 2))
        (left,) = orders(venue, account)
        assert left["reduceOnly"]
        assert left["isTrigger"]
        assert wait_for(lambda: b"entries-cancelled" in (tmp_path / "alerts").read_bytes())
        if end == "hung":
            trader.send_signal(signal.SIGCONT)
            assert wait_for(lambda: b"trader-back" in (tmp_path / "alerts").read_bytes())
        (position,) = venue.info({"type": "clearinghouseState", "user": account})["assetPositions"]
        assert position["position"]["szi"] == "0.02"
        assert orjson.loads((folder / NOTICE).read_bytes())["unarmed"]
    finally:
        trader.kill()
        trader.wait()
        dog.terminate()
        listener.shutdown()
        listener.server_close()
        assert dog.wait(30) == 0
    names = [orjson.loads(line)["alert"] for line in (tmp_path / "alerts").read_bytes().splitlines()]
    assert names[:3] == ["unarmed", "trader-lost", "entries-cancelled"]


def orders(venue, account):
    return venue.info({"type": "frontendOpenOrders", "user": account})


def test_a_key_that_may_not_act_is_refused(exchange, tmp_path):
    account = exchange.key.address.lower()
    command = [
        sys.executable,
        "-c",
        "from quantga.cli import main; main()",
        "watchdog",
        "--store",
        str(tmp_path),
        "--url",
        exchange.url,
    ]
    wrong = {**os.environ, "QUANTGA_WATCHDOG_KEY": "0x" + "77" * 32}
    done = subprocess.run([*command, "--account", account], check=False, capture_output=True, text=True, env=wrong)
    assert done.returncode == 2
    assert "is no agent of" in done.stderr
    none = {k: v for k, v in os.environ.items() if k != "QUANTGA_WATCHDOG_KEY"}
    done = subprocess.run([*command, "--account", account], check=False, capture_output=True, text=True, env=none)
    assert done.returncode == 2
    assert "agent key of its own" in done.stderr


async def test_the_traders_own_key_is_refused(bars, tmp_path):
    yard = Yard(bars, tmp_path)
    yard.heart.beat()
    agent = "0x" + "cd" * 20
    yard.world.apply({"k": "act", "s": ACCOUNT, "a": {"type": "noop"}, "n": yard.world.wall, "v": None, "x": None})
    with pytest.raises(ConfigError, match="no agent"):
        await yard.dog.check(agent, own=True)
    await yard.dog.check(ACCOUNT, own=True)
    await asyncio.sleep(0)
