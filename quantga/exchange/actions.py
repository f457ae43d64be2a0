"""`/exchange`: decode, recover the signer from the canonical form, hand over, and say what the venue says."""

from __future__ import annotations

from typing import Any

from quantga.exchange.admission import owner
from quantga.exchange.engine import NOT_HERE, err, unknown_signer
from quantga.exchange.service import Exchange
from quantga.exchange.signing import (
    USER_SIGNED,
    BadSignature,
    Signature,
    l1_digest,
    recover,
    user_signed_digest,
    user_signed_record,
)
from quantga.exchange.wire import L1_ACTIONS, Malformed, envelope

Json = Any
UNRECOVERABLE = "Unable to recover signer."
WRONG_NETWORK = "Mainnet and testnet require different signature."
UNSUPPORTED = frozenset(
    {
        "createSubAccount",
        "subAccountTransfer",
        "subAccountSpotTransfer",
        "vaultTransfer",
        "spotDeploy",
        "perpDeploy",
        "CSignerAction",
        "CValidatorAction",
        "evmUserModify",
        "agentEnableDexAbstraction",
        "agentSetAbstraction",
        "multiSig",
        "gossipPriorityBid",
    }
)
"""Actions of the venue that belong to spot, vaults, staking or deployment: decoded, but not performed."""


async def exchange_answer(exchange: Exchange, body: Json) -> Json:
    """The answer to a body of `/exchange`.

    Raises:
        Malformed: it does not decode (HTTP 422).
    """
    sent = envelope(body)
    action = sent["action"]
    if not isinstance(action, dict) or not isinstance(action.get("type"), str):
        raise Malformed
    kind, nonce, expires = action["type"], sent["nonce"], sent.get("expiresAfter")
    vault = sent.get("vaultAddress")
    if kind in UNSUPPORTED:
        return err(NOT_HERE)
    try:
        if kind in USER_SIGNED:
            action, refusal = _user_signed(kind, action, nonce)
            if refusal:
                return err(refusal)
            digest = user_signed_digest(kind, action)
        elif kind in L1_ACTIONS:
            action = L1_ACTIONS[kind](action)
            digest = l1_digest(action, vault, nonce, expires)
        else:
            raise Malformed
        signer = recover(Signature.of(sent["signature"]), digest)
    except BadSignature:
        return err(UNRECOVERABLE)
    return await _perform(exchange, signer, action, {"n": nonce, "v": vault, "x": expires})


def _user_signed(kind: str, action: Json, nonce: int) -> tuple[Json, str]:
    """The checked record, and why the action is refused whatever its signature."""
    record = user_signed_record(kind, action)
    if record["hyperliquidChain"] not in {"Mainnet", "Testnet"}:
        raise Malformed
    if record["hyperliquidChain"] == "Mainnet":
        return record, WRONG_NETWORK
    inner = record.get("nonce", record.get("time"))
    return record, "" if inner == nonce else "Nonce mismatch."


async def _perform(exchange: Exchange, signer: str, action: Json, rest: Json) -> Json:
    state = exchange.engine.state
    if action["type"] in USER_SIGNED:
        if signer not in state.accounts:
            return err(f"Must deposit before performing actions. User: {signer}")
    elif owner(state, signer) is None:
        return unknown_signer(signer)
    if exchange.faults.hit("batch_error") and "orders" in action:
        statuses = [{"error": "Order has invalid size."}]
        return {"status": "ok", "response": {"type": "order", "data": {"statuses": statuses}}}
    command = {"k": "act", "s": signer, "a": action, **rest}
    if action["type"] == "order" and exchange.faults.hit("partial_fill"):
        command["cut"] = 50
    return await exchange.submit(command)
