"""The doctor on this machine and against the paper exchange, which stands in for the testnet and is never called that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account as Key
from typer.testing import CliRunner

from quantga.cli import app
from quantga.live.doctor import Recording, checkup, here, walk
from quantga.store.lake import open_lake
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.signing import Signer
from quantga.venue.protocol import Network
from tests.exchange.conftest import Venue, write_bars
from tests.exchange.conftest import walk as bars_of

KEY = Key.from_key("0x" + "11" * 32)


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("venue")
    write_bars(folder / "bars", "BTC", bars_of(1, 80_000, 1.0, 480, 30.0))
    write_bars(folder / "bars", "ETH", bars_of(2, 3_000, 0.1, 480, 400.0))
    one = Venue(folder / "bars", folder / "state", {KEY.address: 1_000}, "--step", "--no-limits")
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


def states(checks):
    return {one.name: one.state for one in checks}


def test_this_machine_is_looked_at(tmp_path):
    checks = here(open_lake(str(tmp_path / "store")), "")
    assert states(checks) == dict.fromkeys(("python", "packages", "store", "disk", "catalog", "ray"), "ok")
    (tmp_path / "file").write_text("no folder")
    wrong = states(here(open_lake(str(tmp_path / "file" / "store")), ""))
    assert wrong["store"] == "red"
    assert all(one.todo for one in here(open_lake(str(tmp_path / "file" / "store")), "") if one.state == "red")


async def looked_at(url, key, account=""):
    signer = Signer(key, mainnet=False)
    async with Rest(url, timeout=20) as wire:
        return await checkup(Hyperliquid(wire, Network.PAPER, signer), url, signer.address, account)


async def test_venue_and_account_are_looked_at(venue):
    good = await looked_at(venue.url, KEY.key.hex())
    assert set(states(good)) == {"venue", "clock", "account", "action budget"}
    assert set(states(good).values()) == {"ok"}
    stranger = await looked_at(venue.url, "0x" + "77" * 32)
    assert states(stranger)["account"] == "red"
    other = await looked_at(venue.url, KEY.key.hex(), "0x" + "12" * 20)
    assert states(other)["account"] == "red"
    gone = await looked_at("http://127.0.0.1:9", KEY.key.hex())
    assert states(gone) == {"venue": "red"}
    assert "quantga exchange" in gone[0].todo


async def test_an_order_is_walked_through_and_nothing_is_claimed_that_was_not_seen(venue, tmp_path):
    signer = Signer(KEY.key.hex(), mainnet=False)
    async with Rest(venue.url, timeout=20) as rest:
        recording = Recording(rest)
        client = Hyperliquid(recording, Network.PAPER, signer)
        done = await walk(recording, client, venue.url, signer.address, "", "ETH")
        assert [one.name for one in done.checks] == ["account", "placed", "seen", "cancelled", "reported", "reconciled"]
        assert done.well
        assert not done.real
        lake = open_lake(str(tmp_path))
        kept = json.loads(lake.read(done.keep(lake)))
        assert "which is not paper itself" in kept["words"]
        assert {"order", "cancelByCloid", "orderStatus"} <= {line["kind"] for line in kept["transcript"]}
        assert KEY.key.hex() not in json.dumps(kept)
        assert venue.info({"type": "frontendOpenOrders", "user": signer.address}) == []
        # A refusal, and a lost answer, are not success.
        venue.fault("batch_error")
        refused = await walk(recording, client, venue.url, signer.address, "", "ETH")
        assert not refused.well
        assert "not all steps" in refused.words
        venue.fault("clear")
        venue.fault("lose_reply")
        lost = await walk(recording, client, venue.url, signer.address, "", "ETH")
        assert not lost.well
        assert venue.info({"type": "frontendOpenOrders", "user": signer.address}) == []


def test_the_command_says_what_to_do(venue, tmp_path, monkeypatch):
    monkeypatch.setenv("QUANTGA_KEY", KEY.key.hex())
    options = ["doctor", "--store", str(tmp_path / "store"), "--json"]
    done = CliRunner().invoke(app, [*options, "--url", venue.url])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert {one["state"] for one in told["checks"]} <= {"ok", "warning"}
    assert told["walk"] is None
    sick = CliRunner().invoke(app, [*options, "--url", "http://127.0.0.1:9"])
    assert sick.exit_code == 1
    assert "red" in sick.stdout
    monkeypatch.delenv("QUANTGA_KEY")
    keyless = CliRunner().invoke(app, [*options, "--testnet"])
    assert "the walk signs an order" in str(keyless.exception)


def test_nothing_but_the_testnet_is_called_so(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("QUANTGA_KEY", KEY.key.hex())
    done = CliRunner().invoke(app, ["doctor", "--testnet", "--url", "http://127.0.0.1:9", "--store", str(tmp_path)])
    assert done.exit_code != 0
    assert "--url" in str(done.exception)
