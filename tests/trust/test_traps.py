"""Twelve ways in which a backtest comes to know the future: each is impossible here, or refused in a sentence."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from quantga.engine.appraise import appraise
from quantga.engine.backtest import backtest
from quantga.engine.costs import Costs
from quantga.errors import BadBars, LockedBars, ProgramError
from quantga.evolve.vary import random_programs
from quantga.lang.bars import HOUR_MS, REQUIRED, Bars
from quantga.lang.evaluate import evaluate
from quantga.lang.parse import parse
from quantga.store.features import hourly_rate, last_before
from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake
from quantga.store.market import Query, dev_window, find_dataset, load
from quantga.trust.lookahead import foreknowing_columns, lookahead_faults, mislabelled, survivors, too_good
from quantga.trust.markets import Regime
from tests.store.made import DAY, HOUR, START, candles, rows, write

PACKAGE = Path(__file__).resolve().parents[2] / "quantga"
TOLD = Told(venue="binance", interval="1h", symbol="BTCUSDT")


def bring(lake, path, told=TOLD):
    return import_files(lake, [path], told)


def bars_of(columns, **more):
    time = columns["ts"]
    return Bars.from_columns(time, {n: columns[n] for n in columns if n != "ts"}, interval=HOUR_MS, symbol="X", **more)


def signal(text):
    program = parse(text)
    return lambda bars: evaluate([program], bars)


def ahead(columns, by=1):
    """Return each bar's return over the next `by` bars: what nobody can know."""
    close = columns["close"]
    return np.concatenate([close[by:] / close[:-by] - 1, np.zeros(by)])


# 1. The next return as a column.


def test_a_column_of_the_next_return_needs_to_say_when_it_was_known(tmp_path):
    columns = candles(200)
    lake = open_lake(tmp_path / "lake")
    with pytest.raises(BadBars, match="'edge' does not say when it was known: add a column available_at"):
        bring(lake, write(tmp_path / "a.parquet", columns | {"edge": ahead(columns)}))


def test_a_column_of_the_next_return_is_late_once_it_says_so(tmp_path):
    columns = candles(24 * 40)
    own = {"available_at": columns["ts"] + 2 * HOUR, "edge": ahead(columns)}  # known when the next bar has closed
    lake = open_lake(tmp_path / "lake")
    bring(lake, write(tmp_path / "a.parquet", columns | own))
    bars = load(lake, find_dataset(lake, Query(("BTCUSDT",))), (), unlocked=True)["BTCUSDT"]
    assert np.array_equal(bars["$edge"][1:], ahead(columns)[:-1])
    assert foreknowing_columns(bars) == []


def test_a_column_of_the_next_return_that_comes_past_the_import_is_named():
    columns = candles(2_000)
    draw = np.random.default_rng(1)
    leak = {
        "$edge": ahead(columns),
        "$half": ahead(columns) + draw.normal(0, 0.02, 2_000),
        "$own": draw.normal(size=2_000),
    }
    found = foreknowing_columns(bars_of(columns | leak))
    assert [sentence.split()[3] for sentence in found] == ["$edge", "$half"]
    assert "has a correlation of 1.00 with the NEXT bar's return: it was known later than its rows say" in found[0]
    ratio = appraise([parse("when(gt($edge, level(0)), long, short)")], bars_of(columns | leak))["sharpe"][0].as_py()
    assert "look for a column or a price that was not known" in too_good(ratio, 0.3)


# 2. A fill at the close that decided.


def test_a_decision_trades_at_the_next_open_and_no_sooner():
    n, jump = 400, 200
    close = np.where(np.arange(n) < jump, 100.0, 150.0)  # the jump happens inside bar `jump`
    opened = np.concatenate([[100.0], close[:-1]])
    bars = bars_of(
        {
            "ts": START + HOUR * np.arange(n),
            "open": opened,
            "high": np.maximum(opened, close),
            "low": np.minimum(opened, close),
            "close": close,
            "volume": np.ones(n),
        }
    )
    record = backtest(parse("when(gt(close, mean(close, 5)), long, flat)"), bars, Costs(fee=0, slippage=0))
    assert record.units[jump] == 0
    assert record.units[jump + 1] > 0
    assert np.all(record.equity == record.equity[0])  # the jump was seen at its close, and missed


# 3. Funding that is filled in from the future.


def test_funding_is_known_after_it_was_published_and_never_filled_backwards():
    stamps = START + 8 * HOUR * np.arange(1, 30)
    rates = np.linspace(1e-4, 3e-4, 29)
    closes = START + HOUR * np.arange(1, 24 * 8)
    rate = last_before(stamps, hourly_rate(stamps, rates), closes)
    assert np.isnan(rate[closes <= stamps[1]]).all()  # nothing before the first that covers known hours
    for t in (40, 64, 65, 100):
        assert rate[t] == rates[stamps < closes[t]][-1] / 8
        other = np.where(stamps < closes[t], rates, 9.0)
        assert last_before(stamps, hourly_rate(stamps, other), closes)[t] == rate[t]


# 4. Volume that was revised later.


def test_revised_volume_is_refused(tmp_path):
    columns, lake = candles(500), open_lake(tmp_path / "lake")
    bring(lake, write(tmp_path / "a.parquet", columns))
    revised = columns | {"volume": columns["volume"] * np.where(np.arange(500) < 400, 1.0, 1.1)}
    with pytest.raises(BadBars, match=r"volume is .* but .* was imported before \(100 such rows\)"):
        bring(lake, write(tmp_path / "b.parquet", revised))


# 5. Prices that were adjusted for what came later.


def test_prices_adjusted_afterwards_are_refused(tmp_path):
    columns, lake = candles(500), open_lake(tmp_path / "lake")
    bring(lake, write(tmp_path / "a.parquet", columns))
    adjusted = columns | {name: columns[name] * 0.5 for name in ("open", "high", "low", "close")}
    with pytest.raises(BadBars, match=r"(open|close|high|low) is .* but .* was imported before \(500 such rows\)"):
        bring(lake, write(tmp_path / "b.parquet", adjusted))


# 6. Bars labelled by another time than their open.


def resampled(columns, hours, shift):
    n = len(columns["ts"]) // hours
    grid = {name: values[: n * hours].reshape(n, hours) for name, values in columns.items()}
    return {
        "ts": grid["ts"][:, 0] + shift * hours * HOUR,
        "open": grid["open"][:, 0],
        "high": grid["high"].max(axis=1),
        "low": grid["low"].min(axis=1),
        "close": grid["close"][:, -1],
        "volume": grid["volume"].sum(axis=1),
    }


def test_bars_that_are_labelled_off_the_grid_are_refused(tmp_path):
    columns = candles(100)
    late = columns | {"ts": columns["ts"] + HOUR - 1}
    with pytest.raises(BadBars, match=r"not on the grid of 1h bars: is it the bar's open, in UTC\?"):
        bring(open_lake(tmp_path / "lake"), write(tmp_path / "a.parquet", late))


@pytest.mark.parametrize(("shift", "said"), [(0, ""), (1, "labelled by their close"), (-1, "one bar early")])
def test_bars_that_are_labelled_wrongly_on_the_grid_are_named(shift, said):
    columns = candles(4 * 200)
    coarse = resampled(columns, 4, shift)
    time = coarse.pop("ts")
    found = mislabelled(Bars.from_columns(time, coarse, interval=4 * HOUR_MS, symbol="X"), bars_of(columns))
    assert said in found
    assert bool(found) == bool(said)


# 7. A column normalised over the whole sample.


def test_the_language_has_no_figure_of_the_whole_sample():
    with pytest.raises(ProgramError, match=r"zscore takes \(Price, Window\)"):
        parse("when(gt(zscore(close), level(1)), long, short)")


def test_a_figure_of_the_whole_sample_is_found_in_any_other_signal():
    bars = bars_of(candles(1_000))
    faults = lookahead_faults(lambda b: (b["close"] - b["close"].mean()) / b["close"].std(), bars, 1)
    assert len(faults) == 20
    assert "reads ahead: what it wants at 2024-01-01 00:00 changes with bars that come" in str(faults[0])


def test_a_column_normalised_over_the_whole_sample_is_refused_when_the_sample_grows(tmp_path):
    columns, lake = candles(500), open_lake(tmp_path / "lake")

    def normalised(n):
        part = rows(columns, slice(n))
        score = (part["close"] - part["close"].mean()) / part["close"].std()
        return part | {"available_at": part["ts"] + HOUR, "score": score}

    bring(lake, write(tmp_path / "a.parquet", normalised(400)))
    with pytest.raises(BadBars, match="was imported before"):
        bring(lake, write(tmp_path / "b.parquet", normalised(500)))


# 8. A centred window.


@pytest.mark.parametrize("text", ["lag(close, -3)", "mean(close, -5)"])
def test_no_window_reaches_forward(text):
    with pytest.raises(ProgramError, match="bars, not -"):
        parse(f"when(gt(close, {text}), long, short)")


def test_a_centred_window_is_found_in_any_other_signal():
    def centred(bars):
        close = bars["close"]
        padded = np.concatenate([np.full(2, close[0]), close, np.full(2, close[-1])])
        return np.sign(np.lib.stride_tricks.sliding_window_view(padded, 5).mean(axis=1) - close)

    def trailing(bars):
        close = bars["close"]
        padded = np.concatenate([np.full(4, close[0]), close])
        return np.sign(np.lib.stride_tricks.sliding_window_view(padded, 5).mean(axis=1) - close)

    bars = bars_of(candles(1_000))
    faults = lookahead_faults(centred, bars, 1)
    assert faults
    assert all(fault.cut - 2 <= fault.row < fault.cut for fault in faults)
    assert lookahead_faults(trailing, bars, 1) == []


# 9. A join of higher bars that is one too early.


def test_a_higher_bar_is_read_when_it_is_complete():
    columns = candles(24 * 30)
    bars = bars_of(columns)
    wanted = evaluate([parse("scale(sub(div(higher_close(24), close), div(close, close)))")], bars)[0]
    close = columns["close"]
    for t in range(23, 200):
        last = (t + 1) // 24 * 24 - 1  # the close of the last day that has ended with bar t
        assert wanted[t] == pytest.approx(np.clip(close[last] / close[t] - 1, -1, 1), abs=1e-12)
    assert lookahead_faults(signal("when(gt(close, higher_mean(close, 24, 3)), long, short)"), bars, 1) == []


def test_a_join_one_higher_bar_too_early_is_found():
    def early(bars):
        day = (bars.time // DAY).astype(np.int64)
        last = {d: bars["close"][day == d][-1] for d in np.unique(day)}
        return np.array([last[d] for d in day])  # today's close, all day long

    assert lookahead_faults(early, bars_of(candles(24 * 40)), 1)


# 10. The holdout, by way of normalisation or otherwise.


def test_no_bit_of_the_search_part_comes_from_the_holdout(tmp_path):
    columns = candles(24 * 200)
    loaded = []
    for name, factor in (("a", 1.0), ("b", 3.0)):
        lake = open_lake(tmp_path / name)
        late = np.where(np.arange(24 * 200) >= 24 * 120, factor, 1.0)
        changed = columns | {column: columns[column] * late for column in REQUIRED}
        bring(lake, write(tmp_path / f"{name}.parquet", changed))
        dataset = find_dataset(lake, Query(("BTCUSDT",)))
        assert dataset.instrument("BTCUSDT").locked_from == START + 120 * DAY
        loaded.append(load(lake, dataset, ())["BTCUSDT"])
    assert len(loaded[0]) == 24 * 120
    for name in loaded[0].columns:
        assert loaded[0][name].tobytes() == loaded[1][name].tobytes()


def test_the_holdout_is_not_given_to_a_search(tmp_path):
    lake = open_lake(tmp_path / "lake")
    bring(lake, write(tmp_path / "a.parquet", candles(24 * 200)))
    dataset = find_dataset(lake, Query(("BTCUSDT",)))
    with pytest.raises(LockedBars, match="is in the locked holdout, which begins 2024-04-30"):
        load(lake, dataset, (), START, START + 121 * DAY)
    with pytest.raises(LockedBars, match="such a run can never be promoted"):
        dev_window(dataset, (), START + 121 * DAY)


def test_only_the_ledger_of_looks_can_open_the_holdout():
    """Nothing but the ledger and the look of a validation names the function that reads locked bars."""
    users = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.ImportFrom) and any(alias.name == "load_holdout" for alias in node.names)
            if named or (isinstance(node, ast.Attribute) and node.attr == "load_holdout"):
                users.append(path.relative_to(PACKAGE).as_posix())
    assert users == ["cluster/look.py", "store/trials.py"]


# 11. A universe of survivors.


def test_a_universe_of_survivors_is_named():
    market = Regime(years=0.1).market(1, {name: name for name in "ABC"}, START)
    assert "a universe chosen with hindsight leaves out those that failed" in survivors(market)
    died = market["B"].slice(0, 500)
    assert survivors(market | {"B": died}) == ""
    young = market["B"].slice(300, len(market["B"]))
    assert "listed at different times" in survivors(market | {"B": young})
    assert survivors({"A": market["A"]}) == ""


def test_an_asset_that_was_delisted_keeps_its_bars_and_its_losses(tmp_path):
    columns, lake = candles(24 * 60), open_lake(tmp_path / "lake")
    write(tmp_path / "binance/1h/BTCUSDT.parquet", columns)
    write(tmp_path / "binance/1h/LUNAUSDT.parquet", rows(columns, slice(24 * 20)))
    import_files(lake, [tmp_path / "binance"], Told(venue="binance", interval="1h"))
    market = load(lake, find_dataset(lake, Query(interval="1h")), ())
    assert set(market) == {"BTCUSDT", "LUNAUSDT"}  # naming no symbol takes them all, the dead too
    assert survivors(market) == ""


# 12. A column that came late.


def test_a_column_counts_from_when_it_was_available(tmp_path):
    columns = candles(24 * 30)
    days = np.arange(20)
    own = {  # a figure about each day that is published at 06:30 of the next
        "available_at": START + (days + 1) * DAY + 6 * HOUR + HOUR // 2,
        "figure": days.astype(float),
    }
    lake = open_lake(tmp_path / "lake")
    bring(lake, write(tmp_path / "a.parquet", columns))
    bring(lake, write(tmp_path / "b.parquet", own))
    bars = load(lake, find_dataset(lake, Query(("BTCUSDT",))), (), unlocked=True)["BTCUSDT"]
    closes = bars.time + HOUR
    expected = [own["figure"][own["available_at"] <= close] for close in closes]
    assert np.array_equal(bars["$figure"], [known[-1] if len(known) else np.nan for known in expected], equal_nan=True)
    assert np.isnan(bars["$figure"][:30]).all()
    assert bars["$figure"][30] == 0


# And the proof behind all of them: programs whose bars were cut, or whose future was noise.


def check_programs(count, seed):
    names = ("funding_rate", "premium", "$own", *(f"ref_{name}" for name in REQUIRED))
    draw = np.random.default_rng(seed)
    columns = candles(1_400, seed=seed) | {"premium": draw.normal(size=1_400), "$own": draw.normal(size=1_400)}
    columns["funding"] = draw.normal(0, 1e-5, 1_400)
    for name in REQUIRED:
        columns[name][700:715] = np.nan
    bars = bars_of(rows(columns, ~np.isnan(columns["close"]))).with_reference(bars_of(candles(1_400, seed=seed + 1)))
    programs = random_programs(count, seed, columns=names)
    faults = lookahead_faults(lambda part: evaluate(programs, part), bars, seed)
    assert faults == [], f"{programs[faults[0].signal]}: {faults[0]}"


def test_no_random_program_reads_ahead():
    check_programs(300, 1)


@pytest.mark.proof
def test_ten_thousand_random_programs_at_twenty_cuts():
    for seed in range(20):
        check_programs(500, 100 + seed)
