from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quantga.cluster.evolution import Run, run_evolution
from quantga.cluster.ground import survey, trial_of
from quantga.engine.appraise import appraise_market
from quantga.engine.backtest import backtest
from quantga.errors import ConfigError
from quantga.evolve.select import Appraisal
from quantga.report import read_run, write_comparison, write_report
from quantga.report.series import drawdown, pooled
from quantga.settings import Settings
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import Lake, open_lake
from quantga.streams import stream
from tests.report.made import DAY, HOUR, START

DAYS = 220


@dataclass(frozen=True)
class Made:
    lake: Lake
    settings: Settings
    runs: dict[str, Run]


def market(folder: Path, symbol: str) -> None:
    n, dice = DAYS * 6, stream(11, "report", "market", symbol)
    close = 100 * np.cumprod(1 + dice.standard_t(5, n) * 0.008)
    opens = np.concatenate([[100.0], close[:-1]])
    reach = 1 + np.abs(dice.standard_normal(n)) * 0.003
    time = START + np.arange(n) * 4 * HOUR
    columns = {
        "time": time,
        "open": opens,
        "high": np.maximum(opens, close) * reach,
        "low": np.minimum(opens, close) / reach,
    }
    folder.mkdir(exist_ok=True)
    pq.write_table(
        pa.table({**columns, "close": close, "volume": np.exp(dice.standard_normal(n))}), folder / f"{symbol}.parquet"
    )


def evolved(lake: Lake, symbols: str, seed: int) -> tuple[Settings, Run]:
    search = {"seed": seed, "islands": 2, "population": 16, "generations": 4, "slices": 4, "min_trades": 5}
    data = {"venue": "made", "interval": "4h", "symbols": symbols}
    settings = Settings.load({"data": data, "search": search, "store": {"path": str(lake.root)}})
    bars, trial = survey(settings).market(), trial_of(settings)

    def appraise(programs):
        found = appraise_market(programs, bars, trial)
        rows = zip(
            found.programs,
            found.score,
            found.figure("max_drawdown"),
            found.behaviour,
            found.failed,
            found.figures,
            strict=True,
        )
        return [
            Appraisal(program, float(score), -float(depth), int(behaviour), failed, (), figures)
            for program, score, depth, behaviour, failed, figures in rows
        ]

    return settings, run_evolution(settings, appraise=appraise)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("report")
    for symbol in ("BTC", "ETH"):
        market(folder / "files", symbol)
    lake = open_lake(folder / "store")
    import_files(lake, [folder / "files"], Told(venue="made", interval="4h"))
    found = {symbols: evolved(lake, symbols, 1) for symbols in ("BTC", "BTC,ETH")}
    return Made(lake, found["BTC"][0], {symbols: run for symbols, (_, run) in found.items()})


@pytest.mark.parametrize("symbols", ["BTC", "BTC,ETH"])
def test_a_report_is_that_of_the_run(made: Made, symbols: str):
    run = made.runs[symbols]
    report = read_run(made.lake, run.id)
    assert report.trials == run.trials
    assert report.symbols == tuple(symbols.split(","))
    assert [c.program.id for c in report.champions] == [c.id for c in run.champions[:6]]
    assert {point.program for point in report.front} == {c.id for c in run.champions}
    assert [(p.island, p.generation) for p in report.progress] == [(i, g) for g in range(1, 5) for i in (1, 2)]
    last = [p for p in report.progress if p.generation == 4]
    assert max(p.best for p in last) == run.champions[0].figures["score"] == report.champions[0].score
    assert max(p.trials for p in last) == run.trials
    for found, champion in zip(report.champions, run.champions, strict=False):
        for key in ("sharpe", "alpha_sharpe", "total_return", "max_drawdown", "trades"):
            assert found.metrics[key] == champion.figures[key]
        curve = pooled(found, report.capital)
        assert curve.equity[-1] / report.capital - 1 == pytest.approx(champion.figures["total_return"], rel=1e-9)
        assert drawdown(curve.equity, report.capital).min() == pytest.approx(champion.figures["max_drawdown"], rel=1e-9)
        assert len(curve.time) == found.metrics["days"]
        closed = [trade for result in found.results for trade in result.trades if trade.closed]
        assert len(closed) == found.metrics["trades"]


def test_nothing_of_the_holdout_is_in_a_report(made: Made):
    report = read_run(made.lake, made.runs["BTC"].id)
    assert report.span.end == report.span.locked_from
    assert report.span.locked_to == START + DAYS * DAY
    for result in report.champions[0].results:
        assert result.time[-1] <= report.span.locked_from


def test_costs_are_the_ledgers(made: Made):
    report = read_run(made.lake, made.runs["BTC"].id)
    bars = survey(made.settings).market()["BTC"]
    for champion in report.champions:
        costs, account = champion.results[0].costs, backtest(champion.program, bars)
        assert costs.fees == account.metrics["fees"]
        rate = 0.0002 / 0.00045  # where nothing rests in the book, slippage is in proportion to the taker's fees
        if not any(gene in str(champion.program.genes) for gene in ("take", "ladder", "vol_target", "band")):
            assert costs.slippage == pytest.approx(costs.fees * rate, rel=0.003)


def test_a_page_is_written_once_and_where_it_was_asked_for(made: Made, tmp_path: Path):
    run = made.runs["BTC"].id
    path = write_report(made.lake, run)
    assert path == made.lake.root / "runs" / run / "report.html"
    assert write_report(made.lake, run) == path
    page = path.read_text(encoding="utf-8")
    assert f">{run}<" in page
    assert not re.search(r"https?:", page)
    there = write_report(made.lake, run, tmp_path / "deep" / "page.html")
    assert there.read_text(encoding="utf-8") == page


def test_an_older_page_stands_beside_a_newer_one(made: Made):
    run = made.runs["BTC,ETH"].id
    made.lake.put(f"runs/{run}/report.html", b"drawn by an older version")
    path = write_report(made.lake, run)
    assert path.name != "report.html"
    assert path.exists()


def test_a_run_of_other_code_is_said_to_be_one(made: Made, tmp_path: Path):
    run = made.runs["BTC"].id
    assert read_run(made.lake, run).note == ""
    lake = open_lake(tmp_path / "store")
    shutil.copytree(made.lake.root, lake.root)
    front = lake.read_table(f"runs/{run}/front.parquet")
    other = [value + 0.01 for value in front["total_return"].to_pylist()]
    place = front.column_names.index("total_return")
    pq.write_table(front.set_column(place, "total_return", [other]), lake.root / "runs" / run / "front.parquet")
    assert "drawn by another version" in read_run(lake, run).note


def test_two_runs_side_by_side(made: Made, tmp_path: Path):
    runs = [made.runs[symbols].id for symbols in ("BTC", "BTC,ETH")]
    path = write_comparison(made.lake, runs, tmp_path / "both.html", ["with an edge", "without"])
    page = path.read_text(encoding="utf-8")
    assert 'id="comparison"' in page
    assert "with an edge" in page
    assert "without" in page
    with pytest.raises(ConfigError, match="needs two runs"):
        write_comparison(made.lake, runs[:1])


def test_a_run_that_is_not_there_or_not_finished_is_refused(made: Made, tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no run 'nought'"):
        write_report(made.lake, "nought")
    made.lake.put_json("runs/begun/run.json", {"run": "begun"})
    with pytest.raises(ConfigError, match="evolve --resume begun"):
        write_report(made.lake, "begun")
    with pytest.raises(ConfigError, match="choose another with --out"):
        write_report(made.lake, made.runs["BTC"].id, tmp_path)
