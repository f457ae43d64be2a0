"""`quantga data` as a user types it: what is printed, and the exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from quantga.cli import main
from tests.store.made import candles, rows, tree, write

N = 500


@pytest.fixture
def type_in(tmp_path, monkeypatch, capsys):
    """Give a command line; return its exit code and what it printed on both channels."""
    monkeypatch.chdir(tmp_path)

    def type_in(*words):
        with pytest.raises(SystemExit) as left:
            main(["data", *(str(word) for word in words)])
        seen = capsys.readouterr()
        return left.value.code or 0, seen.out, seen.err

    return type_in


def last_json(out):
    return json.loads(out.strip().splitlines()[-1])


def test_import_list_check(tmp_path, type_in):
    keep = np.r_[0:100, 105:N]
    folder = tmp_path / "in" / "binance_perp" / "1h"
    write(folder / "BTCUSDT.parquet", rows(candles(N), keep))
    write(folder / "ETHUSDT.parquet", candles(N, seed=2))
    store = tmp_path / "kept"
    code, out, err = type_in("import", folder, "--store", store, "--json")
    done = last_json(out)
    assert code == 0
    assert (done["files"], done["rows"]) == (2, 2 * N - 5)
    (dataset,) = done["datasets"]
    assert (dataset["venue"], dataset["interval"], dataset["id"]) == ("binance", "1h", done["dataset"])
    assert [one["symbol"] for one in dataset["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert "note: binance 1h: no funding was imported for BTCUSDT, ETHUSDT" in err
    code, out, _ = type_in("list", "--store", store, "--json")
    assert (code, last_json(out)["datasets"]) == (0, done["datasets"])
    code, out, _ = type_in("check", "--store", store, "--json")
    found = last_json(out)
    assert (code, found["sound"]) == (0, True)
    assert [(one["gaps"], one["missing"], one["duplicates"]) for one in found["symbols"]] == [(1, 5, 0), (0, 0, 0)]
    for verb in ("list", "check"):
        code, out, _ = type_in(verb, "--store", store)
        assert code == 0
        assert "BTCUSDT" in out
        assert max(map(len, out.splitlines())) <= 80


def test_the_store_of_the_settings(tmp_path, type_in, monkeypatch):
    write(tmp_path / "BTC.csv", candles(N))
    monkeypatch.setenv("QUANTGA_STORE__PATH", str(tmp_path / "elsewhere"))
    code, out, _ = type_in("import", "BTC.csv", "--venue", "mine", "--json")
    assert (code, last_json(out)["store"]) == (0, str(tmp_path / "elsewhere"))
    assert (tmp_path / "elsewhere" / "manifests").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "nowhere"), "nowhere does not exist"),
        (("import", "bad.csv"), "bad.csv: row 3: 2024-01-01 02:00: close is not positive"),
        (("import", "cut.parquet"), "cut.parquet: cannot be read, it is corrupt or cut short"),
        (("import", "good.csv", "--interval", "5h"), "the interval '5h' is not one of"),
        (("import", "good.csv", "--venue", "My Venue"), "the venue 'My Venue' is not written as"),
        (("import", "good.csv", "--store", "good.csv"), "is a file: give a folder"),
        (("import", "good.csv", "--store", "/proc/no"), "cannot be written"),
        (("check",), "holds no bars"),
        (("check", "--venue", "okx"), "holds no okx"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path, type_in, words, said):
    columns = candles(N)
    write(tmp_path / "good.csv", columns)
    write(tmp_path / "bad.csv", columns | {"close": np.where(np.arange(N) == 2, 0.0, columns["close"])})
    (tmp_path / "cut.parquet").write_bytes(write(tmp_path / "whole.parquet", columns).read_bytes()[:-100])
    before = tree(tmp_path)
    code, out, err = type_in(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert tree(tmp_path) == before


def test_a_lake_with_a_wrong_file_does_not_pass_the_check(tmp_path, type_in):
    write(tmp_path / "BTC.csv", candles(N))
    type_in("import", "BTC.csv", "--store", "kept")
    next((tmp_path / "kept" / "bars").rglob("*.parquet")).write_bytes(b"x")
    code, _, err = type_in("check", "--store", "kept")
    assert code == 2
    assert "was changed after it was written" in err


def test_an_empty_store_lists_nothing(type_in):
    code, out, err = type_in("list", "--store", "kept", "--json")
    assert (code, last_json(out)["datasets"], err) == (0, [], "")


def test_all_of_the_real_data(tmp_path, type_in, market_data):
    code, out, err = type_in(
        "import", market_data / "ohlcv", market_data / "funding", "--store", tmp_path / "kept", "--json"
    )
    done = last_json(out)
    assert code == 0
    assert [(one["venue"], one["interval"], len(one["symbols"])) for one in done["datasets"]] == [
        ("binance", "1h", 4),
        ("binance", "1m", 2),
        ("binance", "5m", 1),
        ("binance_spot", "1h", 1),
        ("hyperliquid", "15m", 6),
        ("hyperliquid", "1d", 12),
        ("hyperliquid", "1h", 12),
        ("hyperliquid", "4h", 12),
        ("hyperliquid", "5m", 3),
    ]
    assert "note: binance_spot 1h: no funding was imported for SOLUSDT" in err
