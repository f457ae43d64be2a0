"""Surrogate markets: what could be predicted is gone, and everything else is still there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import BadBars, ConfigError
from quantga.lang.bars import HOUR_MS, PRICES, REQUIRED, Bars
from quantga.trust.markets import Regime
from quantga.trust.surrogates import CAP, net_returns, permuted, sign_flipped, surrogate

START = 1_577_836_800_000
KINDS = [sign_flipped, permuted]
SD = 0.007


def bars_of(returns, symbol="A", origin=0, absent=(), funding=None, seed=0):
    """Return bars whose closes have these simple returns, with wicks, volume that follows their size, and a feature."""
    draw = np.random.default_rng(seed)
    close = 100 * np.cumprod(1 + returns)
    opened = np.concatenate([[100.0], close[:-1]]) * (1 + draw.normal(0, 2e-4, len(close)))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * (1 + np.abs(draw.normal(0, 0.002, len(close)))),
        "low": np.minimum(opened, close) * (1 - np.abs(draw.normal(0, 0.002, len(close)))),
        "close": close,
        "volume": draw.uniform(1, 2, len(close)) * (1 + 50 * np.abs(returns)),
        "funding": np.zeros(len(close)) if funding is None else np.asarray(funding, dtype=float),
        "$own": draw.normal(size=len(close)),
    }
    for name in REQUIRED:
        columns[name][list(absent)] = np.nan
    return Bars(HOUR_MS, START // HOUR_MS + origin, columns, symbol, symbol)


def autocorrelation(x, lag=1):
    x = x - x.mean()
    return float((x[lag:] * x[:-lag]).mean() / x.var())


def real(bars):
    r = net_returns(bars)
    return r[~np.isnan(r)]


def noise(n, seed, sd=SD):
    return np.random.default_rng(seed).normal(0, sd, n)


def valid(bars):
    there = bars.present
    o, h, lo, c = (bars[name][there] for name in PRICES)
    return bool(np.all(lo > 0) and np.all(h >= np.maximum(o, c)) and np.all(lo <= np.minimum(o, c)))


@pytest.mark.parametrize("make", KINDS)
def test_an_autoregressive_edge_is_destroyed(make):
    shocks, returns = noise(20_000, 1), np.zeros(20_000)
    for t in range(1, len(returns)):
        returns[t] = 0.2 * returns[t - 1] + shocks[t]
    market = {"A": bars_of(returns)}
    assert autocorrelation(real(market["A"])) > 0.17
    after = [autocorrelation(real(make(market, 1, k)["A"])) for k in range(8)]
    assert abs(np.mean(after)) < 4 / np.sqrt(8 * 20_000)


@pytest.mark.parametrize("make", KINDS)
def test_a_drift_at_an_hour_of_the_day_is_destroyed(make):
    n = 24 * 800
    hour = np.arange(n) % 24
    market = {"A": bars_of(noise(n, 2) + 0.5 * SD * (hour == 9))}

    def drift(bars):
        r = net_returns(bars)
        at = (hour == 9) & ~np.isnan(r)
        return r[at].mean() / (r[at].std() / np.sqrt(at.sum()))

    assert drift(market["A"]) > 10
    assert abs(np.mean([drift(make(market, 1, k)["A"]) for k in range(9)])) < 1.4  # a mean of nine: sd 1/3 or less


@pytest.mark.parametrize("make", KINDS)
def test_a_rule_that_knows_the_regime_earns_nothing(make):
    family = Regime(drift=0.08, years=2.0)
    market = family.market(3, {"A": "A"}, START)
    _, expected = family.returns(3, "A")
    side = np.sign(expected)[1:]
    tell = [float((side * real(make(market, 3, k)["A"])).mean() / real(market["A"]).std()) for k in range(8)]
    assert float((side * real(market["A"])).mean() / real(market["A"]).std()) > 0.05
    assert abs(np.mean(tell)) < 4 / np.sqrt(8 * len(side))


def test_a_rule_that_only_collects_funding_earns_nothing_net():
    n = 10_000
    funding = 2e-4 * (1 + np.sin(np.arange(n) / 200))
    market = {"A": bars_of(noise(n, 4, 0.001), funding=funding)}
    short = -(funding > 2e-4)[1:].astype(float)
    assert (short * real(market["A"])).mean() > 0.00013
    for make in KINDS:
        kept = make(market, 1, 0)["A"]
        assert np.array_equal(kept["funding"], funding)
        assert abs((short * real(kept)).mean()) < 4 * 0.001 / np.sqrt(n)


def test_flipping_keeps_clustered_volatility_and_permuting_does_not():
    market = Regime(drift=0.0, years=4.0).market(5, {"A": "A"}, START)
    before = autocorrelation(np.abs(real(market["A"])), 5)
    assert before > 0.05
    assert autocorrelation(np.abs(real(sign_flipped(market, 1, 0)["A"])), 5) == pytest.approx(before, abs=1e-3)
    assert abs(autocorrelation(np.abs(real(permuted(market, 1, 0)["A"])), 5)) < 0.025


def test_flipping_keeps_the_link_of_volume_and_size():
    market = {"A": bars_of(noise(5_000, 6))}
    flipped = sign_flipped(market, 1, 0)["A"]
    assert np.array_equal(flipped["volume"], market["A"]["volume"])
    link = [np.corrcoef(bars["volume"][1:], np.abs(real(bars)))[0, 1] for bars in (market["A"], flipped)]
    assert link[0] > 0.2
    assert link[1] == pytest.approx(link[0], abs=1e-3)


@pytest.mark.parametrize("make", KINDS)
def test_the_size_of_every_detrended_net_return_is_kept(make):
    market = {"A": bars_of(noise(3_000, 7) + 1e-4, absent=range(900, 950), funding=np.full(3_000, 3e-5))}
    before = real(market["A"])
    after = real(make(market, 9, 2)["A"])
    assert np.allclose(np.sort(np.abs(after)), np.sort(np.abs(before - before.mean())), rtol=0, atol=1e-14)
    if make is sign_flipped:
        assert np.allclose(np.abs(after), np.abs(before - before.mean()), rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", KINDS)
def test_symbols_stay_together(make):
    common = noise(8_000, 8)
    market = {
        "A": bars_of(common + noise(8_000, 9, 0.003), "A"),
        "B": bars_of(common[500:] + noise(7_500, 10, 0.003), "B", origin=500),
    }
    made = make(market, 1, 4)
    pair = [np.corrcoef(net_returns(m["A"])[501:], net_returns(m["B"])[1:])[0, 1] for m in (market, made)]
    assert pair[0] > 0.75
    # Sign by sign it is the same number but for the mean; in another order the rows of A alone stay apart.
    assert pair[1] == pytest.approx(pair[0], abs=2e-3)


@given(
    seed=st.integers(0, 2**32),
    n=st.integers(3, 120),
    sd=st.sampled_from([0.001, 0.05, 0.6]),
    holes=st.sets(st.integers(1, 118), max_size=30),
    make=st.sampled_from(KINDS),
)
def test_bars_stay_bars_and_absent_bars_stay_absent(seed, n, sd, holes, make):
    draw = np.random.default_rng(seed)
    returns = np.maximum(draw.standard_t(3, n) * sd, -0.95)
    funding = draw.normal(0, 1e-3, n)
    absent = [hole for hole in holes if hole < n]
    market = {"A": bars_of(returns, absent=absent, funding=funding, seed=seed)}
    made = make(market, seed, 0)["A"]
    assert np.array_equal(made.present, market["A"].present)
    assert valid(made)
    assert made.origin == market["A"].origin
    for name in ("volume", "funding", "$own"):
        assert np.array_equal(made[name], market["A"][name], equal_nan=True)
    assert np.nanmax(np.abs(np.nan_to_num(net_returns(made)))) <= CAP + 0.2


@pytest.mark.parametrize("make", KINDS)
def test_the_reference_asset_is_changed_with_its_market(make):
    btc, eth = bars_of(noise(400, 11), "BTC"), bars_of(noise(300, 12), "ETH", origin=100)
    whole = {"BTC": btc, "ETH": eth.with_reference(btc)}
    made = make(whole, 1, 0)
    assert np.array_equal(made["ETH"]["ref_close"], made["BTC"]["close"][100:])
    alone = make({"ETH": eth.with_reference(btc)}, 1, 0)["ETH"]
    signs = np.sign(np.diff(alone["ref_close"])) * np.sign(np.diff(btc["close"][100:]))
    assert 0.3 < (signs > 0).mean() < 0.7
    assert not np.array_equal(alone["ref_close"], eth.with_reference(btc)["ref_close"])


def test_a_reference_beside_its_market_is_flipped_by_the_same_coins():
    btc = bars_of(noise(400, 11), "BTC")
    eth = bars_of(noise(400, 12), "ETH").with_reference(btc)
    alone = sign_flipped({"ETH": eth}, 1, 0)["ETH"]
    both = sign_flipped({"ETH": eth, "BTC": btc}, 1, 0)
    assert np.allclose(alone["ref_close"], both["BTC"]["close"], rtol=1e-12)


@pytest.mark.parametrize("make", KINDS)
def test_a_surrogate_is_named_by_its_seed_and_number(make):
    market = {"A": bars_of(noise(200, 13))}
    one = make(market, 5, 1)["A"]
    assert np.array_equal(one["close"], make(market, 5, 1)["A"]["close"])
    assert not np.array_equal(one["close"], make(market, 5, 2)["A"]["close"])
    assert not np.array_equal(one["close"], make(market, 6, 1)["A"]["close"])


def test_the_given_market_is_not_touched():
    market = {"A": bars_of(noise(200, 14))}
    before = {name: column.copy() for name, column in market["A"].columns.items()}
    for make in KINDS:
        make(market, 1, 0)
    assert all(np.array_equal(market["A"][name], column) for name, column in before.items())


def test_what_is_no_null_is_refused():
    market = {"A": bars_of(noise(20, 15))}
    with pytest.raises(ConfigError, match="block bootstrap is none"):
        surrogate("block", market, 1, 0)
    with pytest.raises(BadBars, match="at least one symbol"):
        sign_flipped({}, 1, 0)
    other = Bars(4 * HOUR_MS, 0, dict(market["A"].columns), "B", "B")
    with pytest.raises(BadBars, match="one interval"):
        sign_flipped({"A": market["A"], "B": other}, 1, 0)


def test_real_bars_give_valid_surrogates(market_data):
    import pandas as pd

    frame = pd.read_parquet(market_data / "ohlcv/binance_perp/1h/BTCUSDT.parquet")
    ms = pd.to_datetime(frame["ts"], utc=True).astype("datetime64[ms, UTC]").astype("int64").to_numpy()
    bars = Bars.from_columns(ms, {name: frame[name].to_numpy(dtype=float) for name in REQUIRED}, symbol="BTC")
    for make in KINDS:
        made = make({"BTC": bars}, 1, 0)["BTC"]
        assert valid(made)
        assert np.mean(real(made) ** 2) == pytest.approx(np.var(real(bars)), rel=1e-9)
