"""The trader as a Ray actor: its worker is killed, and it trades on; stopped, it leaves its stops and is gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_account import Account as Key

from quantga.errors import ConfigError
from quantga.live.beginning import Wanted
from quantga.live.journal import read
from quantga.live.life import Timing
from quantga.live.places import Account
from quantga.live.plan import Traded
from quantga.live.records import Aimed, Opened, record_of
from quantga.live.risk import Bound, Limits
from quantga.store.lake import open_lake
from quantga.venue.protocol import Network
from tests.exchange.conftest import Venue, walk, write_bars
from tests.live.test_trading import guarded, held

MINUTE = 60_000
CAP_S = 200
TEXT = "when(gt(close, mean(close, 3)), long, short) with leverage=0.5"
ROOMY = Limits(daily_loss=Bound(0.5, 0.9), drawdown=Bound(0.5, 0.9), volatility=Bound(50.0, 90.0))
TIMING = Timing(check=2.0, fresh=60.0)
WALLET = Key.from_key("0x" + "5a" * 32)


@pytest.fixture
def venue(tmp_path):
    write_bars(tmp_path / "bars", "BTC", walk(1, 80_000, 1.0, 2_000, 30.0))
    one = Venue(tmp_path / "bars", tmp_path / "state", {WALLET.address: 10_000}, "--step", "--no-limits")
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


def until(true: Callable[[], bool], why: Callable[[], object]) -> None:
    end = time.monotonic() + CAP_S
    while not true():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def test_its_worker_is_killed_and_it_trades_on(venue, tmp_path: Path, ray_local) -> None:
    import ray

    from quantga.live.trader import end, open_trader

    keyfile = tmp_path / "key"
    keyfile.write_text(WALLET.key.hex())
    keyfile.chmod(0o600)
    traded = Traded("one", "", TEXT, ("BTC",), {"capital": 1.0, "funding": False}, 0)
    wanted = Wanted(
        Network.PAPER,
        venue.url,
        str(tmp_path / "store"),
        MINUTE,
        (traded,),
        key_file=str(keyfile),
        limits=ROOMY,
        volatility=50.0,
    )
    place = Account.of(open_lake(tmp_path / "store"), "paper", WALLET.address)

    def count(kind: type) -> int:
        known = place.sessions()
        entries = read(place.journal(known[-1]))[0] if known else ()
        return sum(isinstance(record_of(one), kind) for one in entries)

    def told() -> dict[str, object]:
        try:
            status: dict[str, object] = ray.get(handle.status.remote(), timeout=60)
        except ray.exceptions.RayActorError as error:
            return {"pid": 0, "lines": [], "failure": str(error)}
        return status

    def bars(wanted: int) -> None:
        for _ in range(wanted):
            before = count(Aimed)
            for _ in range(12):
                venue.step(5_000)
            until(lambda before=before: count(Aimed) > before, told)

    handle = open_trader(wanted, timing=TIMING, key=WALLET.address)
    try:
        until(lambda: any("recovered" in line for line in told()["lines"]), told)
        bars(2)
        until(lambda: bool(held(venue, WALLET.address)), told)
        killed = told()["pid"]
        os.kill(killed, signal.SIGKILL)
        until(lambda: told()["pid"] not in {0, killed}, told)
        until(lambda: any("recovered" in line for line in told()["lines"]), told)
        bars(2)
        assert count(Opened) == 2
        assert len(place.sessions()) == 1
        assert open_trader(wanted, timing=TIMING, key=WALLET.address)._actor_id == handle._actor_id
        other = Wanted(Network.PAPER, venue.url, str(tmp_path / "store"), MINUTE, (), key_file=str(keyfile))
        with pytest.raises(ConfigError, match="trades something else"):
            open_trader(other, timing=TIMING, key=WALLET.address)
    finally:
        assert end(handle)
        for beside in ray.util.list_named_actors(all_namespaces=True):
            if venue.url in beside["name"]:
                ray.kill(ray.get_actor(beside["name"], namespace=beside["namespace"]))
    guarded(venue, WALLET.address)
    book = place.last().book
    assert {"BTC": book.net("BTC") * book.lot["BTC"]} == held(venue, WALLET.address)
    orders = venue.info({"type": "historicalOrders", "user": WALLET.address})
    assert len({one["order"]["cloid"] for one in orders}) == len({one["order"]["oid"] for one in orders})
