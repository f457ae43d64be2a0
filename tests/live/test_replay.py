"""A session's journal reproduces every order bit for bit; a journal in which anything was changed does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from quantga.engine.costs import Costs
from quantga.errors import DataError
from quantga.exchange.assets import load_assets
from quantga.live.bars import Bar
from quantga.live.dealer import Dealer
from quantga.live.history import History
from quantga.live.journal import Entry, read
from quantga.live.plan import Execution, Strategy, Terms, Traded
from quantga.live.records import Opened, body_of
from quantga.live.replay import replay
from quantga.live.session import Began, event_of, fold
from quantga.live.trading import Trader
from quantga.venue.hyperliquid.client import Hyperliquid
from quantga.venue.protocol import Network
from tests.exchange.conftest import MINUTE, START
from tests.live.ring import ACCOUNT, BEFORE, ROOMY, SYMBOLS, Crash, Fate, Frail, Line, Unsigned, World, closed, market

TEXTS = {
    "turner": "when(gt(close, mean(close, 5)), long, short) with leverage=0.5",
    "holder": "when(gt(close, lag(close, 1)), long, flat) with leverage=0.3",
}
FIRST = START // MINUTE + BEFORE
ORIGIN = FIRST - 620


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(tmp_path_factory.mktemp("bars"))


def terms() -> Terms:
    costs: Mapping[str, Any] = {"funding": False, "capital": 2_000.0}
    traded = tuple(Traded(name, "", text, SYMBOLS, costs, FIRST) for name, text in TEXTS.items())
    return Terms("paper", MINUTE, ORIGIN, traded, ROOMY, Execution(), 0.8)


async def play(world: World, folder: Path, fate: Fate, count: int) -> None:
    """Trade a few bars, each journaled before it is decided on; go on with the folder's session where there is one."""
    client = Hyperliquid(Line(world, fate), Network.PAPER, Unsigned())

    async def sleep(seconds: float) -> None:
        world.pass_wall(round(seconds * 1_000))

    with Frail(folder / "journal") as journal:
        journal.fate = fate
        history = History(MINUTE, ORIGIN)
        if not journal.entries:
            assets = load_assets()
            lot = {symbol: Decimal(1).scaleb(-assets[symbol].sz_decimals) for symbol in SYMBOLS}
            began = Began(ACCOUNT, "s", dict.fromkeys(TEXTS, Decimal(2_000)), lot, {}, Decimal(10_000))
            journal.append(world.engine.state.market, event_of(began), event_of(terms()))
        journal.append(world.engine.state.market, body_of(Opened("code", "grammar", "here", 1)))
        dealer = Dealer(client, journal, fold(journal.entries), local=lambda: world.wall, sleep=sleep)
        strategies = [Strategy(n, t.strategy().program, SYMBOLS, Costs(funding=False, capital=2_000.0), FIRST) for n, t in ((t.name, t) for t in terms().strategies)]  # fmt: skip
        meta = await Hyperliquid(Line(world, Fate(fate.dice)), Network.PAPER).meta()
        trader = Trader(dealer, strategies, ROOMY, meta, volatility=0.8)
        _learn(journal.entries, history)
        trader.learn({symbol: history.bars(symbol, fundings=False) for symbol in SYMBOLS if history.last(symbol)})
        await trader.resume()
        for _ in range(count):
            world.apply({"k": "tick"}, world.engine.state.market + MINUTE)
            for symbol in SYMBOLS:
                dealer.note(*(bar for bar in received(world, symbol) if history.add(bar)))
            await trader.act({symbol: history.bars(symbol, fundings=False) for symbol in SYMBOLS})


def _learn(entries: Sequence[Entry], history: History) -> None:
    from quantga.live.records import record_of

    for entry in entries:
        record = record_of(entry)
        if isinstance(record, Bar):
            history.add(record)


def received(world: World, symbol: str) -> list[Bar]:
    """The bars as a feed would bring them."""
    found = closed(world, symbol)
    names = ("open", "high", "low", "close")
    return [
        Bar(
            symbol, MINUTE, int(time), *(float(found[name][i]) for name in names), 1.0, 1, int(time) + MINUTE, 0, "rest"
        )
        for i, time in enumerate(found.time)
    ]


async def recorded(bars: Path, folder: Path, seed: int) -> list[Entry]:
    """The journal of a session under faults, with a death in it for odd seeds."""
    world, dice = World.of(bars), random.Random(seed)
    chance = dice.choice((0.0, 0.05, 0.2))
    fate = Fate(dice, chance, chance, 0.0, chance, chance, dice.randint(20, 200) if seed % 2 else -1)
    try:
        await play(world, folder, fate, 4)
    except Crash:
        world.pass_wall(1_000)
    await play(world, folder, Fate(dice), 3)
    return list(read(folder / "journal")[0])


@pytest.mark.parametrize("seed", range(5))
async def test_every_order_is_decided_again_to_the_bit(bars: Path, tmp_path: Path, seed: int) -> None:
    found = replay(await recorded(bars, tmp_path, seed))
    assert found.mismatches == []
    assert found.session == "s"
    assert found.orders >= 4
    assert found.decisions >= 12
    assert found.bars > 1_000


@pytest.mark.proof
@pytest.mark.parametrize("first", range(100, 600, 100))
async def test_five_hundred_sessions_replay(bars: Path, tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 100):
        assert replay(await recorded(bars, tmp_path / str(seed), seed)).mismatches == [], seed


def changed(
    entries: Sequence[Entry], kind: str, edit: Callable[[dict[str, Any]], object], which: int = -1
) -> list[Entry]:
    """The entries, one of a kind edited."""
    places = [i for i, entry in enumerate(entries) if entry.kind == kind]
    at = places[which]
    body = deepcopy(dict(entries[at].body))
    edit(body)
    return [*entries[:at], replace(entries[at], body=body), *entries[at + 1 :]]


async def test_one_changed_bar_is_a_mismatch(bars: Path, tmp_path: Path) -> None:
    entries = await recorded(bars, tmp_path, 0)
    decided = next(i for i, entry in enumerate(entries) if entry.kind == "decided")
    before = sum(entry.kind == "bar" for entry in entries[:decided])
    assert replay(entries).mismatches == []
    found = replay(changed(entries, "bar", lambda body: body.update(close=body["close"] * 1.0000001), before - 1))
    assert found.mismatches
    assert "decision" in found.mismatches[0].what
    # Any of the bars that a decision looks at, high and low included: the covariances read closes, programs what they name.
    for which in range(before - 8, before):
        crooked = replay(changed(entries, "bar", lambda body: body.update(close=body["close"] * 1.01), which))
        assert crooked.mismatches, which


@pytest.mark.parametrize(
    ("kind", "edit", "word"),
    [
        ("decided", lambda body: body.update(price=body["price"] * 1.01), "decision"),
        ("aimed", lambda body: next(iter(body["fitted"].values())).update(turner=10**6), "targets"),
        ("asked", lambda body: body.update(mark=str(Decimal(body["mark"]) + 100)), "order"),
        ("asked", lambda body: body["intent"]["request"].update(size="0.777"), "order"),
        ("asked", lambda body: body["intent"]["request"].update(px="1"), "order"),
        ("asked", lambda body: body["intent"]["request"].update(cloid="0x" + "0" * 32), "order"),
        ("asked", lambda body: body["intent"]["request"].update(buy=not body["intent"]["request"]["buy"]), "order"),
    ],
)
async def test_whatever_else_was_changed_is_a_mismatch(
    bars: Path, tmp_path: Path, kind: str, edit: Callable[[dict[str, Any]], object], word: str
) -> None:
    entries = await recorded(bars, tmp_path, 2)
    asked = [i for i, entry in enumerate(entries) if entry.kind == "asked"]
    which = -1
    if kind == "decided":
        rows = [entry.body for entry in entries if entry.kind == "decided"]
        which = max(i for i, body in enumerate(rows) if body["weight"])
    if kind == "asked":
        which = next(k for k, i in enumerate(asked) if entries[i].body["intent"]["purpose"] == "target")  # type: ignore[index]
    first = changed(entries, kind, edit, which)
    until = next(i for i, (a, b) in enumerate(zip(entries, first, strict=True)) if a != b)
    found = replay(first[: until + 1])
    assert [word in one.what for one in found.mismatches] == [True]
    assert found.mismatches[0].entry == until


def test_a_journal_without_terms_is_refused() -> None:
    began = Began("0xa", "s", {"a": Decimal(600)}, {"BTC": Decimal("0.001")}, {}, Decimal(1_000))
    kind, body = event_of(began)
    entries = [
        Entry(0, 1, kind, body),
        Entry(1, 1, "decided", {"strategy": "a", "symbol": "BTC", "bar": 3, "price": 1.0}),
    ]
    with pytest.raises(DataError, match="terms"):
        replay(entries)
