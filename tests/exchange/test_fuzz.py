"""Hostile bodies: the venue's own answer, never a traceback, never a stuck server; half of them validly signed."""

import copy
import json
import random
import time

import pytest
from hyperliquid.utils.signing import (
    get_timestamp_ms,
    sign_agent,
    sign_l1_action,
    sign_usd_class_transfer_action,
    sign_usd_transfer_action,
)

NASTY = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        2**64,
        2**64 - 1,
        1e308,
        -0.0,
        1.5,
        "",
        "0",
        "-1",
        "NaN",
        "inf",
        "1e5",
    ),
    *(
        "0x",
        "0x" + "f" * 40,
        "0x" + "f" * 32,
        "9" * 40,
        "0." + "1" * 40,
        "\u0000",
        "\ud83d\ude00",
        "BTC",
        "type",
        "order",
    ),
    *([], {}, [[]], [{}], [None], {"a": 1}, {"limit": {}}, {"trigger": {}}, {"p": 1}, ["x"] * 300, "a" * 5000),
]
ROW = {"a": 0, "b": True, "p": "70000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}, "c": "0x" + "1" * 32}
STOP = {**ROW, "b": False, "r": True, "t": {"trigger": {"isMarket": True, "triggerPx": "60000", "tpsl": "sl"}}}
ACTIONS = [
    {"type": "order", "orders": [ROW], "grouping": "na"},
    {"type": "order", "orders": [ROW, STOP], "grouping": "normalTpsl"},
    {"type": "order", "orders": [STOP], "grouping": "positionTpsl"},
    {"type": "cancel", "cancels": [{"a": 0, "o": 5}]},
    {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": "0x" + "1" * 32}]},
    {"type": "batchModify", "modifies": [{"oid": 5, "order": ROW}]},
    {"type": "modify", "oid": "0x" + "1" * 32, "order": ROW},
    {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": 1000000},
    {"type": "scheduleCancel", "time": 1},
    {"type": "reserveRequestWeight", "weight": 1},
    {"type": "noop"},
]
USER_SIGNED = {
    "usdClassTransfer": (sign_usd_class_transfer_action, {"amount": "1", "toPerp": False}),
    "usdSend": (sign_usd_transfer_action, {"destination": "0x" + "1" * 40, "amount": "1"}),
    "approveAgent": (sign_agent, {"agentAddress": "0x" + "3" * 40, "agentName": "x"}),
}
INFOS = [
    {"type": "clearinghouseState", "user": "0x" + "1" * 40, "dex": ""},
    {"type": "userFillsByTime", "user": "0x" + "1" * 40, "startTime": 0, "endTime": None, "aggregateByTime": False},
    {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "5m", "startTime": 0, "endTime": 1}},
    {"type": "fundingHistory", "coin": "BTC", "startTime": 0, "endTime": 2**62},
    {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2},
    {"type": "orderStatus", "user": "0x" + "1" * 40, "oid": 5},
    {"type": "activeAssetData", "user": "0x" + "1" * 40, "coin": "BTC"},
    {"type": "userFunding", "user": "0x" + "1" * 40, "startTime": 0},
    {"type": "maxBuilderFee", "user": "0x" + "1" * 40, "builder": "0x" + "2" * 40},
    {"type": "portfolio", "user": "0x" + "1" * 40},
]


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for k, item in enumerate(value):
            yield from places(item, (*path, k))


def mutated(stream, original):
    """A copy with one or two fields replaced, removed, added or renamed."""
    body = {"root": copy.deepcopy(original)}
    for _ in range(stream.choice((1, 1, 2))):
        path = ("root", *stream.choice([p for p in places(body["root"]) if p] or [()]))
        parent = body
        for key in path[:-1]:
            parent = parent[key]
        act = stream.random()
        if act < 0.65 or isinstance(parent, list) or parent is body:
            parent[path[-1]] = copy.deepcopy(stream.choice(NASTY))
        elif act < 0.8:
            del parent[path[-1]]
        else:
            parent[str(stream.choice(NASTY))[:50]] = copy.deepcopy(stream.choice(NASTY))
        if not isinstance(body["root"], dict | list):
            break
    return body["root"]


def signed(stream, key, action, nonce):
    """A body whose signature is right for the action as mutated, where it can be signed at all."""
    body = {"action": action, "nonce": nonce, "vaultAddress": None, "expiresAfter": None}
    kind = action.get("type") if isinstance(action, dict) else None
    try:
        if isinstance(kind, str) and kind in USER_SIGNED:
            body["signature"] = USER_SIGNED[kind][0](key, action, False)
        else:
            body["signature"] = sign_l1_action(key, action, None, nonce, None, False)
    except Exception:  # noqa: BLE001 -- what cannot be signed is sent with a bad signature
        body["signature"] = {"r": "0x1", "s": "0x2", "v": stream.choice((27, 28, 0, 99))}
    return body


def valid_answer(status, text, path):
    if status == 200:
        answer = json.loads(text)
        if path == "/exchange":
            assert answer["status"] in {"ok", "err"}, answer
            if answer["status"] == "err":
                assert isinstance(answer["response"], str)
        return
    texts = {
        400: "Failed to parse the request body as JSON",
        413: "Failed to buffer the request body: length limit exceeded",
        415: "Expected request with `Content-Type: application/json`",
        422: "Failed to deserialize the JSON body into the target type",
        500: "null",
    }
    assert text == texts[status], (status, text)
    if path == "/exchange":
        assert status != 500, text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mutated_bodies(venue, keys, seed):
    stream, nonce = random.Random(seed), get_timestamp_ms() + seed * 10_000
    for _ in range(250):
        nonce += 1
        original = stream.choice(ACTIONS)
        if stream.random() < 0.2:
            kind = stream.choice(list(USER_SIGNED))
            original = {"type": kind, **USER_SIGNED[kind][1], "time" if kind == "usdSend" else "nonce": nonce}
        body = signed(stream, keys[3], mutated(stream, original), nonce)
        if stream.random() < 0.2:
            body = mutated(stream, body)
        status, text = venue.raw("/exchange", json.dumps(body).encode())
        valid_answer(status, text, "/exchange")
        body = mutated(stream, stream.choice(INFOS))
        valid_answer(*venue.raw("/info", json.dumps(body).encode()), "/info")
    assert venue.info({"type": "allMids"})


DECIMALS = ["0", "-1", "0.00000001", "1", "10", "70000", "80000.5", "99999999", "9" * 30, "0.1"]
WHOLES = [0, 1, 2, 3, 5, 40, 2**31, 2**32 - 1]
TIMES = [0, 1, 2**40, 2**63, 2**64 - 1]
TEXTS = [
    "",
    "x",
    "a b",
    "\u0000",
    "\U0001f600",
    "x" * 17,
    "bot valid_until 99999999999999",
    "0x" + "1" * 40,
    "-",
    "1 subaccount:0x1",
]


def strange_order(stream):
    kind = {"limit": {"tif": stream.choice(("Gtc", "Ioc", "Alo"))}}
    if stream.random() < 0.4:
        kind = {"trigger": {"isMarket": stream.random() < 0.5, "triggerPx": stream.choice(DECIMALS)}}
        kind["trigger"]["tpsl"] = stream.choice(("tp", "sl"))
    row = {"a": stream.choice((0, 1, 2, *WHOLES)), "b": stream.random() < 0.5, "p": stream.choice(DECIMALS)}
    row |= {"s": stream.choice(DECIMALS), "r": stream.random() < 0.4, "t": kind}
    return {**row, "c": f"0x{stream.randrange(4):032x}"} if stream.random() < 0.5 else row


def strange_action(stream, nonce):
    """An action of the right types with the strangest values: all of these are signed and reach the engine."""
    oid = stream.choice((0, 5, 2**63, 2**64 - 1, 1_000_001 + stream.randrange(300)))
    orders = [strange_order(stream) for _ in range(stream.choice((0, 1, 1, 2, 3, 210)))]
    modified = {"oid": stream.choice((oid, f"0x{stream.randrange(4):032x}")), "order": strange_order(stream)}
    grouping = stream.choice(("na", "na", "normalTpsl", "positionTpsl", {"p": stream.choice(TIMES)}))
    made = [
        {"type": "order", "orders": orders, "grouping": grouping},
        {
            "type": "order",
            "orders": orders,
            "grouping": "na",
            "builder": {"b": "0x" + "1" * 40, "f": stream.choice(TIMES)},
        },
        {"type": "cancel", "cancels": [{"a": stream.choice(WHOLES), "o": oid}] * stream.choice((0, 1, 2))},
        {
            "type": "cancelByCloid",
            "cancels": [{"asset": stream.choice(WHOLES), "cloid": f"0x{stream.randrange(4):032x}"}],
        },
        {"type": "modify", **modified},
        {"type": "batchModify", "modifies": [modified] * stream.choice((0, 1, 2))},
        {"type": "scheduleCancel", "time": stream.choice(TIMES)},
        {
            "type": "updateLeverage",
            "asset": stream.choice(WHOLES),
            "isCross": stream.random() < 0.5,
            "leverage": stream.choice(WHOLES),
        },
        {
            "type": "updateIsolatedMargin",
            "asset": stream.choice(WHOLES),
            "isBuy": True,
            "ntli": stream.choice((0, 1, -1, 2**62, -(2**63))),
        },
        {"type": "setReferrer", "code": stream.choice(TEXTS)},
        {"type": "reserveRequestWeight", "weight": stream.choice(TIMES)},
        {
            "type": "usdClassTransfer",
            "amount": stream.choice((*DECIMALS, *TEXTS)),
            "toPerp": stream.random() < 0.5,
            "nonce": nonce,
        },
        {
            "type": "usdSend",
            "destination": stream.choice(TEXTS),
            "amount": stream.choice((*DECIMALS, *TEXTS)),
            "time": nonce,
        },
        {
            "type": "approveAgent",
            "agentAddress": f"0x{stream.randrange(5):040x}",
            "agentName": stream.choice(TEXTS),
            "nonce": nonce,
        },
    ]
    return stream.choice(made)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_strange_values_validly_signed(venue, keys, seed):
    stream, nonce, ok = random.Random(seed), get_timestamp_ms() + seed * 10_000, 0
    for _ in range(300):
        nonce += 1
        body = signed(stream, keys[1], strange_action(stream, nonce), nonce)
        status, text = venue.raw("/exchange", json.dumps(body).encode())
        assert status == 200, (status, text, body)
        valid_answer(status, text, "/exchange")
        answer = json.loads(text)
        assert "does not exist" not in text, (answer, body)
        assert "Must deposit" not in text, (answer, body)
        ok += answer["status"] == "ok"
    assert ok > 50
    digest = venue.control(do="status")["digest"]
    venue.fault("restart")
    assert venue.control(do="status")["digest"] == digest


RAW = [
    b"",
    b"{",
    b"nope",
    b'{"type":NaN}',
    b"\xff\xfe\x00",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"type":"meta"}x',
    b'"' + b"a" * 3_000_000 + b'"',
    b'{"type":1e999}',
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("path", ["/info", "/exchange"])
@pytest.mark.parametrize("k", range(len(RAW)))
def test_bodies_that_are_no_json(venue, path, k):
    status, text = venue.raw(path, RAW[k])
    assert status in {400, 413, 422}
    valid_answer(status, text, path)


def test_the_exact_texts(venue):
    assert venue.raw("/info", b"{}") == (422, "Failed to deserialize the JSON body into the target type")
    assert venue.raw("/info", b'{"type":"nope"}')[0] == 422
    assert venue.raw("/info", b"{}", "text/plain") == (415, "Expected request with `Content-Type: application/json`")
    assert venue.raw("/info", b'{"type":"l2Book","coin":"BTC","nSigFigs":9}') == (500, "null")
    assert venue.raw("/info", b'{"type":"l2Book","coin":"NOPE"}') == (200, "null")
    assert venue.raw("/info", b'{"type":"meta","extra":[1]}')[0] == 200
    assert venue.raw("//info", b'{"type":"meta"}')[0] == 404
    candle = {"coin": "BTC", "interval": "7m", "startTime": 0, "endTime": 1}
    assert venue.raw("/info", json.dumps({"type": "candleSnapshot", "req": candle}).encode())[0] == 422


def test_a_wrong_signature_names_another_address(venue, keys):
    nonce = get_timestamp_ms()
    action = {"type": "order", "orders": [ROW], "grouping": "na"}
    body = signed(random.Random(1), keys[0], action, nonce)
    body["nonce"] = nonce + 1
    status, text = venue.raw("/exchange", json.dumps(body).encode())
    answer = json.loads(text)["response"]
    assert status == 200
    assert answer.startswith("User or API Wallet 0x")
    assert keys[0].address.lower() not in answer
    time.sleep(0.01)
