"""Two numbers side by side, as a processor adds and stores them: for sums that grow together.

A sum carried along a window is written at every step, and a processor can write one place at a time; side by side, two
sums need one addition and one store. Every number is computed as it would be alone, so no bit changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, register_model


class PairType(types.Type):
    """Two floats in one register."""

    def __init__(self) -> None:
        super().__init__(name="Pair")


PAIR = PairType()
_VECTOR = ir.VectorType(ir.DoubleType(), 2)


@register_model(PairType)
class _PairModel(PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


def _pair(_typing: Any, first: Any, second: Any) -> Any:
    def join(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        found = ir.Constant(_VECTOR, ir.Undefined)
        for place, value in enumerate(given):
            found = builder.insert_element(found, value, ir.Constant(ir.IntType(32), place))
        return found

    return PAIR(first, second), join


def _plus(_typing: Any, one: Any, other: Any) -> Any:
    return PAIR(one, other), lambda _context, builder, _signature, given: builder.fadd(*given)


def _minus(_typing: Any, one: Any, other: Any) -> Any:
    return PAIR(one, other), lambda _context, builder, _signature, given: builder.fsub(*given)


def _times(_typing: Any, one: Any, other: Any) -> Any:
    return PAIR(one, other), lambda _context, builder, _signature, given: builder.fmul(*given)


def _first(_typing: Any, one: Any) -> Any:
    return types.float64(one), lambda _context, builder, _signature, given: _at(builder, given[0], 0)


def _second(_typing: Any, one: Any) -> Any:
    return types.float64(one), lambda _context, builder, _signature, given: _at(builder, given[0], 1)


def _at(builder: Any, value: Any, place: int) -> Any:
    return builder.extract_element(value, ir.Constant(ir.IntType(32), place))


def _put(_typing: Any, pointer: Any, _place: Any, value: Any) -> Any:
    def store(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        to = builder.bitcast(builder.gep(given[0], [given[1]]), _VECTOR.as_pointer())
        builder.store(given[2], to, align=8)
        return ir.Constant(ir.IntType(8).as_pointer(), None)

    return types.none(pointer, types.intp, value), store


pair: Callable[..., Any] = intrinsic(_pair)
"""`pair(first, second)`: two floats side by side."""
plus: Callable[..., Any] = intrinsic(_plus)
minus: Callable[..., Any] = intrinsic(_minus)
times: Callable[..., Any] = intrinsic(_times)
first: Callable[..., Any] = intrinsic(_first)
second: Callable[..., Any] = intrinsic(_second)
put: Callable[..., Any] = intrinsic(_put)
"""`put(pointer, place, pair)`: write both, from `place` on."""
