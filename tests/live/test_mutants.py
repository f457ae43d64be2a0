"""Planted mistakes: a trader with one of them is found out within 200 scenarios; one without any never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.mutants import MUTANTS, Parts, Watched, complaints
from tests.live.ring import market

SAMPLE = ("no lookup after a timeout", "orders outlive their expiry", "fills are asked for once")
MOST = 200


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(tmp_path_factory.mktemp("bars"))


async def found_out(bars: Path, folder: Path, parts: Parts, seeds: range) -> tuple[int, list[str]]:
    """The first scenario in which the exchange complains, and of what; (-1, []) if there is none."""
    for seed in seeds:
        found = await complaints(Watched.of(bars), folder / str(seed), seed, parts)
        if found:
            return seed, found
    return -1, []


@pytest.mark.parametrize("name", SAMPLE)
async def test_a_sample_is_found_out(bars: Path, tmp_path: Path, record_property, name: str) -> None:
    seed, found = await found_out(bars, tmp_path, MUTANTS[name], range(MOST))
    record_property(name, f"scenario {seed}: {found}")
    assert found


async def test_who_makes_none_is_never_accused(bars: Path, tmp_path: Path) -> None:
    assert await found_out(bars, tmp_path, Parts(), range(10)) == (-1, [])


@pytest.mark.proof
@pytest.mark.parametrize("name", sorted(MUTANTS))
async def test_each_is_found_out(bars: Path, tmp_path: Path, record_property, name: str) -> None:
    seed, found = await found_out(bars, tmp_path, MUTANTS[name], range(MOST))
    record_property(name, f"scenario {seed}: {found}")
    assert found


@pytest.mark.proof
async def test_who_makes_none_is_not_accused_in_two_hundred(bars: Path, tmp_path: Path) -> None:
    assert await found_out(bars, tmp_path, Parts(), range(MOST)) == (-1, [])
