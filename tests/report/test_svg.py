from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantga.report.svg import area, log_steps, path, place, steps, tag, thin, time_steps, words


def test_text_cannot_leave_its_place():
    assert tag("path", class_="a", d='"<&') == '<path class="a" d="&quot;&lt;&amp;"/>'
    assert words(1, 2.04, "a<b") == '<text x="1" y="2">a&lt;b</text>'
    assert tag("rect", x=None) == "<rect/>"


def test_coordinates_are_short():
    assert [place(v) for v in (1, 1.04, -0.04, 10.26, -3.0)] == ["1", "1", "0", "10.3", "-3"]


def test_a_gap_breaks_the_line():
    assert path([0, 1, 2, 3], [1, 2, float("nan"), 4]) == "M0 1L1 2M3 4"
    assert area(np.array([0.0, 1.0]), np.array([2.0, 3.0]), 9) == "M0 9L0 2L1 3L1 9Z"


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 10))
def test_ticks_are_round_inside_and_few(low: float, width: float, wanted: int):
    found = steps(low, low + width, wanted)
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in found)
    assert 1 <= len(found) <= wanted + 2


def test_ticks_of_logarithmic_and_time_axes():
    assert log_steps(9000, 31_000, 4) == [10_000, 15_000, 20_000, 30_000]
    labels = [label for _, label in time_steps(1_672_531_200_000, 1_735_689_600_000, 8)]
    assert labels == ["2023", "Jul", "2024", "Jul", "2025"]
    assert time_steps(1_672_531_200_000, 1_672_531_200_000 + 5 * 86_400_000, 6)[0][1] == "1 Jan"


def test_thinning_keeps_the_end_and_the_depth():
    time, values = np.arange(1000), np.where(np.arange(1000) == 501, -9.0, 1.0)
    kept, (lowest,) = thin(time, [values], 100, "lowest")
    assert len(kept) == 100
    assert kept[-1] == 999
    assert lowest.min() == -9
    _, (last,) = thin(time, [values], 2000)
    assert last is values
