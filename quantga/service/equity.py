"""What a program earned, phase by phase: on the bars that were searched, in the embargo, in the holdout once it was opened.

The searched part is traded again by the engine that scored it. What lies after it is read from the validation's record, since
nothing but a validation may open locked bars.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quantga.engine.costs import Costs
from quantga.lang.parse import parse
from quantga.report.results import champion
from quantga.report.series import drawdown, pooled
from quantga.store.lake import Lake, open_lake
from quantga.store.manifest import read_manifest
from quantga.store.market import load

DAY_MS = 86_400_000
POINTS = 800
"""At most so many days are told; of more, every second, third, …"""


def equity_of(store: str, run: str, text: str) -> dict[str, Any]:
    """Return the equity by day of the program `text` on the run's markets, equally weighted; see `phases`."""
    lake = open_lake(store)
    made: Any = lake.read_json(f"runs/{run}/run.json")
    terms = Costs(**made["science"]["costs"])
    manifest = read_manifest(lake, made["dataset"])
    market = load(lake, manifest, tuple(made["symbols"]), made["start"], made["end"], unlocked=made["unlocked"])
    program = parse(text)
    curve = pooled(champion(program, 0.0, market, terms, {}), terms.capital)
    time, worth = curve.time.astype(np.int64), curve.equity
    phases = [{"phase": "searched", "start": int(made["start"]), "end": int(made["end"])}]
    later = _later(lake, run, program.id, int(made["end"]))
    if later is not None:
        days, returns, split = later
        time = np.concatenate([time, days])
        worth = np.concatenate([worth, worth[-1] * np.cumprod(1 + returns)])
        end, opens, closes = split
        phases += [
            {"phase": "embargo", "start": end, "end": opens},
            {"phase": "holdout", "start": opens, "end": closes},
        ]
    held = np.concatenate([curve.market, np.full(len(time) - len(curve.market), np.nan)])
    every = max(1, -(-len(time) // POINTS))
    rows = np.unique(np.append(np.arange(0, len(time), every), len(time) - 1))
    return {
        "program": program.id,
        "capital": terms.capital,
        "time": time[rows].tolist(),
        "equity": worth[rows].tolist(),
        "drawdown": drawdown(worth, terms.capital)[rows].tolist(),
        "holding": [None if np.isnan(value) else value for value in held[rows].tolist()],
        "phases": phases,
    }


def _later(lake: Lake, run: str, program: str, end: int) -> tuple[Any, Any, tuple[int, int, int]] | None:
    """Return days (their ends, ms), returns and (end of the search, holdout opens, closes), where a validation knows the program."""
    if not lake.exists(f"runs/{run}/validation.json"):
        return None
    record: Any = lake.read_json(f"runs/{run}/validation.json")
    if not record["holdout_opened"] or program not in {one["program"] for one in record["shortlist"]}:
        return None
    table = lake.read_table(f"runs/{run}/validation.parquet")
    names = np.array(table["program"].to_pylist(), dtype=object)
    days = (table["day"].to_numpy().astype(np.int64)[names == program] + 1) * DAY_MS
    returns = table["returns"].to_numpy()[names == program]
    after = days > end
    opens, closes = record["split"]["holdout"]
    return days[after], returns[after], (end, int(opens), int(closes))
