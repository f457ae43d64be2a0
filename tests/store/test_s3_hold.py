"""Two drivers of one run: exactly one has the right, and it passes on when its holder dies or falls silent."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from quantga.errors import Conflict
from quantga.store import s3_hold
from quantga.store.lake import open_lake
from tests.conftest import ROOT

HOLDER = """
import sys, time
from quantga.errors import Conflict
from quantga.store.lake import open_lake
try:
    with open_lake(sys.argv[1]).hold("run 1f3a") as held:
        print("mine", flush=True)
        time.sleep(float(sys.argv[2]))
        held.require()
except Conflict as error:
    print(error, flush=True)
"""


@pytest.fixture
def quick(monkeypatch):
    """Let signs of life be frequent."""
    monkeypatch.setattr(s3_hold, "BEAT_S", 0.2)
    monkeypatch.setattr(s3_hold, "SILENCE_S", 2.0)
    return monkeypatch


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    return str(tmp_path / "lake") if request.param == "folder" else request.getfixturevalue("bucket")


def holder(store: str, seconds: float = 60.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, store, str(seconds)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_of_two_drivers_one_wins_and_the_other_says_who(store):
    racers = [holder(store, 7.0 if store.startswith("s3") else 2.0) for _ in range(2)]
    said = sorted(racer.communicate(timeout=60)[0].strip() for racer in racers)
    assert said[0] == "mine"
    winner = [racer.pid for racer in racers]
    assert any(said[1].startswith(f"run 1f3a is being driven by process {pid} on ") for pid in winner)


def test_who_was_killed_holds_nothing(store):
    first = holder(store)
    assert first.stdout.readline() == "mine\n"
    first.kill()
    first.communicate()
    began = time.monotonic()
    with open_lake(store).hold("run 1f3a") as held:
        held.require()
    assert time.monotonic() - began < 5


def test_another_run_is_another_matter(store):
    lake = open_lake(store)
    with lake.hold("run 1f3a"), lake.hold("run 2b"):
        pass
    with lake.hold("run 1f3a"):
        pass


def test_a_holder_elsewhere_that_falls_silent_is_followed_and_says_so_if_it_wakes(bucket, quick):
    lake = open_lake(bucket)
    quick.setattr(s3_hold, "_machine", lambda: "one")
    with lake.hold("run 1f3a") as first:
        first._ended.set()  # its process stands still
        first._thread.join()
        quick.setattr(s3_hold, "_machine", lambda: "two")
        with lake.hold("run 1f3a") as second:
            second.require()
            first._renew()
            with pytest.raises(Conflict, match="was taken over by process"):
                first.require()
            second.require()


def test_a_living_holder_elsewhere_is_never_followed(bucket, quick):
    lake = open_lake(bucket)
    quick.setattr(s3_hold, "_machine", lambda: "one")
    with lake.hold("run 1f3a") as first:
        quick.setattr(s3_hold, "_machine", lambda: "two")
        for _ in range(3):
            with pytest.raises(Conflict, match="is being driven by"), lake.hold("run 1f3a"):
                pass
        first.require()


def test_a_sign_of_life_whose_answer_was_lost_is_ones_own(bucket, faulty, quick):
    lake = open_lake(bucket.partition("?")[0] + f"?endpoint={faulty.endpoint}")
    with lake.hold("run 1f3a") as held:
        faulty.faults("lost", "cut", "busy", to=("PUT",))
        while faulty.plan:
            time.sleep(0.1)
        time.sleep(1.0)
        held.require()


def test_of_many_who_wait_for_a_silent_one_exactly_one_follows(bucket, quick):
    quick.setattr(s3_hold, "_machine", lambda: "")
    lake = open_lake(bucket)
    stale = s3_hold.BeatHeld(lake.objects.address, "run 1f3a")
    stale._write("IfNoneMatch", "*")
    got: list[str] = []
    holding: list[int] = []
    most = []
    done = threading.Event()

    def follow(i):
        try:
            with lake.hold("run 1f3a"):
                got.append("mine")
                holding.append(i)
                most.append(len(holding))
                done.wait(10)
                holding.remove(i)
        except Conflict:
            got.append("theirs")
            done.set()

    racers = [threading.Thread(target=follow, args=(i,)) for i in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert set(most) == {1}
    assert {"mine", "theirs"} == set(got)
