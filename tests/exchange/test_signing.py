"""Recovery agrees with the SDK's own signatures, whatever the order of keys or the padding of numbers."""

import pytest
from eth_account import Account as Key
from hyperliquid.utils import signing as sdk

from quantga.exchange.signing import (
    USER_SIGNED,
    BadSignature,
    Signature,
    action_hash,
    l1_digest,
    recover,
    user_signed_digest,
    user_signed_record,
)
from quantga.exchange.wire import L1_ACTIONS, SIGNATURE, Malformed

KEY = Key.from_key("0x" + "0123456789" * 6 + "0123")
ORDER = {"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}


def signer_of(action, signed, nonce=0, vault=None, expires=None):
    digest = l1_digest(L1_ACTIONS[action["type"]](action), vault, nonce, expires)
    return recover(Signature.of(SIGNATURE(signed)), digest)


def test_the_hash_is_the_sdks():
    action = {"type": "order", "orders": [ORDER], "grouping": "na"}
    for vault, expires in ((None, None), ("0x" + "ab" * 20, None), (None, 77), ("0x" + "cd" * 20, 2**40)):
        assert action_hash(action, vault, 12, expires) == sdk.action_hash(action, vault, 12, expires)


def test_the_known_answer():
    wallet = Key.from_key("0x0123456789012345678901234567890123456789012345678901234567890123")
    action = {"type": "order", "orders": [ORDER], "grouping": "na"}
    signed = sdk.sign_l1_action(wallet, action, None, 0, None, True)
    assert signed["r"] == "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e"
    local = sdk.sign_l1_action(wallet, action, None, 0, None, False)
    assert signer_of(action, local) == "0x14791697260e4c9a71f18484c9f997b308e59325"
    assert signer_of(action, signed) != "0x14791697260e4c9a71f18484c9f997b308e59325"


@pytest.mark.parametrize(
    "sent",
    [
        {"grouping": "na", "orders": [dict(reversed(ORDER.items()))], "type": "order"},
        {"type": "order", "orders": [{**ORDER, "p": "100.00", "s": "0100.0"}], "grouping": "na"},
        {"type": "order", "orders": [{**ORDER, "c": None}], "grouping": "na"},
    ],
)
def test_other_spellings_of_an_action_have_the_same_signer(sent):
    signed = sdk.sign_l1_action(KEY, {"type": "order", "orders": [ORDER], "grouping": "na"}, None, 5, None, False)
    assert signer_of(sent, signed, nonce=5) == KEY.address.lower()


def test_the_case_of_a_cloid_does_not_matter():
    low = {"type": "order", "orders": [{**ORDER, "c": "0x" + "ab" * 16}], "grouping": "na"}
    high = {"type": "order", "orders": [{**ORDER, "c": "0x" + "AB" * 16}], "grouping": "na"}
    assert signer_of(high, sdk.sign_l1_action(KEY, low, None, 5, None, False), nonce=5) == KEY.address.lower()


USER_ACTIONS = [
    (sdk.sign_usd_transfer_action, {"destination": "0x" + "1" * 40, "amount": "1.5", "time": 7, "type": "usdSend"}),
    (
        sdk.sign_withdraw_from_bridge_action,
        {"destination": "0x" + "1" * 40, "amount": "1", "time": 7, "type": "withdraw3"},
    ),
    (sdk.sign_usd_class_transfer_action, {"type": "usdClassTransfer", "amount": "1", "toPerp": True, "nonce": 7}),
    (sdk.sign_agent, {"type": "approveAgent", "agentAddress": KEY.address, "agentName": "", "nonce": 7}),
    (
        sdk.sign_approve_builder_fee,
        {"type": "approveBuilderFee", "maxFeeRate": "0.1%", "builder": KEY.address, "nonce": 7},
    ),
    (
        sdk.sign_spot_transfer_action,
        {"destination": "0x" + "1" * 40, "amount": "1", "token": "PURR:0xc4", "time": 7, "type": "spotSend"},
    ),
    (
        sdk.sign_token_delegate_action,
        {"validator": "0x" + "1" * 40, "wei": 5, "isUndelegate": False, "nonce": 7, "type": "tokenDelegate"},
    ),
    (sdk.sign_convert_to_multi_sig_user_action, {"type": "convertToMultiSigUser", "signers": "{}", "nonce": 7}),
    (
        sdk.sign_user_dex_abstraction_action,
        {"type": "userDexAbstraction", "user": "0x" + "2" * 40, "enabled": True, "nonce": 7},
    ),
    (
        sdk.sign_user_set_abstraction_action,
        {"type": "userSetAbstraction", "user": "0x" + "2" * 40, "abstraction": "disabled", "nonce": 7},
    ),
    (
        sdk.sign_send_asset_action,
        {
            "type": "sendAsset",
            "destination": "0x" + "1" * 40,
            "sourceDex": "",
            "destinationDex": "spot",
            "token": "USDC",
            "amount": "1",
            "fromSubAccount": "",
            "nonce": 7,
        },
    ),
]


@pytest.mark.parametrize(("sign", "action"), USER_ACTIONS, ids=[a["type"] for _, a in USER_ACTIONS])
def test_user_signed_actions_recover(sign, action):
    sent = dict(action)
    signed = sign(KEY, sent, False)
    record = user_signed_record(action["type"], sent)
    assert recover(Signature.of(SIGNATURE(signed)), user_signed_digest(action["type"], record)) == KEY.address.lower()


def test_all_user_signed_actions_are_tested():
    assert {action["type"] for _, action in USER_ACTIONS} == set(USER_SIGNED)


def test_an_agent_without_a_name_signed_an_empty_one():
    sent = {"type": "approveAgent", "agentAddress": KEY.address, "agentName": "", "nonce": 7}
    signed = sdk.sign_agent(KEY, sent, False)
    del sent["agentName"]
    record = user_signed_record("approveAgent", sent)
    assert recover(Signature.of(SIGNATURE(signed)), user_signed_digest("approveAgent", record)) == KEY.address.lower()


@pytest.mark.parametrize(("r", "s", "v"), [(0, 0, 27), (2**256 - 1, 1, 27), (1, 2**256 - 1, 28), (5, 5, 26)])
def test_numbers_that_are_no_signature(r, s, v):
    with pytest.raises(BadSignature):
        recover(Signature(r, s, v), b"\1" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"p": 100},
        {"p": "1e2"},
        {"p": "NaN"},
        {"p": "1.123456789"},
        {"a": -1},
        {"a": True},
        {"a": 1.0},
        {"b": 1},
        {"r": None},
        {"t": {}},
        {"t": {"limit": {"tif": "Fok"}}},
        {"t": {"limit": {"tif": "Gtc"}, "trigger": {}}},
        {"c": "0x12"},
        {"extra": 1},
    ],
)
def test_orders_that_do_not_decode(change):
    with pytest.raises(Malformed):
        L1_ACTIONS["order"]({"type": "order", "orders": [{**ORDER, **change}], "grouping": "na"})
