"""A rule as a tree, drawn left to right: the decision at the left, what it looks at on the right.

Windows, factors and levels are written into their operator's box, so that the tree shows the thought and not the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from quantga.lang.kinds import Kind
from quantga.lang.program import Program, number
from quantga.report.svg import place, tag, words
from quantga.report.words import Node, phrase, tree_of

SIGNS = {"gt": ">", "lt": "<", "add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "minus"}
_ROW, _BOX, _GAP, _CHAR, _PAD = 36.0, 26.0, 30.0, 7.3, 10.0
_BRANCHES = ("if", "then", "else")


@dataclass(frozen=True, slots=True)
class Box:
    """A node with its place: `x`, `y` is the middle of its left edge; `parent` is a box's index or -1."""

    label: str
    numbers: str
    kind: str
    title: str
    branch: str
    depth: int
    y: float
    parent: int

    @property
    def width(self) -> float:
        """The width of the box in pixels, from the length of its text."""
        text = len(self.label) + (len(self.numbers) + 1 if self.numbers else 0)
        return 2 * _PAD + _CHAR * text


def draw_tree(program: Program) -> str:
    """Return the rule as an `<svg>` of fixed size."""
    boxes = arrange(program)
    columns = _columns(boxes)
    deepest = max(box.depth for box in boxes)
    width = columns[deepest] + max(box.width for box in boxes if box.depth == deepest) + 2
    height = max(box.y for box in boxes) + _ROW / 2
    edges = "".join(_edge(boxes, box, columns) for box in boxes if box.parent >= 0)
    shapes = "".join(_shape(box, columns[box.depth]) for box in boxes)
    right = max(width, *(columns[box.depth] + box.width + 2 for box in boxes))
    return tag(
        "svg", tag("title", escape(f"The rule as a tree: {program.text}")), edges, shapes,
        class_="tree", role="img", width=right, height=height, viewBox=f"0 0 {place(right)} {place(height)}",
    )  # fmt: skip


def arrange(program: Program) -> list[Box]:
    """Return every box of the tree with its row; the first is the root. Leaves take a row each, a parent sits between."""
    boxes: list[Box] = []
    free = iter(range(program.size + 1))

    def add(node: Node, depth: int, parent: int, branch: str) -> int:
        index = len(boxes)
        boxes.append(_box(node, depth, parent, branch))
        series = [arg for arg in node.args if not arg.is_number]
        names = _BRANCHES if node.name == "when" else ("",) * len(series)
        below = [add(arg, depth + 1, index, name) for arg, name in zip(series, names, strict=True)]
        y = (boxes[below[0]].y + boxes[below[-1]].y) / 2 if below else next(free) * _ROW + _ROW / 2
        boxes[index] = _at(boxes[index], y)
        return index

    add(tree_of(program.tokens), 0, -1, "")
    return boxes


def _box(node: Node, depth: int, parent: int, branch: str) -> Box:
    numbers = " ".join(f"{number(arg.token):g}".replace("-", "−") for arg in node.args if arg.is_number)
    kind = str(node.op.ret if node.op else Kind.RATIO).lower()
    family = kind if kind in ("mask", "position") else "value"
    label = SIGNS.get(node.name, node.name.replace("_", " ")) if node.op else str(node.token)
    return Box(label, numbers, family, phrase(node), branch, depth, 0.0, parent)


def _at(box: Box, y: float) -> Box:
    return Box(box.label, box.numbers, box.kind, box.title, box.branch, box.depth, y, box.parent)


def _columns(boxes: list[Box]) -> list[float]:
    """Return the left edge of each depth."""
    left, found = 1.0, []
    for depth in range(max(box.depth for box in boxes) + 1):
        found.append(left)
        inside = [box for box in boxes if box.depth == depth]
        named = any(box.branch for box in boxes if box.depth == depth + 1)
        left += max(box.width for box in inside) + _GAP + (40 if named else 0)
    return found


def _edge(boxes: list[Box], box: Box, columns: list[float]) -> str:
    parent = boxes[box.parent]
    x0, y0 = columns[parent.depth] + parent.width, parent.y
    x1, y1 = columns[box.depth], box.y
    knee = max(x0 + 6, min(x1 - 40, x0 + 40)) if box.branch else x0
    end = x1 - 32 if box.branch else x1
    middle = (max(knee, x0) + end) / 2
    curve = f"M{place(x0)} {place(y0)}C{place(middle)} {place(y0)} {place(middle)} {place(y1)} {place(end)} {place(y1)}"
    label = words(x1 - 4, y1 + 4, box.branch, "branch", "end") if box.branch else ""
    return tag("path", class_="edge", d=curve) + label


def _shape(box: Box, x: float) -> str:
    numbers = tag("tspan", f" {escape(box.numbers)}", class_="num") if box.numbers else ""
    text = tag("text", escape(box.label), numbers, x=x + _PAD, y=box.y + 4.5)
    frame = tag("rect", x=x, y=box.y - _BOX / 2, width=box.width, height=_BOX, rx=6)
    return tag("g", tag("title", escape(box.title)), frame, text, class_=f"box {box.kind}")
