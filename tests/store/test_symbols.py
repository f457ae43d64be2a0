"""What an instrument is called, on every venue."""

from __future__ import annotations

import pytest

from quantga.errors import ConfigError
from quantga.store.symbols import INTERVALS, interval_label, interval_ms, name_of, require_venue, venue_symbol


@pytest.mark.parametrize(
    ("symbol", "base", "unit"),
    [
        ("BTCUSDT", "BTC", 1),
        ("BTC", "BTC", 1),
        ("BTC_USDT_USDT", "BTC", 1),
        ("BTC/USDT:USDT", "BTC", 1),
        ("BTC-PERP", "BTC", 1),
        ("BTCPERP", "BTC", 1),
        ("BTCUSD_PERP", "BTC", 1),
        ("BTC-USD", "BTC", 1),
        ("BTCUSDT_230630", "BTC", 1),
        ("ETHUSDC", "ETH", 1),
        ("ETHFDUSD", "ETH", 1),
        ("USDCUSDT", "USDC", 1),
        ("1INCHUSDT", "1INCH", 1),
        ("kPEPE", "PEPE", 1000),
        ("1000PEPEUSDT", "PEPE", 1000),
        ("1000000MOGUSDT", "MOG", 1_000_000),
        ("1MBABYDOGEUSDT", "BABYDOGE", 1_000_000),
        ("KAVAUSDT", "KAVA", 1),
        ("kas", "KAS", 1),
        ("xyz:TSLA", "TSLA", 1),
        ("USDT", "USDT", 1),
        ("@107", "@107", 1),
    ],
)
def test_base_asset_and_unit(symbol, base, unit):
    name = name_of(symbol)
    assert (name.symbol, name.base, name.unit) == (symbol, base, unit)


@pytest.mark.parametrize(
    ("text", "venue", "symbol"),
    [
        ("BTC_USDT_USDT", "binance", "BTCUSDT"),
        ("BTC/USDT:USDT", "binance", "BTCUSDT"),
        ("BTC_USDT", "binance_spot", "BTCUSDT"),
        ("BTC_USDC_USDC", "hyperliquid", "BTC"),
        ("BTCUSDT", "binance", "BTCUSDT"),
        ("BTCUSD_PERP", "binance", "BTCUSD_PERP"),
        ("BTC-USDT", "okx", "BTC-USDT"),
        ("kPEPE", "hyperliquid", "kPEPE"),
    ],
)
def test_the_venues_own_name_of_a_pair(text, venue, symbol):
    assert venue_symbol(text, venue) == symbol


def test_intervals():
    assert interval_ms("4h") == 14_400_000
    assert all(interval_label(length) == label for label, length in INTERVALS.items())
    assert interval_label(90_000) == ""
    with pytest.raises(ConfigError, match="'7h' is not one of"):
        interval_ms("7h")


def test_a_venue_can_name_a_folder():
    require_venue("binance_spot")
    for name in ("", "Binance", "a/b", "a-b", "../x"):
        with pytest.raises(ConfigError, match="is not written as"):
            require_venue(name)
