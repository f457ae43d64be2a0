"""`quantga bench engine`: the whole measurement, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from quantga.bench import machine
from quantga.bench.baselines_vectorbt import engines
from quantga.bench.engine import QUICK, SEED, Extent, cases
from quantga.bench.operators import operator_costs, simulation_costs
from quantga.bench.operon import against_operon
from quantga.bench.populations import random_population
from quantga.bench.scaling import import_seconds, us_by_count
from quantga.errors import ConfigError
from quantga.lang.bars import DAY_MS, Bars
from quantga.trust.markets import Regime

_START = 1_262_304_000_000  # 1 January 2010
_HOURS_A_YEAR = 8_760


def chance_market(bars: int) -> Bars:
    """Return hourly bars of a market made of chance, without an edge."""
    years = bars / _HOURS_A_YEAR
    return Regime(years=years + 1 / _HOURS_A_YEAR).market(SEED, {"CHANCE": "CHANCE"}, _START)["CHANCE"].slice(0, bars)


def measure(market: Bars | None, *, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything and return it as plain values; `market` None is made of chance."""
    extent = QUICK if quick else Extent()
    bars = market or chance_market(max(extent.bars))
    say(f"VectorBT's engines: {', '.join(engines())}")
    least = machine.floor()
    found: dict[str, Any] = {
        "machine": machine.describe(),
        "data": f"{bars.symbol or 'a table'}, {len(bars):,} bars of {bars.interval / DAY_MS * 24:g} h",
        "floor": {"ns_per_pass": least.pass_, "ns_per_fill": least.fill, "ns_per_byte": least.stream},
        "cases": [_with_floor(case, least) for case in cases(bars, extent, say)],
    }
    say("operators, ledger, Operon, many trees …")
    year = bars.slice(0, min(len(bars), 4 * _HOURS_A_YEAR))
    found["operators_ns"] = operator_costs(year)
    found["simulation_ns"] = {
        name: {"held_bar": one.held, "order": one.order, "by_run": {str(k): v for k, v in one.runs.items()}}
        for name, one in simulation_costs(year).items()
    }
    try:
        found["operon"] = [against_operon(rows) for rows in (1_000, *extent.bars)]
    except ConfigError as error:
        found["operon"] = str(error)
    few = bars.slice(0, min(len(bars), _HOURS_A_YEAR))
    counts = (125, 500, 1_000) if quick else (125, 250, 500, 1_000, 2_000, 4_000)
    found["us_by_trees"] = us_by_count(random_population(few, counts[-1], SEED), few, counts)
    found["import_seconds"] = import_seconds()
    found["import_and_appraise_seconds"] = import_seconds("quantga.appraise")
    return found


def _with_floor(case: Mapping[str, Any], least: machine.Floor) -> dict[str, Any]:
    """Return the case with the least time in which this machine could do its work, and the share of that reached.

    Every node writes its block once and reads its arguments (one pass a bar), the ledger looks at every wanted position
    once (another), every order is a chain of two divisions, and the market's columns come from memory once.
    """
    what, sharing = case["what"], case["sharing"]
    nodes = what["nodes_shared"] if sharing else what["nodes_written"]
    programs, bars = case["programs"], case["bars"]
    instructions = (nodes / programs + 1) * bars * least.pass_ / 1e3
    fills = 2 * what["trades_mean"] * least.fill / 1e3
    memory = 15 * 8 * bars * least.stream / 1e3 / programs
    floor = instructions + fills + memory
    return {
        **case,
        "floor_us": floor,
        "floor_parts_us": {"passes": instructions, "fills": fills, "memory": memory},
        "share_of_limit": floor / case["us_per_program"],
    }
