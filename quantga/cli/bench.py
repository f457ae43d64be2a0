"""`quantga bench`: measure the engine, a whole search, the cluster, the request budget, and how often the pipeline is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quantga.cli.console import JsonOption, give_json, give_table, say
from quantga.errors import ConfigError

if TYPE_CHECKING:
    from quantga.lang.bars import Bars

bench_app = typer.Typer(
    no_args_is_help=True, help="Measure: the engine, a whole search, the cluster, the request budget, honesty."
)

QuickOption = Annotated[bool, typer.Option("--quick", help="A smaller measurement, in a minute or two.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FILE", help="Parquet with time (or ts), open … volume. Default: a market made of chance."
    ),
]


@bench_app.command("engine")
def engine(data: DataOption = None, quick: QuickOption = False, json: JsonOption = False) -> None:
    """Appraise random and evolved populations beside DEAP with VectorBT, VectorBT batched, and Operon."""
    from quantga.bench.story import measure

    found = measure(_bars(data), quick=quick, say=say)
    if json:
        give_json(found)
        return
    _tell_cases(found["cases"])
    _tell_parts(found)


@bench_app.command("search")
def search(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Run a whole search, 8 islands x 128 programs x 25 generations on 35,040 bars, and say where its time goes."""
    from quantga.bench.search import measure

    _give("search", measure(quick=quick, say=say), json=json)


@bench_app.command("cluster")
def cluster(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Compare two Ray workers with two plain processes in the same minute, and with a pool and joblib."""
    from quantga.bench.cluster import measure

    _give("cluster", measure(quick=quick, say=say), json=json)


@bench_app.command("scale")
def scale(
    quick: QuickOption = False,
    json: JsonOption = False,
    store: Annotated[
        str,
        typer.Option("--store", metavar="DIR", help="Measure this store, in a folder of its own. Default: a folder."),
    ] = "",
    searches: Annotated[int, typer.Option(min=1, help="Whole searches of the campaign.")] = 10_000,
) -> None:
    """Simulate 8 to 4,096 cores from times measured here: utilisation, cost, the driver's share, which limit binds first."""
    from quantga.bench.scale import measure

    found = measure(quick=quick, store=store, searches=searches, say=say)
    if json:
        give_json(found)
        return
    for name in ("campaign", "evolution"):
        rows = [{key: value for key, value in one.items() if key != "limits"} for one in found[name]]
        give_table(name, list(rows[0]), [list(one.values()) for one in rows])
    rest = {key: value for key, value in found.items() if key not in ("campaign", "evolution")}
    give_table("from", ("figure", "value"), list(_flat(rest)))


@bench_app.command("venue")
def venue(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Load a paper exchange with five times the venue's limit, without the request budget and with it."""
    from quantga.venue.bench import measure

    _give("venue", measure(25.0 if quick else 75.0, say), json=json)


@bench_app.command("feed")
def feed(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Pour frames of a busy market through a socket into a feed on one core: bars closed and frames recorded."""
    from quantga.live.bench import measure

    _give("feed", measure(4 if quick else 12), json=json)


@bench_app.command("exchange")
def exchange(quick: QuickOption = False, json: JsonOption = False) -> None:
    """Send signed actions to a paper exchange of its own: one order each, then batches of 40."""
    from quantga.exchange.bench import measure

    _give("exchange", measure(*((600, 100) if quick else (3000, 500))), json=json)


@bench_app.command("honesty")
def honesty(
    quick: QuickOption = False,
    json: JsonOption = False,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Parquet of hourly bars: adds families of real data.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. 1 stays in this one. Default: every core.")
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="DIR", help="Where checkpoints are kept, one file per market.")
    ] = Path("honesty"),
    merge: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Checkpoints of others, read too. Repeatable.")
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Run nothing: count the checkpoints.")] = False,
    most: Annotated[int | None, typer.Option(min=1, help="Stop after this many markets of the fixed order.")] = None,
    families: Annotated[
        str, typer.Option(help="gbm,ar1,…: only these, so that several machines can share the work. Default: all.")
    ] = "",
    library: Annotated[
        int | None, typer.Option(min=19, help="Surrogate searches shared by markets alike. Default: 99, quick: 39.")
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Each market's own surrogate searches: many times the work.")
    ] = False,
) -> None:
    """Validate what searches find on markets of which the truth is known, and count how often the answer is wrong."""
    from quantga.bench.honesty import Terms, measure

    terms = Terms(quick, data, folder, tuple(merge or ()), workers, table, most, own, _names(families), library)
    found = measure(terms, say)
    if json:
        give_json(found)
    else:
        _tell_honesty(found)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _tell_honesty(found: dict[str, Any]) -> None:
    """Tell shares as `count of n (low-high %)`."""
    rows = [(name, _told(value)) for name, value in _flat_shares(found)]
    give_table("honesty", ("figure", "value"), rows)


def _flat_shares(values: dict[str, Any], before: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in values.items():
        deeper = isinstance(value, dict) and set(value) != {"count", "of", "low", "high"}
        rows += _flat_shares(value, f"{before}{name} ") if deeper else [(f"{before}{name}", value)]
    return rows


def _told(value: object) -> object:
    if isinstance(value, dict):
        return f"{value['count']} of {value['of']} ({100 * value['low']:.1f} to {100 * value['high']:.1f} %)"
    return f"{value:.3g}" if isinstance(value, float) else value


def _bars(path: Path | None) -> Bars | None:
    if path is None:
        return None
    import pyarrow.parquet as pq

    from quantga.lang.bars import Bars

    if not path.is_file():
        raise ConfigError(f"{path} is not a file: name a Parquet file of bars, or leave --data out")
    table = pq.read_table(path)
    names = ["time" if name == "ts" else name for name in table.column_names]
    return Bars.from_arrow(table.rename_columns(names), symbol=path.stem, base=path.stem)


def _give(title: str, found: dict[str, Any], *, json: bool) -> None:
    if json:
        give_json(found)
    else:
        give_table(title, ("figure", "value"), list(_flat(found)))


def _flat(values: dict[str, Any], before: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in values.items():
        rows += _flat(value, f"{before}{name} ") if isinstance(value, dict) else [(f"{before}{name}", value)]
    return rows


_CASE = (
    ("population", "population"),
    ("bars", "bars"),
    ("sharing", "sharing"),
    ("us", "us_per_program"),
    ("obvious", "ratio_obvious"),
    ("lean", "ratio_obvious_lean"),
    ("batched", "ratio_batched"),
    ("batched lean", "ratio_batched_lean"),
    ("limit", "share_of_limit"),
)


def _tell_cases(cases: list[dict[str, Any]]) -> None:
    give_table("times faster than", [name for name, _ in _CASE], [[case[key] for _, key in _CASE] for case in cases])
    for case in cases:
        if case["sharing"]:
            what = {key: value for key, value in case["what"].items() if not isinstance(value, dict)}
            title = f"{case['population']} population, {case['bars']:,} bars"
            rows: list[tuple[str, object]] = [*_flat(what), *_flat(case["agreement"], "equal to DEAP's ")]
            rows += [(key, case[key]) for key in case if key.startswith(("obvious", "batched", "signals"))]
            rows += [("operators", _listed(case["what"]["operators"])), ("kernels", _listed(case["what"]["kernels"]))]
            give_table(title, ("figure", "value"), rows)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _tell_parts(found: dict[str, Any]) -> None:
    give_table("ns a bar, windows of 20", ("operator", "ns"), list(found["operators_ns"].items()))
    give_table("ledger, ns", ("figure", "ns"), _flat(found["simulation_ns"]))
    if isinstance(found["operon"], str):
        say(found["operon"])
    else:
        header = list(found["operon"][0])
        give_table("arithmetic nodes, ns a row", header, [list(one.values()) for one in found["operon"]])
    give_table("programs appraised together", ("programs", "us each"), list(found["us_by_trees"].items()))
    give_table("machine", ("figure", "value"), _flat({**found["machine"], **found["floor"], "data": found["data"]}))
    first = f"{found['import_and_appraise_seconds']:.2f} s with the first use of quantga.appraise"
    say(f"import quantga: {found['import_seconds']:.2f} s of CPU, {first}")
