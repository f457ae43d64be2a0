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


DUMMY = {"type": "dummy", "num": 100_000_000_000}
VAULT = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
STOP = {"trigger": {"isMarket": True, "triggerPx": "103", "tpsl": "sl"}}
# The SDK's own vectors for a network that is not mainnet, nonce 0.
VECTORS = [
    (
        DUMMY,
        None,
        "542af61ef1f429707e3c76c5293c80d01f74ef853e34b76efffcb57e574f9510",
        "17b8b32f086e8cdede991f1e2c529f5dd5297cbe8128500e00cbaf766204a613",
        28,
    ),
    (
        DUMMY,
        VAULT,
        "e281d2fb5c6e25ca01601f878e4d69c965bb598b88fac58e475dd1f5e56c362b",
        "7ddad27e9a238d045c035bc606349d075d5c5cd00a6cd1da23ab5c39d4ef0f60",
        27,
    ),
    (
        {"type": "order", "orders": [ORDER], "grouping": "na"},
        None,
        "82b2ba28e76b3d761093aaded1b1cdad4960b3af30212b343fb2e6cdfa4e3d54",
        "6b53878fc99d26047f4d7e8c90eb98955a109f44209163f52d8dc4278cbbd9f5",
        27,
    ),
    (
        {"type": "order", "orders": [{**ORDER, "c": "0x" + "0" * 31 + "1"}], "grouping": "na"},
        None,
        "eba0664bed2676fc4e5a743bf89e5c7501aa6d870bdb9446e122c9466c5cd16d",
        "7f3e74825c9114bc59086f1eebea2928c190fdfbfde144827cb02b85bbe90988",
        28,
    ),
    (
        {"type": "order", "orders": [{**ORDER, "t": STOP}], "grouping": "na"},
        None,
        "971c554d917c44e0e1b6cc45d8f9404f32172a9d3b3566262347d0302896a2e4",
        "206257b104788f80450f8e786c329daa589aa0b32ba96948201ae556d5637eac",
        28,
    ),
    (
        {"type": "createSubAccount", "name": "example"},
        None,
        "a699e3ed5c2b89628c746d3298b5dc1cca604694c2c855da8bb8250ec8014a5b",
        "53f1b8153a301c72ecc655b1c315d64e1dcea3ee58921fd7507e35818fcc1584",
        28,
    ),
    (
        {"type": "scheduleCancel"},
        None,
        "c75bb195c3f6a4e06b7d395acc20bbb224f6d23ccff7c6a26d327304e6efaeed",
        "342f8ede109a29f2c0723bd5efb9e9100e3bbb493f8fb5164ee3d385908233df",
        28,
    ),
    (
        {"type": "scheduleCancel", "time": 123456789},
        None,
        "4e4f2dbd4107c69783e251b7e1057d9f2b9d11cee213441ccfa2be63516dc5bc",
        "706c656b23428c8ba356d68db207e11139ede1670481a9e01ae2dfcdb0e1a678",
        27,
    ),
]


@pytest.mark.parametrize(("action", "vault", "r", "s", "v"), VECTORS)
def test_the_sdks_vectors(action, vault, r, s, v):
    if action["type"] in L1_ACTIONS:
        assert L1_ACTIONS[action["type"]](action) == action
    signer = recover(Signature(int(r, 16), int(s, 16), v), l1_digest(action, vault, 0, None))
    assert signer == "0x14791697260e4c9a71f18484c9f997b308e59325"


@pytest.mark.parametrize(
    ("kind", "r", "s", "v"),
    [
        (
            "usdSend",
            "637b37dd731507cdd24f46532ca8ba6eec616952c56218baeff04144e4a77073",
            "11a6a24900e6e314136d2592e2f8d502cd89b7c15b198e1bee043c9589f9fad7",
            27,
        ),
        (
            "withdraw3",
            "8363524c799e90ce9bc41022f7c39b4e9bdba786e5f9c72b20e43e1462c37cf9",
            "58b1411a775938b83e29182e8ef74975f9054c8e97ebf5ec2dc8d51bfc893881",
            28,
        ),
    ],
)
def test_the_sdks_vectors_of_transfers(kind, r, s, v):
    action = {"type": kind, "destination": "0x5e9ee1089755c3435139848e47e6635505d5a13a", "amount": "1"}
    action |= {"time": 1687816341423, "hyperliquidChain": "Testnet", "signatureChainId": "0x66eee"}
    digest = user_signed_digest(kind, user_signed_record(kind, action))
    assert recover(Signature(int(r, 16), int(s, 16), v), digest) == "0x14791697260e4c9a71f18484c9f997b308e59325"


def test_the_hash_matches_production():
    row = {"a": 4, "b": True, "p": "1670.1", "s": "0.0147", "r": False, "t": {"limit": {"tif": "Ioc"}}}
    action = {"type": "order", "orders": [row], "grouping": "na"}
    want = "0fcbeda5ae3c4950a548021552a4fea2226858c4453571bf3f24ba017eac2908"
    assert action_hash(action, None, 1677777606040, None).hex() == want


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
