"""Small markets as files, in every format that can be imported."""

from __future__ import annotations

import pytest

from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake")


@pytest.fixture
def bring(lake):
    """Import paths and return what `import_files` returns."""

    def bring(*paths, venue="", interval="", symbol="", overwrite=False):
        return import_files(lake, list(paths), Told(venue, interval, symbol), overwrite=overwrite)

    return bring
