"""A dataset's id stands for its bytes; heads are numbered and written once."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from quantga.errors import Conflict, ManifestMismatch, MissingBars
from quantga.store.manifest import commit, head, heads, read_manifest
from tests.store.made import candles, write


@pytest.fixture
def manifest(tmp_path, bring):
    return bring(write(tmp_path / "BTC.csv", candles(100))).datasets[0]


def test_a_manifest_is_frozen_and_round_trips(lake, manifest):
    assert read_manifest(lake, manifest.id) == manifest
    with pytest.raises(ValidationError):
        manifest.venue = "other"
    assert manifest.model_copy(update={"venue": "other"}).id != manifest.id


def test_a_changed_manifest_is_refused(lake, manifest):
    path = lake.root / "manifests" / f"{manifest.id}.json"
    text = path.read_text()
    path.write_text(text.replace('"unit": 1', '"unit": 2'))
    with pytest.raises(ManifestMismatch, match="was changed after it was written"):
        read_manifest(lake, manifest.id)
    path.write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(ManifestMismatch, match="no manifest that this version reads"):
        read_manifest(lake, manifest.id)
    path.unlink()
    with pytest.raises(MissingBars, match="there is no dataset"):
        heads(lake)


def test_of_two_heads_with_one_number_the_first_stands(lake, manifest):
    assert head(lake, "local", "1h") == (1, manifest)
    other = manifest.model_copy(update={"instruments": ()})
    with pytest.raises(Conflict):
        commit(lake, other, 1)
    assert head(lake, "local", "1h") == (1, manifest)
    commit(lake, other, 2)
    assert head(lake, "local", "1h") == (2, other)
    assert head(lake, "local", "4h") == (0, None)


def test_a_head_that_names_nothing(lake, manifest):
    lake.put_json("heads/venue=local/interval=1h/000002.json", {"data": 1})
    with pytest.raises(ManifestMismatch, match="names no dataset"):
        heads(lake)
