"""Agents, nonces, expiry, request budget, the dead man's switch, transfers."""

import pytest

from quantga.exchange.admission import FUTURE, PAST

DAY = 86_400_000
NOOP = {"type": "noop"}


@pytest.fixture
def ann(desk):
    return desk.fund("ann", 10_000)


def approve(desk, ann, agent, name="", **rest):
    return desk.act(ann, {"type": "approveAgent", "agentAddress": agent, "agentName": name, "nonce": 1}, **rest)


def test_a_nonce_counts_once_and_duplicates_are_named_first(desk, ann):
    nonce = desk.wall - 5
    assert desk.act(ann, NOOP, n=nonce) == {"status": "ok", "response": {"type": "default"}}
    assert desk.act(ann, NOOP, n=nonce)["response"] == f"Invalid nonce: duplicate nonce {nonce}"
    for k in range(100):
        desk.act(ann, NOOP, n=nonce + 10 + k)
    assert desk.act(ann, NOOP, n=nonce + 5)["response"] == f"Invalid nonce: nonce too low {nonce + 5} < {nonce + 10}"
    assert desk.act(ann, NOOP, n=nonce + 60)["response"].startswith("Invalid nonce: duplicate")


def test_nonces_lie_around_the_wall_clock(desk, ann):
    assert desk.act(ann, NOOP, n=desk.wall - PAST - 10)["response"].startswith("Invalid nonce: nonce too low")
    assert desk.act(ann, NOOP, n=desk.wall + FUTURE + 10)["response"].startswith("Invalid nonce: nonce too high")
    assert desk.act(ann, NOOP, n=desk.wall - PAST + 1000)["status"] == "ok"
    assert desk.act(ann, NOOP, n=desk.wall + FUTURE - 1000)["status"] == "ok"


def test_a_refused_action_has_used_its_nonce_a_stranger_has_not(desk, ann):
    nonce = desk.wall
    desk.act(ann, {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 1000}, n=nonce)
    assert "duplicate" in desk.act(ann, NOOP, n=nonce)["response"]
    stranger = "0x" + "9" * 40
    assert desk.act(stranger, NOOP, n=nonce)["response"] == f"User or API Wallet {stranger} does not exist."
    assert stranger not in desk.state.nonces


def test_an_expired_action_is_refused_and_costs_five(desk, ann):
    used = desk.state.accounts[ann].used
    assert desk.act(ann, NOOP, x=desk.wall - 1)["response"] == "Action already expired"
    assert desk.state.accounts[ann].used == used + 5
    assert desk.act(ann, NOOP, x=desk.wall + 1000)["status"] == "ok"


def test_agents_act_for_their_master_with_their_own_nonces(desk, ann):
    agent, other = "0x" + "a" * 40, "0x" + "b" * 40
    assert approve(desk, ann, agent)["status"] == "ok"
    status = desk.act(agent, {"type": "order", "orders": [desk.wire(0, 0.01, desk.near(0, 0.9))], "grouping": "na"})
    assert "resting" in status["response"]["data"]["statuses"][0]
    assert len(desk.state.accounts[ann].orders) == 1
    assert approve(desk, ann, other)["status"] == "ok"
    assert desk.act(agent, NOOP)["response"] == f"User or API Wallet {agent} does not exist."
    assert agent not in desk.state.nonces
    assert desk.act(other, NOOP)["status"] == "ok"


def test_three_named_agents_and_their_end(desk, ann):
    for k in range(3):
        assert approve(desk, ann, "0x" + f"{k + 1}" * 40, f"bot{k}")["status"] == "ok"
    assert approve(desk, ann, "0x" + "8" * 40, "bot9")["status"] == "err"
    assert approve(desk, ann, "0x" + "8" * 40, "a name far too long")["status"] == "err"
    until = desk.wall + 1000
    assert approve(desk, ann, "0x" + "8" * 40, f"bot0 valid_until {until}")["status"] == "ok"
    assert desk.act("0x" + "8" * 40, NOOP)["status"] == "ok"
    desk.wall += 2000
    assert desk.act("0x" + "8" * 40, NOOP)["status"] == "err"


def test_the_request_budget(desk, ann):
    desk.apply("spend", u=ann, n=9_999)
    account = desk.state.accounts[ann]
    account.used = 9_999
    assert desk.act(ann, NOOP)["status"] == "ok"
    assert desk.act(ann, NOOP)["status"] == "ok"  # one in ten seconds beyond the budget
    refused = desk.act(ann, NOOP)["response"]
    assert refused.startswith("Too many cumulative requests sent (10002 > 10000) for cumulative volume traded $0.0")
    assert desk.act(ann, {"type": "cancel", "cancels": [{"a": 0, "o": 1}]})["status"] == "ok"
    desk.wall += 10_001
    assert desk.act(ann, NOOP)["status"] == "ok"
    assert desk.act(ann, {"type": "reserveRequestWeight", "weight": 10})["status"] == "err"
    desk.wall += 10_001
    assert desk.act(ann, {"type": "reserveRequestWeight", "weight": 100})["status"] == "ok"
    assert desk.act(ann, NOOP)["status"] == "ok"


def test_the_switch_needs_volume_then_cancels_all(desk, ann):
    action = {"type": "scheduleCancel", "time": desk.wall + 10_000}
    refused = desk.act(ann, action)["response"]
    assert refused == ("Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $0.0.")
    desk.state.accounts[ann].volume = 2_000_000 * 10**6
    assert desk.act(ann, {"type": "scheduleCancel", "time": desk.wall + 1000})["status"] == "err"
    oid = desk.order(ann, 0, 0.01, desk.near(0, 0.9))["resting"]["oid"]
    assert desk.act(ann, action)["status"] == "ok"
    assert desk.act(ann, {"type": "scheduleCancel"})["status"] == "ok"
    desk.wall += 20_000
    desk.apply("tick")
    assert desk.state.orders[oid].status == "open"
    desk.act(ann, {"type": "scheduleCancel", "time": desk.wall + 6000})
    desk.wall += 7000
    desk.apply("tick")
    assert desk.state.orders[oid].status == "scheduledCancel"
    assert desk.last.events.cancels[ann] == [{"coin": "BTC", "oid": oid}]


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"leverage": 0}, "Invalid leverage value"),
        ({"leverage": 41}, "Invalid leverage value"),
        ({"isCross": False}, "Cannot switch leverage type with open position."),
        ({"leverage": 1}, "Cross position does not have sufficient margin available to decrease leverage."),
    ],
)
def test_leverage_refusals(desk, ann, action, words):
    desk.leverage(ann, 0, 20)
    desk.order(ann, 0, 1.0, desk.near(0, 1.04), "Ioc")
    base = {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 20}
    assert desk.act(ann, {**base, **action})["response"].startswith(words)
    assert desk.act(ann, base)["status"] == "ok"


def test_isolated_margin_moves_both_ways(desk, ann):
    def move(usd):
        return desk.act(ann, {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": usd})

    assert move(5)["response"] == "Cannot update margin for empty position."
    assert move(0)["response"] == "Update to isolated margin cannot be zero."
    desk.leverage(ann, 0, 5, cross=False)
    desk.order(ann, 0, 0.1, desk.near(0, 1.04), "Ioc")
    margins, account = desk.engine.desk.margins, desk.state.accounts[ann]
    before = margins.isolated_value(0, account.positions[0])
    assert move(100 * 10**6)["status"] == "ok"
    assert margins.isolated_value(0, account.positions[0]) == before + 100 * 10**6
    assert move(10**12)["response"] == "Account does not have sufficient margin available for increase."
    assert move(-200 * 10**6)["response"] == "Position does not have sufficient margin for reduction."
    assert move(-50 * 10**6)["status"] == "ok"
    assert desk.money() == desk.state.deposits


def test_transfers_keep_what_positions_need(desk, ann):
    to_spot = {"type": "usdClassTransfer", "amount": "9000", "toPerp": False, "nonce": 1}
    desk.order(ann, 0, 1.0, desk.near(0, 1.04), "Ioc")
    assert desk.act(ann, to_spot)["status"] == "err"
    assert desk.act(ann, {**to_spot, "amount": "100"})["status"] == "ok"
    assert desk.state.accounts[ann].spot == 100 * 10**6
    assert desk.act(ann, {**to_spot, "amount": "101", "toPerp": True})["status"] == "err"
    friend = "0x" + "f" * 40
    assert desk.act(ann, {"type": "usdSend", "destination": friend, "amount": "5.5", "time": 1})["status"] == "ok"
    assert desk.value(friend) == 5_500_000
    assert desk.act(ann, {"type": "withdraw3", "destination": ann, "amount": "10", "time": 1})["status"] == "ok"
    assert desk.money() == desk.state.deposits


def test_a_vault_is_not_registered(desk, ann):
    vault = "0x" + "5" * 40
    assert desk.act(ann, NOOP, v=vault)["response"] == f"Vault not registered: {vault}"
