"""The reference of all operators, generated from the table, so that it cannot fall behind it."""

from __future__ import annotations

from quantga.lang.definitions import template
from quantga.lang.genes import Genes
from quantga.lang.kinds import FACTORS, IMMEDIATE, LEVELS, VALUES, WINDOWS, Kind
from quantga.lang.ops import BY_NAME, OPS, PARTS, K, Op
from quantga.lang.program import Program, level, window

_GROUPS = (
    ("Leaves", lambda op: not op.args and op.ret is not Kind.POSITION),
    ("Positions", lambda op: op.ret is Kind.POSITION),
    ("Masks", lambda op: op.ret is Kind.MASK),
    ("Higher bars", lambda op: op.name == "every" or op.name.startswith("higher_")),
    ("Windows and indicators", lambda op: Kind.WINDOW in op.args),
    ("Arithmetic", lambda _: True),
)
_HEAD = """# Operators

Generated from the operator table (`quantga/lang/ops.py`) by `quantga ops`; do not edit.

A strategy is one expression of kind Position, with risk genes behind `with`:

    when(gt(rsi(close, 14), level(70)), short, when(lt(rsi(close, 14), level(30)), long, hold)) with stop=0.05, latch

Kinds are units: `T` stands for any one of {kinds}, the same throughout a
row. A Window or a Factor is a number of bars, a Level a decimal of at most four places; both may be written bare. A
user's own column, a Ratio, is written `$name`. Undefined values (before the lookback, on missing bars, x / 0) spread to whatever reads them; an undefined
wanted position means hold. A window that holds an undefined value is undefined.

*Lookback* is the number of bars besides the current one from which a value is defined, *reach* that from which it has
the same bits wherever the history began; both add along a path. They are shown for a window of 20 (and a factor of 4).
"""


def operators() -> str:
    """Return the reference as Markdown."""
    parts = [_HEAD.format(kinds=", ".join(VALUES))]
    listed: set[str] = set()
    for title, belongs in _GROUPS:
        rows = [op for op in _distinct() if _signature(op) not in listed and belongs(op)]
        listed |= {_signature(op) for op in rows}
        parts.append(f"## {title}\n\n| operator | gives | meaning | lookback | reach |\n|---|---|---|---:|---:|")
        parts[-1] += "".join(f"\n{_row(op)}" for op in rows) + "\n"
    return "\n".join([*parts, _tables(), _genes()])


def _distinct() -> list[Op]:
    """Return a row for each signature; rows over several kinds count once."""
    return list({_signature(op): op for op in reversed(OPS)}.values())[::-1]


def _generic(op: Op) -> Kind | None:
    """Return the kind that `T` stands for in this row, where the row has such a variable."""
    twins = [o for o in BY_NAME[op.name] if len(o.args) == len(op.args) and o.meaning == op.meaning]
    places = [{(o.args[i] if i >= 0 else o.ret) for o in twins} for i in range(-1, len(op.args))]
    varied = [i for i, kinds in enumerate(places) if set(VALUES) <= kinds]
    if not varied:
        return None
    return op.ret if varied[0] == 0 else op.args[varied[0] - 1]


def _signature(op: Op) -> str:
    kind = _generic(op)
    args = ", ".join("T" if arg is kind else str(arg) for arg in op.args)
    return f"{op.name}({args})" if args else op.name


def _row(op: Op) -> str:
    kind, program = _generic(op), _example(op)
    gives = "T" if op.ret is kind else str(op.ret)
    return f"| `{_signature(op)}` | {gives} | {_meaning(op)} | {program.lookback} | {program.reach} |"


def _meaning(op: Op) -> str:
    doc = op.doc.replace("|", "\\|")  # a bar would end the table's cell
    if isinstance(op.meaning, K):
        return doc
    template(op)  # a definition that does not read must not be printed
    return f"{doc}<br>`{op.meaning}`"


def _example(op: Op) -> Program:
    leaf = {kind: next((o.code for o in OPS if o.ret is kind and not o.args), 0) for kind in Kind}
    leaf[Kind.MASK] = -1
    tokens: list[int | str] = [op.code]
    for kind in op.args:
        if kind is Kind.LEVEL:
            tokens.append(level(0.5))
        elif kind in IMMEDIATE:
            tokens.append(window(4 if kind is Kind.FACTOR else 20))
        elif kind is Kind.MASK:
            up = next(o.code for o in BY_NAME["gt"] if o.args == (Kind.PRICE, Kind.PRICE))
            tokens += [up, leaf[Kind.PRICE], leaf[Kind.PRICE] + 3]
        else:
            tokens.append(leaf[kind])
    return Program(tuple(tokens))


def _tables() -> str:
    lines = ["## Numbers", "", "The generator draws from these; a text may use any.", ""]
    lines += [f"- Window: {', '.join(map(str, WINDOWS))}", f"- Factor: {', '.join(map(str, FACTORS))}"]
    lines += [f"- Level, {name}: {', '.join(f'{v:g}' for v in values)}" for name, values in LEVELS.items()]
    words = ", ".join(f"`{word}`: `{text}`" for word, text in PARTS.items())
    return "\n".join([*lines, "", f"Words that only definitions use: {words}.", ""])


def _genes() -> str:
    return "\n".join(["## Genes", "", "```text", (Genes.__doc__ or "").strip(), "```", ""])
