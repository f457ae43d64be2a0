"""`quantga ops`, `quantga backtest`, `quantga warm`: the language and single programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quantga.cli.console import (
    IntervalOption,
    JsonOption,
    StoreOption,
    SymbolsOption,
    TimerangeOption,
    UnlockedOption,
    VenueOption,
    give_json,
    give_table,
    say,
)
from quantga.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa


def ops(json: JsonOption = False) -> None:
    """List every operator: kinds, meaning, history."""
    from quantga.lang.ops import BY_NAME

    listed = [
        {
            "name": name,
            "signatures": [f"({', '.join(op.args)}) -> {op.ret}" for op in found],
            "doc": found[0].doc,
            "definition": found[0].meaning if isinstance(found[0].meaning, str) and not found[0].column else "",
        }
        for name, found in BY_NAME.items()
    ]
    if json:
        give_json({"operators": listed})
        return
    give_table(
        f"{len(listed)} operators",
        ("name", "kinds", "meaning"),
        [(one["name"], _short(one["signatures"]), one["doc"]) for one in listed],  # type: ignore[arg-type]
    )


def _short(signatures: list[str]) -> str:
    return signatures[0] + (f" … ({len(signatures)} kinds)" if len(signatures) > 1 else "")


def backtest(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A program, as `quantga show` prints it.")],
    symbols: SymbolsOption = None,
    interval: IntervalOption = None,
    venue: VenueOption = None,
    timerange: TimerangeOption = None,
    unlocked: UnlockedOption = None,
    engine: Annotated[str | None, typer.Option("--engine", help="numba, or vectorbt where its rules suffice.")] = None,
    trades: Annotated[Path | None, typer.Option("--trades", help="Write the trades to this CSV file.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Run one program on stored bars and print its figures per symbol."""
    from quantga.cluster.ground import survey, trial_of
    from quantga.engine.auditor import audit
    from quantga.engine.backtest import backtest as run
    from quantga.lang.parse import parse

    program = parse(text)
    settings = Settings.load(
        {
            "data": {
                "symbols": symbols,
                "interval": interval,
                "venue": venue,
                "timerange": timerange,
                "unlocked": unlocked,
            },
            "search": {"engine": engine},
            "store": {"path": store},
        }
    )
    ground, trial = survey(settings), trial_of(settings)
    if ground.window.note:
        say(f"note: {ground.window.note}")
    judge = audit if trial.engine == "vectorbt" else run
    results = {symbol: judge(program, bars, trial.costs) for symbol, bars in ground.market().items()}
    if trades is not None:
        _write_trades(trades, {symbol: result.trades for symbol, result in results.items()})
    figures = {symbol: result.metrics for symbol, result in results.items()}
    if json:
        give_json({"id": program.id, "text": program.text, "lookback": program.lookback, "metrics": figures})
        return
    names = list(next(iter(figures.values())))
    give_table(str(program), ("figure", *figures), [(n, *(one[n] for one in figures.values())) for n in names])


def _write_trades(path: Path, tables: Mapping[str, pa.Table]) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc

    joined = pa.concat_tables(
        [table.append_column("symbol", pa.array([symbol] * table.num_rows)) for symbol, table in tables.items()]
    )
    pc.write_csv(joined, path)


def warm(json: JsonOption = False) -> None:
    """Compile everything that a worker needs into the cache, and say where it lies."""
    from quantga.engine.warm import warm as compile_all

    folder, seconds = compile_all()
    if json:
        give_json({"cache": str(folder), "seconds": round(seconds, 1)})
    else:
        say(f"compiled code lies in {folder} ({seconds:.1f} s)")
