"""The page in a real Chromium: what a person does, what is empty, what fails, on a desk and on a phone."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from quantga.service.app import PAGE
from quantga.store.lake import open_lake
from quantga.streams import stream
from tests.service.conftest import UNFINISHED
from tests.service.serving import serving, until
from tests.service.traded import SESSION

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt install chromium")
PARTS = ("evolution", "databank", "trust", "live", "data")
WAIT_MS = 120_000


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Log in and return the page; what goes wrong in it is a failure at the end."""
    wrong: list[str] = []
    contexts = []

    def visit(served, token="read", width=1360, height=900, scheme="light"):
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((served.url, "data:")) else wrong.append(request.url),
        )
        page.goto(served.url)
        page.fill("#token", served.tokens[token])
        page.click("button")
        page.wait_for_selector("main[data-part]")
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        return page

    visit.wrong = wrong
    yield visit
    for context in contexts:
        context.close()
    assert not wrong, wrong


def go(page, part, name=""):
    page.evaluate(
        "place => { document.querySelector('main').removeAttribute('data-part'); location.hash = place; }",
        f"#/{part}{name}",
    )
    page.wait_for_selector(f"main[data-part={part}]")


def test_the_whole_page_is_small_and_from_here(served, visit):
    assert sum(path.stat().st_size for path in PAGE.iterdir()) < 500_000
    page = visit(served)
    got = page.evaluate("performance.getEntriesByType('resource').map(x => [x.name, x.transferSize])")
    assert all(name.startswith(served.url) for name, _ in got)
    assert sum(size for _, size in got) < 500_000


def test_a_wrong_token_is_told_and_leaving_ends_it(served, chromium):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served.url)
    page.fill("#token", "qga_00000000_wrong")
    page.press("#token", "Enter")
    assert page.text_content("[role=alert]") == "That token is not valid here."
    page.fill("#token", served.tokens["read"])
    page.press("#token", "Enter")
    page.wait_for_selector("main[data-part=evolution]")
    assert page.evaluate("document.cookie") == ""
    page.click("text=Leave")
    page.wait_for_selector("#token")
    context.close()


def test_every_part_on_a_desk_and_on_a_phone_dark_and_light(served, visit):
    backgrounds = set()
    for width, scheme in ((1360, "light"), (390, "dark")):
        page = visit(served, width=width, scheme=scheme)
        for part in PARTS:
            go(page, part)
            assert page.text_content("h1").lower() == part
            assert page.get_attribute(".bar nav a[aria-current]", "href") == f"#/{part}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (part, width)
            assert page.locator(".error[role=alert] >> text=That did not work").count() == 0
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in backgrounds - {"rgb(13, 17, 21)"}


def test_a_run_is_seen_while_it_goes(judged, tmp_path, visit):
    store = shutil.copytree(judged[0], tmp_path / "store")
    with serving(store, tmp_path / "state") as one:
        page = visit(one)
        go(page, "evolution", f"/{UNFINISHED}")
        page.wait_for_selector("#state.live")
        assert page.text_content(".tiles dd").startswith("1 of 3")
        to = store / "runs" / UNFINISHED / "gen=0001"
        to.mkdir()
        for name in ("appraisals.parquet", "state.json"):  # the commit mark comes last
            shutil.copy(store / "runs" / judged[1] / "gen=0001" / name, to)
        page.wait_for_selector(".tiles dd >> text=2 of 3")
        shutil.copy(store / "runs" / judged[1] / "front.parquet", store / "runs" / UNFINISHED)
        page.wait_for_selector("#state:text-is('finished')")


def test_real_stands_against_placebo(served, judged, visit):
    page = visit(served)
    go(page, "evolution", f"/{judged[1]}")
    assert page.locator(".tiles >> text=Placebo").count() == 1
    assert page.locator("rect.placebo").count() == 1
    assert page.locator("svg.plot path.line").count() == 4


def test_a_databank_is_walked_with_the_keyboard_and_compared(served, judged, visit):
    page = visit(served)
    go(page, "databank", f"/{judged[1]}")
    page.focus(".bank-view")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    assert page.locator(".bank-row[aria-selected=true]").count() == 2
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog .tree")
    page.wait_for_selector("dialog .equity svg.plot")
    assert page.locator("dialog .rule p").count() >= 1
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.click("text=Compare")
    page.wait_for_selector("dialog .equity svg.plot")
    assert page.locator("dialog .equity path.line").count() == 3
    page.keyboard.press("Escape")
    before = page.text_content(".bank-row .text")
    page.click("text=score ↓")
    page.wait_for_selector("text=score ↑")
    page.wait_for_function("before => document.querySelector('.bank-row .text').textContent !== before", arg=before)
    page.fill("input[name=max_size]", "1")
    page.wait_for_selector("text=loosen the filters")
    page.fill("input[name=max_size]", "")
    page.wait_for_selector(".bank-row .text")


def test_a_verdict_is_shown_with_luck_funnel_power_and_ledger(served, judged, visit):
    page = visit(served)
    go(page, "trust", f"/{judged[1]}")
    assert page.text_content(".lead").startswith("Promoted.")
    for title in ("Luck", "The funnel", "What this history can show", "Shortlist", "Promoted strategies", "The ledger"):
        assert page.locator(f"h2:text-is('{title}')").count() == 1, title
    assert page.text_content(".badge.good >> text=chain is whole")
    go(page, "trust", f"/{UNFINISHED}")
    assert page.locator("text=This run was not validated").count() == 1


def test_what_trades_is_shown(served, visit):
    page = visit(served)
    go(page, "live", f"/{SESSION}")
    assert page.text_content(".head .badge") == "halted"
    assert page.locator("text=a position that fills do not explain").count() == 1
    assert page.locator(".badge >> text=unknown").count() == 1


def test_who_may_trade_halts_after_typing_what(judged, tmp_path, visit):
    store = shutil.copytree(judged[0], tmp_path / "store")
    with serving(store, tmp_path / "state") as one:
        page = visit(one)
        go(page, "live")
        assert page.locator("button >> text=Flatten").count() == 0
        page = visit(one, "trade")
        go(page, "live")
        page.click("button >> text=Flatten")
        assert page.is_disabled("dialog button[type=submit]")
        page.fill("dialog input", SESSION)
        page.click("dialog button[type=submit]")
        page.wait_for_selector("dialog [role=alert] >> text=no trader lives")
        page.click("text=Cancel")
        page.click("button >> text=Halt")
        page.fill("dialog input", SESSION)
        page.press("dialog input", "Enter")
        page.wait_for_selector("text=The account: halt by trade")
    visit.wrong[:] = [line for line in visit.wrong if "409" not in line]


def test_an_empty_store_says_what_to_do(tmp_path, visit):
    (tmp_path / "store").mkdir()
    with serving(tmp_path / "store", tmp_path / "state") as one:
        page = visit(one)
        said = {
            "evolution": "quantga evolve",
            "databank": "quantga evolve",
            "trust": "quantga validate last",
            "live": "quantga validate last",
            "data": "quantga data import",
        }
        for part, command in said.items():
            go(page, part)
            assert page.text_content(".empty code").startswith(command), part


def test_what_fails_is_told_and_can_be_tried_again(judged, tmp_path, visit):
    store = shutil.copytree(judged[0], tmp_path / "store")
    with serving(store, tmp_path / "state") as one:
        page = visit(one)
        kept = (store / "runs" / judged[1] / "validation.json").read_bytes()
        (store / "runs" / judged[1] / "validation.json").write_bytes(b"{")
        go(page, "trust", f"/{judged[1]}")
        assert "is not JSON" in page.text_content("[role=alert] p")
        (store / "runs" / judged[1] / "validation.json").write_bytes(kept)
        page.click("text=Try again")
        page.wait_for_selector(".lead")
        page.route("**/api/v1/datasets", lambda route: route.abort())
        go(page, "data")
        assert "does not answer" in page.text_content("[role=alert] p")
    visit.wrong[:] = [line for line in visit.wrong if "503" not in line and "ERR_FAILED" not in line]


MANY = 10_000


def large(root):
    """A store with one run of 10,000 programs, as an evolution writes it."""
    lake = open_lake(root)
    search = {"seed": 1, "islands": 1, "generations": 1}
    made = {
        "run": "large",
        "science": {"data": {"symbols": ["ONE"], "interval": "1h", "venue": "made"}, "search": search},
    }
    lake.put_json("runs/large/run.json", made)
    draw = stream(1, "large")
    columns = {
        "island": [0] * MANY,
        "id": [f"{i:016x}" for i in range(MANY)],
        "text": [f"when(gt(rsi(close, {i % 50 + 2}), level({i % 90})), short, hold)" for i in range(MANY)],
        "size": [8] * MANY,
        "behaviour": pa.array(range(MANY), pa.uint64()),
        **{name: draw.normal(size=MANY) for name in ("score", "alpha_sharpe", "sharpe", "total_return", "max_drawdown")},
        "trades": [100.0] * MANY,
    }  # fmt: skip
    lake.put_table("runs/large/gen=0000/appraisals.parquet", pa.table(columns))
    members = [[f"{i:016x}", 0] for i in range(100)]
    lake.put_json("runs/large/gen=0000/state.json", {"generation": 1, "trials": MANY, "islands": [members]})
    lake.put_table(
        "runs/large/front.parquet", pa.table({name: columns[name][:5] for name in ("id", "text", "size", "score")})
    )
    return root


def test_ten_thousand_programs_are_scrolled_with_few_elements(tmp_path, visit):
    with serving(large(tmp_path / "store"), tmp_path / "state") as one:
        page = visit(one)
        go(page, "databank", "/large")
        assert "10\u202f000 programs" in page.text_content(".bank-foot")
        frames = page.evaluate(
            """async () => {
                const view = document.querySelector('.bank-view'), times = [], counts = [];
                let last = performance.now();
                for (let i = 0; i < 240; i += 1) {
                    view.scrollTop += 300;
                    const now = await new Promise(requestAnimationFrame);
                    times.push(now - last); last = now;
                    counts.push(document.querySelectorAll('.bank-row').length);
                }
                return {times: times.sort((a, b) => a - b), most: Math.max(...counts)};
            }"""
        )
        assert frames["most"] < 80
        print("frames, ms: median", frames["times"][120], "95 %", frames["times"][228], "longest", frames["times"][-1])
        page.focus(".bank-view")
        page.keyboard.press("End")
        last = until(lambda: page.locator(f".bank-row[aria-posinset='{MANY}']").get_attribute("data-id"))
        whole = one.read(f"/api/v1/runs/large/programs?offset={MANY - 1}")["programs"]
        assert last == whole[0]["id"]
