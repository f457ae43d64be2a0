"""The matching engine under random actions: money and size are conserved, nothing negative rests, priority holds."""

import random

import pytest

from quantga.exchange.assets import load_assets
from quantga.exchange.bars import read_folder
from quantga.exchange.book import Book
from quantga.exchange.engine import new_engine
from quantga.exchange.info import book_frame
from quantga.exchange.state import Order
from tests.exchange.conftest import Desk

TIFS = ("Gtc", "Gtc", "Gtc", "Alo", "Ioc")


def some_action(desk, stream, users):
    """One random act; returns how many actions it was."""
    user, coin = stream.choice(users), stream.randrange(3)
    draw = stream.random()
    if draw < 0.55:
        count = stream.choice((1, 1, 1, 2, 5))
        rows = [some_row(desk, stream, coin) for _ in range(count)]
        desk.orders(user, rows)
        return count
    account = desk.state.accounts[user]
    if draw < 0.75 and account.orders:
        oid = stream.choice(list(account.orders))
        desk.cancel(user, desk.state.orders[oid].coin, oid)
    elif draw < 0.82 and account.orders:
        oid = stream.choice(list(account.orders))
        row = {"oid": oid, "order": some_row(desk, stream, desk.state.orders[oid].coin)}
        desk.act(user, {"type": "batchModify", "modifies": [row]})
    elif draw < 0.86:
        desk.leverage(user, coin, stream.choice((1, 5, 10, 40)), cross=stream.random() < 0.6)
    elif draw < 0.90:
        amount = stream.randint(-50, 100) * 10**6
        desk.act(user, {"type": "updateIsolatedMargin", "asset": coin, "isBuy": True, "ntli": amount})
    elif draw < 0.92:
        entry = desk.wire(coin, 0.02, desk.near(coin, 1.001))
        desk.orders(
            user, [entry, some_trigger(desk, stream, coin, -1), some_trigger(desk, stream, coin, -1)], "normalTpsl"
        )
    elif draw < 0.922:
        desk.apply("liquidate", u=user)
    elif draw < 0.93:
        desk.act(user, {"type": "usdSend", "destination": stream.choice(users), "amount": "5", "time": 1})
    else:
        desk.pass_time(stream.choice((1, 1000, 20_000, 60_000)))
    return 1


def some_row(desk, stream, coin):
    side = stream.choice((1, -1))
    worth = stream.choice((8.0, 30.0, 200.0, 3000.0))
    share = 1 + side * stream.choice((-0.02, -0.001, -0.0001, 0.0, 0.0002, 0.01))
    px = desk.near(coin, share)
    size = round(worth / px, desk.engine.desk.assets[coin].sz_decimals)
    if stream.random() < 0.08:
        return some_trigger(desk, stream, coin, side)
    return desk.wire(coin, side * size, px, stream.choice(TIFS), reduce=stream.random() < 0.25)


def some_trigger(desk, stream, coin, side):
    kind = stream.choice(("tp", "sl"))
    at = desk.near(coin, 1 + (1 if (kind == "sl") == (side > 0) else -1) * stream.choice((0.001, 0.01)))
    size = round(300.0 / at, desk.engine.desk.assets[coin].sz_decimals)
    return desk.wire(
        coin,
        side * size,
        at,
        trigger=(kind, format(at, "f").rstrip("0").rstrip("."), stream.random() < 0.7),
        reduce=True,
    )


def check(desk):
    state = desk.state
    assert desk.money() == state.deposits
    assert not any(desk.sizes().values())
    for coin, book in enumerate(desk.engine.desk.books):
        bid, ask = book.best_px(1), book.best_px(-1)
        assert not bid or not ask or bid < ask
        market = state.coins[coin]
        assert not market.bids or not ask or market.bids[0][0] < ask
        assert not market.asks or not bid or bid < market.asks[0][0]
        for side in (1, -1):
            entries = book.side(side)
            assert entries == sorted(entries)
    for account in state.accounts.values():
        sums = {}
        for oid in account.orders:
            order = state.orders[oid]
            assert order.status == "open"
            assert order.size > 0 or (order.position_tpsl and not order.orig)
            assert order.filled + order.size <= order.orig or order.position_tpsl
            if order.reduce_only and not order.waiting:
                held = desk.szi(order.user, order.coin)
                assert held * order.side < 0
                assert order.size <= abs(held)
            elif not order.reduce_only:
                pair = sums.setdefault(order.coin, [0, 0])
                pair[0 if order.side > 0 else 1] += order.px * order.size
        assert {c: [r.buys, r.sells] for c, r in account.resting.items()} == sums
        for position in account.positions.values():
            assert position.szi != 0
            assert position.entry >= 0


def storm(desk, seed: int, actions: int, every: int):
    stream = random.Random(seed)
    users = [desk.fund(name, 120 if name == "dan" else 20_000) for name in ("ann", "bob", "cyd", "dan")]
    done = turn = 0
    while done < actions:
        done += some_action(desk, stream, users)
        turn += 1
        if turn % every == 0:
            check(desk)
        if desk.state.coins[0].halted:
            break
    check(desk)
    return done


def calm(desk):
    """Lift the request budget: the storm is about matching."""
    for name in ("ann", "bob", "cyd", "dan"):
        desk.apply("spend", u=desk.fund(name, 1), n=-(10**9))


@pytest.mark.parametrize("seed", range(4))
def test_a_storm_of_random_actions_conserves_everything(desk, seed):
    calm(desk)
    assert storm(desk, seed, 1_500, 10) > 1_000
    other = desk.reloaded()
    assert other.engine.digest() == desk.engine.digest()


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_hundred_thousand_actions(replay, seed, desk):
    calm(desk)
    storm(desk, seed, 6_000, 25)


def test_the_same_commands_lead_to_the_same_state(desk, replay):
    journal = []
    inner = desk.engine.apply

    def recorded(command):
        journal.append(command)
        return inner(command)

    desk.engine.apply = recorded
    calm(desk)
    storm(desk, 9, 600, 50)
    assets = load_assets()
    bars = read_folder(replay, assets)
    again = new_engine(bars, [assets[one.name] for one in bars], seed=7, start=None)
    for k, command in enumerate(journal):
        if k % 7 == 0:
            book_frame(again.desk, k % 3)  # looking changes nothing
        again.apply(command)
    assert again.digest() == desk.engine.digest()


def test_a_book_keeps_price_then_time():
    stream, book, orders = random.Random(3), Book(), []
    for oid in range(1, 400):
        order = Order(oid, "u", 0, stream.choice((1, -1)), stream.randint(90, 110), 1, 1, "Gtc", False, None, 0)
        book.add(order)
        orders.append(order)
        if stream.random() < 0.4:
            gone = orders.pop(stream.randrange(len(orders)))
            book.remove(gone)
            with pytest.raises(KeyError):
                book.remove(gone)
    for side in (1, -1):
        want = sorted((o for o in orders if o.side == side), key=lambda o: (-side * o.px, o.oid))
        assert [oid for _, oid in book.side(side)] == [o.oid for o in want]


@pytest.mark.parametrize("seed", range(2))
def test_who_looks_at_the_books_changes_nothing(replay, seed):
    """Levels are built when somebody looks: the market goes the same way whether or not anybody does."""
    desks = []
    for looks in (False, True):
        stream = random.Random(seed)
        assets = load_assets()
        bars = read_folder(replay, assets)
        desk = Desk(new_engine(bars, [assets[one.name] for one in bars], seed=seed, start=None))
        ann = desk.fund("ann", 10_000_000)
        for _ in range(60):
            coin, side = stream.randrange(3), stream.choice((-1, 1))
            share = 1 + side * stream.choice((-0.0001, 0, 0.0001, 0.0003, 0.001, -0.003, -0.01))
            size = {0: 0.01, 1: 0.3, 2: 4000}[coin]
            desk.order(ann, coin, side * size, desk.near(coin, share), stream.choice(("Gtc", "Alo")))
            if looks:
                for one in range(3):
                    book_frame(desk.engine.desk, one)
            desk.pass_time(stream.randrange(1, 90_000))
        desks.append(desk)
    assert desks[0].engine.digest() == desks[1].engine.digest()
    assert desks[0].szi(ann, 0) == desks[1].szi(ann, 0)
