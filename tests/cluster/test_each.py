"""Every argument once, whoever runs it; what a task raises reaches the caller."""

from __future__ import annotations

import pytest

from quantga.cluster.each import each
from quantga.errors import ConfigError
from quantga.settings import Cluster


def halved(value: int) -> int:
    if value == 13:
        raise ConfigError("13 is not halved")
    return value // 2


@pytest.mark.parametrize("workers", [1, 2])
def test_every_argument_once(ray_local, workers):
    with each(Cluster(workers=workers)) as run:
        found = dict(run(halved, [(value,) for value in range(10)]))
        assert found == {place: place // 2 for place in range(10)}
        assert list(run(halved, [])) == []
        with pytest.raises(ConfigError, match="13 is not halved"):
            list(run(halved, [(1,), (13,)]))
