"""Over real sockets, under scripts of faults: no bar lost, none twice, none with another value."""

import asyncio
import time

import pytest

from quantga.live.connection import Timing
from quantga.live.rules import Rules
from quantga.live.stream import Plan, Stream
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.hyperliquid.rest import Rest
from quantga.venue.protocol import Network
from quantga.venue.sockets import SocketLimits
from tests.live.frameserver import Server, script
from tests.live.market import MINUTE, Market, values

T0 = 1_735_689_600_000
MINUTES = 14
BAR = 0.12
"""Seconds of ours that a minute takes."""
SPEED = 60 / BAR
TIMING = Timing(
    stale=0.25,
    ack=3.0,
    ping=0.1,
    pong=1.0,
    pause=0.01,
    longest=0.1,
    limits=SocketLimits(new_a_minute=10**6, messages=10**6),
    refusals=10,
)
RULES = Rules(
    hole=0.06, settle=0.01, patience=int(0.06 * SPEED * 1000), least=0.01, margin=2_000, retry=0.02, longest=0.1
)


async def play(seed: int) -> tuple[Stream, list, dict]:
    """Feed through one script of faults; the stream, its bars and the truth."""
    market = Market("BTC", T0, MINUTES, seed, quiet=0.2)
    begin = T0 + 2 * MINUTE + seed % MINUTE
    length = (market.end - begin) / 1000 / SPEED
    async with Server(market, SPEED, begin, script(seed, length)) as server, Rest(server.url, timeout=0.6) as rest:
        plan = Plan(server.url, ("BTC",), ("1m",), history=20, timing=TIMING, rules=RULES, tick=0.004)
        stream = Stream(plan, Hyperliquid(rest, Network.PAPER))
        task = asyncio.ensure_future(stream.run())
        deadline = time.monotonic() + length + 60
        last, bars = market.end - MINUTE, ()
        while time.monotonic() < deadline and not task.done():
            await asyncio.sleep(0.02)
            if stream.shelf.newest().get(("BTC", MINUTE), -1) >= last:
                break
        bars = stream.shelf.take({("BTC", MINUTE): -1})["BTC", MINUTE].bars
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    truth = market.truth(MINUTE, market.end)
    return stream, [bar for bar in bars if bar.time <= last], truth


def judge(seed, stream, bars, truth):
    assert bars, (seed, stream.status())
    wanted = [time for time in truth if time >= bars[0].time]
    assert bars[0].time == T0, (seed, stream.status())
    assert [bar.time for bar in bars] == wanted, (seed, stream.status())
    wrong = [bar for bar in bars if values(bar) != truth[bar.time]]
    assert not wrong, (seed, wrong, truth[wrong[0].time], stream.status())
    assert stream.status()["bars"]["revised"] == 0


async def together(seeds):
    """Play scripts at the same time; the number of their bars, and of those that frames proved."""
    bars = [
        bar
        for seed, found in zip(seeds, await asyncio.gather(*map(play, seeds)), strict=True)
        for bar in told(seed, found)
    ]
    return len(bars), sum(bar.source == "stream" for bar in bars)


def told(seed, found):
    judge(seed, *found)
    return found[1]


@pytest.mark.parametrize("first", [0, 8])
async def test_no_bar_is_lost_or_doubled_under_scripts_of_faults(first):
    await together(range(first, first + 8))


@pytest.mark.proof
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(0, 1000, 100))
async def test_no_bar_is_lost_or_doubled_in_a_thousand_scripts(first, record_property):
    counts = [await together(range(at, at + 10)) for at in range(first, first + 100, 10)]
    record_property("scripts", 100)
    record_property("bars", sum(bars for bars, _ in counts))
    record_property("proven by frames", sum(proven for _, proven in counts))
