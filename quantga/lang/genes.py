"""Risk genes: the part of a strategy that depends on its own position (stops, sizing), not on the market alone."""

from __future__ import annotations

from dataclasses import dataclass, fields

from quantga.errors import ProgramError
from quantga.lang.ops import BLOCK, ema_memory

VOLATILITY_WINDOW = 168
"""Bars over which `vol_target` measures volatility (std of simple returns, ddof 0)."""
ATR_WINDOW = 14
"""Bars of the average true range in which `stop_atr` and `take_atr` are measured, at the bar that decided."""


@dataclass(frozen=True, slots=True)
class Genes:
    """Neutral by default: size +-1, no stop, no take.

    vol_target: annual volatility aimed at, e.g. 0.4; the wanted position is multiplied by
        min(leverage, vol_target / realised volatility). 0: multiplied by `leverage` alone.
    leverage: multiplier of the wanted position; the ledger caps it by what costs and instrument allow.
    stop, take: distance from the entry price, as a fraction; stop_atr, take_atr: the same in average true ranges.
    ladder: (age in bars, profit net of fees as a fraction), ascending in age; the last one reached is the take.
    latch: after a stop no re-entry until the wanted position changes.
    band: rebalance when the weight has drifted by more than this from its target.
    max_hold: close after that many bars. 0 switches a gene off.
    """

    vol_target: float = 0.0
    leverage: float = 1.0
    stop: float = 0.0
    stop_atr: float = 0.0
    take: float = 0.0
    take_atr: float = 0.0
    ladder: tuple[tuple[int, float], ...] = ()
    latch: bool = False
    band: float = 0.0
    max_hold: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise ProgramError(f"gene {name}={value:g} is outside {low:g} to {high:g}")
        ages = [age for age, _ in self.ladder]
        if ages != sorted(set(ages)) or any(age < 0 for age in ages):
            raise ProgramError("gene ladder: ages must ascend from 0, e.g. ladder=0:0.05/12:0.02/48:0")

    def __str__(self) -> str:
        return ", ".join(
            _shown(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default
        )

    @property
    def lookback(self) -> int:
        """Bars of history from which the sizes and distances are defined."""
        volatility = VOLATILITY_WINDOW if self.vol_target else 0
        return max(volatility, ATR_WINDOW if self.stop_atr or self.take_atr else 0)

    @property
    def reach(self) -> int:
        """Bars of history from which they are bit-exact."""
        volatility = VOLATILITY_WINDOW + BLOCK if self.vol_target else 0
        atr = ema_memory(2 * ATR_WINDOW - 1) + BLOCK if self.stop_atr or self.take_atr else 0
        return max(volatility, atr)


_RANGES = (
    ("vol_target", 0, 10), ("leverage", 0.01, 50), ("stop", 0, 1), ("stop_atr", 0, 100), ("take", 0, 100),
    ("take_atr", 0, 1000), ("band", 0, 10), ("max_hold", 0, 1_000_000),
)  # fmt: skip

NEUTRAL = Genes()
"""No risk genes at all."""


def _shown(name: str, value: object) -> str:
    if name == "latch":
        return name
    if isinstance(value, tuple):
        return f"{name}={'/'.join(f'{age}:{profit!r}' for age, profit in value)}"
    return f"{name}={value!r}"
