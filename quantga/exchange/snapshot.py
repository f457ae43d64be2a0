"""The state as bytes and back: msgpack of plain values, records by name; no pickle, so a file cannot run code."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import msgpack

from quantga.errors import StoreError
from quantga.exchange.state import RECORDS, State

_FIELDS = {name: tuple(one.name for one in fields(kind)) for name, kind in RECORDS.items()}
_RECORD, _MAP = 1, 2


def _pack(value: Any) -> Any:
    kind = type(value).__name__
    if kind in _FIELDS:
        return [_RECORD, kind, [_pack(getattr(value, name)) for name in _FIELDS[kind]]]
    if isinstance(value, dict):
        return [_MAP, [[_pack(key), _pack(item)] for key, item in value.items()]]
    if isinstance(value, list | tuple):
        return [0, [_pack(item) for item in value]]
    return value


def _unpack(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value[0] == _RECORD:
        values = [_unpack(item) for item in value[2]]
        return RECORDS[value[1]](**dict(zip(_FIELDS[value[1]], values, strict=True)))
    if value[0] == _MAP:
        return {_unpack(key): _unpack(item) for key, item in value[1]}
    return [_unpack(item) for item in value[1]]


def dump(state: State) -> bytes:
    """The state as bytes."""
    packed: bytes = msgpack.packb([_FIELDS_VERSION, _pack(state)])
    return packed


_FIELDS_VERSION = sum(len(names) for names in _FIELDS.values())


def load(data: bytes) -> State:
    """The state of `dump`.

    Raises:
        StoreError: the bytes are no snapshot of this version.
    """
    try:
        version, packed = msgpack.unpackb(data, strict_map_key=False)
        if version != _FIELDS_VERSION:
            raise StoreError("the state folder was written by another version: start with a fresh --state folder")
        state = _unpack(packed)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"the snapshot cannot be read: {error}; start with a fresh --state folder") from error
    if not isinstance(state, State):
        raise StoreError("the snapshot holds no state; start with a fresh --state folder")
    return state
