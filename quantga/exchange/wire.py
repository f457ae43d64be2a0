"""The wire: what an action looks like, checked field by field and rebuilt in the venue's canonical order.

The venue decodes into typed records and encodes them again before it hashes, so key order, zero padding and letter
case do not change the signer; anything that does not decode is HTTP 422.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Json = Any
Parser = Callable[[Json], Json]

WIRE_DECIMALS = 8
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,8}0*)?")
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
_CLOID = re.compile(r"0[xX][0-9a-fA-F]{32}")
_WORD = re.compile(r"0[xX][0-9a-fA-F]{1,64}")


class Malformed(Exception):
    """The body does not decode into the type asked for: HTTP 422."""


def text_of(value: int, decimals: int) -> str:
    """A scaled whole number in the venue's style: `85812.0`, `0.02`, `-0.5`."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value))
    if not decimals:
        return f"{sign}{digits}.0"
    digits = digits.rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:].rstrip('0') or '0'}"


def scaled(text: str) -> int:
    """A canonical decimal text as a whole number of 10^-8."""
    whole, _, part = text.partition(".")
    number = int(whole + part.ljust(WIRE_DECIMALS, "0"))
    return -abs(number) if text.startswith("-") else number


def _decimal(value: Json) -> str:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Malformed
    whole, _, part = value.partition(".")
    part = part.rstrip("0")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    whole = whole.lstrip("0") or "0"
    if whole == "0" and not part:
        return "0"
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def _boolean(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Malformed
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise Malformed
    return value


def _matching(pattern: re.Pattern[str]) -> Parser:
    def parse(value: Json) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise Malformed
        return value.lower()

    return parse


def _whole(low: int, high: int) -> Parser:
    def parse(value: Json) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Malformed
        return value

    return parse


def _one_of(*words: str) -> Parser:
    def parse(value: Json) -> str:
        if not isinstance(value, str) or value not in words:
            raise Malformed
        return value

    return parse


def _each(parser: Parser) -> Parser:
    def parse(value: Json) -> list[Json]:
        if not isinstance(value, list):
            raise Malformed
        return [parser(item) for item in value]

    return parse


class Record:
    """A typed record: required fields in canonical order, then optional ones that are left out when null or false."""

    def __init__(self, required: Mapping[str, Parser], optional: Mapping[str, Parser] | None = None) -> None:
        self._required = required
        self._optional = optional or {}

    def __call__(self, value: Json) -> dict[str, Json]:
        """The record in canonical order.

        Raises:
            Malformed: a field is missing, unknown or of another type.
        """
        if not isinstance(value, dict) or not self._required.keys() <= value.keys():
            raise Malformed
        out = {name: parser(value[name]) for name, parser in self._required.items()}
        for name, parser in self._optional.items():
            if value.get(name) is not None:
                parsed = parser(value[name])
                if parsed is not False:
                    out[name] = parsed
        if value.keys() - self._required.keys() - self._optional.keys():
            raise Malformed
        return out


U64, U32, I64 = _whole(0, 2**64 - 1), _whole(0, 2**32 - 1), _whole(-(2**63), 2**63 - 1)
ADDRESS, CLOID = _matching(_ADDRESS), _matching(_CLOID)
BOOLEAN, DECIMAL, TEXT = _boolean, _decimal, _text
LIMIT = Record({"limit": Record({"tif": _one_of("Alo", "Ioc", "Gtc", "FrontendMarket")})})
TRIGGER = Record({"trigger": Record({"isMarket": _boolean, "triggerPx": _decimal, "tpsl": _one_of("tp", "sl")})})


def _kind(value: Json) -> dict[str, Json]:
    return TRIGGER(value) if isinstance(value, dict) and "trigger" in value else LIMIT(value)


def _oid(value: Json) -> int | str:
    found: int | str = CLOID(value) if isinstance(value, str) else U64(value)
    return found


def _grouping(value: Json) -> Json:
    return Record({"p": U64})(value) if isinstance(value, dict) else _one_of("na", "normalTpsl", "positionTpsl")(value)


ORDER = Record({"a": U32, "b": _boolean, "p": _decimal, "s": _decimal, "r": _boolean, "t": _kind}, {"c": CLOID})
BUILDER = Record({"b": ADDRESS, "f": U64})
CANCEL = Record({"a": U32, "o": U64}, {"f": _boolean})
CANCEL_BY_CLOID = Record({"asset": U32, "cloid": CLOID}, {"f": _boolean})
MODIFY = Record({"oid": _oid, "order": ORDER}, {"a": _boolean})
TWAP = Record({"a": U32, "b": _boolean, "s": _decimal, "r": _boolean, "m": U64, "t": _boolean})
_TYPE = {"type": _text}

L1_ACTIONS: dict[str, Record] = {
    "order": Record({**_TYPE, "orders": _each(ORDER), "grouping": _grouping}, {"builder": BUILDER}),
    "cancel": Record({**_TYPE, "cancels": _each(CANCEL)}),
    "cancelByCloid": Record({**_TYPE, "cancels": _each(CANCEL_BY_CLOID)}),
    "modify": Record({**_TYPE, "oid": _oid, "order": ORDER}, {"a": _boolean}),
    "batchModify": Record({**_TYPE, "modifies": _each(MODIFY)}),
    "twapOrder": Record({**_TYPE, "twap": TWAP}),
    "twapCancel": Record({**_TYPE, "a": U32, "t": U64}),
    "scheduleCancel": Record(_TYPE, {"time": U64}),
    "updateLeverage": Record({**_TYPE, "asset": U32, "isCross": _boolean, "leverage": U32}),
    "updateIsolatedMargin": Record({**_TYPE, "asset": U32, "isBuy": _boolean, "ntli": I64}),
    "setReferrer": Record({**_TYPE, "code": _text}),
    "reserveRequestWeight": Record({**_TYPE, "weight": U64}),
    "noop": Record(_TYPE),
}
"""Actions signed as an agent over the hash of their canonical form."""

SIGNATURE = Record({"r": _matching(_WORD), "s": _matching(_WORD), "v": _whole(0, 28)})
ENVELOPE = Record(
    {"action": lambda value: value, "nonce": U64, "signature": SIGNATURE},
    {"vaultAddress": ADDRESS, "expiresAfter": U64},
)


def envelope(value: Json) -> dict[str, Json]:
    """A body of `/exchange`: action (still raw), nonce, signature, vaultAddress and expiresAfter if given.

    Raises:
        Malformed: it does not decode.
    """
    return ENVELOPE(value)
