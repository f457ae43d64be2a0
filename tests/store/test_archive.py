"""`quantga data archive` against a real S3 server with files in the archive's format: cost, fetch once, columns, bars."""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from quantga.cli import main
from quantga.errors import BadBars
from quantga.store.ingest import archive_read, envelope
from quantga.store.ingest.archive import USD_PER_GB, Archive, Wanted
from quantga.store.lake import open_lake
from quantga.store.manifest import heads
from quantga.store.s3_address import parse_address
from quantga.store.s3_calls import client_of
from quantga.store.series import read_series
from tests.store.made import candles, write

DAY = datetime(2025, 6, 2, tzinfo=UTC)
START = round(DAY.timestamp()) * 1000
HOUR = 3_600_000


def packed(text: str) -> bytes:
    return pa.compress(text.encode(), codec="lz4", asbytes=True)


@pytest.fixture
def place(weed, keys):
    """A new bucket; gives its address and a function that puts objects."""
    name = f"archive-{secrets.token_hex(6)}"
    address = f"s3://{name}?endpoint={weed.endpoint}&requester=pays"
    client = client_of(parse_address(address))
    client.create_bucket(Bucket=name)

    def put(key, data):
        client.put_object(Bucket=name, Key=key, Body=data if isinstance(data, bytes) else packed(data))

    return address, put


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run `quantga data …`; return its exit code, its JSON (or None) and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as left:
            sys.exit(main(["data", *words, "--store", str(tmp_path / "lake"), "--json"]))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return left.value.code or 0, json.loads(out.splitlines()[-1]) if out.strip() else None, err

    return run


@pytest.fixture
def bars(run, tmp_path):
    """A store that has hourly bars of BTC around the archive's days."""
    one = candles(400, start=START - 100 * HOUR)
    write(tmp_path / "hyperliquid" / "1h" / "BTC.parquet", one)
    assert run("import", str(tmp_path / "hyperliquid"))[0] == 0


def contexts(day: datetime, minutes: int = 1440, coins=("BTC", "ETH")) -> str:
    rows = [
        "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,impact_bid_px,impact_ask_px"
    ]
    for minute in range(minutes):
        at = day + timedelta(minutes=minute, seconds=7 if minute == 3 else 0)
        for k, coin in enumerate(coins):
            premium = ["", "null", "0.0001"][minute % 3]
            rows.append(f"{at:%Y-%m-%dT%H:%M:%SZ},{coin},0.0000125,{1000 + minute + k},1,2,{premium},100.5,100.25,,,")
    return "\n".join(rows) + "\n"


def series(tmp_path, kind, column="", coin="BTC"):
    lake = open_lake(tmp_path / "lake")
    manifest = heads(lake)[0]
    return read_series(lake, manifest.entries(kind, coin, column))


def test_the_cost_is_told_and_nothing_fetched_without_yes(run, place, bars, tmp_path):
    address, put = place
    data = packed(contexts(DAY, 60))
    put("asset_ctxs/20250602.csv.lz4", data)
    put("asset_ctxs/20250603.csv.lz4", data)
    put("asset_ctxs/20250610.csv.lz4", data)
    words = [
        "archive",
        "contexts",
        "--symbols",
        "BTC",
        "--since",
        "20250601",
        "--until",
        "20250604",
        "--bucket",
        address,
    ]
    code, found, said = run(*words)
    assert code == 0
    assert found["fetched"] is False
    cost = found["cost"]
    assert (cost["files"], cost["to_fetch"], cost["already_here"], cost["absent"]) == (2, 2, 0, 1)
    assert cost["megabytes"] == round(2 * len(data) / 1e6, 3)
    assert cost["usd_at_most"] == pytest.approx(2 * len(data) / 1e9 * USD_PER_GB, abs=1e-4)
    assert "give the same command with --yes" in said
    assert not (tmp_path / "cache" / "archive").exists()


def test_contexts_become_columns_that_are_known_a_minute_later(run, place, bars, tmp_path):
    address, put = place
    for day in range(2):
        put(f"asset_ctxs/{DAY + timedelta(days=day):%Y%m%d}.csv.lz4", contexts(DAY + timedelta(days=day), 90))
    words = [
        "archive",
        "contexts",
        "--symbols",
        "BTC",
        "--since",
        "20250602",
        "--until",
        "20250604",
        "--bucket",
        address,
    ]
    code, found, said = run(*words, "--yes")
    assert code == 0, said
    assert found["rows"] == {"BTC": 180}
    interest = series(tmp_path, "features", "open_interest")
    assert interest.times[:5].tolist() == [START + 60_000 * k + (7_000 if k == 4 else 0) for k in range(1, 6)]
    assert interest.columns["value"][:3].tolist() == [1000, 1001, 1002]
    premium = series(tmp_path, "features", "premium").columns["value"]
    assert np.isnan(premium[:2]).all()
    assert premium[2] == 0.0001
    _, again, _ = run(*words, "--yes")
    assert (again["cost"]["to_fetch"], again["cost"]["usd_at_most"]) == (0, 0)
    assert again["datasets"] == found["datasets"]


def test_ctrl_c_keeps_what_was_fetched_and_says_how_to_go_on(run, place, bars, tmp_path):
    """The reader of its lines stops reading, so that it cannot get to the end before the signal."""
    address, put = place
    days = 200
    for day in range(days):
        put(f"asset_ctxs/{DAY + timedelta(days=day):%Y%m%d}.csv.lz4", contexts(DAY + timedelta(days=day), 2))
    until = f"{DAY + timedelta(days=days):%Y%m%d}"
    words = ["archive", "contexts", "--symbols", "BTC", "--since", "20250602", "--until", until, "--bucket", address]
    before = [manifest.id for manifest in heads(open_lake(str(tmp_path / "lake")))]
    command = [sys.executable, "-c", "from quantga.cli import main; main()", "data", *words, "--yes"]
    process = subprocess.Popen(
        [*command, "--store", str(tmp_path / "lake")],
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
        bufsize=1,
    )
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
    while "20250602.csv.lz4" not in (line := process.stderr.readline()):
        assert line, "it ended before the first file"
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    last = said.splitlines()[-1]
    assert last.startswith("stopped: files that were fetched are kept and not paid for again")
    assert last.endswith("give the same command again to go on")
    assert "Traceback" not in said
    assert [manifest.id for manifest in heads(open_lake(str(tmp_path / "lake")))] == before
    kept = [path for path in Archive(address).folder.rglob("*") if path.is_file()]
    assert 0 < len(kept) < days
    assert not [path for path in kept if path.name.startswith(".")]
    code, found, _ = run(*words, "--yes")
    assert code == 0
    assert found["cost"]["already_here"] == len(kept)
    assert found["cost"]["to_fetch"] == days - len(kept)
    assert found["rows"] == {"BTC": 2 * days}


def test_what_could_not_be_stored_is_refused_before_it_costs(run, place):
    address, put = place
    put("asset_ctxs/20250602.csv.lz4", contexts(DAY, 1))
    words = [
        "archive",
        "contexts",
        "--symbols",
        "BTC",
        "--since",
        "20250602",
        "--until",
        "20250603",
        "--bucket",
        address,
    ]
    code, _, said = run(*words)
    assert code == 2
    assert "`quantga data pull` or `quantga data import` first" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["archive", "candles", "--symbols", "BTC", "--since", "20250602"], "contexts, books and fills"),
        (["archive", "fills", "--symbols", "BTC"], "say from which day on"),
        (["archive", "fills", "--since", "20250602"], "say which coins"),
        (["archive", "fills", "--symbols", "BTC", "--since", "yesterday"], "no day"),
        (
            ["archive", "fills", "--symbols", "BTC", "--since", "20250602", "--until", "20250601"],
            "nothing lies between",
        ),
        (["archive", "fills", "--symbols", "BTC", "--since", "20250602", "--interval", "7h"], "not one of"),
    ],
)
def test_mistakes(run, keys, words, sentence):
    code, _, said = run(*words)
    assert code == 2
    assert sentence in said


def test_wrong_keys_and_no_bucket(run, place, bars, keys):
    address, _ = place
    words = ["archive", "contexts", "--symbols", "BTC", "--since", "20250602", "--until", "20250603", "--bucket"]
    code, _, said = run(*words, address.replace("archive-", "nobucket-"))
    assert code == 2
    assert "no bucket" in said
    keys.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    client_of.cache_clear()
    code, _, said = run(*words, address)
    client_of.cache_clear()
    assert code == 2
    assert "does not accept the keys" in said


def test_the_requester_pays(place, tmp_path):
    address, put = place
    put("asset_ctxs/20250602.csv.lz4", contexts(DAY, 1))
    source, sent = Archive(address, tmp_path), []
    client = client_of(parse_address(address), os.getpid())
    client.meta.events.register("before-send.s3", lambda request, **_: sent.append(dict(request.headers)))
    listing = source.list(Wanted("contexts", DAY, DAY + timedelta(days=1), ()))
    source.fetch(listing.items[0])
    payers = [headers.get("x-amz-request-payer") for headers in sent]
    assert len(payers) == 2
    assert {value.decode() if isinstance(value, bytes) else value for value in payers} == {"requester"}


def test_a_file_cut_short_is_named_and_nothing_is_stored(run, place, bars, tmp_path):
    address, put = place
    put("asset_ctxs/20250602.csv.lz4", packed(contexts(DAY, 600))[:-40])
    words = [
        "archive",
        "contexts",
        "--symbols",
        "BTC",
        "--since",
        "20250602",
        "--until",
        "20250603",
        "--bucket",
        address,
    ]
    before = heads(open_lake(tmp_path / "lake"))
    code, _, said = run(*words, "--yes")
    assert code == 2
    assert "asset_ctxs/20250602.csv.lz4" in said
    assert "fetch it again" in said
    assert heads(open_lake(tmp_path / "lake")) == before


def frame(received_ms: int, coin="BTC", px=100.0) -> bytes:
    levels = [
        [{"px": str(px - 0.5 - k), "sz": "2", "n": 1} for k in range(2)],
        [{"px": str(px + 0.5 + k), "sz": "2", "n": 1} for k in range(2)],
    ]
    data = {"coin": coin, "time": received_ms, "levels": levels}
    return json.dumps({"channel": "l2Book", "data": data}).encode()


def snapshot(received_ms: int, px: float) -> str:
    return envelope.line(received_ms * 1_000_000 + 123_456, frame(received_ms, px=px)).decode()


def test_books_become_spread_and_depth_when_they_were_received(run, place, bars, tmp_path):
    address, put = place
    for hour in (0, 1, 10):
        rows = [
            snapshot(START + hour * HOUR + s * 1000 - (500 if s == 0 else 0), px=100.0 + s) for s in (0, 20, 40, 70)
        ]
        rows.insert(1, envelope.line((START + hour * HOUR) * 1_000_000, b'{"channel":"pong"}').decode())
        put(f"market_data/20250602/{hour}/l2Book/BTC.lz4", "".join(rows))
        put(f"market_data/20250602/{hour}/l2Book/ETH.lz4", "".join(rows))
    words = ["archive", "books", "--symbols", "BTC", "--since", "20250602", "--until", "20250603", "--bucket", address]
    code, found, said = run(*words, "--yes")
    assert code == 0, said
    assert found["cost"]["files"] == 3
    assert "lacks 21 of the files" in said
    spread = series(tmp_path, "features", "spread")
    # Of each minute the last book; the first one of a file may belong to the hour before.
    assert spread.times[:3].tolist() == [START - 499, START + 40_001, START + 70_001]
    assert spread.columns["value"][1] == pytest.approx(2 * 1.0 / (139.5 + 140.5))
    depth = series(tmp_path, "features", "depth").columns["value"]
    assert depth[1] == pytest.approx(2 * (139.5 + 138.5 + 140.5 + 141.5))


def test_one_loader_reads_our_own_recordings(tmp_path):
    path = tmp_path / "BTC.lz4"
    writer = envelope.EnvelopeWriter(path)
    for k in range(100):
        writer.add((START + 1000 * k) * 1_000_000, frame(START + 1000 * k))
    writer.flush()
    torn = tmp_path / "torn.lz4"
    torn.write_bytes(path.read_bytes())
    writer.close()
    assert archive_read.read_books(path).available_at.tolist() == [START + 59_000, START + 99_000]
    assert archive_read.read_books(torn, torn=True).available_at.tolist()[0] == START + 59_000
    with pytest.raises(BadBars):
        archive_read.read_books(torn)


def tape(seed: int, hours: int):
    """Trades of two coins: (coin, ms, px text, size text, tid), in the order they were made."""
    draw = random.Random(seed)
    found, px = [], {"BTC": 60_000.0, "ETH": 3_000.0}
    at = START - HOUR
    while at < START + (hours + 1) * HOUR:
        coin = draw.choice(["BTC", "ETH"])
        px[coin] *= 1 + draw.gauss(0, 1e-4)
        found.append((coin, at, f"{px[coin]:.1f}", f"{draw.uniform(0.001, 2):.5f}", draw.randrange(2**50)))
        at += draw.choice([0, 1, 7_000, 60_000, 90_000])
    return found


def fill(trade, *, taker: bool) -> list:
    coin, at, px, size, tid = trade
    row = {"coin": coin, "px": px, "sz": size, "side": "B", "time": at, "startPosition": "0.0", "dir": "Open Long"}
    return [
        "0x" + "ab" * 20,
        row | {"closedPnl": "0.0", "hash": "0x0", "oid": tid % 10**9, "crossed": taker, "fee": "0", "tid": tid},
    ]


def by_block(trades) -> str:
    lines = []
    for trade in trades:
        events = [fill(trade, taker=True), fill(trade, taker=False)]
        lines.append(json.dumps({"local_time": "x", "block_time": "x", "block_number": 1, "events": events}))
    return "\n".join(lines) + "\n"


def by_fill(trades) -> str:
    return "".join(json.dumps(fill(trade, taker=taker)) + "\n" for trade in trades for taker in (False, True))


def by_trade(trades) -> str:
    rows = []
    for coin, at, px, size, tid in trades:
        time = str(np.datetime64(at, "ms")) + "123456"
        sides = [{"user": "0xa", "oid": tid}, {"user": "0xb", "oid": tid + 1}]
        rows.append(
            json.dumps(
                {"coin": coin, "side": "B", "time": time, "px": px, "sz": size, "hash": "0x0", "side_info": sides}
            )
        )
    return "\n".join(rows) + "\n"


def expected(trades, coin, step=HOUR):
    groups = defaultdict(list)
    for name, at, px, size, _ in trades:
        if name == coin:
            groups[at // step * step].append((float(px), Decimal(size)))
    return {
        time: [
            rows[0][0],
            max(p for p, _ in rows),
            min(p for p, _ in rows),
            rows[-1][0],
            float(sum(s for _, s in rows)),
        ]
        for time, rows in groups.items()
        if time >= START
    }


def stored_bars(tmp_path, coin):
    found = series(tmp_path, "bars", coin=coin)
    names = ("open", "high", "low", "close", "volume")
    return {time: [float(found.columns[name][k]) for name in names] for k, time in enumerate(found.times.tolist())}


KINDS = {"node_fills_by_block": by_block, "node_fills": by_fill, "node_trades": by_trade}


@pytest.mark.parametrize("kind", KINDS)
def test_trades_become_bars(run, place, tmp_path, kind):
    address, put = place
    trades = tape(3, 24)
    hours = defaultdict(list)
    for k, trade in enumerate(trades):
        # Some are filed an hour later than they were made; of one millisecond, only the files tell the order.
        late = k % 50 == 0 and sum(trade[1] == other[1] for other in trades) == 1
        hours[trade[1] // HOUR * HOUR + (HOUR if late else 0)].append(trade)
    for hour in sorted(hours):
        rows = sorted(hours[hour], key=trades.index)
        double = [trade for trade in hours[hour - HOUR][-2:] if trade not in rows] if hour - HOUR in hours else []
        at = datetime.fromtimestamp(hour / 1000, UTC)
        put(f"{kind}/hourly/{at:%Y%m%d}/{at.hour}.lz4", KINDS[kind](double + rows))
    words = [
        "archive",
        "fills",
        "--symbols",
        "BTC,ETH",
        "--since",
        "20250602",
        "--until",
        "20250603",
        "--bucket",
        address,
    ]
    code, found, said = run(*words, "--yes")
    assert code == 0, said
    for coin in ("BTC", "ETH"):
        wanted = {time: bar for time, bar in expected(trades, coin).items() if time < START + 24 * HOUR}
        have = stored_bars(tmp_path, coin)
        assert have == wanted
    assert found["rows"]["BTC"] == 24
    # Pulled bars of the same hours stand; that both agree is said.
    code, again, said = run(*words, "--yes")
    assert code == 0
    assert again["rows"] == {"BTC": 0, "ETH": 0}
    assert "of 24 bars that were stored before, 24 are equal" in said


def test_a_missing_hour_takes_its_neighbours_bars_with_it(run, place, tmp_path):
    address, put = place
    for hour in range(-1, 25):
        at = DAY + timedelta(hours=hour)
        rows = [trade for trade in tape(4, 24) if START + hour * HOUR <= trade[1] < START + (hour + 1) * HOUR]
        if hour != 12:
            put(f"node_fills_by_block/hourly/{at:%Y%m%d}/{at.hour}.lz4", by_block(rows))
    words = ["archive", "fills", "--symbols", "BTC", "--since", "20250602", "--until", "20250603", "--bucket", address]
    code, found, said = run(*words, "--yes")
    assert code == 0
    assert found["rows"] == {"BTC": 21}
    assert "lacks 1 of the files that are wanted: 20250602 12h" in said
    absent = set(range(24)) - {(time - START) // HOUR for time in stored_bars(tmp_path, "BTC")}
    assert absent == {11, 12, 13}


@pytest.mark.parametrize("line", ["{", "[]", '["0xa", {"coin": "BTC", "crossed": true}]', '{"events": [["0xa", {}]]}'])
def test_a_line_that_is_no_fill_is_named(tmp_path, line):
    path = tmp_path / "3.lz4"
    path.write_bytes(packed(by_fill(tape(1, 1)[:2]) + line + "\n"))
    with pytest.raises(BadBars, match="line 5 is no fill"):
        list(archive_read.read_trades(path))


def test_a_price_that_is_none_is_refused(tmp_path):
    path = tmp_path / "3.lz4"
    path.write_bytes(packed(by_fill([("BTC", START, "NaN", "1", 1)])))
    with pytest.raises(BadBars, match="neither price nor size"):
        list(archive_read.read_trades(path))
