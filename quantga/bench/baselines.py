"""The obvious program: trees of DEAP, compiled by `gp.compile` over whole series, one evaluation per program.

Every operator is one primitive, as its user would write it: an indicator computes what it needs once inside, and what
depends on the market alone (the typical price, the true range, returns) is made ready before the first tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from quantga.bench.baselines_series import kernels
from quantga.errors import ProgramError
from quantga.lang.bars import Bars, Floats
from quantga.lang.definitions import Apply, template
from quantga.lang.kinds import Kind
from quantga.lang.ops import OPS, K, Op
from quantga.lang.program import Program, arity, number

_POSITIONS = {K.LONG: 1.0, K.SHORT: -1.0, K.FLAT: 0.0, K.HOLD: float("nan")}


@dataclass(frozen=True)
class Obvious:
    """A market made ready for trees.

    names: what the arguments of every compiled tree are called; arguments: their series. begins: the first row at which
    every column of the market is defined (the last published funding rate is not, on the first bar).
    """

    bars: Bars
    primitives: Any = field(repr=False)
    names: dict[str, str]
    arguments: tuple[Floats, ...] = field(repr=False)
    begins: int = 0

    def tree(self, program: Program) -> Any:
        """Return the program as a tree of DEAP."""
        from deap import gp  # noqa: PLC0415

        nodes = []
        for token in program.tokens:
            if isinstance(token, int) and arity(token):
                nodes.append(self.primitives.mapping[_name(OPS[token])])
            else:
                nodes.append(gp.Terminal(*self._leaf(token), object))
        return gp.PrimitiveTree(nodes)

    def _leaf(self, token: int | str) -> tuple[object, bool]:
        if isinstance(token, str):
            return self.names[token], True
        if token >= len(OPS):
            value = number(token)
            return (int(value) if value == int(value) else value), False
        op = OPS[token]
        if op.meaning in _POSITIONS:
            return ("nan", True) if op.meaning is K.HOLD else (_POSITIONS[op.meaning], False)
        return self.names[op.name], True

    def wanted(self, tree: Any, lookback: int) -> Floats:
        """Compile a tree and run it: the wanted position of every bar, NaN where it holds or is not yet defined."""
        from deap import gp  # noqa: PLC0415

        function = gp.compile(tree, self.primitives)
        with np.errstate(all="ignore"):
            found = np.asarray(function(*self.arguments), dtype=np.float64)
        found = np.full(len(self.bars), found) if found.ndim == 0 else found
        found[: self.begins + lookback] = np.nan
        return found


def prepare(programs: Sequence[Program], bars: Bars) -> Obvious:
    """Return the market ready for the trees of `programs`. ProgramError for a program that sizes its positions."""
    from deap import gp  # noqa: PLC0415

    kernel = kernels(bars.origin)
    used = {token for program in programs for token in program.tokens}
    ops = [OPS[token] for token in sorted(t for t in used if isinstance(t, int) and t < len(OPS))]
    if any(op.meaning in (K.SCALE, K.SCALE_LEVEL) for op in ops) or any(str(p.genes) for p in programs):
        raise ProgramError("the comparison takes programs that want -1, 0 or 1 and have no genes")
    leaves = [op for op in ops if not op.args and op.meaning not in _POSITIONS]
    own = sorted(token for token in used if isinstance(token, str))
    known: dict[Apply, Floats] = {}
    series = {op.name: _constant(template(op), bars, kernel, known) for op in leaves}
    series |= {name: np.ascontiguousarray(bars[name]) for name in own}
    names = {name: f"x_{name.removeprefix('$')}" for name in series}
    primitives = gp.PrimitiveSet("MAIN", len(series))
    primitives.renameArguments(**{f"ARG{i}": name for i, name in enumerate(names.values())})
    primitives.context["nan"] = float("nan")
    for op in ops:
        if op.args:
            primitives.addPrimitive(_primitive(op, bars, kernel, known), len(op.args), name=_name(op))
    known_from = [int(np.argmax(~np.isnan(bars[name]))) for name in {n for p in programs for n in p.columns}]
    return Obvious(bars, primitives, names, tuple(series.values()), max(known_from, default=0))


def _name(op: Op) -> str:
    """Return the primitive's name; rows of one name differ by kind, and `and` is no name in Python."""
    return f"{op.name}_{op.code}"


type Step = tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...]]


def _primitive(
    op: Op, bars: Bars, kernel: dict[K, Callable[..., Any]], known: dict[Apply, Floats]
) -> Callable[..., Any]:
    """Return the operator as a function of its arguments."""
    tree = template(op)
    if isinstance(op.meaning, K):
        return kernel[op.meaning]
    values: list[Floats | Apply] = []
    places: dict[Apply, int] = {}
    _order(tree, places, values, bars, kernel, known)

    def run(*arguments: Any) -> Any:
        done: list[Any] = []
        for value in values:
            if isinstance(value, Apply):
                series = [done[places[s]] if isinstance(s, Apply) else arguments[s] for s in value.series]
                numbers = [n.value(arguments) for n in value.numbers] if value.numbers else []
                done.append(numbers[0] if value.kernel is K.CONSTANT else kernel[value.kernel](*series, *numbers))
            else:
                done.append(value)
        return done[-1]

    return run


def _order(
    tree: Apply, places: dict[Apply, int], values: list[Floats | Apply], bars: Bars,
    kernel: dict[K, Callable[..., Any]], known: dict[Apply, Floats],
) -> None:  # fmt: skip
    """List what has to be computed, each thing once; what the market alone decides is there already."""
    if tree in places:
        return
    if _is_market(tree):
        values.append(_constant(tree, bars, kernel, known))
    else:
        for item in tree.series:
            if isinstance(item, Apply):
                _order(item, places, values, bars, kernel, known)
        values.append(tree)
    places[tree] = len(values) - 1


def _is_market(tree: Apply) -> bool:
    """Say whether a tree has no arguments."""
    return (
        tree.kernel is not K.CONSTANT
        and all(isinstance(s, Apply) and (_is_market(s) or _is_fixed(s)) for s in tree.series)
        and all(n.first < 0 for n in tree.numbers)
    )


def _is_fixed(tree: Apply) -> bool:
    return tree.kernel is K.CONSTANT and tree.numbers[0].first < 0


def _constant(tree: Apply, bars: Bars, kernel: dict[K, Callable[..., Any]], known: dict[Apply, Floats]) -> Floats:
    if tree not in known:
        if tree.kernel is K.COLUMN:
            known[tree] = np.ascontiguousarray(bars[tree.column])
        elif tree.kernel is K.CONSTANT:
            known[tree] = np.full(len(bars), tree.numbers[0].plus)
        else:
            below = [_constant(s, bars, kernel, known) for s in tree.series if isinstance(s, Apply)]
            with np.errstate(all="ignore"):
                known[tree] = kernel[tree.kernel](*below, *(n.plus for n in tree.numbers))
    return known[tree]


def is_comparable(program: Program) -> bool:
    """Say whether VectorBT can trade a program: it wants -1, 0 or 1 and has no genes."""
    sized = {op.code for op in OPS if op.ret is Kind.POSITION and op.meaning in (K.SCALE, K.SCALE_LEVEL)}
    return sized.isdisjoint(program.tokens) and not str(program.genes)
