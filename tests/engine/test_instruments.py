from __future__ import annotations

import csv
import json

import pytest

from quantga.engine.costs import Costs
from quantga.engine.instruments import TABLE, Instrument, instrument
from quantga.engine.ledger_terms import LEVERAGE, TIER, TIERS, encode_terms
from quantga.errors import ConfigError, DataError

PERPS = ("BTC", "ETH", "SOL", "BNB", "DOGE", "LINK", "LTC", "ARB", "SUI", "AAVE", "CRV", "APT", "ADA")


def test_maintenance_is_half_the_initial_margin_and_continuous():
    for item in TABLE.values():
        rules = item.maintenance()
        for i, ((lower, leverage), (rate, deduction)) in enumerate(zip(item.tiers, rules, strict=True)):
            assert rate == 0.5 / leverage
            before = rules[i - 1] if i else (0, 0)
            assert lower * rate - deduction == pytest.approx(lower * before[0] - before[1])


def test_bitcoin_is_as_documented():
    bitcoin = instrument("BTC")
    assert (bitcoin.size_decimals, bitcoin.max_leverage) == (5, 40)
    assert bitcoin.maintenance() == ((1 / 80, 0.0), (1 / 40, pytest.approx(150e6 / 80)))


def test_the_common_perpetuals_are_shipped():
    assert set(PERPS) <= set(TABLE)


def test_lots_are_those_of_the_recorded_books(market_data):
    with (market_data / "hl_protocol" / "sz_decimals_inferred.csv").open() as file:
        inferred = {row["coin"]: int(row["sz_decimals_inferred"]) for row in csv.DictReader(file)}
    known = inferred.keys() & TABLE.keys()
    assert len(known) > 30
    assert {coin: TABLE[coin].size_decimals for coin in known} == {coin: inferred[coin] for coin in known}


def test_lots_are_those_of_the_recorded_metadata(market_data):
    recorded = json.loads((market_data / "hl_protocol" / "info_http" / "test_get_info.json").read_text())
    rows = recorded[0]["response"]["universe"]
    seen = {row["name"]: row["szDecimals"] for row in rows if row["name"] in TABLE}
    assert len(seen) > 20
    assert {name: TABLE[name].size_decimals for name in seen} == seen


def test_an_unknown_asset_has_the_strictest_margin_and_no_lots():
    strict = encode_terms(Costs(margin=True), "NOSUCH")
    assert strict[TIERS] == 1
    assert strict[TIER + LEVERAGE] == min(one.max_leverage for one in TABLE.values())
    with pytest.raises(DataError, match="NOSUCH"):
        encode_terms(Costs(lots=True), "NOSUCH")
    given = Costs(lots=True, margin=True, instruments=(Instrument("NOSUCH", 2, ((0, 5),)),))
    assert encode_terms(given, "NOSUCH")[TIER + LEVERAGE] == 5


def test_given_instruments_come_first():
    mine = Instrument("BTC", 3, ((0, 2),))
    assert instrument("BTC", (mine,)) is mine


@pytest.mark.parametrize("decimals", [-1, 7])
def test_impossible_decimals_are_refused(decimals):
    with pytest.raises(ConfigError, match="size_decimals"):
        Instrument("FOO", decimals, ((0, 5),))


@pytest.mark.parametrize("tiers", [(), ((5, 10),), ((0, 10), (0, 5)), ((0, 5), (1000, 10)), ((0, 0.5),)])
def test_impossible_tiers_are_refused(tiers):
    with pytest.raises(ConfigError, match="tiers"):
        Instrument("FOO", 2, tiers)
