"""Which Ray is used, and what is said where none answers."""

from __future__ import annotations

import socket

import pytest

from quantga.cluster.connect import _type_of, address_of, connect, lacks_package
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


def test_another_ray_or_python_is_one_clear_sentence(monkeypatch):
    from ray._private.utils import check_version_info

    def init(**_):
        check_version_info({"ray_version": "2.50.0", "python_version": "3.11.9"}, "node 10.0.0.2")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", init)
    said = r"the cluster at auto runs Ray 2\.50\.0 and Python 3\.11\.9, and this is Ray 2\.60\.\d+ and Python 3\.12\.\d+: use"
    with pytest.raises(ConfigError, match=said), connect(Cluster(address="auto")):
        pytest.fail("connected to another version")


def test_a_node_without_the_package_is_one_clear_sentence(ray_local, tmp_path, monkeypatch):
    from quantga.cluster.attempts import Attempts
    from quantga.cluster.fan_out import FanOut
    from quantga.engine.appraise import Trial
    from quantga.evolve.vary import random_programs

    (tmp_path / "of_the_driver_alone.py").write_text("def work(*_):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    from of_the_driver_alone import work

    running = Attempts(work, "search")
    running.begin(0)
    with pytest.raises(ClusterError, match=r"a node of the cluster has no 'of_the_driver_alone': .*quantga job submit"):
        running.next()
    crew = FanOut({}, Trial(), Cluster(workers=2), 2, work)
    crew.submit(random_programs(3, seed=1))
    with pytest.raises(ClusterError, match="a node of the cluster has no 'of_the_driver_alone'"):
        crew.collect()


def test_what_fails_for_another_reason_is_not_called_a_missing_package():
    assert lacks_package(ValueError("no")) is None


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ({"Labels": {"ray.io/node-group": "spot"}, "Resources": {"CPU": 4.0}}, "spot"),
        ({"Labels": {}, "Resources": {"CPU": 4.0, "memory": 1.0, "spot": 1.0, "node:10.0.0.1": 1.0}}, "spot"),
        ({"Resources": {"CPU": 4.0, "object_store_memory": 1.0, "node:__internal_head__": 1.0}}, "other"),
    ],
)
def test_the_type_of_a_node(node, kind):
    assert _type_of(node) == kind
