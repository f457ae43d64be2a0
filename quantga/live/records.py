"""What a journal keeps for reading alone: bars and funding rates as received, decisions with their inputs, targets.

The session's state does not depend on them; `replay` does: from them it decides everything again. Numbers that JSON does not
have (a missing price, a stop at infinity) are written as "nan", "inf" and "-inf".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from quantga.live.bars import Bar
from quantga.live.journal import Entry
from quantga.venue.market import FundingRate

__all__ = ["Aimed", "Decided", "Left", "Opened", "Passed", "Record", "body_of", "record_of"]


@dataclass(frozen=True)
class Opened:
    """A process began to work on the session: which code (`code_version()`, `grammar_version()`), where."""

    code: str
    grammar: str
    host: str
    process: int


@dataclass(frozen=True)
class Decided:
    """What a strategy decided at the close of bar number `bar`, `price` being the mark then; why not, in `reason`.

    The bars are those journaled before, of its symbol (and of the reference asset), from the first of the session on; seen:
    their digest (`decide.digest`), so that another bar is another decision even where the figures stay the same.
    """

    strategy: str
    symbol: str
    bar: int
    price: float
    wanted: float = math.nan
    weight: float = math.nan
    units: float = math.nan
    stop: float = math.nan
    take: float = math.nan
    reason: str = ""
    seen: str = ""


@dataclass(frozen=True)
class Aimed:
    """Lots by symbol and strategy: wanted by the decisions at these marks, and what the limits left of that."""

    bar: int
    marks: Mapping[str, float]
    wanted: Mapping[str, Mapping[str, int]]
    fitted: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Left:
    """Inside a bar a strategy's own stop or take was reached at this mark: the `aimed` that follows holds its target, 0."""

    strategy: str
    symbol: str
    bar: int
    mark: float


@dataclass(frozen=True)
class Passed:
    """How an order was worked: the mark when it was decided, and what its fills cost beyond that, in USDC and bp."""

    symbol: str
    bar: int
    lots: int
    mark: Decimal
    filled: Decimal
    shortfall: Decimal
    shortfall_bp: float = field(default=math.nan)


type Record = Opened | Bar | FundingRate | Decided | Aimed | Left | Passed

_KINDS: dict[str, Any] = {
    "opened": Opened, "bar": Bar, "rate": FundingRate, "decided": Decided, "aimed": Aimed, "left": Left, "passed": Passed,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FORMS: dict[str, TypeAdapter[Record]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


def body_of(record: Record) -> tuple[str, Mapping[str, object]]:
    """Return a record in the journal's form."""
    name = _NAMES[type(record)]
    return name, _written(_FORMS[name].dump_python(record, mode="json"))


def record_of(entry: Entry) -> Record | None:
    """Return the record of a journal's entry, bit for bit; None for events of the session."""
    form = _FORMS.get(entry.kind)
    return None if form is None else form.validate_python(entry.body)


def _written(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    return value
