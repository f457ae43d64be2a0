from __future__ import annotations

import math
import pickle

import pytest

from quantga.engine.costs import Costs
from quantga.engine.instruments import Instrument
from quantga.errors import ConfigError


def test_the_defaults_are_the_venues_lowest_tier():
    assert (Costs().fee, Costs().maker) == (0.00045, 0.00015)
    assert pickle.loads(pickle.dumps(Costs())) == Costs()
    assert hash(Costs()) == hash(Costs())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fee": -0.1}, "fee"),
        ({"fee": math.nan}, "fee"),
        ({"fee": True}, "fee"),
        ({"slippage": 0.5}, "slippage"),
        ({"maker": "0"}, "maker"),
        ({"capital": 0}, "capital"),
        ({"capital": math.inf}, "capital"),
        ({"max_leverage": 51}, "max_leverage"),
        ({"funding": 1}, "funding"),
        ({"margin": None}, "margin"),
        ({"fee": 0.05, "max_leverage": 50}, "whole account"),
        ({"instruments": ("BTC",)}, "Instrument"),
    ],
)
def test_what_cannot_be_is_refused_by_name(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Costs(**wrong)


def test_instruments_are_part_of_the_costs():
    given = Costs(instruments=(Instrument("FOO", 2, ((0, 5),)),))
    assert given != Costs()
    assert given.instruments[0].max_leverage == 5
