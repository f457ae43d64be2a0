"""What every verb shares: its options, where messages go and where results go."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

StoreOption = Annotated[
    str | None,
    typer.Option("--store", metavar="DIR", help="The lake: a folder, or s3://bucket/prefix. Default: \\[store] path."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
SymbolsOption = Annotated[str | None, typer.Option("--symbols", help="BTC,ETH,…; default: all of the dataset.")]
IntervalOption = Annotated[str | None, typer.Option("--interval", help="Bar interval, as in 4h.")]
VenueOption = Annotated[str | None, typer.Option("--venue", help="Venue, as in hyperliquid.")]
TimerangeOption = Annotated[
    str | None,
    typer.Option("--timerange", help="YYYYMMDD-YYYYMMDD, either side may be empty; the end is not included."),
]
UnlockedOption = Annotated[
    bool | None, typer.Option("--unlocked", help="Read the locked holdout too; the result can never be promoted.")
]

FIGURES = ("score", "alpha_sharpe", "sharpe", "total_return", "max_drawdown", "trades")
"""The figures of a program that fit on a line."""
_WIDE = 240  # characters of a table that goes into a file


def say(message: str) -> None:
    """Print a message for a person, to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def give_json(result: object) -> None:
    """Print the result of a verb as one line of JSON."""
    sys.stdout.write(orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
    sys.stdout.flush()


def give_table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table; numbers stand to the right."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    shown = [[_cell(value) for value in row] for row in rows]
    for place, name in enumerate(header):
        numeric = all(_is_number(row[place]) for row in shown) and bool(shown)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in shown:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def give_programs(title: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print programs: a table of their figures by id, then the texts, which are too long for a table."""
    give_table(title, ("id", *names), [(row["id"], *(row.get(name) for name in names)) for row in rows])
    for row in rows:
        typer.echo(f"{row['id']}  {row['text']}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return (
        text == "-" or text.replace(",", "").replace(".", "").lstrip("+-").replace("e", "").replace("-", "").isdigit()
    )
