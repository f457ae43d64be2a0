"""What the market does on its own: fills when traded through, triggers, groups, funding, liquidation, the end."""

import pytest

from quantga.exchange.clockwork import hourly_rate
from quantga.exchange.matching import levels

MINUTE = 60_000
FLAT = (100.0, 100.0, 100.0, 100.0, 60.0)


def steady(*rows, before: int = 3, after: int = 70):
    """Flat bars at 100,000 around the given ones (in thousands)."""
    return [(*(1000 * x for x in row[:4]), row[4]) for row in ([FLAT] * before + list(rows) + [FLAT] * after)]


@pytest.fixture
def falling(market):
    """Three flat bars, one that falls from 100,000 to 95,000 and back."""
    return market(steady((100.0, 100.0, 95.0, 100.0, 60.0)))


def run(desk, minutes: float):
    desk.pass_time(int(minutes * MINUTE))


def test_a_touch_fills_nothing_a_trade_through_fills_all(falling):
    ann = falling.fund("ann", 100_000)
    touched = falling.order(ann, 0, 0.1, "95000")["resting"]["oid"]
    through = falling.order(ann, 0, 0.1, "95010")["resting"]["oid"]
    run(falling, 5)
    assert falling.state.orders[through].status == "filled"
    assert falling.state.orders[touched].status == "open"
    fill = falling.state.accounts[ann].fills[-1]
    assert (fill["px"], fill["sz"], fill["crossed"]) == ("95010.0", "0.1", False)


def test_prices_stay_within_the_bar_and_every_bar_is_shown_whole(desk):
    for coin, bars in enumerate(desk.engine.desk.bars):
        for bar in range(5, 40):
            path = bars.path(bar, 7, desk.engine.desk.assets[coin].tick(int(bars.close[bar])))
            assert (path[0], path[-1]) == (bars.open[bar], bars.close[bar])
            assert (min(path), max(path)) == (bars.low[bar], bars.high[bar])


def test_books_are_two_sided_deep_and_on_the_tick(desk):
    for _ in range(20):
        for coin, asset in enumerate(desk.engine.desk.assets):
            px = desk.state.coins[coin].px
            for side in (1, -1):
                rows = levels(desk.engine.desk, coin, side)
                assert len(rows) == 20
                assert all(side * level[0] < side * px and asset.is_tick(level[0]) and level[1] > 0 for level in rows)
                assert [side * level[0] for level in rows] == sorted((side * r[0] for r in rows), reverse=True)
                near = sum(p * s for p, s, _ in rows if abs(p - px) * 100 <= px)
                assert near >= 50_000 * 10**6
        run(desk, 0.7)


def test_mark_and_oracle_never_leave_the_bar_so_far(desk):
    for _ in range(300):
        desk.pass_time(1000)
        for market in desk.state.coins:
            assert market.low <= market.mark <= market.high
            assert market.low <= market.oracle <= market.high


def test_the_future_changes_nothing_before_it(market):
    rows = steady((100.0, 101.0, 99.0, 100.5, 60.0), (100.5, 103.0, 100.0, 102.0, 60.0))
    one = market(rows)
    other = market(rows[:5] + [(102_000.0, 150_000.0, 90_000.0, 120_000.0, 1.0)] * 40)
    for desk in (one, other):
        ann = desk.fund("ann", 100_000)
        desk.order(ann, 0, 0.1, "100400")
        desk.pass_time(5 * MINUTE - 1)
    assert one.state.coins[0].digest != other.state.coins[0].digest
    other.state.coins[0].digest = one.state.coins[0].digest
    assert one.engine.digest() == other.engine.digest()


def test_a_stop_fires_on_mark_and_its_sibling_goes(falling):
    ann = falling.fund("ann", 100_000)
    rows = [
        falling.wire(0, 0.1, "101000", "Gtc"),
        falling.wire(0, -0.1, "90000", trigger=("sl", 97_000, True), reduce=True),
        falling.wire(0, -0.1, "110000", trigger=("tp", 110_000, True), reduce=True),
    ]
    statuses = falling.orders(ann, rows, "normalTpsl")
    assert "filled" in statuses[0]
    assert statuses[1:] == ["waitingForTrigger", "waitingForTrigger"]
    stop, take = falling.state.orders[statuses[0]["filled"]["oid"]].children
    run(falling, 5)
    assert falling.szi(ann, 0) == 0
    assert falling.state.orders[stop].status == "filled"
    assert falling.state.orders[take].status in {"siblingFilledCanceled", "reduceOnlyCanceled"}
    fill = falling.state.accounts[ann].fills[-1]
    assert 94_000 < float(fill["px"]) <= 97_000
    assert fill["dir"] == "Close Long"


def test_children_wait_for_the_parent_and_go_with_it(falling):
    ann = falling.fund("ann", 100_000)
    rows = [
        falling.wire(0, 0.1, "96000", "Gtc"),
        falling.wire(0, -0.1, "90000", trigger=("sl", 90_000, True), reduce=True),
    ]
    statuses = falling.orders(ann, rows, "normalTpsl")
    assert statuses[1] == "waitingForFill"
    parent = falling.state.orders[statuses[0]["resting"]["oid"]]
    child = falling.state.orders[parent.children[0]]
    assert child.oid not in falling.state.triggers.get(0, {})
    falling.cancel(ann, 0, parent.oid)
    assert (parent.status, child.status) == ("canceled", "canceled")
    statuses = falling.orders(ann, rows, "normalTpsl")
    child = falling.state.orders[falling.state.orders[statuses[0]["resting"]["oid"]].children[0]]
    run(falling, 5)
    assert falling.szi(ann, 0) == 10_000
    assert child.oid in falling.state.triggers[0]


def test_a_position_stop_takes_the_size_the_position_has_when_it_fires(falling):
    ann = falling.fund("ann", 100_000)
    falling.order(ann, 0, 0.1, "101000", "Ioc")
    row = falling.wire(0, -0.0, "90000", trigger=("sl", 97_000, True), reduce=True)
    row["b"] = False
    assert "resting" in falling.orders(ann, [row], "positionTpsl")[0]
    falling.order(ann, 0, 0.1, "101000", "Ioc")
    run(falling, 5)
    assert falling.szi(ann, 0) == 0


def test_triggers_that_are_already_met_or_not_reducing_are_refused(falling):
    ann = falling.fund("ann", 100_000)
    falling.order(ann, 0, 0.1, "101000", "Ioc")
    met = falling.order(ann, 0, -0.1, "100000", trigger=("sl", 100_500, True), reduce=True)
    assert met == {"error": "Invalid TP/SL price. asset=0"}
    opening = falling.order(ann, 0, -0.1, "90000", trigger=("sl", 97_000, True))
    assert "error" in opening


def test_funding_follows_the_published_rows(falling):
    assert hourly_rate(-0.0004653492) == 43313
    assert hourly_rate(0.0) == 125000
    ann = falling.fund("ann", 100_000)
    falling.order(ann, 0, 0.1, "101000", "Ioc")
    before = falling.value(ann)
    run(falling, 61)
    account = falling.state.accounts[ann]
    row = account.fundings[-1]
    assert row["usdc"] == -(10_000 * falling.state.coins[0].fundings[-1][1] * 1_000_000 // 10**10)
    assert falling.value(ann) == before + row["usdc"]
    assert falling.money() == falling.state.deposits


def test_a_cross_account_is_liquidated_and_says_so(market):
    desk = market(steady((100.0, 100.0, 96.8, 98.0, 60.0)))
    ann = desk.fund("ann", 2_900)
    desk.leverage(ann, 0, 40)
    desk.order(ann, 0, 1.0, "101000", "Ioc")
    resting = desk.order(ann, 0, 0.0002, "94000")["resting"]["oid"]
    run(desk, 5)
    account = desk.state.accounts[ann]
    assert not account.positions
    assert desk.state.orders[resting].status == "liquidatedCanceled"
    fill = next(f for f in account.fills if "liquidation" in f)
    assert fill["liquidation"]["liquidatedUser"] == ann
    assert fill["liquidation"]["method"] in {"market", "backstop"}
    assert desk.value(ann) >= 0
    assert desk.money() == desk.state.deposits
    assert not any(desk.sizes().values())


def test_a_large_position_goes_by_a_fifth_first(market):
    fall = [(100.0 - k * 0.05, 100.0 - k * 0.05, 99.95 - k * 0.05, 99.95 - k * 0.05, 60.0) for k in range(40)]
    desk = market(steady(*fall, after=1))
    ann = desk.fund("ann", 14_200)
    desk.leverage(ann, 0, 40)
    desk.order(ann, 0, 5.0, "101000", "Ioc")
    assert desk.szi(ann, 0) == 500_000
    seen = []
    for _ in range(60):
        run(desk, 0.5)
        if not seen or seen[-1] != desk.szi(ann, 0):
            seen.append(desk.szi(ann, 0))
    assert seen[:2] == [500_000, 400_000]
    assert desk.money() == desk.state.deposits


def test_an_isolated_loss_stays_isolated(market):
    desk = market(steady((100.0, 100.0, 85.0, 86.0, 60.0)))
    ann = desk.fund("ann", 100_000)
    desk.leverage(ann, 0, 20, cross=False)
    desk.order(ann, 0, 1.0, "101000", "Ioc")
    run(desk, 5)
    assert not desk.state.accounts[ann].positions
    assert 90_000 * 10**6 < desk.value(ann) < 95_500 * 10**6
    assert desk.money() == desk.state.deposits


def test_the_market_halts_at_the_end_of_the_bars(market):
    desk = market(steady(after=2))
    ann = desk.fund("ann", 1_000)
    run(desk, 100)
    assert desk.state.market == desk.engine.clockwork.end()
    assert desk.order(ann, 0, 0.01, "99000") == {"error": "Trading is halted. asset=0"}


def test_liquidation_price_is_where_liquidation_happens(market):
    desk = market(steady())
    ann = desk.fund("ann", 10_000)
    desk.leverage(ann, 0, 20)
    desk.order(ann, 0, 1.0, "101000", "Ioc")
    margins, account = desk.engine.desk.margins, desk.state.accounts[ann]
    price = margins.liquidation_px(account, 0, account.positions[0])
    for mark, healthy in ((round(price) + 2, True), (round(price) - 2, False)):
        desk.state.coins[0].mark = mark
        assert (margins.cross_value(account) >= margins.cross_maintenance(account)) is healthy
