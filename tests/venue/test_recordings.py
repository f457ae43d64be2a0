"""Contract: every recorded answer and frame of the venue becomes records, in the shapes of 2023 and of 2026."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest

from quantga.errors import Unknown
from quantga.venue.account import Fill, OrderReport, Position
from quantga.venue.hyperliquid import answers, frames
from quantga.venue.market import Book, Candle, Context, Meta, Quote
from quantga.venue.stream import (
    Ack,
    CanceledByVenue,
    Fills,
    Fundings,
    OpenOrders,
    OrderUpdates,
    Pong,
    Refusal,
    Subscription,
    Trades,
    Unread,
)

# Bodies that were kept without their request.
BODIES = {
    "clearinghouse": "clearinghouseState",
    "l2book": "l2Book",
    "perpdexs": "perpDexs",
    "user_fills": "userFills",
    "all_perp_metas": "allPerpMetas",
}


@pytest.fixture(scope="session")
def recordings(market_data) -> Path:
    return market_data / "hl_protocol"


def exchanges(path: Path) -> list[tuple[str, object]]:
    """Return (type of request, answer) of a file."""
    value = json.loads(path.read_text())
    if isinstance(value, list) and value and isinstance(value[0], dict) and "request" in value[0]:
        return [(row["request"]["type"], row["response"]) for row in value]
    return [(next(kind for part, kind in BODIES.items() if part in path.stem), value)]


def parsed(recordings: Path, name: str, at: int = -1):
    return answers.parse(*exchanges(recordings / "info_http" / f"{name}.json")[at])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def test_every_recorded_answer_reads(recordings):
    files = sorted((recordings / "info_http").glob("*.json"))
    assert files
    for path in files:
        for kind, answer in exchanges(path):
            record = answers.parse(kind, answer)
            assert record is not None, path.name
            if kind in answers.PARSERS and isinstance(answer, list):
                assert len(record) == len(answer), path.name  # nothing was passed over, nothing merged


def test_every_recorded_frame_reads(recordings):
    files = sorted((recordings / "ws").glob("*"))
    assert files
    kinds = set()
    for path in files:
        for line in lines(path):
            if "universe" in line:
                assert answers.parse("meta", line).assets
            elif "method" in line:
                assert frames.wire(frames.subscription(line["subscription"])) == line["subscription"]
            else:
                kinds.add(type(frames.parse(line)))
    assert {Ack, Pong, Refusal, Quote, Book, Candle, Context, Trades, Fills} <= kinds


def test_no_fill_is_lost_where_many_share_a_millisecond(recordings):
    fills = parsed(recordings, "test_get_user_fills")
    assert len(fills) == 500
    times = [fill.time for fill in fills]
    assert sum(times.count(time) > 1 for time in times) == 363
    assert len({fill.key for fill in fills}) == 500
    assert times == sorted(times)


def test_what_was_recorded_is_what_is_read(recordings):
    state = parsed(recordings, "eugene2710_clearinghouse_small")
    assert state.value == Decimal("319194.558725")
    assert isinstance(state.positions[0], Position)
    assert (state.positions[0].coin, state.positions[0].size) == ("BTC", Decimal("-56.27938"))
    assert not state.positions[0].isolated
    old = parsed(recordings, "test_get_user_state")
    assert (old.time, old.maintenance) == (0, None)
    assert any(position.liquidation is None for position in old.positions)
    meta: Meta = parsed(recordings, "test_get_info")
    assert (meta.asset("BTC").size_decimals, meta.asset("BTC").tiers[0].max_leverage) == (5, 50)
    orders = parsed(recordings, "test_get_frontend_open_orders")
    stop = next(order for order in orders if order.kind == "Stop Market")
    assert stop.trigger is not None
    assert stop.reduce_only
    assert any(order.children for order in orders)


def test_an_absent_side_and_an_absent_mid(recordings):
    found = [frames.parse(line) for line in lines(recordings / "ws" / "frames_mainnet_2026-09-03.jsonl")]
    quotes = [frame for frame in found if isinstance(frame, Quote)]
    assert any(quote.bid is None and quote.ask is None for quote in quotes)
    assert any(quote.bid is not None and quote.ask is None for quote in quotes)
    thin = next(frame for frame in found if isinstance(frame, Context) and frame.coin == "MATIC")
    assert math.isnan(thin.mid)
    assert math.isnan(thin.premium)
    snapshot = next(frame for frame in found if isinstance(frame, Fills))
    assert snapshot.snapshot
    assert Ack(True, Subscription("bbo", "BTC")) in found


def test_a_liquidation_is_seen(recordings):
    (line,) = lines(recordings / "ws" / "nautilus_ws_user_fill_liquidation.json")
    frame = frames.parse(line)
    assert isinstance(frame, Fills)
    fill: Fill = frame.fills[0]
    assert fill.liquidation is not None
    assert (fill.liquidation.method, fill.liquidation.mark) == ("market", Decimal("66607.0"))
    assert fill.cloid == "0xe8d5fd7ebbb4c3cff4d1803472a11463"


ORDER = {
    "coin": "ETH",
    "side": "A",
    "limitPx": "2412.7",
    "sz": "0.0",
    "oid": 1,
    "timestamp": 1724361546645,
    "triggerCondition": "N/A",
    "isTrigger": False,
    "triggerPx": "0.0",
    "children": [],
    "isPositionTpsl": False,
    "reduceOnly": True,
    "orderType": "Market",
    "origSz": "0.0076",
    "tif": "FrontendMarket",
    "cloid": None,
}


@pytest.mark.parametrize(
    ("status", "live", "rejected"),
    [
        ("open", True, False),
        ("triggered", True, False),
        ("filled", False, False),
        ("scheduledCancel", False, False),
        ("perpMarginRejected", False, True),
        ("someNewRejected", False, True),
        ("someNewCanceled", False, False),
    ],
)
def test_statuses_that_are_new_are_still_final(status, live, rejected):
    answer = {"status": "order", "order": {"order": ORDER, "status": status, "statusTimestamp": 7}}
    report = answers.parse("orderStatus", answer)
    assert isinstance(report, OrderReport)
    assert (report.known, report.live, report.rejected) == (True, live, rejected)


def test_an_order_that_the_venue_does_not_know():
    report = answers.parse("orderStatus", {"status": "unknownOid"})
    assert not report.known
    assert not report.live


META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56},
        {"szDecimals": 2, "name": "NEW", "maxLeverage": 10, "marginTableId": 77},
        {"szDecimals": 1, "name": "OLD", "maxLeverage": 3, "marginTableId": 3, "isDelisted": True},
        {"szDecimals": 1, "name": "ISO", "maxLeverage": 3, "marginTableId": 3, "onlyIsolated": True},
    ],
    "marginTables": [
        [
            56,
            {
                "description": "tiered 40x",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 40},
                    {"lowerBound": "150000000.0", "maxLeverage": 20},
                ],
            },
        ]
    ],
    "collateralToken": 0,
}


def test_metadata_with_a_missing_margin_table_closes_that_asset_only():
    meta = answers.parse("meta", META)
    assert [asset.tradable for asset in meta.assets] == [True, False, False, True]
    assert [asset.index for asset in meta.assets] == [0, 1, 2, 3]
    assert meta.asset("BTC").tiers[1].lower == 150_000_000
    assert meta.asset("ISO").margin_mode == "noCross"


@pytest.mark.parametrize(
    "change",
    [
        {"universe": [META["universe"][0], META["universe"][0]]},
        {"universe": [{**META["universe"][0], "szDecimals": 9}]},
        {"universe": [{**META["universe"][0], "szDecimals": "5"}]},
        {"universe": [{"name": "BTC"}]},
        {"universe": None},
        {"marginTables": [[56, {"marginTiers": []}]]},
        {
            "marginTables": [
                [56, {"marginTiers": [{"lowerBound": "0", "maxLeverage": 5}, {"lowerBound": "9", "maxLeverage": 7}]}]
            ]
        },
    ],
)
def test_metadata_that_cannot_be_true_are_refused(change):
    with pytest.raises(Unknown, match="metadata"):
        answers.parse("meta", {**META, **change})


def test_a_dangling_spot_token_harms_nothing():
    tokens = [{"name": "USDC", "index": 0}, {"name": "PURR", "index": 1}]
    pairs = [{"name": "PURR/USDC", "tokens": [1, 0]}, {"name": "@999", "tokens": [999, 0]}]
    spot = answers.parse("spotMeta", {"tokens": tokens, "universe": pairs})
    assert (spot.pairs, spot.dangling) == (("PURR/USDC",), ("@999",))


CANDLE = {"T": 59_999, "c": "2", "h": "3", "i": "1m", "l": "1", "n": 5, "o": "2", "s": "BTC", "t": 0, "v": "1"}


def test_pages_may_repeat_and_be_out_of_order():
    later = {**CANDLE, "t": 60_000, "T": 119_999}
    young = {**CANDLE, "n": 3, "v": "0.5", "c": "1"}
    assert [bar.start for bar in answers.parse("candleSnapshot", [later, CANDLE, young, later])] == [0, 60_000]
    assert answers.parse("candleSnapshot", [young, CANDLE]) == answers.parse("candleSnapshot", [CANDLE, young])
    assert answers.parse("candleSnapshot", [young, CANDLE])[0].trades == 5


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("candleSnapshot", [{**CANDLE, "h": "1.5"}]),
        ("candleSnapshot", [{**CANDLE, "l": "0"}]),
        ("candleSnapshot", [{**CANDLE, "c": "NaN"}]),
        ("candleSnapshot", [{**CANDLE, "v": "1e999"}]),
        ("candleSnapshot", None),
        ("l2Book", None),
        ("l2Book", {"coin": "BTC", "time": 1, "levels": [[]]}),
        ("fundingHistory", [{"coin": "BTC", "time": 1.5, "fundingRate": "0"}]),
        ("clearinghouseState", {}),
        ("userFills", {"error": "no"}),
        ("userFills", [{"coin": "BTC"}]),
        ("orderStatus", {"status": "maybe"}),
        ("userFees", "Infinity"),
        ("noSuchType", []),
    ],
)
def test_what_does_not_read_is_unknown_and_never_empty(kind, answer):
    with pytest.raises(Unknown):
        answers.parse(kind, answer)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ({"channel": "user", "data": {"nonUserCancel": [{"coin": "BTC", "oid": 7}]}}, CanceledByVenue),
        ({"channel": "user", "data": {"somethingNew": []}}, Unread),
        ({"channel": "userFundings", "data": {"user": "0xA", "fundings": []}}, Fundings),
        ({"channel": "openOrders", "data": {"dex": "", "user": "0xA", "orders": []}}, OpenOrders),
        ({"channel": "orderUpdates", "data": [{"order": ORDER, "status": "open", "statusTimestamp": 1}]}, OrderUpdates),
    ],
)
def test_frames_of_accounts(frame, kind):
    assert isinstance(frames.parse(frame), kind)


@pytest.mark.parametrize("frame", [None, [], {}, {"channel": 3}, {"channel": "bbo", "data": {}}, {"channel": "trades"}])
def test_a_hostile_frame_is_unknown(frame):
    with pytest.raises(Unknown):
        frames.parse(frame)


def test_a_new_channel_is_no_error():
    assert frames.parse({"channel": "l2", "data": "eJw="}).channel == "l2"


def test_what_tells_fills_apart(recordings):
    row = json.loads((recordings / "info_http" / "nautilus_http_user_fills_dust_conversion.json").read_text())[0]
    other = [{**row, "tid": 1}, {**row, "coin": "JUP"}, {**row, "oid": 1}, {**row, "time": row["time"] + 1}]
    assert len(answers.parse("userFills", [row, *other, row, *other])) == 5
    assert len(answers.parse("userFills", [row, {**row, "cloid": "0x" + "0a" * 16}])) == 1


def test_answers_of_early_2023_read_too():
    """Shapes that the SDK's first recordings have: no leverage in metadata, no fee in fills, `withdrawable` elsewhere."""
    meta = answers.parse("meta", {"universe": [{"name": "BTC", "szDecimals": 5}]})
    assert not meta.asset("BTC").tradable
    fill = {"closedPnl": "-0.01904", "coin": "ATOM", "crossed": True, "dir": "Short > Long", "hash": "0x10", "oid": 7}
    fill |= {"px": "12.27", "side": "B", "startPosition": "-4.76", "sz": "6.69", "time": 1677624941480}
    (one,) = answers.parse("userFills", [fill])
    assert one.fee.is_nan()
    summary = {"accountValue": "1182.3", "totalMarginUsed": "171.7", "totalNtlPos": "3434.8", "withdrawable": "1010.5"}
    old = {"assetPositions": [], "crossMarginSummary": summary, "marginSummary": summary}
    assert str(answers.parse("clearinghouseState", old).withdrawable) == "1010.5"
    with pytest.raises(Unknown):  # with what came later, a field that lacks is an error
        answers.parse("userFills", [{**fill, "tid": 5}])
