"""Bare pointers in compiled code, and one door through which a compiled function is called without being compiled again.

Numba counts references whenever an array is sliced or passed on, which costs more than a kernel of one bar does; and
whoever calls a compiled function takes its whole code in and optimises it once more. A pointer is not counted, and a
function called by its address stays where it is. A lent array is indexed flat, without bounds; its owner must live on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

FLOATS: Any = types.CPointer(types.float64)  # type: ignore[no-untyped-call]
INTS: Any = types.CPointer(types.int64)  # type: ignore[no-untyped-call]


def _borrow(_typing: Any, array: Any) -> Any:
    if not isinstance(array, types.Array) or array.layout != "C":
        return None

    def lend(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.bitcast(held.data, context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer(array.dtype)  # type: ignore[no-untyped-call]
    return pointer(array), lend


def _at(_typing: Any, pointer: Any, _place: Any) -> Any:
    def move(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), move


def _call(_typing: Any, door: Any, arguments: Any) -> Any:
    def through(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        parts = [builder.extract_value(given[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [part.type for part in parts])
        address = builder.load(builder.bitcast(given[0], ir.IntType(64).as_pointer()))
        builder.call(builder.inttoptr(address, kind.as_pointer()), parts)
        return ir.Constant(ir.IntType(8).as_pointer(), None)

    return types.none(door, arguments), through


borrow: Callable[..., Any] = intrinsic(_borrow)
"""`borrow(array)`: a pointer to a C-contiguous array's elements."""
at: Callable[..., Any] = intrinsic(_at)
"""`at(pointer, place)`: a pointer to the element at `place`, which may be negative."""
call: Callable[..., Any] = intrinsic(_call)
"""`call(door, arguments)`: call the function whose address is the first number behind the pointer `door`."""
