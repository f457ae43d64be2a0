"""Fields of the venue's JSON as numbers and texts that can be trusted: no NaN, no infinity, no number for a text.

An answer that does not read is `Unknown`, never empty and never a default: for an action it may still have been executed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from quantga.errors import Unknown

Json = Any
FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError, InvalidOperation, OverflowError)


def reader[**P, R](what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a parser raise `Unknown`, naming `what`, for whatever it cannot read."""

    def wrap(parse: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(parse)
        def parsed(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return parse(*args, **kwargs)
            except FAULTS as error:
                raise Unknown(f"the venue's {what} does not read ({type(error).__name__}: {error})") from error

        return parsed

    return wrap


def number(value: Json) -> float:
    """Return a finite float of a decimal text or a JSON number."""
    found = float(value)
    if found - found != 0 or value is True or value is False:
        raise ValueError(f"{value!r} is no finite number")
    return found


def exact(value: Json) -> Decimal:
    """Return a finite Decimal with the digits of a decimal text."""
    found = Decimal(value if isinstance(value, str) else repr(value))
    if not found.is_finite():
        raise ValueError(f"{value!r} is no finite number")
    return found


def whole(value: Json) -> int:
    """Return a JSON integer."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def text(value: Json) -> str:
    """Return a JSON text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def rows(value: Json) -> list[Json]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:80]!r} is no list")
    return value


def record(value: Json) -> dict[str, Json]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise TypeError(f"{str(value)[:80]!r} is no object")
    return value


def bought(side: Json) -> bool:
    """Return whether a side is the buyer's: "B" or "A"."""
    if side not in ("B", "A"):
        raise ValueError(f"the side {side!r} is neither B nor A")
    return bool(side == "B")


def lowered(value: Json) -> str | None:
    """Return an optional hexadecimal text in lower case."""
    return None if value is None else text(value).lower()


def frozen(value: Json) -> object:
    """Return a JSON value with tuples in the places of lists, and of objects as sorted pairs."""
    if isinstance(value, dict):
        return tuple(sorted((key, frozen(item)) for key, item in value.items()))
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value
