"""What may be traded: promoted strategies by id, of one interval; names as the venue has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantga.errors import ConfigError, ManifestMismatch, ProgramError
from quantga.lang.parse import parse
from quantga.live.choosing import program, promoted
from quantga.store.lake import Lake, open_lake
from quantga.store.strategies import Anchor, Expected, Market, Proof, Strategy, keep_strategy

ROW = Anchor(number=1, digest="ab")
PROOF = Proof(
    p_mine=0.01, p_hold=0.01, p=0.001, level=0.05, trials=100, searches=1, null_searches=19, nulls="n", searched=(0, 1),
    holdout=(1, 2), holdout_trades=50, labels=(),
)  # fmt: skip


def kept(lake: Lake, text: str, interval: str = "1h", bases: tuple[str, ...] = ("ETH", "BTC")) -> str:
    """Promote a program; return its strategy's id."""
    traded = Market(venue="binance", symbols=tuple(f"{base}USDT" for base in bases), bases=bases, interval=interval)
    expected = Expected(sharpe=1.0, low=0.1, high=2.0, seen=1.5, error=0.5)
    made = Strategy(
        program=parse(text).id, text=text, market=traded, evolved_on=traded, costs={"fee": 0.0004, "funding": True},
        forecast=expected, evidence=PROOF, run="r", dataset="d", code="0.1.0+abc", grammar="g", look=ROW, ledger=ROW,
    )  # fmt: skip
    return keep_strategy(lake, made)


def test_promoted_strategies_are_traded_by_their_ids_as_they_were_judged(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "store")
    with pytest.raises(ConfigError, match="no promoted strategy"):
        promoted(lake, [])
    one, two = kept(lake, "long"), kept(lake, "short", bases=("1000PEPE",))
    found, interval = promoted(lake, [])
    assert interval == 3_600_000
    assert {traded.name for traded in found} == {one, two}
    (only,), _ = promoted(lake, [one[:6]])
    assert (only.symbols, only.code, only.costs["fee"]) == (("BTC", "ETH"), "0.1.0+abc", 0.0004)
    assert promoted(lake, [two])[0][0].symbols == ("kPEPE",)
    kept(lake, "flat", interval="4h")
    with pytest.raises(ConfigError, match="one account trades one interval"):
        promoted(lake, [])


def test_a_strategy_that_was_changed_is_not_traded(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "store")
    name = kept(lake, "long")
    path = tmp_path / "store" / "strategies" / f"{name}.json"
    path.write_text(path.read_text().replace("0.0004", "0.0"))
    with pytest.raises(ManifestMismatch, match="changed after it was promoted"):
        promoted(lake, [name])
    with pytest.raises(ConfigError, match="names 0 strategies"):
        promoted(lake, ["nobody"])


def test_a_program_needs_its_symbols_and_has_to_read() -> None:
    (traded,), interval = program("long", ["ETH", "BTC"], "15m", {"fee": 0.1})
    assert (traded.symbols, traded.code, interval) == (("BTC", "ETH"), "", 900_000)
    with pytest.raises(ConfigError, match="needs --symbols"):
        program("long", [], "15m", {})
    with pytest.raises(ProgramError):
        program("very long", ["BTC"], "15m", {})
