"""Actions and signatures against the venue's own SDK: the same bytes are hashed, the same signature comes out."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.utils.signing import recover_agent_or_user_from_l1_action
from hyperliquid.utils.types import Cloid
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import ConfigError, Denied
from quantga.venue.account import (
    AddMargin,
    Cancel,
    Modify,
    Noop,
    OrderRequest,
    Place,
    ScheduleCancel,
    SetLeverage,
    Stamp,
    Trigger,
)
from quantga.venue.hyperliquid import actions, market_answers
from quantga.venue.hyperliquid.nonces import Nonces
from quantga.venue.hyperliquid.signing import Signer

META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 40},
        {"szDecimals": 4, "name": "ETH", "maxLeverage": 25, "marginTableId": 25},
        {"szDecimals": 1, "name": "OLD", "maxLeverage": 3, "marginTableId": 3, "isDelisted": True},
    ]
}
KEY = "0x" + "01" * 32
CLOID = "0x" + "0a" * 16
MINE = market_answers.meta(META)
STAMP = Stamp(1_700_000_000_123, 1_700_000_060_123)


@pytest.fixture
def sdk(monkeypatch):
    """The SDK's client, whose requests are kept instead of sent."""
    made = Exchange(Account.from_key(KEY), "http://127.0.0.1:9", meta=META, spot_meta={"tokens": [], "universe": []})
    sent = []
    monkeypatch.setattr(made, "post", lambda _path, body: sent.append(body) or {"status": "ok"})
    monkeypatch.setattr("hyperliquid.exchange.get_timestamp_ms", lambda: STAMP.nonce)
    made.set_expires_after(STAMP.expires)
    made.sent = sent
    return made


BUY = OrderRequest("ETH", buy=True, px=Decimal("2500.1"), size=Decimal("0.0200"), cloid=CLOID)
STOP = OrderRequest(
    "BTC",
    buy=False,
    px=Decimal(60000),
    size=Decimal("0.001"),
    reduce_only=True,
    trigger=Trigger(Decimal(61000), take=False),
)
GTC, ALO = {"limit": {"tif": "Gtc"}}, {"limit": {"tif": "Alo"}}
SL = {"trigger": {"triggerPx": 61000.0, "isMarket": True, "tpsl": "sl"}}
EQUAL = {
    "order": (Place((BUY,)), lambda x: x.order("ETH", True, 0.02, 2500.1, GTC, cloid=Cloid(CLOID))),
    "trigger": (Place((STOP,)), lambda x: x.order("BTC", False, 0.001, 60000, SL, reduce_only=True)),
    "cancel": (Cancel((("ETH", 123), ("BTC", 4))), lambda x: x.bulk_cancel([_oid("ETH", 123), _oid("BTC", 4)])),
    "cancel by cloid": (Cancel((("ETH", CLOID),)), lambda x: x.cancel_by_cloid("ETH", Cloid(CLOID))),
    "modify": (Modify(((7, BUY),)), lambda x: x.modify_order(7, "ETH", True, 0.02, 2500.1, GTC, cloid=Cloid(CLOID))),
    "modify by cloid": (
        Modify(((CLOID, BUY),)),
        lambda x: x.modify_order(Cloid(CLOID), "ETH", True, 0.02, 2500.1, GTC, cloid=Cloid(CLOID)),
    ),
    "leverage": (SetLeverage("ETH", 5, isolated=True), lambda x: x.update_leverage(5, "ETH", is_cross=False)),
    "margin": (AddMargin("ETH", Decimal("5.5")), lambda x: x.update_isolated_margin(5.5, "ETH")),
    "less margin": (AddMargin("ETH", Decimal("-5.5")), lambda x: x.update_isolated_margin(-5.5, "ETH")),
    "schedule": (ScheduleCancel(1_700_000_100_000), lambda x: x.schedule_cancel(1_700_000_100_000)),
    "no schedule": (ScheduleCancel(None), lambda x: x.schedule_cancel(None)),
    "noop": (Noop(), lambda x: x.noop(STAMP.nonce)),
}


def _oid(coin, oid):
    return {"coin": coin, "oid": oid}


@pytest.mark.parametrize("name", EQUAL)
def test_what_is_signed_is_what_the_sdk_signs(sdk, name):
    mine, theirs = EQUAL[name]
    theirs(sdk)
    body = orjson.loads(Signer(KEY, mainnet=False).envelope(actions.wire(mine, MINE), STAMP))
    assert body == orjson.loads(orjson.dumps(sdk.sent[0]))
    assert list(body["action"]) == list(sdk.sent[0]["action"])  # the order of keys is hashed


@pytest.mark.parametrize("mainnet", [True, False])
def test_the_signer_is_recovered(mainnet):
    signer = Signer(KEY[2:], mainnet=mainnet)
    body = orjson.loads(signer.envelope(actions.wire(Place((BUY, STOP), "normalTpsl"), MINE), STAMP))
    found = recover_agent_or_user_from_l1_action(
        body["action"], body["signature"], None, STAMP.nonce, STAMP.expires, mainnet
    )
    assert found.lower() == signer.address


def test_the_known_answer_of_the_sdk():
    meta = market_answers.meta({"universe": [{"szDecimals": 2, "name": n, "maxLeverage": 3} for n in ("BTC", "ETH")]})
    order = OrderRequest("ETH", buy=True, px=Decimal(100), size=Decimal(100))
    signer = Signer("0x0123456789012345678901234567890123456789012345678901234567890123", mainnet=True)
    body = orjson.loads(signer.envelope(actions.wire(Place((order,)), meta), Stamp(0, None)))
    assert body["signature"] == {
        "r": "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e",
        "s": "0x2b54116ff64054968aa237c20ca9ff68000f977c93289157748a3162b6ea940e",
        "v": 28,
    }


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (Place(()), "1 to 200"),
        (Place((BUY,) * 201), "1 to 200"),
        (Cancel((("BTC", 1),) * 201), "1 to 200"),
        (Place((OrderRequest("ETH", True, Decimal("2500.123"), Decimal(1)),)), "grid"),
        (Place((OrderRequest("ETH", True, Decimal(2500), Decimal("0.00001")),)), "decimals"),
        (Place((OrderRequest("ETH", True, Decimal(2500), Decimal(0)),)), "nothing"),
        (Place((OrderRequest("ETH", True, Decimal("NaN"), Decimal(1)),)), "grid"),
        (Place((OrderRequest("ETH", True, Decimal(2500), Decimal(1), cloid="0x1"),)), "cloid"),
        (Place((OrderRequest("OLD", True, Decimal(25), Decimal(1)),)), "delisted"),
        (AddMargin("ETH", Decimal("0.0000001")), "six decimals"),
    ],
)
def test_what_the_venue_would_refuse_by_its_form_never_leaves(action, words):
    with pytest.raises(Denied, match=words):
        actions.wire(action, MINE)


def test_a_delisted_position_can_be_closed():
    close = OrderRequest("OLD", buy=False, px=Decimal(25), size=Decimal(1), reduce_only=True)
    assert actions.wire(Place((close,)), MINE)["orders"][0]["a"] == 2


def test_an_unknown_coin_names_near_ones():
    with pytest.raises(ConfigError, match="has ETH"):
        actions.wire(Cancel((("eth", 1),)), MINE)


def test_a_wrong_key_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        Signer("0xdeadbeef" + "z" * 50, mainnet=False)
    assert "deadbeef" not in str(caught.value)


@given(n=st.integers(0, 300), seed=st.integers(0, 2**20))
def test_batches_hold_every_order_once_and_weigh_one_each(n, seed):
    orders = [
        OrderRequest(
            "BTC",
            buy=True,
            px=Decimal(k + 1),
            size=Decimal(1),
            tif=("Alo", "Ioc", "Gtc")[(seed >> (k % 20)) % 3],
            reduce_only=bool((seed + k) % 5 == 0),
        )
        for k in range(n)
    ]
    batches = actions.batched(orders)
    assert sorted(one.px for batch in batches for one in batch.orders) == [one.px for one in orders]
    for batch in batches:
        assert actions.weight(batch) == 1
        assert len({one.tif == "Alo" for one in batch.orders}) == 1
        assert [one.px for one in batch.orders] == sorted(one.px for one in batch.orders)
    risk = [all(one.reduce_only for one in batch.orders) for batch in batches]
    assert risk == sorted(risk, reverse=True)


@given(clock=st.lists(st.integers(0, 50), max_size=60), last=st.integers(0, 100))
def test_nonces_rise_whatever_the_clock_does(clock, last):
    times = iter(clock)
    nonces = Nonces(last, lambda: next(times))
    found = [nonces.next() for _ in clock]
    assert all(b > a for a, b in zip([last, *found], found, strict=False))
