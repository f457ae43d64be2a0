"""`quantga data pull` over real HTTP: a running exchange, and a proxy before it that cuts, repeats, shuffles and omits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from quantga.cli import main
from quantga.errors import DataError, MissingBars
from quantga.store.ingest import metadata, pull
from quantga.store.lake import open_lake
from quantga.store.manifest import heads
from quantga.store.series import read_series
from quantga.venue.hyperliquid import market_answers
from tests.exchange.conftest import Venue, walk, write_bars

HOUR = 3_600_000
START = 1_704_067_200_000
BARS = 3_000


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """An exchange in step mode with hourly bars: 3,000 have closed."""
    replay = tmp_path_factory.mktemp("replay")
    for k, (coin, px, tick) in enumerate((("BTC", 80_000, 1.0), ("ETH", 3_000, 0.1))):
        write_bars(replay, coin, walk(k, px, tick, BARS + 300, 30.0), HOUR, START)
    state = tmp_path_factory.mktemp("exchange") / "state"
    one = Venue(replay, state, {}, "--step", "--no-limits", f"--start={START + BARS * HOUR + 60_000}")
    yield one
    one.stop()


class Proxy:
    """Passes requests on; `bend(number, body, answer)` may change the answer, or raise to cut the connection."""

    def __init__(self, target: str) -> None:
        self.asked: list[dict] = []
        self.bend = lambda _number, _body, answer: answer
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(data)
                proxy.asked.append(body)
                request = urllib.request.Request(target + self.path, data, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=120) as answer:
                    found = json.loads(answer.read())
                try:
                    found = proxy.bend(len(proxy.asked), body, found)
                except ConnectionError:
                    self.close_connection = True
                    self.connection.close()
                    return
                text = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def count(self, kind: str) -> int:
        return sum(body["type"] == kind for body in self.asked)


@pytest.fixture
def proxy(exchange):
    one = Proxy(exchange.url)
    yield one
    one.server.shutdown()
    one.server.server_close()
    one.thread.join()


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `quantga data pull`; return its exit code, its JSON (or None) and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(url, *more, coins="BTC", interval="1h", store="lake"):
        words = [
            "data",
            "pull",
            "--symbols",
            coins,
            "--interval",
            interval,
            "--store",
            store if "://" in store else str(tmp_path / store),
        ]
        with pytest.raises(SystemExit) as left:
            sys.exit(main([*words, *(["--venue-url", url] if url else []), "--json", *more]))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return left.value.code or 0, json.loads(out.splitlines()[-1]) if out.strip() else None, err

    return run


def stored(tmp_path, kind="bars", coin="BTC", store="lake"):
    lake = open_lake(tmp_path / store)
    (manifest,) = heads(lake)
    return read_series(lake, manifest.entries(kind, coin)), manifest


def candles(exchange, coin="BTC"):
    req = {"coin": coin, "interval": "1h", "startTime": 0, "endTime": 2**53}
    return exchange.info({"type": "candleSnapshot", "req": req})


WHOLE: dict[int, dict] = {}


@pytest.fixture
def whole(run, exchange, tmp_path):
    """The dataset of a pull that nothing disturbed, into a store of its own."""
    now = exchange.control(do="status")["market"]
    if now not in WHOLE:
        code, WHOLE[now], _ = run(exchange.url, store="whole")
        assert code == 0
    return WHOLE[now]


def test_all_that_has_closed_and_nothing_else(run, exchange, tmp_path):
    code, found, said = run(exchange.url, coins="BTC,ETH")
    assert code == 0, said
    rows = candles(exchange)
    bars, manifest = stored(tmp_path)
    assert bars.times.tolist() == [row["t"] for row in rows[:-1]]  # the last one is open
    for name in ("open", "high", "low", "close", "volume"):
        assert bars.columns[name].tolist() == [float(row[name[0]]) for row in rows[:-1]]
    assert found["symbols"]["BTC"]["bars"] == BARS
    assert found["symbols"]["BTC"]["absent"] == 0
    assert found["venue"] == manifest.venue == "hyperliquid_paper"
    assert manifest.symbols == ("BTC", "ETH")
    rates, _ = stored(tmp_path, "funding")
    assert rates.times.tolist() == [START + HOUR * k for k in range(BARS + 1)]
    assert manifest.instrument("BTC").locked_from < manifest.instrument("BTC").end
    assert "BTC funding: 500 rates" in said
    # The assets, the time, then for each coin 4 pages of bars (the last has none, and is asked for twice) and 7 of rates.
    assert found["requests"] == 2 + 2 * (3 + 2 + 7)


def test_again_nothing_then_only_what_is_new(run, proxy, exchange, tmp_path):
    _, first, _ = run(proxy.url)
    code, again, _ = run(proxy.url)
    assert code == 0
    assert again["dataset"] == first["dataset"]
    assert again["symbols"]["BTC"]["bars"] == again["symbols"]["BTC"]["fundings"] == 0
    exchange.step(3 * HOUR)
    before = proxy.count("candleSnapshot")
    _, later, _ = run(proxy.url)
    assert later["symbols"]["BTC"]["bars"] == later["symbols"]["BTC"]["fundings"] == 3
    pages = [body["req"] for body in proxy.asked if body["type"] == "candleSnapshot"][before:]
    assert pages[0]["endTime"] - pages[0]["startTime"] == 3 * HOUR - 1
    bars, manifest = stored(tmp_path)
    assert np.all(np.diff(bars.times) == HOUR)
    assert manifest.instrument("BTC").missing == 0


def test_429_and_502_are_waited_out(run, exchange, whole):
    exchange.fault("too_many", count=1)
    code, found, said = run(exchange.url)
    assert code == 0
    assert "trying again" in said
    assert found["dataset"] == whole["dataset"]
    exchange.fault("bad_gateway", count=2)
    assert run(exchange.url, store="other")[1]["dataset"] == whole["dataset"]


def cut_from(number):
    def bend(asked, _body, answer):
        if asked >= number:
            raise ConnectionResetError
        return answer

    return bend


@pytest.mark.parametrize("number", [2, 5, 9])
def test_cut_anywhere_and_resumed_it_is_the_same_dataset(run, proxy, whole, monkeypatch, tmp_path, number):
    monkeypatch.setattr(pull, "_TRIES", 2)
    proxy.bend = cut_from(number)
    code, _, said = run(proxy.url)
    assert code == 1
    assert ("give the same command again to go on" if number > 1 else "is it up") in said
    had = stored(tmp_path)[0].times.size if heads(open_lake(tmp_path / "lake")) else 0
    proxy.bend = lambda _number, _body, answer: answer
    code, found, _ = run(proxy.url)
    assert code == 0
    assert found["dataset"] == whole["dataset"]
    assert found["symbols"]["BTC"]["bars"] == whole["symbols"]["BTC"]["bars"] - had


def test_killed_and_resumed_it_is_the_same_dataset(run, proxy, whole, tmp_path):
    entered = threading.Event()

    def bend(asked, _body, answer):
        if asked == 9:
            entered.set()
            time.sleep(150)
        return answer

    proxy.bend = bend
    words = ["data", "pull", "--symbols", "BTC", "--interval", "1h", "--venue-url", proxy.url]
    code = "from quantga.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--store", str(tmp_path / "lake")],
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    assert entered.wait(120)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    proxy.bend = lambda _number, _body, answer: answer
    assert run(proxy.url)[1]["dataset"] == whole["dataset"]


def test_ctrl_c_keeps_what_came_and_says_how_to_go_on(proxy, run, exchange, tmp_path):
    """In the middle of the second coin: the first one is there, and of the second what had come."""
    closed = len(candles(exchange)) - 1
    arrived, go_on = threading.Event(), threading.Event()

    def bend(_asked, body, answer):
        if body["type"] == "candleSnapshot" and body["req"]["coin"] == "ETH" and proxy.count("candleSnapshot") > 7:
            arrived.set()
            go_on.wait(120)
        return answer

    proxy.bend = bend
    words = ["data", "pull", "--symbols", "BTC,ETH", "--interval", "1h", "--venue-url", proxy.url]
    command = [sys.executable, "-c", "from quantga.cli import main; main()", *words, "--store", str(tmp_path / "lake")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert arrived.wait(120)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=120)
    go_on.set()
    assert process.returncode == 130
    last = "stopped: what came is stored, nothing is half-written; give the same command again to go on"
    assert said.splitlines()[-1] == last
    assert "Traceback" not in said
    assert out == ""
    proxy.bend = lambda _number, _body, answer: answer
    assert stored(tmp_path)[0].times.size == closed
    had = stored(tmp_path, coin="ETH")[0].times.size
    assert 0 < had < closed
    code, found, _ = run(proxy.url, coins="BTC,ETH")
    assert code == 0
    assert (found["symbols"]["BTC"]["bars"], found["symbols"]["ETH"]["bars"]) == (0, closed - had)
    undisturbed = run(proxy.url, coins="BTC,ETH", store="other")[1]
    assert found["dataset"] == undisturbed["dataset"]


def test_pages_that_repeat_and_are_out_of_order(run, proxy, whole):
    def bend(asked, body, answer):
        if body["type"] in ("candleSnapshot", "fundingHistory"):
            answer = answer + answer[: len(answer) // 2]
            random.Random(asked).shuffle(answer)
        return answer

    proxy.bend = bend
    assert run(proxy.url)[1]["dataset"] == whole["dataset"]


def without(body, answer, lost):
    return answer if body["type"] != "candleSnapshot" else [row for row in answer if row["t"] not in lost]


def test_a_hole_is_no_silence_of_the_market(run, proxy, whole, tmp_path):
    lost = {START + HOUR * k for k in (100, 101, 2_000)}
    proxy.bend = lambda _asked, body, answer: without(body, answer, lost)
    code, found, said = run(proxy.url)
    assert code == 0
    assert found["symbols"]["BTC"]["absent"] == 3
    assert "does not mean that nobody traded" in said
    bars, manifest = stored(tmp_path)
    assert not lost & set(bars.times.tolist())
    assert manifest.instrument("BTC").missing == 3
    proxy.bend = lambda _asked, _body, answer: answer
    code, found, _ = run(proxy.url)
    assert (code, found["symbols"]["BTC"]["absent"]) == (0, 0)
    assert found["dataset"] == whole["dataset"]


def test_a_hole_that_is_there_once_only_is_healed_at_once(run, proxy, whole):
    lost, seen = {START + HOUR * 2_500}, []

    def bend(_asked, body, answer):
        if body["type"] == "candleSnapshot" and len(without(body, answer, lost)) < len(answer) and not seen:
            seen.append(body)
            return without(body, answer, lost)
        return answer

    proxy.bend = bend
    found = run(proxy.url)[1]
    assert seen
    assert found["dataset"] == whole["dataset"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"h": "1.0"}, "no bar"),
        ({"c": "NaN"}, "no finite number"),
        ({"t": START + HOUR + 1, "T": START + 2 * HOUR}, "not 3600000 ms"),
        ({"s": "ETH"}, "answered ETH 1h when asked for BTC 1h"),
    ],
)
def test_what_is_no_bar_is_refused_with_its_reason(run, proxy, monkeypatch, change, words):
    monkeypatch.setattr(pull, "_TRIES", 1)

    def bend(_asked, body, answer):
        if body["type"] == "candleSnapshot" and answer:
            answer[0] |= change
        return answer

    proxy.bend = bend
    code, _, said = run(proxy.url)
    assert code in (1, 2)
    assert words in said


def test_a_bar_that_the_venue_changed_is_refused_unless_told(run, proxy, tmp_path):
    run(proxy.url)
    gone = START + HOUR * 1_000
    bars, _ = stored(tmp_path)
    old = float(bars.columns["volume"][1_000])

    def bend(_asked, body, answer):
        for row in answer if body["type"] == "candleSnapshot" else ():
            row["v"] = str(old + 1) if row["t"] == gone else row["v"]
        return answer

    # A second store lacks two bars on both sides of the changed one, so that the page holds it.
    proxy.bend = lambda asked, body, answer: without(body, answer, {gone - HOUR, gone + HOUR})
    run(proxy.url, store="holes")
    proxy.bend = bend
    code, _, said = run(proxy.url, store="holes")
    assert code == 2
    assert "--replace" in said
    code, _, _ = run(proxy.url, "--replace", store="holes")
    assert code == 0
    assert stored(tmp_path, store="holes")[0].columns["volume"][1_000] == old + 1


def test_since_and_then_all(run, exchange, whole, tmp_path):
    _, found, _ = run(exchange.url, "--since", "20240401")
    assert found["symbols"]["BTC"]["first"].startswith("2024-04-01")
    assert stored(tmp_path, "funding")[0].times[0] == 1_711_929_600_000
    assert run(exchange.url)[1]["dataset"] == whole["dataset"]


def test_a_listing_is_not_preceded_by_bars_without_volume(run, proxy, tmp_path):
    def bend(_asked, body, answer):
        for row in answer if body["type"] == "candleSnapshot" else ():
            if row["t"] < START + HOUR * 1_000:
                row |= {"v": "0.0", "n": 0}
        return answer

    proxy.bend = bend
    _, found, said = run(proxy.url)
    assert stored(tmp_path)[0].times[0] == START + HOUR * 1_000
    assert "from before its listing" in said
    assert run(proxy.url)[1]["dataset"] == found["dataset"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ({"coins": "btc"}, 2, "has BTC"),
        ({"coins": "BTC,NOPE"}, 2, "no perpetual 'NOPE'"),
        ({"interval": "7h"}, 2, "not one that can be pulled: 1m, 3m"),
        ({"interval": "6h"}, 2, "not one that can be pulled"),
        ({"coins": ""}, 2, "say what to pull"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, exchange, tmp_path, words, code, sentence):
    found, _, said = run(exchange.url, **words)
    assert found == code
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_addresses(run, tmp_path, monkeypatch):
    monkeypatch.setattr(pull, "_TRIES", 1)
    code, _, said = run("http://127.0.0.1:9")
    assert code == 1
    assert "http://127.0.0.1:9 did not answer (Connect call failed" in said
    assert "is it up" in said
    code, _, said = run("http://example.invalid")
    assert code == 2
    assert "--network mainnet, testnet or paper" in said
    code, _, said = run("ftp://127.0.0.1")
    assert code == 2
    assert "no address of a venue" in said
    (tmp_path / "file").write_text("")
    code, _, said = run("http://127.0.0.1:9", store="file")
    assert code == 2
    assert "give a folder" in said


@pytest.mark.parametrize("network", ["mainnet", "testnet"])
def test_networks_are_filed_apart(run, exchange, tmp_path, network):
    code, found, _ = run(exchange.url, "--network", network)
    assert code == 0
    assert found["venue"] == {"mainnet": "hyperliquid", "testnet": "hyperliquid_testnet"}[network]


def test_into_a_bucket(run, exchange, whole, bucket):
    code, found, said = run(exchange.url, store=bucket)
    assert code == 0, said
    assert found["dataset"] == whole["dataset"]
    assert metadata.metadata_at(open_lake(bucket), "hyperliquid_paper", 2**42).meta().asset("BTC").size_decimals == 5


META = {"universe": [{"name": name, "szDecimals": 2, "maxLeverage": 10} for name in ("BTC", "ETH")]}


def known(*changes):
    rows = [{**row, **change} for row, change in zip(META["universe"], changes or ({}, {}), strict=False)]
    return market_answers.meta({"universe": rows})


def test_metadata_are_those_of_their_time(tmp_path):
    lake = open_lake(tmp_path)
    assert metadata.keep(lake, "x", known(), 1_000).new
    assert not metadata.keep(lake, "x", known(), 2_000).new
    assert metadata.keep(lake, "x", known({"maxLeverage": 5}, {}), 3_000).new
    assert metadata.keep(lake, "x", known({"maxLeverage": 5}, {"isDelisted": True}), 2_500).new
    with pytest.raises(MissingBars, match="from now on"):
        metadata.metadata_at(lake, "x", 999)
    assert metadata.metadata_at(lake, "x", 2_999).meta() == known()
    assert metadata.metadata_at(lake, "x", 3_000).meta().asset("BTC").max_leverage == 5
    assert not metadata.metadata_at(lake, "x", 9_000).meta().asset("ETH").tradable
    (btc, eth) = metadata.metadata_at(lake, "x", 1_000).instruments()
    assert (btc.base, eth.base, btc.size_decimals, btc.max_leverage) == ("BTC", "ETH", 2, 10)


@pytest.mark.parametrize("other", [known({"name": "ETH"}, {"name": "BTC"}), known({"name": "BTC"})])
def test_assets_never_change_their_numbers(tmp_path, other):
    lake = open_lake(tmp_path)
    metadata.keep(lake, "x", known(), 1_000)
    with pytest.raises(DataError, match="numbers its assets in another way"):
        metadata.keep(lake, "x", other, 2_000)


def test_spans_that_are_missing():
    have = np.array([0, 10, 20, 60, 70, 5_000], dtype=np.int64)
    assert pull.missing(have, 0, 80, 10) == [(30, 50)]
    assert pull.missing(have, 5, 200, 10) == [(30, 190)]
    far = np.arange(0, 100_000, 10, dtype=np.int64)
    assert pull.missing(np.setdiff1d(far, [100, 90_000]), 0, 100_000, 10) == [(90_000, 90_000), (100, 100)]
    assert pull.missing(far, 0, 100_000, 10) == []
