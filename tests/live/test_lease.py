"""The lease: one holder, a successor that waits out who may live elsewhere, and no action that outlives it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from quantga.errors import Conflict, StoreError
from quantga.live.lease import TERM_S, Lease, lease, machine
from quantga.store.lake import Lake, open_lake
from tests.store.conftest import bucket, keys, weed

__all__ = ["bucket", "keys", "weed"]


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Standing:
    """A right that stands until it is taken away."""

    def __init__(self) -> None:
        self.lost = ""

    def require(self) -> None:
        """Raise what took it away."""
        if self.lost:
            raise Conflict(self.lost)


class Away:
    """A store that stops to answer: every verb fails, as that of a bucket that cannot be reached."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.away = lake, False

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise StoreError("the store does not answer")
        return getattr(self.lake, name)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "store")


def test_a_lease_runs_out_unless_the_store_answers(lake: Lake) -> None:
    clock, store = Clock(), Away(lake)
    held = Lease(store, Standing(), "paper-0xa", clock)  # type: ignore[arg-type]
    assert held.remaining_ms == TERM_S * 1_000
    clock.now += 10
    held.look()
    assert held.remaining_ms == TERM_S * 1_000
    store.away = True
    clock.now += 5
    with pytest.raises(StoreError):
        held.look()
    assert held.remaining_ms == (TERM_S - 5) * 1_000
    clock.now += TERM_S
    assert held.remaining_ms == 0


def test_a_later_claim_ends_the_lease_at_once(lake: Lake) -> None:
    first = Lease(lake, Standing(), "paper-0xa")
    second = Lease(lake, Standing(), "paper-0xa")
    assert (first.number, second.number) == (1, 2)
    with pytest.raises(Conflict, match="took this account over"):
        first.look()
    assert first.remaining_ms == 0
    second.look()
    assert second.remaining_ms > 0
    assert Lease(lake, Standing(), "paper-0xb").number == 1


def test_a_right_that_was_lost_ends_the_lease(lake: Lake) -> None:
    right = Standing()
    held = Lease(lake, right, "paper-0xa")
    right.lost = "driven by another"
    with pytest.raises(Conflict, match="driven by another"):
        held.look()
    assert held.remaining_ms == 0


def test_who_comes_after_another_machine_waits_its_term_out(lake: Lake) -> None:
    assert Lease(lake, Standing(), "paper-0xa").waits == 0
    assert Lease(lake, Standing(), "paper-0xa").waits == 0
    claim = orjson.loads(lake.read("leases/paper-0xa/000002.json"))
    assert claim["machine"] == machine()
    lake.put_json("leases/paper-0xa/000003.json", {**claim, "number": 3, "machine": "elsewhere", "host": "far"})
    held = Lease(lake, Standing(), "paper-0xa")
    assert held.waits > TERM_S
    assert "far" in held.before


def test_two_cannot_hold_it_at_once(lake: Lake) -> None:
    with lease(lake, "paper-0xa"), pytest.raises(Conflict, match="is being driven"), lease(lake, "paper-0xa"):
        pass
    with lease(lake, "paper-0xa") as held:
        assert held.number == 2


@pytest.mark.proof
def test_in_a_bucket_too(bucket: str) -> None:
    lake = open_lake(bucket)
    with lease(lake, "paper-0xa") as held:
        held.look()
        later = Lease(lake, Standing(), "paper-0xa")
        assert (held.number, later.number) == (1, 2)
        with pytest.raises(Conflict, match="took this account over"):
            held.look()
