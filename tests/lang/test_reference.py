from __future__ import annotations

from pathlib import Path

from quantga.lang.ops import OPS
from quantga.lang.reference import operators

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == operators(), "write it anew: quantga ops > docs/operators.md"


def test_every_operator_is_listed_with_its_lookback() -> None:
    page = operators()
    for name in {op.name for op in OPS}:
        assert f"| `{name}" in page
    assert "| `mean(T, Window)` | T | simple mean | 19 | " in page
    assert "| `mul(T, Level)` | T | a x level | 0 | 0 |" in page
