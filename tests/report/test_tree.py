from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

import pytest

from quantga.lang.classics import CLASSICS
from quantga.lang.parse import parse
from quantga.report.tree import arrange, draw_tree
from tests.report.made import TEXTS


@pytest.mark.parametrize("text", [*CLASSICS.values(), *TEXTS, "long", "scale(0.5)", "when(gt($mood, 0.5), long, hold)"])
def test_a_tree_is_a_drawing_whose_boxes_do_not_touch(text: str):
    program = parse(text)
    boxes = arrange(program)
    assert boxes[0].parent == -1
    assert all(boxes[box.parent].depth == box.depth - 1 for box in boxes[1:])
    for depth in {box.depth for box in boxes}:
        rows = sorted(box.y for box in boxes if box.depth == depth)
        assert all(b - a >= 30 for a, b in itertools.pairwise(rows))
    drawing = ET.fromstring(draw_tree(program))
    assert len(drawing.findall("g")) == len(boxes)
    assert len(drawing.findall("path")) == len(boxes) - 1
    right, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    for frame in drawing.iter("rect"):
        assert float(frame.attrib["x"]) >= 0
        assert float(frame.attrib["x"]) + float(frame.attrib["width"]) <= right
        assert float(frame.attrib["y"]) >= 0
        assert float(frame.attrib["y"]) + float(frame.attrib["height"]) <= height


def test_numbers_stand_in_the_box_of_their_operator_and_branches_have_names():
    boxes = arrange(parse("when(gt(rsi(close, 14), level(70)), short, hold)"))
    assert [(box.label, box.numbers, box.branch) for box in boxes] == [
        ("when", "", ""),
        (">", "70", "if"),
        ("rsi", "14", ""),
        ("close", "", ""),
        ("short", "", "then"),
        ("hold", "", "else"),
    ]
