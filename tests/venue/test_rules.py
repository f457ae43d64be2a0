"""Prices and sizes: the venue's own examples, and properties against its rule written down a second time."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantga.errors import Denied
from quantga.venue.hyperliquid import rules
from quantga.venue.market import Asset


def asset(decimals: int) -> Asset:
    return Asset("X", 0, decimals, 10, ())


# The examples of the venue's documentation: (decimals of the size, price, valid).
EXAMPLES = [
    (1, "1234.5", True),
    (1, "1234.56", False),
    (0, "0.001234", True),
    (0, "0.0012345", False),
    (1, "0.01234", True),
    (1, "0.012345", False),
    (5, "123456", True),
    (5, "12345.6", False),
    (5, "12345.0", True),
]


@pytest.mark.parametrize(("decimals", "px", "valid"), EXAMPLES)
def test_the_documents_examples(decimals, px, valid):
    assert rules.valid_price(asset(decimals), Decimal(px)) is valid


prices = st.decimals(min_value="0.00001", max_value="9999999", allow_nan=False, places=9).filter(lambda px: px > 0)


def allowed(px: Decimal, decimals: int) -> bool:
    """The rule as the documentation words it."""
    digits = px.normalize()
    if digits == digits.to_integral_value():
        return True
    return len(digits.as_tuple().digits) <= 5 and -digits.as_tuple().exponent <= 6 - decimals


@given(px=prices, decimals=st.integers(0, 5), up=st.booleans())
def test_a_rounded_price_is_valid_near_and_on_the_safe_side(px, decimals, up):
    one = asset(decimals)
    try:
        found = rules.price(one, px, up=up)
    except Denied:
        assert not up
        assert px < Decimal(1).scaleb(decimals - 6)
        return
    assert allowed(found, decimals)
    assert rules.valid_price(one, found)
    assert found >= px if up else found <= px
    assert abs(found - px) < rules.tick(one, px)
    assert rules.price(one, found, up=not up) == found


@given(px=prices, decimals=st.integers(0, 5))
def test_valid_is_what_the_documentation_says(px, decimals):
    assert rules.valid_price(asset(decimals), px) is allowed(px, decimals)


@given(wanted=st.floats(0, 1e9), decimals=st.integers(0, 6))
def test_sizes_go_down(wanted, decimals):
    found = rules.size(asset(decimals), wanted)
    assert found <= Decimal(str(wanted))
    assert Decimal(str(wanted)) - found < Decimal(1).scaleb(-decimals)
    assert -found.as_tuple().exponent <= decimals


@given(value=st.decimals(min_value="-1e9", max_value="1e9", allow_nan=False, places=8))
def test_texts_are_those_of_the_sdk(value):
    from hyperliquid.utils.signing import float_to_wire

    if float(value) == float(f"{float(value):.8f}") and Decimal(str(float(value))) == value and value != 0:
        assert rules.text(value) == float_to_wire(float(value))
    assert Decimal(rules.text(value)) == value


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, "x"])
def test_what_is_no_price_is_denied(bad):
    with pytest.raises(Denied):
        rules.price(asset(2), bad, up=True)


@pytest.mark.parametrize("bad", [-1, math.nan, math.inf, "x"])
def test_what_is_no_size_is_denied(bad):
    with pytest.raises(Denied):
        rules.size(asset(2), bad)


def test_no_negative_zero():
    assert rules.text(Decimal("-0.0")) == "0"
    assert rules.text(Decimal("1E+3")) == "1000"
