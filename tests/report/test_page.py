from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from quantga.report.page import render
from quantga.report.record import Costs, RunReport
from quantga.report.series import luck_line
from tests.report.made import made_report

NBSP = "\u00a0"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What is on a page; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.cells: dict[str, str] = {}
        self._cell = ""
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if dict(attrs).get("id"):
            self.ids.append(dict(attrs)["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data


@pytest.fixture(scope="module")
def one() -> str:
    return render(made_report(1, 3, title="BTC <planted> & more"))


@pytest.fixture(scope="module")
def many() -> str:
    return render(made_report(8, 6, seed=3), made_report(2, 2, seed=4, title="its twin"))


def test_the_page_is_whole(one: str, many: str):
    for text in (one, many):
        page = Page(text)
        assert len(page.ids) == len(set(page.ids))
        for _, attributes in page.attributes:
            for name in ("aria-controls", "aria-labelledby"):
                assert attributes.get(name, page.ids[0]) in page.ids
            if attributes.get("href", "").startswith("#"):
                assert attributes["href"][1:] in page.ids
    assert {"verdict", "champions", "champion-1", "champion-3", "search", "limits", "settings"} <= set(Page(one).ids)
    assert "comparison" in Page(many).ids
    assert "comparison" not in Page(one).ids
    assert "BTC <planted> & more" in Page(one).text


def test_the_page_needs_nothing_from_outside(one: str, many: str):
    for text in (one, many):
        assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|<link|src=", text.replace("// ", ""))
        assert text.count("<script") == text.count("</script>")


def test_the_page_is_light(one: str, many: str):
    assert len(one.encode()) < 700_000
    assert len(many.encode()) < 1_500_000


def test_tiles_and_table_show_the_metrics(one: str):
    report = made_report(1, 3)
    panels = one.split('role="tabpanel"')[1:]
    assert len(panels) == 3
    for champion, panel in zip(report.champions, panels, strict=True):
        tiles = dict(re.findall(r"data-tile=['\"](\w+)['\"]>([^<]*)<", panel))
        cells = dict(re.findall(r'data-metric="(\w+)">.*?<td>([^<]*)</td>', panel))
        assert set(cells) == set(champion.metrics) - {"days"}
        for key, shown in tiles.items():
            assert cells[key] == shown
        assert number(cells["sharpe"]) == pytest.approx(champion.metrics["sharpe"], abs=0.005)
        for key in ("total_return", "max_drawdown", "win_rate", "best_day", "cagr"):
            assert number(cells[key]) / 100 == pytest.approx(champion.metrics[key], abs=0.0005)
        for key in ("trades", "final_equity", "fees"):
            assert number(cells[key]) == pytest.approx(champion.metrics[key], abs=0.5)


def number(text: str) -> float:
    return float(re.sub(r"[^\d.−]", "", text).replace("−", "-"))


def test_an_undefined_figure_has_its_reason_and_no_number():
    report = made_report(1, 1)
    champion = report.champions[0]
    champion = replace(
        champion, metrics={**champion.metrics, "profit_factor": None, "alpha_sharpe": None},
        reasons={"profit_factor": "no closed trade lost", "alpha_sharpe": "daily returns do not vary"},
    )  # fmt: skip
    text = render(replace(report, champions=(champion,)))
    row = re.search(r'data-metric="profit_factor">(.*?)</tr>', text)
    assert row is not None
    assert "no closed trade lost" in row[1]
    assert "<td>—</td>" in row[1]
    assert not re.search(r"\bnan\b", Page(text).text, re.IGNORECASE)
    assert "Its alpha Sharpe ratio is undefined" in text


def test_every_in_sample_figure_carries_the_trials(one: str):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", one)
    assert captions
    assert all(f"best of 12{NBSP}345 trials" in caption for caption in captions)
    for heading in ("Month by month", "Costs", "All figures"):
        part = one.split(heading)[1][:30_000]
        assert "in-sample · best of" in part


def test_luck_stands_beside_the_champion():
    report = made_report(1, 2)
    luck = luck_line(report.trials, float(report.champions[0].metrics["days"]))
    text = Page(render(report)).text
    assert f"Luck alone would be expected to reach {luck:.2f}." in text
    assert f"luck alone: {luck:.2f}" in text
    assert "no evidence of an edge" in text
    few = Page(render(replace(report, trials=2))).text
    assert "worth a test on bars that the search has not read, and no proof" in few


def test_the_locked_part_is_marked_unless_nothing_is_locked():
    report = made_report(1, 1)
    assert "never read by" in render(report)
    open_span = replace(report.span, locked_from=0, locked_to=0)
    text = render(replace(report, span=open_span, unlocked=True))
    assert "never read by" not in text
    assert "cannot be promoted" in text


def test_a_run_without_champions_has_a_page():
    text = render(replace(made_report(1, 1), champions=(), front=()))
    assert "No program of this run traded" in text
    Page(text)


def test_the_months_of_the_page_compound_to_its_return(one: str):
    report = made_report(1, 1)
    totals = re.findall(r'class="total">([^<]*)<', one.split("<h4>Trades", maxsplit=1)[0])
    grown = 1.0
    for total in totals:
        grown *= 1 + number(total) / 100
    assert grown - 1 == pytest.approx(report.champions[0].metrics["total_return"], abs=0.003)


def test_trades_are_all_there_to_be_read(one: str):
    trades = made_report(1, 1).champions[0].results[0].trades
    data = [json.loads(part) for part in re.findall(r'<script type="application/json">(.*?)</script>', one)]
    rows = next(part for part in data if part.get("kind") == "trades")
    assert len(rows["t"]) == len(rows["x"]) == len(trades)
    assert rows["x"] == sorted(rows["x"])
    assert [row[0] for row in rows["t"]] == [trade.side for trade in trades]


def test_the_same_run_gives_the_same_page(one: str):
    assert render(made_report(1, 3, title="BTC <planted> & more")) == one


def _odd() -> dict[str, RunReport]:
    whole = made_report(1, 1)
    champion = whole.champions[0]
    result = champion.results[0]
    n = len(result.time)

    def changed(**fields: object) -> RunReport:
        return replace(whole, champions=(replace(champion, results=(replace(result, **fields),)),))

    def first(rows: int) -> RunReport:
        return changed(time=result.time[:rows], close=result.close[:rows], equity=result.equity[:rows], trades=())

    late = np.arange(n) > n // 2
    return {
        "never traded": changed(trades=(), equity=np.full(n, 1e4), close=np.full(n, 2e4), costs=Costs(0, 0, 0)),
        "ruined": changed(equity=np.where(late, 0.0, result.equity)),
        "three bars": first(3),
        "three days": first(18),
        "bars are missing": changed(close=np.where(np.arange(n) % 50 < 9, np.nan, result.close)),
        "one generation": replace(whole, progress=whole.progress[:1]),
        "nothing but failures": replace(
            whole, progress=tuple(replace(p, best=math.nan, median=-math.inf) for p in whole.progress)
        ),
        "one point": replace(whole, front=whole.front[:1]),
        "no drawdown": replace(whole, front=tuple(replace(p, drawdown=0.0) for p in whole.front)),
        "one trial": replace(whole, trials=1),
        "many trials": replace(whole, trials=10**12),
        "nothing is defined": replace(whole, champions=(replace(champion, metrics=dict.fromkeys(champion.metrics)),)),
    }


ODD = _odd()


@pytest.mark.parametrize("name", ODD)
def test_odd_runs_have_a_page(name: str):
    text = render(ODD[name])
    page = Page(text)
    assert not re.search(r"[^a-z](nan|inf)[^a-z]", page.text.lower())
    drawn = " ".join(
        value for tag, attributes in page.attributes for value in attributes.values() if tag == "path" and value
    )
    assert not re.search(r"nan|inf", drawn)


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_runs_the_script(many: str, tmp_path: Path):
    probe = """<script>
      const errors = []; addEventListener("error", (e) => errors.push(e.message));
      addEventListener("load", () => setTimeout(() => {
        document.getElementById("tab-2").click();
        const figure = document.querySelector("#champion-2 .chart.hover");
        figure.dispatchEvent(new KeyboardEvent("keydown", {key: "End"}));
        document.title = JSON.stringify({errors, shown: [...document.querySelectorAll("[role=tabpanel]")].filter(p => !p.hidden).map(p => p.id),
          tip: document.getElementById("tip").textContent, wide: document.documentElement.scrollWidth <= innerWidth});
      }, 200));
    </script>"""
    file = tmp_path / "page.html"
    file.write_text(many.replace("<main>", probe + "<main>"), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    seen = subprocess.run(
        [str(CHROMIUM), *flags, "--window-size=390,844", "--virtual-time-budget=4000", "--dump-dom", file.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    title = re.search(r"<title>(.*?)</title>", seen)
    assert title is not None
    said = json.loads(title[1].replace("&amp;", "&"))
    assert said["errors"] == []
    assert said["shown"] == ["champion-2"]
    assert said["wide"]
    assert re.match(r"2024-11-\d\d\nchampion .* USDC|2024-\d\d-\d\d\nchampion ", said["tip"])
