"""Arrays lent to compiled code as bare pointers.

Numba counts references at every call that takes an array and whenever one is taken out of a tuple; in a kernel of many
small steps that costs ten times the arithmetic. The kernel's caller holds the arrays, so inside they need no counting.
A lent array is indexed flat, without bounds and without negative indices.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic


def _borrow(_typing: Any, array: Any) -> Any:
    if not isinstance(array, types.Array) or array.layout != "C":
        return None

    def lend(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.bitcast(held.data, context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer(array.dtype)  # type: ignore[no-untyped-call]
    return pointer(array), lend


borrow: Any = intrinsic(_borrow)
"""`borrow(array)` in compiled code: a pointer to a C-contiguous array's elements, valid while somebody else holds it."""
