"""exp, log, power and the normal distribution from + - x / and square roots alone.

The C library's answers differ between processors in the last bits; these do not, so figures are the same everywhere.
"""

from __future__ import annotations

import math

from quantga.lang.jit import njit

_LN2_HIGH = 6.93147180369123816490e-01  # 33 significant bits: times any exponent it is exact
_LN2_LOW = 1.90821492927058770002e-10
_SPLIT = 134217729.0  # 2**27 + 1
_LARGEST, _SMALLEST = 709.782712893384, -745.1332191019412
_ROOT_HALF = 0.7071067811865476
_HALF_LN_2PI = 0.91893853320467274178


@njit
def _product(a: float, b: float) -> tuple[float, float]:
    """Return a x b and its rounding error (Dekker 1971)."""
    high = a * b
    p, q = a * _SPLIT, b * _SPLIT
    a_high, b_high = p - (p - a), q - (q - b)
    a_low, b_low = a - a_high, b - b_high
    return high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low


@njit
def _logarithm(x: float) -> tuple[float, float]:
    """Return ln x for a finite x > 0, as a sum of two floats: log m = 2 artanh((m - 1) / (m + 1))."""
    m, exponent = math.frexp(x)
    if m < _ROOT_HALF:
        m, exponent = m + m, exponent - 1
    top, bottom = m - 1.0, m + 1.0
    left = (m - bottom) + 1.0  # what rounding took from the bottom
    s = top / bottom
    back, error = _product(s, bottom)
    s_low = (((top - back) - error) - s * left) / bottom
    square = s * s
    series = 0.0
    for k in range(27, 1, -2):
        series = (series + 1.0 / k) * square
    low = 2.0 * s_low + 2.0 * s * series + exponent * _LN2_LOW
    first, second = exponent * _LN2_HIGH, 2.0 * s
    high = first + second
    low += (first - high) + second if exponent else 0.0
    total = high + low
    return total, (high - total) + low


@njit
def _exponential(high: float, low: float) -> float:
    """Return exp(high + low), where |low| is below one unit in the last place of high."""
    if high > _LARGEST:
        return math.inf
    if high < _SMALLEST:
        return 0.0
    k = math.floor(high / 0.6931471805599453 + 0.5)
    r = ((high - k * _LN2_HIGH) - k * _LN2_LOW) + low
    series = 1.0
    for n in range(16, 1, -1):
        series = 1.0 + series * r / n
    value = 1.0 + r * series
    half = int(k) // 2
    return math.ldexp(math.ldexp(value, half), int(k) - half)


@njit
def exp(x: float) -> float:
    """Return e**x; inf and 0 beyond the range of floats, NaN for NaN."""
    return x if math.isnan(x) else _exponential(x, 0.0)


@njit
def log(x: float) -> float:
    """Return ln x; -inf at 0, NaN below."""
    if math.isnan(x) or x < 0.0:
        return math.nan
    if x == 0.0:
        return -math.inf
    return x if math.isinf(x) else _logarithm(x)[0]


@njit
def power(base: float, exponent: float) -> float:
    """Return base**exponent for a base >= 0 and an exponent > 0."""
    if base == 0.0 or math.isnan(base) or math.isinf(base):
        return base
    high, low = _logarithm(base)
    product, error = _product(high, exponent)
    if abs(product) > 1000.0:
        return _exponential(product, 0.0)
    return _exponential(product, error + low * exponent)


@njit
def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function: a Taylor series about 0, a continued fraction in the tails."""
    if math.isnan(x):
        return x
    if abs(x) < 3.0:
        term, total, k = x, x, 1.0
        while True:
            k += 2.0
            term *= x * x / k
            if total + term == total:
                break
            total += term
        return 0.5 + total * exp(-0.5 * x * x - _HALF_LN_2PI)
    below = 0.0
    for k in range(120, 0, -1):
        below = k / (abs(x) + below)
    tail = exp(-0.5 * x * x - _HALF_LN_2PI) / (abs(x) + below)
    return tail if x < 0.0 else 1.0 - tail
