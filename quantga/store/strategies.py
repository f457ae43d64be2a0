"""Promoted strategies: strategies/<id>.json, written once, with everything that its reader needs to trade it or to doubt it.

The id is the hash of the content, so a strategy that was changed is no longer the one that was promoted.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from quantga.errors import ConfigError, ManifestMismatch
from quantga.lang.parse import parse
from quantga.lang.program import Program
from quantga.store.lake import Lake, sha256, to_json

FOLDER = "strategies"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Anchor(_Record):
    """A row of the ledger: its number and the SHA-256 of its file."""

    number: int
    digest: str


class Market(_Record):
    """Where it is to be traded: venue, the venue's symbols, their base assets, bar interval."""

    venue: str
    symbols: tuple[str, ...]
    bases: tuple[str, ...]
    interval: str


class Expected(_Record):
    """What it may be expected to earn: annual Sharpe ratio of detrended daily returns, shrunk, with a 90 % interval.

    seen: the ratio in the holdout; error: its standard error; low, high: the interval. Never the in-sample ratio.
    """

    sharpe: float
    low: float
    high: float
    seen: float
    error: float


class Proof(_Record):
    """Why it was promoted.

    p_mine: of the search, charged with `searches` searches of these bars; null_searches: surrogate searches asked for, of
    the library `nulls`. p_hold: of the holdout alone. p: adjusted, of both; level: what was needed. trials: programs that
    the search appraised. searched, holdout: [start, end), ms UTC. holdout_trades: closed there. labels: of the tradability
    report. confirmed: on another venue, where that was asked for.
    """

    p_mine: float
    p_hold: float
    p: float
    level: float
    trials: int
    searches: int
    null_searches: int
    nulls: str
    searched: tuple[int, int]
    holdout: tuple[int, int]
    holdout_trades: int
    labels: tuple[str, ...]
    confirmed: dict[str, Any] | None = None


class Strategy(_Record):
    """One promoted program.

    program: its id, text its source. market: where to trade it. costs: as in `quantga.Costs`. look: the row at which the
    holdout was opened; ledger: the row of its answer. dataset, run, code, grammar: what made it.
    """

    format: Literal[1] = 1
    program: str
    text: str
    market: Market
    evolved_on: Market
    costs: dict[str, Any]
    forecast: Expected
    evidence: Proof
    run: str
    dataset: str
    code: str
    grammar: str
    look: Anchor
    ledger: Anchor

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the content."""
        return sha256(self.to_bytes())[:12]

    def to_bytes(self) -> bytes:
        """Return the strategy as canonical JSON."""
        return to_json(self.model_dump(mode="json"))

    def parsed(self) -> Program:
        """Return the program; ManifestMismatch where this version reads its text as another one."""
        program = parse(self.text)
        if program.id != self.program:
            raise ManifestMismatch(
                f"this version reads strategy {self.id} as another program ({program.id} and not {self.program}): trade it with {self.code}"
            )
        return program


def keep_strategy(lake: Lake, strategy: Strategy) -> str:
    """Write a strategy, once; return its id."""
    lake.put(f"{FOLDER}/{strategy.id}.json", strategy.to_bytes())
    return strategy.id


def strategies(lake: Lake) -> tuple[str, ...]:
    """Return the ids of all promoted strategies, sorted."""
    return tuple(path.rsplit("/", 1)[1].removesuffix(".json") for path in lake.paths(FOLDER) if path.endswith(".json"))


def read_strategy(lake: Lake, name: str) -> Strategy:
    """Return the strategy `name`, or the only one whose id begins so.

    Raises:
        ConfigError: there is none, or several.
        ManifestMismatch: the file is not what its name says.
    """
    known = strategies(lake)
    found = [one for one in known if one.startswith(name)]
    if len(found) != 1:
        raise ConfigError(
            f"{name!r} names {len(found)} strategies of {lake.root} (it has {', '.join(known) or 'none'}): `quantga validate` promotes"
        )
    path = f"{FOLDER}/{found[0]}.json"
    try:
        strategy = Strategy.model_validate_json(lake.read(path))
    except ValidationError as error:
        raise ManifestMismatch(
            f"{lake.root}/{path} is no strategy that this version reads: {error.errors()[0]['msg']}"
        ) from error
    if strategy.id != found[0]:
        raise ManifestMismatch(f"{lake.root}/{path} was changed after it was promoted: restore it, or validate again")
    return strategy
