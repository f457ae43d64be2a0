"""What is to be traded: promoted strategies by their ids; on paper alone also a champion or any program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quantga.cluster.record import RunFiles, run_named
from quantga.errors import ConfigError
from quantga.lang.parse import parse
from quantga.live.plan import Traded
from quantga.store.lake import Lake
from quantga.store.manifest import read_manifest
from quantga.store.strategies import read_strategy, strategies
from quantga.store.symbols import interval_ms
from quantga.store.trials import Ledger

__all__ = ["champion", "program", "promoted"]


def promoted(lake: Lake, names: Sequence[str]) -> tuple[tuple[Traded, ...], int]:
    """Return the strategies of these ids (none: all that were promoted), and their interval in ms.

    ConfigError where there is none, or they have several intervals: those are traded by several accounts.
    """
    chosen = list(names) or list(strategies(lake))
    if not chosen:
        raise ConfigError(
            f"the store {lake.root} holds no promoted strategy: `quantga validate` promotes; on paper --run or --program "
            "trades what was not promoted"
        )
    found = [(name, read_strategy(lake, name)) for name in chosen]
    intervals = sorted({one.market.interval for _, one in found})
    if len(intervals) > 1:
        raise ConfigError(
            f"one account trades one interval, and these have {', '.join(intervals)}: choose with --strategy"
        )
    made = tuple(
        Traded(one.id, one.program, one.text, _coins(one.market.bases), dict(one.costs), 0, one.code)
        for _, one in found
    )
    return made, interval_ms(intervals[0])


def champion(lake: Lake, run: str) -> tuple[tuple[Traded, ...], int]:
    """Return the best champion of a finished run ("last": the one searched last), and the run's interval in ms."""
    files = RunFiles(lake, run_named(lake, run, Ledger(lake)))
    made = files.made()
    best = files.champions()[0].program
    science = made["science"]
    coins = _coins(_bases(lake, made))
    return (Traded(best.id, best.id, best.text, coins, dict(science["costs"]), 0),), interval_ms(made["interval"])


def program(text: str, symbols: Sequence[str], interval: str, costs: dict[str, Any]) -> tuple[tuple[Traded, ...], int]:
    """Return a program as it was typed, and its interval in ms. ProgramError where it does not read."""
    if not symbols or not interval:
        raise ConfigError("--program needs --symbols and --interval, as in --symbols BTC,ETH --interval 1h")
    parsed = parse(text)
    return (Traded(parsed.id, parsed.id, parsed.text, _coins(symbols), costs, 0),), interval_ms(interval)


def _bases(lake: Lake, made: dict[str, Any]) -> list[str]:

    manifest = read_manifest(lake, made["dataset"])
    return [manifest.instrument(symbol).base for symbol in made["symbols"]]


def _coins(names: Sequence[str]) -> tuple[str, ...]:
    """Return names as the venue has them, sorted: `1000PEPE` is its `kPEPE`."""
    return tuple(sorted({f"k{name[4:]}" if name.startswith("1000") else name for name in names}))
