"""One store with a finished, validated, promoted run and one that is unfinished; one service of it for the session."""

from __future__ import annotations

import shutil

import pytest

from tests.cluster.judged import evolved, store_of, validated
from tests.service.serving import serving
from tests.service.traded import SESSION, trade


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """Return (store, run, validation): a search that found a planted edge, was validated and promoted a strategy."""
    store = store_of(tmp_path_factory.mktemp("served"), 0.15)
    run = evolved(store)
    found = validated(store)
    half = store / "runs" / UNFINISHED
    half.mkdir()
    shutil.copy(store / "runs" / run.id / "run.json", half)
    shutil.copytree(store / "runs" / run.id / "gen=0000", half / "gen=0000")
    trade(store / "sessions" / f"paper-0x{'a' * 40}" / SESSION / "journal")
    return store, run.id, found


UNFINISHED = "0123456789ab"


@pytest.fixture(scope="session")
def served(judged, tmp_path_factory):
    with serving(judged[0], tmp_path_factory.mktemp("state")) as one:
        yield one
