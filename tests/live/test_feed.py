"""The feed against the paper exchange in a process of its own, and as a Ray actor that is killed."""

import asyncio
import os
import signal
import time

import orjson
import pytest
from typer.testing import CliRunner

from quantga.errors import ConfigError
from quantga.live.connection import Timing
from quantga.live.rules import Rules
from quantga.live.stream import Plan, Stream
from quantga.store.ingest.envelope import read
from quantga.venue.desk import Desk
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.hyperliquid.weights import actual
from quantga.venue.protocol import Network
from quantga.venue.sockets import SocketLimits
from tests.exchange.conftest import Venue, walk, write_bars

MINUTE = 60_000
SPEED = 60
RULES = Rules(hole=1.2, patience=20_000, least=0.1, margin=30_000, retry=0.1, longest=1.0)


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    write_bars(folder, "BTC", walk(1, 80_000, 1.0, 600, 30.0))
    write_bars(folder, "ETH", walk(2, 3_000, 0.1, 600, 400.0))
    return folder


@pytest.fixture
def venue(bars, tmp_path):
    one = Venue(bars, tmp_path / "state", {}, "--speed", str(SPEED), "--no-limits")
    yield one
    one.stop()
    assert "Traceback" not in one.log.read_text(), one.log.read_text()


def truth(venue, coin, first, last):
    req = {"coin": coin, "interval": "1m", "startTime": first, "endTime": last}
    rows = venue.info({"type": "candleSnapshot", "req": req})
    return [(r["t"], *(float(r[key]) for key in "ohlcv"), r["n"]) for r in rows]


def told(bars):
    return [(b.time, *b.values) for b in bars]


async def feed_until(venue, plan, until, acts=()):
    """Run a feed; do `acts` (seconds, function) beside it; stop when `until` says so."""
    async with Rest(venue.url) as rest:
        stream = Stream(plan, Hyperliquid(Desk(rest, actual), Network.PAPER))
        task, began, acts = asyncio.ensure_future(stream.run()), time.monotonic(), list(acts)
        while not task.done() and not until(stream) and time.monotonic() < began + 150:
            await asyncio.sleep(0.05)
            while acts and time.monotonic() - began > acts[0][0]:
                await asyncio.to_thread(acts.pop(0)[1])
        if task.done():
            task.result()
        status = stream.status()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return stream, status


def minutes(stream, coin):
    return stream.shelf.take({(coin, MINUTE): -1})[coin, MINUTE].bars


async def test_against_the_exchange_with_faults(venue, tmp_path):
    timing = Timing(stale=1.5, ping=1.0, pong=2.0, pause=0.1, longest=0.5, limits=SocketLimits(new_a_minute=10**6))
    plan = Plan(venue.url, ("BTC", "ETH"), ("1m", "5m"), history=5, timing=timing, rules=RULES, record=tmp_path / "rec")
    acts = [
        (1.0, lambda: venue.fault("duplicate", count=30)),
        (1.5, lambda: venue.fault("reorder", count=30)),
        (2.0, lambda: venue.fault("stale", seconds=2.5)),
        (5.5, lambda: venue.fault("drop_sockets")),
        (6.0, lambda: venue.fault("too_many", count=3)),
        (6.1, lambda: venue.fault("bad_gateway", count=2)),
        (7.0, lambda: venue.fault("silent", seconds=2.5)),
        (10.0, venue.kill),
        (10.5, venue.start),
    ]
    stream, status = await feed_until(
        venue,
        plan,
        lambda s: not acts_left(s, 13) and all(len(minutes(s, coin)) > 16 for coin in ("BTC", "ETH")),
        acts,
    )
    assert status["traffic"]["connects"] >= 3
    for coin in ("BTC", "ETH"):
        for interval in (MINUTE, 5 * MINUTE):
            found = stream.shelf.take({(coin, interval): -1})[coin, interval].bars
            assert [b.time for b in found] == list(range(found[0].time, found[-1].time + 1, interval))
            if interval == MINUTE:
                assert len(found) > 14
                assert told(found) == truth(venue, coin, found[0].time, found[-1].time)
    assert {b.source for b in minutes(stream, "BTC")} == {"stream", "rest"}
    recorded = sum(1 for path in (tmp_path / "rec").rglob("*.lz4") for _ in read(path))
    assert recorded == stream.status()["recorded"]["frames"] > 500
    assert stream.status()["recorded"]["dropped"] == 0


def acts_left(stream, seconds):
    return stream.status()["seconds"] < seconds


async def test_an_unknown_coin_is_refused_before_the_socket(venue):
    with pytest.raises(ConfigError, match="no perpetual 'NOPE'"):
        await feed_until(venue, Plan(venue.url, ("NOPE",)), lambda _: False)


async def test_fundings_come_with_the_hours(venue):
    plan = Plan(venue.url, ("BTC",), fundings=True, rules=RULES)
    stream, _ = await feed_until(venue, plan, lambda s: bool(s.fundings.get("BTC")))
    times = [row.time for row in stream.fundings["BTC"]]
    assert times == sorted(set(times))
    assert all(time % 3_600_000 == 0 for time in times)


def test_the_command_prints_bars_and_says_how_it_went(venue):
    from quantga.cli import app

    rows = []
    for seconds in ("4", "30", "120"):  # a busy machine needs longer
        options = ["feed", "--url", venue.url, "--coins", "BTC", "--history", "3", "--seconds", seconds, "--json"]
        done = CliRunner().invoke(app, options)
        assert done.exit_code == 0, done.output
        rows = [orjson.loads(line) for line in done.stdout.splitlines()]
        if len(rows) > 3:
            break
    times = [row["time"] for row in rows[:-1]]
    assert len(times) >= 3
    assert times == list(range(times[0], times[-1] + 1, MINUTE))
    assert rows[-1]["status"]["bars"]["revised"] == 0
    refused = CliRunner().invoke(app, ["feed", "--venue", "nasdaq"])
    assert "there are mainnet, testnet, paper" in str(refused.exception)


def test_the_actor_is_killed_and_no_reader_misses_a_bar(venue, ray_local):
    import ray

    from quantga.live.budget import open_budget
    from quantga.live.feed import open_feed

    budget = open_budget(venue.url)
    plan = Plan(venue.url, ("BTC",), ("1m",), history=30, rules=RULES)
    feed = open_feed(plan, budget, name="feed under test")
    try:
        key, bars, missed, killed, end = ("BTC", MINUTE), [], 0, 0, time.monotonic() + 240
        while len(bars) < 45 and time.monotonic() < end:
            try:
                taken = ray.get(feed.wait.remote({key: bars[-1].time if bars else -1}, 2.0), timeout=120)[key]
            except ray.exceptions.ActorUnavailableError:
                time.sleep(0.2)
                continue
            bars += taken.bars
            missed += taken.missed
            if len(bars) >= 33 and not killed:
                killed = ray.get(feed.status.remote())["pid"]
                os.kill(killed, signal.SIGKILL)
        assert missed == 0
        assert killed
        assert ray.get(feed.status.remote())["pid"] != killed
        times = [bar.time for bar in bars]
        assert times == list(range(times[0], times[0] + len(times) * MINUTE, MINUTE))
        assert told(bars) == truth(venue, "BTC", times[0], times[-1])
        assert ray.get(feed.now.remote(["BTC"]))["BTC"].quote.coin == "BTC"
        with pytest.raises(ConfigError, match="runs with other coins"):
            open_feed(Plan(venue.url, ("ETH",)), budget, name="feed under test")
        state = ray.get(budget.state.remote())
        assert state.used > 0
        assert open_budget(venue.url)._actor_id == budget._actor_id
    finally:
        ray.kill(feed)
        ray.kill(budget)


def test_a_feed_that_cannot_work_says_why_and_is_not_started_again(venue, ray_local):
    import ray

    from quantga.live.budget import open_budget
    from quantga.live.feed import open_feed

    budget = open_budget(venue.url)
    feed = open_feed(Plan(venue.url, ("NOPE",)), budget, name="feed of nothing")
    try:
        end = time.monotonic() + 200
        while not ray.get(feed.status.remote())["failure"] and time.monotonic() < end:
            time.sleep(0.1)
        with pytest.raises(ConfigError, match="no perpetual 'NOPE'"):
            ray.get(feed.take.remote({("NOPE", MINUTE): -1}))
    finally:
        ray.kill(feed)
        ray.kill(budget)
