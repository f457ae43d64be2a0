"""Whole sessions in one process under every fault and at every point of death; the exchange alone is the judge."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.ring import SYMBOLS, Crash, Fate, World, market, session


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(tmp_path_factory.mktemp("bars"))


def fate_of(seed: int) -> Fate:
    """Return what befalls a scenario: one of five scenarios is calm but for a death."""
    dice = random.Random(seed)
    if seed % 5 == 0:
        return Fate(dice, dies_in=dice.randint(1, 160))
    chance = dice.choice((0.02, 0.1, 0.3))
    kinds = [chance if dice.random() < 0.6 else 0.0 for _ in range(5)]
    return Fate(dice, *kinds, dies_in=dice.choice((-1, dice.randint(1, 200))))


async def judged(world: World, folder: Path, fate: Fate) -> None:
    """Trade under a fate, then calmly; the exchange must hold what the book holds, guarded, and nothing twice."""
    try:
        await session(world, folder, fate, 4)
    except Crash:
        world.pass_wall(fate.dice.choice((0, 1_000, 20_000)))
    trader = await session(world, folder, Fate(fate.dice), 2)
    book = trader.dealer.session.book
    held = {symbol: book.net(symbol) * book.lot[symbol] for symbol in SYMBOLS if book.net(symbol)}
    assert held == world.positions
    assert trader.dealer.session.halts == {}
    orders = world.told("historicalOrders")
    assert len({one["order"]["cloid"] for one in orders}) == len({one["order"]["oid"] for one in orders})
    fills = world.told("userFills")
    own = [fill for order in trader.dealer.session.orders.values() for fill in order.fills]
    assert {fill["tid"] for fill in fills} == {fill.tid for fill in own}
    resting = world.told("frontendOpenOrders")
    assert {one["coin"] for one in resting} == set(world.positions)
    assert len(resting) == len(world.positions)
    for one in resting:
        assert one["reduceOnly"]
        assert one["isTrigger"]
        assert float(one["sz"]) == abs(float(world.positions[one["coin"]]))


@pytest.mark.parametrize("seed", range(25))
async def test_a_session_survives(bars: Path, tmp_path: Path, seed: int) -> None:
    await judged(World.of(bars), tmp_path, fate_of(seed))


async def test_an_order_brings_its_stop_so_that_no_position_is_ever_without_one(bars: Path, tmp_path: Path) -> None:
    world = World.of(bars)
    await session(world, tmp_path, Fate(random.Random(0)), 6)
    assert world.positions
    assert world.naked == 0


@pytest.mark.proof
@pytest.mark.parametrize("first", range(1_000, 11_000, 500))
async def test_ten_thousand_sessions_survive(
    bars: Path, tmp_path: Path, record_property: Callable[[str, object], None], first: int
) -> None:
    for seed in range(first, first + 500):
        await judged(World.of(bars), tmp_path / str(seed), fate_of(seed))
    record_property("scenarios", 500)
