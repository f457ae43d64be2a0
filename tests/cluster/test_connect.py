"""Which Ray is used, and what is said where none answers."""

from __future__ import annotations

import socket

import pytest

from quantga.cluster.connect import address_of, connect
from quantga.errors import ClusterError, ConfigError
from quantga.settings import Cluster, Settings

_SURROUNDINGS = ("RAY_ADDRESS", "ANYSCALE_SESSION_ID", "ANYSCALE_CLUSTER_ID", "RAY_CLUSTER_NAME")


@pytest.mark.parametrize(
    ("setting", "surroundings", "address"),
    [
        ("", {}, "local"),
        ("", {"ANYSCALE_SESSION_ID": "ses_1"}, "auto"),
        ("", {"RAY_ADDRESS": "10.0.0.1:6379", "ANYSCALE_SESSION_ID": "ses_1"}, "10.0.0.1:6379"),
        ("10.0.0.2:6379", {"RAY_ADDRESS": "10.0.0.1:6379"}, "10.0.0.2:6379"),
        ("local", {"RAY_ADDRESS": "10.0.0.1:6379"}, "local"),
    ],
)
def test_the_address_is_the_settings_then_the_surroundings_then_local(setting, surroundings, address, monkeypatch):
    for name in _SURROUNDINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    assert address_of(Cluster(address=setting)) == address


def test_an_address_where_nobody_listens_is_one_clear_sentence(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # other tests of this process may have a Ray
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        free = taken.getsockname()[1]
    with (
        pytest.raises(ClusterError, match=rf"no Ray listens at 127\.0\.0\.1:{free}"),
        connect(Cluster(address=f"127.0.0.1:{free}")),
    ):
        pytest.fail("connected to nobody")


def test_no_workers_are_refused():
    with pytest.raises(ConfigError, match=r"cluster\.workers"):
        Settings.load({"cluster": {"workers": 0}})
    with pytest.raises(ConfigError, match="at least one"), connect(Cluster().model_copy(update={"workers": 0})):
        pytest.fail("connected without workers")


@pytest.mark.usefixtures("ray_local")
def test_a_ray_that_is_there_is_used_and_left_as_it_is():
    import ray

    with connect(Cluster()) as workers:
        assert workers == 2
    with connect(Cluster(workers=1)) as workers:
        assert workers == 1
    assert ray.is_initialized()
