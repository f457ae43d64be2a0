"""`quantga demo`: the main job on a market with a planted edge and on its twin without, side by side in one report.

Both markets are made of the same chance, go through the same import, search and ledger as real bars, and need no
network. Because the edge is ours, what was found can be judged on fresh years of the same process, which no real market
grants.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import JsonOption, give_json, give_table, say
from quantga.cli.evolve import WorkersOption, summary
from quantga.settings import Settings

if TYPE_CHECKING:
    from quantga.cluster.evolution import Run
    from quantga.lang.bars import Bars
    from quantga.store.lake import Lake
    from quantga.trust.markets import Regime

_START = 1_640_995_200_000  # 1 January 2022
_SYMBOLS = {"planted": ("ONE", "TWO"), "twin": ("THREE", "FOUR")}
"""The assets of each market. Names of their own: the ledger charges trials to an asset, wherever its bars are from."""
_FRESH_YEARS = 10.0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two markets: where its bars are, what it holds, and what the search made of it."""

    venue: str
    family: Regime
    oracle: float
    run: Run
    true_sharpe: float | None


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the demo keeps its lake and its report.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option("--seed", help="Names the markets and the searches.")] = 1,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Evolve on a market with a planted edge and on its twin without any; write a report of both."""
    from quantga.report import write_comparison
    from quantga.store.lake import open_lake
    from quantga.trust.markets import Regime

    began = time.monotonic()
    lake = open_lake(folder / "store")
    planted = Regime(drift=0.1, years=3)
    sides = [
        _side(lake, "planted", planted, seed, workers),
        _side(lake, "twin", replace(planted, drift=0.0), seed, workers),
    ]
    notes = [_note(side) for side in sides]
    path = write_comparison(lake, [side.run.id for side in sides], folder / "report.html", notes)
    seconds = time.monotonic() - began
    if json:
        give_json({"report": str(path), "seconds": round(seconds, 1), **{side.venue: _figures(side) for side in sides}})
        return
    _tell(sides)
    say(f"\nwrote {path} ({seconds:.0f} s): open it in a browser")


def _side(lake: Lake, venue: str, family: Regime, seed: int, workers: int | None) -> Side:
    from quantga.cluster.evolution import evolve
    from quantga.cluster.progress import show_progress
    from quantga.trust.markets import oracle_sharpe

    cost = Settings().costs.fee + Settings().costs.slippage
    oracle = median(oracle_sharpe(replace(family, years=_FRESH_YEARS), seed + n, "ORACLE", cost) for n in range(1, 6))
    strength = (
        f"an oracle who knows the rule earns a Sharpe of {oracle:.1f}" if oracle else "nothing can be found in it"
    )
    names = _SYMBOLS[venue]
    say(f"market {venue!r}: {len(names)} assets, {family.years:g} years of hourly bars; {strength}")
    chance = family.market(seed, {name: name for name in _SYMBOLS["planted"]}, _START)
    _import(lake, venue, dict(zip(names, chance.values(), strict=True)), lake.local.parent / "files" / venue)
    settings = Settings.load(
        {
            "data": {
                "venue": venue,
                "interval": "1h",
                "symbols": ",".join(names),
                "timerange": "",
                "unlocked": False,
            },
            "search": {"seed": seed, "islands": 4, "population": 96, "generations": 15},
            "cluster": {"workers": workers},
            "store": {"path": str(lake.root)},
        }
    )
    run = evolve(settings, report=show_progress)
    return Side(venue, family, oracle, run, _true_sharpe(run, family, seed))


def _import(lake: Lake, venue: str, market: dict[str, Bars], folder: Path) -> None:
    """Write the market as files and import them, as a user would."""
    import pyarrow.parquet as pq

    from quantga.store.ingest.importer import import_files
    from quantga.store.ingest.labels import Told

    for symbol, bars in market.items():
        table = bars.to_arrow()
        stamps = table["time"].to_numpy() + bars.interval
        for kind, columns in (
            (
                "bars",
                {"ts": table["time"], **{name: table[name] for name in ("open", "high", "low", "close", "volume")}},
            ),
            ("funding", {"ts": stamps, "funding_rate": table["funding"]}),
        ):
            path = folder / kind / f"{symbol}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(_table(columns), path)
    import_files(lake, [folder / "bars", folder / "funding"], Told(venue=venue, interval="1h"))


def _table(columns: dict[str, object]) -> object:
    import pyarrow as pa

    return pa.table(columns)


def _true_sharpe(run: Run, family: Regime, seed: int) -> float | None:
    """The best champion's Sharpe on fresh years of the same process, net of costs; None if it never traded."""
    from quantga.engine.backtest import backtest

    fresh = replace(family, years=_FRESH_YEARS).market(seed + 1_000_003, {"FRESH": "FRESH"}, _START)["FRESH"]
    return backtest(run.champions[0].program, fresh).metrics["sharpe"]


def _note(side: Side) -> str:
    planted = (
        f"an oracle who knows the rule earns a Sharpe ratio of {side.oracle:.1f}"
        if side.oracle
        else "nothing is planted"
    )
    found = "never trades" if side.true_sharpe is None else f"earns {side.true_sharpe:+.2f} on one asset"
    return f"{side.venue}: {planted}; on {_FRESH_YEARS:g} fresh years of the same process the best champion {found}."


def _figures(side: Side) -> dict[str, object]:
    return {**summary(side.run), "oracle_sharpe": side.oracle, "true_sharpe": side.true_sharpe}


def _tell(sides: list[Side]) -> None:
    give_table(
        "the same search, with and without something to find: its best champion",
        ("market", "trials", "Sharpe in-sample, both assets", "on 10 fresh years, one asset", "oracle, one asset"),
        [
            (
                side.venue,
                side.run.trials,
                side.run.champions[0].figures["sharpe"],
                side.true_sharpe,
                side.oracle or None,
            )
            for side in sides
        ],
    )
