"""A warmed cache serves a worker: arrays that must not be written to compile nothing anew."""

from __future__ import annotations

import pickle
import sys

import numpy as np
from numba.core.dispatcher import Dispatcher

from quantga.engine.appraise import Trial, appraise, appraise_market
from quantga.engine.backtest import backtest
from quantga.engine.warm import _bars, warm
from quantga.lang.bars import Bars
from quantga.lang.jit import cache_directory
from quantga.lang.parse import parse


def compiled() -> dict[str, int]:
    """Return how many signatures each compiled function of ours has."""
    return {
        f"{name}.{key}": len(value.signatures)
        for name, module in sorted(sys.modules.items())
        if name.startswith("quantga.")
        for key, value in vars(module).items()
        if isinstance(value, Dispatcher)
    }


def as_ray_delivers(market: dict[str, Bars]) -> dict[str, Bars]:
    """Return the market from buffers that may not be written to, without a copy of the arrays."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(market, protocol=5, buffer_callback=buffers.append)
    kept = [bytes(buffer.raw()) for buffer in buffers]
    found: dict[str, Bars] = pickle.loads(head, buffers=kept)
    return found


def test_after_warming_nothing_is_compiled_for_read_only_arrays() -> None:
    folder, seconds = warm()
    assert folder == cache_directory().parent
    assert seconds > 0.0
    before = compiled()
    market = as_ray_delivers({"BTC": _bars("BTC"), "ETH": _bars("ETH")})
    assert not market["BTC"]["close"].flags.writeable
    programs = [
        parse("when(gt(macd(close, 12, 26), corr(ret, volume_ratio(20), 30)), long, short)")
        if place == 99
        else parse(f"when(gt(zscore(close, {place + 5}), level(1)), short, scale(rsi(close, 14))) with stop=0.05")
        for place in range(3)
    ]
    appraise_market(programs, market, Trial())
    appraise_market(programs, {"BTC": market["BTC"]}, Trial())
    appraise(programs, market["BTC"], sharing=False)
    backtest(programs[0], market["BTC"])
    after = compiled()
    grown = {name: (before.get(name, 0), count) for name, count in after.items() if count > before.get(name, 0)}
    assert not grown


def test_the_bars_it_warms_with_are_whole() -> None:
    bars = _bars("BTC")
    assert np.isfinite(bars["close"]).all()
    assert len(bars) > 1_000
