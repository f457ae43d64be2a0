"""Arrays lent to compiled code as bare pointers, masks of many values at once, and the lowest bit of a mask.

Numba counts references at every call that takes an array and whenever one is taken out of a tuple; in a kernel of many
small steps that costs ten times the arithmetic. The kernel's caller holds the arrays, so inside they need no counting.
A lent array is indexed flat, without bounds and without negative indices.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

MASKED = 32
"""Values that `changed` looks at."""
_FOUR = 4  # values in a register


def _borrow(_typing: Any, array: Any) -> Any:
    if not isinstance(array, types.Array) or array.layout != "C":
        return None

    def lend(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.bitcast(held.data, context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer(array.dtype)  # type: ignore[no-untyped-call]
    return pointer(array), lend


def _further(_typing: Any, pointer: Any, offset: Any) -> Any:
    if not isinstance(pointer, types.CPointer) or not isinstance(offset, types.Integer):
        return None

    def step(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    result: Any = pointer
    return result(pointer, offset), step


def _lowest_bit(_typing: Any, mask: Any) -> Any:
    if mask != types.uint64:
        return None

    def count(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    result: Any = types.int64
    return result(mask), count


def _changed(_typing: Any, pointer: Any) -> Any:
    if not isinstance(pointer, types.CPointer) or pointer.dtype != types.float64:
        return None

    def compare(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        four, word = ir.VectorType(ir.DoubleType(), _FOUR), ir.IntType(64)
        mask = ir.Constant(word, 0)
        for first in range(0, MASKED, _FOUR):
            now, before = (
                builder.load(
                    builder.bitcast(builder.gep(arguments[0], [ir.Constant(word, place)]), four.as_pointer()), align=8
                )
                for place in (first, first - 1)
            )
            other = builder.and_(builder.fcmp_unordered("!=", now, before), builder.fcmp_ordered("ord", now, now))
            bits = builder.zext(builder.bitcast(other, ir.IntType(_FOUR)), word)
            mask = builder.or_(mask, builder.shl(bits, ir.Constant(word, first)))
        return mask

    result: Any = types.uint64
    return result(pointer), compare


borrow: Any = intrinsic(_borrow)
"""`borrow(array)` in compiled code: a pointer to a C-contiguous array's elements, valid while somebody else holds it."""
further: Any = intrinsic(_further)
"""`further(pointer, offset)` in compiled code: a pointer to the element `offset` places on."""
lowest_bit: Any = intrinsic(_lowest_bit)
"""`lowest_bit(mask)` in compiled code: the place of the lowest bit of a uint64 that is 1; 64 where none is."""
changed: Any = intrinsic(_changed)
"""`changed(pointer)` in compiled code: a uint64 with a bit for each of the `MASKED` floats from there on that is not NaN
and not the one before it."""
