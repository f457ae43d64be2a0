"""What the benchmark of honesty runs: which markets, which search, how many of each, all stated and fixed.

A market is made, or it is real bars from which chance has taken whatever could be predicted. The surrogate searches of
markets that luck cannot tell apart are shared; `own` asks for each market's own instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import quantga.trust
from quantga.cluster.record import code_version
from quantga.errors import ConfigError
from quantga.lang.bars import DAY_MS, Bars
from quantga.settings import Settings
from quantga.streams import stream
from quantga.trust.families import NULLS, PLANTED, family
from quantga.trust.surrogates import surrogate

START = 1_577_836_800_000  # 2020-01-01
DEV_SHARE = 0.6
"""Share of a history that is searched; the rest is locked."""
REAL = ("real sign", "real order")
"""Families made from real bars: every bar reflected or not, and the bars in another order."""
_MOULDS = {"garch_t": "garch_t", "volume": "volume", **{name: name for name in REAL}}
_SYMBOL = "BTC"
_TRUST = Path(quantga.trust.__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One market: its family, what is planted (annual Sharpe ratio of its oracle, 0: nothing), and the seed that names it."""

    kind: str
    sharpe: float
    seed: int

    @property
    def name(self) -> str:
        """Return the name of its checkpoint."""
        return f"{self.kind.replace(' ', '-')}-{self.sharpe:g}-{self.seed:04d}"

    @property
    def mould(self) -> str:
        """Return whose surrogate searches it shares.

        With its signs drawn by chance, a market differs from another only in what signs do not touch: sizes of moves and other
        columns. Those are alike in all families of constant volatility, except where volume bursts.
        """
        return _MOULDS.get(self.kind, "gbm")


@dataclass(frozen=True)
class Budget:
    """How much is run. Everything here is part of the name under which checkpoints are kept.

    years: of a market, DEV_SHARE of them searched. fresh_years: on which the truth about a champion is measured. library:
    surrogate searches of each mould; own: of each market instead, by Besag and Clifford's rule. nulls, planted: markets
    of each family (and level). first: seed of the first market and of the first surrogate search, the others follow. search: islands,
    population, generations; all else as in Settings.
    """

    nulls: int
    planted: int
    library: int
    levels: tuple[float, ...] = (1.0, 2.0, 3.0)
    families: tuple[str, ...] = (*NULLS, *PLANTED)
    years: float = 4.0
    fresh_years: float = 20.0
    own: bool = False
    first: int = 0
    search: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, seed: int) -> Settings:
        """Return the settings of one validation: 5 bp a side, the search stated here, all else as by default."""
        costs = {"fee": 0.00045, "slippage": 0.00005}
        defaults = Settings.model_construct().model_dump()
        return Settings.model_validate({**defaults, "costs": costs, "search": {**self.search, "seed": seed}})

    def cases(self, *, real: bool) -> Iterator[Case]:
        """Yield the markets, every family's first before any family's second, so that a part is a fair sample."""
        kinds = [kind for kind in self.families if kind in NULLS] + [*(REAL if real else ())]
        planted = [kind for kind in self.families if kind in PLANTED]
        for number in range(self.nulls):
            yield from (Case(kind, 0.0, self.first + number) for kind in kinds)
            if number * self.planted // self.nulls < (number + 1) * self.planted // self.nulls:
                seed = self.first + number * self.planted // self.nulls
                yield from (Case(kind, level, seed) for level in self.levels for kind in planted)

    @property
    def numbers(self) -> range:
        """Return the numbers of a mould's surrogate searches."""
        return range(self.first, self.first + self.library)

    def digest(self, data: str) -> str:
        """Return 12 hex digits over all that decides a figure: this budget, the code, the real bars."""
        plain = {**asdict(self), "nulls": 0, "planted": 0, "families": (), "levels": ()}
        code = [code_version(), *(file.read_text(encoding="utf-8") for file in sorted(_TRUST.glob("*.py")))]
        text = json.dumps([plain, self.settings(0).science, code, data], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_SEARCH = {"islands": 4, "population": 96, "generations": 8}

FULL = Budget(nulls=40, planted=12, library=99, first=1000, search=_SEARCH)
"""200 null runs with real bars, 120 without; 12 of each of 6 planted families at each of 3 levels, 72 a level.

Its seeds are not those on which search and gate were chosen (decisions 0010 to 0014: below 100).
"""
QUICK = Budget(nulls=4, planted=2, library=39, levels=(3.0,), search=_SEARCH)
"""For a look within ten minutes on two cores."""


@dataclass(frozen=True)
class Ground:
    """The real bars that the families of REAL are made of; none where no data were given. digest: of their bytes."""

    bars: Bars | None = None
    digest: str = ""

    @classmethod
    def of(cls, path: Path | None, years: float) -> Ground:
        """Return the last `years` of the Parquet file at `path`. ConfigError where there is no such file or too little in it."""
        if path is None:
            return cls()
        if not path.is_file():
            raise ConfigError(f"{path} is not a file: name a Parquet file of hourly bars, or leave --data out")
        table = pq.read_table(path)
        named = table.rename_columns(["time" if name == "ts" else name for name in table.column_names])
        bars = Bars.from_arrow(named, symbol=_SYMBOL, base=_SYMBOL)
        end = int(bars.time[-1]) // DAY_MS * DAY_MS
        start = end - int(years * 365) * DAY_MS
        if int(bars.time[0]) > start:
            raise ConfigError(f"{path} holds less than {years:g} years: give a longer history")
        return cls(bars.between(start, end), hashlib.sha256(path.read_bytes()).hexdigest()[:12])


def market(case: Case, budget: Budget, ground: Ground) -> dict[str, Bars]:
    """Return the bars of a case, `budget.years` long."""
    if case.kind in REAL:
        return _chance_of(case, ground, case.seed)
    return family(case.kind, case.sharpe, budget.years).market(case.seed, {_SYMBOL: _SYMBOL}, START)


def fresh_markets(case: Case, budget: Budget, ground: Ground) -> list[dict[str, Bars]]:
    """Return further years of the same process: one long market, or several surrogates where the bars are real."""
    if case.kind in REAL:
        return [
            _chance_of(case, ground, 1_000_000 + case.seed * 100 + k)
            for k in range(int(budget.fresh_years / budget.years))
        ]
    return [family(case.kind, case.sharpe, budget.fresh_years).market(case.seed, {"FRESH": "FRESH"}, START)]


def null_market(mould: str, number: int, budget: Budget, ground: Ground) -> dict[str, Bars]:
    """Return market `number` of a mould's library, a surrogate of the searched part: other seeds than any case's."""
    kind, level = (mould, 2.0) if mould in PLANTED else (mould, 0.0)
    seed = 2_000_000 + number
    case = Case(kind, level, int(stream(seed, mould).integers(2**31)))
    return surrogate("sign", searched(market(case, budget, ground)), seed, number)


def searched(bars: Mapping[str, Bars]) -> dict[str, Bars]:
    """Return the part that a search may read."""
    start, end = searched_window(bars)
    return {symbol: one.between(start, end) for symbol, one in bars.items()}


def searched_window(bars: Mapping[str, Bars]) -> tuple[int, int]:
    """Return the window that a search may read, whole days ([start, end), ms)."""
    start, end = whole_window(bars)
    return start, start + int(DEV_SHARE * (end - start) / DAY_MS) * DAY_MS


def whole_window(bars: Mapping[str, Bars]) -> tuple[int, int]:
    """Return the whole history's window ([start, end), ms)."""
    one = next(iter(bars.values()))
    return int(one.time[0]), int(one.time[-1]) + one.interval


def _chance_of(case: Case, ground: Ground, seed: int) -> dict[str, Bars]:
    if ground.bars is None:
        raise ConfigError("families of real bars need --data")
    return surrogate(case.kind.removeprefix("real "), {_SYMBOL: ground.bars}, seed, 0)
