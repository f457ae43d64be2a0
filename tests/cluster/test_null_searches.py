"""Null searches: the same search, of its own chance, in the order of their numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from quantga.cluster.null_searches import CURVE, null_search, null_searches, whole_search
from quantga.errors import ConfigError, DataError, ManifestMismatch
from quantga.evolve.islands import champions
from quantga.settings import Settings
from quantga.store.lake import open_lake
from quantga.store.null_library import NullLibrary, NullSearch
from quantga.trust.families import Family
from quantga.trust.mining import Stop, mining_p

START = 1_577_836_800_000


def settings(seed=1, **more):
    search = {"seed": seed, "islands": 2, "population": 12, "generations": 3, **more}
    return Settings.load({"search": search})


def market(years=0.3, seed=1):
    return Family("gbm", years=years).market(seed, {"BTC": "BTC"}, START)


def test_a_null_search_is_a_function_of_its_arguments():
    one = null_search(market(), settings(), "sign", 3)
    assert one == null_search(market(), settings(), "sign", 3)
    others = [
        null_search(market(), settings(seed), kind, k)
        for seed, kind, k in ((1, "sign", 4), (2, "sign", 3), (1, "order", 3))
    ]
    assert len({(x.score, x.text) for x in (one, *others)}) == 4
    assert one.trials > 30
    assert np.isfinite(one.score)


def test_searches_are_kept_by_what_they_are_of(tmp_path):
    parts = {"dataset": "d", "symbols": ["BTC"], "span": [0, 1], "grammar": "g", "search": {"population": 12}}
    parts |= {"costs": {}, "surrogate": "sign"}
    library = NullLibrary.of(open_lake(tmp_path), parts)
    one = null_search(market(), settings(), "sign", 3)
    nothing = NullSearch(4, -math.inf, "", 7)
    for search in (one, nothing, one):
        library.keep(search)
    again = NullLibrary.of(open_lake(tmp_path), parts)
    assert again.known() == {3: one, 4: nothing}
    assert len(one.curve) == CURVE
    other = NullLibrary.of(open_lake(tmp_path), {**parts, "search": {"population": 24}})
    assert (other.known(), other.key != again.key, other.seed != again.seed) == ({}, True, True)
    (tmp_path / again.folder / "000003.json").write_text("{}")
    with pytest.raises(ManifestMismatch, match="no surrogate search"):
        again.known()


def test_it_is_the_whole_search_on_another_market():
    state, trials = whole_search(market(), settings())
    assert trials >= 2 * 12
    assert champions(state, 1)[0].appraisal.score > -np.inf


def test_what_cannot_be_searched_says_so():
    with pytest.raises(ConfigError, match="no surrogate market"):
        null_search(market(), settings(), "block", 0)
    with pytest.raises(DataError, match="a search needs"):
        null_search(market(years=0.01), settings(), "sign", 0)


def test_searches_come_in_order_and_stop_when_asked(ray_local):
    numbers = [5, 2, 9, 0]
    here = [null_search(market(), settings(), "sign", number) for number in numbers]
    kept = []
    assert list(null_searches(market(), settings(), "sign", numbers, 2, kept.append)) == here
    assert sorted(one.number for one in kept) == sorted(numbers)
    assert list(null_searches(market(), settings(), "sign", numbers, 1)) == here
    asked = null_searches(market(), settings(), "sign", range(100), 2)
    first = list(itertools.islice(asked, 2))
    asked.close()
    assert [one.number for one in first] == [0, 1]


def test_the_mining_p_value_reads_no_more_searches_than_it_needs():
    begun = []

    def scores():
        for number in range(100):
            begun.append(number)
            yield null_search(market(), settings(), "sign", number).score

    (found,) = mining_p([-5.0], scores(), Stop(), 1)
    assert (found.p, begun) == (1.0, [0, 1, 2, 3, 4])


def test_an_error_in_a_worker_arrives_as_itself(ray_local):
    with pytest.raises(ConfigError, match="no surrogate market"):
        list(null_searches(market(), settings(), "block", [0], 1))
