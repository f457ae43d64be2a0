"""Rules by order kind, each with the venue's own answer."""

import pytest

BTC, ETH, DOGE = 0, 1, 2


@pytest.fixture
def ann(desk):
    return desk.fund("ann", 100_000)


@pytest.fixture
def bob(desk):
    return desk.fund("bob", 100_000)


def oid(status) -> int:
    return next(iter(status.values()))["oid"]


def test_a_limit_order_rests_and_is_cancelled_once(desk, ann):
    status = desk.order(ann, BTC, 0.01, desk.near(BTC, 0.9), cloid="0x" + "1" * 32)
    assert status["resting"]["cloid"] == "0x" + "1" * 32
    assert desk.cancel(ann, BTC, oid(status)) == "success"
    assert desk.cancel(ann, BTC, oid(status)) == {
        "error": "Order was never placed, already canceled, or filled. asset=0"
    }
    assert desk.cancel(ann, ETH, oid(status))["error"].endswith("asset=1")


@pytest.mark.parametrize(
    ("size", "px", "words"),
    [
        (0.01, "0", "Order has invalid price."),
        (0.01, "70000.55", "Order has invalid price."),
        (0.01, "70000.5", "Price must be divisible by tick size. asset=0"),
        (0.0000001, "70000", "Order has invalid size."),
        (0.0, "70000", "Order has zero size."),
        (0.0001, "70000", "Order must have minimum value of $10. asset=0"),
        (0.01, "10000", "Order price cannot be more than 80% away from the reference price"),
        (0.01, "190000", "Order price cannot be more than 80% away from the reference price"),
        (50.0, "70000", "Insufficient margin to place order. asset=0"),
    ],
)
def test_refusals(desk, ann, size, px, words):
    assert desk.order(ann, BTC, size, px) == {"error": words}


def test_one_static_error_stands_for_the_batch_and_nothing_is_done(desk, ann):
    good = desk.wire(BTC, 0.01, desk.near(BTC, 0.9))
    assert desk.orders(ann, [good, desk.wire(9, 0.01, "1000")]) == [{"error": "Order has invalid asset."}]
    assert not desk.state.accounts[ann].orders
    assert desk.orders(ann, []) == [{"error": "Orders are empty."}]


def test_a_later_failure_leaves_earlier_orders(desk, ann):
    statuses = desk.orders(
        ann, [desk.wire(BTC, 0.01, desk.near(BTC, 0.9)), desk.wire(BTC, 0.01, desk.near(BTC, 1.1), "Alo", reduce=True)]
    )
    assert "resting" in statuses[0]
    assert statuses[1] == {"error": "Reduce only order would increase position. asset=0"}


def test_post_only_names_the_best_prices(desk, ann):
    status = desk.order(ann, BTC, 0.01, desk.near(BTC, 1.02), "Alo")
    assert status["error"].startswith("Post only order would have immediately matched, bbo was ")
    assert status["error"].endswith(". asset=0")
    last = desk.state.orders[max(desk.state.orders)]
    assert last.status == "badAloPxRejected"


def test_ioc_without_anything_to_hit_is_recorded(desk, ann):
    status = desk.order(ann, BTC, 0.01, desk.near(BTC, 0.9), "Ioc")
    assert status == {"error": "Order could not immediately match against any resting orders. asset=0"}
    assert desk.state.orders[max(desk.state.orders)].status == "iocCancelRejected"


def test_ioc_fills_in_part_without_an_error(desk, ann):
    desk.leverage(ann, DOGE, 10)
    depth = sum(
        size
        for _, size, _ in __import__("quantga.exchange.matching", fromlist=["levels"]).levels(
            desk.engine.desk, DOGE, -1
        )
    )
    rich = desk.fund("rich", 100_000_000)
    status = desk.order(rich, DOGE, depth + 1000, desk.near(DOGE, 1.5), "Ioc")
    assert float(status["filled"]["totalSz"]) == depth
    assert not desk.state.accounts[rich].orders


def test_price_then_time_between_users_and_no_self_trade(desk, ann, bob):
    eve = desk.fund("eve", 100_000)
    inside = desk.state.coins[BTC].px // 10
    first = desk.order(ann, BTC, 0.01, str(inside), "Alo")
    second = desk.order(bob, BTC, 0.01, str(inside), "Alo")
    taken = desk.order(eve, BTC, -0.01, str(inside), "Ioc")
    assert float(taken["filled"]["totalSz"]) == 0.01
    assert desk.state.orders[oid(first)].status == "filled"
    assert desk.state.orders[oid(second)].status == "open"
    desk.order(bob, BTC, -0.01, str(inside), "Ioc")
    assert desk.state.orders[oid(second)].status == "selfTradeCanceled"


def test_maker_and_taker_pay_their_rates_rounded_down(desk, ann, bob):
    inside = desk.state.coins[BTC].px // 10
    desk.order(ann, BTC, 0.001, str(inside), "Alo")
    desk.order(bob, BTC, -0.001, str(inside), "Ioc")
    maker, taker = desk.state.accounts[ann].fills[-1], desk.state.accounts[bob].fills[-1]
    assert float(maker["fee"]) == int(inside * 0.001 * 0.00015 * 1e6) / 1e6
    assert float(taker["fee"]) == int(inside * 0.001 * 0.00045 * 1e6) / 1e6
    assert (maker["tid"], maker["hash"], maker["crossed"], taker["crossed"]) == (
        taker["tid"],
        taker["hash"],
        False,
        True,
    )
    assert (maker["dir"], taker["dir"]) == ("Open Long", "Open Short")


def test_reduce_only_is_shrunk_then_ends_with_the_position(desk, ann):
    desk.order(ann, BTC, 0.02, desk.near(BTC, 1.05), "Ioc")
    status = desk.order(ann, BTC, -0.05, desk.near(BTC, 1.1), reduce=True)
    order = desk.state.orders[oid(status)]
    assert (order.size, order.orig) == (2000, 5000)
    desk.order(ann, BTC, -0.01, desk.near(BTC, 0.95), "Ioc")
    assert order.size == 1000
    desk.order(ann, BTC, -0.01, desk.near(BTC, 0.95), "Ioc")
    assert order.status == "reduceOnlyCanceled"
    rows = desk.last.events.orders[ann]
    assert [row["status"] for row in rows][-1] == "filled" or "reduceOnlyCanceled" in [row["status"] for row in rows]
    assert not desk.last.events.cancels


def test_a_reduce_only_order_never_flips(desk, ann):
    desk.order(ann, ETH, 0.1, desk.near(ETH, 1.05), "Ioc")
    status = desk.order(ann, ETH, -5.0, desk.near(ETH, 0.95), "Ioc", reduce=True)
    assert float(status["filled"]["totalSz"]) == 0.1
    assert desk.szi(ann, ETH) == 0


def test_a_whole_close_below_ten_dollars_is_allowed_a_partial_one_is_not(desk, ann):
    desk.order(ann, BTC, 0.0002, desk.near(BTC, 1.05), "Ioc")
    refused = desk.order(ann, BTC, -0.0001, desk.near(BTC, 0.95), "Ioc", reduce=True)
    assert refused == {"error": "Order must have minimum value of $10. asset=0"}
    desk.order(ann, BTC, -0.0001, desk.near(BTC, 0.95), "Ioc")
    assert desk.szi(ann, BTC) == 20
    desk.state.accounts[ann].positions[BTC].szi = 10
    desk.state.house.szi[BTC] = -10
    assert "filled" in desk.order(ann, BTC, -0.0001, desk.near(BTC, 0.95), "Ioc", reduce=True)


def test_modify_gives_a_new_id_and_keeps_the_cloid(desk, ann):
    old = desk.order(ann, BTC, 0.01, desk.near(BTC, 0.9), cloid="0x" + "2" * 32)
    row = {"oid": "0x" + "2" * 32, "order": desk.wire(BTC, 0.02, desk.near(BTC, 0.91), cloid="0x" + "2" * 32)}
    answer = desk.act(ann, {"type": "batchModify", "modifies": [row]})["response"]["data"]["statuses"][0]
    assert oid(answer) != oid(old)
    assert desk.state.orders[oid(old)].status == "canceled"
    again = desk.act(ann, {"type": "batchModify", "modifies": [{**row, "oid": oid(old)}]})
    assert again["response"]["data"]["statuses"][0] == {"error": "Cannot modify canceled or filled order. asset=0"}


def test_a_crossing_modify_is_refused_and_loses_the_old_order(desk, ann):
    old = desk.order(ann, BTC, 0.01, desk.near(BTC, 0.9))
    row = {"oid": oid(old), "order": desk.wire(BTC, 0.01, desk.near(BTC, 1.02))}
    answer = desk.act(ann, {"type": "batchModify", "modifies": [row]})["response"]["data"]["statuses"][0]
    assert answer["error"].startswith("Post only order would have immediately matched")
    assert not desk.state.accounts[ann].orders


def test_batches_beyond_200_are_refused_whole_and_cost_nothing(desk, ann):
    rows = [{"a": 0, "o": k} for k in range(201)]
    used = desk.state.accounts[ann].used
    answer = desk.act(ann, {"type": "cancel", "cancels": rows})
    assert answer == {"status": "err", "response": "Signed action over weight limit of 200."}
    assert desk.state.accounts[ann].used == used
    assert len(desk.act(ann, {"type": "cancel", "cancels": rows[:200]})["response"]["data"]["statuses"]) == 200
    assert desk.state.accounts[ann].used == used + 200


def test_leverage_above_the_tier_of_the_position_is_refused(desk):
    whale = desk.fund("whale", 10_000_000)
    desk.leverage(whale, DOGE, 10)
    huge = desk.order(whale, DOGE, 110_000_000, desk.near(DOGE, 0.95))
    assert huge == {"error": "Order would cause position to exceed margin tier limit at current leverage asset=2"}


def test_builder_fee_needs_an_approval_and_is_charged(desk, ann):
    builder = "0x" + "b" * 40
    action = {"type": "order", "orders": [desk.wire(BTC, 0.01, desk.near(BTC, 1.05), "Ioc")], "grouping": "na"}
    action["builder"] = {"b": builder, "f": 10}
    refused = desk.act(ann, action)["response"]["data"]["statuses"]
    assert refused == [{"error": "Builder fee has not been approved."}]
    desk.act(ann, {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": builder, "nonce": 1})
    desk.act(ann, action)
    fill = desk.state.accounts[ann].fills[-1]
    assert float(fill["builderFee"]) == pytest.approx(float(fill["px"]) * float(fill["sz"]) * 0.0001, abs=1e-6)


def test_the_cut_fault_fills_in_part_and_cancels_the_rest(desk, ann):
    row = desk.wire(BTC, 0.02, desk.near(BTC, 1.05), "Gtc")
    answer = desk.act(ann, {"type": "order", "orders": [row], "grouping": "na"}, cut=50)
    assert float(answer["response"]["data"]["statuses"][0]["filled"]["totalSz"]) == 0.01
    assert not desk.state.accounts[ann].orders
