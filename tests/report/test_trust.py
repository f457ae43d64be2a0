"""The page's part about belief: every picture is there, well-formed, and says what it may say and no more."""

from __future__ import annotations

import math
import re
import shutil
from xml.etree import ElementTree as ET

import pytest

from quantga.report import read_run, render
from quantga.report.trust_figures import luck_histogram, power_figure, slices_figure
from quantga.store.lake import open_lake
from quantga.store.manifest import read_manifest
from tests.cluster.judged import TERMS, evolved, settings, store_of, validated

TITLES = ("Before and after", "Luck", "The funnel", "What this history can show", "Dearer", "Later", "Slice by slice")


@pytest.fixture(scope="module")
def promoted(tmp_path_factory):
    store = store_of(tmp_path_factory.mktemp("promoted"), 0.15)
    run = evolved(store)
    return store, run.id, validated(store, terms=TERMS)


@pytest.fixture(scope="module")
def unopened(tmp_path_factory):
    store = store_of(tmp_path_factory.mktemp("unopened"), 0.0)
    run = evolved(store)
    return store, run.id, validated(store, terms=TERMS)


def page_of(store, run):
    return render(read_run(open_lake(store), run))


def drawings(page):
    """Return every picture as parsed XML; a broken one raises."""
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def belief(page):
    return page[page.index('<section id="trust">') : page.index('<section id="champions">')]


def numbers(element):
    for one in element.iter():
        for key in ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "width", "height", "r"):
            if key in one.attrib:
                yield key, float(one.attrib[key])
        for value in re.findall(r"-?\d+(?:\.\d+)?", one.attrib.get("d", "")):
            yield "d", float(value)


@pytest.mark.parametrize("which", ["promoted", "unopened"])
def test_every_picture_is_well_formed_and_inside_its_frame(which, request):
    store, run, _ = request.getfixturevalue(which)
    part = belief(page_of(store, run))
    found = drawings(part)
    assert len(found) >= 16
    for svg in found:
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        values = list(numbers(svg))
        assert all(math.isfinite(value) for _, value in values)
        assert all(value >= 0 for key, value in values if key in ("width", "height", "r"))
        assert all(-20 <= value <= max(width, height) + 20 for _, value in values)
        assert svg.attrib["aria-label"]


def test_a_promotion_says_what_it_rests_on(promoted):
    store, run, done = promoted
    page = page_of(store, run)
    part = belief(page)
    assert "<b>Promoted.</b>" in page
    assert all(f"<h3>{title}</h3>" in part for title in (*TITLES, "What was tried, then and later", "The ledger"))
    assert done.strategies[0] in part
    assert "19 markets made of these bars" in page
    assert "opened once" in part
    assert "That a promoted strategy is real: at a level of 5.0" in part
    assert "96 % of searches in pure noise pass PBO" in part
    assert "locked holdout has not been read" not in page


def test_an_unopened_holdout_is_shown_shut(unopened):
    store, run, _ = unopened
    part = belief(page_of(store, run))
    assert "Nothing found that luck would not find" in part
    assert "holdout, unopened" in part
    assert "What was tried, then and later" not in part
    assert "can still answer another search" in part


def test_before_a_validation_the_page_says_how_to_get_one(promoted, tmp_path):
    store = shutil.copytree(promoted[0], tmp_path / "store")
    for name in ("validation.json", "validation.parquet"):
        (store / "runs" / promoted[1] / name).unlink()
    part = belief(page_of(store, promoted[1]))
    assert "was not validated" in part
    assert "<svg" not in part


def test_the_page_of_a_validated_run_reads_no_locked_bar(promoted, monkeypatch):
    """All that it draws of the holdout is in the run's files."""
    store, run, _ = promoted
    chosen = settings(store)
    manifest = read_manifest(open_lake(store), read_run(open_lake(store), run).provenance[0][1].split()[0])
    assert manifest.venue == "made"
    assert chosen.store.path == str(store)
    read = []
    from quantga.report import load as loading

    def watched(lake, data, symbols, start, end, **more):
        read.append((end, more))
        return real(lake, data, symbols, start, end, **more)

    real = loading.load
    monkeypatch.setattr(loading, "load", watched)
    page_of(store, run)
    assert [more for _, more in read] == [{"unlocked": False}]


def test_odd_records_are_drawn_too():
    search = {"maxima": [None, 1.0, 1.0], "score": 1.0, "exceedances": 2}
    rows = [{"program": "abcdefgh", "slices": [None, -3.0], "holdout": None}]
    power = {
        "years": [1.0, 1.0],
        "words": [],
        "lengths": [{"years": 2, "power": [0, 0.5, 1]}, {"years": 9, "power": [0, 1, 1]}],
    }
    for picture in (luck_histogram(search, ""), slices_figure(rows, ""), power_figure(power, "")):
        assert drawings(picture)
