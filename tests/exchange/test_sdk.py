"""The unmodified SDK through every call of its `Info` and `Exchange`, business answers checked."""

import itertools
import time
from pathlib import Path

import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.signing import get_timestamp_ms, sign_l1_action
from hyperliquid.utils.types import Cloid

HOUR = 3_600_000


@pytest.fixture(scope="module")
def info(venue):
    return Info(venue.url, skip_ws=True, timeout=60)


@pytest.fixture(scope="module")
def traders(venue, keys):
    meta, spot = venue.info({"type": "meta"}), {"tokens": [], "universe": []}
    return [Exchange(key, venue.url, meta=meta, spot_meta=spot, timeout=60) for key in keys]


@pytest.fixture(autouse=True)
def _apart():
    """The SDK's nonces are milliseconds; two calls in one collide."""
    time.sleep(0.002)


def status(answer):
    assert answer["status"] == "ok", answer
    return answer["response"]["data"]["statuses"][0]


def below(info, coin="BTC", share=0.9):
    return float(f"{float(info.all_mids()[coin]) * share:.4g}")


def test_construction_asks_what_the_venue_is_asked(venue):
    fresh = Info(venue.url, skip_ws=True, perp_dexs=[""], timeout=60)
    assert fresh.name_to_asset("BTC") == 0
    assert fresh.asset_to_sz_decimals == {0: 5, 1: 4, 2: 0}
    assert fresh.perp_dexs() == [None]


def test_meta_and_contexts(info):
    meta, contexts = info.meta_and_asset_ctxs()
    assert meta == info.meta()
    assert meta["universe"][0] == {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56}
    tables = dict(meta["marginTables"])
    assert tables[56]["marginTiers"][1] == {"lowerBound": "150000000.0", "maxLeverage": 20}
    assert set(contexts[0]) == {
        "funding",
        "openInterest",
        "prevDayPx",
        "dayNtlVlm",
        "premium",
        "oraclePx",
        "markPx",
        "midPx",
        "impactPxs",
        "dayBaseVlm",
    }
    bid, ask = (float(px) for px in contexts[0]["impactPxs"])
    assert bid < float(contexts[0]["midPx"]) < ask
    assert info.spot_meta_and_asset_ctxs()[1] == []


def test_market_data(info):
    book = info.l2_snapshot("BTC")
    assert [len(side) for side in book["levels"]] == [20, 20]
    end = book["time"]
    rows = info.candles_snapshot("BTC", "5m", end - 2 * HOUR, end)
    assert [set(row) for row in rows] == [set("tTsioclhvn")] * len(rows)
    assert all(b["t"] - a["t"] == 300_000 for a, b in itertools.pairwise(rows))
    assert rows[-1]["t"] <= end < rows[-1]["T"] + 1
    assert info.candles_snapshot("BTC", "5m", 0, 1000) == []
    funding = info.funding_history("BTC", end - 3 * HOUR, end)
    assert funding
    assert all(row["time"] % HOUR == 0 for row in funding)


def test_an_order_by_every_route(info, traders, keys):
    ann, address = traders[0], keys[0].address
    cloid = Cloid.from_int(41)
    placed = status(ann.order("BTC", True, 0.01, below(info), {"limit": {"tif": "Gtc"}}, cloid=cloid))
    oid = placed["resting"]["oid"]
    for found in (info.query_order_by_oid(address, oid), info.query_order_by_cloid(address, cloid)):
        assert found["status"] == "order"
        assert found["order"]["status"] == "open"
        assert found["order"]["order"]["cloid"] == cloid.to_raw()
    row = next(row for row in info.open_orders(address) if row["oid"] == oid)
    assert (row["side"], row["sz"], row["origSz"]) == ("B", "0.01", "0.01")
    assert "reduceOnly" not in row
    assert next(r for r in info.frontend_open_orders(address) if r["oid"] == oid)["tif"] == "Gtc"
    time.sleep(0.002)
    changed = status(
        ann.modify_order(cloid, "BTC", True, 0.02, below(info, share=0.91), {"limit": {"tif": "Gtc"}}, cloid=cloid)
    )
    assert changed["resting"]["oid"] != oid
    time.sleep(0.002)
    assert status(ann.cancel("BTC", changed["resting"]["oid"])) == "success"
    time.sleep(0.002)
    assert "error" in status(ann.cancel_by_cloid("BTC", cloid))
    assert info.query_order_by_oid(address, 1) == {"status": "unknownOid"}
    assert info.historical_orders(address)[0]["status"] == "canceled"


def test_market_open_and_close(info, traders, keys):
    bob, address = traders[1], keys[1].address
    before = float(info.user_state(address)["marginSummary"]["accountValue"])
    assert bob.market_close("BTC") is None
    assert status(bob.update_leverage(5, "ETH", is_cross=False) | {"response": {"data": {"statuses": [1]}}}) == 1
    opened = status(bob.market_open("ETH", is_buy=False, sz=0.5, cloid=Cloid.from_int(9)))
    assert opened["filled"]["cloid"] == Cloid.from_int(9).to_raw()
    held = info.user_state(address)["assetPositions"][0]["position"]
    assert (held["szi"], held["leverage"]["type"], held["leverage"]["value"]) == ("-0.5", "isolated", 5)
    value, raw = float(held["positionValue"]), float(held["leverage"]["rawUsd"])
    assert float(held["marginUsed"]) == pytest.approx(raw - value, abs=1e-6)
    time.sleep(0.002)
    assert bob.update_isolated_margin(20.0, "ETH") == {"status": "ok", "response": {"type": "default"}}
    time.sleep(0.002)
    assert status(bob.market_close("ETH"))["filled"]["totalSz"] == "0.5"
    fills = info.user_fills(address)
    assert {f["dir"] for f in fills} == {"Open Short", "Close Short"}
    assert info.user_fills_by_time(address, 0)[0]["dir"] == "Open Short"
    together = info.user_fills_by_time(address, 0, aggregate_by_time=True)
    assert sum(float(f["sz"]) for f in together) == pytest.approx(1.0)
    assert len(together) == 2
    paid = sum(float(f["fee"]) - float(f["closedPnl"]) for f in fills)
    after = float(info.user_state(address)["marginSummary"]["accountValue"])
    assert after == pytest.approx(before - paid, abs=1e-5)


def test_bulk_orders_with_groups(info, traders, keys):
    ann, address = traders[0], keys[0].address
    low = below(info)
    parent = {"coin": "BTC", "is_buy": True, "sz": 0.01, "limit_px": low, "order_type": {"limit": {"tif": "Gtc"}}}
    parent |= {"reduce_only": False}
    stop = {"trigger": {"isMarket": True, "triggerPx": float(f"{low * 0.9:.4g}"), "tpsl": "sl"}}
    child = {**parent, "is_buy": False, "order_type": stop, "reduce_only": True}
    answer = ann.bulk_orders([parent, child], grouping="normalTpsl")["response"]["data"]["statuses"]
    assert answer[1] == "waitingForFill"
    rows = info.frontend_open_orders(address)
    top = next(r for r in rows if r["oid"] == answer[0]["resting"]["oid"])
    assert top["children"][0]["orderType"] == "Stop Market"
    assert any(r["oid"] == top["children"][0]["oid"] for r in rows)
    assert top["children"][0]["triggerCondition"].startswith("Price below ")
    time.sleep(0.002)
    gone = ann.bulk_cancel([{"coin": "BTC", "oid": top["oid"]}])
    assert gone["response"]["data"]["statuses"] == ["success"]
    assert not [r for r in info.open_orders(address) if r["oid"] == top["children"][0]["oid"]]


def test_agents_and_accounts(venue, info, traders, keys):
    ann, address = traders[0], keys[0].address
    answer, key = ann.approve_agent("bot")
    assert answer == {"status": "ok", "response": {"type": "default"}}
    from eth_account import Account

    agent = Account.from_key(key)
    assert info.user_role(agent.address) == {"role": "agent", "data": {"user": address.lower()}}
    assert info.user_role(address) == {"role": "user"}
    assert info.user_role("0x" + "7" * 40) == {"role": "missing"}
    assert info.extra_agents(address)[0]["name"] == "bot"
    proxy = Exchange(agent, venue.url, account_address=address, timeout=60)
    assert "filled" in status(proxy.market_open("DOGE", is_buy=True, sz=1000))
    assert "filled" in status(proxy.market_close("DOGE"))
    unnamed, _ = ann.approve_agent()
    assert unnamed["status"] == "ok"
    time.sleep(0.002)
    assert ann.usd_class_transfer(10.0, to_perp=False)["status"] == "ok"
    assert info.spot_user_state(address)["balances"][0]["total"] == "10.0"
    time.sleep(0.002)
    assert ann.usd_class_transfer(10.0, to_perp=True)["status"] == "ok"
    time.sleep(0.002)
    assert ann.usd_transfer(1.0, keys[1].address)["status"] == "ok"
    time.sleep(0.002)
    assert ann.withdraw_from_bridge(2.0, address)["status"] == "ok"
    kinds = [row["delta"]["type"] for row in info.user_non_funding_ledger_updates(address, 0)]
    assert kinds == ["deposit", "accountClassTransfer", "accountClassTransfer", "internalTransfer", "withdraw"]
    time.sleep(0.002)
    assert ann.approve_builder_fee("0x" + "b" * 40, "0.01%")["status"] == "ok"
    time.sleep(0.002)
    assert ann.set_referrer("X")["status"] == "ok"


def test_noop_burns_a_nonce(traders):
    nonce = get_timestamp_ms() + 50
    assert traders[0].noop(nonce)["status"] == "ok"
    assert traders[0].noop(nonce)["response"] == f"Invalid nonce: duplicate nonce {nonce}"


def test_expires_after_is_sticky_and_heard(traders):
    traders[2].set_expires_after(get_timestamp_ms() - 1000)
    assert traders[2].noop(get_timestamp_ms())["response"] == "Action already expired"
    traders[2].set_expires_after(get_timestamp_ms() + 60_000)
    time.sleep(0.002)
    assert traders[2].noop(get_timestamp_ms())["status"] == "ok"
    traders[2].set_expires_after(None)


def test_schedule_cancel_is_refused_below_a_million(traders):
    refused = traders[2].schedule_cancel(get_timestamp_ms() + 60_000)
    assert refused["response"].startswith(
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000."
    )


def test_strangers_are_refused(traders, keys, venue):
    stranger = keys[4].address.lower()
    order = traders[4].order("BTC", True, 0.01, 50_000, {"limit": {"tif": "Gtc"}})
    assert order == {"status": "err", "response": f"User or API Wallet {stranger} does not exist."}
    sent = traders[4].usd_transfer(1.0, keys[0].address)
    assert sent == {"status": "err", "response": f"Must deposit before performing actions. User: {stranger}"}
    vaulted = Exchange(keys[0], venue.url, vault_address="0x" + "5" * 40, timeout=60)
    refused = vaulted.order("BTC", True, 0.01, 50_000, {"limit": {"tif": "Gtc"}})
    assert refused["response"] == f"Vault not registered: 0x{'5' * 40}"


def test_limits_fees_roles_portfolio(info, keys):
    address = keys[0].address
    limit = info.user_rate_limit(address)
    assert set(limit) == {"cumVlm", "nRequestsUsed", "nRequestsCap", "nRequestsSurplus"}
    assert limit["nRequestsCap"] == 10_000 + int(float(limit["cumVlm"]))
    fees = info.user_fees(address)
    assert (fees["userCrossRate"], fees["userAddRate"]) == ("0.00045", "0.00015")
    assert [name for name, _ in info.portfolio(address)] == [
        *("day", "week", "month", "allTime"),
        *("perpDay", "perpWeek", "perpMonth", "perpAllTime"),
    ]
    assert info.query_user_abstraction_state(address) == "disabled"


EMPTY = {
    "user_staking_summary": lambda a: a["delegated"] == "0.0",
    "user_staking_delegations": lambda a: a == [],
    "user_staking_rewards": lambda a: a == [],
    "delegator_history": lambda a: a == [],
    "query_referral_state": lambda a: a["referredBy"] is None,
    "query_sub_accounts": lambda a: a is None,
    "query_user_to_multi_sig_signers": lambda a: a is None,
    "query_user_dex_abstraction_state": lambda a: a is None,
    "user_twap_slice_fills": lambda a: a == [],
    "user_vault_equities": lambda a: a == [],
    "query_spot_deploy_auction_status": lambda a: a["states"] == [],
    "historical_orders": lambda a: a == [],
    "user_fills": lambda a: a == [],
    "open_orders": lambda a: a == [],
    "frontend_open_orders": lambda a: a == [],
}


@pytest.mark.parametrize("call", EMPTY)
def test_an_unknown_address_gets_the_venues_empty_answer(info, call):
    answer = getattr(info, call)("0x" + "7" * 40)
    assert EMPTY[call](answer), answer


def test_every_info_method_was_called(info):
    """Whatever the SDK adds shows up here."""
    elsewhere = {
        *("set_perp_meta", "disconnect_websocket", "subscribe", "unsubscribe", "name_to_asset", "post", "user_state"),
        *("spot_user_state", "all_mids", "user_fills_by_time", "meta", "meta_and_asset_ctxs", "perp_dexs", "spot_meta"),
        *("spot_meta_and_asset_ctxs", "funding_history", "user_funding_history", "l2_snapshot", "candles_snapshot"),
        *("user_fees", "query_order_by_oid", "query_order_by_cloid", "query_user_abstraction_state"),
        *("query_perp_deploy_auction_status", "user_non_funding_ledger_updates", "portfolio", "user_role"),
        *("user_rate_limit", "extra_agents"),
    }
    methods = {name for name in dir(info) if not name.startswith("_") and callable(getattr(info, name))}
    assert methods == elsewhere | set(EMPTY)
    assert info.user_funding_history("0x" + "7" * 40, 0) == []
    assert info.query_perp_deploy_auction_status()["startGas"] == "500.0"


UNSUPPORTED = [
    lambda ex: ex.create_sub_account("x"),
    lambda ex: ex.sub_account_transfer("0x" + "1" * 40, True, 1),
    lambda ex: ex.vault_usd_transfer("0x" + "1" * 40, True, 1),
    lambda ex: ex.spot_transfer(1.0, "0x" + "1" * 40, "PURR:0xc4"),
    lambda ex: ex.send_asset("0x" + "1" * 40, "", "spot", "USDC", 1.0),
    lambda ex: ex.token_delegate("0x" + "1" * 40, 1, False),
    lambda ex: ex.convert_to_multi_sig_user(["0x" + "1" * 40], 1),
    lambda ex: ex.spot_deploy_register_token("A", 1, 2, 3, "AA"),
    lambda ex: ex.c_signer_unjail_self(),
    lambda ex: ex.c_validator_unregister(),
    lambda ex: ex.use_big_blocks(True),
    lambda ex: ex.agent_enable_dex_abstraction(),
    lambda ex: ex.agent_set_abstraction("u"),
    lambda ex: ex.user_dex_abstraction("0x" + "1" * 40, True),
    lambda ex: ex.gossip_priority_bid(1, "1.2.3.4", 5),
    lambda ex: ex.c_signer_jail_self(),
    lambda ex: ex.c_validator_change_profile(None, None, None, True, None, None, None),
    lambda ex: ex.c_validator_register("1.2.3.4", "a", "b", False, 5, "0x" + "1" * 40, True, 1),
    lambda ex: ex.multi_sig("0x" + "1" * 40, {"type": "noop"}, [], get_timestamp_ms()),
    lambda ex: ex.perp_deploy_register_asset("dex", None, "A", 2, "10.0", 10, False, None),
    lambda ex: ex.perp_deploy_set_oracle("dex", {"A": "1.0"}, [], {}),
    lambda ex: ex.spot_deploy_enable_freeze_privilege(1),
    lambda ex: ex.spot_deploy_enable_quote_token(1),
    lambda ex: ex.spot_deploy_freeze_user(1, "0x" + "1" * 40, True),
    lambda ex: ex.spot_deploy_genesis(1, "100", False),
    lambda ex: ex.spot_deploy_register_hyperliquidity(1, 1.0, 1.0, 5, None),
    lambda ex: ex.spot_deploy_register_spot(1, 0),
    lambda ex: ex.spot_deploy_revoke_freeze_privilege(1),
    lambda ex: ex.spot_deploy_set_deployer_trading_fee_share(1, "50%"),
    lambda ex: ex.spot_deploy_user_genesis(1, [], []),
    lambda ex: ex.sub_account_spot_transfer("0x" + "1" * 40, True, "PURR:0xc4", 1.0),
    lambda ex: ex.user_set_abstraction("0x" + "1" * 40, "disabled"),
]


@pytest.mark.parametrize("call", range(len(UNSUPPORTED)))
def test_what_is_not_here_says_so(traders, call):
    answer = UNSUPPORTED[call](traders[3])
    assert answer == {"status": "err", "response": "Action not supported by this paper exchange."}


def test_every_exchange_method_was_called():
    """Whatever the SDK adds shows up here; the text of this file is the list."""
    text = Path(__file__).read_text()
    inner = {"post", "c_signer_inner", "spot_deploy_token_action_inner"}  # what the others are made of
    by_others = {"bulk_cancel_by_cloid", "bulk_modify_orders_new"}  # cancel_by_cloid and modify_order call them
    methods = {name for name in dir(Exchange) if not name.startswith("_") and callable(getattr(Exchange, name))}
    assert sorted(name for name in methods - inner - by_others if f".{name}(" not in text) == []


def signed(trader, action):
    """What the SDK would send if it had a method for the action."""
    nonce = get_timestamp_ms()
    signature = sign_l1_action(trader.wallet, action, None, nonce, trader.expires_after, False)
    return trader._post_action(action, signature, nonce)


def test_a_twap_order_signed_as_the_sdk_signs(venue, info, traders, keys):
    dee, address = traders[3], keys[3].address
    wish = {"a": 1, "b": True, "s": "1.1", "r": False, "m": 5, "t": False}
    placed = signed(dee, {"type": "twapOrder", "twap": wish})
    assert placed["response"]["type"] == "twapOrder"
    number = placed["response"]["data"]["status"]["running"]["twapId"]
    for _ in range(3):
        venue.step(30_000)
    rows = info.user_twap_slice_fills(address)
    assert sum(float(row["fill"]["sz"]) for row in rows) == pytest.approx(0.4)
    assert {row["twapId"] for row in rows} == {number}
    ended = signed(dee, {"type": "twapCancel", "a": 1, "t": number})
    assert ended["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    venue.step(30_000)
    assert info.user_state(address)["assetPositions"][0]["position"]["szi"] == "0.4"
    assert info.post("/info", {"type": "twapHistory", "user": address})[0]["status"] == {"status": "terminated"}
    bad = signed(dee, {"type": "twapOrder", "twap": {**wish, "m": 1}})
    assert bad["response"]["data"]["status"] == {"error": "Invalid TWAP duration: 1 min(s)"}


def test_every_interval_of_candles(info):
    day = 86_400_000
    for interval in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"):
        rows = info.candles_snapshot("BTC", interval, 0, 2**53)
        assert rows, interval
        assert {row["i"] for row in rows} == {interval}
        lengths = {row["T"] + 1 - row["t"] for row in rows}
        assert len(lengths) == 1 or interval == "1M"
        assert all(one["T"] + 1 == other["t"] for one, other in itertools.pairwise(rows))
        if interval == "1M":
            assert lengths <= {28 * day, 29 * day, 30 * day, 31 * day}


def test_the_clock_moves_by_step_and_pays_funding(venue, info, traders, keys):
    cyd, address = traders[2], keys[2].address
    assert "filled" in status(cyd.market_open("BTC", is_buy=True, sz=0.1))
    before = venue.control(do="status")["market"]
    after = venue.step(HOUR)["market"]
    assert after - before == HOUR
    rows = info.user_funding_history(address, 0)
    assert len(rows) == 1
    assert rows[0]["delta"]["type"] == "funding"
    assert float(rows[0]["delta"]["usdc"]) < 0
    held = info.user_state(address)["assetPositions"][0]["position"]
    assert held["cumFunding"]["sinceOpen"] == rows[0]["delta"]["usdc"].removeprefix("-")
    assert info.portfolio(address)[0][1]["accountValueHistory"]
