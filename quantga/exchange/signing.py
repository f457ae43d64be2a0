"""Who signed: the signer of an action is recovered from its signature, never taken from the request.

EIP-712 is computed here by hand (a dozen hashes) and checked against the SDK's own signatures in the tests; a local
address signs as testnet, source "b".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgpack
from coincurve import PublicKey
from Crypto.Hash import keccak as _keccak

from quantga.exchange.wire import ADDRESS, BOOLEAN, TEXT, U64, Malformed, Record

Types = tuple[tuple[str, str], ...]


class BadSignature(Exception):
    """No signer can be recovered from these numbers."""


def keccak(data: bytes) -> bytes:
    """Keccak-256."""
    return _keccak.new(digest_bits=256, data=data).digest()


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")


_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_SOURCE = keccak(b"b")


def _domain(name: bytes, chain: int) -> bytes:
    return keccak(_DOMAIN_TYPE + keccak(name) + keccak(b"1") + _word(chain) + _word(0))


_L1_DOMAIN = _domain(b"Exchange", 1337)
_USER = ("user", "address")
_CHAIN = ("hyperliquidChain", "string")
_NONCE = ("nonce", "uint64")
_MOVE: Types = (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64"))

USER_SIGNED: dict[str, tuple[str, Types]] = {
    "usdSend": ("UsdSend", _MOVE),
    "withdraw3": ("Withdraw", _MOVE),
    "spotSend": (
        "SpotSend",
        (_CHAIN, ("destination", "string"), ("token", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "usdClassTransfer": ("UsdClassTransfer", (_CHAIN, ("amount", "string"), ("toPerp", "bool"), _NONCE)),
    "sendAsset": (
        "SendAsset",
        (
            _CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            _NONCE,
        ),
    ),
    "approveAgent": ("ApproveAgent", (_CHAIN, ("agentAddress", "address"), ("agentName", "string"), _NONCE)),
    "approveBuilderFee": ("ApproveBuilderFee", (_CHAIN, ("maxFeeRate", "string"), ("builder", "address"), _NONCE)),
    "tokenDelegate": (
        "TokenDelegate",
        (_CHAIN, ("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), _NONCE),
    ),
    "convertToMultiSigUser": ("ConvertToMultiSigUser", (_CHAIN, ("signers", "string"), _NONCE)),
    "userDexAbstraction": ("UserDexAbstraction", (_CHAIN, _USER, ("enabled", "bool"), _NONCE)),
    "userSetAbstraction": ("UserSetAbstraction", (_CHAIN, _USER, ("abstraction", "string"), _NONCE)),
}
"""Actions signed field by field: their primary type and fields."""

_PARSERS = {"string": TEXT, "address": ADDRESS, "bool": BOOLEAN, "uint64": U64}


def user_signed_record(kind: str, action: dict[str, Any]) -> dict[str, Any]:
    """A user-signed action, checked; an `approveAgent` without a name was signed with an empty one.

    Raises:
        Malformed: a field is missing, unknown or of another type.
    """
    fields = {name: _PARSERS[sol] for name, sol in USER_SIGNED[kind][1]}
    given = {"agentName": "", **action} if kind == "approveAgent" else action
    if kind == "approveAgent" and given["agentName"] is None:
        given["agentName"] = ""
    return Record({"type": TEXT, **fields, "signatureChainId": TEXT})(given)


def _encode(sol: str, value: Any) -> bytes:
    if sol == "string":
        return keccak(str(value).encode("utf-8", "surrogatepass"))
    if sol == "address":
        return _word(int(value, 16))
    return _word(int(value))


def user_signed_digest(kind: str, action: dict[str, Any]) -> bytes:
    """The EIP-712 digest of a user-signed action.

    Raises:
        Malformed: the chain id is no hexadecimal number.
    """
    primary, fields = USER_SIGNED[kind]
    described = ",".join(f"{sol} {name}" for name, sol in fields)
    body = keccak(f"HyperliquidTransaction:{primary}({described})".encode())
    for name, sol in fields:
        body += _encode(sol, action[name])
    try:
        chain = int(action["signatureChainId"], 16)
        domain = _domain(b"HyperliquidSignTransaction", chain)
    except (ValueError, OverflowError) as error:
        raise Malformed from error
    return keccak(b"\x19\x01" + domain + keccak(body))


def action_hash(action: dict[str, Any], vault: str | None, nonce: int, expires: int | None) -> bytes:
    """The hash that an L1 action is signed over: keccak of msgpack, nonce, vault and expiry."""
    data = msgpack.packb(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault[2:])
    if expires is not None:
        data += b"\x00" + expires.to_bytes(8, "big")
    return keccak(data)


def l1_digest(action: dict[str, Any], vault: str | None, nonce: int, expires: int | None) -> bytes:
    """The EIP-712 digest of an L1 action on a network that is not mainnet."""
    connection = action_hash(action, vault, nonce, expires)
    return keccak(b"\x19\x01" + _L1_DOMAIN + keccak(_AGENT_TYPE + _SOURCE + connection))


@dataclass(frozen=True, slots=True)
class Signature:
    """r, s and v as numbers."""

    r: int
    s: int
    v: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Signature:
        """From the wire's record."""
        return cls(int(record["r"], 16), int(record["s"], 16), record["v"])


def recover(signature: Signature, digest: bytes) -> str:
    """The lower-case address that signed `digest`.

    Raises:
        BadSignature: the numbers are no signature.
    """
    parity = signature.v - 27 if signature.v >= 27 else signature.v
    if parity not in (0, 1):
        raise BadSignature
    raw = _word(signature.r) + _word(signature.s) + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(raw, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception when recovery fails
        raise BadSignature from error
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()
