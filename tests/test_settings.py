"""File < environment < command line; every mistake is one sentence, before any work."""

import pickle

import pytest

from quantga.errors import ConfigError, QuantgaError
from quantga.settings import Settings, parse_timerange


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_nearer_source_wins(folder, monkeypatch):
    (folder / "quantga.toml").write_text(
        '[search]\nseed = 5\nislands = 3\npopulation = 40\n[data]\nsymbols = ["BTC"]\n'
    )
    monkeypatch.setenv("QUANTGA_SEARCH__ISLANDS", "6")
    monkeypatch.setenv("QUANTGA_SEARCH__POPULATION", "50")
    settings = Settings.load({"search": {"population": 60, "seed": None}, "data": {"symbols": "ETH, SOL"}})
    search = settings.search
    assert (search.seed, search.islands, search.population) == (5, 6, 60)
    assert settings.data.symbols == ("ETH", "SOL")


def test_only_science_changes_the_hash():
    plain = Settings.load()
    assert Settings.load({"cluster": {"workers": 7}, "store": {"path": "elsewhere"}}).science_hash == plain.science_hash
    assert Settings.load({"search": {"seed": 2}}).science_hash != plain.science_hash
    assert Settings.load({"costs": {"fee": 0.001}}).science_hash != plain.science_hash
    assert pickle.loads(pickle.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"search": {"sed": 8}}, "unknown setting 'search.sed'"),
        ({"searhc": {"seed": 8}}, "unknown setting 'searhc'"),
        ({"search": {"population": "many"}}, "'search.population' = 'many'"),
        ({"cluster": {"workers": 0}}, "'cluster.workers' = 0"),
        ({"data": {"timerange": "2023-2024"}}, "YYYYMMDD"),
        ({"data": {"timerange": "20240101-20230101"}}, "ends before it starts"),
        ({"data": {"timerange": "20240101"}}, "reads like"),
    ],
)
def test_a_wrong_setting_is_named(given, said):
    with pytest.raises(ConfigError, match=said):
        Settings.load(given)


def test_the_file_is_checked_too(folder, monkeypatch):
    (folder / "quantga.toml").write_text("[search]\nsed = 5\n")
    with pytest.raises(ConfigError, match=r"search\.sed"):
        Settings.load()
    (folder / "quantga.toml").write_text("[search\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Settings.load()
    monkeypatch.setenv("QUANTGA_CONFIG", "missing.toml")
    with pytest.raises(ConfigError, match="no such file"):
        Settings.load()


@pytest.mark.parametrize("name", ["QUANTGA_SEARCH__SED", "QUANTGA_SERCH__SEED"])
def test_a_misspelt_variable_is_refused(name, monkeypatch):
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name):
        Settings.load()


def test_timerange():
    assert parse_timerange("20230601-20250101") == (1_685_577_600_000, 1_735_689_600_000)
    assert parse_timerange("-20250101") == (None, 1_735_689_600_000)
    assert parse_timerange("") == (None, None)


def subclasses(kind):
    return {kind}.union(*(subclasses(one) for one in kind.__subclasses__()))


@pytest.mark.parametrize("kind", sorted(subclasses(QuantgaError), key=lambda one: one.__name__))
def test_every_error_crosses_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what to do")))
    assert isinstance(error, kind)
    assert str(error) == "what to do"
    assert error.exit_code in (1, 2)


def test_the_shipped_file_names_every_setting_with_its_default():
    from pathlib import Path

    text = (Path(__file__).parent.parent / "quantga.toml").read_text()
    for section, fields in Settings().model_dump().items():
        body = text.split(f"\n[{section}]\n")[1].split("\n[")[0]
        for name, value in fields.items():
            line = next(line for line in body.splitlines() if line.startswith(f"# {name} = "))
            shown = line.split("=", 1)[1].split("#")[0].strip()
            if name != "workers":
                assert eval(shown.replace("true", "True").replace("false", "False").replace("[]", "()")) == value, name
